"""Joins everything for one run: home, locks, history, keeper, engine, log and observers.

The order is what matters here: the lock, then the verdicts on runs whose runner died, then the run's rows and its
folder (one transaction), then the keeper, then the first job.
"""
import os
import select
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Type, Union

from db.history import History, NewRun, RunPlaces
from executioner.failures import one_of_ours
from executioner.home import Home, make_folders
from executioner.load_ahead import LoadAhead, needed_at_the_end
from executioner.prepared import Prepared, settled_events
from executioner_logging.events import EventLog
from executioner_logging.record import Record
from executioner_logging.writer import LogWriter
from jobs.ballast import Ballast
from jobs.checks.runner import CheckRunner
from jobs.engine import Engine, RunOutcome
from jobs.exceptions import EXIT_OK, EXIT_SIGNAL, StorageError
from jobs.executors.local import LocalExecutor
from jobs.graph import Graph
from jobs.keeper.launch import Launcher
from jobs.keeper.processes import boot_id, start_time
from jobs.last_words import LastWords, leave_last_words
from jobs.locks import FileLock, LockHolder, acquire_application_lock, application_lock_path, hold_folder
from jobs.masking import Masker
from jobs.models import OverlapPolicy, Pipeline, RunStatus
from jobs.pools import Pools
from jobs.ports import HoldRequest, Observer, Request, StopRequest
from jobs.private_files import make_private_folder
from jobs.run_context import RunContext, run_environment
from jobs.scheduler import Scheduler
from jobs.startup import OriginalState, StopSignals
from jobs.system import SystemClock
from jobs.times import utc_text

if TYPE_CHECKING:
    from executioner.aftermath import Task
    from executioner.status_page import PageBeside
    from jobs.records import RunRecord
    from monitoring.metrics import MetricsCollector

__all__ = ["Runner"]

#: How long a run that is given up waits for its keeper to be gone, so as to close itself.
GIVING_UP_S = 5.0


class Runner:
    """One run of a pipeline, from the lock to the last row. Use it in a ``with``: it holds a lock and open files.

    :param prepare: decides what is run, once the lock is held and dead runs are closed; or that there is nothing to do
    :param launcher: starts the keeper; whoever made it closes it
    :param origin: how this process was started
    :param options: what the command line said, for the history; must be JSON-able
    :param notices: lines for the log that were known before the run (warnings of the file)
    :param tell: shows a line to a person at once
    :param allow_network_fs: accept a history on a network file system
    """

    def __init__(self, home: Home, pipeline: Pipeline, prepare: Callable[[History], Union[Prepared, RunOutcome]],
                 launcher: Launcher, origin: OriginalState, options: Dict[str, object], notices: Sequence[str] = (),
                 log_level: str = "INFO", text_log: bool = False,
                 tell: Callable[[str], None] = lambda line: None, allow_network_fs: bool = False) -> None:
        self.home = home
        self.pipeline = pipeline
        self._secrets: Sequence[str] = pipeline.secret_values
        self.masker = Masker(self._secrets)
        #: 0 until the run has its number.
        self.run_id = 0
        self._prepare = prepare
        self._allow_network_fs = allow_network_fs
        self._origin = origin
        self._options = options
        self._notices = list(notices)
        self._tell = tell
        self._clock = SystemClock()
        self._signals = StopSignals(origin.hup_ignored)
        self._lock: Optional[FileLock] = None
        #: The folder of the run's output, held.
        self._folder = -1
        #: The pipe whose end tells the process that watches deadlines that the run is over.
        self._watcher: Optional[int] = None
        self._page: "Optional[PageBeside]" = None
        self._history: Optional[History] = None
        self._launcher = launcher
        self._text_log = text_log
        self._log_level = log_level
        self._log = self._make_log()

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._release_watchers()
        if self._history is not None:
            self._history.close()
        self._log.close()
        self.let_go()

    def let_go(self) -> None:
        """The run is over, and to tell of it may take as long as its reader wants.

        Another run of the application may begin, and a signal ends this process. The history can still be read.
        """
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        self._signals.close()

    def _make_log(self) -> LogWriter:
        return LogWriter(self.home.log, self.masker, self._text_log, self._log_level, report=self._tell)

    @property
    def history(self) -> History:
        """The history that the run is kept in."""
        if self._history is None:
            path = self.pipeline.database_path or self.home.own_history
            if path != self.home.own_history:
                self.home.remember_history(path)
            self._history = History.open(path, allow_network_fs=self._allow_network_fs)
        return self._history

    def run(self, observe: Callable[[Graph], Sequence[Observer]]) -> RunOutcome:
        """Run the pipeline to its end.

        :param observe: makes the observers, once it is known what is run
        :raises OverlapError: another run of the application is there, and the policy is ``fail``
        :raises StorageError: where results cannot be kept
        """
        self.home.create()
        stopped = self._take_lock()
        if stopped is None:
            if not self.pipeline.pools:  # else it has to be given their locks
                self._launcher.launch_early(self.pipeline.application)
            stopped = self._settle_dead_runs()
        if stopped is not None:
            return stopped
        prepared = self._prepare(self.history)
        if isinstance(prepared, RunOutcome):
            return prepared
        if prepared.pipeline is not self.pipeline:
            self._secrets = sorted(set(self.pipeline.secret_values).union(prepared.pipeline.secret_values))
            self.masker = Masker(self._secrets)
            self._log.close()
            self._log = self._make_log()
            self.pipeline = prepared.pipeline
        run = self._create_run(prepared)
        collector: "Optional[MetricsCollector]" = None
        try:
            collector = self._collector(run)
            observers = list(observe(prepared.graph)) + ([collector] if collector is not None else [])
            self._watch_deadlines(run)
            self._keep_page(run)
            outcome = self._execute(run, prepared, observers)
        except Exception as error:
            self._give_up(run, error, collector)
            raise
        self._finish(run, collector)
        return outcome

    # ---- before the run ------------------------------------------------------------------------------------------

    def _holder(self) -> LockHolder:
        pid = os.getpid()
        return LockHolder(pid, self.run_id or None, boot_id(), start_time(pid) or 0, utc_text(self._clock.wall()))

    def _take_lock(self) -> Optional[RunOutcome]:
        """Hold the application's lock; how the command ends where it is not to run."""
        caught: List[int] = []

        def should_stop() -> bool:
            self._launcher.close()  # it may be long until a keeper is needed
            caught.extend(self._stops())
            return bool(caught)

        application, policy = self.pipeline.application, self.pipeline.overlap
        self._lock = acquire_application_lock(application_lock_path(self.home.locks, application), policy,
                                              self._holder(), application, should_stop)
        if caught:
            return self._stopped(caught[0])
        if self._lock is None:
            self._note("INFO", "run_skipped", "another run of %s is running, and overlap is %s: nothing was run" % (
                application, OverlapPolicy.SKIP))
            return RunOutcome("", EXIT_OK, "another run of %s is running" % application)
        return None

    def _settle_dead_runs(self) -> Optional[RunOutcome]:
        """Close the runs of the application whose runner died; wait for what their keepers still have running."""
        open_runs = self.history.open_runs(self.pipeline.application)
        if not open_runs:
            return None  # the usual case does without what the verdicts import
        from db.truth import is_runner_alive
        for run in open_runs:
            if not is_runner_alive(run):  # one that lives is there by overlap: allow
                stopped = self._settle(run)
                if stopped is not None:
                    return stopped
        return None

    def _settle(self, run: "RunRecord") -> Optional[RunOutcome]:
        from db.truth import settle
        caught: List[int] = []
        told: List[str] = []

        def wait(seconds: float) -> bool:
            if not told:
                told.append("run %d died, and jobs of it still run: waiting for them" % run.run_id)
                self._note("INFO", "run_waiting", told[0])
                self._tell(told[0])
            select.select([self._signals.fd], [], [], seconds)
            caught.extend(self._stops())
            return not caught

        if not settle(self.history, run, wait, self.pipeline.on_orphan):
            return self._stopped(caught[0])
        closed = self.history.run(run.run_id, with_jobs=False)
        self._note("WARNING", "run_settled", "run %d, whose runner died, was closed: %s" % (
            run.run_id, closed.status if closed is not None else "gone"))
        self._tell_of(run.run_id)
        return None

    def _stopped(self, number: int) -> RunOutcome:
        return RunOutcome(RunStatus.CANCELLED, EXIT_SIGNAL + number, "stopped before anything was started")

    def _create_run(self, prepared: Prepared) -> RunContext:
        """The run's number, rows and folder: all of them, or none."""
        started_at = self._clock.wall()
        run_uuid = os.urandom(16).hex()
        pid = os.getpid()
        settled = settled_events(prepared.graph, prepared.given, started_at)
        new = NewRun(run_uuid, started_at, prepared.parent_run_id, options=self._options, host=os.uname().nodename,
                     user=_user_name(), boot_id=boot_id(), runner_pid=pid, runner_start=start_time(pid),
                     settled=settled, outputs={prepared.graph.position[job_id]: told
                                               for job_id, told in prepared.outputs.items()})
        made: List[str] = []

        def place(run_id: int) -> RunPlaces:
            made.append(self._make_output_folder(run_id, run_uuid))
            self._folder = hold_folder(made[0])
            return RunPlaces(made[0], self._record_path(run_uuid))

        home_uuid = self.history.home_uuid()  # read before the transaction in which the folder is named
        assert home_uuid
        try:
            self.run_id = self.history.create_run(new, self.pipeline, place)
        except BaseException:
            for folder in made:
                os.rmdir(folder)
            raise
        if self._lock is not None and self._lock.held:
            self._lock.name_holder(self._holder())
        return RunContext(self.run_id, run_uuid, started_at, made[0])

    def _record_path(self, run_uuid: str) -> str:
        return os.path.join(self.home.records, "%s.record" % run_uuid)

    def _make_output_folder(self, run_id: int, run_uuid: str) -> str:
        """A new folder for the output of the run; never one that was there."""
        parent, name = self.home.logs, str(run_id)
        if self.pipeline.log_dir:
            # Several homes may share it: the number alone is not enough there.
            parent, name = self.pipeline.log_dir, "%d-%s" % (run_id, self.history.home_uuid()[:6])
        try:
            make_folders(parent)
            for candidate in (name, "%s-%s" % (name, run_uuid[:6])):
                path = os.path.join(parent, candidate)
                try:
                    make_private_folder(path)
                    return path
                except FileExistsError:
                    continue  # left by a history that is no more
        except OSError as error:
            raise StorageError("cannot make a folder for job output in %s: %s" % (parent, error.strerror or error),
                               context={"path": parent})
        raise StorageError("cannot make a folder for job output: %s is there already" % path, context={"path": path})

    # ---- beside and after the run --------------------------------------------------------------------------------

    def _collector(self, run: RunContext) -> "Optional[MetricsCollector]":
        if not self.pipeline.features.get("metrics", True):
            return None
        from monitoring.metrics import MetricsCollector
        return MetricsCollector(self.home.path, self.pipeline.application, run.run_id, buffered=True)

    def _task(self) -> "Task":
        from executioner.aftermath import task_of
        from executioner.ourselves import shown_command
        where = self.history.where
        return task_of(self.pipeline, self.home.path, self.home.source, where, shown_command(self.home, where))

    def _watch_deadlines(self, run: RunContext) -> None:
        """Start the process that watches, where there is anything to watch."""
        if not self.pipeline.features.get("notifications", True):
            return
        wants_retries = any("retry" in rule.on for rule in self.pipeline.notifications)
        if wants_retries or any(job.deadline is not None for job in self.pipeline.jobs):
            from executioner.aftermath import start, watched_jobs
            task = self._task()
            task.watched, task.notify = watched_jobs(self.pipeline.jobs), bool(self.pipeline.notifications)
            self._watcher = start(task, run.run_id, "--watch", self._complain)

    def _keep_page(self, run: RunContext) -> None:
        """Start the process that keeps the page of the run, where one is asked for."""
        if self.pipeline.status_page:
            from executioner.status_page import PageBeside
            try:
                self._page = PageBeside(self._task(), run.run_id, self._complain)
            except OSError as error:
                self._complain("status_page: %s" % (error.strerror or error))

    def _release_watchers(self) -> None:
        if self._watcher is not None:
            os.close(self._watcher)
            self._watcher = None
        if self._page is not None:
            page, self._page = self._page, None
            page.close()

    def _finish(self, run: RunContext, collector: "Optional[MetricsCollector]") -> None:
        """What follows once the result is kept. Nothing of it changes the result or fails the command."""
        self._release_watchers()
        if collector is not None:
            from executioner import __version__
            for problem in collector.finish(self.history, __version__, self.pipeline.metrics_textfile):
                self._complain("metrics: " + problem)
        from executioner.aftermath import after_run
        task = self._task()
        if self.masker:
            task.secrets, task.hide_in = self._secrets, self._hide_secrets(run.output_dir)
        after_run(self.history, run.run_id, self.pipeline, task, self._clock.wall(), self._complain)

    def _hide_secrets(self, folder: str) -> str:
        """Leave word of where secrets stand in the output; the folder where that is more than the command waits for."""
        from jobs.hidden import INLINE_BYTES, leave_hidden, output_bytes
        try:
            if output_bytes(folder) > INLINE_BYTES:
                return folder
            leave_hidden(folder, self.masker)
        except (OSError, StorageError) as error:
            self._complain("output: %s" % (error.message if isinstance(error, StorageError) else error.strerror))
        return ""

    def _give_up(self, run: RunContext, error: Exception, collector: "Optional[MetricsCollector]") -> None:
        """Leave word of why the run ends before its time, and close it where the history takes that."""
        ours = one_of_ours(error)
        words = LastWords(self._clock.wall(), ours.exit_code, self.masker.mask_text(
            "given up: %s; it can be resumed: run %s --resume %d" % (
                ours.message, self.pipeline.config_path, run.run_id)))
        leave_last_words(self._record_path(run.run_uuid), words)
        until = self._clock.monotonic() + GIVING_UP_S

        def wait(seconds: float) -> bool:
            select.select([], [], [], seconds)
            return self._clock.monotonic() < until

        try:
            from db.truth import give_up
            try:
                events = give_up(self.history, run.run_id, wait, words)
            except StorageError:
                if not Ballast(self.home.ballast).give_up():
                    raise
                events = give_up(self.history, run.run_id, wait, words)
            EventLog(self._log, run.run_id, self.pipeline.application).tell(events)
            self._finish(run, collector)
        except Exception as problem:  # noqa: BLE001 - whatever it is, it must not hide why the run was given up
            # Readers find the words; the next command that acts keeps them.
            self._note("ERROR", "notice", "run %d: %s (which the history cannot keep now: %s)" % (
                run.run_id, words.reason, problem))

    def _tell_of(self, run_id: int) -> None:
        """Have somebody told of a run that died before this one goes on, which may take hours."""
        from executioner.aftermath import after_run
        task = self._task()
        after_run(self.history, run_id, self.pipeline, task, self._clock.wall(), self._complain, may_prune=False)

    def _complain(self, problem: str) -> None:
        self._note("WARNING", "aftermath", problem)

    # ---- the run -------------------------------------------------------------------------------------------------

    def _execute(self, run: RunContext, prepared: Prepared, observers: Sequence[Observer]) -> RunOutcome:
        pipeline = self.pipeline
        slots = pipeline.max_workers if pipeline.parallel else 1
        told: List[Observer] = [EventLog(self._log, run.run_id, pipeline.application)]
        told += observers
        told.append(LoadAhead(needed_at_the_end(pipeline)))
        for line in self._notices:
            self._note("WARNING", "configuration", line)
        checks_read, checks_write = _pipe()
        checks = CheckRunner(checks_write)

        holds = self._holds()
        asked_before: List[Request] = [holds] if holds.holds else []

        def requests() -> List[Request]:
            _drain(checks_read)
            asked, asked_before[:] = asked_before + self._take_requests(), []
            return asked

        launcher, pools = self._launcher, None
        if any(job.pool for job in pipeline.jobs):
            pools = Pools(self.home.locks, pipeline.pools)
            launcher = Launcher(held_fds=pools.descriptors)
        _spare_the_collector()
        executor: Optional[LocalExecutor] = None
        try:
            executor = LocalExecutor(
                slots, self._record_path(run.run_uuid), run.output_dir,
                run_environment(pipeline, run), pipeline.allow_shell, (self._signals.fd, checks_read),
                on_runner_death=pipeline.on_runner_death, hup_ignored=self._origin.hup_ignored,
                open_files=self._origin.open_files, launcher=launcher)
            scheduler = Scheduler(pipeline.jobs, prepared.graph, slots, pipeline.continue_on_error, prepared.given,
                                  pipeline.run_timeout_s)
            engine = Engine(pipeline, run, scheduler, executor, self.history.journal(run.run_id),
                            told, self._clock, checks, requests, _unit_random,
                            prepared.outputs, pools, Ballast(self.home.ballast), self._unsure())
            return engine.run()
        finally:
            if executor is not None:
                executor.leave()
            checks.close()
            if pools is not None:
                pools.close()
            os.close(checks_read)
            os.close(checks_write)

    def _unsure(self) -> Dict[str, str]:
        if not any(job.may_be_up_to_date for job in self.pipeline.jobs):
            return {}
        from executioner.unsure import unsure_jobs
        return unsure_jobs(self.history, self.pipeline)

    def _take_requests(self) -> List[Request]:
        """What signals asked for; who sent them, and why, stands in the history where a command of ours did."""
        asked: List[Request] = []
        for number in self._signals.take():
            from db.acts import HOLDS_CHANGED, stop_requests
            try:
                if number == HOLDS_CHANGED:
                    asked.append(self._holds())
                else:
                    asked += stop_requests(self.history, self.run_id, number)
            except StorageError as error:
                # The history is out of order: a stop is obeyed without its reason.
                self._note("ERROR", "notice", "what was asked of the run cannot be read: %s" % error.message)
                if number != HOLDS_CHANGED:
                    asked.append(StopRequest(number, "stopped by signal %d" % number))
        return asked

    def _stops(self) -> List[int]:
        """Signals that end a command which has not begun its run."""
        caught = self._signals.take()
        if caught:
            from db.acts import HOLDS_CHANGED
            caught = [number for number in caught if number != HOLDS_CHANGED]
        return caught

    def _holds(self) -> HoldRequest:
        return HoldRequest({job_id: "%s: %s" % (event.who, event.why) if event.why else event.who
                            for job_id, event in self.history.holds(self.pipeline.application).items()})

    def _note(self, level: str, event: str, message: str) -> None:
        self._log.write([Record(self._clock.wall(), level, event, message, self.run_id or None,
                                application=self.pipeline.application)])


def _spare_the_collector() -> None:
    """Keep the garbage collector from going through all jobs again and again: the loop of a run makes no cycles."""
    import gc
    gc.collect(0)
    freeze = getattr(gc, "freeze", None)  # from 3.7 on
    if freeze is not None:
        freeze()
    gc.set_threshold(20000, 50, 100)


def _unit_random() -> float:
    # The module random costs more to import than a whole small run has to spend.
    return int.from_bytes(os.urandom(6), "big") / float(1 << 48)


def _pipe() -> List[int]:
    ends = list(os.pipe())
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _drain(descriptor: int) -> None:
    try:
        while len(os.read(descriptor, 4096)) == 4096:
            continue
    except BlockingIOError:
        return


def _user_name() -> str:
    import pwd
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())

"""What is true now of a run that the history has as running: its runner may be dead.

Readers show the verdict and write nothing; ``settle`` commits it, before a new run is planned, by ``cancel`` and by
``db recover``. The rules are ``jobs.reconcile``'s; this module collects what the history, the keeper's record and the
kernel say, and stops what nobody watches any more.
"""
import os
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from db.history import History
from jobs.checks.asking import checks_of_attempt
from jobs.checks.result import CheckContext
from jobs.checks.runner import failure_reason, run_check
from jobs.events import AttemptEnded, Event, JobEnded, RunEnded
from jobs.exceptions import JobExecutionError, OverlapError, StorageError
from jobs.keeper.processes import boot_id, has_proc, stat_of
from jobs.keeper.record import RecordedRun, is_keeper_alive, read_record
from jobs.last_words import LastWords, read_last_words
from jobs.locks import FileLock, is_folder_held
from jobs.masking import Masker, is_secret_name
from jobs.models import FINAL_STATUSES, AttemptOutcome, JobStatus, RunStatus
from jobs.records import AttemptRecord, JobRecord, RunRecord
from jobs.outcomes import apply_skip_codes
from jobs.outputs import read_outputs, told_by
from jobs.orphans import end_survivors, stop_keeper
from jobs.placeholders import expand_text
from jobs.reconcile import OpenAttempt, OpenJob, Reconciled, Recorded, reconcile
from jobs.recovery import Recovery, recovery_of
from jobs.run_context import attempt_variables, run_variables

__all__ = ["give_up", "is_anything_running", "is_runner_alive", "settle", "true_jobs", "true_run", "verdict"]


class _Keeper(NamedTuple):
    """What a run's record tells, and the lock on it."""

    is_alive: bool
    record: RecordedRun
    #: False: the record is not there, or cannot be read; what it said, nobody knows.
    is_known: bool


def is_runner_alive(run: RunRecord) -> bool:
    """Whether the process that runs this run is still there: the same boot, pid and start time, or the kernel's lock.

    The lock on the folder of its output is for a runner in another container: its pid says nothing here.
    """
    if run.runner_pid is None or run.boot_id != boot_id():
        return False
    if has_proc():
        return _is_process_here(run) or (bool(run.log_dir) and is_folder_held(run.log_dir))
    try:
        os.kill(run.runner_pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def is_anything_running(run: RunRecord) -> bool:
    """Whether the runner or the keeper of a run is still there."""
    return is_runner_alive(run) or (run.boot_id == boot_id() and _keeper(run.record_path).is_alive)


def _is_process_here(run: RunRecord) -> bool:
    """Whether the runner is a living process that can be seen, and signalled, from here."""
    found = None if run.runner_pid is None else stat_of(run.runner_pid)
    return found is not None and not found.is_dead and found.start == run.runner_start


def verdict(history: History, run: RunRecord) -> Optional[Reconciled]:
    """What became of a run whose runner is gone, and of its jobs; None where the runner lives or the run has ended."""
    if run.status != RunStatus.RUNNING or is_runner_alive(run):
        return None
    return _verdict(history, run, False, None)


def _verdict(history: History, run: RunRecord, makes_checks: bool,
             last_words: Optional[LastWords]) -> Optional[Reconciled]:
    again = history.run(run.run_id, with_jobs=False)
    if again is None or again.status != RunStatus.RUNNING:
        return None  # it ended between the two looks
    jobs = history.jobs(run.run_id)
    keeper = _keeper(run.record_path, is_needed=makes_checks)
    attempts: Dict[int, List[AttemptRecord]] = {}
    for attempt in history.attempts(run.run_id):
        attempts.setdefault(attempt.position, []).append(attempt)
    recorded = {token: Recorded(one.pid, one.pid_start, None if one.facts is None else AttemptOutcome(*one.facts[1:]),
                                one.started_at or None)
                for token, one in keeper.record.attempts.items()}
    closed = [job for job in jobs if job.status in FINAL_STATUSES]
    told = _Told(history, run)
    open_jobs = [_open_job(job, attempts.get(job.position, []), run, recorded, keeper.is_known, makes_checks, told)
                 for job in jobs if job.status not in FINAL_STATUSES]
    said = last_words or read_last_words(run.record_path)
    return reconcile(run.run_id, open_jobs, recorded, keeper.is_alive, boot_id(), [job.status for job in closed],
                     [job.allow_failure for job in closed], time.time() if said is None else said.at, said)


def true_run(history: History, run: RunRecord) -> RunRecord:
    """The run as it is to be shown: changed in place where its runner is gone."""
    truth = verdict(history, run)
    if truth is not None:
        for event in truth.events:
            if isinstance(event, RunEnded):
                run.status, run.exit_code, run.reason = event.status, event.exit_code, event.reason
                run.ended_at = max([known.outcome.ended_at for known in truth.events
                                    if isinstance(known, AttemptEnded) and known.outcome.ended_at is not None],
                                   default=None)
                if truth.is_given_up:
                    run.ended_at = event.at
    return run


def true_jobs(history: History, run: RunRecord) -> List[JobRecord]:
    """The jobs of a run as they are to be shown, in the order of the file; what was marked says so."""
    truth = verdict(history, run)
    jobs = history.jobs(run.run_id)
    if truth is not None:
        _overlay(jobs, truth)
    marks = history.marks(run.run_id)
    for job in jobs:
        mark = marks.get(job.job_id)
        if mark is not None:
            job.reason = "%s; marked as success by %s: %s" % (job.reason, mark.who, mark.why)
    return jobs


def _overlay(jobs: Sequence[JobRecord], truth: Reconciled) -> None:
    by_position = {job.position: job for job in jobs}
    ends = {event.position: event.outcome.ended_at for event in truth.events if isinstance(event, AttemptEnded)}
    for event in truth.events:
        if isinstance(event, JobEnded):
            job = by_position[event.position]
            job.status, job.reason, job.attempts = event.status, event.reason, event.attempts
            job.exit_code, job.signal = event.exit_code, event.signal
            job.started_at = event.started_at if event.started_at is not None else job.started_at
            job.ended_at, job.duration_s = event.at if truth.is_given_up else ends.get(event.position), event.duration_s
            job.cpu_s, job.max_rss_bytes = event.cpu_s, event.max_rss_bytes
    for position in truth.running:
        by_position[position].status = JobStatus.RUNNING


def settle(history: History, run: RunRecord, wait: Callable[[float], bool], on_orphan: str = "adopt") -> bool:
    """Close a run whose runner is gone: wait for what its keeper still has running, then record what became of it.

    Safe to be killed at any point and to be done again; two that settle wait for each other.

    :param wait: waits about so many seconds; False = do not wait any longer
    :param on_orphan: ``adopt``: wait for what still runs; ``kill``: stop it; ``fail``: end with an error
    :returns: whether the run is closed now (also where it needed nothing)
    :raises StorageError: where the verdict cannot be kept
    :raises OverlapError: where something still runs, and ``on_orphan`` is ``fail``
    """
    if is_runner_alive(run):
        return False
    return _close(history, run, wait, on_orphan, None) is not None


def give_up(history: History, run_id: int, wait: Callable[[float], bool], last_words: LastWords) -> List[Event]:
    """Close the run of this very process, which cannot go on with it; what was committed for that.

    Nothing where it has ended, or where something of it still runs: the next command settles it then.

    :param wait: as for ``settle``
    :param last_words: why, which stands in the record where it could be written there
    :raises StorageError: where the verdict cannot be kept
    """
    run = history.run(run_id, with_jobs=False)
    return [] if run is None else _close(history, run, wait, "adopt", last_words) or []


def _close(history: History, run: RunRecord, wait: Callable[[float], bool], on_orphan: str,
           last_words: Optional[LastWords]) -> Optional[List[Event]]:
    """Commit the verdict on a run that nobody goes on with, once its keeper is gone; None where that still works."""
    pause_s = 0.02
    while run.boot_id == boot_id():
        keeper = _keeper(run.record_path)
        if not keeper.is_alive:
            break
        if on_orphan == "fail":
            raise OverlapError("run %d died, and jobs of it still run; wait for them, or `executioner cancel %d`" % (
                run.run_id, run.run_id), context={"run_id": run.run_id})
        if on_orphan == "kill":
            stop_keeper(keeper.record.keeper_pid, keeper.record.keeper_start)
        if not wait(pause_s):
            return None
        pause_s = min(pause_s * 1.5, 0.5)
    with FileLock(os.path.join(os.path.dirname(history.where), "settle.lock")):
        if run.boot_id == boot_id():
            _end_what_nobody_watches(history, run)
        truth = _verdict(history, run, True, last_words)
        if truth is None:
            return []
        history.journal(run.run_id).commit(truth.events)
    return truth.events


def _end_what_nobody_watches(history: History, run: RunRecord) -> None:
    """Runner and keeper are gone: what is left of the run's jobs has nobody to time, stop or reap it."""
    spared = {job.position for job in history.jobs(run.run_id) if recovery_of(job.recovery).leave_running}
    record = _keeper(run.record_path).record
    leaders = {one.pid: one.pid_start or 0 for token, one in record.attempts.items()
               if one.pid is not None and int(token.split(".")[1]) not in spared}
    end_survivors(run.run_uuid, leaders, spared)


def _keeper(path: str, is_needed: bool = False) -> _Keeper:
    """Whether the keeper lives, and its record as it is after that was looked at.

    :param is_needed: whether a verdict that stands for good is to be built on it
    :raises StorageError: where it is there, needed, and cannot be read
    """
    if not path:
        return _Keeper(False, RecordedRun(), True)
    try:
        alive = is_keeper_alive(path)
        return _Keeper(alive, read_record(path), True)
    except FileNotFoundError:
        return _Keeper(False, RecordedRun(), False)
    except OSError as error:
        if is_needed:
            raise StorageError("%s: the record of a dead run cannot be read: %s" % (path, error.strerror or error),
                               context={"path": path, "errno": error.errno})
        return _Keeper(False, RecordedRun(), False)


def _open_job(job: JobRecord, attempts: List[AttemptRecord], run: RunRecord, recorded: Dict[str, Recorded],
              is_record_known: bool, makes_checks: bool, told: "_Told") -> OpenJob:
    found = OpenJob(job.position, job.job_id, allow_failure=job.allow_failure)
    ended = [attempt for attempt in attempts if attempt.status in FINAL_STATUSES]
    found.attempts = len(ended)
    if len(ended) < len(attempts):
        last = attempts[-1]
        found.attempt = OpenAttempt(
            last.token, last.attempt, run.boot_id, not is_record_known or last.status == JobStatus.RUNNING,
            last.started_at)
        known = recorded.get(last.token)
        if known is not None and known.outcome is not None:
            kept = recovery_of(job.recovery)
            apply_skip_codes(known.outcome, kept.skip_exit_codes)
            if known.outcome.status == JobStatus.SUCCESS:
                _check(found, kept, makes_checks, run, last, told)
                _take_outputs(found, kept, last.stdout_path)
    elif ended:
        last = ended[-1]
        found.last_outcome = AttemptOutcome(
            last.status, last.exit_code, last.signal, last.reason, last.stop_reason, last.started_at, last.ended_at,
            last.duration_s, last.cpu_s, last.max_rss_bytes, last.survivors)
    return found


class _Told:
    """What the jobs of a run told others, asked of the history where somebody wants to know."""

    def __init__(self, history: History, run: RunRecord) -> None:
        self._history = history
        self._run = run
        self._outputs: Optional[Dict[str, Dict[str, str]]] = None

    def lookup(self, name: str) -> Optional[str]:
        """What a placeholder stands for, where it is about what a job told, and that is known."""
        job_id, output = told_by(name)
        if self._outputs is None:
            self._outputs = self._history.outputs(self._run.run_id)
        return self._outputs.get(job_id, {}).get(output)


def _outputs_path(stdout_path: str) -> str:
    """Where an attempt tells others; beside the file of its output."""
    return os.path.splitext(stdout_path)[0] + ".outputs"


def _take_outputs(job: OpenJob, known: Recovery, stdout_path: str) -> None:
    """Take what the attempt told others."""
    if known.outputs and job.is_checked and not job.check_failure:
        try:
            job.told = read_outputs(_outputs_path(stdout_path), known.outputs)
        except JobExecutionError as error:
            job.check_failure = error.message


def _check(job: OpenJob, known: Recovery, makes_checks: bool, run: RunRecord, attempt: AttemptRecord,
           told: _Told) -> None:
    """Make the checks that the dead runner did not come to."""
    if known.post_checks is not None and not known.post_checks:
        return
    job.is_checked = makes_checks and known.post_checks is not None
    if job.is_checked and known.post_checks is not None:
        environment = dict(os.environ)
        environment.update(known.environment)
        environment.update(run_variables(run.run_id, run.application, run.log_dir, run.started_at or 0.0))
        environment.update(attempt_variables(job.job_id, attempt.attempt, _outputs_path(attempt.stdout_path)))
        context = CheckContext(expand_text(known.working_dir, told.lookup), environment, attempt.stdout_path,
                               attempt.stderr_path)
        checks = checks_of_attempt(known.post_checks, context, told.lookup)
        secrets = Masker(value for name, value in environment.items() if is_secret_name(name))
        job.check_failure = secrets.mask_text(failure_reason([run_check(check, context) for check in checks]))

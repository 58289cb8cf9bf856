"""``after``: deliver messages, copy and prune, as the process that a run leaves behind; its task comes on stdin."""
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Callable, List

from executioner.console import Console
from executioner.home import Home
from executioner.options import Arguments, CommandSpec, Option, usage_error
from jobs.exceptions import EXIT_OK, ExecutionerError, StorageError

if TYPE_CHECKING:
    from db.history import History
    from executioner.aftermath import Task
    from executioner_logging.writer import LogWriter
    from monitoring.courier import Delivery

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "RUN", 1, 1,
    (Option("--watch", "watch the deadlines of a run that goes on"),
     Option("--page", "keep the page of a run that goes on")),
    "Started by `run` itself when its result is kept: delivers what somebody is to hear of the run, copies it to\n"
    "the server that its file names, and takes away runs that are too many. It takes its task from standard input;\n"
    "for the same by hand there are `executioner notify`, `executioner db sync` and `executioner db prune`.",
    (("executioner notify pipeline.json", "deliver what waits"),
     ("executioner db prune", "take away what is too much")))

#: However stuck this process is, it ends: SIGALRM is not caught.
MOST_S = 900
#: How long a prune may take.
PRUNE_S = 20.0


def execute(arguments: Arguments, console: Console) -> int:
    """Do what the task says; all that happens stands in the log."""
    from executioner.aftermath import Task
    from executioner_logging.record import Record, record_of_error
    from executioner_logging.writer import LogWriter
    from jobs.masking import Masker

    if not arguments.operands[0].isdigit():
        raise usage_error('expected the number of a run, found "%s"' % arguments.operands[0])
    run_id = int(arguments.operands[0])
    try:
        task = Task.from_json(sys.stdin.buffer.readline())
    except (ValueError, KeyError, TypeError):
        raise usage_error("expected a task on standard input", "`run` starts this command; by hand use `notify`")
    if not (arguments.flag("watch") or arguments.flag("page")):
        signal.alarm(MOST_S)
    try:
        os.chdir(task.working_dir or "/")
    except OSError:
        os.chdir("/")
    home = Home(task.home, task.home_source)
    home.check()
    log = LogWriter(home.log, Masker(task.secrets))
    try:
        from db.history import History
        with History.open(task.database, readonly=arguments.flag("page")) as history:
            if arguments.flag("page"):
                _keep_page(history, run_id, task, log)
            elif arguments.flag("watch"):
                _watch(history, run_id, task, home, log)
            else:
                if task.hide_in:
                    _hide(run_id, task, log)
                if task.notify:
                    _notify(history, run_id, task, home, log)
            if task.copy:
                _copy(history, run_id, task, home, log)
            if task.prune:
                _prune(history, task, home, log, run_id)
    except StorageError as error:
        log.write([record_of_error(error, time.time(), "aftermath_failed", run_id, task.application)])
        raise
    except ExecutionerError as error:
        log.write([Record(time.time(), "ERROR", "aftermath_failed", error.message, run_id,
                          application=task.application)])
        raise
    finally:
        log.close()
    return EXIT_OK


def _notify(history: "History", run_id: int, task: "Task", home: Home, log: "LogWriter") -> None:
    from executioner.delivery import decide_all, deliver_waiting

    decide_all(history, task.application, task.rules, task.command, task.secrets, task.runbooks, time.time())
    deliver_waiting(history, task.application, task.rules, task.server, home, task.allow_shell,
                    lambda delivery: _log_delivery(log, delivery))


def _hide(run_id: int, task: "Task", log: "LogWriter") -> None:
    """Leave word of where secrets stand in the run's output; where that fails, what else is to be done goes on."""
    from executioner_logging.record import record_of_error
    from jobs.hidden import leave_hidden
    from jobs.masking import Masker
    try:
        leave_hidden(task.hide_in, Masker(task.secrets))
    except StorageError as error:
        log.write([record_of_error(error, time.time(), "aftermath_failed", run_id, task.application)])


def _copy(history: "History", run_id: int, task: "Task", home: Home, log: "LogWriter") -> None:
    from executioner.copying import Copied, copied_record, copy_with_retries

    def tell(one: Copied) -> None:
        log.write([copied_record(one, time.time(), task.application, run_id)])

    copy_with_retries(history, home, os.environ, tell)
    if task.metrics:
        from executioner import __version__
        from monitoring.metrics import MetricsCollector
        MetricsCollector(home.path, task.application, run_id, buffered=True).finish(history, __version__,
                                                                                   task.metrics_textfile)


def _log_delivery(log: "LogWriter", delivery: "Delivery") -> None:
    from executioner.delivery import delivery_record
    log.write([delivery_record(delivery, time.time())])


def _watch(history: "History", run_id: int, task: "Task", home: Home, log: "LogWriter") -> None:
    from executioner.watch import Watch
    from executioner_logging.record import Record

    def tell(job_id: str, lines: List[str]) -> None:
        log.write([Record(time.time(), "WARNING", "job_late", "; ".join(lines), run_id, job_id,
                          application=task.application)])

    Watch(history, run_id, task, home, tell, lambda delivery: _log_delivery(log, delivery)).work(_pauses())


def _keep_page(history: "History", run_id: int, task: "Task", log: "LogWriter") -> None:
    from executioner.status_page import keep_current
    from executioner_logging.record import Record
    from jobs.masking import Masker

    def complain(problem: str) -> None:
        log.write([Record(time.time(), "WARNING", "aftermath", problem, run_id, application=task.application)])

    _stand_back()
    keep_current(history, run_id, task.status_page, Masker(task.secrets), _pauses(), complain)


def _pauses() -> Callable[[float], None]:
    """What waits so many seconds, or until the runner has gone."""
    is_open = [True]

    def pause(seconds: float) -> None:
        # The runner has the other end: where it is closed, the run is over, or its runner dead.
        if not is_open[0]:
            time.sleep(seconds)
        elif select.select([0], [], [], seconds)[0]:
            is_open[0] = False

    return pause


def _stand_back() -> None:
    try:
        os.nice(10)
    except OSError:
        pass  # then at the same rank as everybody


def _prune(history: "History", task: "Task", home: Home, log: "LogWriter", run_id: int) -> None:
    from executioner.retention import prune
    from executioner_logging.record import Record

    _stand_back()
    done = prune(history, task.application, task.retention, time.time(), home.records, PRUNE_S)
    for problem in done.problems[:20]:
        log.write([Record(time.time(), "WARNING", "retention", problem, run_id, application=task.application)])
    if done.victims:
        from executioner.render import count_text
        log.write([Record(time.time(), "INFO", "retention", "%s of %s taken away (%s); %d left%s" % (
            count_text(len(done.victims), "run"), task.application, done.victims[0].reason, done.left,
            ", the rest comes next time" if done.unfinished else ""), run_id, application=task.application)])

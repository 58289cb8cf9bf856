"""The page that ``status_page`` names: a process beside the run writes it, at the start, at intervals and at the end.

The process only reads the history, so the run's loop knows nothing of it, and a run whose runner was killed has a true
last page too. The command waits for the last page for a short while, so that whoever copies it next has the end of it.
"""
import os
import select
import time
from typing import TYPE_CHECKING, Callable, Optional

if TYPE_CHECKING:
    from db.history import History
    from executioner.aftermath import Task
    from jobs.masking import Masker

__all__ = ["PAUSE_S", "PageBeside", "keep_current"]

#: Between two pages of a run, in seconds; browsers look again as often.
PAUSE_S = 5.0
#: Browsers look for the next run so often once a run has ended.
_PAUSE_AFTER_S = 60
#: So many times as long as a page took to make nothing is done: a run of many jobs keeps its processor.
_REST = 20
#: How long the command waits for the last page.
_PATIENCE_S = 3.0
_MODE = 0o644


class PageBeside:
    """The process that keeps the page, as the runner sees it.

    :param report: told in one line what went wrong
    """

    def __init__(self, task: "Task", run_id: int, report: Callable[[str], None]) -> None:
        from executioner.aftermath import start
        self._report = report
        self._done, theirs = os.pipe()
        try:
            self._pipe: Optional[int] = start(task, run_id, "--page", report, theirs)
        finally:
            os.close(theirs)

    def close(self) -> None:
        """Say that the run is over, and wait a moment for the last page."""
        if self._pipe is not None:
            os.close(self._pipe)
            # Nothing is ever written there: it ends when the process does.
            poll = select.poll()
            poll.register(self._done, select.POLLIN)
            if not poll.poll(_PATIENCE_S * 1000):
                self._report("the last status page was not there within %g s" % _PATIENCE_S)
            self._pipe = None
        os.close(self._done)


def keep_current(history: "History", run_id: int, path: str, masker: "Masker", pause: Callable[[float], None],
                 complain: Callable[[str], None]) -> None:
    """Write the page of a run again and again until the run has ended.

    :param pause: waits so many seconds, or until the runner has gone
    :param complain: hears once why the page cannot be written
    :raises DatabaseError: where the history cannot be read
    """
    from api.report import report_page
    from api.truths import true_runs
    from jobs.atomic import write_atomically
    from jobs.exceptions import StorageError
    from jobs.models import RunStatus

    has_complained = False
    while True:
        began = time.monotonic()
        run = history.run(run_id, with_jobs=False)
        if run is None:
            return
        is_over = true_runs(history, [run])[0].status != RunStatus.RUNNING
        page = report_page(history, run, masker, time.time(), _PAUSE_AFTER_S if is_over else int(PAUSE_S))
        try:
            write_atomically(path, page, _MODE, durable=False)
        except StorageError as error:
            if not has_complained:
                complain("status_page: " + error.message)
            has_complained = True
        if is_over:
            return
        pause(max(PAUSE_S, _REST * (time.monotonic() - began)))

"""The figures of each application for metrics and health: its last runs by index, never a walk through all of them."""
from typing import List, NamedTuple, Optional

from db.history import History
from db.tallies import Tally, all_tallies
from jobs.models import RunStatus

__all__ = ["ApplicationFigures", "JobFigures", "JobsNow", "RunFigures", "application_figures", "job_figures",
           "jobs_now", "last_job_success", "totals", "waiting_messages"]

_ENDED = (RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.LOST)
_NEWEST = "SELECT %s" % ", ".join(
    "(SELECT max(run_id) FROM runs WHERE application = ? AND status = '%s')" % status for status in _ENDED)
_TIMES = "SELECT run_id, status, started_at, ended_at, job_count FROM runs WHERE run_id = ?"


class RunFigures(NamedTuple):
    """A run that has ended."""

    run_id: int
    status: str
    started_at: float
    ended_at: float
    job_count: int


class ApplicationFigures(NamedTuple):
    """The last runs of an application."""

    application: str
    last: Optional[RunFigures]
    last_success: Optional[RunFigures]
    #: Runs recorded as running; whether their runners live is not known here.
    running: int


class JobFigures(NamedTuple):
    """A job of a run."""

    job_id: str
    status: str
    duration_s: Optional[float]
    cpu_s: Optional[float]
    max_rss_bytes: Optional[int]


class JobsNow(NamedTuple):
    """How many jobs of an application run at this moment, and how many are still to come."""

    application: str
    running: int
    waiting: int


def totals(history: History) -> List[Tally]:
    """What was counted of all applications since the home was made."""
    return all_tallies(history.database)


def application_figures(history: History, application: str) -> ApplicationFigures:
    """The last runs of one application."""
    database = history.database
    row = database.fetchone(_NEWEST, (application,) * len(_ENDED))
    assert row is not None
    newest = [run_id for run_id in row if run_id is not None]
    running = database.fetchone("SELECT count(*) FROM runs WHERE application = ? AND status = 'RUNNING'",
                                (application,))
    assert running is not None
    last = _run(history, max(newest)) if newest else None
    success = last if last is not None and last.run_id == row[0] else _run(history, row[0])
    return ApplicationFigures(application, last, success, running[0])


def _run(history: History, run_id: Optional[int]) -> Optional[RunFigures]:
    if run_id is None:
        return None
    row = history.database.fetchone(_TIMES, (run_id,))
    if row is None:
        return None  # pruned between the two looks
    return RunFigures(row[0], row[1], row[2], row[2] if row[3] is None else row[3], row[4])


def job_figures(history: History, run_id: int) -> List[JobFigures]:
    """What each job of a run came to, in the order of the file."""
    return [JobFigures(*row) for row in history.database.fetchall(
        "SELECT job_id, status, duration_s, cpu_s, max_rss_bytes FROM jobs WHERE run_id = ? ORDER BY position",
        (run_id,))]


def jobs_now(history: History) -> List[JobsNow]:
    """The jobs of the runs that are recorded as running, by application."""
    return [JobsNow(application, running, not_ended - running) for application, not_ended, running in
            history.database.fetchall(
                "SELECT r.application, sum((SELECT count(*) FROM jobs j WHERE j.run_id = r.run_id AND j.status = "
                "'PENDING')), sum((SELECT count(*) FROM attempts a WHERE a.run_id = r.run_id AND a.started_at IS NOT "
                "NULL AND a.ended_at IS NULL)) FROM runs r WHERE r.status = 'RUNNING' GROUP BY r.application "
                "ORDER BY r.application")]


def waiting_messages(history: History) -> int:
    """How many notifications wait for their delivery."""
    row = history.database.fetchone("SELECT count(*) FROM notifications WHERE status = 'WAITING'")
    assert row is not None
    return int(row[0])


def last_job_success(history: History, application: str, job_id: str, before: int,
                     looked_at: int = 200) -> Optional[RunFigures]:
    """The newest run of an application, among some, in which a job succeeded by itself.

    :param before: only runs with a smaller id
    :param looked_at: how many runs are looked at
    """
    database = history.database
    rows = database.fetchall(database.paged(
        "SELECT run_id FROM runs WHERE application = ? AND run_id < ? ORDER BY run_id DESC"),
        (application, before, looked_at))
    if not rows:
        return None
    row = database.fetchone(database.paged(
        "SELECT r.run_id FROM runs r JOIN jobs j ON j.run_id = r.run_id WHERE r.application = ? AND r.run_id < ? "
        "AND r.run_id >= ? AND j.job_id = ? AND j.status = 'SUCCESS' AND j.attempts > 0 ORDER BY r.run_id DESC"),
        (application, before, rows[-1][0], job_id, 1))
    return None if row is None else _run(history, row[0])

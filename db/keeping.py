"""What retention asks of the history: the runs of an application with their sizes, and taking runs away."""
import json
from typing import Dict, List, NamedTuple, Optional, Tuple

from db.history import History
from db.paths import path_of
from jobs.models import FAILURE_STATUSES, JobStatus

__all__ = ["KeptRun", "Pruned", "delete_run", "forget_messages", "forget_unused_configurations", "job_results",
           "kept_runs", "last_prune", "note_prune", "oldest_start", "run_count", "set_size"]

_RESULTS = ("SELECT job_id, status FROM jobs WHERE run_id = ? AND attempts > 0 AND status IN ('SUCCESS', %s)"
            % ", ".join("'%s'" % status for status in sorted(FAILURE_STATUSES)))


class KeptRun(NamedTuple):
    """A run as retention sees it."""

    run_id: int
    status: str
    started_at: float
    #: Of its output; None = not measured yet.
    size_bytes: Optional[int]
    log_dir: str
    record_path: str
    #: Whether nobody decided yet who hears of it.
    untold: bool
    #: Whether it is to be on a server and is not there.
    uncopied: bool


class Pruned(NamedTuple):
    """The last prune of an application: when (epoch seconds), and how many runs were left."""

    at: float
    left: int


def run_count(history: History, application: str) -> int:
    """How many runs of an application there are."""
    row = history.database.fetchone("SELECT count(*) FROM runs WHERE application = ?", (application,))
    assert row is not None
    return int(row[0])


def oldest_start(history: History, application: str) -> Optional[float]:
    """When the oldest run of an application started."""
    database = history.database
    row = database.fetchone(database.paged("SELECT started_at FROM runs WHERE application = ? ORDER BY run_id"),
                            (application, 1))
    return None if row is None else float(row[0])


def kept_runs(history: History, application: str) -> List[KeptRun]:
    """Every run of an application, newest first."""
    return [KeptRun(row[0], row[1], row[2], row[3], path_of(str(row[4])), path_of(str(row[5])), bool(row[6]),
                    bool(row[7]))
            for row in history.database.fetchall(
                "SELECT run_id, status, started_at, size_bytes, log_dir, record_path, untold, uncopied FROM runs "
                "WHERE application = ? ORDER BY run_id DESC", (application,))]


def job_results(history: History, run_id: int) -> List[Tuple[str, bool]]:
    """The jobs of a run that succeeded (True) or failed (False) in it; those kept from an earlier run are not here."""
    return [(row[0], row[1] == JobStatus.SUCCESS) for row in history.database.fetchall(_RESULTS, (run_id,))]


def set_size(history: History, sizes: Dict[int, int]) -> None:
    """Remember how large the output of runs is."""
    if sizes:
        with history.database.transaction():
            history.database.executemany("UPDATE runs SET size_bytes = ? WHERE run_id = ?",
                                         [(size, run_id) for run_id, size in sizes.items()])


def delete_run(history: History, run_id: int) -> None:
    """Take a run out of the history with its jobs, attempts, outputs and events; one that runs stays.

    :raises DatabaseError: where that cannot be done; nothing of it is gone then
    """
    with history.database.transaction():
        history.database.execute("DELETE FROM runs WHERE run_id = ? AND status <> 'RUNNING'", (run_id,))


def forget_unused_configurations(history: History) -> int:
    """Take away the texts of configurations that no run refers to; how many."""
    with history.database.transaction():
        return history.database.execute("DELETE FROM configurations WHERE NOT EXISTS "
                                        "(SELECT 1 FROM runs WHERE runs.config_hash = configurations.config_hash)")


def forget_messages(history: History, application: str, before: float) -> int:
    """Take away messages that were done with before a time; how many."""
    with history.database.transaction():
        return history.database.execute("DELETE FROM notifications WHERE application = ? AND status <> 'WAITING' "
                                        "AND created_at < ?", (application, before))


def last_prune(history: History, application: str) -> Optional[Pruned]:
    """When an application was pruned last; None where it never was."""
    row = history.database.fetchone("SELECT value FROM meta WHERE name = ?", ("pruned " + application,))
    if row is None:
        return None
    value = json.loads(row[0])
    return Pruned(float(value["at"]), int(value["left"]))


def note_prune(history: History, application: str, pruned: Pruned) -> None:
    """Remember a prune."""
    text = json.dumps(pruned._asdict(), sort_keys=True)
    name = "pruned " + application
    with history.database.transaction():
        if not history.database.execute("UPDATE meta SET value = ? WHERE name = ?", (text, name)):
            history.database.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, text))

"""Totals of each application that only grow: runs, jobs, attempts, seconds. Pruning takes nothing away from them.

They are added to in the very transaction that ends a run, so each run is counted once, whoever closes it.
"""
from typing import Dict, List, NamedTuple, Tuple

from db.interface import DatabaseInterface

__all__ = ["BUCKETS_S", "INFINITE", "Tally", "all_tallies", "count_run"]

#: Upper bounds, in seconds, of the buckets that durations are counted in.
BUCKETS_S: Tuple[int, ...] = (1, 5, 15, 60, 300, 900, 3600, 14400, 43200)
#: The label of what is longer than all of them.
INFINITE = "+Inf"

_BUCKET = "CASE %s ELSE '%s' END" % (
    " ".join("WHEN duration_s <= %d THEN '%d'" % (bound, bound) for bound in BUCKETS_S), INFINITE)
_JOBS = ("SELECT status, count(*), sum(attempts), sum(cpu_s) FROM jobs WHERE run_id = ? "
         "AND (attempts > 0 OR status <> 'SUCCESS') GROUP BY status")
_SECONDS = ("SELECT bucket, count(*), sum(duration_s) FROM (SELECT %s AS bucket, duration_s FROM jobs WHERE run_id = ? "
            "AND attempts > 0 AND duration_s IS NOT NULL) found GROUP BY bucket" % _BUCKET)
#: Of each attempt that began, how long it had waited for its turn.
_WAITS = ("SELECT %s AS bucket, count(*), sum(duration_s) FROM (SELECT CASE WHEN started_at > ready_at "
          "THEN started_at - ready_at ELSE 0.0 END AS duration_s FROM attempts WHERE run_id = ? "
          "AND started_at IS NOT NULL AND ready_at IS NOT NULL) found GROUP BY bucket" % _BUCKET)


class Tally(NamedTuple):
    """One total: ``name`` is ``runs``, ``jobs`` (label: the status), ``attempts``, ``cpu_seconds``; ``run_seconds``,
    ``job_seconds``, ``wait_seconds``, or ``run_bucket`` and so on (label: the upper bound, not cumulative)."""

    application: str
    name: str
    label: str
    value: float


def count_run(database: DatabaseInterface, run_id: int, status: str, ended_at: float) -> None:
    """Add a run that ends to the totals; called inside the transaction that ends it."""
    row = database.fetchone("SELECT application, started_at FROM runs WHERE run_id = ?", (run_id,))
    assert row is not None
    application: str = row[0]
    duration_s = max(0.0, ended_at - row[1])
    added: Dict[Tuple[str, str], float] = {
        ("runs", status): 1.0, ("run_seconds", ""): duration_s, ("run_bucket", bucket_of(duration_s)): 1.0}
    attempts, cpu_s = 0.0, 0.0
    for job_status, count, tries, seconds in database.fetchall(_JOBS, (run_id,)):
        added["jobs", job_status] = float(count)
        attempts += tries
        cpu_s += seconds or 0.0
    added["attempts", ""] = attempts
    added["cpu_seconds", ""] = cpu_s
    for what, query in (("job", _SECONDS), ("wait", _WAITS)):
        total_s = 0.0
        for bucket, count, seconds in database.fetchall(query, (run_id,)):
            added[what + "_bucket", bucket] = float(count)
            total_s += seconds
        added[what + "_seconds", ""] = total_s
    for (name, label), value in added.items():
        if not database.execute("UPDATE tallies SET value = value + ? WHERE application = ? AND name = ? AND label = ?",
                                (value, application, name, label)):
            database.execute("INSERT INTO tallies (application, name, label, value) VALUES (?, ?, ?, ?)",
                             (application, name, label, value))


def bucket_of(duration_s: float) -> str:
    """The label of the bucket that a duration is counted in."""
    for bound in BUCKETS_S:
        if duration_s <= bound:
            return str(bound)
    return INFINITE


def all_tallies(database: DatabaseInterface) -> List[Tally]:
    """Every total of every application."""
    return [Tally(*row) for row in database.fetchall(
        "SELECT application, name, label, value FROM tallies ORDER BY application, name, label")]

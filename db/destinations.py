"""Which runs of a home are to be on which server too, and how far that has come. Kept in the home's own history.

A run belongs to the server that its file named when it began; it waits from its end until it is there, however long
the server is away. A place is a URL without a password, so nothing here is secret.
"""
from typing import List, NamedTuple, Optional, Sequence, Tuple

from db.interface import DatabaseInterface, storable

__all__ = ["Destination", "Waiting", "add_to_destination", "adopt_earlier_runs", "copied", "destinations", "failed",
           "forget", "is_anything_waiting", "waiting_runs"]

_ENDED = "uncopied = 1 AND status <> 'RUNNING'"


class Destination(NamedTuple):
    """A server that runs of this home are copied to."""

    destination_id: int
    #: A ``jobs.server_place.ServerPlace`` as text.
    place: str
    #: Every event up to this one was looked at.
    events_up_to: int
    #: Epoch seconds: the last attempt, the last one that worked, and since when none does.
    tried_at: Optional[float]
    copied_at: Optional[float]
    failing_since: Optional[float]
    #: What was wrong the last time; "" = nothing.
    problem: str
    #: How many runs have ended and are not there, and when the oldest of them ended.
    waiting: int
    waiting_since: Optional[float]


class Waiting(NamedTuple):
    """A run that has ended and is not on its server."""

    run_id: int
    run_uuid: str
    job_count: int


def _id_of(database: DatabaseInterface, place: str) -> int:
    """The number of a destination, made where it is new; inside a transaction."""
    row = database.fetchone("SELECT destination_id FROM destinations WHERE place = ?", (place,))
    if row is not None:
        return int(row[0])
    newest = database.fetchone("SELECT max(event_id) FROM events")
    # Events from before belong to runs that nobody wanted there.
    return database.insert("INSERT INTO destinations (place, events_up_to, problem) VALUES (?, ?, '')",
                           (place, newest[0] or 0 if newest is not None else 0), "destination_id")


def add_to_destination(database: DatabaseInterface, run_id: int, place: str) -> None:
    """Have a new run copied when it has ended; inside the transaction that makes it."""
    database.execute("UPDATE runs SET destination = ?, uncopied = 1 WHERE run_id = ?",
                     (_id_of(database, place), run_id))


def adopt_earlier_runs(database: DatabaseInterface, place: str) -> int:
    """Have every run copied that belongs nowhere yet; how many.

    :raises DatabaseError: where that cannot be kept
    """
    with database.transaction():
        return database.execute("UPDATE runs SET destination = ?, uncopied = 1 WHERE destination IS NULL",
                                (_id_of(database, place),))


def destinations(database: DatabaseInterface) -> List[Destination]:
    """Every server that runs of this home were ever to be copied to, the one that was named last at the end."""
    found = []
    for row in database.fetchall("SELECT destination_id, place, events_up_to, tried_at, copied_at, failing_since, "
                                 "problem FROM destinations ORDER BY destination_id"):
        waits = database.fetchone("SELECT count(*), min(ended_at) FROM runs WHERE destination = ? AND " + _ENDED,
                                  (row[0],))
        assert waits is not None
        found.append(Destination(*(tuple(row) + tuple(waits))))
    return found


def is_anything_waiting(database: DatabaseInterface) -> bool:
    """Whether any run has ended and is not where it belongs: a quick look."""
    return database.fetchone(database.paged("SELECT run_id FROM runs WHERE " + _ENDED), (1,)) is not None


def waiting_runs(database: DatabaseInterface, destination_id: int, limit: int) -> List[Waiting]:
    """Runs that have ended and are not there, oldest first."""
    return [Waiting(*row) for row in database.fetchall(database.paged(
        "SELECT run_id, run_uuid, job_count FROM runs WHERE destination = ? AND " + _ENDED + " ORDER BY run_id"),
        (destination_id, limit))]


def copied(database: DatabaseInterface, destination_id: int, runs: Sequence[Waiting], at: float,
           events_up_to: Optional[int] = None) -> None:
    """Record that runs are on their server, and events up to one.

    :param at: epoch seconds
    :raises DatabaseError: where that cannot be kept; they are looked at again then, and found there
    """
    marks: List[Tuple[int, str]] = [(run.run_id, run.run_uuid) for run in runs]
    with database.transaction():
        database.executemany("UPDATE runs SET uncopied = 0 WHERE run_id = ? AND run_uuid = ?", marks)
        database.execute("UPDATE destinations SET tried_at = ?, copied_at = ?, failing_since = NULL, problem = '', "
                         "events_up_to = COALESCE(?, events_up_to) WHERE destination_id = ?",
                         (at, at, events_up_to, destination_id))


def forget(database: DatabaseInterface, destination_id: int) -> int:
    """Have nothing wait for a server any more; how many runs did.

    :raises DatabaseError: where that cannot be kept
    """
    with database.transaction():
        count = database.execute("UPDATE runs SET uncopied = 0 WHERE destination = ? AND " + _ENDED, (destination_id,))
        database.execute("UPDATE runs SET destination = NULL, uncopied = 0 WHERE destination = ?", (destination_id,))
        database.execute("DELETE FROM destinations WHERE destination_id = ?", (destination_id,))
    return count


def failed(database: DatabaseInterface, destination_id: int, at: float, problem: str) -> None:
    """Record that nothing could be copied.

    :param at: epoch seconds
    :param problem: one line without secrets
    :raises DatabaseError: where that cannot be kept
    """
    with database.transaction():
        database.execute("UPDATE destinations SET tried_at = ?, failing_since = COALESCE(failing_since, ?), "
                         "problem = ? WHERE destination_id = ?", (at, at, storable(problem), destination_id))

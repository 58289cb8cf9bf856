"""Messages that somebody is to get: decided once for each run, kept until they are delivered.

What is kept holds no secret: the text is masked before, the destination is for people, and ``route`` is a hash by
which the one who delivers finds the rule with the real destination.
"""
from typing import List, NamedTuple, Optional, Sequence

from db.history import History
from db.interface import storable
from jobs.models import RunStatus
from jobs.records import RunRecord

__all__ = ["MessageStatus", "NewMessage", "Outbox", "StoredMessage"]

_COLUMNS = ("SELECT notification_id, application, run_id, cause, route, destination, message, status, attempts, "
            "created_at, ended_at, problem FROM notifications ")


class MessageStatus:
    """Where a message is."""

    WAITING = "WAITING"
    SENT = "SENT"
    #: Given up.
    FAILED = "FAILED"
    #: Not sent, because another about the same cause was not long ago.
    SUPPRESSED = "SUPPRESSED"


class NewMessage(NamedTuple):
    """A message that is to be sent."""

    cause: str
    route: str
    destination: str
    #: JSON text: what is sent, secrets masked.
    message: str
    #: Seconds in which no second one about the same cause goes to the same place.
    every_s: float = 0.0


class StoredMessage(NamedTuple):
    """A message of the history."""

    notification_id: int
    application: str
    run_id: Optional[int]
    cause: str
    route: str
    destination: str
    message: str
    status: str
    attempts: int
    created_at: float
    ended_at: Optional[float]
    problem: str


class Outbox:
    """The messages of a home. ``history`` is open for writing where anything is changed."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._database = history.database

    def untold_runs(self, application: str, limit: int = 100) -> List[RunRecord]:
        """Runs that have ended and of which nobody decided yet who hears of them, oldest first, without jobs."""
        rows = self._database.fetchall(self._database.paged(
            "SELECT run_id FROM runs WHERE untold = 1 AND application = ? AND status <> 'RUNNING' ORDER BY run_id"),
            (application, limit))
        runs = [self._history.run(row[0], with_jobs=False) for row in rows]
        return [run for run in runs if run is not None and run.status != RunStatus.RUNNING]

    def decide(self, run: RunRecord, messages: Sequence[NewMessage], at: float, is_over: bool = True) -> List[int]:
        """Keep who hears of a run, in one transaction; the ids of what is to be sent now.

        A message about the same cause to the same place, of the same run or within ``every_s``, is not sent again.

        :param at: epoch seconds
        :param is_over: whether all is decided about the run; False for what is said while it goes on
        :raises DatabaseError: where it cannot be kept
        """
        database = self._database
        added: List[int] = []
        with database.transaction():
            if is_over and not database.execute("UPDATE runs SET untold = 0 WHERE run_id = ? AND untold = 1",
                                                (run.run_id,)):
                return []  # another was faster
            for new in messages:
                key = (run.application, new.route, new.cause)
                if database.fetchone("SELECT 1 FROM notifications WHERE application = ? AND route = ? AND cause = ? "
                                     "AND run_id = ?", key + (run.run_id,)) is not None:
                    continue
                status = MessageStatus.WAITING
                if new.every_s > 0 and database.fetchone(
                        "SELECT 1 FROM notifications WHERE application = ? AND route = ? AND cause = ? "
                        "AND status <> 'SUPPRESSED' AND created_at > ?", key + (at - new.every_s,)) is not None:
                    status = MessageStatus.SUPPRESSED
                identity = database.insert(
                    "INSERT INTO notifications (application, run_id, cause, route, destination, message, status, "
                    "attempts, created_at, ended_at, problem) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, '')",
                    (run.application, run.run_id, storable(new.cause), new.route, storable(new.destination),
                     storable(new.message), status, at, at if status == MessageStatus.SUPPRESSED else None),
                    "notification_id")
                if status == MessageStatus.WAITING:
                    added.append(identity)
        return added

    def suppressed_since_sent(self, application: str, route: str, cause: str) -> int:
        """How many messages about a cause were kept back since the last one that was not."""
        row = self._database.fetchone(
            "SELECT count(*) FROM notifications WHERE application = ? AND route = ? AND cause = ? "
            "AND status = 'SUPPRESSED' AND notification_id > COALESCE((SELECT max(notification_id) FROM notifications "
            "WHERE application = ? AND route = ? AND cause = ? AND status <> 'SUPPRESSED'), 0)",
            (application, route, cause) * 2)
        return int(row[0]) if row is not None else 0

    def waiting(self, application: str, limit: int = 100) -> List[StoredMessage]:
        """What waits for its delivery, oldest first."""
        rows = self._database.fetchall(self._database.paged(
            _COLUMNS + "WHERE status = 'WAITING' AND application = ? ORDER BY notification_id"), (application, limit))
        return [StoredMessage(*row) for row in rows]

    def recent(self, limit: int = 20) -> List[StoredMessage]:
        """The newest messages, newest first."""
        rows = self._database.fetchall(self._database.paged(_COLUMNS + "ORDER BY notification_id DESC"), (limit,))
        return [StoredMessage(*row) for row in rows]

    def tried(self, message: StoredMessage, status: str, at: float, problem: str = "") -> None:
        """Record an attempt to deliver; ``WAITING`` means that it is to be tried again.

        :raises DatabaseError: where it cannot be kept
        """
        database = self._database
        ended_at = None if status == MessageStatus.WAITING else at
        with database.transaction():
            if not database.execute(
                    "UPDATE notifications SET status = ?, attempts = attempts + 1, ended_at = ?, problem = ? "
                    "WHERE notification_id = ? AND status = 'WAITING'",
                    (status, ended_at, storable(problem), message.notification_id)):
                return
            if ended_at is not None and not database.execute(
                    "UPDATE tallies SET value = value + 1 WHERE application = ? AND name = 'notifications' "
                    "AND label = ?", (message.application, status)):
                database.execute("INSERT INTO tallies (application, name, label, value) "
                                 "VALUES (?, 'notifications', ?, 1)", (message.application, status))

"""Bringing what waits to its servers, as ``after`` and ``db sync`` do it: one of them at a time for each home."""
import os
import time
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence

from db.central import open_central
from db.copying import Copier, Progress
from db.destinations import Destination, destinations, failed
from db.history import History
from executioner.home import Home
from executioner_logging.record import Record
from jobs.exceptions import ConfigurationError, StorageError
from jobs.locks import FileLock
from jobs.server_place import parse_place

__all__ = ["Copied", "RETRY_DELAYS_S", "copied_record", "copy_all", "copy_with_retries"]

#: What is waited before each further attempt, in the process that a run leaves behind.
RETRY_DELAYS_S = (15.0, 60.0, 180.0, 300.0)
#: How long another writer on the server is waited for.
_LOCK_S = 15.0


class Copied(NamedTuple):
    """What became of one destination."""

    #: Without what says how the password is found.
    shown: str
    done: Progress
    #: How many runs still wait.
    waiting: int
    #: "" = it worked.
    problem: str


def copy_all(history: History, home: Home, environ: Mapping[str, str], lock_s: float = 0.0,
             tell: Callable[[Progress], None] = lambda progress: None) -> Optional[List[Copied]]:
    """Bring everything that waits to its server; None where another process is about it.

    :param history: the home's, open for writing
    :param environ: where passwords are looked for
    :param lock_s: how long the other process is waited for
    :raises StorageError: where the home's own history refuses; a server that does so is a ``problem``
    """
    lock = FileLock(os.path.join(home.locks, "copying.lock"))
    if not lock.acquire(timeout_s=lock_s):
        return None
    try:
        return [_copy(history, one, environ, tell) for one in destinations(history.database)]
    finally:
        lock.release()


def _copy(history: History, destination: Destination, environ: Mapping[str, str],
          tell: Callable[[Progress], None]) -> Copied:
    place = parse_place(destination.place)
    reached = [Progress()]

    def note(progress: Progress) -> None:
        reached[0] = progress
        tell(progress)

    problem = ""
    try:
        with open_central(place, environ, lock_timeout_s=_LOCK_S) as central:
            reached[0] = Copier(history, central, destination.destination_id, time.time).work(note)
    except (ConfigurationError, StorageError) as error:
        if error.context.get("path") == history.where:
            raise  # our own history, and no server
        problem = error.message
    if problem:
        failed(history.database, destination.destination_id, time.time(), problem)
    left = [one.waiting for one in destinations(history.database) if one.destination_id == destination.destination_id]
    return Copied(place.shown, reached[0], left[0] if left else 0, problem)


def copy_with_retries(history: History, home: Home, environ: Mapping[str, str], tell: Callable[[Copied], None],
                      delays_s: Sequence[float] = RETRY_DELAYS_S) -> None:
    """Bring what waits to its servers, again after pauses while one is away; the rest comes with a later command."""
    for delay_s in tuple(delays_s) + (-1.0,):
        results = copy_all(history, home, environ, lock_s=5.0)
        for one in results or ():
            if one.problem or one.done.runs or one.done.events:
                tell(one)
        if results is not None and not any(one.problem for one in results):
            return
        if delay_s >= 0:
            time.sleep(delay_s)


def copied_record(one: Copied, at: float, application: str, run_id: int) -> Record:
    """One attempt to copy, as a line of the log."""
    context = {"place": one.shown, "runs": one.done.runs, "waiting": one.waiting}
    if one.problem:
        return Record(at, "WARNING", "central_failed", "%d runs wait for %s" % (one.waiting, one.problem), run_id,
                      application=application, error_code="E410",
                      context=context)
    return Record(at, "INFO", "central_copied", "%d runs were copied to %s" % (one.done.runs, one.shown), run_id,
                  application=application, context=context)

"""Looking after the file of a history: what it is like, copies of it, putting one back, and its schema.

Works on files that the history itself would refuse to open (an older or newer schema). Whether runs are alive is asked
from the kernel's locks (``living_runs``), since the file may be the very thing that is broken.
"""
import os
import time
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from db.checks import inconsistencies
from db.migration import Migration, apply_pending, pending
from db.migrations import MIGRATIONS
from db.sqlite_adapter import SQLiteAdapter
from db.sqlite_copies import replaced_by
from db.sqlite_errors import refusal
from db.sqlite_file import UNFINISHED, network_file_system, side_file_size
from db.writer_lock import WriterLock, lock_path
from jobs.exceptions import ConfigurationError, MigrationError, StorageError
from jobs.keeper.record import is_keeper_alive
from jobs.locks import is_held, read_holder

__all__ = ["HistoryState", "backup", "check", "living_runs", "migrate", "put_in_place", "restore", "state_of"]

#: What SQLite keeps beside the file; in the order in which they are moved, the file itself first.
_ENDINGS = ("", "-wal", "-journal", "-shm")
#: How long a writer may take to let go of a file that is to be replaced, in seconds.
_LOCK_S = 30.0


class HistoryState(NamedTuple):
    """What a history is like."""

    path: str
    #: Bytes of the file, and of its write-ahead log.
    size: int
    log_size: int
    schema: int
    known_schema: int
    journal_mode: str
    #: How many runs have each status, as recorded.
    runs: Dict[str, int]
    jobs: int
    attempts: int
    newest_run: Optional[int]
    #: Epoch seconds at which the oldest run that is kept began.
    oldest_start: Optional[float]
    #: The first damage that a quick look found; "" = none.
    damage: str
    #: Bytes that this user may still write there, and how many files.
    free_bytes: int
    free_files: int
    #: The kind of the network file system that it lies on; None where it is local.
    network: Optional[str]


def state_of(path: str, allow_network_fs: bool = False) -> HistoryState:
    """What the history is like, whatever its schema.

    :raises DatabaseError: where there is none (cause ``missing``), or it cannot be read
    """
    database = SQLiteAdapter(path, readonly=True, allow_network_fs=allow_network_fs)
    try:
        runs = {row[0]: row[1] for row in database.fetchall("SELECT status, count(*) FROM runs GROUP BY status")}
        first = database.fetchone("SELECT min(started_at), max(run_id) FROM runs")
        disk = os.statvfs(os.path.dirname(os.path.abspath(path)))
        return HistoryState(
            path=os.path.abspath(path), size=os.lstat(path).st_size, log_size=side_file_size(path, "-wal"),
            schema=_schema(database), known_schema=MIGRATIONS[-1].version,
            journal_mode=str((database.fetchone("PRAGMA journal_mode") or ("unknown",))[0]),
            runs=runs, jobs=_count(database, "jobs"), attempts=_count(database, "attempts"),
            newest_run=first[1] if first is not None else None, oldest_start=first[0] if first is not None else None,
            damage=database.check(), free_bytes=disk.f_bavail * disk.f_frsize, free_files=disk.f_favail,
            network=network_file_system(os.path.dirname(os.path.abspath(path))))
    finally:
        database.close()


def check(path: str, allow_network_fs: bool = False) -> List[str]:
    """Read the whole history; everything that is wrong with it, a line each.

    All is read at one moment, while runs may go on.

    :raises DatabaseError: where it cannot be read, or is so damaged that it cannot be opened
    """
    database = SQLiteAdapter(path, readonly=True, allow_network_fs=allow_network_fs)
    try:
        database.execute("BEGIN")
        pending(database, MIGRATIONS)
        found = database.check_all()
        if all(" refers to a row of " in problem for problem in found):
            found += inconsistencies(database)
        database.execute("COMMIT")
        return found
    finally:
        database.close()


def backup(path: str, target: str, allow_network_fs: bool = False) -> int:
    """Copy the history to a file, whole and of one moment, while runs may go on; the bytes of the copy.

    :raises ConfigurationError: where ``target`` is there already
    :raises DatabaseError: where the history cannot be read, or the copy not be made or is not whole
    """
    if os.path.lexists(target):
        raise ConfigurationError("%s is there already; a backup replaces no file" % target)
    database = SQLiteAdapter(path, readonly=_is_copied_by_reader(path), allow_network_fs=allow_network_fs)
    try:
        database.backup(target)
    finally:
        database.close()
    return os.lstat(target).st_size


def restore(source: str, path: str, busy: Sequence[str]) -> Optional[str]:
    """Put a backup in the place of the history; where the old file is kept, None where there was none.

    :param busy: what still runs (``living_runs``); nothing is done then
    :raises ConfigurationError: where something runs, or the backup is the history itself
    :raises StorageError: where the backup is not whole or not ours, or the disk refuses
    """
    if busy:
        raise ConfigurationError("the history is in use: %s; wait for it or cancel it first" % "; ".join(busy))
    if os.path.exists(source) and os.path.exists(path) and os.path.samefile(source, path):
        raise ConfigurationError("%s is the history itself" % source)
    problems = check(source, allow_network_fs=True)
    if problems:
        raise refusal(source, "malformed", problems[0], "choose another backup; nothing was changed")
    _empty_log(path)
    lock = WriterLock(lock_path(path), _LOCK_S)
    lock.acquire()
    try:
        temporary = path + ".new"
        with replaced_by(temporary) as copy:
            _copy(source, copy)
        return put_in_place(temporary, path, "before-restore")
    finally:
        lock.close()


def put_in_place(new: str, path: str, why: str) -> Optional[str]:
    """Have a whole new file take the name of the history; where the old one is now, None where there was none.

    The old file and what SQLite keeps beside it get another name and are never deleted. A kill at any point leaves the
    old history, the new one, or a mark that keeps everybody from starting an empty one in its place. The caller holds
    the writer's lock.

    :param why: a word in the old one's new name
    :raises StorageError: where the disk refuses; the old history is back then
    """
    moved: List[Tuple[str, str]] = []
    try:
        os.close(os.open(path + UNFINISHED, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        _sync_folder(path)
        aside = _free_name("%s.%s-%s" % (path, why, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())))
        for ending in _ENDINGS:
            if os.path.lexists(path + ending):
                os.rename(path + ending, aside + ending)
                moved.append((path + ending, aside + ending))
        # The old log must be gone for good first: after a power cut it would be taken for the new file's.
        _sync_folder(path)
        os.rename(new, path)
        _sync_folder(path)
        os.unlink(path + UNFINISHED)
        return aside if moved else None
    except OSError as error:
        for name, now in reversed(moved):
            if not os.path.lexists(name):
                os.rename(now, name)
        raise StorageError("%s: cannot be replaced: %s" % (path, error.strerror or error),
                           context={"path": path, "errno": error.errno})


def migrate(path: str, to: Optional[int] = None, dry_run: bool = False, allow_network_fs: bool = False,
            migrations: Sequence[Migration] = MIGRATIONS) -> Tuple[int, List[Migration]]:
    """Bring the schema up to date, a backup first: the schema that was there, and the steps that were (to be) made.

    :param to: no further than this schema
    :param dry_run: only say what would be done
    :raises ConfigurationError: where ``to`` is a schema that there is not, or one that is behind the history
    :raises MigrationError: where the history's schema is newer than ours, or a step fails (nothing of it is kept)
    """
    if to is not None and not 1 <= to <= migrations[-1].version:
        raise ConfigurationError("--to: there is no schema %d; known are 1 to %d" % (to, migrations[-1].version))
    database = SQLiteAdapter(path, readonly=dry_run, allow_network_fs=allow_network_fs)
    try:
        left = pending(database, migrations)
        found = migrations[-1].version - len(left)
        if to is not None and to < found:
            raise ConfigurationError("--to %d: the history has schema %d already; the way back is the backup that was "
                                     "made before the step: executioner db restore FILE" % (to, found))
        wanted = [migration for migration in left if to is None or migration.version <= to]
        if wanted and not dry_run:
            apply_pending(database, [migration for migration in migrations if to is None or migration.version <= to])
        return found, wanted
    finally:
        database.close()


def living_runs(records: str, locks: str) -> List[str]:
    """What runs in a home, by the locks that the kernel keeps, in words.

    :param records: the folder of the keepers' records
    :param locks: the folder of the applications' locks
    """
    found = []
    for name in _names(locks):
        path = os.path.join(locks, name)
        if name.endswith(".lock") and is_held(path):
            holder = read_holder(path)
            found.append("%s is held%s" % (path, " by " + holder.describe() if holder is not None else ""))
    for name in _names(records):
        path = os.path.join(records, name)
        try:
            if name.endswith(".record") and is_keeper_alive(path):
                found.append("jobs still run under the record %s" % path)
        except OSError as error:
            raise StorageError("%s: the record cannot be looked at: %s" % (path, error.strerror or error),
                               context={"path": path, "errno": error.errno})
    return found


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError("cannot look into %s: %s" % (folder, error.strerror or error), context={"path": folder})


def _free_name(wanted: str) -> str:
    name, number = wanted, 1
    while any(os.path.lexists(name + ending) for ending in _ENDINGS):
        number += 1
        name = "%s-%d" % (wanted, number)
    return name


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _empty_log(path: str) -> None:
    """Have what is in the log in the file itself, so that the file alone is the history. One that is damaged stays."""
    try:
        SQLiteAdapter(path, allow_network_fs=True).close()
    except StorageError:
        return


def _copy(source: str, target: str) -> None:
    database = SQLiteAdapter(source, readonly=_is_copied_by_reader(source), allow_network_fs=True)
    try:
        database.copy_to(target)
    finally:
        database.close()


def _is_copied_by_reader(path: str) -> bool:
    """Whether a reader can make the copy: SQLite can be asked for it (Python 3.7), or nothing can be written."""
    import sqlite3

    return hasattr(sqlite3.Connection, "backup") or not os.access(os.path.dirname(os.path.abspath(path)), os.W_OK)


def _schema(database: SQLiteAdapter) -> int:
    row = database.fetchone("SELECT max(version) FROM schema_version")
    if row is None or not isinstance(row[0], int):
        raise MigrationError("%s: no schema is recorded in it; restore a backup" % database.where)
    return row[0]


def _count(database: SQLiteAdapter, table: str) -> int:
    row = database.fetchone("SELECT count(*) FROM %s" % table)
    return int(row[0]) if row is not None else 0


"""The history in one SQLite file: durable against a power cut, one writer at a time, never harmed by being looked at.

- ``WAL`` with ``synchronous=FULL``: a commit survives a power cut (NORMAL was measured to forget whole runs).
- Every write transaction is ``BEGIN IMMEDIATE`` under the writer's ``flock``; so are checkpoints and the last close.
- Readers open the file ``mode=ro`` and can neither write nor checkpoint.
- A new file is built beside its place and renamed: there is a whole history or none, whenever the process dies.
- A file that is damaged or not ours is told apart before anything could change it.

Network file systems are refused: WAL needs shared memory, and their locks are often a wish. Whoever insists gets
a rollback journal with ``synchronous=EXTRA``.
"""
import os
import sqlite3
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional

from db.interface import DatabaseInterface
from db.sqlite_copies import build_file, copy_by_child, copy_by_connection, finish_copy, replaced_by
from db.sqlite_errors import refusal
from db.sqlite_file import (APPLICATION_ID, claim, file_uri, is_left_from_before_boot, is_there,
                            network_file_system, refuse_lone_log, release, side_file_size)
from db.sqlite_statements import SQLiteStatements
from db.writer_lock import WriterLock, lock_path
from jobs.exceptions import DatabaseError, InternalError

__all__ = ["SQLiteAdapter"]

#: How long another writer is waited for.
LOCK_TIMEOUT_S = 30.0
#: A check reads all pages (2 ms a MiB): a small file gets it at every start, a large one after a possible power cut.
SMALL_BYTES = 512 << 10
JOURNAL_LIMIT_BYTES = 16 << 20
#: Pages in the log before a commit copies them into the database: 4 MiB, so that few commits of a run pay for it.
CHECKPOINT_PAGES = 1000
#: How long a close waits for readers, so that the log can be emptied; the next close empties it otherwise.
CLOSE_TIMEOUT_S = 0.2


class SQLiteAdapter(SQLiteStatements):
    """A connection to a SQLite file that ``create`` made.

    :param path: the file
    :param readonly: only reading; works in a folder that cannot be written, too
    :param allow_network_fs: accept a network file system, without WAL
    :param lock_timeout_s: how long another writer is waited for
    :raises DatabaseError: where the file is missing (cause ``missing``), refused, or cannot be opened
    """

    def __init__(self, path: str, readonly: bool = False, allow_network_fs: bool = False,
                 lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        super().__init__(os.path.abspath(path))
        self._readonly = readonly
        self._lock_timeout_s = lock_timeout_s
        self._journal_mode = _journal_mode(self._path, allow_network_fs)
        self._lock: Optional[WriterLock] = None if readonly else WriterLock(lock_path(self._path), lock_timeout_s)
        self._key = claim(self._path)
        try:
            self._open()
        except BaseException:
            self._abandon()
            raise

    @classmethod
    def create(cls, path: str, build: Callable[[DatabaseInterface], None], allow_network_fs: bool = False,
               lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        """Make a new file with mode 0600, complete or not at all; nothing happens where there is one.

        :param build: makes the tables and the first rows
        :raises DatabaseError: where the file cannot be made, or the log of a lost database lies in its place
        """
        path = os.path.abspath(path)
        journal_mode = _journal_mode(path, allow_network_fs)
        _require_writable(path, os.path.dirname(path), "its folder")
        lock = WriterLock(lock_path(path), lock_timeout_s)
        lock.acquire()
        try:
            if is_there(path):
                return
            refuse_lone_log(path)
            build_file(path, build, journal_mode)
        finally:
            lock.close()

    @property
    def readonly(self) -> bool:
        """Whether only reading is possible."""
        return self._readonly

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction, alone among all processes."""
        if self.in_transaction:
            raise InternalError("this is a bug: %s: a transaction inside a transaction" % self._path)
        lock = self._writer_lock()
        lock.acquire()
        try:
            self._require_same_file()
            self._run("BEGIN IMMEDIATE")
            yield
            self._run("COMMIT")
        finally:
            self._roll_back()
            lock.release()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other writers out for several transactions."""
        lock = self._writer_lock()
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def checkpoint(self) -> bool:
        """Copy the log into the database and empty it; False where a reader is in the way.

        :raises DatabaseError: where the disk refuses
        """
        with self.exclusive():
            row = self.fetchone("PRAGMA wal_checkpoint(TRUNCATE)")
        return row is not None and row[0] == 0

    def check(self) -> str:
        """Read every page; the first damage found, or the empty string.

        :raises DatabaseError: where the file cannot even be read
        """
        row = self.fetchone("PRAGMA quick_check(1)")
        found = str(row[0]) if row is not None else "no answer"
        return "" if found == "ok" else found

    def check_all(self) -> List[str]:
        """Read every page, compare every index with its table and every reference with what it names: the damage.

        :raises DatabaseError: where the file cannot even be read
        """
        found = [str(row[0]) for row in self.fetchall("PRAGMA integrity_check(100)")]
        damage = [] if found == ["ok"] else found or ["no answer"]
        return damage + ["row %s of %s refers to a row of %s that is not there" % (row[1], row[0], row[2])
                         for row in self.fetchall("PRAGMA foreign_key_check")[:100]]

    def backup(self, target: str) -> None:
        """Write a consistent copy of the whole database to a file with mode 0600, durably.

        An existing file is replaced in one step, by a whole copy only, which was read from end to end before. The copy
        is one file and has no log beside it.

        :raises DatabaseError: where the copy cannot be made; ``target`` is as it was then
        """
        with replaced_by(os.path.abspath(target)) as temporary:
            self.copy_to(temporary)

    def copy_to(self, path: str) -> None:
        """Fill an empty file with a copy of the whole database, and read it from end to end. Not made durable here.

        :raises DatabaseError: where that fails
        """
        # New in Python 3.7.
        by_connection = getattr(self._live(), "backup", None)
        if by_connection is not None:
            copy_by_connection(by_connection, path)
        elif self._readonly and not side_file_size(self._path, "-wal"):
            copy_by_child(self._path, path)  # where nothing can be written, nobody writes
        else:
            with self.exclusive():
                if self._journal_mode == "wal" and not self.checkpoint():
                    raise refusal(self._path, "locked", "a reader keeps its log in use")
                copy_by_child(self._path, path)
        finish_copy(path)

    def prepare_migration(self, version: int) -> Optional[str]:
        """Back the file up beside itself."""
        target = "%s.schema-%d.backup" % (self._path, version)
        self.backup(target)
        return target

    def close(self) -> None:
        """Empty the log if nobody is in the way, and end the connection."""
        if self._connection is None:
            return
        try:
            if self._lock is not None and not self._connection.in_transaction:
                self._lock.acquire()
                self._connection.execute("PRAGMA busy_timeout=%d" % int(CLOSE_TIMEOUT_S * 1000))
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (sqlite3.Error, DatabaseError):
            # All is committed; the next close empties the log.
            pass
        finally:
            self._abandon()

    def _open(self) -> None:
        folder = os.path.dirname(self._path)
        if not self._readonly:
            _require_writable(self._path, self._path, "the file")
            _require_writable(self._path, folder, "its folder")
        try:
            self._begin("mode=ro" if self._readonly else "mode=rw")
        except DatabaseError as error:
            if (not self._readonly or os.access(folder, os.W_OK)
                    or error.context.get("cause") not in ("cannot_open", "readonly", "io_error")):
                raise
            # A reader wants shared memory beside the file, and here it cannot make it. A file without a log is
            # the whole database, though, and can be read as it stands.
            if side_file_size(self._path, "-wal"):
                raise refusal(self._path, "cannot_open", "its log is there too, and nothing can be written beside them",
                              "copy both to a folder that this user can write, or ask the owner") from error
            self._disconnect()
            self._begin("mode=ro&immutable=1")
        size = os.lstat(self._path).st_size
        if size <= SMALL_BYTES or (not self._readonly and is_left_from_before_boot(self._path)):
            damage = self.check()
            if damage:
                raise refusal(self._path, "malformed", damage)

    def _begin(self, mode: str) -> None:
        self._connect(file_uri(self._path, mode), self._lock_timeout_s)
        # Each of these takes a few microseconds; what an old SQLite does not know, it passes over.
        self._run("PRAGMA trusted_schema=OFF")
        self._run("PRAGMA cell_size_check=ON")
        self._run("PRAGMA temp_store=MEMORY")
        if not self._readonly:
            self._run("PRAGMA foreign_keys=ON")
            self._run("PRAGMA wal_autocheckpoint=%d" % CHECKPOINT_PAGES)
            self.fetchone("PRAGMA journal_size_limit=%d" % JOURNAL_LIMIT_BYTES)
        # The first statement that reads the file: whatever is wrong with it comes out here.
        found = self.fetchone("PRAGMA application_id")
        if found is not None and found[0] != APPLICATION_ID:
            raise refusal(self._path, "foreign", "application id %08x" % (found[0] & 0xFFFFFFFF))
        if not self.has_table("schema_version"):
            raise refusal(self._path, "malformed", "it has no table schema_version")
        if not self._readonly:
            self._set_journal_mode()

    def _set_journal_mode(self) -> None:
        found = self.fetchone("PRAGMA journal_mode")
        if found is None or found[0] != self._journal_mode:
            with self.exclusive():
                found = self.fetchone("PRAGMA journal_mode=%s" % self._journal_mode)
            if found is None or found[0] != self._journal_mode:
                raise refusal(self._path, "locked", "its journal mode cannot be changed to %s" % self._journal_mode)
        self._run("PRAGMA synchronous=%s" % ("FULL" if self._journal_mode == "wal" else "EXTRA"))

    def _writer_lock(self) -> WriterLock:
        if self._lock is None:
            raise InternalError("this is a bug: %s was opened for reading and is to be written" % self._path)
        return self._lock

    def _require_same_file(self) -> None:
        """What is written to a file that nobody will find again is lost; what is written beside it is worse."""
        try:
            found = os.lstat(self._path)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._key:
            raise refusal(self._path, "replaced")

    def _roll_back(self) -> None:
        """Undo what was not committed. After a full disk SQLite has done so by itself; saying it again is an error."""
        if self.in_transaction:
            try:
                self._live().execute("ROLLBACK")
            except sqlite3.Error:
                return

    def _abandon(self) -> None:
        self._disconnect()
        release(self._key)
        if self._lock is not None:
            self._lock.close()


def _require_writable(path: str, needed: str, what: str) -> None:
    if not os.path.exists(needed):
        raise refusal(path, "cannot_open", "%s is not there" % what, "make it, or choose another --home")
    if not os.access(needed, os.W_OK):
        raise refusal(path, "readonly", "no right to write %s" % what)


def _journal_mode(path: str, allow_network_fs: bool) -> str:
    kind = network_file_system(os.path.dirname(path))
    if kind is None:
        return "wal"
    if not allow_network_fs:
        raise refusal(path, "network_fs", kind)
    return "delete"

"""Making whole SQLite files: a new history, and the copy of one. Either is complete or not there."""
import errno
import os
import sqlite3
import sys
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from db.interface import DatabaseInterface
from db.sqlite_errors import refusal, translated
from db.sqlite_file import APPLICATION_ID, file_uri
from db.sqlite_statements import SQLiteStatements

__all__ = ["build_file", "copy_by_child", "copy_by_connection", "finish_copy", "replaced_by"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


def build_file(path: str, build: Callable[[DatabaseInterface], None], journal_mode: str) -> None:
    """Make a new database, durably.

    :param build: makes the tables and the first rows
    :raises DatabaseError: where that fails; nothing is there then
    """
    with replaced_by(path) as temporary:
        builder = _Builder(temporary)
        try:
            build(builder)
            builder.finish(journal_mode)
        finally:
            builder.close()


@contextmanager
def replaced_by(path: str) -> Iterator[str]:
    """Give the path of an empty file with mode 0600 that takes the place of ``path``, durably, when all went well.

    :raises DatabaseError: where a file cannot be made there; ``path`` is as it was then
    """
    temporary = path + ".new"
    try:
        _discard(temporary)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
        yield temporary
        _sync(temporary)
        os.rename(temporary, path)
    except OSError as error:
        _discard(temporary)
        cause = "disk_full" if error.errno in _FULL else "cannot_open"
        raise refusal(path, cause, "cannot make it: %s" % (error.strerror or error)) from None
    except BaseException:
        _discard(temporary)
        raise
    _sync_folder(os.path.dirname(path))


def copy_by_connection(backup: Callable[[sqlite3.Connection], None], target: str) -> None:
    """Copy a database page by page, others reading and writing it meanwhile.

    :param backup: ``sqlite3.Connection.backup`` of the database (Python 3.7 and newer)
    :param target: an empty file
    :raises DatabaseError: where that fails
    """
    try:
        copy = sqlite3.connect(file_uri(target, "mode=rw"), isolation_level=None, uri=True)
        try:
            copy.execute("PRAGMA synchronous=OFF")
            backup(copy)
        finally:
            copy.close()
    except sqlite3.Error as error:
        raise translated(error, target) from error


def copy_by_child(path: str, target: str) -> None:
    """Copy a file bytewise by another process: closing a descriptor of it here would drop SQLite's locks.

    The caller keeps writers out, and has emptied the log.

    :raises DatabaseError: where that fails
    """
    import subprocess

    program = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", program, path, target],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.communicate()[1].decode("utf-8", "replace").strip().splitlines()
    if child.returncode != 0:
        raise refusal(target, "io_error", "cannot copy: %s" % (said[-1] if said else "exit %d" % child.returncode))


def finish_copy(path: str) -> None:
    """Read a copy from end to end, and make it a single file that needs no log beside it.

    :raises DatabaseError: where it is not whole
    """
    try:
        copy = sqlite3.connect(file_uri(path, "mode=rw"), isolation_level=None, uri=True)
        try:
            copy.execute("PRAGMA synchronous=OFF")  # it is synchronised as a whole, later
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            found = copy.execute("PRAGMA integrity_check(1)").fetchall()
        finally:
            copy.close()
    except sqlite3.Error as error:
        raise translated(error, path) from error
    if [row[0] for row in found] != ["ok"]:
        raise refusal(path, "malformed", "the copy: %s" % (found[0][0] if found else "no answer"))


class _Builder(SQLiteStatements):
    """The connection to a file that is being made. Nobody knows of it, and a failure throws the whole file away."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._connect(file_uri(path, "mode=rw"), 0.0)
        self._run("PRAGMA journal_mode=OFF")
        self._run("PRAGMA synchronous=OFF")

    @property
    def readonly(self) -> bool:
        """Never."""
        return False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several statements at once."""
        self._run("BEGIN")
        yield
        self._run("COMMIT")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """There is nobody to keep out."""
        yield

    def prepare_migration(self, version: int) -> Optional[str]:
        """There is nothing to keep."""
        return None

    def finish(self, journal_mode: str) -> None:
        """The marks by which the file is known."""
        self._run("PRAGMA application_id=%d" % APPLICATION_ID)
        self.fetchone("PRAGMA journal_mode=%s" % journal_mode)

    def close(self) -> None:
        """End the connection."""
        self._disconnect()


def _discard(path: str) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        try:
            os.unlink(path + ending)
        except FileNotFoundError:
            continue


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: str) -> None:
    """Where a file system cannot sync a folder, the rename is as durable as it gets."""
    try:
        _sync(path)
    except OSError:
        return

"""The lock that lets one writer at a time to a SQLite file.

SQLite keeps writers apart by itself, but less fairly, and its versions up to 3.51.2 can damage the file when two
connections write and checkpoint at the same moment. One ``flock`` around everything that writes rules that out.
The descriptor stays open between uses: taking and giving back costs a few microseconds.
"""
import errno
import fcntl
import os
import time
from typing import Optional

from db.sqlite_errors import refusal
from jobs.exceptions import StorageError
from jobs.private_files import open_private

__all__ = ["WriterLock", "lock_path"]

_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.05


def lock_path(database_path: str) -> str:
    """The lock file of a database: ``history.lock`` for ``history.db``."""
    root, ending = os.path.splitext(database_path)
    return (root if ending == ".db" else database_path) + ".lock"


class WriterLock:
    """An exclusive ``flock`` that its holder may take several times over.

    :param timeout_s: how long another writer is waited for
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._descriptor = -1
        self._depth = 0

    def acquire(self, timeout_s: Optional[float] = None) -> None:
        """Take the lock.

        :param timeout_s: instead of the usual patience
        :raises DatabaseError: where another holds it all that time (cause ``locked``)
        :raises StorageError: where the lock file cannot be used
        """
        if self._depth == 0:
            self._take(self._timeout_s if timeout_s is None else timeout_s)
        self._depth += 1

    def release(self) -> None:
        """Give it back once; after ``close`` there is nothing to give back."""
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it back altogether, and close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._depth = 0

    def _take(self, timeout_s: float) -> None:
        deadline = None
        pause = _FIRST_PAUSE_S
        while True:
            if self._descriptor < 0:
                self._descriptor = self._open()
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise refusal(self.path, "io_error", "cannot lock: %s" % (error.strerror or error)) from None
                now = time.monotonic()
                deadline = now + timeout_s if deadline is None else deadline
                if now >= deadline:
                    raise refusal(self.path, "locked", "for more than %g s" % timeout_s) from None
                time.sleep(min(pause, deadline - now))
                pause = min(pause * 1.5, _LONGEST_PAUSE_S)
            else:
                if self._bears_the_name():
                    return
                # Somebody removed the file: a lock on it would keep nobody out.
                os.close(self._descriptor)
                self._descriptor = -1

    def _open(self) -> int:
        try:
            return open_private(self.path, os.O_RDWR)
        except StorageError as error:
            if error.context.get("errno") in (errno.ENOSPC, errno.EDQUOT):
                raise refusal(self.path, "disk_full") from None
            raise

    def _bears_the_name(self) -> bool:
        ours = os.fstat(self._descriptor)
        try:
            named = os.lstat(self.path)
        except OSError:
            return False
        return (ours.st_ino, ours.st_dev) == (named.st_ino, named.st_dev)

"""A file of lines that several processes append to, under a lock: never half a line, and never longer than agreed.

A line that a dying process or a full disk cut off is taken away by the next one who appends.
"""
import os

from jobs.exceptions import StorageError
from jobs.locks import FileLock
from jobs.private_files import open_private

__all__ = ["append_lines"]

#: How far back the last whole line is looked for.
_LOOK_BACK = 64 * 1024
#: Seconds that another writer is waited for.
LOCK_TIMEOUT_S = 2.0


def append_lines(path: str, data: bytes, max_bytes: int, kept_files: int) -> None:
    """Append whole lines; all of them, or none.

    :param data: lines, each with its newline
    :param max_bytes: a file that would become longer is renamed to ``path.1`` first
    :param kept_files: how many renamed files are kept, at least 1
    :raises StorageError: where they cannot be written, or another holds the lock for seconds
    """
    lock = FileLock(path + ".lock")
    if not lock.acquire(timeout_s=LOCK_TIMEOUT_S):
        raise StorageError("cannot write %s: another process has kept its lock for %g s" % (path, LOCK_TIMEOUT_S),
                           context={"path": path})
    try:
        descriptor = open_private(path, os.O_RDWR)
        try:
            size = _mended(descriptor)
            if size and size + len(data) > max_bytes:
                _rotate(path, kept_files)
                os.close(descriptor)
                descriptor = -1
                descriptor = open_private(path, os.O_RDWR)
                size = 0
            _append(descriptor, data, size)
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    except OSError as error:
        raise StorageError("cannot write %s: %s" % (path, error.strerror or error),
                           context={"path": path, "errno": error.errno}) from None
    finally:
        lock.release()


def _mended(descriptor: int) -> int:
    """The size of the file after what is no whole line at its end was taken away."""
    size = os.fstat(descriptor).st_size
    begin = max(0, size - _LOOK_BACK)
    tail = os.pread(descriptor, size - begin, begin)
    if tail and not tail.endswith(b"\n"):
        size = begin + tail.rfind(b"\n") + 1
        os.ftruncate(descriptor, size)
    return size


def _append(descriptor: int, data: bytes, size: int) -> None:
    written = 0
    try:
        while written < len(data):
            written += os.pwrite(descriptor, data[written:], size + written)
    except OSError:
        # A full disk takes a part first.
        os.ftruncate(descriptor, size)
        raise


def _rotate(path: str, kept_files: int) -> None:
    for number in range(kept_files - 1, 0, -1):
        try:
            os.rename("%s.%d" % (path, number), "%s.%d" % (path, number + 1))
        except FileNotFoundError:
            continue
    os.rename(path, path + ".1")

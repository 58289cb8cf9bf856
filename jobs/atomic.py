"""Replacing a file in one step: a reader sees the old content or the new, whole, also after a power cut."""
import errno
import os

from jobs.exceptions import StorageError

__all__ = ["write_atomically"]


def write_atomically(path: str, data: bytes, mode: int = 0o600, durable: bool = True) -> None:
    """Write a file beside its place, make it durable, and rename it there.

    A symbolic link at ``path`` is replaced, never written through. ``mode`` holds whatever the umask says.

    :param durable: False for what can be made again: readers still see it whole, a power cut may take it
    :raises StorageError: where that failed; nothing is left behind then and the old file is untouched
    """
    folder, name = os.path.split(path)
    try:
        if not name:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        folder_descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _write(folder_descriptor, name, data, mode, durable)
        finally:
            os.close(folder_descriptor)
    except OSError as error:
        raise StorageError("cannot write %s: %s" % (path, error.strerror or error),
                           context={"path": path, "errno": error.errno}) from None


def _write(folder: int, name: str, data: bytes, mode: int, durable: bool) -> None:
    temporary = ".executioner-%d-%s.tmp" % (os.getpid(), os.urandom(8).hex())
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600,
                         dir_fd=folder)
    try:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest):]
            os.fchmod(descriptor, mode)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise
    if not durable:
        return
    try:
        os.fsync(folder)
    except OSError as error:
        # Some file systems cannot sync a folder; there the rename is as durable as it gets.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise

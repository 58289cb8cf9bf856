"""Opening files so that no planted link, FIFO or device is followed, read or waited for."""
import errno
import os
import stat

from jobs.exceptions import StorageError

__all__ = ["make_private_folder", "open_private", "open_readable", "open_regular"]

#: Never inherited, never through a link, and a FIFO answers at once instead of waiting for its other end.
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def make_private_folder(path: str) -> None:
    """Make a folder with mode 0700, whatever the umask.

    :raises OSError: where that cannot be done; FileExistsError where anything of that name is there
    """
    os.mkdir(path, 0o700)
    os.chmod(path, 0o700)


def open_regular(path: str, flags: int = os.O_RDONLY) -> int:
    """Open an existing regular file; a symbolic link or anything else is refused.

    :param flags: ``os.O_*``, those for safety are added
    :raises StorageError: where it is no regular file or cannot be opened (``context["errno"]`` says why)
    """
    try:
        descriptor = os.open(path, flags | _SAFE)
    except OSError as error:
        raise _refusal(path, error) from None
    return _regular(descriptor, path)


def open_readable(path: str) -> int:
    """Open a user's regular file for reading, through links too; never waits for a FIFO's other end.

    :raises StorageError: where it is no regular file or cannot be opened (``context["errno"]`` says why)
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _refusal(path, error) from None
    return _regular(descriptor, path)


def open_private(path: str, flags: int) -> int:
    """Open a regular file of ours, made with mode 0600 (whatever the umask) where it does not exist.

    :param flags: ``os.O_*``, those for safety and creation are added
    :raises StorageError: where it is no regular file or cannot be opened (``context["errno"]`` says why)
    """
    while True:
        try:
            try:
                return _regular(os.open(path, flags | _SAFE), path)
            except FileNotFoundError:
                descriptor = os.open(path, flags | _SAFE | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            raise _refusal(path, error) from None
        os.fchmod(descriptor, 0o600)
        return descriptor


def _regular(descriptor: int, path: str) -> int:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise StorageError("%s: expected a regular file, found something else; remove it" % path,
                       context={"path": path, "errno": errno.EINVAL})


def _refusal(path: str, error: OSError) -> StorageError:
    if error.errno in (errno.ELOOP, errno.EMLINK):
        found = "a symbolic link is not followed here"
    else:
        found = error.strerror or str(error)
    return StorageError("cannot open %s: %s" % (path, found), context={"path": path, "errno": error.errno})

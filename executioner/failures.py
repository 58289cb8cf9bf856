"""What a failure is that nobody foresaw: of the system, or ours."""
import errno
import os

from jobs.exceptions import ExecutionerError, InternalError, StorageError

__all__ = ["one_of_ours"]

#: Nobody's mistake, ours neither: of descriptors, processes, memory, space on a disk.
_SHORTAGES = frozenset((errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT))
#: Nor is a disk that fails.
_DISK_FAILS = frozenset((errno.EIO, errno.EROFS, errno.ESTALE))


def one_of_ours(error: BaseException) -> ExecutionerError:
    """The error as one that people can read; itself where it is one."""
    if isinstance(error, ExecutionerError):
        return error
    if isinstance(error, OSError) and error.errno in _SHORTAGES:
        return StorageError("the system is short of what this needs: %s" % os.strerror(error.errno or 0),
                            context={"hint": "ulimit -a shows this process's limits, df -h the space on disks"})
    if isinstance(error, OSError) and error.errno in _DISK_FAILS:
        return StorageError("the system cannot do what this needs: %s%s" % (
            os.strerror(error.errno or 0), ": %s" % error.filename if error.filename else ""),
            context={"hint": "dmesg tells whether a disk fails; --debug shows where it was met"})
    return InternalError("internal error: %s: %s" % (type(error).__name__, error or "no message"),
                         context={"hint": "this is a bug; --debug shows where"})

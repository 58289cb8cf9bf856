"""A disk that is full: nothing can be written or made while a file named ``full`` lies beside the output folder.

A write that comes in the middle of it is cut short first, as the last bytes of a disk are.
"""
import errno
import os
from typing import Any

from faulty_keeper import IN_KEEPER
from jobs import system

_FOLDER = os.path.dirname(__import__("sys").argv[-1])


def is_full() -> bool:
    """Whether the disk is full just now."""
    return os.path.exists(os.path.join(_FOLDER, "full"))


def write(fd: int, data: bytes) -> int:
    """Write less than all, then nothing."""
    if is_full():
        half = len(data) // 2
        if half > 1 and not os.path.exists(os.path.join(_FOLDER, "cut")):
            os.close(os.open(os.path.join(_FOLDER, "cut"), os.O_CREAT))
            return os.write(fd, bytes(data)[:half])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return os.write(fd, data)


def open_file(path: Any, flags: int, mode: int = 0o777, dir_fd: Any = None) -> int:
    """Make nothing new."""
    if is_full() and flags & os.O_CREAT:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return os.open(path, flags, mode, dir_fd=dir_fd)


if IN_KEEPER:
    system.write = write
    system.open_file = open_file

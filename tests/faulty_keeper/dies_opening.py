"""A keeper that is killed when it has made the first output file of its run, once: its successor lives."""
import os
import signal
from typing import Any

from faulty_keeper import IN_KEEPER
from jobs import system


def open_file(path: Any, flags: int, mode: int = 0o777, dir_fd: Any = None) -> int:
    """Make the file, and die of it unless that has happened before."""
    fd = os.open(path, flags, mode, dir_fd=dir_fd)
    if dir_fd is not None:
        try:
            os.close(os.open("died", os.O_CREAT | os.O_EXCL, 0o600, dir_fd=dir_fd))
        except FileExistsError:
            return fd
        os.kill(os.getpid(), signal.SIGKILL)
    return fd


if IN_KEEPER:
    system.open_file = open_file

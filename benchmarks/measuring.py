"""How a program is measured: the wall clock around it, and what the kernel says it cost, its children included."""
import ctypes
import os
import sys
import time
from typing import Dict, NamedTuple, Optional, Sequence

__all__ = ["Cost", "cost_of", "peak_bytes_of"]

_SUBREAPER = 36
#: ``ru_maxrss`` is in KiB on Linux and in bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Cost(NamedTuple):
    """What one run took: seconds, and the exit status as ``wait4`` gave it."""

    wall_s: float
    cpu_s: float
    status: int


def _start(command: Sequence[str], folder: str, environment: Dict[str, str]) -> int:
    """Start a program in a folder with its output thrown away; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(null, descriptor)
        os.chdir(folder)
        os.execvpe(command[0], list(command), environment)
    finally:
        os._exit(127)


def cost_of(command: Sequence[str], folder: str, environment: Dict[str, str]) -> Cost:
    """Run a program once and measure it.

    :param command: the program and its arguments
    :param folder: its working folder
    """
    began = time.perf_counter()
    pid = _start(command, folder, environment)
    _, status, used = os.wait4(pid, 0)
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, status)


def peak_bytes_of(command: Sequence[str], folder: str, environment: Dict[str, str]) -> Optional[int]:
    """The most memory that one process of a run held: the program, or one that it waited for.

    A process inherits through ``exec`` the peak of what it was forked from, this Python. So a shell forks the program
    and ends, the program becomes a child of ours (Linux can do that), and what ``wait4`` then says is its own.

    :return: bytes; None where the system cannot do that, or the program failed
    """
    if not sys.platform.startswith("linux"):
        return None
    if ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0) != 0:
        return None
    shell = _start(["/bin/sh", "-c", '"$@" &', "sh"] + list(command), folder, environment)
    peak = None
    while True:
        try:
            pid, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return peak
        if pid != shell and peak is None:
            peak = used.ru_maxrss * _RSS_UNIT if status == 0 else None

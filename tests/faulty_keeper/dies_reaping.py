"""A keeper that is killed in the moment after it has reaped its first child."""
import os
import signal
from typing import Any

from faulty_keeper import IN_KEEPER
from jobs import system


def wait4(pid: int, options: int) -> Any:
    """Reap, and die of it."""
    found = os.wait4(pid, options)
    if found[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return found


if IN_KEEPER:
    system.wait4 = wait4

"""A system that has no process to give while a file named ``none`` lies beside the output folder."""
import errno
import os
import sys
from typing import Any

from faulty_keeper import IN_KEEPER
from jobs.keeper.spawn import Spawner

_FOLDER = os.path.dirname(sys.argv[-1])
_spawn = Spawner.spawn


def spawn(self: Spawner, *arguments: Any) -> int:
    """Start a program, unless there are none to be had."""
    if os.path.exists(os.path.join(_FOLDER, "none")):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return _spawn(self, *arguments)


if IN_KEEPER:
    setattr(Spawner, "spawn", spawn)

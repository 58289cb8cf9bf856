"""A system that is short of everything, now and then: an eighth of the calls fail with the errors of a shortage."""
import errno
import os
import random
from typing import Any, Callable

from faulty_keeper import IN_KEEPER
from jobs import system
from jobs.keeper.spawn import Spawner

_ERRORS = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)
_random = random.Random(5)


def failing(call: Callable[..., Any], errors: Any) -> Callable[..., Any]:
    """The call, of which an eighth fails."""
    def maybe(*arguments: Any, **options: Any) -> Any:
        if _random.random() < 0.12:
            number = _random.choice(errors)
            raise OSError(number, os.strerror(number))
        return call(*arguments, **options)
    return maybe


if IN_KEEPER:
    system.open_file = failing(os.open, _ERRORS)
    setattr(Spawner, "spawn", failing(Spawner.spawn, (errno.EAGAIN, errno.ENOMEM)))

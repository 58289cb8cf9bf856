"""A system that is short of everything, now and then: a fifth of the calls fail with the errors of a shortage."""
import errno
import os
from typing import Any, Callable

from faulty_keeper import IN_KEEPER
from jobs import system
from jobs.keeper.spawn import Spawner

_ERRORS = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)
_calls = [0]


def failing(call: Callable[..., Any], errors: Any) -> Callable[..., Any]:
    """The call, of which every fifth fails."""
    def maybe(*arguments: Any, **options: Any) -> Any:
        _calls[0] += 1
        if _calls[0] % 5 == 0:
            number = errors[_calls[0] // 5 % len(errors)]
            raise OSError(number, os.strerror(number))
        return call(*arguments, **options)
    return maybe


if IN_KEEPER:
    system.open_file = failing(os.open, _ERRORS)
    setattr(Spawner, "spawn", failing(Spawner.spawn, (errno.EAGAIN, errno.ENOMEM)))

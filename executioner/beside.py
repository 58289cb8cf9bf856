"""The HTTP server beside a run: a process of its own that ends with the runner, however that ends."""
import subprocess
from types import TracebackType
from typing import Optional, Type

from executioner.home import Home
from executioner.ourselves import own_words

__all__ = ["ServerBeside"]

_PATIENCE_S = 3.0


class ServerBeside:
    """``executioner serve`` as a child. A server that cannot start says so and changes nothing for the run.

    What it has to say of that stands in the log of the home, too.

    :param place: ``HOST:PORT``
    :param is_watched: somebody looks at standard error; else nothing is written there, which cron would mail
    """

    def __init__(self, home: Home, place: str, is_watched: bool) -> None:
        self._is_watched = is_watched
        self._words = own_words() + ["--home", home.path, "serve", "--until-eof", "--listen", place]
        self._child: "Optional[subprocess.Popen[bytes]]" = None

    def __enter__(self) -> "ServerBeside":
        # It ends when the pipe does, whose other end nobody but this process holds: a kill -9 of it is an end, too.
        self._child = subprocess.Popen(self._words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=None if self._is_watched else subprocess.DEVNULL,
                                       start_new_session=True)
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if self._child is None or self._child.stdin is None:
            return
        self._child.stdin.close()
        try:
            self._child.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

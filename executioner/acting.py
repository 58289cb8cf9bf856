"""What the commands that act on runs have in common: the history open for writing, who acts and why, and waiting."""
import select
from types import TracebackType
from typing import TYPE_CHECKING, Callable, List, Optional, Type

from executioner.console import Console
from executioner.home import Home, locate
from executioner.options import Arguments, Option
from executioner.own_history import history_of
from executioner.people import who_am_i
from jobs.exceptions import ConfigurationError
from jobs.startup import StopSignals

if TYPE_CHECKING:
    from db.history import History
    from jobs.records import RunRecord

__all__ = ["Actor", "BECAUSE"]

BECAUSE = Option("--because", "why, for whoever reads the history later", "TEXT")


class Actor:
    """Somebody who acts on a run. Use it in a ``with``: it holds the history open.

    :param is_meant: raises ConfigurationError for a history that has not what is meant
    :param what: what is meant, for messages
    :raises ConfigurationError: where nothing was ever run in the home, or what is meant is in several histories
    """

    def __init__(self, arguments: Arguments, console: Console,
                 is_meant: "Optional[Callable[[History], object]]" = None, what: str = "") -> None:
        from db.history import History

        self.home: Home = locate(arguments.one("home"), console.environ, arguments.one("database"))
        if not self.home.exists():
            raise ConfigurationError("nothing was run yet in %s" % self.home.path, context={
                "hint": "another home is named with --home or EXECUTIONER_HOME"})
        self.home.check()
        self.who = who_am_i(console.environ)
        self.why = arguments.one("because") or ""
        #: The signal that ended a wait; None where none did.
        self.stopped_by: Optional[int] = None
        allow_network_fs = arguments.flag("allow_network_fs")
        path = self.home.history if is_meant is None else history_of(self.home, is_meant, what, allow_network_fs, True)
        self.history: "History" = History.open(path, allow_network_fs=allow_network_fs)
        self._signals = StopSignals()

    def __enter__(self) -> "Actor":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._signals.close()
        self.history.close()

    @classmethod
    def on_run(cls, text: str, arguments: Arguments, console: Console) -> "Actor":
        """Somebody who acts on the run that a person means by a text."""
        return cls(arguments, console, lambda history: history.resolve(text), "run %s" % text)

    def run(self, text: str) -> "RunRecord":
        """The run that a person means.

        :raises ConfigurationError: where there is none
        """
        run_id = self.history.resolve(text)
        found = self.history.run(run_id, with_jobs=False)
        if found is None:
            raise ConfigurationError("there is no run %d any more" % run_id)
        return found

    def wait(self, seconds: float) -> bool:
        """Wait so long; False where a signal says that it is enough."""
        select.select([self._signals.fd], [], [], seconds)
        numbers: List[int] = self._signals.take()
        if numbers:
            self.stopped_by = numbers[0]
        return not numbers

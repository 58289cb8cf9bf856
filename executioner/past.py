"""What the commands that read the history have in common: opening it, and finding the run that is meant."""
from typing import TYPE_CHECKING, Optional, Tuple

from executioner.console import Console
from executioner.home import Home, locate
from executioner.options import Arguments
from executioner.own_history import history_of, open_own
from jobs.exceptions import ConfigurationError

if TYPE_CHECKING:
    from db.history import History

__all__ = ["open_history", "wanted_run"]


def open_history(arguments: Arguments, console: Console) -> Tuple[Home, "Optional[History]"]:
    """The home, and its history for reading, or with ``--central`` that of the server; None where nothing was run.

    :raises StorageError: where the home is not ours, or the history cannot be read
    """
    home = locate(arguments.one("home"), console.environ, arguments.one("database"))
    if arguments.flag("central"):
        from executioner.central import central_history
        return home, central_history(arguments, console)
    return home, open_own(home, arguments.flag("allow_network_fs"))


def wanted_run(arguments: Arguments, console: Console) -> "Tuple[Home, History, int]":
    """The home, its history, and the run that the first operand names.

    :raises ConfigurationError: where there is no such run
    """
    home, wanted = locate(arguments.one("home"), console.environ, arguments.one("database")), arguments.operands[0]
    if arguments.flag("central"):
        home, history = open_history(arguments, console)
    else:
        allow = arguments.flag("allow_network_fs")
        if home.exists():
            home.check()
            home = home.of_file(history_of(home, lambda one: one.resolve(wanted), "run %s" % wanted, allow, False))
        history = open_own(home, allow)
    if history is None:
        others = home.other_histories()
        hint = "another home is named with --home or EXECUTIONER_HOME"
        if others:
            hint = "its runs are in %s: name one with EXECUTIONER_HISTORY" % ", ".join(others)
        raise ConfigurationError("no run %s: nothing was run yet in %s" % (wanted, home.path),
                                 context={"hint": hint})
    return home, history, history.resolve(wanted)

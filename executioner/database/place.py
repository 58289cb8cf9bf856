"""Which history the commands of ``executioner db`` work on."""
from executioner.console import Console
from executioner.home import Home, locate
from executioner.options import Arguments
from jobs.exceptions import ConfigurationError

__all__ = ["existing_home"]


def existing_home(arguments: Arguments, console: Console) -> Home:
    """The home, checked.

    :raises ConfigurationError: where there is none
    :raises StorageError: where it is not ours
    """
    home = locate(arguments.one("home"), console.environ)
    if not home.exists():
        raise ConfigurationError("nothing was run yet in %s" % home.path, context={
            "hint": "another home is named with --home or EXECUTIONER_HOME"})
    home.check()
    return home

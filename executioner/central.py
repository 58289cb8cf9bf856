"""Reading the history that many homes share: which server is meant, and its history."""
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence

from executioner.console import Console
from executioner.home import locate
from executioner.options import Arguments, Option, usage_error
from executioner.own_history import open_own
from jobs.server_place import ServerPlace, parse_place

if TYPE_CHECKING:
    from db.history import History
    from jobs.records import RunRecord

__all__ = ["CENTRAL", "DATABASE_VARIABLE", "central_history", "central_place", "origin_fields", "waiting_lines"]

#: The option of the commands that can read it.
CENTRAL = Option("--central", "read the history on the server, of all homes that copy there")
#: Names the server where no run of this home does, or where another one is meant.
DATABASE_VARIABLE = "EXECUTIONER_DATABASE"


def central_place(arguments: Arguments, console: Console) -> ServerPlace:
    """The server that is meant: the one of ``EXECUTIONER_DATABASE``, else the one that the home's runs named last.

    :raises ConfigurationError: where none is, or the command line names another history as well
    """
    if arguments.flag("database"):
        raise usage_error("--central and --database name two histories")
    named = console.environ.get(DATABASE_VARIABLE)
    if named:
        return parse_place(named)
    from db.destinations import destinations
    home = locate(arguments.one("home"), console.environ)
    places: List[ServerPlace] = []
    history = open_own(home, arguments.flag("allow_network_fs"))
    if history is not None:
        with history:
            places = [parse_place(one.place) for one in destinations(history.database)]
    if not places:
        raise usage_error("no run of %s named a server yet" % home.path,
                          'a file names one with "database"; or set %s to its URL' % DATABASE_VARIABLE)
    return places[-1]


def central_history(arguments: Arguments, console: Console) -> "History":
    """The history on the server, for reading.

    :raises ConfigurationError: where no server is named, or its password is missing
    :raises StorageError: where it cannot be reached or read
    """
    from db.central import open_central
    return open_central(central_place(arguments, console), console.environ, readonly=True)


def origin_fields(history: "History", runs: "Sequence[RunRecord]") -> Dict[int, Dict[str, object]]:
    """Whose runs they are, as fields of JSON documents, by the number on the server."""
    from db.central import origins
    return {run_id: {"host": one.host, "home": one.home_uuid, "home_run_id": one.home_run_id}
            for run_id, one in origins(history, [run.run_id for run in runs]).items()}


def waiting_lines(history: "Optional[History]") -> List[str]:
    """What is to be said about the copies of a home, a line for each server that lacks something."""
    from db.destinations import destinations
    from executioner.render import time_text, waiting_text
    lines = []
    for one in destinations(history.database) if history is not None else ():
        if one.waiting:
            lines.append("%s for %s%s" % (
                waiting_text(one.waiting),
                parse_place(one.place).shown,
                ", which fails since %s: %s" % (time_text(one.failing_since), one.problem) if one.problem else ""))
    return lines

"""``db``: looking after the history itself. Each of its commands is a module in ``executioner/database/``."""
from executioner.console import Console
from executioner.options import Arguments, CommandSpec, usage_error

__all__ = ["ACTION_PACKAGE", "SPEC", "execute"]

#: Where the modules of the commands are.
ACTION_PACKAGE = "executioner.database"

SPEC = CommandSpec(
    "COMMAND ...",
    text="Looks after the history: the SQLite file history.db of the home.",
    examples=(("executioner db check", "is it whole"),
              ("executioner db backup /backup/history.db", "while runs go on"),
              ("executioner db recover", "close the runs whose runner died")),
    actions=(("status", "file, size, schema, runs, disk"),
             ("check", "read every page and compare what must agree"),
             ("backup", "copy it to a file, while runs go on"),
             ("restore", "put a backup in its place"),
             ("prune", "take away what is too much"),
             ("du", "what is kept, and how much room it takes"),
             ("migrate", "bring its schema up to date"),
             ("import", "take over a history of the earlier Executioner"),
             ("export", "write a script for another database"),
             ("sync", "copy what waits to the server that its file names"),
             ("recover", "close the runs of dead runners; with --rebuild make a new history from what is left")))


def execute(arguments: Arguments, console: Console) -> int:
    """Only reached where no command is named."""
    raise usage_error("no command given", "executioner db --help lists the commands")

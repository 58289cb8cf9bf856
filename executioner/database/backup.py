"""``db backup``: a copy of the history, while runs go on."""
import os

from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import JSON, Arguments, CommandSpec
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "FILE", 1, 1, (JSON,),
    "Copies the history to one file (mode 0600) as it is at one moment, while runs go on. The copy is read from end\n"
    "to end before it gets its name, and is on the disk when the command ends. A file that is there is not replaced.",
    (("executioner db backup /backup/history-$(date +%F).db", "from cron, for example"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Make a backup."""
    from db.upkeep import backup
    from executioner.render import bytes_text, json_text

    home = existing_home(arguments, console)
    size = backup(home.history, arguments.operands[0], arguments.flag("allow_network_fs"))
    path = arguments.operands[0]
    console.out.line(json_text({"path": os.path.abspath(path), "bytes": size}) if arguments.flag("json") else
                     "%s: %s, checked" % (path, bytes_text(size)))
    return EXIT_OK

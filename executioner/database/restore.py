"""``db restore``: a backup takes the place of the history, which is kept beside it."""
import os

from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import JSON, Arguments, CommandSpec
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "FILE", 1, 1, (JSON,),
    "Checks a backup and puts a copy of it in the place of the history. The history that was there keeps its content\n"
    "under another name in the same folder. Refused while anything runs. What was run after the backup is not in it.",
    (("executioner db restore /backup/history.db", "then: executioner db check"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Restore a backup."""
    from db.upkeep import living_runs, restore

    home = existing_home(arguments, console)
    aside = restore(arguments.operands[0], home.history, living_runs(home.records, home.locks))
    if arguments.flag("json"):
        from executioner.render import json_text
        console.out.line(json_text({
            "path": home.history, "from": os.path.abspath(arguments.operands[0]), "kept": aside}))
        return EXIT_OK
    console.out.line("%s is the history now" % arguments.operands[0])
    if aside is not None:
        console.out.line("the one that was there is kept as %s" % aside)
    return EXIT_OK

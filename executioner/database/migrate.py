"""``db migrate``: the schema of the history, brought up to date, a backup first."""
from typing import TYPE_CHECKING, Optional, Sequence

from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import JSON, Arguments, CommandSpec, Option, usage_error
from jobs.exceptions import EXIT_OK

if TYPE_CHECKING:
    from db.migration import Migration

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0, (Option("--to", "no further than this schema", "N"), Option("--dry-run", "only say what would be done"),
           Option("--central", "the tables on the server, when every host has this version"), JSON),
    "Brings the schema of the history up to date, each step in one transaction, after a backup beside the file\n"
    "(history.db.schema-N.backup). The next run would do the same. The way back is `executioner db restore` of that\n"
    "file.",
    (("executioner db migrate --dry-run", "what would be done"),))

_LARGEST = 10 ** 6


def execute(arguments: Arguments, console: Console) -> int:
    """Migrate the history."""
    from db.upkeep import migrate

    dry_run = arguments.flag("dry_run")
    if arguments.flag("central"):
        return _central(arguments, console, dry_run)
    home = existing_home(arguments, console)
    found, steps = migrate(home.history, arguments.number("to", 0, _LARGEST), dry_run,
                           arguments.flag("allow_network_fs"))
    if arguments.flag("json"):
        made = bool(steps) and not dry_run
        return _tell(console, home.history, found, steps, dry_run,
                     "%s.schema-%d.backup" % (home.history, found) if made else None)
    if not steps:
        console.out.line("schema %d, nothing to do" % found)
    for step in steps:
        console.out.line("%s schema %d (%s)" % ("would make" if dry_run else "made", step.version, step.name))
    if steps and not dry_run:
        console.out.line("a backup from before is %s.schema-%d.backup" % (home.history, found))
    return EXIT_OK


def _central(arguments: Arguments, console: Console, dry_run: bool) -> int:
    from db.central import migrate_central
    from executioner.central import central_place

    if arguments.one("to") is not None:
        raise usage_error("--to and --central do not go together")
    place = central_place(arguments, console)
    found, steps = migrate_central(place, console.environ, dry_run)
    if arguments.flag("json"):
        return _tell(console, place.shown, found, steps, dry_run, None)
    if not steps:
        console.out.line("%s: schema %d, nothing to do" % (place.shown, found))
    for step in steps:
        console.out.line("%s: %s schema %d (%s)" % (place.shown, "would make" if dry_run else "made", step.version,
                                                    step.name))
    return EXIT_OK


def _tell(console: Console, place: str, found: int, steps: "Sequence[Migration]", dry_run: bool,
          backup: Optional[str]) -> int:
    from executioner.render import json_text
    console.out.line(json_text({
        "path": place, "schema": found, "steps": [{"schema": step.version, "name": step.name} for step in steps],
        "dry_run": dry_run, "backup": backup}))
    return EXIT_OK

"""``db export``: the local history as a script for another database."""
import os
from typing import Iterable

from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import Arguments, CommandSpec, Option, did_you_mean, usage_error
from jobs.exceptions import EXIT_OK, StorageError

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0,
    (Option("--to", "what the script is for: oracle", "KIND"),
     Option("-o --output", "the file, which must not be there yet; standard output where not given", "FILE"),
     Option("--schema-only", "only the tables, no rows")),
    "Writes a script that makes the tables of a central history and brings the ended runs of this home there. It may\n"
    "be run again: what is there already is left as it is. docs/oracle.md says how it is used.",
    (("executioner db export --to oracle -o history.sql", "tables and rows"),
     ("executioner db export --to oracle --schema-only", "for whoever may make tables")))


def execute(arguments: Arguments, console: Console) -> int:
    """Write the script."""
    from db.export import EXPORT_KINDS, export_lines
    from db.history import History

    kind = arguments.one("to")
    if kind not in EXPORT_KINDS:
        raise usage_error("--to: expected %s%s" % (
            " or ".join(EXPORT_KINDS), ', found "%s"%s' % (kind, did_you_mean(kind, EXPORT_KINDS)) if kind else ""))
    home = existing_home(arguments, console)
    with History.open(home.history, readonly=True, allow_network_fs=arguments.flag("allow_network_fs")) as history:
        lines = export_lines(history, schema_only=arguments.flag("schema_only"))
        path = arguments.one("output")
        if path is None:
            for line in lines:
                console.out.line(line)
        else:
            _write(path, lines)
    return EXIT_OK


def _write(path: str, lines: Iterable[str]) -> None:
    """Write a new file, 0600: a history is nobody else's."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as script:
            for line in lines:
                script.write(line + "\n")
            script.flush()
            os.fsync(script.fileno())
    except OSError as error:
        raise StorageError("%s: cannot be written: %s" % (path, error.strerror or error), context={"path": path})

"""``db status``: what the history is like, and the disk that it lies on."""
from typing import Dict, List, Optional, Tuple

from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_INTERNAL, EXIT_OK, DatabaseError

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0, (Option("--json", "one JSON document on standard output"),),
    "Shows the file of the history, its size, schema, runs, a quick look for damage, and the disk. Exit 3 where it is\n"
    "damaged. Changes nothing, and reads histories of older and newer versions too.",
    (("executioner db status", "the history of the home"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Show what the history is like."""
    import sqlite3

    from db.upkeep import state_of
    from executioner.render import bytes_text, count_text, json_text, time_text
    from jobs.ballast import Ballast
    from jobs.times import utc_text

    home = existing_home(arguments, console)
    ballast = Ballast(home.ballast).size()
    try:
        state = state_of(home.history, arguments.flag("allow_network_fs"))
    except DatabaseError as error:
        if error.context.get("cause") != "missing":
            raise
        console.out.line("null" if arguments.flag("json") else "no history yet in %s" % home.path)
        return EXIT_OK
    if arguments.flag("json"):
        document: Dict[str, object] = {
            "path": state.path, "size": state.size, "log_size": state.log_size, "schema": state.schema,
            "known_schema": state.known_schema, "journal_mode": state.journal_mode, "runs": state.runs,
            "jobs": state.jobs, "attempts": state.attempts, "newest_run": state.newest_run,
            "oldest_start": None if state.oldest_start is None else utc_text(state.oldest_start),
            "damage": state.damage or None, "free_bytes": state.free_bytes, "free_files": state.free_files,
            "network_file_system": state.network, "ballast": ballast, "sqlite": sqlite3.sqlite_version}
        console.out.line(json_text(document))
        return EXIT_INTERNAL if state.damage else EXIT_OK
    runs = sum(state.runs.values())
    counts = ", ".join("%d %s" % (count, status) for status, count in sorted(state.runs.items()))
    since: Optional[str] = time_text(state.oldest_start) if state.oldest_start is not None else None
    schema = "up to date" if state.schema == state.known_schema else \
        "older than this executioner's %d; `executioner db migrate`, or the next run, brings it up to date" % (
            state.known_schema) if state.schema < state.known_schema else \
        "newer than this executioner's %d" % state.known_schema
    rows: List[Tuple[str, str]] = [
        ("file", state.path),
        ("size", "%s, and %s in its log" % (bytes_text(state.size), bytes_text(state.log_size))),
        ("schema", "%d, %s" % (state.schema, schema)),
        ("runs", "%d%s%s" % (runs, " since %s" % since if since else "", ": " + counts if counts else "")),
        ("rows", "%s, %s" % (count_text(state.jobs, "job"), count_text(state.attempts, "attempt"))),
        ("damage", state.damage or "none found by a quick look; `executioner db check` reads all"),
        ("journal", state.journal_mode),
        ("disk", "%s and %d files free%s" % (
            bytes_text(state.free_bytes), state.free_files,
            ", on %s, a network file system" % state.network if state.network else "")),
        ("ballast", bytes_text(ballast) if ballast else "none at the moment"),
        ("sqlite", sqlite3.sqlite_version)]
    for name, text in rows:
        console.out.line("%-8s %s" % (name, text))
    return EXIT_INTERNAL if state.damage else EXIT_OK

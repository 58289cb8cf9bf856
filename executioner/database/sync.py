"""``db sync``: bring every run that has ended to the server that its file named."""
from typing import TYPE_CHECKING, List

from executioner.console import Console
from executioner.database.place import existing_home
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_FAILED, EXIT_LOCKED, EXIT_OK

if TYPE_CHECKING:
    from db.history import History

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0,
    (Option("--all", "also the runs from before a file named a server; they go to the last one that was named"),
     Option("--to", "with --all: to this server", "URL"),
     Option("--forget", "let go of what waits for a server that is gone for good, as `status` shows it", "URL"),
     Option("--json", "one JSON document on standard output")),
    "Copies what waits to its server (docs/database.md). A run does so by itself when it has ended; this catches up\n"
    "where the server was away. Exit 0: all is there; 1: something waits, as a line says; 75: another process copies.",
    (("executioner db sync", "catch up, from cron too: silent where nothing waits"),
     ("executioner db sync --all --to postgresql://jobs@db/history?password_env=PW", "everything that there ever was")))

_LOCK_S = 30.0


def execute(arguments: Arguments, console: Console) -> int:
    """Copy what waits."""
    from db.destinations import adopt_earlier_runs
    from db.history import History
    from executioner.central import central_place
    from executioner.copying import copy_all
    from executioner.options import usage_error
    from executioner.render import count_text, json_text, waiting_text
    from jobs.server_place import parse_place

    url = arguments.one("to")
    if url is not None and not arguments.flag("all"):
        raise usage_error("--to goes with --all")
    home = existing_home(arguments, console)
    place = None
    if arguments.flag("all"):
        place = parse_place(url) if url is not None else central_place(arguments, console)
    with History.open(home.history, allow_network_fs=arguments.flag("allow_network_fs")) as history:
        forgotten = arguments.one("forget")
        if forgotten is not None:
            return _forget(history, forgotten, console)
        if place is not None:
            adopt_earlier_runs(history.database, str(place))
        results = copy_all(history, home, console.environ, _LOCK_S)
    if results is None:
        console.err.line("executioner: another process copies from this home")
        return EXIT_LOCKED
    if arguments.flag("json"):
        documents: List[object] = [
            {"place": one.shown, "runs": one.done.runs, "jobs": one.done.jobs, "attempts": one.done.attempts,
             "events": one.done.events, "waiting": one.waiting, "problem": one.problem or None} for one in results]
        console.out.line(json_text(documents))
    else:
        for one in results:
            if one.done.runs or one.done.events:
                console.out.line("%s, %s and %s copied to %s" % (
                    count_text(one.done.runs, "run"), count_text(one.done.attempts, "attempt"),
                    count_text(one.done.events, "event"), one.shown))
        if not results and console.out.is_terminal:
            console.err.line("no run of this home named a server yet")
    for one in results:
        if one.problem:
            console.err.line("executioner: %s; %s" % (one.problem, waiting_text(one.waiting)))
    return EXIT_FAILED if any(one.problem or one.waiting for one in results) else EXIT_OK


def _forget(history: "History", url: str, console: Console) -> int:
    """Have nothing wait any more for the servers that a URL names, with or without what stands behind its ``?``."""
    from db.destinations import destinations, forget
    from executioner.options import usage_error
    from executioner.render import waiting_text
    from jobs.server_place import parse_place

    wanted = parse_place(url).shown
    found = [one for one in destinations(history.database) if parse_place(one.place).shown == wanted]
    if not found:
        raise usage_error("nothing of this home goes to %s" % wanted)
    count = sum(forget(history.database, one.destination_id) for one in found)
    console.out.line("%s no longer for %s" % (waiting_text(count), wanted))
    return EXIT_OK

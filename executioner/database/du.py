"""``db du``: what the history and the output of each application take on the disk."""
import os

from executioner.console import Console
from executioner.home import locate
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0, (Option("--json", "one JSON document on standard output"),),
    "Shows what is kept: the history's own files, and for each application how many runs and how much output.",
    (("executioner db du", "who takes how much"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Measure and show; changes nothing."""
    from db.history import History
    from db.keeping import kept_runs
    from executioner.retention import folder_size
    from executioner.render import json_text, table, time_text
    from jobs.times import utc_text

    home = locate(arguments.one("home"), console.environ)
    rows = []
    history_bytes = 0
    if os.path.lexists(home.history):
        home.check()
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(home.history + suffix):
                history_bytes += os.stat(home.history + suffix).st_size
        with History.open(home.history, readonly=True) as history:
            for name in history.applications():
                runs = kept_runs(history, name)
                size = sum(folder_size(run) if run.size_bytes is None else run.size_bytes for run in runs)
                rows.append((name, len(runs), size, min(run.started_at for run in runs) if runs else None))
    if arguments.flag("json"):
        console.out.line(json_text({"history_bytes": history_bytes, "applications": [
            {"application": name, "runs": count, "bytes": size, "oldest": None if oldest is None else utc_text(oldest)}
            for name, count, size, oldest in rows]}))
        return EXIT_OK
    console.out.line("history  %s  %s" % (_size(history_bytes), home.history))
    for line in table(("APPLICATION", "RUNS", "OUTPUT", "OLDEST"),
                      [(name, str(count), _size(size), time_text(oldest)) for name, count, size, oldest in rows],
                      right=(1, 2)):
        console.out.line(line)
    return EXIT_OK


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024.0
    return "%d %s" % (value, unit) if unit == "B" else "%.1f %s" % (value, unit)

"""``db prune``: take away what is too much, by what each application's file said, or by limits given here."""
import os
import time
from typing import Dict, List, Optional, Union

from executioner.console import Console
from executioner.home import locate
from executioner.options import DATABASE, Arguments, CommandSpec, Option, usage_error
from executioner.render import count_text
from jobs.exceptions import EXIT_FAILED, EXIT_OK
from jobs.models import Retention

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "[APPLICATION]", 0, 1,
    (Option("--dry-run", "show what would go; change nothing"),
     Option("--runs", "how many runs of an application are kept", "N"),
     Option("--days", "how long a run is kept", "N"),
     Option("--bytes", "how much output of an application is kept, as 500M or 10GiB", "SIZE"),
     DATABASE, Option("--json", "one JSON document on standard output")),
    "Takes away old runs, rows and output together. Always kept: the newest run, runs that have not ended, and the\n"
    "last success and the last failure of each job. Without limits those of each application's file hold.",
    (("executioner db prune --dry-run", "what would go"),
     ("executioner db prune nightly --runs 100", "keep a hundred runs of one application")))

_PATIENCE_S = 3600.0
_MOST_SHOWN = 20


def execute(arguments: Arguments, console: Console) -> int:
    """Prune each application, or one."""
    from db.history import History
    from executioner.retention import folder_size, plan, prune
    from executioner.render import json_text

    home = locate(arguments.one("home"), console.environ, arguments.one("database"))
    if not os.path.lexists(home.history):
        console.out.line("[]" if arguments.flag("json") else "there are no runs yet")
        return EXIT_OK
    home.check()
    wanted: Optional[str] = arguments.operands[0] if arguments.operands else None
    dry = arguments.flag("dry_run")
    told: List[Dict[str, Union[str, int, List[int]]]] = []
    problems: List[str] = []
    with History.open(home.history, readonly=dry) as history:
        known = history.application_settings()
        kept = {one.application: one.retention for one in known}
        names = history.applications() if wanted is None else [wanted]
        if wanted is not None and wanted not in kept and wanted not in history.applications():
            raise usage_error("no application %s has run here" % wanted)
        for name in names:
            limits = _limits(arguments, kept.get(name, Retention()))
            done = plan(history, name, limits, time.time(), folder_size) if dry else \
                prune(history, name, limits, time.time(), home.records, _PATIENCE_S)
            problems += done.problems
            told.append({"application": name, "runs": [one.run.run_id for one in done.victims], "left": done.left,
                         "spared": [one.run_id for one in done.spared], "bytes": done.size_bytes})
            if not arguments.flag("json"):
                console.out.line("%s: %s %s, %d left" % (
                    name, count_text(len(done.victims), "run"), "would go" if dry else "taken away", done.left))
                for one in done.victims[:_MOST_SHOWN]:
                    console.out.line("  run %d: %s" % (one.run.run_id, one.reason))
                if len(done.victims) > _MOST_SHOWN:
                    console.out.line("  and %d more" % (len(done.victims) - _MOST_SHOWN))
                if done.spared:
                    console.out.line("  kept all the same, for a last success or failure: %s" % ", ".join(
                        str(one.run_id) for one in done.spared[:_MOST_SHOWN]))
    if arguments.flag("json"):
        console.out.line(json_text(told))
    for problem in problems:
        console.err.line("executioner: " + problem)
    return EXIT_FAILED if problems else EXIT_OK


def _limits(arguments: Arguments, kept: Retention) -> Retention:
    from config.upkeep import Size
    runs, days = arguments.number("runs", 1, 10 ** 9), arguments.number("days", 1, 36500)
    text = arguments.one("bytes")
    size = None if text is None else Size.size_bytes(text)
    if text is not None and size is None:
        raise usage_error('--bytes: expected a size such as 500M or 10GiB, found "%s"' % text)
    return Retention(kept.runs if runs is None else runs, kept.age_s if days is None else days * 86400.0,
                     kept.size_bytes if size is None else size)

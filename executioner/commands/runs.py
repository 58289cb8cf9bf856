"""``runs``: the runs of the history, newest first."""
from typing import Dict, List, Tuple

from executioner.central import CENTRAL, origin_fields
from executioner.console import Console
from executioner.options import DATABASE, Arguments, CommandSpec, Option, did_you_mean, usage_error
from executioner.past import open_history
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "[APPLICATION]", 0, 1,
    (Option("--limit", "how many (20)", "N"),
     Option("--before", "only runs with a smaller number: the last one of the page before", "RUN"),
     Option("--status", "only RUNNING, SUCCESS, FAILED, CANCELLED or LOST", "STATUS"),
     CENTRAL, DATABASE, Option("--json", "a JSON list on standard output")),
    "Lists the runs of the history, newest first.",
    (("executioner runs", "the last 20 runs"),
     ("executioner runs nightly --status FAILED", "those of one application that failed"),
     ("executioner runs --limit 100 --before 4711", "the next page")))

_MOST = 1000000
_LARGEST_RUN = 10 ** 18 - 1


def execute(arguments: Arguments, console: Console) -> int:
    """List runs."""
    from executioner.render import duration_or_dash, json_lines, one_line, run_fields, table, time_text
    from jobs.models import RUN_STATUSES, RunStatus

    limit = arguments.number("limit", 1, _MOST)
    before = arguments.number("before", 1, _LARGEST_RUN)
    status = arguments.one("status")
    if status is not None:
        status = status.upper()
        if status not in RUN_STATUSES:
            known = sorted(RUN_STATUSES)
            raise usage_error('--status: no run has the status "%s"%s' % (status, did_you_mean(status, known)),
                              "there are: " + ", ".join(known))
    application = arguments.operands[0] if arguments.operands else None
    home, history = open_history(arguments, console)
    runs = []
    origins: Dict[int, Dict[str, object]] = {}
    if history is not None:
        with history:
            runs = history.runs(application, status, 20 if limit is None else limit, before)
            if status is not None and status != RunStatus.RUNNING:
                # Recorded as running, but the runner is dead: what became of them may be what is asked for.
                runs += [run for run in history.open_runs(application) if before is None or run.run_id < before]
            if any(run.status == RunStatus.RUNNING for run in runs):
                from db.truth import true_run
                runs = [run for run in (true_run(history, run) for run in runs) if status in (None, run.status)]
                runs = sorted(runs, key=lambda run: -run.run_id)[:20 if limit is None else limit]
            if arguments.flag("central"):
                origins = origin_fields(history, runs)
            if not runs and application is not None and history.last_run(application) is None:
                raise usage_error('no application has the name "%s"%s' % (
                    application, did_you_mean(application, history.applications())))
    for other in home.other_histories():
        if history is None or other != history.where:
            console.err.line("runs of this home are in %s too: see them with EXECUTIONER_HISTORY=%s" % (other, other))
    if arguments.flag("json"):
        for line in json_lines(dict(run_fields(run), **origins.get(run.run_id, {})) for run in runs):
            console.out.line(line)
        return EXIT_OK
    if not runs:
        console.err.line("no runs in %s" % (home.path if history is None else history.where))
        return EXIT_OK
    head: Tuple[str, ...] = ("RUN", "APPLICATION", "STATUS", "EXIT", "STARTED", "DURATION", "REASON")
    rows: List[Tuple[str, ...]] = [
        (str(run.run_id), run.application, run.status, "-" if run.exit_code is None else str(run.exit_code),
         time_text(run.started_at), duration_or_dash(run.duration_s), one_line(run.reason)) for run in runs]
    if origins:
        head = head[:1] + ("HOST", "THERE") + head[1:]
        rows = [row[:1] + (str(origins[run.run_id]["host"]), str(origins[run.run_id]["home_run_id"])) + row[1:]
                for row, run in zip(rows, runs)]
    for line in table(head, rows, right=(0, 2, 5) if origins else (0, 3)):
        console.out.line(line)
    return EXIT_OK

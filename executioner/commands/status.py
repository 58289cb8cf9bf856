"""``status``: what runs now, and the last run of each application."""
from typing import Dict, List

from executioner.central import waiting_lines
from executioner.console import Console
from executioner.options import Arguments, CommandSpec, Option
from executioner.past import open_history
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "", 0, 0,
    (Option("--json", "one JSON document on standard output"),),
    "Shows what runs now, and the last finished run of each application.",
    (("executioner status", "for people"), ("executioner status --json", "for a program")))


def execute(arguments: Arguments, console: Console) -> int:
    """Show what runs and what ran."""
    from executioner.render import (duration_or_dash, json_text, job_fields, one_line, run_fields, running_lines, table,
                                    time_text)
    from db.truth import true_jobs, true_run
    from jobs.models import RunStatus
    from jobs.records import JobRecord, RunRecord

    home, history = open_history(arguments, console)
    running: List[RunRecord] = []
    jobs: Dict[int, List[JobRecord]] = {}
    last: Dict[str, RunRecord] = {}
    waiting: List[str] = []
    if history is not None:
        with history:
            over: List[RunRecord] = []
            for run in history.open_runs():
                jobs_of_run = true_jobs(history, run)
                run = true_run(history, run)
                if run.status == RunStatus.RUNNING:
                    running.append(run)
                    jobs[run.run_id] = jobs_of_run
                else:
                    over.append(run)
            waiting = waiting_lines(history)
            for application in history.applications():
                finished = history.last_finished(application)
                if finished is not None:
                    last[application] = finished
            for run in over:  # oldest first
                known = last.get(run.application)
                if known is None or known.run_id < run.run_id:
                    last[run.application] = run
    if arguments.flag("json"):
        document: Dict[str, object] = {
            "running": [dict(run_fields(run), jobs=[job_fields(job) for job in jobs[run.run_id]]) for run in running],
            "last": {application: run_fields(run) for application, run in sorted(last.items())}}
        if waiting:
            document["central"] = waiting
        console.out.line(json_text(document))
        return EXIT_OK
    if not running:
        console.out.line("nothing is running")
    for run in running:
        for line in running_lines(run, jobs[run.run_id]):
            console.out.line(line)
    if last:
        console.out.line("")
        for line in table(("LAST RUN", "APPLICATION", "STATUS", "EXIT", "ENDED", "DURATION", "REASON"), [
                (str(run.run_id), application, run.status, "-" if run.exit_code is None else str(run.exit_code),
                 time_text(run.ended_at), duration_or_dash(run.duration_s), one_line(run.reason))
                for application, run in sorted(last.items())], right=(0, 3)):
            console.out.line(line)
    for line in waiting:
        console.out.line("central history: " + line)
    if not last and not running:
        console.err.line("no runs in %s" % home.path)
    return EXIT_OK

"""``show``: one run and its jobs."""
from typing import TYPE_CHECKING, List, Sequence

from executioner.central import CENTRAL, origin_fields
from executioner.console import Console
from executioner.options import DATABASE, Arguments, CommandSpec, Option
from executioner.past import wanted_run
from jobs.exceptions import EXIT_OK, InternalError
from jobs.models import FAILURE_STATUSES

if TYPE_CHECKING:
    from jobs.records import JobRecord

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "RUN", 1, 1,
    (CENTRAL, DATABASE, Option("--json", "one JSON document on standard output")),
    'Shows a run and what became of each job. RUN is a number, "last", -1 (the last), -2 (the one before), or the\n'
    "name of an application (its last run).",
    (("executioner show last", "the last run"),
     ("executioner show nightly --json", "the last run of nightly, for a program")))

_MOST_RUNBOOKS = 20


def execute(arguments: Arguments, console: Console) -> int:
    """Show a run."""
    from executioner.render import job_fields, run_fields, run_json_lines, show_lines
    from db.truth import true_jobs, true_run

    _, history, run_id = wanted_run(arguments, console)
    with history:
        run = history.run(run_id, with_jobs=False)
        if run is None:
            raise InternalError("run %d was there a moment ago" % run_id)
        jobs = true_jobs(history, run)
        run = true_run(history, run)
        kept = "" if arguments.flag("json") else history.configuration(run.config_hash) or ""
        origin = origin_fields(history, [run]).get(run_id, {}) if arguments.flag("central") else {}
    if arguments.flag("json"):
        lines = run_json_lines(dict(run_fields(run), **origin), (job_fields(job) for job in jobs))
    else:
        lines = iter(show_lines(run, jobs) + _runbooks(kept, jobs))
        if origin:
            console.out.line("run %s on %s, of its home %s" % (origin["home_run_id"], origin["host"], origin["home"]))
    for line in lines:
        console.out.line(line)
    return EXIT_OK


def _runbooks(kept: str, jobs: "Sequence[JobRecord]") -> List[str]:
    """The runbooks of the jobs that failed, from the configuration that the run kept."""
    failed = [job for job in jobs if job.status in FAILURE_STATUSES]
    if not failed or '"runbook"' not in kept:
        return []
    from api.graphs import runbooks_of
    runbooks = runbooks_of(kept)
    lines = [""]
    for job in failed[:_MOST_RUNBOOKS]:
        first, *more = runbooks.get(job.job_id, "").split("\n")
        lines += ["runbook of %s: %s" % (job.job_id, first)] + ["  " + line for line in more] if first else []
    return lines if len(lines) > 1 else []

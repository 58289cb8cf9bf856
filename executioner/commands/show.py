"""``show``: one run and its jobs."""
from executioner.central import CENTRAL, origin_fields
from executioner.console import Console
from executioner.options import DATABASE, Arguments, CommandSpec, Option
from executioner.past import wanted_run
from jobs.exceptions import EXIT_OK, InternalError

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "RUN", 1, 1,
    (CENTRAL, DATABASE, Option("--json", "one JSON document on standard output")),
    'Shows a run and what became of each job. RUN is a number, "last", -1 (the last), -2 (the one before), or the\n'
    "name of an application (its last run).",
    (("executioner show last", "the last run"),
     ("executioner show nightly --json", "the last run of nightly, for a program")))


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
        origin = origin_fields(history, [run]).get(run_id, {}) if arguments.flag("central") else {}
    if arguments.flag("json"):
        lines = run_json_lines(dict(run_fields(run), **origin), (job_fields(job) for job in jobs))
    else:
        lines = iter(show_lines(run, jobs))
        if origin:
            console.out.line("run %s on %s, of its home %s" % (origin["home_run_id"], origin["host"], origin["home"]))
    for line in lines:
        console.out.line(line)
    return EXIT_OK

"""``db import``: take over the history of the earlier Executioner."""
from executioner.console import Console
from executioner.home import locate
from executioner.options import Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_FAILED, EXIT_OK, DatabaseError

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "FILE", 1, 1,
    (Option("--dry-run", "only say what would be taken"), Option("--json", "one JSON document on standard output")),
    "Takes the runs of a jobs_history.db of the earlier Executioner (job_history and run_summary, any version),\n"
    "each once however often it is called; FILE is only read. Runs keep their numbers, so take them before the first\n"
    "run of the home. Exit 0: all is here; 1: some runs or values could not be taken as they were, as lines say.",
    (("executioner db import jobs_history.db --dry-run", "what would be taken"),
     ("executioner db import jobs_history.db", "take it")))

_MOST_LINES = 200


def execute(arguments: Arguments, console: Console) -> int:
    """Import an earlier history."""
    from db.earlier import Imported, import_earlier, read_earlier
    from db.history import History
    from executioner.render import count_text, json_text, time_text

    path = arguments.operands[0]
    dry_run = arguments.flag("dry_run")
    home = locate(arguments.one("home"), console.environ)
    allow = arguments.flag("allow_network_fs")
    read_earlier(path)  # before a home is made for it
    if dry_run:
        try:
            with History.open(home.history, readonly=True, allow_network_fs=allow) as history:
                done = import_earlier(history, path, dry_run=True)
        except DatabaseError as error:
            if error.context.get("cause") != "missing":
                raise
            runs, problems = read_earlier(path)
            done = Imported(runs, 0, problems)
    else:
        home.create()
        with History.open(home.history, allow_network_fs=allow) as history:
            done = import_earlier(history, path)
    if arguments.flag("json"):
        console.out.line(json_text({"runs": [run.run_id for run in done.taken], "known": done.known,
                                    "problems": done.problems, "dry_run": dry_run}))
    else:
        console.out.line("%s %s%s; %d were here already" % (
            count_text(len(done.taken), "run"), "would be taken" if dry_run else "taken",
            " (%d to %d, %s to %s)" % (done.taken[0].run_id, done.taken[-1].run_id,
                                       time_text(min(run.started_at for run in done.taken)),
                                       time_text(max(run.ended_at for run in done.taken))) if done.taken else "",
            done.known))
    for problem in done.problems[:_MOST_LINES]:
        console.err.line("executioner: " + problem)
    if len(done.problems) > _MOST_LINES:
        console.err.line("executioner: and %d more such lines" % (len(done.problems) - _MOST_LINES))
    return EXIT_FAILED if done.problems else EXIT_OK

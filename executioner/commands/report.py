"""``report``: a run as one self-contained page, to attach to a ticket."""
from executioner.console import Console
from executioner.options import DATABASE, JSON, Arguments, CommandSpec, Option, usage_error
from executioner.past import wanted_run
from jobs.exceptions import EXIT_OK, InternalError

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "RUN", 1, 1,
    (Option("-o --output", "where the page goes; it can be read by all who can read there (mode 0644)", "FILE.html"),
     DATABASE, JSON),
    "Writes a run as one HTML file that needs no other: its graph, its timeline, what failed and the end of its\n"
    "output. RUN as for show. Values of secret variables are shown as ***.",
    (("executioner report last -o run.html", "the last run"),
     ("executioner report nightly -o /tmp/nightly.html", "the last run of nightly")))

_MODE = 0o644


def execute(arguments: Arguments, console: Console) -> int:
    """Write a report."""
    import os

    from api.report import report_page
    from api.secrets import Secrets
    from jobs.atomic import write_atomically
    from jobs.system import SystemClock

    target = arguments.one("output")
    if not target:
        raise usage_error("report: -o FILE.html is missing", "executioner report last -o run.html")
    _, history, run_id = wanted_run(arguments, console)
    with history:
        run = history.run(run_id, with_jobs=False)
        if run is None:
            raise InternalError("run %d was there a moment ago" % run_id)
        masker = Secrets(console.environ).masker([run.config_path])
        page = report_page(history, run, masker, SystemClock().wall())
    write_atomically(os.path.abspath(target), page, _MODE)
    if arguments.flag("json"):
        from executioner.render import json_text
        console.out.line(json_text({"run_id": run_id, "path": os.path.abspath(target)}))
    return EXIT_OK

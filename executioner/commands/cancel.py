"""``cancel``: stop a run from another terminal, and wait until nothing of it is left."""
from typing import TYPE_CHECKING

from executioner.acting import BECAUSE, Actor
from executioner.console import Console
from executioner.options import DATABASE, JSON, Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_OK, EXIT_SIGNAL

if TYPE_CHECKING:
    from jobs.records import RunRecord

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "RUN", 1, 1,
    (BECAUSE, DATABASE, Option("--now", "do not give the jobs their grace: KILL at once"), JSON),
    "Stops a run as Ctrl-C would: nothing new starts, what runs gets its stop signal, its grace, then KILL. Waits\n"
    "until nothing of the run is left. A run whose runner died is cleaned up and closed the same way.",
    (("executioner cancel last", "the last run"),
     ('executioner cancel 42 --because "wrong date"', "with the reason, for the history")))


def execute(arguments: Arguments, console: Console) -> int:
    """Cancel a run."""
    from db.acts import cancel
    from jobs.models import RunStatus

    is_json = arguments.flag("json")
    with Actor.on_run(arguments.operands[0], arguments, console) as actor:
        run = actor.run(arguments.operands[0])
        if run.status != RunStatus.RUNNING:
            _tell(console, is_json, run, "run %d has ended already: %s" % (run.run_id, run.status))
            return EXIT_OK
        if not cancel(actor.history, run, actor.who, actor.why, actor.wait, arguments.flag("now")):
            console.err.line("executioner: run %d is being cancelled; not waited for any longer" % run.run_id)
            return EXIT_SIGNAL + (actor.stopped_by or 2)
        ended = actor.history.run(run.run_id, with_jobs=False)
        _tell(console, is_json, ended or run, "run %d of %s: %s" % (
            run.run_id, run.application, ended.status if ended is not None else "gone"))
    return EXIT_OK


def _tell(console: Console, is_json: bool, run: "RunRecord", text: str) -> None:
    from executioner.render import json_text, run_fields
    console.out.line(json_text(run_fields(run)) if is_json else text)

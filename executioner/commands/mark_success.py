"""``mark-success``: have a resume take jobs as done, whatever became of them."""
from executioner.acting import BECAUSE, Actor
from executioner.console import Console
from executioner.options import DATABASE, JSON, Arguments, CommandSpec, usage_error
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "RUN JOB...", 2, None, (BECAUSE, DATABASE, JSON),
    "Says of jobs of an ended run that their work is done. Their status stays and is shown as marked; a resume of the\n"
    "run carries them as SUCCESS. --because is required: somebody will want to know.",
    (('executioner mark-success 42 load --because "loaded by hand"', "then: executioner run CONFIG --resume 42"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Mark jobs as success."""
    from db.acts import mark_success

    if not arguments.one("because"):
        raise usage_error("mark-success needs --because TEXT: why the work of these jobs counts as done")
    with Actor.on_run(arguments.operands[0], arguments, console) as actor:
        run = actor.run(arguments.operands[0])
        mark_success(actor.history, run, arguments.operands[1:], actor.who, actor.why)
        if arguments.flag("json"):
            from executioner.render import json_text
            console.out.line(json_text({"run_id": run.run_id, "jobs": arguments.operands[1:], "why": actor.why}))
            return EXIT_OK
        for job_id in arguments.operands[1:]:
            console.out.line("%s of run %d is marked as success" % (job_id, run.run_id))
    return EXIT_OK

"""``release``: let a held job start again."""
from executioner.acting import BECAUSE, Actor
from executioner.console import Console
from executioner.options import DATABASE, JSON, Arguments, CommandSpec
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "APP JOB...", 2, None, (BECAUSE, DATABASE, JSON),
    "Releases jobs that `executioner hold` holds.",
    (("executioner release nightly load", "it may start again"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Release jobs."""
    from db.acts import release, require_held

    application, job_ids = arguments.operands[0], arguments.operands[1:]
    with Actor(arguments, console, lambda history: require_held(history, application, job_ids), application) as actor:
        require_held(actor.history, application, job_ids)  # all of them, or none is released
        for job_id in job_ids:
            release(actor.history, application, job_id, actor.who, actor.why)
            if not arguments.flag("json"):
                console.out.line("%s of %s is released" % (job_id, application))
        if arguments.flag("json"):
            from executioner.render import json_text
            console.out.line(json_text({"application": application, "jobs": job_ids, "held": False, "why": actor.why}))
    return EXIT_OK

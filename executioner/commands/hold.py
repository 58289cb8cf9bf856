"""``hold``: keep a job of an application from starting, until it is released."""
from executioner.acting import BECAUSE, Actor
from executioner.console import Console
from executioner.options import DATABASE, JSON, Arguments, CommandSpec
from jobs.exceptions import EXIT_OK

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "APP JOB...", 2, None, (BECAUSE, DATABASE, JSON),
    "Holds jobs: they do not start, in the run that is there and in later ones, until `executioner release APP JOB`.\n"
    "A run waits for the release as long as anything else of it goes on; then the held job is BLOCKED.",
    (('executioner hold nightly load --because "disk is being swapped"', "until it is released"),))


def execute(arguments: Arguments, console: Console) -> int:
    """Hold jobs."""
    from db.acts import hold, require_known

    application, job_ids = arguments.operands[0], arguments.operands[1:]
    with Actor(arguments, console, lambda history: require_known(history, application, job_ids), application) as actor:
        require_known(actor.history, application, job_ids)  # all of them, or none is held
        for job_id in job_ids:
            hold(actor.history, application, job_id, actor.who, actor.why)
            if not arguments.flag("json"):
                console.out.line("%s of %s is held" % (job_id, application))
        if arguments.flag("json"):
            from executioner.render import json_text
            console.out.line(json_text({"application": application, "jobs": job_ids, "held": True, "why": actor.why}))
    return EXIT_OK

"""``notify``: deliver what waits, list what was said, or try whether messages arrive."""
import os
import time
from typing import TYPE_CHECKING, List

from executioner.console import Console
from executioner.home import Home, locate
from executioner.loading import load
from executioner.options import Arguments, CommandSpec, Option, usage_error
from jobs.exceptions import EXIT_FAILED, EXIT_OK, NotificationError

if TYPE_CHECKING:
    from jobs.models import Pipeline
    from monitoring.courier import Delivery

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "[CONFIG]", 0, 1,
    (Option("--test", "send a test message to every destination of the configuration, now"),
     Option("--list", "the newest messages and what became of them"),
     Option("--json", "with --list: one JSON document on standard output")),
    "Delivers the messages of a configuration's application that could not be delivered before: a run does this by\n"
    "itself when it ends. Exit 0 where nothing is left, else 1.",
    (("executioner notify pipeline.json --test", "see whether messages arrive"),
     ("executioner notify pipeline.json", "deliver what waits"),
     ("executioner notify --list", "what was said to whom")))

_MOST_LISTED = 50


def execute(arguments: Arguments, console: Console) -> int:
    """Deliver, list or try."""
    home = locate(arguments.one("home"), console.environ)
    if arguments.flag("list"):
        return _list(arguments, console, home)
    if not arguments.operands:
        raise usage_error("which configuration? (or --list)")
    pipeline = load(arguments, console).pipeline
    assert pipeline is not None
    if not pipeline.notifications:
        raise usage_error("%s has no notifications" % arguments.operands[0],
                          'add "notifications": [{"on": "failure", "to": "mailto:..."}]')
    if pipeline.working_dir:
        os.chdir(pipeline.working_dir)
    return _try_all(console, pipeline) if arguments.flag("test") else _deliver(console, home, pipeline)


def _try_all(console: Console, pipeline: "Pipeline") -> int:
    """A test message to each destination, once."""
    from monitoring.courier import deliver
    from monitoring.message import trial_message
    from monitoring.notifications import destination_shown

    message = trial_message(pipeline.application, os.uname().nodename)
    code = EXIT_OK
    for number, rule in enumerate({rule.to: rule for rule in pipeline.notifications}.values(), 1):
        shown = destination_shown(rule.to)
        try:
            remark = deliver(rule, pipeline.mail_server, message, "test.%d.%d" % (time.time(), number), time.time(),
                             pipeline.allow_shell)
            console.out.line("ok    %s%s" % (shown, "  " + remark if remark else ""))
        except NotificationError as error:
            console.out.line("FAIL  %s  %s" % (shown, error.message))
            code = EXIT_FAILED
    return code


def _deliver(console: Console, home: Home, pipeline: "Pipeline") -> int:
    from db.history import History
    from executioner.delivery import decide_all, deliver_waiting
    from executioner.ourselves import shown_command

    home.check()
    told: List[str] = []

    def tell(delivery: "Delivery") -> None:
        told.append(delivery.status)
        console.out.line("%-7s %s  %s%s" % (delivery.status.lower(), delivery.message.destination,
                                            delivery.message.cause,
                                            "  " + delivery.problem if delivery.problem else ""))

    with History.open(pipeline.database_path or home.own_history) as history:
        runbooks = {job.id: job.runbook for job in pipeline.jobs if job.runbook}
        decide_all(history, pipeline.application, pipeline.notifications, shown_command(home, history.where),
                   pipeline.secret_values, runbooks, time.time())
        left = deliver_waiting(history, pipeline.application, pipeline.notifications, pipeline.mail_server, home,
                               pipeline.allow_shell, tell, ())
    if not told:
        console.out.line("nothing waits")
    return EXIT_FAILED if left else EXIT_OK


def _list(arguments: Arguments, console: Console, home: Home) -> int:
    from db.history import History
    from db.outbox import Outbox
    from executioner.render import json_text, table, time_text
    from jobs.times import utc_text

    if not os.path.lexists(home.history):
        if arguments.flag("json"):
            console.out.line("[]")
        return EXIT_OK
    home.check()
    with History.open(home.history, readonly=True) as history:
        found = Outbox(history).recent(_MOST_LISTED)
    if arguments.flag("json"):
        console.out.line(json_text([{
            "id": one.notification_id, "application": one.application, "run_id": one.run_id, "cause": one.cause,
            "destination": one.destination, "status": one.status, "attempts": one.attempts,
            "created": utc_text(one.created_at), "ended": None if one.ended_at is None else utc_text(one.ended_at),
            "problem": one.problem or None} for one in found]))
        return EXIT_OK
    rows = [(time_text(one.created_at), one.application, "-" if one.run_id is None else str(one.run_id), one.status,
             str(one.attempts), one.destination, one.cause + ("  " + one.problem if one.problem else ""))
            for one in found]
    for line in table(("MADE", "APPLICATION", "RUN", "STATUS", "TRIES", "TO", "CAUSE"), rows, right=(2, 4)):
        console.out.line(line)
    return EXIT_OK

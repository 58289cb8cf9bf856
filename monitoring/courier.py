"""Delivers what waits in the outbox: tries, waits, tries again, and records each attempt.

At least once: a courier that is killed between a delivery and its record delivers again; ``id`` and Message-ID stay
the same. Two couriers of one application wait for each other (a kernel lock), so none delivers what another does.
"""
import json
import os
from typing import TYPE_CHECKING, Callable, Dict, List, NamedTuple, Optional, Sequence

from db.history import History
from db.outbox import MessageStatus, Outbox, StoredMessage
from jobs.exceptions import NotificationError
from jobs.models import MailServer, NotificationRule
from jobs.times import utc_text
from monitoring.mail import recipients_of, send_mail
from monitoring.message import Message
from monitoring.notifications import route_of
from monitoring.webhook import post

if TYPE_CHECKING:
    import subprocess

__all__ = ["Courier", "Delivery", "GIVE_UP_AFTER_S", "RETRY_DELAYS_S", "deliver"]

#: Waits between the attempts of one courier; what is left then is for the next command.
RETRY_DELAYS_S = (5.0, 30.0, 120.0)
#: What could not be delivered for so long never will be.
GIVE_UP_AFTER_S = 3 * 86400.0
COMMAND_TIMEOUT_S = 60.0


class Delivery(NamedTuple):
    """What became of one attempt."""

    message: StoredMessage
    status: str
    problem: str


def deliver(rule: NotificationRule, server: MailServer, message: Message, identity: str, now: float,
            allow_shell: bool = True) -> str:
    """Deliver one message now; what is worth a remark although it arrived, "" where nothing.

    :param identity: names the message, the same for each attempt
    :param now: epoch seconds
    :raises NotificationError: where it did not arrive (``context["permanent"]``: nor ever will)
    """
    if rule.to.startswith("mailto:"):
        return send_mail(server, recipients_of(rule.to), message, identity, str(message.payload.get("host") or ""))
    if rule.to.startswith(("http://", "https://")):
        post(rule.to, rule.secret, message, identity, utc_text(now))
    elif rule.to.startswith("command:"):
        _run_command(rule.to.partition(":")[2].strip(), message, allow_shell)
    else:
        raise NotificationError("nothing can be sent to %s: a variable that nobody sets?" % rule.to[:40],
                                context={"permanent": True})
    return ""


class Courier:
    """Delivers the waiting messages of one application.

    :param wall: gives epoch seconds
    :param wait: waits so many seconds
    """

    def __init__(self, history: History, application: str, rules: Sequence[NotificationRule], server: MailServer,
                 wall: Callable[[], float], wait: Callable[[float], None], allow_shell: bool = True) -> None:
        self._outbox = Outbox(history)
        self._home_uuid = history.home_uuid()
        self._application = application
        self._rules = {route_of(rule): rule for rule in rules}
        self._server = server
        self._wall = wall
        self._wait = wait
        self._allow_shell = allow_shell

    def work(self, tell: Callable[[Delivery], None], delays_s: Sequence[float] = RETRY_DELAYS_S) -> int:
        """Deliver what waits; how much is left for the next command.

        :param tell: hears of each attempt
        :param delays_s: waits between attempts
        :raises DatabaseError: where an attempt cannot be recorded
        """
        left = self._try_all(tell)
        for delay_s in delays_s:
            if not left:
                break
            self._wait(delay_s)
            left = self._try_all(tell)
        return left

    def _try_all(self, tell: Callable[[Delivery], None]) -> int:
        return sum(1 for message in self._outbox.waiting(self._application) if not self._try(message, tell))

    def _try(self, message: StoredMessage, tell: Callable[[Delivery], None]) -> bool:
        """One attempt; whether the message is done with."""
        now = self._wall()
        rule = self._rules.get(message.route)
        problem, status = "", MessageStatus.SENT
        try:
            if rule is None:
                raise NotificationError("no rule of the file has this destination any more",
                                        context={"permanent": True})
            problem = deliver(rule, self._server, _message(message.message), self._identity(message), now,
                              self._allow_shell)
        except NotificationError as error:
            problem = error.message
            old = message.created_at + GIVE_UP_AFTER_S < now
            status = MessageStatus.FAILED if error.context.get("permanent") or old else MessageStatus.WAITING
        self._outbox.tried(message, status, now, problem)
        tell(Delivery(message, status, problem))
        return status != MessageStatus.WAITING

    def _identity(self, message: StoredMessage) -> str:
        return "%s.%d" % (self._home_uuid, message.notification_id)


def _message(text: str) -> Message:
    value = json.loads(text)
    return Message(str(value["subject"]), str(value["body"]), value["payload"])


def _run_command(command: str, message: Message, allow_shell: bool) -> None:
    """Give the message to a command: the body on its standard input, the facts in its environment."""
    import subprocess

    from jobs.command import split_simple

    environment: Dict[str, str] = dict(os.environ)
    for name in ("event", "application", "run_id", "status", "host", "subject"):
        value = message.payload.get(name)
        environment["EXECUTIONER_NOTIFY_" + name.upper()] = "" if value is None else str(value)
    words: List[str] = ["/bin/sh", "-c", command]
    process: Optional["subprocess.Popen[bytes]"] = None
    try:
        if not allow_shell:
            words = split_simple(command, shell_allowed=False) or []
            if not words:
                raise _failed("the command needs a shell, and allow_shell is false")
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   env=environment, start_new_session=True)
        output = process.communicate(message.body.encode("utf-8", "replace"), timeout=COMMAND_TIMEOUT_S)[0]
    except subprocess.TimeoutExpired:
        assert process is not None
        _end(process)
        raise _failed("the command did not end within %g s" % COMMAND_TIMEOUT_S) from None
    except (OSError, ValueError) as error:
        raise _failed("the command cannot be run: %s" % error) from None
    if process.returncode:
        said = output.decode("utf-8", "replace").strip().split("\n")[-1][:200]
        raise _failed("the command ended with %d%s" % (process.returncode, ": " + said if said else ""))


def _end(process: "subprocess.Popen[bytes]") -> None:
    import signal
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has just ended
    process.communicate()


def _failed(text: str) -> NotificationError:
    return NotificationError(text, context={"permanent": False})

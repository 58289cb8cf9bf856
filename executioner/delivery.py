"""Deciding and delivering for one application, as ``after`` and ``notify`` do it: one courier at a time."""
import os
import time
from typing import Callable, Dict, Sequence

from db.history import History
from db.outbox import MessageStatus, Outbox
from executioner.home import Home
from executioner_logging.record import Record
from jobs.locks import FileLock, application_lock_path
from jobs.masking import Masker
from jobs.models import MailServer, NotificationRule
from monitoring.courier import RETRY_DELAYS_S, Courier, Delivery
from monitoring.message import Facts
from monitoring.notifications import decide_about

__all__ = ["decide_all", "deliver_waiting", "delivery_record"]

#: How long another courier of the application is waited for; it delivers what we would have delivered.
LOCK_TIMEOUT_S = 300.0


def decide_all(history: History, application: str, rules: Sequence[NotificationRule], command: str,
               secrets: Sequence[str], runbooks: Dict[str, str], now: float) -> int:
    """Put into the outbox what is to be said about every run of which nobody decided yet; how many messages.

    :param command: how a person calls this program
    :param runbooks: of failed jobs, by job
    :param now: epoch seconds
    """
    facts = Facts(command, Masker(secrets), runbooks)
    return sum(len(decide_about(history, run, rules, facts, now))
               for run in Outbox(history).untold_runs(application))


def deliver_waiting(history: History, application: str, rules: Sequence[NotificationRule], server: MailServer,
                    home: Home, allow_shell: bool, tell: Callable[[Delivery], None],
                    delays_s: Sequence[float] = RETRY_DELAYS_S) -> int:
    """Deliver what waits, with retries; how many messages are left for the next command."""
    lock = FileLock(application_lock_path(os.path.join(home.locks), application) + ".courier")
    if not lock.acquire(timeout_s=LOCK_TIMEOUT_S):
        return len(Outbox(history).waiting(application))
    try:
        courier = Courier(history, application, rules, server, time.time, time.sleep, allow_shell)
        return courier.work(tell, delays_s)
    finally:
        lock.release()


def delivery_record(delivery: Delivery, at: float) -> Record:
    """One attempt to deliver, as a line of the log."""
    message = delivery.message
    context = {"cause": message.cause, "destination": message.destination, "attempt": message.attempts + 1}
    if delivery.status == MessageStatus.SENT:
        level, event, text = "INFO", "notification_sent", "told %s: %s" % (message.destination, message.cause)
        if delivery.problem:
            level, text = "WARNING", text + "; " + delivery.problem
    else:
        level, event = "WARNING", "notification_failed"
        text = "could not tell %s (%s): %s; %s" % (
            message.destination, message.cause, delivery.problem,
            "given up" if delivery.status == MessageStatus.FAILED else "tried again later")
    return Record(at, level, event, text, message.run_id, application=message.application,
                  error_code=None if event == "notification_sent" else "E500", context=context)

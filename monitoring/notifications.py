"""Who hears of a run: the rules applied to what the history says, and what was decided put into the outbox.

Decided once for each run, in the transaction that marks it as decided, so nobody hears of it twice and no run is
forgotten: one whose runner was killed is decided about by the next command that looks.
"""
import hashlib
import json
import re
from typing import Dict, List, Optional, Sequence, Tuple

from db.history import EventKind, History
from db.outbox import NewMessage, Outbox
from jobs.models import FAILURE_STATUSES, JobStatus, NotificationRule, RunStatus
from jobs.records import RunRecord
from monitoring.message import Facts, Message, failed_jobs, retry_message, run_message

__all__ = ["decide_about", "destination_shown", "events_of", "is_wanted", "new_message", "previous_result",
           "route_of", "tell_retries"]

#: What the end of a run may be about, the most telling first: a rule gets one message about it.
_ORDER = ("recovery", "lost", "failure", "success", "always")
_BAD = (RunStatus.FAILED, RunStatus.LOST)
#: How far back the run before is looked for among those that were cancelled.
_LOOK_BACK = 20
_MOST_RETRIES = 20


def route_of(rule: NotificationRule) -> str:
    """The name of a rule's destination that holds no secret."""
    return hashlib.sha256(rule.to.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def destination_shown(to: str) -> str:
    """A destination for people: of a web address only the host, since the rest often is the key to it."""
    match = re.match(r"(https?://)(?:[^@/?#]*@)?([^/?#]*)(.?)", to)
    if match:
        return match.group(1) + match.group(2) + ("/..." if match.group(3) else "")
    return to if to.startswith("mailto:") else to.partition(":")[0] + ":..."


def previous_result(history: History, run: RunRecord) -> Optional[RunRecord]:
    """The run of the application before that one, which came to a result (was not cancelled)."""
    before = run.run_id
    for _ in range(_LOOK_BACK):
        found = history.last_finished(run.application, before)
        if found is None or found.status != RunStatus.CANCELLED:
            return found
        before = found.run_id
    return None


def events_of(history: History, run: RunRecord) -> Tuple[List[str], Optional[RunRecord]]:
    """What a run that has ended is about, the most telling first; and the run before, where it is a recovery."""
    found = {"always"}
    previous = None
    if run.status == RunStatus.SUCCESS:
        found.add("success")
        previous = previous_result(history, run)
        if previous is not None and previous.status in _BAD:
            found.add("recovery")
        else:
            previous = None
    elif run.status in _BAD:
        found.add("failure")
    if run.status == RunStatus.LOST or history.jobs(run.run_id, (JobStatus.LOST,), limit=1):
        found.add("lost")
    return [event for event in _ORDER if event in found], previous


def is_wanted(history: History, run: RunRecord, rules: Sequence[NotificationRule]) -> bool:
    """Whether any rule asks for something that the run is about: a quick look."""
    wanted = {word for rule in rules for word in rule.on}
    if "retry" in wanted and history.events(run.run_id, EventKind.RETRY, limit=1):
        return True
    return not wanted.isdisjoint(events_of(history, run)[0])


def decide_about(history: History, run: RunRecord, rules: Sequence[NotificationRule], facts: Facts,
                 at: float) -> List[int]:
    """Put into the outbox what is to be said about a run that has ended; the ids of what is to be sent.

    :raises DatabaseError: where it cannot be kept; it is decided by the next one then
    """
    outbox = Outbox(history)
    events, previous = events_of(history, run)
    messages: List[NewMessage] = []
    made: Dict[Tuple[str, str], Message] = {}
    for rule in rules:
        event = next((one for one in events if one in rule.on), None)
        if event is None:
            continue
        key = (event, rule.subject)
        if key not in made:
            made[key] = run_message(history, run, event, facts, rule.subject,
                                    previous if event == "recovery" else None)
        cause = _cause(history, run, event)
        message = made[key]
        kept_back = outbox.suppressed_since_sent(run.application, route_of(rule), cause) if rule.every_s else 0
        if kept_back:
            told = "\n%d more about the same were kept back since the last one\n" % kept_back
            message = message._replace(body=message.body + told)
        messages.append(new_message(rule, cause, message))
    messages += _retries(history, run, rules, facts)
    return outbox.decide(run, messages, at)


def tell_retries(history: History, run: RunRecord, rules: Sequence[NotificationRule], facts: Facts,
                 at: float) -> List[int]:
    """Put into the outbox what is tried again in a run that goes on."""
    messages = _retries(history, run, rules, facts)
    return Outbox(history).decide(run, messages, at, is_over=False) if messages else []


def new_message(rule: NotificationRule, cause: str, message: Message) -> NewMessage:
    """A message to the destination of a rule, as the outbox keeps it."""
    return NewMessage(cause, route_of(rule), destination_shown(rule.to), json.dumps(message._asdict(), sort_keys=True),
                      rule.every_s)


def _retries(history: History, run: RunRecord, rules: Sequence[NotificationRule], facts: Facts) -> List[NewMessage]:
    wanting = [rule for rule in rules if "retry" in rule.on]
    if not wanting:
        return []
    first: Dict[str, str] = {}
    for event in history.events(run.run_id, EventKind.RETRY):
        if event.job_id and len(first) < _MOST_RETRIES:
            first.setdefault(event.job_id, event.why)
    return [new_message(rule, "retry: " + job_id, retry_message(history, run, job_id, why, facts, rule.subject))
            for rule in wanting for job_id, why in first.items()]


def _cause(history: History, run: RunRecord, event: str) -> str:
    """What a message is about: the same jobs failing again are the same cause, others are another."""
    if event == "always":
        return run.status.lower()
    if event not in ("failure", "lost"):
        return event
    names = [job.job_id for job in failed_jobs(history, run)]
    text = ", ".join(names[:5])
    if len(names) > 5:
        text += " and %d more" % ((history.failure_count(run.run_id) or sum(
            history.job_counts(run.run_id).get(status, 0) for status in FAILURE_STATUSES)) - 5)
    return "%s: %s" % (event, text) if text else event

"""From the keys about what surrounds a run to the models that they become."""
from typing import List, Mapping, Optional, Tuple

from config.kinds import Duration
from config.upkeep import Size, addresses, clock_minutes, destinations, joined, notification_rules
from jobs.models import Deadline, MailServer, NotificationRule, Retention

__all__ = ["deadline_of", "mail_server_of", "retention_of", "rules_of"]

_Raw = Mapping[str, object]


def deadline_of(value: object) -> Optional[Deadline]:
    """A deadline as a job gives it; None where it has none."""
    minutes = clock_minutes(value)
    if minutes is not None:
        return Deadline(clock_minutes=minutes)
    seconds = None if value is None else Duration.seconds(value)
    return None if seconds is None else Deadline(after_s=seconds)


def retention_of(value: object) -> Retention:
    """The retention that a file asks for; what it leaves out is as by default."""
    default = Retention()
    if not isinstance(value, dict):
        return default
    runs, days, size = value.get("runs"), value.get("days"), Size.size_bytes(value.get("bytes"))
    return Retention(int(runs) if isinstance(runs, (int, float)) else default.runs,
                     days * 86400.0 if isinstance(days, (int, float)) else default.age_s,
                     default.size_bytes if size is None else size)


def rules_of(top: _Raw, variables: Mapping[str, str]) -> Tuple[NotificationRule, ...]:
    """The rules of a file: those of ``notifications``, and the one that the ``email_*`` keys are short for.

    :param variables: what ``${NAME}`` may refer to
    """
    from config.environment import expand
    rules: List[NotificationRule] = []
    for rule in notification_rules(top):
        on, every = rule["on"], rule.get("every", 0)
        words = tuple(map(str, on)) if isinstance(on, list) else (str(on),)
        for _, to in destinations(rule):
            rules.append(NotificationRule(
                words, expand(to, variables)[0], Duration.seconds(every) or 0.0, str(rule.get("subject", "")),
                expand(str(rule.get("secret", "")), variables)[0]))
    if top.get("email_address"):
        found = addresses(expand(joined(top["email_address"]), variables)[0])
        words = tuple(word for word, wanted in (("failure", top.get("email_on_failure", True)),
                                                ("success", top.get("email_on_success", False))) if wanted is True)
        if found and words:
            rules.append(NotificationRule(words, "mailto:" + ",".join(found)))
    return tuple(rules)


def mail_server_of(top: _Raw, variables: Mapping[str, str]) -> MailServer:
    """The mail server of a file; the one on this machine where it names none."""
    from config.environment import expand

    def text(name: str) -> str:
        return expand(str(top.get(name) or ""), variables)[0]

    port = top.get("smtp_port", 25)
    assert isinstance(port, (int, float))
    return MailServer(text("smtp_server") or "localhost", int(port), text("smtp_user"), text("smtp_password"),
                      text("email_from"))

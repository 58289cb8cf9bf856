"""The keys about what surrounds a run (notifications, retention, deadlines): kinds of their values, and their rules.

A value may refer to variables (``${SLACK_URL}``), so where a message goes is known only after they were expanded:
``destination_problem`` then looks. Nothing of the models is imported here: validation does without them.
"""
import re
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from config.kinds import CONTROLS, Duration, Kind, Schema, Text, is_one_line
from config.problems import Path, Report, shown
from jobs.sizes import MAX_SIZE, SIZE_PATTERN, parse_size

__all__ = ["Addresses", "DeadlineTime", "Destination", "Size", "Subject", "SUBJECT_NAMES", "addresses", "check_upkeep",
           "clock_minutes", "destination_problem", "destinations", "joined", "notification_rules", "upkeep_secrets"]

_Raw = Mapping[str, object]

#: What a subject may name in braces.
SUBJECT_NAMES = ("application", "cause", "host", "jobs", "run_id", "status")
_SCHEMES = ("mailto:", "http://", "https://", "command:")
#: Compiled when they are needed first: most files need none of them.
_CLOCK = r"([01][0-9]|2[0-3]):([0-5][0-9])\Z"
_ADDRESS = r"[^\s,@<>\"()\[\]\\:;]+(@[^\s,@<>\"()\\;]+)?"
_HOST = r"https?://[^\s/?#]+"
#: As JSON Schema has them. Where there is a variable, only its value could tell.
_ADDRESSES = r"[\s,]*%s\s*(,\s*(%s\s*)?)*" % (_ADDRESS, _ADDRESS)
_OPEN = r"\$\{"
_DESTINATION_PATTERN = r"^(mailto:%s|%s[^ %s]*|command:[\s\S]*\S[\s\S]*)$|%s" % (_ADDRESSES, _HOST, CONTROLS, _OPEN)
_ADDRESSES_PATTERN = r"^([\s,]*|%s)$|%s" % (_ADDRESSES, _OPEN)
_SUBJECT_PATTERN = r"^(?![\s\S]*\{(?!(%s)\})[^{}]*\})[^%s]*$" % ("|".join(SUBJECT_NAMES), CONTROLS)


def clock_minutes(value: object) -> Optional[int]:
    """Minutes after midnight of a time of day; None where it is none."""
    match = re.match(_CLOCK, value) if isinstance(value, str) else None
    return int(match.group(1)) * 60 + int(match.group(2)) if match else None


class Destination(Text):
    """Where a message goes: ``mailto:ADDRESS``, a web address, or ``command:COMMAND``."""

    def __init__(self) -> None:
        super().__init__(1, 8192, what="a destination")

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a text that begins as none of them; one with variables is looked at once they are known."""
        super().check_more(value, path, report)
        assert isinstance(value, str)
        if value and "${" not in value and not value.startswith(_SCHEMES):
            report.error(path, "E145", "must begin with mailto:, https://, http:// or command:, got %s" % shown(value))

    def schema(self) -> Schema:
        """A string with one of the beginnings, or with a variable."""
        found = super().schema()
        found["pattern"] = _DESTINATION_PATTERN
        return found


class Subject(Text):
    """The subject of a message, with names in braces."""

    def __init__(self) -> None:
        super().__init__(0, 500, one_line=True)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a name that no message has."""
        super().check_more(value, path, report)
        assert isinstance(value, str)
        for name in re.findall(r"\{([^{}]*)\}", value):
            if name not in SUBJECT_NAMES:
                report.error(path, "E146", "{%s} stands for nothing" % name,
                             report.suggestions.hint(name, list(SUBJECT_NAMES))
                             or "there are: " + ", ".join("{%s}" % one for one in SUBJECT_NAMES))

    def schema(self) -> Schema:
        """A string of one line whose names are known."""
        return dict(super().schema(), pattern=_SUBJECT_PATTERN)


class Addresses(Text):
    """Mail addresses with commas between them."""

    def __init__(self, minimum: int = 0) -> None:
        super().__init__(minimum)

    def schema(self) -> Schema:
        """A string of such; ``check_upkeep`` says which is none, as it does of those behind variables."""
        return dict(super().schema(), pattern=_ADDRESSES_PATTERN)


class Size(Kind):
    """A number of bytes, or text such as ``500M`` or ``10 GiB``; the units are powers of 1024."""

    what = "a size"
    types = (int, float, str)
    #: Fewest bytes.
    least = 0

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a text that is no size, and what is out of bounds."""
        size = self.size_bytes(value)
        if size is None or size < self.least:
            report.error(path, "E105", "must be a size from %s to 1 EiB, got %s" % (
                "1 byte" if self.least else "0", shown(value)),
                         'write bytes, or text such as "500M" or "10GiB"' if size is None else "")

    @staticmethod
    def size_bytes(value: object) -> Optional[int]:
        """Bytes of a size as a file gives it; None where it is none."""
        return parse_size(value)

    def schema(self) -> Schema:
        """A number, or a text with a unit."""
        return {"anyOf": [{"type": "number", "exclusiveMinimum" if self.least else "minimum": 0, "maximum": MAX_SIZE},
                          {"type": "string", "pattern": SIZE_PATTERN.replace("^", "^(?=.*[1-9])", self.least)}]}


class DeadlineTime(Kind):
    """A time of day (``"06:30"``), or how long after the run's start."""

    what = 'a time of day such as "06:30", or a duration from the start of the run'
    types = (int, float, str)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is neither."""
        if isinstance(value, str) and ":" in value:
            if not re.match(_CLOCK, value):
                report.error(path, "E104", 'must be a time of day from "00:00" to "23:59", got %s' % shown(value))
        else:
            Duration(positive=True).check(value, path, report)

    def schema(self) -> Schema:
        """A time of day or a duration."""
        options = Duration(positive=True).schema()["anyOf"]
        assert isinstance(options, list)
        return {"anyOf": options + [{"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}]}


def addresses(value: object) -> List[str]:
    """The addresses of ``email_address``: a text with commas, or a list."""
    words = value if isinstance(value, list) else str(value).split(",")
    return [word for word in (str(one).strip() for one in words) if word]


def is_address(text: str) -> bool:
    """Whether a text is a mail address; one without ``@`` is somebody at the mail server's own host."""
    return re.match(_ADDRESS + r"\Z", text) is not None


def destination_problem(text: str) -> Optional[str]:
    """Why nothing can be sent to a destination whose variables are expanded; None where something can."""
    kind, _, rest = text.partition(":")
    if not text.startswith(_SCHEMES):
        return "must begin with mailto:, https://, http:// or command:"
    if kind == "mailto":
        found = addresses(rest)
        wrong = [one for one in found if not is_address(one)]
        if wrong:
            return "%s is no mail address" % shown(wrong[0])
        return None if found else "names no mail address"
    if kind == "command":
        return None if rest.strip() else "names no command"
    return None if re.match(_HOST, text) and is_one_line(text) and " " not in text else "is no web address"


def upkeep_secrets(top: _Raw, variables: Mapping[str, str]) -> List[str]:
    """Values that are secret by the place where they stand: what bodies are signed with, and what is in a web
    address behind the host, which often is the key to it."""
    from config.environment import expand
    found: List[str] = []
    for rule in notification_rules(top):
        found.append(expand(str(rule.get("secret", "")), variables)[0])
        for _, to in destinations(rule):
            expanded = expand(to, variables)[0]
            host = re.match(_HOST, expanded)
            # As it is written in the file anybody may see it who sees the file.
            if host and "${" in to:
                found.append(expanded[host.end():])
    return found


def check_upkeep(top: _Raw, variables: Mapping[str, str], report: Report) -> None:
    """Report destinations and addresses that nothing can be sent to, and keys that have no effect."""
    from config.environment import expand
    for index, rule in enumerate(notification_rules(top)):
        for place, to in destinations(rule):
            base: Path = ("notifications", index, "to")
            path = base + place
            expanded, missing = expand(to, variables)
            report.unset(path, missing)
            problem = None if missing else destination_problem(expanded)
            if problem:
                report.error(path, "E145", problem + ("" if expanded != to else ", got " + shown(to)))
            if rule.get("secret") and not expanded.startswith("http"):
                report.warning(("notifications", index, "secret"), "W107", "has no effect: only web addresses get a "
                               "signature")
        report.unset(("notifications", index, "secret"), expand(str(rule.get("secret", "")), variables)[1])
    if top.get("email_address"):
        expanded, missing = expand(joined(top["email_address"]), variables)
        report.unset(("email_address",), missing)
        for one in [] if missing else addresses(expanded):
            if not is_address(one):
                report.error(("email_address",), "E145", "%s is no mail address" % shown(one))
    elif not any(to.startswith("mailto:") or "${" in to
                 for rule in notification_rules(top) for _, to in destinations(rule)):
        for name in ("email_on_success", "email_from", "smtp_server", "smtp_port", "smtp_user", "smtp_password"):
            if name in top:
                report.warning((name,), "W107", "has no effect: nobody is to get mail (email_address)", at_key=True)
                break
    if top.get("smtp_password") and not top.get("smtp_user"):
        report.warning(("smtp_password",), "W107", "has no effect without smtp_user", at_key=True)


def joined(value: object) -> str:
    """The addresses of ``email_address`` as one text."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def notification_rules(top: _Raw) -> List[Dict[str, object]]:
    """The rules as the file writes them."""
    rules = top.get("notifications", [])
    assert isinstance(rules, list)
    return [rule for rule in rules if isinstance(rule, dict)]


def destinations(rule: _Raw) -> Iterator[Tuple[Path, str]]:
    """Where a rule sends to: place below ``to``, and the text."""
    to = rule.get("to")
    if isinstance(to, list):
        for index, one in enumerate(to):
            yield (index,), str(one)
    else:
        yield (), str(to)

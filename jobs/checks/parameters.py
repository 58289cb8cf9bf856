"""The parameters of checks: what a file may give, and what the check gets of it.

A text with ``${VAR}`` in it may stand for any value: it is looked at again once the variable is known. So numbers and
truths are taken as text too.
"""
import re
from dataclasses import dataclass
from typing import Callable, Dict, Optional, Tuple

from jobs.sizes import parse_size
from jobs.times import MAX_DURATION_S, parse_duration

__all__ = ["PERCENT_PATTERN", "Parameter", "Share", "is_open", "json_text"]

_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_MOST_SHOWN = 60
#: As JSON Schema has it.
PERCENT_PATTERN = r"^(100|[0-9]{1,2}(?:\.[0-9]{1,9})?) ?%$"
_PERCENT = re.compile(PERCENT_PATTERN.replace("$", r"\Z"))


@dataclass
class Share:
    """A part of something: bytes, or per cent of the whole."""

    size_bytes: int = 0
    percent: Optional[float] = None


@dataclass
class Parameter:
    """A parameter of a check.

    ``kind``: ``path`` (a string, relative to the job's folder; may be a pattern), ``text``, ``words`` (a text that is
    not empty), ``pattern`` (a regular expression), ``integer``, ``duration`` (seconds, or text such as ``15m``),
    ``size`` (bytes, or text such as ``10GiB``), ``share`` (a size, or text such as ``10%``), or ``command`` (text for
    a shell, or an argument vector). ``minimum`` and ``maximum`` bound numbers and durations.
    """

    name: str
    kind: str
    help: str
    required: bool = True
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    choices: Tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What it must be, in words."""
        if self.choices:
            return " or ".join('"%s"' % choice for choice in self.choices)
        words = _KINDS[self.kind][0]
        if self.minimum is not None and self.maximum is not None:
            words += ", from %g to %g" % (self.minimum, self.maximum)
        elif self.minimum is not None:
            words += ", %g or more" % self.minimum
        return words

    def problem(self, value: object) -> str:
        """What is wrong with a value; "" where nothing is."""
        if self.value(value) is None:
            return "must be %s, got %s" % (self.what, json_text(value))
        return ""

    def value(self, value: object) -> Optional[object]:
        """A value as the check gets it; None where it is none."""
        found = _KINDS[self.kind][1](value)
        if found is None or (self.choices and found not in self.choices):
            return None
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            if (self.minimum is not None and found < self.minimum) or (
                    self.maximum is not None and found > self.maximum):
                return None
        return found


def json_text(value: object) -> str:
    """A value as it stands in JSON, where it is short enough to be read."""
    import json
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN - 1] + "\u2026"


def is_open(value: object) -> bool:
    """Whether a value is known only when its variables are."""
    return isinstance(value, str) and "${" in value


def _words(value: object) -> Optional[object]:
    return value if isinstance(value, str) and value and "\0" not in value else None


def _text(value: object) -> Optional[object]:
    return value if isinstance(value, str) and "\0" not in value else None


def _pattern(value: object) -> Optional[object]:
    if not isinstance(value, str) or not value:
        return None
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return None
    return value


def _integer(value: object) -> Optional[object]:
    if isinstance(value, str):
        return int(value) if _INTEGER.match(value) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _duration(value: object) -> Optional[object]:
    found = parse_duration(value) if isinstance(value, str) else value
    is_one = isinstance(found, (int, float)) and not isinstance(found, bool) and 0 <= found <= MAX_DURATION_S
    return float(found) if is_one else None  # type: ignore[arg-type]


def _size(value: object) -> Optional[object]:
    found = None if isinstance(value, bool) else parse_size(value)
    return found if found is not None and found >= 0 else None


def _share(value: object) -> Optional[object]:
    match = _PERCENT.match(value) if isinstance(value, str) else None
    if match is not None:
        return Share(percent=float(match.group(1)))
    found = _size(value)
    return Share(found) if isinstance(found, int) else None


def _command(value: object) -> Optional[object]:
    if isinstance(value, str):
        return value if value.strip() and "\0" not in value else None
    is_vector = isinstance(value, list) and value and value[0] and all(
        isinstance(word, str) and "\0" not in word for word in value)
    return value if is_vector else None


_KINDS: Dict[str, Tuple[str, Callable[[object], Optional[object]]]] = {
    "path": ("a path", _words), "text": ("a string", _text), "words": ("a string that is not empty", _words),
    "pattern": ("a regular expression", _pattern),
    "integer": ("a whole number", _integer),
    "duration": ('a duration (seconds, or text such as "15m")', _duration),
    "size": ('a size such as 1024 or "10MiB"', _size),
    "share": ('a size such as "10GiB", or a share such as "10%"', _share),
    "command": ("a command: a string, or a list of strings", _command),
}

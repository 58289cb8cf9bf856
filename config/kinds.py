"""The kinds of values that a key may have: each checks a value, and says the same as JSON Schema.

A kind reports what is wrong with one value. What needs several values at once (an id twice, a cycle) stands in
``config/validator.py``. A key that begins with ``_`` is a comment and is ignored in every object.
"""
import re
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from config.problems import Path, Report, kind_of, quoted, shown
from jobs.times import MAX_DURATION_S, parse_duration

__all__ = ["CONTROLS", "Checks", "Choice", "Command", "Condition", "DURATION_PATTERN", "Declared", "Duration",
           "Either", "Flag", "Integer", "Key", "Kind", "ListOf", "MAX_DEPTH", "MAX_DIGITS",
           "MAX_POOL_SLOTS", "MAX_TEXT", "Number", "ONE_LINE_PATTERN", "Object", "Outputs", "Pools", "Probe",
           "Schema", "Signal", "Switches", "Table", "Text", "Variables", "check_keys", "check_text", "is_comment",
           "is_identifier", "is_number", "is_one_line", "text_bytes"]

#: A JSON Schema, or a part of one.
Schema = Dict[str, object]

#: Deepest nesting of lists and objects.
MAX_DEPTH = 64
#: Most digits of a whole number; what has more fits into no counter.
MAX_DIGITS = 18
#: Longest command or value in bytes: 128 KiB with the NUL that ends it, which is what Linux takes as one argument.
MAX_TEXT = 128 * 1024 - 1
#: Most slots of a pool: each is a file that a run keeps open.
MAX_POOL_SLOTS = 200

ID_PATTERN = "^(?!\\.{1,2}$)[A-Za-z0-9_.:-]{1,128}$"
NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_]*$"
ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-")
#: Compiled when they are needed first: few files have such ids.
_ID_STEP = r"[^/\[\]]+(?:\[[^\[\]]*\])?"
_MADE_ID = r"[^/\[\]]+(?:\[[^\[\]]*\])?(?:/[^/\[\]]+(?:\[[^\[\]]*\])?)*\Z"
_NAME_CHARACTERS = ID_CHARACTERS - frozenset(".:-")
#: No part of it is more than ten years; whether the sum is, a pattern cannot say.
DURATION_PATTERN = ("(?=.)(0*[0-9]{1,4}(\\.[0-9]+)?d)?(0*[0-9]{1,5}(\\.[0-9]+)?h)?(0*[0-9]{1,7}(\\.[0-9]+)?m)?"
                    "(0*[0-9]{1,9}(\\.[0-9]+)?s?)?$")
#: What a text of one line must not hold: control characters, ends of lines, what is unseen or turns the direction.
CONTROLS = "\\u0000-\\u001f\\u007f-\\u009f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb"
ONE_LINE_PATTERN = "^[^%s]*$" % CONTROLS
_DURATION_HINT = 'write seconds, or text such as "90s", "15m", "1h30m" or "2d"'


def is_comment(key: str) -> bool:
    """Whether a key is a comment: it is ignored wherever it stands."""
    return key[:1] == "_"


def is_number(value: object) -> bool:
    """Whether a JSON value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_identifier(name: str) -> bool:
    """Whether a name is of letters, digits and ``_``, beginning with a letter: one that can be referred to."""
    return bool(name) and name[0].isalpha() and _NAME_CHARACTERS.issuperset(name)


def text_bytes(text: str) -> int:
    """Bytes of a text as a program is given it."""
    return len(text.encode("utf-8", "surrogatepass"))


class Probe(Report):
    """A report that only learns whether there is something to say."""

    class Found(Exception):
        """There is something to say."""

    def error(self, path: Path, code: str, message: str, hint: str = "", at_key: bool = False,
              place: Optional[Path] = None) -> None:
        """Stop at the first error."""
        raise Probe.Found

    def warning(self, path: Path, code: str, message: str, hint: str = "", at_key: bool = False) -> None:
        """Stop at the first warning."""
        raise Probe.Found


class Kind:
    """A kind of value."""

    #: What a message says that it must be.
    what = ""
    #: Types of the JSON values that this kind is about (``bool`` is not an ``int`` here).
    types: Tuple[type, ...] = ()

    def check(self, value: object, path: Path, report: Report) -> None:
        """Report what is wrong with the value."""
        if type(value) not in self.types:
            report.error(path, "E103", "must be %s, got %s" % (self.what, shown(value)))
        else:
            self.check_more(value, path, report)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is wrong with a value that has one of the right types."""

    def is_clean(self, value: object) -> bool:
        """Whether there is nothing to report about the value."""
        try:
            self.check(value, (), _PROBE)
        except Probe.Found:
            return False
        return True

    def schema(self) -> Schema:
        """The same as JSON Schema."""
        raise NotImplementedError


_PROBE = Probe()


class Flag(Kind):
    """True or false."""

    what = "true or false"
    types = (bool,)

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


class Text(Kind):
    """A string.

    :param minimum: fewest characters
    :param maximum: most bytes (UTF-8)
    :param one_line: whether control characters are refused
    :param secret: whether a wrong value is kept out of messages
    """

    what = "a string"
    types = (str,)

    def __init__(self, minimum: int = 0, maximum: int = MAX_TEXT, one_line: bool = False, secret: bool = False,
                 what: str = "a string") -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.one_line = one_line
        self.secret = secret
        self.what = what

    def check(self, value: object, path: Path, report: Report) -> None:
        """Report what is wrong with the value, without showing it where it is a secret."""
        if self.secret and not isinstance(value, str):
            found = "a number" if is_number(value) else kind_of(value)
            report.error(path, "E103", "must be %s, got %s" % (self.what, found))
        else:
            super().check(value, path, report)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a text that is too short, too long, or unusable."""
        assert isinstance(value, str)
        check_text(value, path, report, self.maximum)
        if len(value) < self.minimum:
            report.error(path, "E105", "must not be empty")
        elif self.one_line and not is_one_line(value):
            report.error(path, "E105", "must be one line without control characters, got %s" % shown(value))

    def schema(self) -> Schema:
        """A string with its bounds; a byte is at most one character."""
        found: Schema = {"type": "string", "maxLength": self.maximum}
        if self.minimum:
            found["minLength"] = self.minimum
        if self.one_line:
            found["pattern"] = ONE_LINE_PATTERN
        return found


def is_one_line(text: str) -> bool:
    """Whether a text holds no control characters; which others are printable depends on the Python."""
    return text.isprintable() or not re.search("[%s]" % CONTROLS, text)


def check_text(text: str, path: Path, report: Report, maximum: int = MAX_TEXT) -> None:
    """Report a text that no program can be given: too long, with a NUL, or with half a surrogate pair."""
    if len(text) * 4 > maximum and text_bytes(text) > maximum:
        report.error(path, "E105", "must be at most %d bytes, got %d" % (maximum, text_bytes(text)))
    if "\0" in text:
        report.error(path, "E113", "must not hold a NUL character")
    if not text.isprintable():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            report.error(path, "E113", "must not hold half of a surrogate pair")


class Identifier(Kind):
    """The id of a job."""

    what = "a string"
    types = (str,)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what an id must not be."""
        assert isinstance(value, str)
        if not value:
            report.error(path, "E109", "must not be empty")
        elif len(value) > 128:
            report.error(path, "E109", "must be at most 128 characters, got %d" % len(value))
        elif value in (".", "..") or not ID_CHARACTERS.issuperset(value):
            report.error(path, "E109", "must consist of letters, digits and _ . : - (and not be . or ..), got %s"
                         % shown(value))

    def schema(self) -> Schema:
        """A string of the grammar of ids."""
        return {"type": "string", "pattern": ID_PATTERN}


class JobReference(Kind):
    """The id of a job, or of one that is made: ``id[item]``, ``outer/inner``; ``${item}`` may stand in the brackets."""

    what = "a string"
    types = (str,)
    _part = Identifier()

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is no id, in any part of it."""
        assert isinstance(value, str)
        parts = job_id_parts(value)
        if not parts:
            report.error(path, "E109", "must be the id of a job, or id[item], got %s" % shown(value))
        for part in parts:
            self._part.check(part, path, report)

    def schema(self) -> Schema:
        """A string of the grammar of ids, with items in brackets, and slashes between."""
        part = r"(?!\.{1,2}(/|\[|$))[A-Za-z0-9_.:-]{1,128}(\[[^\[\]]*\])?"
        return {"type": "string", "pattern": "^%s(/%s)*$" % (part, part)}


def job_id_parts(text: str) -> List[str]:
    """The written ids of which the id of a made job consists, without items; empty where it is none."""
    if "[" not in text and "/" not in text:
        return [text]
    found = re.match(_MADE_ID, text)
    return [step.partition("[")[0] for step in re.findall(_ID_STEP, text)] if found else []


class VariableName(Kind):
    """The name of an environment variable."""

    what = "a string"
    types = (str,)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what a name must not be."""
        assert isinstance(value, str)
        if not value or "=" in value or "\0" in value:
            report.error(path, "E118", 'must be the name of a variable, without "=", got %s' % shown(value))

    def schema(self) -> Schema:
        """A string without the equals sign."""
        return {"type": "string", "minLength": 1, "pattern": "^[^=\\u0000]+$"}


class Integer(Kind):
    """A whole number; 2.0 is one, as JSON Schema has it."""

    types = (int, float)

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.what = "a whole number"

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a fraction and what is out of bounds."""
        assert isinstance(value, (int, float))
        if isinstance(value, float) and not value.is_integer():
            report.error(path, "E103", "must be a whole number, got %s" % shown(value))
        elif not self.minimum <= value <= self.maximum:
            report.error(path, "E105", "must be from %d to %d, got %s" % (self.minimum, self.maximum, shown(value)))

    def schema(self) -> Schema:
        """An integer with its bounds."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


class Number(Kind):
    """A number."""

    what = "a number"
    types = (int, float)

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is out of bounds."""
        assert isinstance(value, (int, float))
        if not self.minimum <= value <= self.maximum:
            report.error(path, "E105", "must be from %s to %s, got %s" % (
                _plain(self.minimum), _plain(self.maximum), shown(value)))

    def schema(self) -> Schema:
        """A number with its bounds."""
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


def _plain(bound: float) -> str:
    """A bound as one writes it: 1000000, not 1e+06."""
    return "%d" % bound if bound == int(bound) and abs(bound) < 1e15 else "%g" % bound


class Duration(Kind):
    """Seconds, or text such as ``1h30m``.

    :param positive: whether zero is refused
    """

    what = "a duration"
    types = (int, float, str)

    def __init__(self, positive: bool = False) -> None:
        self.positive = positive

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a text that is no duration, and what is out of bounds."""
        seconds = self.seconds(value)
        if seconds is None or not (0 < seconds if self.positive else 0 <= seconds):
            report.error(path, "E104", "must be %s, got %s" % (
                "a positive duration" if self.positive else "a duration of 0 or more", shown(value)),
                _DURATION_HINT if seconds is None else "")
        elif seconds > MAX_DURATION_S:
            report.error(path, "E104", "must be at most 10 years, got %s" % shown(value))

    @staticmethod
    def seconds(value: object) -> Optional[float]:
        """Seconds of a duration as a file gives it; None where it is none."""
        if isinstance(value, (int, float)):
            return float(value) if value == value else None
        if isinstance(value, str) and len(value) <= 64:
            return parse_duration(value)
        return None

    def schema(self) -> Schema:
        """A number with its bounds, or a text with units."""
        bound = "exclusiveMinimum" if self.positive else "minimum"
        return {"anyOf": [
            {"type": "number", bound: 0, "maximum": MAX_DURATION_S},
            {"type": "string", "maxLength": 64,
             "pattern": "^" + ("(?=.*[1-9])" if self.positive else "") + DURATION_PATTERN}]}


class Choice(Kind):
    """One of a few words."""

    types = (str,)

    def __init__(self, *words: str) -> None:
        self.words = words
        self.what = " or ".join(quoted(word) for word in words)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a word that is none of them."""
        assert isinstance(value, str)
        if value not in self.words:
            report.error(path, "E106", "must be %s, got %s" % (self.what, shown(value)),
                         report.suggestions.hint(value, list(self.words)))

    def schema(self) -> Schema:
        """An enumeration."""
        return {"enum": list(self.words)}


class Signal(Kind):
    """A signal by name, with or without SIG, or by number."""

    what = "the name or the number of a signal"
    types = (str, int, float)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is no signal of this system."""
        if self.number(value) is None:
            report.error(path, "E117", "must be a signal such as \"TERM\", \"SIGINT\" or 15, got %s" % shown(value))

    @staticmethod
    def number(value: object) -> Optional[int]:
        """The number of a signal as a file gives it; None where there is none."""
        import signal
        if isinstance(value, (int, float)):
            return int(value) if 1 <= value < signal.NSIG and value == int(value) else None
        if isinstance(value, str):
            found = signal.Signals.__members__.get(value if value.startswith("SIG") else "SIG" + value)
            return int(found) if found is not None else None
        return None

    def schema(self) -> Schema:
        """A name or a number; which of them exist is the system's to say."""
        return {"anyOf": [{"type": "string", "pattern": "^(SIG)?[A-Z][A-Z0-9+-]*$"},
                          {"type": "integer", "minimum": 1, "maximum": 64}]}


class ListOf(Kind):
    """A list of values of one kind."""

    types = (list,)

    def __init__(self, item: Kind, minimum: int = 0, maximum: int = 100000, what: str = "a list") -> None:
        self.item = item
        self.minimum = minimum
        self.maximum = maximum
        self.what = what

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report the length, and what is wrong with each item."""
        assert isinstance(value, list)
        if len(value) < self.minimum:
            report.error(path, "E105", "must not be empty")
        elif len(value) > self.maximum:
            report.error(path, "E105", "must have at most %d entries, got %d" % (self.maximum, len(value)))
        check = self.item.check
        for index, item in enumerate(value):
            check(item, path + (index,), report)

    def schema(self) -> Schema:
        """An array with its bounds."""
        found: Schema = {"type": "array", "items": self.item.schema(), "maxItems": self.maximum}
        if self.minimum:
            found["minItems"] = self.minimum
        return found


class Command(ListOf):
    """An argument vector: a program and what it is given, never a shell."""

    def __init__(self) -> None:
        super().__init__(Text(), minimum=1, what="a list of strings")

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what an argument vector must not be."""
        super().check_more(value, path, report)
        assert isinstance(value, list)
        if value and value[0] == "":
            report.error(path + (0,), "E105", "must be a program, got an empty string")
        total = sum(text_bytes(word) + 1 for word in value if isinstance(word, str))
        if len(value) > 1 and total > MAX_TEXT + 1:
            report.error(path, "E105", "must be at most %d bytes in all, got %d" % (MAX_TEXT + 1, total))

    def schema(self) -> Schema:
        """An array of strings whose first is not empty."""
        found = super().schema()
        found["prefixItems"] = [{"type": "string", "minLength": 1}]
        return found


class Either(Kind):
    """One of several kinds, told apart by the type of the value."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.what = " or ".join(kind.what for kind in kinds)
        self.types = tuple(found for kind in kinds for found in kind.types)

    def check(self, value: object, path: Path, report: Report) -> None:
        """Report what is wrong with the value, as the first kind sees it that is about its type."""
        for kind in self.kinds:
            if type(value) in kind.types:
                kind.check(value, path, report)
                return
        report.error(path, "E103", "must be %s, got %s" % (self.what, shown(value)))

    def schema(self) -> Schema:
        """Any of them."""
        return {"anyOf": [kind.schema() for kind in self.kinds]}


class Variables(Kind):
    """Environment variables: an object of strings; numbers and booleans become text."""

    what = "an object of strings"
    types = (dict,)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report names that no program can be given, and values that are no text."""
        assert isinstance(value, dict)
        for name, item in value.items():
            if is_comment(name):
                continue
            here = path + (name,)
            if not name or name[0].isdigit() or not _NAME_CHARACTERS.issuperset(name):
                report.error(here, "E118", "the name of a variable must be letters, digits and _, not beginning "
                             "with a digit, got %s" % shown(name), at_key=True)
            if isinstance(item, str):
                check_text(item, here, report, MAX_TEXT - len(name) - 1)
            elif not isinstance(item, (bool, int, float)):
                report.error(here, "E103", "must be a string, a number, true or false, got %s" % kind_of(item))

    def schema(self) -> Schema:
        """An object of strings, numbers and booleans."""
        return {"type": "object", "additionalProperties": False, "patternProperties": {
            "^_": True, NAME_PATTERN: {"type": ["string", "number", "boolean"], "maxLength": MAX_TEXT}}}


class Switches(Kind):
    """An object of true and false; which names there are is looked at with the environment's switches."""

    what = "an object of true and false"
    types = (dict,)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is neither true nor false."""
        assert isinstance(value, dict)
        for name, item in value.items():
            if not is_comment(name) and not isinstance(item, bool):
                report.error(path + (name,), "E103", "must be true or false, got %s" % shown(item))

    def schema(self) -> Schema:
        """An object of booleans with the names that there are."""
        from config.features import ALIASES, FEATURES
        return {"type": "object", "additionalProperties": False, "patternProperties": {"^_": True},
                "properties": {name: {"type": "boolean"} for name in sorted(set(FEATURES) | set(ALIASES))}}


class Checks(Kind):
    """A list of checks with their parameters. Which there are is known only with the file's plugins.

    :param before: whether they are asked before the job, which has written nothing then
    """

    what = "a list of checks"
    types = (list,)

    def __init__(self, before: bool) -> None:
        self.before = before

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is no check, and parameters of built-in ones that are unknown, missing or wrong."""
        assert isinstance(value, list)
        if not value:
            return
        from jobs.checks.registry import BUILT_IN
        for index, item in enumerate(value):
            here = path + (index,)
            if not isinstance(item, dict):
                report.error(here, "E103", 'must be an object such as {"name": ..., "params": {...}}, got %s'
                             % shown(item))
                continue
            check_keys(item, ("name", "params"), here, report)
            name = item.get("name")
            params = item.get("params", {})
            if not isinstance(params, dict):
                report.error(here + ("params",), "E103", "must be an object, got %s" % shown(params))
            if "name" not in item:
                report.error(here, "E107", 'the key "name" is required')
            elif not isinstance(name, str):
                report.error(here + ("name",), "E103", "must be a string, got %s" % shown(name))
            else:
                declaration = BUILT_IN.get(name)
                if declaration is not None and declaration.only_after and self.before:
                    report.error(here + ("name",), "E154", "%s looks at what the job wrote, and before it there is "
                                 "nothing" % name, "put it into post_checks")
                if isinstance(params, dict):
                    given = {key: one for key, one in params.items() if not is_comment(key)}
                    if declaration is not None:
                        known = [one.name for one in declaration.parameters]
                        for key, message in declaration.problems(given, is_whole=False):
                            at = here + ("params", key) if key in given else here
                            hint = report.suggestions.hint(key, known) if key not in known else ""
                            report.error(at, "E141", message, hint, at_key=bool(hint))
                    _check_texts(given, here + ("params",), report)

    def schema(self) -> Schema:
        """An array of checks, each with the parameters that it takes."""
        from jobs.checks.registry import BUILT_IN
        itself: Schema = {"$ref": "#/$defs/check"}
        if not self.before:
            return {"type": "array", "items": itself}
        after = [name for name in BUILT_IN.names() if getattr(BUILT_IN.get(name), "only_after", False)]
        return {"type": "array", "items": {"allOf": [itself, {"properties": {"name": {"not": {"enum": after}}}}]}}


class Condition(Kind):
    """What must hold for a job to run."""

    what = 'an object such as {"file_exists": ...}'
    types = (dict,)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what is no condition, wherever it stands in it."""
        from jobs.checks.conditions import condition_problems
        problems = condition_problems(value)
        for place, message in problems:
            code = "E114" if message.startswith("is no regular expression") else "E147"
            report.error(path + tuple(step for step in place if isinstance(step, (int, str))), code, message)
        if not problems:
            _check_texts(value, path, report)

    def schema(self) -> Schema:
        """A reference to the conditions, which stand in each other."""
        return {"$ref": "#/$defs/condition"}


def _check_texts(value: object, path: Path, report: Report) -> None:
    """Report texts, at any depth, that no program can be given."""
    if isinstance(value, str):
        check_text(value, path, report)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_texts(item, path + (index,), report)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not is_comment(name):
                _check_texts(item, path + (name,), report)


class OutputName(Kind):
    """The name of what a job tells others."""

    what = "a string"
    types = (str,)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what a name must not be."""
        assert isinstance(value, str)
        if not value or value[0].isdigit() or not _NAME_CHARACTERS.issuperset(value) or len(value) > 128:
            report.error(path, "E105", "must be letters, digits and _, not beginning with a digit, at most 128 "
                         "characters, got %s" % shown(value))

    def schema(self) -> Schema:
        """A string of the grammar of names."""
        return {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"}


class Outputs(ListOf):
    """A list of names, each once."""

    def __init__(self) -> None:
        super().__init__(OutputName(), maximum=1000, what="a list of names")

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report names that are wrong, and those that stand twice."""
        super().check_more(value, path, report)
        assert isinstance(value, list)
        for index, name in enumerate(value):
            if isinstance(name, str) and name in value[:index]:
                report.error(path + (index,), "E105", "the name %s stands twice in the list" % quoted(name))

    def schema(self) -> Schema:
        """An array of different names."""
        return dict(super().schema(), uniqueItems=True)


class Pools(Kind):
    """An object of names and how many slots each pool has."""

    what = "an object of numbers"
    types = (dict,)
    _slots = Integer(1, MAX_POOL_SLOTS)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report names that no pool can have, and numbers that no pool can offer."""
        assert isinstance(value, dict)
        for name, item in value.items():
            if is_comment(name):
                continue
            if not ID_CHARACTERS.issuperset(name) or not 0 < len(name) <= 128 or name in (".", ".."):
                report.error(path + (name,), "E109", "the name of a pool must consist of letters, digits and _ . : -, "
                             "got %s" % shown(name), at_key=True)
            self._slots.check(item, path + (name,), report)

    def schema(self) -> Schema:
        """An object of whole numbers."""
        return {"type": "object", "additionalProperties": False, "patternProperties": {
            "^_": True, ID_PATTERN.replace("^", "^(?!_)", 1): self._slots.schema()}}


class Key:
    """One key of one table: everything that the validator, the schema, the sample and the reference say about it.

    :param default: the value that holds where the key is missing; None = none, or told by ``default_text``
    :param new: whether the earlier Executioner did not have it
    """

    __slots__ = ("name", "kind", "default", "help", "required", "new", "default_text", "example")

    def __init__(self, name: str, kind: Kind, default: object, help: str,  # noqa: A002
                 required: bool = False, new: bool = False, default_text: str = "", example: object = None) -> None:
        self.name = name
        self.kind = kind
        self.default = default
        self.help = help
        self.required = required
        self.new = new
        self.default_text = default_text
        self.example = example


class Table:
    """The keys of one kind of object."""

    def __init__(self, name: str, keys: Sequence[Key]) -> None:
        self.name = name
        self.keys = tuple(keys)
        self.by_name: Dict[str, Key] = {key.name: key for key in keys}

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def without(self, name: str, *left_out: str) -> "Table":
        """The same table with no key required and some left out."""
        return Table(name, [Key(key.name, key.kind, key.default, key.help, False, key.new,
                                "none" if key.required else key.default_text, key.example)
                            for key in self.keys if key.name not in left_out])


class Object(Kind):
    """An object whose keys stand in a table."""

    types = (dict,)

    def __init__(self, table: Table, what: str = "an object") -> None:
        self.table = table
        self.what = what

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report unknown and missing keys, and what is wrong with each value."""
        assert isinstance(value, dict)
        known = self.table.by_name
        check_keys(value, known, path, report)
        for key in self.table.keys:
            if key.name in value:
                key.kind.check(value[key.name], path + (key.name,), report)
            elif key.required:
                report.error(path, "E107", "the key %s is required" % quoted(key.name))

    def schema(self) -> Schema:
        """A reference to the table's own definition."""
        return {"$ref": "#/$defs/" + self.table.name}


class Declared(Kind):
    """An object of objects by names of the file's own."""

    types = (dict,)

    def __init__(self, table: Table, what: str) -> None:
        self.table = table
        self.what = what
        self._item = Object(table)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report names that cannot be referred to, and what is wrong with each object."""
        assert isinstance(value, dict)
        for name, item in value.items():
            if is_comment(name):
                continue
            if not is_identifier(name) or len(name) > 100:
                report.error(path + (name,), "E105", "a name must be letters, digits and _, beginning with a letter, "
                             "at most 100 characters, got %s" % shown(name), at_key=True)
            self._item.check(item, path + (name,), report)

    def schema(self) -> Schema:
        """An object of such objects."""
        return {"type": "object", "additionalProperties": False, "patternProperties": {
            "^_": True, "^[A-Za-z][A-Za-z0-9_]{0,99}$": self._item.schema()}}


def check_keys(value: Dict[str, object], known: Union[Dict[str, Key], Tuple[str, ...]], path: Path,
                report: Report, elsewhere: Optional[Callable[[str], str]] = None) -> None:
    """Report keys that nobody knows: an error, or a warning where strict_validation is off.

    :param elsewhere: the hint for a key that is known at another place of the file; "" = it is not
    """
    for name in value:
        if name not in known and not is_comment(name):
            names: List[str] = list(known)
            hint = (elsewhere and elsewhere(name)) or report.suggestions.hint(name, names)
            if report.strict:
                report.error(path + (name,), "E108", "unknown key", hint, at_key=True)
            else:
                report.warning(path + (name,), "W106", "unknown key", hint, at_key=True)

"""What can be wrong with a configuration: every code with its one line, and how a problem is written.

Nothing here is costly to import: a file without problems pays for this module as well.
"""
import json
from typing import Dict, Iterable, List, Optional, Set, Tuple, Union

__all__ = ["CODES", "ERROR", "Finding", "Path", "Problem", "Report", "Suggestions", "WARNING", "kind_of", "nobody_sets",
           "path_text", "quoted", "shown"]

#: Where a value stands: keys of objects and indexes of lists, from the top.
Path = Tuple[Union[str, int], ...]

ERROR = "error"
WARNING = "warning"

#: The documented table of codes. ``E`` stops a run (exit code 2), ``W`` does not.
CODES: Dict[str, str] = {
    "E101": "the file cannot be read",
    "E102": "the text is not JSON, or not UTF-8",
    "E103": "the value has the wrong type",
    "E104": "a duration is negative, zero where it must not be, too long, or not understood",
    "E105": "the value is out of bounds: too small, too large, too long or empty",
    "E106": "the value is none of those that are allowed",
    "E107": "a required key is missing",
    "E108": "the key is unknown",
    "E109": "the id of a job or the name of a pool has characters that it must not have",
    "E110": "the same key stands twice in one object",
    "E111": "the number is not finite or has too many digits",
    "E112": "lists and objects are nested too deeply",
    "E113": "the text holds a NUL or half of a surrogate pair, which no program can be given",
    "E114": "the regular expression cannot be compiled",
    "E117": "there is no such signal",
    "E118": "the name of an environment variable has characters that it must not have",
    "E119": "others could have written the file: its owner or its permissions are not safe",
    "E120": "two jobs have the same id",
    "E121": "a dependency names no job of the file",
    "E122": "a job depends on itself",
    "E123": "a job names the same dependency twice",
    "E124": "join asks for more dependencies than the job has",
    "E125": "a reference names an output that the job cannot be told",
    "E126": "there is no pool of that name, or it has fewer slots than the job takes",
    "E127": "an exit code means success and that there was nothing to do",
    "E130": "the dependencies form a cycle",
    "E131": "variables refer to each other in a circle",
    "E140": "there is no check of that name",
    "E141": "a parameter of a check is unknown, missing or of the wrong type",
    "E142": "the folder does not exist or cannot be used",
    "E143": "there is no feature of that name, or it is said to be neither on nor off",
    "E144": "a secret value that a kept configuration needs is not in the file any more",
    "E145": "nothing can be sent to that destination",
    "E146": "the template names something that there is not",
    "E147": "the condition is none, or one that cannot be met",
    "E148": "the declaration of a parameter contradicts itself",
    "E149": "a parameter is unknown, has no value, or one that it must not have",
    "E150": "the command needs a shell, and allow_shell is false",
    "E152": "no items can be made of it, or more than 10,000",
    "E153": "${item} has no place there, or the items have no value of that name",
    "E154": "the check looks at what the job wrote, and stands before the job",
    "E155": "the place of the database cannot be used as it is written",
    "E156": "the key does not go with config, or has no place in a file that a job runs",
    "E157": "the configuration that a job is to run cannot be run",
    "E160": "the plugin cannot be used: no file, no Python, or it has no such check",
    "E161": "a limit is above what this user may have, or it may not become the user of run_as",
    "E170": "an env_file cannot be read, or has a line that is not understood",
    "E171": "the security policy refuses the command",
    "W101": "the program was not found",
    "W102": "the job can never run",
    "W103": "the timeout is longer than the one of the whole run",
    "W104": "nobody sets the variable, so its reference stays as it is written",
    "W105": "the copy of the metrics cannot be written there, or would not be read",
    "W106": "the key is unknown, and strict_validation is off",
    "W107": "the key has no effect beside another one",
    "W108": "there is no item, so the job will be SKIPPED",
    "W109": "${item} stands in a job without for_each",
    "W110": "what was told of some items holds for more of them",
    "W119": "others could have written the file: a run would refuse it",
    "W171": "the command looks dangerous, by the level of the security policy",
    "W172": "a secret value stands in a command line, which all users of the machine can read",
}

#: Characters of a value that a message shows.
_SHOWN = 60


class Problem:
    """One problem of one file, with its place. Line and column count from 1; line 0 means the file as a whole."""

    __slots__ = ("file", "line", "column", "code", "path", "severity", "message", "hint")

    def __init__(self, file: str, line: int, column: int, code: str, path: str, severity: str, message: str,
                 hint: str = "") -> None:
        self.file = file
        self.line = line
        self.column = column
        self.code = code
        self.path = path
        self.severity = severity
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """The line that a person reads: place, severity, code, path, message, hint."""
        place = "%s:%d:%d" % (self.file, self.line, self.column) if self.line else self.file
        where = " %s:" % self.path if self.path else ""
        hint = "; " + self.hint if self.hint else ""
        return "%s: %s %s%s %s%s" % (place, self.severity, self.code, where, self.message, hint)

    def __repr__(self) -> str:
        return "Problem(%s)" % self

    def to_dict(self) -> Dict[str, Union[str, int]]:
        """The problem as ``--json`` prints it."""
        return {"file": self.file, "line": self.line, "column": self.column, "code": self.code, "path": self.path,
                "severity": self.severity, "message": self.message, "hint": self.hint}

    @property
    def is_error(self) -> bool:
        """Whether it stops a run."""
        return self.severity == ERROR


class Finding:
    """A problem whose place in the file is not known yet: rules find these, and work on values alone."""

    __slots__ = ("path", "code", "message", "hint", "severity", "at_key", "place")

    def __init__(self, path: Path, code: str, message: str, hint: str, severity: str, at_key: bool,
                 place: Optional[Path] = None) -> None:
        self.path = path
        #: The path whose line and column are told, where that is another one.
        self.place = path if place is None else place
        self.code = code
        self.message = message
        self.hint = hint
        self.severity = severity
        #: Whether the place is that of the key rather than that of its value.
        self.at_key = at_key


class Report:
    """Collects findings, each once."""

    def __init__(self) -> None:
        self.findings: List[Finding] = []
        self.error_count = 0
        self.suggestions = Suggestions()
        #: Whether unknown keys are errors; ``strict_validation`` decides.
        self.strict = True
        self._said: Set[Tuple[Path, str, str]] = set()

    def error(self, path: Path, code: str, message: str, hint: str = "", at_key: bool = False,
              place: Optional[Path] = None) -> None:
        """Note an error.

        :param at_key: whether the place is that of the key rather than that of the value
        :param place: the path whose line and column are told, where that is another one
        """
        self.error_count += 1
        self._add(Finding(path, code, message, hint, ERROR, at_key, place))

    def warning(self, path: Path, code: str, message: str, hint: str = "", at_key: bool = False) -> None:
        """Note a warning."""
        self._add(Finding(path, code, message, hint, WARNING, at_key))

    def unset(self, path: Path, names: Iterable[str]) -> None:
        """Warn of variables that a text refers to and that nobody sets."""
        for name in names:
            self.warning(path, "W104", nobody_sets(name))

    def _add(self, finding: Finding) -> None:
        once = (finding.path, finding.code, finding.message)
        if once not in self._said:
            self._said.add(once)
            self.findings.append(finding)


class Suggestions:
    """``did you mean``, with a limit on the work: thousands of misspelt words are not each compared with all."""

    #: Comparisons of two words in all.
    LIMIT = 200000

    def __init__(self) -> None:
        self._left = self.LIMIT
        self._answers: Dict[Tuple[str, int], str] = {}

    def hint(self, word: str, known: List[str]) -> str:
        """``did you mean "x"?``, or nothing where no known word is close."""
        once = (word, len(known))
        answer = self._answers.get(once)
        if answer is None:
            answer = ""
            if self._left >= len(known) and len(word) <= 128:
                import difflib
                self._left -= len(known)
                close = difflib.get_close_matches(word, known, 1)
                answer = "did you mean %s?" % quoted(close[0]) if close else ""
            self._answers[once] = answer
        return answer


def nobody_sets(name: str) -> str:
    """What is said of a reference to a variable that nobody sets."""
    return "nobody sets %s, so ${%s} stays as it is" % (name, name)


def quoted(text: str, limit: Optional[int] = _SHOWN) -> str:
    """The text in double quotes, on one line, cut where it is long."""
    if limit is not None and len(text) > limit:
        text = text[:limit - 1] + "\u2026"
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return json.dumps(safe, ensure_ascii=False)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, (dict, list)):
        return "a list" if isinstance(value, list) else "an object"
    return "a " + type(value).__name__


def shown(value: object) -> str:
    """A value for a message: scalars as they are in JSON, lists and objects by their kind."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return kind_of(value)


def path_text(path: Path) -> str:
    """A path for people: ``jobs[2].env_variables.HOME``."""
    parts: List[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append("[%d]" % step)
        elif step.replace("_", "a").replace("-", "a").replace("$", "a").isalnum() and len(step) <= _SHOWN:
            parts.append("." + step if parts else step)
        else:
            parts.append("[%s]" % quoted(step))
    return "".join(parts)

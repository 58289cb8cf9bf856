"""Which checks there are, by name, and what parameters each takes.

The validator asks it what a file may say, the runner what to call; plugins add to it.
"""
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from jobs.checks.files import check_file_exists, check_no_ora_errors, check_no_ora_or_sp2_errors
from jobs.checks.result import CheckResult

__all__ = ["BUILT_IN", "CheckDeclaration", "CheckFunction", "Parameter", "Registry"]

#: Called as ``function(context, **params)``.
CheckFunction = Callable[..., CheckResult]

#: Kinds of parameters, and the types of JSON values that each accepts.
_KINDS: Dict[str, Tuple[type, ...]] = {"path": (str,), "text": (str,), "integer": (int,), "number": (int, float),
                                       "boolean": (bool,)}
_EXPECTED = {"path": "a path", "text": "a string", "integer": "a whole number", "number": "a number",
             "boolean": "true or false"}


@dataclass
class Parameter:
    """A parameter of a check. ``kind``: ``path`` (a string, relative to the job's folder; may be a pattern),
    ``text``, ``integer``, ``number`` or ``boolean``."""

    name: str
    kind: str
    help: str
    required: bool = True


@dataclass
class CheckDeclaration:
    """A check: its name in a configuration, its function, its parameters, one line of help."""

    name: str
    function: CheckFunction
    parameters: Tuple[Parameter, ...]
    help: str

    def problems(self, params: Mapping[str, object]) -> List[Tuple[str, str]]:
        """What is wrong with the parameters of a configuration: (name of the parameter, message) each."""
        found = []
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in sorted(params):
            if name not in known:
                found.append((name, "%s has no parameter \"%s\"; it takes %s" % (
                    self.name, name, ", ".join(known) or "none")))
        for parameter in self.parameters:
            if parameter.name not in params:
                if parameter.required:
                    found.append((parameter.name, "%s needs the parameter \"%s\" (%s)" % (
                        self.name, parameter.name, parameter.help)))
            elif not _accepts(parameter.kind, params[parameter.name]):
                found.append((parameter.name, "must be %s, got %r" % (
                    _EXPECTED[parameter.kind], params[parameter.name])))
        return found


class Registry:
    """Checks by name."""

    def __init__(self, declarations: Tuple[CheckDeclaration, ...] = ()) -> None:
        self._checks: Dict[str, CheckDeclaration] = {}
        for declaration in declarations:
            self.add(declaration)

    def add(self, declaration: CheckDeclaration) -> None:
        """Add a check, or replace the one of that name."""
        self._checks[declaration.name] = declaration

    def get(self, name: str) -> Optional[CheckDeclaration]:
        """The check of that name; None where there is none."""
        return self._checks.get(name)

    def names(self) -> List[str]:
        """All names, sorted."""
        return sorted(self._checks)

    def copy(self) -> "Registry":
        """A registry of its own with the same checks, for the plugins of one configuration."""
        return Registry(tuple(self._checks.values()))


def _accepts(kind: str, value: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str) and (not value or "\0" in value):
        return kind == "text" and "\0" not in value
    return isinstance(value, _KINDS[kind])


_LOG_FILE = (Parameter("log_file", "path", "the log file, or a pattern"),)

#: The checks that need no plugin.
BUILT_IN = Registry((
    CheckDeclaration("check_file_exists", check_file_exists,
                     (Parameter("path", "path", "the file, or a pattern"),),
                     "the file exists, or a file matches the pattern"),
    CheckDeclaration("check_no_ora_errors", check_no_ora_errors, _LOG_FILE,
                     "the log files are there and free of ORA-nnnnn"),
    CheckDeclaration("check_no_ora_or_sp2_errors", check_no_ora_or_sp2_errors, _LOG_FILE,
                     "the log files are there and free of ORA-nnnnn and SP2-nnnn"),
))

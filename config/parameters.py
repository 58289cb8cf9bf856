"""``parameters``: values that a run is given (``--param NAME=VALUE``), and their place in the file, ``${params.NAME}``.

A value is data (``config/placing.py``); its variable, ``EXECUTIONER_PARAM_NAME``, is seen by every job. Imported only
where a file has parameters or refers to some.
"""
import re
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from config.environment import value_text
from config.kinds import MAX_TEXT, is_comment, is_number, text_bytes
from config.placing import Placing
from config.problems import Path, Report, quoted, shown
from jobs.masking import is_secret_name

__all__ = ["PREFIX", "Parameters"]

_Raw = Dict[str, object]

#: How the variable of a parameter begins.
PREFIX = "EXECUTIONER_PARAM_"
_REFERENCE = re.compile(r"\$\{params\.([^{}$]*)\}")
#: Keys whose strings have no place for a value.
_NO_PLACE = ("id", "dependencies", "parameters", "application_name", "name", "description", "runbook", "tags",
             "notifications", "pools", "pool", "outputs", "$schema", "command_whitelist")


class Parameters(Placing):
    """The parameters of a file and their values, which it puts in their places.

    :param declared: ``parameters`` of the file, found right by its kind
    :param given: what ``--param`` says
    :param inherited: what the run was given that this one resumes; names that are not declared any more are passed over
    :param untouched: keys of jobs whose values are data already, whatever they look like
    :param secrets: names besides those that are secret by their names
    """

    def __init__(self, declared: object, given: Mapping[str, str], inherited: Mapping[str, str],
                 report: Report, untouched: Sequence[str] = (), secrets: Sequence[str] = ()) -> None:
        super().__init__(self._value, _variable, untouched)
        self._untouched = untouched
        self._report = report
        self._secrets = secrets
        self._declared: Dict[str, _Raw] = {name: one for name, one in declared.items() if isinstance(one, dict)
                                           and not is_comment(name)} if isinstance(declared, dict) else {}
        #: Value of each, as text.
        self.values: Dict[str, str] = {}
        for name in given:
            if name not in self._declared:
                report.error(("parameters",) if declared else (), "E149",
                             "--param: there is no parameter %s" % quoted(name),
                             report.suggestions.hint(name, list(self._declared)) or self._known())
        for name, one in self._declared.items():
            one = self._checked(name, one)
            text = given.get(name, inherited.get(name))
            if text is not None:
                problem, value = _value_of(one, text)
                if problem:
                    found = "" if self._is_secret(name) else ", got " + shown(text)
                    report.error(("parameters", name), "E149", "--param %s: %s%s" % (name, problem, found))
                self.values[name] = value
            elif "default" in one:
                self.values[name] = _canonical(str(one.get("type", "string")), one["default"])
            elif one.get("required") is True:
                report.error(("parameters", name), "E149", "a value is required",
                             "give it with --param %s=VALUE" % name)
            else:
                self.values[name] = ""

    def _is_secret(self, name: str) -> bool:
        return name in self._secrets or is_secret_name(name)

    def _known(self) -> str:
        return "there are: " + ", ".join(self._declared) if self._declared else "the file declares none"

    def _checked(self, name: str, one: _Raw) -> _Raw:
        """Report what contradicts itself in a declaration; the declaration without that."""
        path: Path = ("parameters", name)
        kind = str(one.get("type", "string"))
        good = dict(one)
        pattern, choices = one.get("pattern"), one.get("choices")
        if isinstance(pattern, str):
            try:
                re.compile(pattern)
            except (re.error, OverflowError, RecursionError) as error:
                self._report.error(path + ("pattern",), "E114", "is no regular expression: %s" % error)
                del good["pattern"]
            if kind != "string":
                self._report.error(path + ("pattern",), "E148", "goes with strings only, and the type is %s" % kind)
        for index, value in enumerate(choices if isinstance(choices, list) else ()):
            if not _is_typed(kind, value):
                self._report.error(path + ("choices", index), "E148",
                                   "must be of the type %s, got %s" % (kind, shown(value)))
                good.pop("choices", None)
        if "default" in one:
            default = one["default"]
            if one.get("required") is True:
                self._report.error(path + ("default",), "E148", "does not go with required: it could never hold")
            if not _is_typed(kind, default):
                self._report.error(path + ("default",), "E148",
                                   "must be of the type %s, got %s" % (kind, shown(default)))
                del good["default"]
            else:
                problem = _value_of(good, _canonical(kind, default))[0]
                if problem:
                    self._report.error(path + ("default",), "E148", problem)
        return good

    def variables(self) -> Dict[str, str]:
        """The variables by which jobs see the values."""
        return {PREFIX + name: value for name, value in self.values.items()}

    def check_references(self, value: object, path: Path = ()) -> None:
        """Report references to parameters that are not declared, or that stand where no value is put in."""
        if isinstance(value, str):
            for name in _REFERENCE.findall(value) if "${params." in value and _key(path) not in self._untouched else ():
                if _key(path) in _NO_PLACE:
                    self._report.error(path, "E149", "the value of a parameter has no place here",
                                       "it can stand in commands, environment, paths, checks and run_if")
                elif name not in self._declared:
                    self._report.error(path, "E149", "there is no parameter %s" % quoted(name),
                                       self._report.suggestions.hint(name, list(self._declared)) or self._known())
                elif _key(path) == "for_each" and self._is_secret(name):
                    self._report.error(path, "E149", "a secret value has no place here: items are part of job ids")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.check_references(item, path + (index,))
        elif isinstance(value, dict):
            for name, item in value.items():
                if not is_comment(name):
                    self.check_references(item, path + (name,))
            if _key(path) == "run_if" and "param" in value and value["param"] not in self._declared:
                name = str(value["param"])
                self._report.error(path + ("param",), "E149", "there is no parameter %s" % quoted(name),
                                   self._report.suggestions.hint(name, list(self._declared)) or self._known())

    def _value(self, name: str) -> Optional[str]:
        return self.values.get(name[len("params."):]) if name.startswith("params.") else None


def _key(path: Path) -> object:
    """The key of the file, of ``defaults`` or of a job, under which a value stands."""
    start = 2 if path[:1] == ("jobs",) else 1 if path[:1] == ("defaults",) else 0
    return path[start] if len(path) > start else path[0] if path else ""


def _canonical(kind: str, value: object) -> str:
    """The text of a value: equal ones have the same."""
    if kind == "integer":
        return str(int(value))  # type: ignore[call-overload]
    if kind == "number":
        number = float(value)  # type: ignore[arg-type]
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return value_text(value)


def _variable(name: str) -> str:
    return PREFIX + name[len("params."):]


def _is_typed(kind: str, value: object) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, (int, float)) and is_number(value) and (kind == "number" or float(value).is_integer())


def _value_of(one: Mapping[str, object], text: str) -> Tuple[str, str]:
    """Why a text is no value of a parameter ("" = it is one), and the value as jobs get it."""
    kind = str(one.get("type", "string"))
    if "\0" in text or text_bytes(text) > MAX_TEXT // 2:
        return "must be a text without NUL of at most %d bytes" % (MAX_TEXT // 2), text
    if kind == "integer" and not re.match(r"-?[0-9]{1,18}\Z", text):
        return "must be a whole number", text
    if kind == "number" and not re.match(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,3})?\Z", text):
        return "must be a number", text
    if kind == "boolean":
        if text not in ("true", "false"):
            return "must be true or false", text
    text = _canonical(kind, text)
    choices = one.get("choices")
    if isinstance(choices, list):
        known: List[str] = [_canonical(kind, choice) for choice in choices]
        if text not in known:
            return "must be one of " + ", ".join(map(quoted, known[:20])), text  # what it is may be a secret
    pattern = one.get("pattern")
    if isinstance(pattern, str) and kind == "string" and not re.fullmatch(pattern, text):
        return "must match the pattern %s" % quoted(pattern), text
    return "", text

"""``run_if``: what must hold for a job to run. A condition is an object with one of the keys of ``CONDITIONS``.

``{"env": "MODE", "equals": "full"}``, ``{"file_exists": "in/*.csv"}``, ``{"command": "test -s x"}``,
``{"weekday": ["mon", "fri"]}``, ``{"day_of_month": [1, -1]}``, and ``all``, ``any``, ``not`` of them.
"""
import calendar
import glob
import os
import re
import time
from typing import Callable, Dict, List, Mapping, Tuple

from jobs.checks.commands import run_command
from jobs.checks.parameters import json_text
from jobs.checks.result import CONDITION, CheckContext, CheckResult

__all__ = ["CONDITIONS", "DAYS", "DAY_NAMES", "MAX_DEPTH", "ask", "condition_problems", "holds"]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: How deeply conditions may stand in each other.
MAX_DEPTH = 16
#: Whether it holds, and what was found, in words.
Answer = Tuple[bool, str]
#: Where inside a condition something stands: keys and indexes.
Place = Tuple[object, ...]
_Condition = Mapping[str, object]

#: The keys of which a condition has one, with the further keys that go with it.
CONDITIONS: Dict[str, Tuple[str, ...]] = {
    "env": ("equals", "matches"), "param": ("equals", "matches"), "file_exists": (), "command": (),
    "weekday": (), "day_of_month": (), "all": (), "any": (), "not": ()}


_MONTH_DAYS = frozenset(range(1, 32)) | frozenset(range(-31, 0))


def ask(condition: _Condition, context: CheckContext) -> CheckResult:
    """Whether the condition holds, as an answer to the engine."""
    is_so, found = holds(condition, context, time.localtime())
    return CheckResult(CONDITION, is_so, ("run_if holds: " if is_so else "run_if does not hold: ") + found)


def holds(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    """Whether a condition without problems holds.

    :param now: the local time
    """
    for name, answer in _ANSWERS.items():
        if name in condition:
            return answer(condition, context, now)
    raise ValueError("no condition: %r" % (condition,))


def condition_problems(condition: object, where: Place = (), depth: int = 0) -> List[Tuple[Place, str]]:
    """What is wrong with a condition of a file: place inside it and message each."""
    if depth > MAX_DEPTH:
        return [(where, "is nested too deeply: conditions may stand in each other %d times" % MAX_DEPTH)]
    if not isinstance(condition, dict):
        return [(where, "must be an object such as {\"file_exists\": PATH}" + _got(condition))]
    keys = [key for key in condition if not str(key).startswith("_")]
    kinds = [key for key in keys if key in CONDITIONS]
    if len(kinds) != 1:
        return [(where, "must have exactly one of %s, found %s" % (
            ", ".join(CONDITIONS), ", ".join(map(str, keys)) or "none"))]
    kind = kinds[0]
    found = [(where + (key,), "does not go with %s" % kind) for key in keys
             if key != kind and key not in CONDITIONS[kind]]
    value = condition[kind]
    if kind in ("all", "any"):
        if not isinstance(value, list) or not value:
            return found + [(where + (kind,), "must be a list of conditions, one or more" + _got(value))]
        for index, part in enumerate(value):
            found += condition_problems(part, where + (kind, index), depth + 1)
    elif kind == "not":
        found += condition_problems(value, where + (kind,), depth + 1)
    else:
        found += [(where + (kind,), message) for message in _value_problems(kind, value)]
        found += _comparison_problems(condition, where)
    return found


def _value_problems(kind: str, value: object) -> List[str]:
    if kind in ("env", "param", "file_exists"):
        return [] if isinstance(value, str) and value else ["must be a string that is not empty" + _got(value)]
    if kind == "command":
        good = isinstance(value, str) and value.strip() or (
            isinstance(value, list) and value and value[0] and all(isinstance(word, str) for word in value))
        return [] if good else ["must be a command: a string, or a list of strings" + _got(value)]
    items = value if isinstance(value, list) else [value]
    if kind == "weekday":
        are_days = bool(items) and all(isinstance(day, str) and day.lower() in DAYS + DAY_NAMES for day in items)
        return [] if are_days else ["must be a day or a list of days: %s%s" % (
            ", ".join(DAYS), _got(value))]
    return [] if items and all(isinstance(day, (int, float)) and not isinstance(day, bool) and day in _MONTH_DAYS
                               for day in items) else [
        "must be days from 1 to 31, or from -1 (the last) to -31" + _got(value)]


def _got(value: object) -> str:
    return ", got " + json_text(value)


def _comparison_problems(condition: _Condition, where: Place) -> List[Tuple[Place, str]]:
    found: List[Tuple[Place, str]] = []
    if "equals" in condition and not isinstance(condition["equals"], (str, int, float)):
        found.append((where + ("equals",), "must be a string, a number, true or false" + _got(condition["equals"])))
    if "matches" in condition and "equals" in condition:
        found.append((where + ("matches",), "does not go with equals"))
    elif not isinstance(condition.get("matches", ""), str):
        found.append((where + ("matches",), "must be a regular expression, as a string" + _got(condition["matches"])))
    elif "matches" in condition:
        try:
            re.compile(str(condition["matches"]))
        except (re.error, OverflowError, RecursionError) as error:
            found.append((where + ("matches",), "is no regular expression: %s" % error))
    return found


def _env(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    name = str(condition["env"])
    value = context.environment.get(name)
    if value is None:
        return False, "%s is not set" % name
    if "equals" in condition:
        wanted = condition["equals"]
        text = ("true" if wanted else "false") if isinstance(wanted, bool) else str(wanted)
        # The value itself may be a secret.
        return value == text, "%s is %s \"%s\"" % (name, "" if value == text else "not", text)
    if "matches" in condition:
        is_so = re.search(str(condition["matches"]), value) is not None
        return is_so, "%s %s %s" % (name, "matches" if is_so else "does not match", condition["matches"])
    return bool(value), "%s is %s" % (name, "set" if value else "empty")


def _param(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    # Jobs see the parameters of the run as variables.
    variable = "EXECUTIONER_PARAM_%s" % condition["param"]
    is_so, what = _env(dict(condition, env=variable), context, now)
    return is_so, "the parameter %s%s" % (condition["param"], what[len(variable):])


def _file_exists(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    pattern = context.path(str(condition["file_exists"]))
    is_so = os.path.exists(pattern) or bool(glob.glob(pattern, recursive=True))
    return is_so, "%s %s" % (pattern, "exists" if is_so else "does not exist")


def _command(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    code, what = run_command(condition["command"], context.working_dir, context.environment)
    return code == 0, "its command: " + what


def _weekday(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    wanted = condition["weekday"]
    days = [str(day)[:3].lower() for day in (wanted if isinstance(wanted, list) else [wanted])]
    today = DAYS[now.tm_wday]
    return today in days, "today is %s" % today


def _day_of_month(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    wanted = condition["day_of_month"]
    days = wanted if isinstance(wanted, list) else [wanted]
    last = calendar.monthrange(now.tm_year, now.tm_mon)[1]
    is_so = now.tm_mday in days or now.tm_mday - last - 1 in days
    return is_so, "today is day %d of %d" % (now.tm_mday, last)


def _all(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    found = []
    for part in condition["all"]:  # type: ignore[attr-defined]
        is_so, what = holds(part, context, now)
        found.append(what)
        if not is_so:
            return False, what
    return True, "; ".join(found)


def _any(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    found = []
    for part in condition["any"]:  # type: ignore[attr-defined]
        is_so, what = holds(part, context, now)
        found.append(what)
        if is_so:
            return True, what
    return False, "; ".join(found)


def _not(condition: _Condition, context: CheckContext, now: time.struct_time) -> Answer:
    is_so, what = holds(condition["not"], context, now)  # type: ignore[arg-type]
    return not is_so, what


_ANSWERS: Dict[str, Callable[[_Condition, CheckContext, time.struct_time], Answer]] = {
    "env": _env, "param": _param, "file_exists": _file_exists, "command": _command, "weekday": _weekday,
    "day_of_month": _day_of_month, "all": _all, "any": _any, "not": _not}

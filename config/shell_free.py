"""``allow_shell: false``: the commands that would need a shell, and conditions and checks whose commands get none."""
import re
from typing import Dict, Iterator, Mapping, Optional, Sequence, Set, Tuple

from config.checks import named
from config.effective import effective, place
from config.problems import Path, Report
from config.upkeep import destinations, notification_rules
from jobs.checks.registry import BUILT_IN
from jobs.command import needs_shell, split_simple

__all__ = ["check", "condition_without_shell", "parameters_without_shell"]

_Raw = Dict[str, object]
_COMMAND = "command"
_HINT = "write it as a list: the program and its arguments"
#: In destinations variables expand before anything is started.
_VARIABLE = re.compile(r"\$\{\w+\}")


def check(top: _Raw, jobs: Sequence[Mapping[str, object]], defaults: Mapping[str, object],
          names: Set[str], report: Report) -> None:
    """Report the commands of jobs, of their conditions and checks, and of notifications that need a shell.

    :param top: the keys of the file
    :param names: the keys that any job, or ``defaults``, has
    """
    answers: Dict[str, bool] = {}

    def look(command: object, path: Path, hint: str = _HINT) -> None:
        if isinstance(command, str):
            if command not in answers:
                answers[command] = needs_shell(command, shell_allowed=False)
            if answers[command]:
                report.error(path, "E150", "the command needs a shell, and allow_shell is false", hint)

    asking = [name for name in ("pre_checks", "post_checks") if name in names]
    for index, job in enumerate(jobs):
        path: Path = ("jobs", index)
        look(effective(job, defaults, _COMMAND), place(job, _COMMAND, path))
        if "run_if" in names:
            for command, here in _commands(effective(job, defaults, "run_if"), place(job, "run_if", path)):
                look(command, here)
        for key in asking:
            for name, params, here in named(effective(job, defaults, key), place(job, key, path)):
                if BUILT_IN.get(name) is not None:
                    look(params.get(_COMMAND), here + ("params", _COMMAND))
    for index, rule in enumerate(notification_rules(top)):
        base: Path = ("notifications", index, "to")
        for below, to in destinations(rule):
            if to.startswith("command:"):
                look(_VARIABLE.sub("x", to[len("command:"):]), base + below, "put it into a script")


def _commands(condition: object, path: Path) -> Iterator[Tuple[object, Path]]:
    """The commands within a condition, with their places."""
    if isinstance(condition, list):
        for index, item in enumerate(condition):
            yield from _commands(item, path + (index,))
    elif isinstance(condition, dict):
        for name, item in condition.items():
            if name == _COMMAND:
                yield item, path + (name,)
            else:
                yield from _commands(item, path + (name,))


def condition_without_shell(condition: Optional[_Raw]) -> Optional[_Raw]:
    """The condition (``run_if``, with variables expanded) with its commands as argument vectors."""
    if condition is None:
        return None
    return {name: _vector(value) if name == _COMMAND else
            condition_without_shell(value) if isinstance(value, dict) else
            [condition_without_shell(item) if isinstance(item, dict) else item for item in value]
            if isinstance(value, list) else value for name, value in condition.items()}


def parameters_without_shell(name: str, params: _Raw) -> _Raw:
    """The parameters of a check (with variables expanded) with its command as an argument vector."""
    if BUILT_IN.get(name) is None or _COMMAND not in params:
        return params
    return dict(params, command=_vector(params[_COMMAND]))


def _vector(command: object) -> object:
    if not isinstance(command, str):
        return command
    # One that says nothing succeeds, as it does for a shell; one that needs a shell was refused.
    return split_simple(command, shell_allowed=False) or ["true"]

"""The texts of a condition (``run_if``) in which ``${VAR}`` expands, and the condition with them expanded."""
from typing import Dict, Iterator, Mapping, Tuple

from config.environment import expand, expand_home
from config.kinds import is_comment
from config.problems import Path

__all__ = ["expanded", "texts"]


def texts(value: object, path: Path) -> Iterator[Tuple[Path, str]]:
    """The texts of a condition in which variables expand, with their places."""
    if isinstance(value, str):
        if "${" in value:
            yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, path + (index,))
    elif isinstance(value, dict):
        for name, item in value.items():
            # A shell expands its own text, and takes what is in a variable for data.
            if not is_comment(name) and not (name == "command" and isinstance(item, str)):
                yield from texts(item, path + (name,))


def expanded(condition: Mapping[str, object], variables: Mapping[str, str]) -> Dict[str, object]:
    """The condition with variables expanded and comments left out."""
    found: Dict[str, object] = {}
    for name, value in condition.items():
        if is_comment(name):
            continue
        if isinstance(value, str) and name == "matches":
            import re
            # What a variable holds is data, no part of the expression.
            found[name] = expand(value, {one: re.escape(text) for one, text in variables.items()})[0] \
                if "${" in value else value
        elif isinstance(value, str) and name == "file_exists":
            found[name] = expand_home(expand(value, variables)[0], variables)
        elif isinstance(value, str) and name != "command":
            found[name] = expand(value, variables)[0]
        elif isinstance(value, dict):
            found[name] = expanded(value, variables)
        elif isinstance(value, list):
            found[name] = [expanded(item, variables) if isinstance(item, dict)
                           else expand(item, variables)[0] if isinstance(item, str) else item for item in value]
        else:
            found[name] = value
    return found

"""Raw values that were found right, as what they are."""
from typing import Dict, FrozenSet, List, Mapping, Tuple

from config.kinds import Duration

__all__ = ["codes", "integer", "listed", "number", "object_at", "seconds", "words"]

_Raw = Dict[str, object]


def object_at(top: Mapping[str, object], name: str) -> _Raw:
    """The object of a key; an empty one where there is none."""
    value = top.get(name, {})
    assert isinstance(value, dict)
    return value


def listed(value: object) -> List[object]:
    """A list."""
    assert isinstance(value, list)
    return value


def integer(value: object) -> int:
    """A whole number; 2.0 is one."""
    assert isinstance(value, (int, float))
    return int(value)


def number(value: object) -> float:
    """A number."""
    assert isinstance(value, (int, float))
    return float(value)


def seconds(value: object) -> float:
    """A duration in seconds."""
    found = Duration.seconds(value)
    assert found is not None
    return found


def codes(value: object) -> FrozenSet[int]:
    """A set of exit codes."""
    return frozenset(integer(code) for code in listed(value))


def words(value: object) -> Tuple[str, ...]:
    """A list of texts."""
    return tuple(map(str, listed(value)))

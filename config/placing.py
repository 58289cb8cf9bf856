"""Values in the places of their placeholders, in the values of a file: as data, never as code.

Where variables expand (environment, paths, checks, conditions) and in shell commands a place gets ``${VARIABLE}``, so
that nothing in the value is expanded again or read by a shell. In argument vectors, texts and items it is pasted.
"""
from typing import Callable, Dict, Optional, Sequence

from config.kinds import is_comment
from jobs.placeholders import Lookup, expand_command, expand_text

__all__ = ["Placing"]

_CONDITION = "run_if"
_PARAMETERS = "params"
#: In the place of a key: the command of a check or a condition. In its vector variables expand afterwards.
_ASKED = "?"
#: In the place of a key: here nothing is expanded afterwards.
_PASTED = "*"
#: Keys whose texts are only read by people, and lists of what is data.
_FOR_PEOPLE = ("description", "runbook")
_ITEMS = "for_each"
#: Keys of a condition under which conditions stand.
_PARTS = ("all", "any", "not")


class Placing:
    """Puts values in their places.

    :param lookup: the value of a placeholder, by its name; None where it is to stay
    :param variable: the name of the variable that holds that value
    :param left_alone: keys under which nothing is put in
    """

    def __init__(self, lookup: Lookup, variable: Callable[[str], str], left_alone: Sequence[str] = ()) -> None:
        self._left_alone = left_alone
        self._lookup = lookup
        self._variable = variable

    def put_in(self, value: object, key: str = "") -> object:
        """A copy of a value of the file with the values in their places.

        :param key: the key under which it stands
        """
        if isinstance(value, str):
            if "${" not in value:
                return value
            if key in ("command", _ASKED):
                return expand_command(value, self._lookup, "", self._variable)[0]
            if key == _PASTED or key in _FOR_PEOPLE:
                return expand_text(value, self._lookup)
            return expand_text(value, self._reference)
        if isinstance(value, list):
            below = {"command": _PASTED, _ASKED: ""}.get(key, key)
            return [self.put_in(item, below) for item in value]
        if isinstance(value, dict):
            return {name: item if is_comment(name) or key == "" and (name == "parameters" or name in self._left_alone)
                    else self.put_in(item, _kind_of_place(key, name)) for name, item in value.items()}
        return value

    def put_in_object(self, value: Dict[str, object]) -> Dict[str, object]:
        """The same of an object of the file."""
        found = self.put_in(value)
        assert isinstance(found, dict)
        return found

    def _reference(self, name: str) -> Optional[str]:
        return None if self._lookup(name) is None else "${%s}" % self._variable(name)


def _kind_of_place(above: str, name: str) -> str:
    """What stands under a key tells how values are put in: the key itself, where it has a meaning there."""
    if above == "env_variables":
        return ""
    if above in (_PARAMETERS, _CONDITION) and name == "command":
        return _ASKED
    if name == _ITEMS or above == _PASTED and name != "glob" or above == "stdin" and name == "text":
        return _PASTED
    return _CONDITION if above == _CONDITION and name in _PARTS else name

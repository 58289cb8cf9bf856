"""The text of a migration for another database than SQLite, made from SQLite's, which is written by hand.

A step that has a text of its own for a dialect is not translated. The text is part of a checksum that stands in every
database: what is here is never changed for a step that was released.
"""
import re
from typing import Callable, Dict, List, Tuple

__all__ = ["translated"]

_POSTGRESQL: Tuple[Tuple[str, str], ...] = (
    (r"\bINTEGER PRIMARY KEY AUTOINCREMENT\b", "BIGSERIAL PRIMARY KEY"),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bREAL\b", "DOUBLE PRECISION"),
    (r"\bTEXT\b", 'TEXT COLLATE "C"'),
)


def _by_rules(rules: Tuple[Tuple[str, str], ...]) -> Callable[[str], str]:
    def one(statement: str) -> str:
        for pattern, replacement in rules:
            statement = re.sub(pattern, replacement, statement)
        return statement
    return one


_DIALECTS: Dict[str, Callable[[str], str]] = {"postgresql": _by_rules(_POSTGRESQL)}


def translated(statements: Tuple[str, ...], dialect: str) -> Tuple[str, ...]:
    """The statements in another dialect.

    :raises KeyError: where there is no translation into it
    """
    translate = _DIALECTS[dialect]
    made: List[str] = [translate(statement) for statement in statements]
    return tuple(made)

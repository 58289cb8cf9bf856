"""The text of a migration for another database than SQLite, made from SQLite's, which is written by hand.

A step that has a text of its own for a dialect is not translated. The text is part of a checksum that stands in every
database: what is here is never changed for a step that was released.
"""
import re
from typing import Callable, Dict, List, Tuple

__all__ = ["SCRIPTED", "script_of", "statements_of", "translated"]

#: Dialects that differ too much for that: their scripts lie in folders of that name.
SCRIPTED = ("oracle",)

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


def script_of(version: int, name: str, dialect: str) -> Tuple[str, ...]:
    """The statements of the script that was written for a dialect by hand.

    :raises OSError: where there is none
    """
    from pkgutil import get_data
    data = get_data("db.migrations", "%s/%04d_%s.sql" % (dialect, version, name))
    assert data is not None
    return statements_of(data.decode("utf-8"))


def statements_of(script: str) -> Tuple[str, ...]:
    """The statements of a script, without comments; each ends with a semicolon at the end of a line."""
    lines = [line for line in script.splitlines() if not line.startswith("--")]
    return tuple(statement.strip() for statement in "\n".join(lines + [""]).split(";\n") if statement.strip())


def translated(statements: Tuple[str, ...], dialect: str) -> Tuple[str, ...]:
    """The statements in another dialect.

    :raises KeyError: where there is no translation into it
    """
    translate = _DIALECTS[dialect]
    made: List[str] = [translate(statement) for statement in statements]
    return tuple(made)

"""Writes docs/configuration.md from the key tables of ``config/schema.py``.

    python3 scripts/configuration_page.py            writes the page
    python3 scripts/configuration_page.py --check    says by its exit code whether the page is as it would be written
"""
import json
import os
import sys
from typing import Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from config.kinds import Choice, Either, Integer, Key, Kind, ListOf, Number, Object, Table  # noqa: E402
from config.schema import CHECK, DEFAULTS, JOB, TABLES  # noqa: E402

PAGE = os.path.join(ROOT, "docs", "configuration.md")
TITLES = {"defaults": "defaults", "file": "The file", "job": "A job",
          "dependency": "A dependency", "check": "A check", "stdin": "Standard input", "limits": "Limits",
          "database": "The database", "parameter": "A parameter", "plugin": "A plugin",
          "notification": "A notification", "retention": "Retention"}
HEAD = """# Configuration

Made from the key tables (`python3 scripts/configuration_page.py`); a test fails where the page and the tables differ.
`executioner schema` gives the same as JSON Schema for editors, `executioner sample` a file with every key,
`executioner validate FILE` every problem of a file at once.

A configuration is one JSON object. Comments (`// ...`, `/* ... */`) and trailing commas are allowed; a key
that begins with `_` is a comment too. A **duration** is a number of seconds, or text such as `"90s"`,
`"15m"`, `"1h30m"`, `"2d"`, up to ten years. A **size** is a number of bytes, or text such as `"512M"` or
`"10GiB"`. An unknown key is an error. `*` marks what the earlier Executioner did not have.

"""
DEFAULTS_TEXT = """## defaults

Any key of a job but %s: what holds for every job that does not say it itself. A list or an object of the job's own
replaces the one in `defaults`; `env_variables` too.

"""


def main(arguments: Sequence[str]) -> int:
    """Write the page, or compare it; the exit code."""
    text = page()
    if list(arguments) == ["--check"]:
        try:
            with open(PAGE, encoding="utf-8") as found:
                return 0 if found.read() == text else 1
        except FileNotFoundError:
            return 1
    with open(PAGE, "w", encoding="utf-8") as out:
        out.write(text)
    return 0


def page() -> str:
    """The whole text."""
    tables = [table for table in TABLES if table is not DEFAULTS]
    tables += [CHECK] if CHECK not in tables else []
    missing = set(JOB.by_name) - set(DEFAULTS.by_name)
    parts = [HEAD]
    for table in tables:
        parts.append("## %s\n\n%s\n" % (title(table), rows(table)))
        if table is JOB:
            parts.append(DEFAULTS_TEXT % " and ".join("`%s`" % name for name in JOB.by_name if name in missing))
    return "".join(parts).rstrip("\n") + "\n"


def title(table: Table) -> str:
    """The headline of a table."""
    return TITLES[table.name]


def rows(table: Table) -> str:
    """One table of the page."""
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for key in table:
        name = "`%s`%s" % (key.name, " *" if key.new else "")
        lines.append("| %s | %s | %s | %s |" % (name, cell(value(key.kind)), cell(default(key)), cell(key.help)))
    return "\n".join(lines) + "\n"


def value(kind: Kind) -> str:
    """What a kind accepts, with its bounds."""
    if isinstance(kind, Either):
        return " or ".join(value(one) for one in kind.kinds)
    if isinstance(kind, Choice):
        return ", ".join("`%s`" % word for word in kind.words)
    if isinstance(kind, (Integer, Number)):
        schema = kind.schema()
        return "%s, %s to %s" % (kind.what, plain(schema["minimum"]), plain(schema["maximum"]))
    if isinstance(kind, Object) and kind.table.name in TITLES:
        return "[%s](#%s)" % (kind.what, anchor(title(kind.table)))
    if isinstance(kind, ListOf) and isinstance(kind.item, (Choice, Object, Integer)):
        return "%s: %s" % (kind.what, value(kind.item))
    return kind.what


def plain(number: object) -> str:
    """A bound as a person writes it."""
    assert isinstance(number, (int, float))
    return "%d" % number if abs(number) < 1e16 and number == int(number) else "%g" % number


def default(key: Key) -> str:
    """What holds where the key is missing."""
    if key.required:
        return "required"
    if key.default_text:
        return key.default_text
    return "`%s`" % json.dumps(key.default, ensure_ascii=False)


def anchor(text: str) -> str:
    """Where a headline is."""
    return "".join(one for one in text.lower().replace(" ", "-") if one.isalnum() or one in "-_")


def cell(text: str) -> str:
    """Text within a table."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

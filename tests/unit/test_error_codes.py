"""``docs/errors.md`` names every code that the code knows, and no other."""
import os
import re
from pathlib import Path
from typing import Dict, List, Tuple

from config.problems import CODES
from jobs.exceptions import ERROR_CODES, ExecutionerError

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def rows(heading: str) -> List[Tuple[str, ...]]:
    """The rows of the table under a heading."""
    part = DOCUMENT.split("\n## %s\n" % heading)[1].split("\n## ")[0]
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in part.splitlines()
             if line.startswith("| ")]
    assert found[1][0] == "---"
    return found[2:]


def subclasses(of: type) -> List[type]:
    """A class with everything below it."""
    return [of] + [found for child in of.__subclasses__() for found in subclasses(child)]


def test_every_class_of_the_tree_has_a_row() -> None:
    expected = [(code, "`%s`" % kind.__name__, (kind.__doc__ or "").strip().splitlines()[0].rstrip("."),
                 str(kind.exit_code)) for code, kind in sorted(ERROR_CODES.items())]
    assert rows("Errors of the command") == expected


def test_the_table_of_classes_is_the_tree() -> None:
    in_the_tree = [kind for kind in subclasses(ExecutionerError) if kind.__module__ == "jobs.exceptions"]
    assert sorted(kind.__name__ for kind in ERROR_CODES.values()) == sorted(kind.__name__ for kind in in_the_tree)
    assert all(code == kind.default_code for code, kind in ERROR_CODES.items())


def test_every_problem_has_a_row() -> None:
    table: Dict[str, str] = {code: text for code, text in rows("Problems of a configuration")}
    missing = ["| %s | %s |" % item for item in CODES.items() if table.get(item[0]) != item[1]]
    assert not missing, "rows to write into docs/errors.md:\n" + "\n".join(missing)
    assert list(table) == list(CODES), "codes that the validator does not know, or another order"


def test_every_code_that_is_used_is_in_a_table() -> None:
    known = set(CODES) | set(ERROR_CODES)
    unknown = []
    for folder in ("api", "config", "db", "executioner", "executioner_logging", "jobs", "monitoring"):
        for place, _, names in os.walk(str(ROOT / folder)):
            for name in names:
                if name.endswith(".py"):
                    text = Path(place, name).read_text(encoding="utf-8")
                    unknown += ["%s: %s" % (name, code) for code in re.findall(r'"([EW]\d{3})"', text)
                                if code not in known]
    assert not unknown, "\n".join(unknown)

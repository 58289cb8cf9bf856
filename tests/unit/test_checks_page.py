"""docs/checks.md names every built-in check with its parameters."""
from pathlib import Path

from jobs.checks.registry import BUILT_IN

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")


def test_every_check_has_a_row() -> None:
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `check_")}
    assert sorted(rows) == BUILT_IN.names()
    missing = [(name, one.name) for name in BUILT_IN.names() for one in BUILT_IN.get(name).parameters  # type: ignore[union-attr]
               if "`%s`" % one.name not in rows[name] and "the same" not in rows[name]]
    assert missing == []

"""docs/monitoring.md and docs/notifications.md say what there is: every metric, check and word."""
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, List

import pytest

from db.destinations import add_to_destination
from db.history import History
from db_samples import finished_run
from jobs.models import NOTIFY_ON
from monitoring.courier import RETRY_DELAYS_S
from monitoring.figures import families_of
from monitoring.health import CHECKS

DOCS = Path(__file__).resolve().parents[2] / "docs"
MONITORING = (DOCS / "monitoring.md").read_text(encoding="utf-8")
NOTIFICATIONS = (DOCS / "notifications.md").read_text(encoding="utf-8")


def rows(text: str) -> List[List[str]]:
    """The cells of every row of every table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]


def test_every_metric_has_a_row(tmp_path: Path) -> None:
    with History.open(str(tmp_path / "history.db")) as history:
        run_id = finished_run(history, 1)
        with history.database.transaction():
            add_to_destination(history.database, run_id, "postgresql://h/d")
        families = families_of(history, "1", 1.0)
    told = {cells[0].strip("`"): cells[1] for cells in rows(MONITORING) if cells[0].startswith("`executioner_")}
    assert told == {family.name: family.kind for family in families}


def test_every_check_and_word_has_a_row() -> None:
    names = {cells[0].strip("`") for cells in rows(MONITORING)}
    assert set(CHECKS) <= names
    assert {cells[0].strip("`") for cells in rows(NOTIFICATIONS)} - {"on"} == set(NOTIFY_ON)
    assert "after %d, %d and %d seconds" % RETRY_DELAYS_S in NOTIFICATIONS


def test_the_examples_are_json() -> None:
    found = re.findall(r"```json\n(.*?)```", MONITORING + NOTIFICATIONS, re.DOTALL)
    assert len(found) == 3 and all(isinstance(json.loads(text), dict) for text in found)


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("not run: promtool is not installed")
    found: Any = re.search(r"```yaml\n(.*?)```", MONITORING, re.DOTALL)
    (tmp_path / "rules.yml").write_text(found.group(1))
    assert subprocess.call(["promtool", "check", "rules", str(tmp_path / "rules.yml")], stdout=subprocess.DEVNULL) == 0

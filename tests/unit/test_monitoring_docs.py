"""docs/monitoring.md and docs/notifications.md say what there is: every metric, check and word."""
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

from api.figures import api_families
from db.destinations import add_to_destination
from db.history import History
from db_samples import finished_run
from jobs.models import NOTIFY_ON
from monitoring.courier import RETRY_DELAYS_S
from monitoring.figures import families_of
from monitoring.health import CHECKS
from monitoring.prometheus import Family

DOCS = Path(__file__).resolve().parents[2] / "docs"
MONITORING = (DOCS / "monitoring.md").read_text(encoding="utf-8")
RULES = (DOCS / "prometheus" / "executioner.rules.yml").read_text(encoding="utf-8")
NOTIFICATIONS = (DOCS / "notifications.md").read_text(encoding="utf-8")


def rows(text: str) -> List[List[str]]:
    """The cells of every row of every table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]


@pytest.fixture
def families(tmp_path: Path) -> List[Family]:
    """Every metric that there is."""
    with History.open(str(tmp_path / "history.db")) as history:
        run_id = finished_run(history, 1)
        with history.database.transaction():
            add_to_destination(history.database, run_id, "postgresql://h/d")
        return families_of(history, "1", 1.0, str(tmp_path)) + api_families({200: 1}, 1.0)


def test_every_metric_has_a_row(families: List[Family]) -> None:
    told = {cells[0].strip("`"): cells[1] for cells in rows(MONITORING) if cells[0].startswith("`executioner_")}
    assert told == {family.name: family.kind for family in families}


def labels_of(families: List[Family]) -> Dict[str, Set[str]]:
    """The labels of each metric by the names that queries use, as the page has them."""
    told = {cells[0].strip("`"): set(re.findall("`([a-z]+)`", cells[2])) for cells in rows(MONITORING)
            if cells[0].startswith("`executioner_")}
    found = dict(told)
    for family in families:
        if family.kind == "histogram":
            found[family.name + "_bucket"] = told[family.name] | {"le"}
            found[family.name + "_sum"] = found[family.name + "_count"] = told[family.name]
    return found


def check_query(query: str, known: Dict[str, Set[str]]) -> None:
    """Every metric and label that a query names is one of ours."""
    names = re.findall(r"executioner_[a-z_]+", query)
    assert names and set(names) <= set(known), query
    for name, matchers in re.findall(r"(executioner_[a-z_]+)\{([^}]*)\}", query):
        assert set(re.findall(r"([a-z]+)\s*(?:=~|!~|!=|=)", matchers)) <= known[name], query
    for grouped in re.findall(r"by \(([^)]*)\)", query):
        assert set(re.split(r",\s*", grouped)) <= set().union(*(known[name] for name in names)) | {"instance"}, query


def test_the_rules_name_what_there_is(families: List[Family]) -> None:
    known = labels_of(families)
    queries = re.findall(r"^    expr: (.*)$", RULES, re.MULTILINE)
    alerts = re.findall(r"^  - alert: (Executioner\w+)$", RULES, re.MULTILINE)
    assert len(queries) == len(alerts) == len(set(alerts)) == RULES.count("summary:") == RULES.count("description:")
    for query in queries:
        check_query(query, known)
    assert set(re.findall(r"labels\.(\w+)", RULES)) <= set().union(*known.values())


def test_the_dashboard_names_what_there_is(families: List[Family]) -> None:
    known = labels_of(families)
    board = json.loads((DOCS / "grafana" / "executioner.json").read_text(encoding="utf-8"))
    assert board["title"] and board["uid"] and board["schemaVersion"] >= 36
    variables = {one["name"]: one for one in board["templating"]["list"]}
    assert set(variables) == {"datasource", "application"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: Set[Tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        assert panel["title"] and panel["type"] in ("stat", "bargauge", "timeseries", "table")
        assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"]
        for target in panel["targets"]:
            check_query(target["expr"], known)
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= set().union(*known.values())
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= {"application", "__rate_interval"}


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
    (tmp_path / "rules.yml").write_text(RULES)
    assert subprocess.call(["promtool", "check", "rules", str(tmp_path / "rules.yml")], stdout=subprocess.DEVNULL) == 0

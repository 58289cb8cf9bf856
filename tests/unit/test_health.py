"""Health: each check fails where it should, and names what it is about."""
import os
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from db.history import History
from db_samples import finished_run, new_run, pipeline, places
from jobs.keeper.processes import boot_id, start_time
from jobs.models import RunStatus
from monitoring import health
from monitoring.health import CHECKS, HealthCheck, check_health

NOW = 1700000000.0


def look(folder: Path, now: float = NOW) -> Dict[str, List[HealthCheck]]:
    found: Dict[str, List[HealthCheck]] = {}
    for check in check_health(str(folder), str(folder / "history.db"), now):
        assert check.name in CHECKS and check.found
        found.setdefault(check.name, []).append(check)
    return found


def oks(found: Dict[str, List[HealthCheck]]) -> Dict[str, bool]:
    return {name: all(check.ok for check in checks) for name, checks in found.items()}


def test_an_empty_home_is_well(tmp_path: Path) -> None:
    assert oks(look(tmp_path)) == {"storage": True, "disk": True, "history": True, "clock": True}
    assert os.listdir(str(tmp_path)) == []


def test_a_home_that_is_gone(tmp_path: Path) -> None:
    shutil.rmtree(str(tmp_path))
    assert oks(look(tmp_path)) == {"storage": False, "disk": False, "history": True, "clock": True}


def test_little_room(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(health, "LEAST_FREE_BYTES", 1 << 60)
    assert oks(look(tmp_path))["disk"] is False
    monkeypatch.undo()
    monkeypatch.setattr(health, "LEAST_FREE_FILES", 1 << 60)
    if os.statvfs(str(tmp_path)).f_files:  # some file systems do not count them
        assert oks(look(tmp_path))["disk"] is False


def test_a_broken_history(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    assert oks(look(tmp_path))["history"] is False


@pytest.mark.parametrize("now, ok", [(1.0, False), (NOW, True), (NOW - 200, True), (NOW - 400, False)])
def test_the_clock(tmp_path: Path, now: float, ok: bool) -> None:
    with History.open(str(tmp_path / "history.db")) as history:
        new = new_run(1)
        new.started_at = NOW
        history.create_run(new, pipeline("a", 1), places)
    assert oks(look(tmp_path, now))["clock"] is ok


def expecting(history: History, number: int, status: str, expect_s: float = 3600.0) -> int:
    run_id = finished_run(history, number, "nightly", 1, status)
    history.database.execute("UPDATE applications SET expect_s = ?", (expect_s,))
    return run_id


@pytest.mark.parametrize("now, ok", [(1020.0 + 3599, True), (1020.0 + 3601, False)])
def test_a_dead_mans_switch(tmp_path: Path, now: float, ok: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(health, "EARLIEST", 0.0)
    with History.open(str(tmp_path / "history.db")) as history:
        expecting(history, 1, RunStatus.SUCCESS)
        expecting(history, 2, RunStatus.FAILED)
    found = look(tmp_path, now)
    assert oks(found)["expect"] is ok and found["expect"][0].application == "nightly"
    assert "(run 1); expected every 1 h 00 min" in found["expect"][0].found


def test_it_never_succeeded(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(health, "EARLIEST", 0.0)
    with History.open(str(tmp_path / "history.db")) as history:
        expecting(history, 1, RunStatus.FAILED)
    assert oks(look(tmp_path, 1001.0 + 3000))["expect"] is True
    found = look(tmp_path, 1001.0 + 4000)
    assert oks(found)["expect"] is False and "never succeeded" in found["expect"][0].found


def test_a_run_without_its_runner(tmp_path: Path) -> None:
    with History.open(str(tmp_path / "history.db")) as history:
        alive = new_run(1, boot_id=boot_id(), runner_pid=os.getpid(), runner_start=start_time(os.getpid()))
        history.create_run(alive, pipeline("a", 1), places)
        assert oks(look(tmp_path))["stuck"] is True
        history.create_run(new_run(2, boot_id="another boot"), pipeline("b", 1), places)
        found = look(tmp_path)["stuck"]
        assert [(check.ok, check.application) for check in found] == [(False, "b")] and "run 2 of b" in found[0].found

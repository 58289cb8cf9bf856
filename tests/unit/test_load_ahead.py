"""What the end of a run needs is loaded once its first jobs are on their way: not before, and once."""
import sys
from pathlib import Path
from typing import Iterator

import pytest

from executioner.load_ahead import LoadAhead, needed_at_the_end
from jobs.events import JobEnded, RunStarted
from jobs.models import Job, JobStatus, Pipeline

STARTED = RunStarted(1, "0" * 32, "night", "/night.json", 1, 2, 1700000000.0)
CARRIED = JobEnded(0, "a", JobStatus.SUCCESS, "kept", 0, 1700000000.0)


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that leaves a mark where it is loaded."""
    mark = tmp_path / "mark"
    (tmp_path / "late_module.py").write_text("open(%r, 'a').write('loaded ')" % str(mark))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield mark
    sys.modules.pop("late_module", None)


def test_it_waits_for_the_start_and_loads_once(marker: Path) -> None:
    ahead = LoadAhead(["late_module"])
    ahead.tell([])
    ahead.tell([CARRIED])
    assert not marker.exists()
    ahead.tell([CARRIED, STARTED])
    assert marker.read_text() == "loaded "
    sys.modules.pop("late_module", None)
    ahead.tell([STARTED])
    assert marker.read_text() == "loaded "


def test_what_is_switched_off_is_not_loaded() -> None:
    pipeline = Pipeline("night", [Job("a", "true")])
    assert {"executioner.retention", "monitoring.figures"} <= set(needed_at_the_end(pipeline))
    pipeline.features = {"metrics": False, "history_retention": False}
    assert not {"executioner.retention", "monitoring.figures"} & set(needed_at_the_end(pipeline))

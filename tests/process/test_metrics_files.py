"""The metrics files of a home: lines whole under many writers, kills and full disks; rotated; the document; the copy."""
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from db.history import History
from db_samples import finished_run
from jobs.events import AttemptEnded, JobEnded, RunEnded, RunStarted
from jobs.exceptions import ConfigurationError, StorageError
from jobs.models import AttemptOutcome, RunStatus
from monitoring.metrics import MetricsCollector
from monitoring.shared_file import append_lines

ROOT = str(Path(__file__).resolve().parents[2])


def lines(folder: Path, name: str = "metrics.jsonl") -> List[Dict[str, Any]]:
    """Every line, parsed; half a one would not be."""
    data = (folder / name).read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.decode("ascii").splitlines()]


def test_one_measurement_is_in_both_files(tmp_path: Path) -> None:
    collector = MetricsCollector(str(tmp_path), "app", wall=lambda: 1000.25)
    collector.record_job_metric("load", "rows", 5)
    collector.record_job_metric("load", "seconds", 0.5)
    assert lines(tmp_path)[0] == {"timestamp": "1970-01-01T00:16:40.250Z", "application": "app", "run_id": None,
                                  "job_id": "load", "metric": "rows", "value": 5}
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["jobs"] == {"app": {"load": {"rows": 5, "seconds": 0.5}}}
    for name in ("metrics.jsonl", "metrics.json", "metrics.jsonl.lock"):
        assert stat.S_IMODE(os.stat(str(tmp_path / name)).st_mode) == 0o600


def test_the_home_is_the_default_place(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("EXECUTIONER_HOME", str(tmp_path))
    MetricsCollector().record_job_metric("a", "b", 1)
    assert lines(tmp_path)[0]["metric"] == "b"


@pytest.mark.parametrize("job, metric, value", [
    ("", "m", 1), ("j", "", 1), ("j", "m", float("nan")), ("j", "m", float("inf")), ("j", "m", True), ("j", "m", "1"),
    (5, "m", 1)])
def test_what_is_no_measurement(tmp_path: Path, job: Any, metric: Any, value: Any) -> None:
    with pytest.raises(ConfigurationError):
        MetricsCollector(str(tmp_path)).record_job_metric(job, metric, value)
    assert not (tmp_path / "metrics.jsonl").exists()


def run_events(jobs: int) -> List[Any]:
    """A run of so many jobs."""
    events: List[Any] = [RunStarted(1, "u", "app", "/c", jobs, 1, 1000.0)]
    for position in range(jobs):
        events.append(AttemptEnded(position, "j%d" % position, 1, "t", AttemptOutcome("SUCCESS", 0), 1001.0))
        events.append(JobEnded(position, "j%d" % position, "SUCCESS", "", 1, 1001.0, 0, None, 1000.0, 1.0, 0.25, 4096))
    return events + [RunEnded(1, RunStatus.SUCCESS, 0, "", 1010.0)]


def test_a_run_writes_nothing_before_its_end(tmp_path: Path) -> None:
    collector = MetricsCollector(str(tmp_path), "app", 1, buffered=True)
    collector.tell(run_events(3))
    assert os.listdir(str(tmp_path)) == []
    with History.open(str(tmp_path / "history.db")) as history:
        finished_run(history, 1, "app")
        copy = tmp_path / "copy.prom"
        assert collector.finish(history, "1.0", str(copy)) == []
    found = lines(tmp_path)
    assert len(found) == 3 * 4 + 2 and {one["run_id"] for one in found} == {1}
    assert found[-2:][0]["metric"] == "run_duration_seconds" and found[-2]["value"] == 10.0
    text = (tmp_path / "executioner.prom").read_bytes()
    assert copy.read_bytes() == text and b"executioner_runs_total" in text
    assert stat.S_IMODE(os.stat(str(copy)).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(str(tmp_path / "executioner.prom")).st_mode) == 0o600
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["jobs"]["app"]["j2"] == {"attempts": 1, "duration_seconds": 1.0, "cpu_seconds": 0.25,
                                             "max_rss_bytes": 4096}
    assert "executioner_runs_total" in [one["name"] for one in document["metrics"]]


def test_a_disk_that_fails_fails_no_run(tmp_path: Path) -> None:
    collector = MetricsCollector(str(tmp_path / "gone"), "app", 1, buffered=True)
    collector.tell(run_events(2))
    with History.open(str(tmp_path / "history.db")) as history:
        problems = collector.finish(history, "1.0", "/none/x.prom")
    assert len(problems) == 2 and collector.lost == 10 and "gone" in problems[0]


def test_other_applications_stay_in_the_document(tmp_path: Path) -> None:
    for name in ("one", "two", "one"):
        MetricsCollector(str(tmp_path), name, 1).record_job_metric("j-" + name, "m", 1)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert sorted(document["jobs"]) == ["one", "two"]
    (tmp_path / "metrics.json").write_text("[broken")
    MetricsCollector(str(tmp_path), "three").record_job_metric("j", "m", 1)
    assert sorted(json.loads((tmp_path / "metrics.json").read_text())["jobs"]) == ["three"]


def test_it_is_rotated_by_size(tmp_path: Path) -> None:
    collector = MetricsCollector(str(tmp_path), "app", max_bytes=500, kept_files=2)
    for number in range(20):
        collector.record_job_metric("j", "m", number)
    names = sorted(name for name in os.listdir(str(tmp_path)) if name.startswith("metrics.jsonl") and "lock" not in name)
    assert names == ["metrics.jsonl", "metrics.jsonl.1", "metrics.jsonl.2"]
    values = [one["value"] for name in reversed(names) for one in lines(tmp_path, name)]
    assert values == list(range(20))[-len(values):] and len(values) >= 6
    assert all(os.stat(str(tmp_path / name)).st_size <= 500 for name in names)


def test_half_a_line_is_taken_away_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_lines(str(path), b'{"a": 1}\n', 1000, 1)
    with open(str(path), "ab") as stream:
        stream.write(b'{"torn')
    append_lines(str(path), b'{"b": 2}\n', 1000, 1)
    assert path.read_bytes() == b'{"a": 1}\n{"b": 2}\n'


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    os.symlink(str(target), str(tmp_path / "metrics.jsonl"))
    with pytest.raises(StorageError):
        MetricsCollector(str(tmp_path)).record_job_metric("a", "b", 1)
    assert target.read_text() == ""


WRITER = """
import sys
sys.path.insert(0, %r)
from monitoring.metrics import MetricsCollector
collector = MetricsCollector(sys.argv[1], sys.argv[2], max_bytes=20000, kept_files=200)
for number in range(int(sys.argv[3])):
    collector.record_job_metric("job", "number", number)
""" % ROOT


def writer(folder: Path, name: str, count: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), name, str(count)])


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    writers = [writer(tmp_path, "app%d" % number, 60) for number in range(4)]
    assert [one.wait(60) for one in writers] == [0] * 4
    names = [name for name in os.listdir(str(tmp_path)) if name.startswith("metrics.jsonl") and "lock" not in name]
    assert len(names) > 1
    found = [(one["application"], one["value"]) for name in names for one in lines(tmp_path, name)]
    assert sorted(found) == sorted(("app%d" % number, value) for number in range(4) for value in range(60))
    assert len(json.loads((tmp_path / "metrics.json").read_text())["jobs"]) == 4


def test_killed_writers_leave_whole_lines(tmp_path: Path) -> None:
    for _ in range(5):
        one = writer(tmp_path, "app", 100000)
        before = time.monotonic()
        size = -1
        while time.monotonic() - before < 30:
            try:
                grown = os.stat(str(tmp_path / "metrics.jsonl")).st_size
            except OSError:
                grown = -1
            if size >= 0 and grown != size:
                break
            size = max(size, grown)
            time.sleep(0.01)
        os.kill(one.pid, signal.SIGKILL)
        one.wait()
    MetricsCollector(str(tmp_path), "last").record_job_metric("j", "m", 1)
    assert lines(tmp_path)[-1]["application"] == "last"
    json.loads((tmp_path / "metrics.json").read_text())

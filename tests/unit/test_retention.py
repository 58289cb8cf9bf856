"""Retention: what goes, in which order, what always stays, files and rows together, and what it never touches."""
import os
import time
from pathlib import Path
from typing import Any, List

import pytest

from db.history import History
from db.keeping import KeptRun, kept_runs, last_prune
from db_samples import ended, intended, job_ended, new_run, pipeline, started, whole_job
from executioner.retention import folder_size, is_due, plan, prune
from jobs.events import RunEnded
from jobs.models import JobStatus, Retention, RunStatus

from db.history import RunPlaces

NOW = 1000.0 + 100 * 86400
MANY = Retention(1000, 1e9, 1 << 40)


class Stage:
    """A home with runs and their files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = folder / "records"
        self.records.mkdir()
        (folder / "logs").mkdir()
        self.history = History.open(str(folder / "history.db"))
        self.number = 0

    def run(self, failed: Any = (), jobs: int = 2, size: int = 0, open_run: bool = False, at: float = 1000.0) -> int:
        """One run whose output takes so many bytes."""
        self.number += 1

        def place(run_id: int) -> RunPlaces:
            path = self.folder / "logs" / str(run_id)
            path.mkdir()
            (path / "job0.1.out").write_bytes(b"x" * size)
            record = self.records / ("%d.record" % run_id)
            record.write_text("record")
            return RunPlaces(str(path), str(record))

        new = new_run(self.number)
        new.started_at = at
        run_id = self.history.create_run(new, pipeline("nightly", jobs, "{%d}" % self.number), place)
        events: List[Any] = []
        for position in range(jobs):
            if position in failed:
                events += [intended(run_id, position), started(run_id, position),
                           ended(run_id, position, status=JobStatus.FAILED, exit_code=1),
                           job_ended(position, JobStatus.FAILED)]
            else:
                events += whole_job(run_id, position)
        if not open_run:
            events.append(RunEnded(run_id, RunStatus.FAILED if failed else RunStatus.SUCCESS, 0, "", at + 10))
        self.history.journal(run_id).commit(events)
        return run_id

    def prune(self, retention: Retention, now: float = NOW, seconds: float = 60.0) -> List[int]:
        """Prune; which runs are gone, with their files."""
        before = self.left()
        done = prune(self.history, "nightly", retention, now, str(self.records), seconds)
        gone = sorted(set(before) - set(self.left()))
        assert [one.run.run_id for one in done.victims] == gone and not done.problems
        assert done.left == len(self.left())
        for run_id in before:
            there = run_id not in gone
            assert (self.folder / "logs" / str(run_id)).exists() is there
            assert (self.records / ("%d.record" % run_id)).exists() is there
        return gone

    def left(self) -> List[int]:
        return [run.run_id for run in kept_runs(self.history, "nightly")][::-1]


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    made = Stage(tmp_path)
    yield made
    made.history.close()


def test_by_count(stage: Stage) -> None:
    for _ in range(6):
        stage.run()
    assert stage.prune(Retention(4, 1e9, 1 << 40)) == [1, 2]
    assert stage.prune(Retention(4, 1e9, 1 << 40)) == []
    # Nothing of them is left in any table.
    for table in ("jobs", "attempts"):
        assert stage.history.database.fetchall("SELECT DISTINCT run_id FROM %s ORDER BY run_id" % table) == [
            (3,), (4,), (5,), (6,)]
    assert stage.history.database.fetchall("SELECT count(*) FROM configurations") == [(4,)]


def test_by_age(stage: Stage) -> None:
    for days in (0, 10, 50, 99):
        stage.run(at=1000.0 + days * 86400)
    assert stage.prune(Retention(1000, 60 * 86400.0, 1 << 40)) == [1, 2]


def test_by_bytes(stage: Stage) -> None:
    for _ in range(4):
        stage.run(size=40960)
    one = folder_size(kept_runs(stage.history, "nightly")[0])
    assert one >= 40960
    assert stage.prune(Retention(1000, 1e9, 2 * one)) == [1, 2]
    assert [run.size_bytes for run in kept_runs(stage.history, "nightly")] == [one, one]


def test_the_last_success_and_failure_of_each_job_stay(stage: Stage) -> None:
    stage.run(failed=(0,))       # 1: an older failure of job0
    stage.run(failed=(0,))       # 2: the last failure of job0
    stage.run()                  # 3: the last success of job1
    for _ in range(3):
        stage.run(failed=(1,))   # 4, 5, 6
    assert stage.prune(Retention(1, 1e9, 1 << 40)) == [1, 4, 5]
    assert stage.left() == [2, 3, 6]


def test_jobs_that_are_no_more_hold_nothing(stage: Stage) -> None:
    stage.run(jobs=5)
    for _ in range(21):
        stage.run(jobs=1)
    assert 1 in stage.prune(Retention(21, 1e9, 1 << 40))


def test_what_never_goes(stage: Stage) -> None:
    open_run = stage.run(open_run=True)
    untold = stage.run()
    stage.history.database.execute("UPDATE runs SET untold = 1 WHERE run_id = ?", (untold,))
    for _ in range(3):
        stage.run()
    assert stage.prune(Retention(1, 1.0, 0)) == [3, 4]
    assert stage.left() == [open_run, untold, 5]


def test_a_folder_that_is_not_ours_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    victim = tmp_path / "precious"
    victim.mkdir()
    (victim / "file").write_text("x")
    first = stage.run()
    second = stage.run()
    stage.run()
    os.rename(str(tmp_path / "logs" / str(first)), str(tmp_path / "moved"))
    os.symlink(str(victim), str(tmp_path / "logs" / str(first)))
    stage.history.database.execute("UPDATE runs SET log_dir = ? WHERE run_id = ?", (str(victim), second))
    done = prune(stage.history, "nightly", Retention(1, 1e9, 1 << 40), NOW, str(stage.records), 60.0)
    assert len(done.problems) == 2 and all("left alone" in one for one in done.problems)
    assert (victim / "file").exists() and stage.left() == [1, 2, 3]
    # A link inside a folder of ours is removed, and not what it points to.
    stage.history.database.execute("UPDATE runs SET log_dir = ? WHERE run_id = ?",
                                   (str(tmp_path / "logs" / str(second)), second))
    os.symlink(str(victim), str(tmp_path / "logs" / str(second) / "link"))
    prune(stage.history, "nightly", Retention(1, 1e9, 1 << 40), NOW, str(stage.records), 60.0)
    assert (victim / "file").exists() and 2 not in stage.left()


def test_what_a_kill_left_half_done_is_ended(stage: Stage) -> None:
    import shutil
    for _ in range(3):
        stage.run()
    shutil.rmtree(str(stage.folder / "logs" / "1"))  # files go first
    done = prune(stage.history, "nightly", Retention(2, 1e9, 1 << 40), NOW, str(stage.records), 60.0)
    assert [one.run.run_id for one in done.victims] == [1] and stage.left() == [2, 3]


def test_the_time_is_up(stage: Stage) -> None:
    for _ in range(4):
        stage.run()
    done = prune(stage.history, "nightly", Retention(1, 1e9, 1 << 40), NOW, str(stage.records), -1.0)
    assert done.unfinished and done.victims == [] and done.left == 4
    assert last_prune(stage.history, "nightly") is None


def test_a_plan_changes_nothing(stage: Stage) -> None:
    for _ in range(4):
        stage.run()
    stage.history.close()
    with History.open(str(stage.folder / "history.db"), readonly=True) as history:
        planned = plan(history, "nightly", Retention(2, 1e9, 1 << 40), NOW, folder_size)
        assert [one.run.run_id for one in planned.victims] == [1, 2] and planned.left == 2
    assert (stage.folder / "logs" / "1").exists()
    stage.history = History.open(str(stage.folder / "history.db"))


def test_when_it_is_due(stage: Stage) -> None:
    history, few = stage.history, Retention(3, 1e9, 1 << 40)
    assert not is_due(history, "nightly", few, NOW)
    for _ in range(3):
        stage.run(at=NOW - 10)
    assert not is_due(history, "nightly", few, NOW)
    stage.run(failed=(0,), at=NOW - 10)
    assert is_due(history, "nightly", few, NOW)
    prune(history, "nightly", few, NOW, str(stage.records), 60.0)
    assert not is_due(history, "nightly", few, NOW + 10)
    # Age and bytes are looked at again after an hour.
    assert is_due(history, "nightly", few, NOW + 3601)


def test_spared_runs_do_not_make_it_due_for_ever(stage: Stage) -> None:
    stage.run(failed=(0,), at=NOW)
    for _ in range(3):
        stage.run(at=NOW)
    limits = Retention(1, 1e9, 1 << 40)
    prune(stage.history, "nightly", limits, NOW, str(stage.records), 60.0)
    assert stage.left() == [1, 4] and not is_due(stage.history, "nightly", limits, NOW + 1)


def test_ten_thousand_runs_are_planned_quickly(stage: Stage) -> None:
    database = stage.history.database
    stage.run()
    with database.transaction():
        database.executemany(
            "INSERT INTO runs (run_uuid, application, status, reason, config_hash, config_path, options, job_count, "
            "host, user_name, boot_id, record_path, log_dir, started_at, size_bytes) SELECT ?, application, 'SUCCESS', "
            "'', config_hash, '', '{}', 1, '', '', '', '', '', 1000.0, 0 FROM runs WHERE run_id = 1",
            [("u%d" % number,) for number in range(10000)])
    before = time.process_time()
    planned = plan(stage.history, "nightly", Retention(1000, 1e9, 1 << 40), NOW, folder_size)
    assert len(planned.victims) >= 9000 - 1 and time.process_time() - before < 5.0


def test_sizes_follow_no_links(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_bytes(b"x" * 8192)
    os.symlink("/", str(folder / "root"))
    run = KeptRun(1, "SUCCESS", 0.0, None, str(folder), "", False, False)
    assert 8192 <= folder_size(run) < 100000
    assert folder_size(run._replace(log_dir="/none")) == 0

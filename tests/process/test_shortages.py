"""What the system is short of for the moment is waited for, and costs no job its result."""
import os
from pathlib import Path

import pytest

import faulty_keeper
from executor_case import Case
from faulty_keeper import full_disk, shortage
from jobs.keeper.record import read_record
from jobs.models import JobStatus

pytestmark = pytest.mark.needs_linux


def test_every_kind_of_shortage_is_waited_for(tmp_path: Path) -> None:
    """An eighth of all opens and spawns fail: no attempt is failed, run twice, or lost; one notice for each time."""
    case = Case(tmp_path, slots=3, keeper_modules=[faulty_keeper, shortage])
    case.start(*[case.attempt("j%d" % number, "echo %d >> ledger" % number) for number in range(12)])
    case.finish()
    assert case.close() == []
    assert {outcome.status for outcome in case.outcomes.values()} == {JobStatus.SUCCESS}
    assert sorted((tmp_path / "ledger").read_text().split()) == sorted(str(number) for number in range(12))
    assert all(notice.message.endswith("it is tried again") for notice in case.notices) and case.notices
    attempts = read_record(str(case.record)).attempts
    assert len(attempts) == 12 and all(attempt.has_ended for attempt in attempts.values())
    assert sorted(path.name for path in case.output.iterdir()) == sorted(
        "j%d.%s" % (number, ending) for number in range(12) for ending in ("out", "err"))


def test_a_full_disk_starts_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """What runs ends and is told; nothing new starts; the record is completed when there is room again."""
    case = Case(tmp_path, slots=1, keeper_modules=[faulty_keeper, full_disk])
    os.mkfifo(str(tmp_path / "gate"))
    case.start(case.attempt("runs", "read line < gate; exit 7"), case.attempt("waits", "echo x > ran"))
    case.until(lambda: "runs" in case.started, "it runs")
    (tmp_path / "full").write_text("")
    (tmp_path / "gate").write_text("go\n")
    case.until(lambda: "runs" in case.outcomes, "its end")
    case.until(lambda: case.notices, "the notice")
    assert case.outcomes["runs"].exit_code == 7 and not (tmp_path / "ran").exists()
    (tmp_path / "full").unlink()
    case.finish()
    assert case.close() == []
    assert case.outcomes["waits"].status == JobStatus.SUCCESS
    attempts = read_record(str(case.record)).attempts
    assert [attempts[name].facts and attempts[name].facts[2] for name in ("runs", "waits")] == [7, 0]


def test_a_keeper_waits_for_the_disk_before_it_ends(tmp_path: Path) -> None:
    """Closing does not give up what stands nowhere but in the keeper's memory."""
    case = Case(tmp_path, keeper_modules=[faulty_keeper, full_disk])
    os.mkfifo(str(tmp_path / "gate"))
    case.go("runs", "read line < gate; exit 7")
    case.until(lambda: "runs" in case.started, "it runs")
    (tmp_path / "full").write_text("")
    (tmp_path / "gate").write_text("go\n")
    case.finish()
    pid = os.fork()
    if pid == 0:
        import time
        time.sleep(0.5)
        os.unlink(str(tmp_path / "full"))
        os._exit(0)
    assert case.close() == []
    os.waitpid(pid, 0)
    facts = read_record(str(case.record)).attempts["runs"].facts
    assert facts is not None and facts[2] == 7

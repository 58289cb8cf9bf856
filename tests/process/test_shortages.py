"""What the system is short of for the moment is waited for, and costs no job its result."""
import os
from pathlib import Path

import pytest

import faulty_keeper
import jobs.executors.local
from executor_case import Case
from faulty_keeper import full_disk, no_processes, shortage
from jobs.exceptions import StorageError
from jobs.keeper.record import read_record
from jobs.models import JobStatus

pytestmark = pytest.mark.needs_linux


@pytest.mark.slow
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


def test_a_shortage_that_no_end_can_mend_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the run runs, so nobody will give back what is short: not waited for for ever, and no job is blamed."""
    monkeypatch.setattr(jobs.executors.local, "SHORTAGE_PATIENCE_S", 0.5)
    case = Case(tmp_path, keeper_modules=[faulty_keeper, no_processes])
    (tmp_path / "none").write_text("")
    case.go("a", "true")
    with pytest.raises(StorageError) as raised:
        case.finish(30)
    assert raised.value.message.startswith("a process cannot be started: Resource temporarily unavailable; nothing could")
    assert case.outcomes == {} and case.started == {} and len(case.notices) == 1
    assert case.close() == []
    assert not any(attempt.has_ended for attempt in read_record(str(case.record)).attempts.values())
    assert list(case.output.iterdir()) == []


def test_while_something_runs_a_shortage_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end may give back what is short, however late it comes."""
    monkeypatch.setattr(jobs.executors.local, "SHORTAGE_PATIENCE_S", 0.1)
    case = Case(tmp_path, slots=2, keeper_modules=[faulty_keeper, no_processes])
    os.mkfifo(str(tmp_path / "gate"))
    case.go("runs", "read line < gate; rm none")
    case.until(lambda: "runs" in case.started, "it runs")
    (tmp_path / "none").write_text("")
    case.go("waits", "true")
    case.until(lambda: case.notices, "the notice")
    for _ in range(5):
        case.wait(0.2)
    (tmp_path / "gate").write_text("go\n")
    case.finish()
    assert case.close() == []
    assert {outcome.status for outcome in case.outcomes.values()} == {JobStatus.SUCCESS}

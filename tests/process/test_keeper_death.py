"""The keeper is killed: its jobs come back to the runner, with their true exit statuses, and the run goes on."""
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Iterator

import pytest

import faulty_keeper
from executor_case import Case, processes_with, wait_until
from faulty_keeper import crashing, dies_opening, dies_reaping, stillborn
from jobs.exceptions import InternalError
from jobs.keeper.processes import stat_of
from jobs.keeper.record import is_keeper_alive, read_record
from jobs.models import JobStatus

pytestmark = pytest.mark.needs_linux


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """An executor, closed after the test, with nothing left of it."""
    found = Case(tmp_path)
    yield found
    assert found.close() == []


def kill_keeper(case: Case) -> None:
    """As the kernel does it to a process in the way of another."""
    case.wait(0.0)
    os.kill(case.executor.keeper_pid, signal.SIGKILL)


def test_running_jobs_keep_their_true_outcomes(case: Case) -> None:
    """Ended or not yet when the keeper died: each exit code is told as it was."""
    os.mkfifo(str(case.folder / "gate"))
    case.go("one", "read line < gate; exit 41")
    os.mkfifo(str(case.folder / "second"))
    case.go("two", "read line < second")
    case.go("gone", ["/bin/sh", "-c", "kill -9 $$"])
    case.until(lambda: len(case.started) == 3 and "gone" in case.outcomes, "they run")
    os.kill(case.executor.keeper_pid, signal.SIGSTOP)
    (case.folder / "second").write_text("go\n")
    wait_until(lambda: stat_of(case.started["two"].pid).is_dead, "the second has ended")
    kill_keeper(case)
    case.until(lambda: case.notices, "the death is noticed")
    (case.folder / "gate").write_text("go\n")
    case.finish()
    assert {name: (outcome.status, outcome.exit_code) for name, outcome in case.outcomes.items()} == {
        "one": (JobStatus.FAILED, 41), "two": (JobStatus.SUCCESS, 0), "gone": (JobStatus.FAILED, None)}
    assert [notice.message for notice in case.notices][0].endswith("died; 2 running jobs taken over, 0 lost")
    assert case.outcomes["two"].cpu_s is not None and case.outcomes["two"].duration_s is not None
    recorded = read_record(str(case.record)).attempts
    assert {name: attempt.facts and attempt.facts[1] for name, attempt in recorded.items()} == {
        "one": JobStatus.FAILED, "two": JobStatus.SUCCESS, "gone": JobStatus.FAILED}


def test_the_queue_goes_on_with_a_new_keeper(tmp_path: Path) -> None:
    """What had not begun is started by the next keeper, in order, and never twice."""
    case = Case(tmp_path, slots=2)
    case.start(*[case.attempt("j%d" % number, "echo %d >> ledger; sleep 0.1" % number) for number in range(10)])
    case.until(lambda: len(case.outcomes) >= 2, "the first ones")
    first = case.executor.keeper_pid
    kill_keeper(case)
    case.finish()
    assert case.executor.keeper_pid not in (0, first)
    assert is_keeper_alive(str(case.record))
    assert case.close() == []
    assert Counter((tmp_path / "ledger").read_text().split()) == Counter(str(number) for number in range(10))
    assert {outcome.status for outcome in case.outcomes.values()} == {JobStatus.SUCCESS}
    assert read_record(str(case.record)).closed and not is_keeper_alive(str(case.record))


def test_time_limits_and_trees_of_adopted_jobs(case: Case) -> None:
    """A limit counts from the start, whoever watches; what escaped is found."""
    nonce = "1%d.25" % os.getpid()
    before = time.monotonic()
    os.mkfifo(str(case.folder / "gate"))
    case.go("late", "setsid sleep %s & (setsid sleep %s &); trap '' TERM; while :; do sleep 0.1; done" % (nonce, nonce),
            timeout_s=2.0, stop_grace_s=0.3)
    case.go("leaves", "(setsid sleep %s &); read line < gate; exit 0" % nonce, stop_grace_s=0.3)
    case.until(lambda: len(case.started) == 2, "they run")
    wait_until(lambda: len([1 for line in processes_with(nonce).values() if line.startswith("sleep")]) == 3, "they are away")
    kill_keeper(case)
    (case.folder / "gate").write_text("go\n")
    case.finish()
    assert time.monotonic() - before > 2.2
    assert (case.outcomes["late"].status, case.outcomes["late"].signal) == (JobStatus.TIMEOUT, "SIGKILL")
    assert case.outcomes["leaves"].status == JobStatus.SUCCESS
    assert processes_with(nonce) == {}


def test_stops_are_not_forgotten(case: Case) -> None:
    """A stop asked for before and one asked for after the keeper's death."""
    for name in ("before", "after"):
        case.go(name, "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done")
    for name in ("before", "after"):
        wait_until(lambda name=name: (case.output / (name + ".out")).exists() and case.stdout(name), "up")
    case.until(lambda: len(case.started) == 2, "they run")
    os.kill(case.executor.keeper_pid, signal.SIGSTOP)
    case.executor.stop("before", "cancel")
    kill_keeper(case)
    case.until(lambda: case.notices, "the death is noticed")
    case.executor.stop("after", "run_timeout")
    case.finish()
    assert [(case.outcomes[name].status, case.outcomes[name].exit_code) for name in ("before", "after")] == [
        (JobStatus.CANCELLED, 9), (JobStatus.TIMEOUT, 9)]


def test_a_withdrawal_is_not_forgotten(tmp_path: Path) -> None:
    """What was to be given back is given back though the keeper never heard of it."""
    case = Case(tmp_path, slots=1)
    os.mkfifo(str(tmp_path / "gate"))
    case.start(case.attempt("runs", "read line < gate"), case.attempt("waits", "echo x > ran"))
    case.until(lambda: "runs" in case.started, "it runs")
    os.kill(case.executor.keeper_pid, signal.SIGSTOP)
    case.executor.withdraw()
    kill_keeper(case)
    case.until(lambda: case.withdrawn, "the withdrawal")
    (tmp_path / "gate").write_text("go\n")
    case.finish()
    assert case.close() == []
    assert case.withdrawn == ["waits"] and case.order == ["runs"] and not (tmp_path / "ran").exists()


def test_a_failure_of_an_adopted_job_halts_the_new_keeper(tmp_path: Path) -> None:
    """Nothing more starts until it is answered; slots that adopted jobs fill are not given twice."""
    case = Case(tmp_path, slots=2)
    case.answers_halts = False
    os.mkfifo(str(tmp_path / "gate"))
    os.mkfifo(str(tmp_path / "second"))
    case.start(case.attempt("bad", "read line < gate; exit 1"), case.attempt("runs", "read line < second"),
               case.attempt("next", "echo x >> ran"))
    case.until(lambda: len(case.started) == 2, "they run")
    kill_keeper(case)
    case.until(lambda: case.notices, "the death is noticed")
    case.go("further", "echo y >> ran")
    for _ in range(4):
        case.wait(0.05)
    assert not (tmp_path / "ran").exists(), "both slots are taken"
    (tmp_path / "gate").write_text("go\n")
    (tmp_path / "second").write_text("go\n")
    case.until(lambda: len(case.outcomes) == 2, "both ended")
    for _ in range(4):
        case.wait(0.05)
    assert case.halted == ["bad"] and not (tmp_path / "ran").exists()
    case.executor.proceed()
    case.finish()
    assert case.close() == []
    assert sorted((tmp_path / "ran").read_text()) == ["\n", "\n", "x", "y"]  # in two slots, so in either order


def test_an_unanswered_failure_halts_the_next_keeper_too(tmp_path: Path) -> None:
    """The keeper that told of the failure is dead; the answer is still due."""
    case = Case(tmp_path, slots=1)
    case.answers_halts = False
    case.start(case.attempt("bad", "exit 1"), case.attempt("next", "echo x >> ran"))
    case.until(lambda: case.halted, "the failure")
    kill_keeper(case)
    case.until(lambda: case.notices, "the death is noticed")
    case.go("further", "echo y >> ran")
    for _ in range(6):
        case.wait(0.05)
    assert not (tmp_path / "ran").exists()
    case.executor.proceed()
    case.finish()
    assert case.close() == []
    assert (tmp_path / "ran").read_text() == "x\ny\n"


def test_a_keeper_that_dies_before_the_start_has_begun_nothing(tmp_path: Path) -> None:
    """An output file was made, and that was all: the next keeper starts the attempt as if nothing had been."""
    case = Case(tmp_path, keeper_modules=[faulty_keeper, dies_opening])
    case.go("job", "echo x >> ran")
    case.finish()
    assert case.close() == []
    assert case.outcomes["job"].status == JobStatus.SUCCESS and (tmp_path / "ran").read_text() == "x\n"
    assert [notice.message for notice in case.notices][0].endswith("0 running jobs taken over, 0 lost")


def test_killed_again_and_again(tmp_path: Path) -> None:
    """Short jobs, many kills at random moments: each job is run once, none is lost, each outcome is true."""
    seed = random.randrange(10**6)
    rnd = random.Random(seed)
    case = Case(tmp_path, slots=3)
    count = kills = known = 0
    next_kill = time.monotonic()
    while kills < 10 or case.open:
        while kills < 10 and len(case.open) < 12:
            case.go("j%d" % count, ["/bin/sh", "-c", "echo %d >> ledger; exit %d" % (count, count % 7)])
            count += 1
        case.wait(0.01)
        if time.monotonic() >= next_kill and len(case.started) > known and kills < 10:
            os.kill(case.executor.keeper_pid, signal.SIGKILL)
            kills += 1
            known = len(case.started)
            next_kill = time.monotonic() + rnd.uniform(0.0, 0.08)
    assert case.close() == []
    ran = Counter((tmp_path / "ledger").read_text().split())
    assert [name for name, times in ran.items() if times > 1] == [], seed
    wrong = {name: outcome.reason for name, outcome in case.outcomes.items() if outcome.exit_code != int(name[1:]) % 7}
    assert wrong == {} and len(ran) == count, seed


def test_a_keeper_that_never_comes_up_is_a_clear_error(tmp_path: Path) -> None:
    """Not an endless row of keepers."""
    case = Case(tmp_path, keeper_modules=[faulty_keeper, stillborn])
    case.go("a", "true")
    with pytest.raises(InternalError) as raised:
        case.finish()
    assert raised.value.message.startswith("the keeper process died 4 times without starting anything")
    assert "ZeroDivisionError" in raised.value.message
    assert case.close() == []


def test_a_keeper_that_dies_while_it_reaps_loses_no_status(tmp_path: Path) -> None:
    """The exit status is gone from the kernel, and in nobody's memory: it stands in the record. What was left goes."""
    case = Case(tmp_path, keeper_modules=[faulty_keeper, dies_reaping])
    nonce = "4%d.75" % os.getpid()
    case.go("job", "setsid sleep %s & exit 23" % nonce, stop_grace_s=0.3)
    case.finish()
    assert (case.outcomes["job"].status, case.outcomes["job"].exit_code) == (JobStatus.FAILED, 23)
    assert processes_with(nonce) == {}
    assert case.close() == []
    facts = read_record(str(case.record)).attempts["job"].facts
    assert facts is not None and facts[2] == 23


def test_a_crash_of_the_keeper_is_told_with_its_cause(tmp_path: Path) -> None:
    """An error of ours inside the keeper ends it like a kill does, and says why."""
    case = Case(tmp_path, keeper_modules=[faulty_keeper, crashing])
    case.go("a", "sleep 1.3; exit 4")
    case.finish()
    assert case.close() == []
    assert (case.outcomes["a"].status, case.outcomes["a"].exit_code) == (JobStatus.FAILED, 4)
    assert any("crash for a test" in notice.message for notice in case.notices)

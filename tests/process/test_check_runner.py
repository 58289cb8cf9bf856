"""Checks run beside the loop: it is woken, it is never held up, and every ticket comes back."""
import os
import select
import threading
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from jobs.checks.registry import BUILT_IN, CheckDeclaration
from jobs.checks.result import CheckContext, CheckResult
from jobs.checks.runner import Checked, CheckRunner, CheckService, InlineCheckRunner, failure_reason
from jobs.models import Check

DEADLINE_S = 60.0


class Loop:
    """What the engine does: wait for the pipe, take the answers."""

    def __init__(self, timeout_s: float = 60.0) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.registry = BUILT_IN.copy()
        self.registry.add(CheckDeclaration("hangs", self.hangs, (), "waits"))
        self.registry.add(CheckDeclaration(
            "passes", lambda context: CheckResult("passes", True, context.working_dir), (), ""))
        self.registry.add(CheckDeclaration("raises", self.raises, (), ""))
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.set_blocking(self.write_end, False)
        self.runner = CheckRunner(self.write_end, self.registry, timeout_s)

    def hangs(self, context: CheckContext) -> CheckResult:
        self.entered.release()
        assert self.gate.wait(DEADLINE_S)
        return CheckResult("hangs", True, "at last")

    def raises(self, context: CheckContext) -> CheckResult:
        raise OSError("broken")

    def submit(self, ticket: str, *names: str) -> None:
        self.runner.submit(ticket, [Check(name) for name in names], CheckContext("/work"))

    def answers(self, count: int) -> Dict[str, Checked]:
        found: List[Checked] = []
        while len(found) < count:
            ready, _, _ = select.select([self.read_end], [], [], DEADLINE_S)
            assert ready, "never woken; so far %s" % found
            os.read(self.read_end, 65536)
            found += self.runner.take()
        return {checked.ticket: checked for checked in found}


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.gate.set()
    loop.runner.close()
    os.close(loop.read_end)
    os.close(loop.write_end)


def threads() -> int:
    return sum(thread.name.startswith("check-") for thread in threading.enumerate())


def test_all_checks_of_a_ticket_in_order(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"ORA-00001: dup\n")
    assert loop.runner.take() == [] and loop.runner.pending() == 0
    loop.runner.submit("t1", [Check("passes"), Check("check_file_exists", {"path": "no"}), Check("raises"),
                              Check("check_no_ora_errors", {"log_file": "log"})], CheckContext(str(tmp_path), {"A": "b"}))
    assert loop.runner.pending() == 1
    checked = loop.answers(1)["t1"]
    assert [result.passed for result in checked.results] == [True, False, False, False] and not checked.passed
    assert failure_reason(checked.results) == (
        "check_file_exists: no file %s/no; raises: the check raised OSError: broken; "
        "check_no_ora_errors: %s/log:1: ORA-00001: dup" % (tmp_path, tmp_path))
    assert loop.runner.pending() == 0 and loop.runner.take() == []


def test_a_ticket_without_checks_has_passed(loop: Loop) -> None:
    loop.submit("t")
    assert loop.answers(1)["t"].passed


def test_many_tickets(loop: Loop) -> None:
    for number in range(500):
        loop.submit("t%d" % number, "passes", "passes")
    found = loop.answers(500)
    assert len(found) == 500 and all(checked.passed and len(checked.results) == 2 for checked in found.values())
    assert threads() <= 5


def test_one_that_hangs_holds_up_nobody_else(loop: Loop) -> None:
    loop.submit("slow", "hangs")
    assert loop.entered.acquire(timeout=DEADLINE_S)
    loop.submit("fast", "passes")
    assert set(loop.answers(1)) == {"fast"}
    loop.gate.set()
    assert loop.answers(1)["slow"].passed


def test_one_that_does_not_answer_in_time_has_failed_and_the_rest_goes_on() -> None:
    loop = Loop(timeout_s=1.0)
    before = threads()
    try:
        # More than there are threads: each must be replaced.
        for number in range(6):
            loop.submit("t%d" % number, "passes", "hangs", "passes")
        found = loop.answers(6)
        for checked in found.values():
            assert [(result.passed, result.reason, result.is_known) for result in checked.results] == [
                (True, "/work", True), (False, "timed out after 1 s", False), (True, "/work", True)]
        loop.submit("after", "passes")
        assert loop.answers(1)["after"].passed
        # What comes too late is ignored.
        loop.gate.set()
        deadline = time.monotonic() + DEADLINE_S
        while threads() > before + 5:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert loop.runner.take() == [] and loop.runner.pending() == 0
        assert all(len(checked.results) == 3 for checked in found.values())
    finally:
        loop.gate.set()
        loop.runner.close()
        os.close(loop.read_end)
        os.close(loop.write_end)


def test_a_run_that_is_to_stop_waits_for_no_check(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.checks.runner.HURRIED_TIMEOUT_S", 0.1)
    loop.submit("before", "hangs", "passes")
    assert loop.entered.acquire(timeout=DEADLINE_S)
    loop.runner.hurry()
    assert [result.reason for result in loop.answers(1)["before"].results] == ["given up, since the run is to stop", "/work"]
    loop.submit("after", "hangs")
    assert not loop.answers(1)["after"].passed


def test_a_full_pipe_does_no_harm(loop: Loop) -> None:
    try:
        while True:
            os.write(loop.write_end, b"x" * 4096)
    except BlockingIOError:
        pass
    for number in range(10):
        loop.submit("t%d" % number, "passes")
    found: List[Checked] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(found) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.002)
        found += loop.runner.take()


def test_after_close_nothing_is_written(loop: Loop) -> None:
    loop.submit("t", "hangs")
    assert loop.entered.acquire(timeout=DEADLINE_S)
    loop.runner.close()
    loop.gate.set()
    deadline = time.monotonic() + DEADLINE_S
    while threads():
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert select.select([loop.read_end], [], [], 0)[0] == []


def test_where_no_thread_can_be_started_the_checks_fail(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    loop.submit("t", "passes", "passes")
    assert [result.reason for result in loop.answers(1)["t"].results] == ["cannot be run: can't start new thread"] * 2


def test_inline_answers_at_once(tmp_path: Path) -> None:
    runner: CheckService = InlineCheckRunner()
    runner.submit("t", [Check("check_file_exists", {"path": str(tmp_path)})], CheckContext("/"))
    assert runner.pending() == 1
    checked, = runner.take()
    assert checked.ticket == "t" and not checked.passed
    assert runner.take() == [] and runner.pending() == 0
    runner.submit("u", [], CheckContext("/"))
    runner.close()
    assert runner.take() == []
    runner = CheckRunner()
    runner.close()

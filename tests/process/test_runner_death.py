"""The runner is killed: what runs is finished, timed and recorded by the keeper; what had not begun never does."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest

from executor_case import DEADLINE_S, processes_with, runner_command, runner_environment, wait_until
from jobs.keeper.processes import stat_of
from jobs.keeper.record import is_keeper_alive, read_record

pytestmark = pytest.mark.needs_linux


class Runner:
    """A runner in a process of its own, which can be killed."""

    def __init__(self, folder: Path, jobs: List[List[Any]], slots: int = 4, **options: Any) -> None:
        self.folder = folder
        self.record = str(folder / "record")
        self.process = subprocess.Popen(runner_command(folder, jobs, slots=slots, options=options),
                                        env=runner_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.keeper = int(self.line()["pid"])

    def line(self) -> Dict[str, Any]:
        """The next event."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the runner ended"
        found: Dict[str, Any] = json.loads(line.decode())
        return found

    def until(self, event: str, count: int = 1) -> None:
        """Read events until so many of a kind came."""
        while count:
            count -= self.line()["event"] == event

    def kill(self) -> None:
        """As the kernel does it; the output must come to its end at once, or cron would wait for the jobs."""
        self.process.kill()
        self.process.wait()
        before = time.monotonic()
        assert self.process.stdout is not None
        self.process.stdout.read()
        assert time.monotonic() - before < DEADLINE_S
        self.process.stdout.close()

    def is_keeper_there(self) -> bool:
        """Whether the keeper's process lives."""
        found = stat_of(self.keeper)
        return found is not None and not found.is_dead

    def statuses(self) -> Dict[str, Optional[str]]:
        """Status of each attempt by the record; None where it has not ended."""
        return {token: attempt.facts[1] if attempt.facts else None
                for token, attempt in read_record(self.record).attempts.items()}


@pytest.fixture
def nonce(tmp_path: Path) -> Iterator[str]:
    """A time to sleep that no other process of this machine has; nothing that sleeps it outlives the test."""
    found = "3%d.%d" % (os.getpid(), abs(hash(str(tmp_path))) % 10**9)
    yield found
    assert processes_with(found) == {}


def test_what_runs_is_finished_and_recorded(tmp_path: Path, nonce: str) -> None:
    """Exit codes, limits, escaped children: all as if the runner lived. What was queued does not start."""
    gates = [tmp_path / "gate", tmp_path / "second"]
    for gate in gates:
        os.mkfifo(str(gate))
    runner = Runner(tmp_path, [
        ["good", "read line < gate; echo end", {}],
        ["bad", "read line < second; exit 3", {}],
        ["late", "setsid sleep %s & sleep %s" % (nonce, nonce), {"timeout_s": 0.8, "stop_grace_s": 0.2}],
        ["queued", "echo x > ran", {}]], slots=3)
    runner.until("started", 3)
    runner.kill()
    assert is_keeper_alive(runner.record)
    assert [runner.statuses()[name] for name in ("good", "bad")] == [None, None]
    wait_until(lambda: runner.statuses()["late"], "the limit fires")
    for gate in gates:
        gate.write_text("go\n")
    wait_until(lambda: not is_keeper_alive(runner.record), "the keeper ends")
    assert runner.statuses() == {"good": "SUCCESS", "bad": "FAILED", "late": "TIMEOUT"}
    assert read_record(runner.record).closed
    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "output" / "good.out").read_bytes() == b"end\n"
    wait_until(lambda: not runner.is_keeper_there(), "the keeper is gone")


def test_what_is_left_behind_goes_without_a_runner_too(tmp_path: Path, nonce: str) -> None:
    """A daemon of a job that ends after the runner."""
    runner = Runner(tmp_path, [["job", "sleep 0.4; setsid sleep %s & exit 0" % nonce, {"stop_grace_s": 0.3}]])
    runner.until("started")
    runner.kill()
    wait_until(lambda: not is_keeper_alive(runner.record), "the keeper ends")
    assert runner.statuses() == {"job": "SUCCESS"} and processes_with(nonce) == {}


def test_on_runner_death_kill(tmp_path: Path, nonce: str) -> None:
    """Where the run wishes so, its jobs are stopped when the runner dies."""
    runner = Runner(tmp_path, [["job", "setsid sleep %s & sleep %s" % (nonce, nonce), {"stop_grace_s": 0.3}]],
                    on_runner_death="kill")
    runner.until("started")
    runner.kill()
    wait_until(lambda: not is_keeper_alive(runner.record), "the keeper ends")
    facts = read_record(runner.record).attempts["job"].facts
    assert facts is not None and facts[1] == "CANCELLED" and facts[4] == "stopped: the runner died"


def test_a_keeper_without_a_runner_can_be_told_to_stop(tmp_path: Path, nonce: str) -> None:
    """TERM is nothing to it while the runner lives, and ends its jobs when the runner is dead."""
    runner = Runner(tmp_path, [["job", "sleep %s" % nonce, {"stop_grace_s": 0.3}]])
    runner.until("started")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(runner.keeper, number)
    time.sleep(0.1)
    assert runner.is_keeper_there() and len(processes_with(nonce)) > 1
    runner.kill()
    os.kill(runner.keeper, signal.SIGHUP)
    wait_until(lambda: read_record(runner.record).keeper_pid == runner.keeper, "the record names the keeper")
    os.kill(runner.keeper, signal.SIGTERM)
    wait_until(lambda: not is_keeper_alive(runner.record), "the keeper ends")
    assert runner.statuses() == {"job": "CANCELLED"}


@pytest.mark.slow
def test_a_runner_that_dies_at_once_starts_nothing_later(tmp_path: Path) -> None:
    """Whenever the runner dies: once the record is free, nothing more begins."""
    for delay_ms in range(0, 60, 4):
        folder = tmp_path / str(delay_ms)
        folder.mkdir()
        runner = Runner(folder, [["j%d" % number, "echo %d >> ledger" % number, {}] for number in range(3)], slots=1)
        time.sleep(delay_ms / 1000.0)
        runner.kill()
        wait_until(lambda runner=runner: not is_keeper_alive(runner.record), "the keeper ends")
        ledger = folder / "ledger"
        ran = ledger.read_text().split() if ledger.exists() else []
        recorded = read_record(runner.record).attempts
        assert sorted(ran) == sorted(token[1:] for token in recorded), delay_ms
        assert all(attempt.has_ended for attempt in recorded.values()), delay_ms
        wait_until(lambda runner=runner: not runner.is_keeper_there(), "the keeper is gone")
        assert (ledger.read_text().split() if ledger.exists() else []) == ran


def test_both_die_and_the_mark_still_tells(tmp_path: Path, nonce: str) -> None:
    """Nobody is left to stop or reap it: what lives on can be found by its mark, and the record has no end of it."""
    runner = Runner(tmp_path, [["job", "sleep %s" % nonce, {}]])
    runner.until("started")
    os.kill(runner.keeper, signal.SIGSTOP)
    runner.process.send_signal(signal.SIGSTOP)
    os.kill(runner.keeper, signal.SIGKILL)
    runner.kill()
    wait_until(lambda: not is_keeper_alive(runner.record), "the record is free")
    assert runner.statuses() == {"job": None}
    marked = processes_with("EXECUTIONER_MARK=job")
    left = [pid for pid in processes_with("sleep\0" + nonce) if pid in marked]
    assert left
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_with(nonce), "it is gone")

"""From wait status to status, exit code, signal and reason."""
import signal
from typing import Any, Dict, Optional

import pytest

from jobs.keeper.verdict import bytes_text, limit_text, signal_name
from jobs.models import JobStatus
from jobs.outcomes import lost_outcome, outcome_from_facts, outcome_of


@pytest.mark.parametrize("wait_status, more, status, exit_code, ended_by, reason", [
    (0, {}, JobStatus.SUCCESS, 0, None, "exit code 0"),
    (3 << 8, {}, JobStatus.FAILED, 3, None, "exit code 3"),
    (3 << 8, {"success_codes": (3,)}, JobStatus.SUCCESS, 3, None, "exit code 3"),
    (0, {"success_codes": (3,)}, JobStatus.FAILED, 0, None, "exit code 0"),
    (9, {}, JobStatus.FAILED, None, "SIGKILL", "ended by SIGKILL"),
    (11 | 0x80, {}, JobStatus.FAILED, None, "SIGSEGV", "ended by SIGSEGV"),
    (127 << 8, {}, JobStatus.FAILED, 127, None, "exit code 127"),
    (127 << 8, {"via_shell": True}, JobStatus.ERROR, 127, None,
     "a program was not found by the shell (exit code 127)"),
    (126 << 8, {"via_shell": True}, JobStatus.ERROR, 126, None,
     "a program could not be executed by the shell (exit code 126)"),
    (127 << 8, {"via_shell": True, "success_codes": (127,)}, JobStatus.SUCCESS, 127, None, "exit code 127"),
    (15, {"stop_reason": "timeout", "stop_text": "timeout after 5 s"}, JobStatus.TIMEOUT, None, "SIGTERM",
     "timeout after 5 s"),
    (0, {"stop_reason": "timeout"}, JobStatus.TIMEOUT, 0, None, "timeout"),
    (15, {"stop_reason": "total_timeout"}, JobStatus.TIMEOUT, None, "SIGTERM", "total timeout"),
    (15, {"stop_reason": "run_timeout"}, JobStatus.TIMEOUT, None, "SIGTERM", "run timeout"),
    (7 << 8, {"stop_reason": "cancel"}, JobStatus.CANCELLED, 7, None, "cancelled"),
    (9, {"stop_reason": "output_limit", "stop_text": "output passed 1.0 GiB"}, JobStatus.FAILED, None, "SIGKILL",
     "output passed 1.0 GiB"),
    (127 << 8, {"stop_reason": "cancel", "via_shell": True}, JobStatus.CANCELLED, 127, None, "cancelled"),
    (None, {}, JobStatus.LOST, None, None, "its exit status is not known: another process took it"),
    (None, {"refusal": (127, "program not found: x")}, JobStatus.ERROR, 127, None, "program not found: x"),
    (0, {"refusal": (None, "no folder")}, JobStatus.ERROR, None, None, "no folder"),
])
def test_every_way_to_end(wait_status: Optional[int], more: Dict[str, Any], status: str, exit_code: Optional[int],
                          ended_by: Optional[str], reason: str) -> None:
    """One row each."""
    more.setdefault("success_codes", (0,))
    outcome = outcome_of(wait_status, **more)
    assert (outcome.status, outcome.exit_code, outcome.signal, outcome.reason) == (status, exit_code, ended_by, reason)
    assert outcome.stop_reason == more.get("stop_reason", "")


def test_no_status_means_success_by_mistake() -> None:
    """Of all wait statuses only the one is a success."""
    wins = [number for number in range(1 << 16) if number & 0x7f != 0x7f and number & 0xff in (0, number & 0x7f)
            and outcome_of(number, (0,)).status == JobStatus.SUCCESS]
    assert wins == [0]


def test_names_of_signals() -> None:
    """As ``signal`` names them; real-time signals by their distance."""
    for number in signal.Signals:
        if number not in (signal.SIGRTMIN, signal.SIGRTMAX):
            assert signal_name(int(number)) == number.name
    first = int(signal.SIGRTMIN)
    assert (signal_name(first), signal_name(first + 3), signal_name(200)) == ("SIGRTMIN", "SIGRTMIN+3", "signal 200")


@pytest.mark.parametrize("seconds, text", [
    (0.5, "0.5 s"), (5, "5 s"), (90.0, "90 s"), (119, "119 s"), (120, "2 min"), (125, "125 s"), (3600, "1 h"), (10800, "3 h"),
    (5400, "90 min"), (1e-5, "1e-05 s"), (0.1 + 0.2, "0.3 s"), (315360000, "87600 h")])
def test_limits_for_people(seconds: float, text: str) -> None:
    """As one would have written them."""
    assert limit_text(seconds) == text


@pytest.mark.parametrize("count, text", [
    (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1 << 30, "1.0 GiB"), (1 << 44, "16.0 TiB")])
def test_sizes_for_people(count: int, text: str) -> None:
    """Binary units."""
    assert bytes_text(count) == text


def test_lost_and_recorded() -> None:
    """What nobody knows, and what the record knows."""
    lost = lost_outcome("why", 5.0)
    assert (lost.status, lost.reason, lost.started_at, lost.exit_code) == (JobStatus.LOST, "why", 5.0, None)
    outcome = outcome_from_facts(("t", "FAILED", 3, None, "exit code 3", "", 1.0, 2.0, 1.0, 0.5, 4096, ("7 sleep",)))
    assert (outcome.exit_code, outcome.duration_s, outcome.survivors) == (3, 1.0, ("7 sleep",))

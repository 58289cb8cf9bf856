"""Deadlines: when they are, what is expected by earlier runs, and when it is worth looking again."""
import os
import time
from typing import Any, Dict, Iterator, List, Optional

import pytest

from jobs.records import JobRecord
from monitoring.deadlines import Watched, deadline_at, expected_ends, late_jobs, next_look_s

DEADLINE = 2000.0


@pytest.fixture
def berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def utc(*fields: int) -> float:
    import calendar
    return float(calendar.timegm(fields + (0, 0, 0)))


def test_a_duration_counts_from_the_start() -> None:
    assert deadline_at(1000.0, 90.0, None) == 1090.0 and deadline_at(1000.0, None, None) is None


@pytest.mark.parametrize("start, minutes, expected", [
    ((2026, 1, 15, 1, 0, 0), 6 * 60 + 30, (2026, 1, 15, 5, 30, 0)),   # 02:00 local: the same day
    ((2026, 1, 15, 6, 0, 0), 6 * 60 + 30, (2026, 1, 16, 5, 30, 0)),   # 07:00 local: the next one
    ((2026, 1, 31, 22, 0, 0), 6 * 60, (2026, 2, 1, 5, 0, 0)),         # over the end of a month
    ((2026, 3, 28, 21, 0, 0), 6 * 60, (2026, 3, 29, 4, 0, 0)),        # the night with 23 hours
    ((2026, 10, 24, 20, 0, 0), 6 * 60, (2026, 10, 25, 5, 0, 0)),      # the night with 25
])
def test_a_time_of_day_is_the_next_one(berlin: None, start: Any, minutes: int, expected: Any) -> None:
    assert deadline_at(utc(*start), None, minutes) == utc(*expected)


def job(status: str, started: Optional[float] = None, ended: Optional[float] = None) -> JobRecord:
    return JobRecord("x", status, started_at=started, ended_at=ended)


WATCHED = [Watched("a", (), None), Watched("b", ("a",), None), Watched("c", ("b", "unwatched"), DEADLINE)]


def late(jobs: Dict[str, JobRecord], usual: Dict[str, float], now: float) -> List[Any]:
    return [(one.job_id, one.missed, one.lines) for one in late_jobs(WATCHED, jobs, usual, now)]


def test_a_chain_is_added_up() -> None:
    jobs = {"a": job("RUNNING", 1000.0), "b": job("PENDING"), "c": job("PENDING")}
    usual = {"a": 300.0, "b": 200.0, "c": 100.0}
    ends = expected_ends(WATCHED, jobs, usual, 1100.0)
    assert [ends[name].end_at for name in "abc"] == [1300.0, 1500.0, 1600.0]
    assert late(jobs, usual, 1100.0) == []
    # It runs longer than usual, and everything behind it moves.
    assert late(jobs, usual, 1700.0) == []
    assert expected_ends(WATCHED, jobs, usual, 1700.0)["a"].end_at == 1700.0
    found = late(jobs, usual, 1750.0)
    assert [one[:2] for one in found] == [("c", False)]
    assert found[0][2][1:] == ["expected to end 50 s after it, by earlier runs",
                               "a has run for 12 min 30 s and usually takes 5 min 00 s",
                               "b has not begun and usually takes 3 min 20 s",
                               "c has not begun and usually takes 1 min 40 s"]


def test_nothing_is_guessed_where_nothing_is_known() -> None:
    jobs = {"a": job("RUNNING", 1000.0), "b": job("PENDING"), "c": job("PENDING")}
    assert late(jobs, {}, 1999.0) == []
    assert [one[:2] for one in late(jobs, {}, 2000.0)] == [("c", True)]


def test_what_is_over() -> None:
    done = {"a": job("SUCCESS", 1, 2), "b": job("SUCCESS", 2, 3), "c": job("SUCCESS", 3, 2005.0)}
    found = late(done, {}, 5000.0)
    assert [one[:2] for one in found] == [("c", True)] and "it ended 5.0 s after it" in found[0][2]
    assert late(dict(done, c=job("SUCCESS", 3, 1999.0)), {}, 5000.0) == []
    assert late(dict(done, c=job("FAILED", 3, 2005.0)), {}, 5000.0) == []  # that is a failure, and told as one
    assert late(dict(done, c=job("BLOCKED", None, None)), {}, 5000.0) == []


def test_when_to_look_again() -> None:
    jobs = {"a": job("RUNNING", 1000.0), "b": job("PENDING"), "c": job("PENDING")}
    usual = {"a": 300.0, "b": 200.0, "c": 100.0}
    assert next_look_s(WATCHED, jobs, usual, (), 1100.0) == 15.0
    assert next_look_s(WATCHED, jobs, usual, (), 1695.0) == pytest.approx(5.0)
    assert next_look_s(WATCHED, jobs, usual, ("c",), 1695.0) == 15.0
    assert next_look_s(WATCHED, jobs, usual, (), 3000.0) == 0.2


def test_a_long_chain_needs_no_recursion() -> None:
    chain = [Watched("j%d" % number, ("j%d" % (number + 1),), 10.0) for number in range(5000)] + [
        Watched("j5000", (), None)]
    assert expected_ends(chain, {}, {"j%d" % number: 1.0 for number in range(5001)}, 0.0)["j0"].end_at == 5001.0

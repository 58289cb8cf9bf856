"""Which jobs will miss their deadlines, by what earlier runs took, and why: values in, verdicts out.

An estimate is the earliest end that is still likely: a running job takes as long as usual, one that waits begins when
what it waits for has ended. Where nothing is known of a job it counts as nothing, so an alert is never made of guesses.
"""
import time
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from jobs.models import FINAL_STATUSES, JobStatus
from jobs.records import JobRecord
from jobs.times import duration_text, utc_text

__all__ = ["Estimate", "Late", "Watched", "deadline_at", "expected_ends", "late_jobs", "next_look_s"]

#: A job has been looked at at least so often, in seconds.
LONGEST_PAUSE_S = 15.0
SHORTEST_PAUSE_S = 0.2
_DAY_S = 86400.0


class Watched(NamedTuple):
    """A job that has a deadline, or that such a one waits for."""

    job_id: str
    needs: Tuple[str, ...]
    #: Epoch seconds; None = none.
    deadline_at: Optional[float]


class Estimate(NamedTuple):
    """When a job ends at the earliest, by what is known; and the reasons, the first cause first."""

    end_at: float
    why: Tuple[str, ...]
    is_over: bool


class Late(NamedTuple):
    """A job that has missed its deadline, or is expected to."""

    job_id: str
    missed: bool
    lines: List[str]


def deadline_at(started_at: float, after_s: Optional[float], clock_minutes: Optional[int]) -> Optional[float]:
    """When a deadline is, in epoch seconds: a time of day means its next occurrence after the start, local time."""
    if after_s is not None:
        return started_at + after_s
    if clock_minutes is None:
        return None
    day = time.localtime(started_at)
    at = time.mktime((day.tm_year, day.tm_mon, day.tm_mday, clock_minutes // 60, clock_minutes % 60, 0, 0, 0, -1))
    if at <= started_at:
        # mktime takes the 32nd for the 1st of the next month, and knows days of 23 and 25 hours.
        at = time.mktime((day.tm_year, day.tm_mon, day.tm_mday + 1, clock_minutes // 60, clock_minutes % 60, 0, 0, 0,
                          -1))
    return at


def expected_ends(watched: Sequence[Watched], jobs: Mapping[str, JobRecord], usual_s: Mapping[str, float],
                  now: float) -> Dict[str, Estimate]:
    """When each watched job ends at the earliest.

    :param usual_s: what jobs usually take, by id; those that never succeeded are missing
    """
    by_id = {one.job_id: one for one in watched}
    found: Dict[str, Estimate] = {}
    for root in watched:
        # By hand and not by recursion: a chain may be thousands of jobs long.
        left = [root.job_id]
        while left:
            job_id = left[-1]
            if job_id in found:
                left.pop()
                continue
            missing = [need for need in by_id[job_id].needs if need in by_id and need not in found]
            job = jobs.get(job_id)
            if missing and (job is None or job.status not in FINAL_STATUSES):
                left += missing
                continue
            left.pop()
            needs = [found[need] for need in by_id[job_id].needs if need in found]
            found[job_id] = _estimate(job_id, job, needs, usual_s.get(job_id), now)
    return found


def _estimate(job_id: str, job: Optional[JobRecord], needs: Sequence[Estimate], usual_s: Optional[float],
              now: float) -> Estimate:
    if job is not None and job.status in FINAL_STATUSES:
        return Estimate(now if job.ended_at is None else job.ended_at, (), True)
    if job is not None and job.status == JobStatus.RUNNING and job.started_at is not None:
        ran_s = max(0.0, now - job.started_at)
        if usual_s is None:
            return Estimate(now, ("%s has run for %s" % (job_id, duration_text(ran_s)),), False)
        return Estimate(max(now, job.started_at + usual_s), ("%s has run for %s and usually takes %s" % (
            job_id, duration_text(ran_s), duration_text(usual_s)),), False)
    last = max(needs, key=lambda one: one.end_at) if needs else None
    begin = now if last is None or last.is_over else max(now, last.end_at)
    why = last.why if last is not None else ()
    if usual_s is not None:
        why += ("%s has not begun and usually takes %s" % (job_id, duration_text(usual_s)),)
    return Estimate(begin + (usual_s or 0.0), why, False)


def late_jobs(watched: Sequence[Watched], jobs: Mapping[str, JobRecord], usual_s: Mapping[str, float],
              now: float) -> List[Late]:
    """The jobs that have missed their deadlines, or are expected to by what is known."""
    ends = expected_ends(watched, jobs, usual_s, now)
    found: List[Late] = []
    for one in watched:
        if one.deadline_at is None:
            continue
        job, end = jobs.get(one.job_id), ends[one.job_id]
        when = "deadline: " + utc_text(one.deadline_at)[:19] + "Z"
        if end.is_over:
            if job is not None and job.status == JobStatus.SUCCESS and end.end_at > one.deadline_at:
                found.append(Late(one.job_id, True, [when, "it ended %s after it" % duration_text(
                    end.end_at - one.deadline_at)]))
        elif now >= one.deadline_at:
            status = job.status if job is not None else JobStatus.PENDING
            found.append(Late(one.job_id, True, [when, "it is %s" % status] + list(end.why)))
        elif end.end_at > one.deadline_at:
            found.append(Late(one.job_id, False, [when, "expected to end %s after it, by earlier runs" % duration_text(
                end.end_at - one.deadline_at)] + list(end.why)))
    return found


def next_look_s(watched: Sequence[Watched], jobs: Mapping[str, JobRecord], usual_s: Mapping[str, float],
                told: Sequence[str], now: float) -> float:
    """Seconds until it is worth looking again: when a deadline would be in danger if nothing happened."""
    ends = expected_ends(watched, jobs, usual_s, now)
    pause = LONGEST_PAUSE_S
    for one in watched:
        if one.deadline_at is not None and one.job_id not in told and not ends[one.job_id].is_over:
            pause = min(pause, one.deadline_at - max(now, ends[one.job_id].end_at))
    return max(SHORTEST_PAUSE_S, pause)

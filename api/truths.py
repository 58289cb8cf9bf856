"""Runs, jobs and attempts as they truly are now: the verdict of ``db.truth`` over what the history has."""
from typing import Dict, List, Optional, Sequence, Tuple

from db.history import History
from db.truth import true_jobs, true_run, verdict
from jobs.events import AttemptEnded
from jobs.models import RunStatus
from jobs.records import AttemptRecord, JobRecord, RunRecord

__all__ = ["attempts_of", "counts_of", "jobs_of", "true_runs"]


def true_runs(history: History, runs: Sequence[RunRecord]) -> List[RunRecord]:
    """Runs without their jobs; none is shown as running whose runner is gone."""
    return [true_run(history, run) if run.status == RunStatus.RUNNING else run for run in runs]


def jobs_of(history: History, run: RunRecord, statuses: Sequence[str] = (), limit: Optional[int] = None,
            after: int = -1) -> List[JobRecord]:
    """A page of the jobs of a run that was not made true yet."""
    if run.status != RunStatus.RUNNING or verdict(history, run) is None:
        return history.jobs(run.run_id, statuses, limit, after)
    jobs = [job for job in true_jobs(history, run)
            if job.position > after and (not statuses or job.status in statuses)]
    return jobs if limit is None else jobs[:limit]


def counts_of(history: History, run: RunRecord) -> Dict[str, int]:
    """How many jobs are in each status, for a run that was not made true yet."""
    if run.status != RunStatus.RUNNING:
        return history.job_counts(run.run_id)
    counts: Dict[str, int] = {}
    for job in true_jobs(history, run):
        counts[job.status] = counts.get(job.status, 0) + 1
    return counts


def attempts_of(history: History, run: RunRecord, job_id: Optional[str] = None) -> List[AttemptRecord]:
    """The attempts of a run that was not made true yet, or of one of its jobs."""
    attempts = history.attempts(run.run_id, job_id)
    truth = verdict(history, run) if run.status == RunStatus.RUNNING else None
    if truth is None:
        return attempts
    ends: Dict[Tuple[int, int], AttemptEnded] = {
        (event.position, event.attempt): event for event in truth.events if isinstance(event, AttemptEnded)}
    for attempt in attempts:
        event = ends.get((attempt.position, attempt.attempt))
        if event is not None and attempt.ended_at is None:
            outcome = event.outcome
            attempt.status, attempt.exit_code, attempt.signal = outcome.status, outcome.exit_code, outcome.signal
            attempt.reason, attempt.stop_reason = outcome.reason, outcome.stop_reason
            attempt.ended_at = outcome.ended_at
            attempt.started_at = attempt.started_at if outcome.started_at is None else outcome.started_at
            attempt.duration_s, attempt.cpu_s = outcome.duration_s, outcome.cpu_s
            attempt.max_rss_bytes, attempt.survivors = outcome.max_rss_bytes, outcome.survivors
    return attempts

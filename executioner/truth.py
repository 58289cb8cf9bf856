"""What is true now of a run that the history has as running: its runner may be dead.

Readers show the verdict and write nothing; ``run`` commits it before it plans (``settle``). The rules are
``jobs.reconcile``'s; this module only collects what the history, the keeper's record and the kernel say.
"""
import os
import time
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple

from db.history import History
from jobs.events import AttemptEnded, JobEnded, RunEnded
from jobs.keeper.processes import boot_id, has_proc, stat_of
from jobs.keeper.record import RecordedRun, is_keeper_alive, read_record
from jobs.models import FINAL_STATUSES, AttemptOutcome, AttemptRecord, JobRecord, JobStatus, RunRecord, RunStatus

if TYPE_CHECKING:
    from jobs.reconcile import OpenJob, Reconciled

__all__ = ["is_runner_alive", "settle", "true_jobs", "true_run", "verdict"]


def is_runner_alive(run: RunRecord) -> bool:
    """Whether the process that runs this run is still there: the same boot, pid and start time."""
    if run.runner_pid is None or run.boot_id != boot_id():
        return False
    if has_proc():
        found = stat_of(run.runner_pid)
        return found is not None and not found.is_dead and found.start == run.runner_start
    try:
        os.kill(run.runner_pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def verdict(history: History, run: RunRecord) -> "Optional[Reconciled]":
    """What became of a run whose runner is gone, and of its jobs; None where the runner lives or the run has ended."""
    if run.status != RunStatus.RUNNING or is_runner_alive(run):
        return None
    again = history.run(run.run_id, with_jobs=False)
    if again is None or again.status != RunStatus.RUNNING:
        return None  # it ended between the two looks
    from jobs.reconcile import Recorded, reconcile
    jobs = history.jobs(run.run_id)
    alive, record = _keeper(run.record_path)
    attempts: Dict[int, List[AttemptRecord]] = {}
    for attempt in history.attempts(run.run_id):
        attempts.setdefault(attempt.position, []).append(attempt)
    closed = [job for job in jobs if job.status in FINAL_STATUSES]
    has_post_checks = _post_checks(history, run)
    open_jobs = [_open_job(job, attempts.get(job.position, []), run, has_post_checks)
                 for job in jobs if job.status not in FINAL_STATUSES]
    recorded = {token: Recorded(one.pid, one.pid_start, None if one.facts is None else AttemptOutcome(*one.facts[1:]))
                for token, one in record.attempts.items()}
    return reconcile(run.run_id, open_jobs, recorded, alive, boot_id(), [job.status for job in closed],
                     [job.allow_failure for job in closed], time.time())


def true_run(history: History, run: RunRecord) -> RunRecord:
    """The run as it is to be shown: changed in place where its runner is gone."""
    truth = verdict(history, run)
    if truth is not None:
        for event in truth.events:
            if isinstance(event, RunEnded):
                run.status, run.exit_code, run.reason = event.status, event.exit_code, event.reason
                run.ended_at = max([known.outcome.ended_at for known in truth.events
                                    if isinstance(known, AttemptEnded) and known.outcome.ended_at is not None],
                                   default=None)
    return run


def true_jobs(history: History, run: RunRecord) -> List[JobRecord]:
    """The jobs of a run as they are to be shown, in the order of the file."""
    truth = verdict(history, run)
    jobs = history.jobs(run.run_id)
    if truth is None:
        return jobs
    by_position = {job.position: job for job in jobs}
    ends = {event.position: event.outcome.ended_at for event in truth.events if isinstance(event, AttemptEnded)}
    for event in truth.events:
        if isinstance(event, JobEnded):
            job = by_position[event.position]
            job.status, job.reason, job.attempts = event.status, event.reason, event.attempts
            job.exit_code, job.signal = event.exit_code, event.signal
            job.started_at = event.started_at if event.started_at is not None else job.started_at
            job.ended_at, job.duration_s = ends.get(event.position), event.duration_s
            job.cpu_s, job.max_rss_bytes = event.cpu_s, event.max_rss_bytes
    for position in truth.running:
        by_position[position].status = JobStatus.RUNNING
    return jobs


def settle(history: History, run: RunRecord, wait: Callable[[float], bool]) -> bool:
    """Close a run whose runner is gone: wait for what its keeper still has running, then record what became of it.

    Safe to be killed at any point and to be done again.

    :param wait: waits about so many seconds; False = do not wait any longer
    :returns: whether the run is closed now (also where it needed nothing)
    :raises StorageError: where the verdict cannot be kept
    """
    pause_s = 0.02
    while True:
        truth = verdict(history, run)
        if truth is None:
            return not is_runner_alive(run)
        if not truth.running and not _keeper(run.record_path)[0]:
            history.journal(run.run_id).commit(truth.events)
            return True
        if not wait(pause_s):
            return False
        pause_s = min(pause_s * 1.5, 0.5)


def _keeper(path: str) -> Tuple[bool, RecordedRun]:
    """Whether the keeper lives, and its record as it is after that was looked at."""
    if not path:
        return False, RecordedRun()
    try:
        alive = is_keeper_alive(path)
        return alive, read_record(path)
    except OSError:
        return False, RecordedRun()  # it was never made, or is gone: nothing began


def _open_job(job: JobRecord, attempts: List[AttemptRecord], run: RunRecord,
              has_post_checks: Callable[[int], bool]) -> "OpenJob":
    from jobs.reconcile import OpenAttempt, OpenJob
    found = OpenJob(job.position, job.job_id, allow_failure=job.allow_failure)
    ended = [attempt for attempt in attempts if attempt.status in FINAL_STATUSES]
    found.attempts = len(ended)
    if len(ended) < len(attempts):
        last = attempts[-1]
        found.attempt = OpenAttempt(last.token, last.attempt, run.boot_id)
        found.has_post_checks = has_post_checks(job.position)
    elif ended:
        last = ended[-1]
        found.last_outcome = AttemptOutcome(
            last.status, last.exit_code, last.signal, last.reason, last.stop_reason, last.started_at, last.ended_at,
            last.duration_s, last.cpu_s, last.max_rss_bytes, last.survivors)
    return found


def _post_checks(history: History, run: RunRecord) -> Callable[[int], bool]:
    """Whether the job at a position had checks to make after it ended, by the configuration that was run."""
    jobs: Optional[List[object]] = None
    default = False

    def has(position: int) -> bool:
        nonlocal jobs, default
        if jobs is None:
            from config.loader import load_text
            value = load_text(history.configuration(run.config_hash) or "{}", run.config_path).value
            jobs = []
            if isinstance(value, dict):
                defaults, listed = value.get("defaults"), value.get("jobs")
                jobs = listed if isinstance(listed, list) else []
                default = isinstance(defaults, dict) and bool(defaults.get("post_checks"))
        job = jobs[position] if position < len(jobs) else None
        return bool(job["post_checks"]) if isinstance(job, dict) and "post_checks" in job else default

    return has

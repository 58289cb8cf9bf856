"""The one event stream: what history, log, metrics, terminal and notifications all see, in the same order.

``position`` is the job's place in the file: the key of a job inside its run. ``at`` is epoch seconds (UTC).
"""
from dataclasses import dataclass
from typing import Dict, Optional, Tuple, Union

from jobs.models import AttemptOutcome

__all__ = ["AttemptEnded", "AttemptIntended", "AttemptStarted", "Event", "JobEnded", "Notice", "OutputsKept",
           "RetryScheduled", "RunEnded", "RunStarted", "RunStopping"]


@dataclass(eq=False, repr=False)
class RunStarted:
    """A run has its number and its rows; nothing has been started yet."""

    run_id: int
    run_uuid: str
    application: str
    config_path: str
    job_count: int
    max_workers: int
    at: float


@dataclass(eq=False, repr=False)
class AttemptIntended:
    """Committed before the executor hears of the attempt: from now on it may have begun."""

    position: int
    job_id: str
    attempt: int
    token: str
    stdout_path: str
    stderr_path: str
    at: float
    #: When nothing was left to be waited for but its turn: dependencies were settled, or the wait for a retry was over.
    ready_at: Optional[float] = None


@dataclass(eq=False, repr=False)
class AttemptStarted:
    """The attempt's process exists. ``pid_start`` is its start time in clock ticks since boot."""

    position: int
    job_id: str
    attempt: int
    token: str
    pid: int
    pid_start: int
    at: float


@dataclass(eq=False, repr=False)
class AttemptEnded:
    """The attempt and its process tree are gone (or its survivors are named in the outcome)."""

    position: int
    job_id: str
    attempt: int
    token: str
    outcome: AttemptOutcome
    at: float


@dataclass(eq=False, repr=False)
class OutputsKept:
    """What a job told those that depend on it."""

    position: int
    job_id: str
    outputs: Dict[str, str]
    at: float


@dataclass(eq=False, repr=False)
class RetryScheduled:
    """The job waits for its next attempt, whose number this is."""

    position: int
    job_id: str
    attempt: int
    delay_s: float
    reason: str
    at: float


@dataclass(eq=False, repr=False)
class JobEnded:
    """The job has its final status; never overwritten. Times and costs are of its last attempt, if any."""

    position: int
    job_id: str
    status: str
    reason: str
    attempts: int
    at: float
    exit_code: Optional[int] = None
    signal: Optional[str] = None
    started_at: Optional[float] = None
    #: From the start of the first attempt to the end of the last, waits between them included.
    duration_s: Optional[float] = None
    cpu_s: Optional[float] = None
    max_rss_bytes: Optional[int] = None


@dataclass(eq=False, repr=False)
class RunStopping:
    """No new job starts from now on; ``reason`` says why (a signal, a cancel, a time limit, a failure)."""

    reason: str
    at: float


@dataclass(eq=False, repr=False)
class RunEnded:
    """The run has its final status and exit code."""

    run_id: int
    status: str
    exit_code: int
    reason: str
    at: float


@dataclass(eq=False, repr=False)
class Notice:
    """Something a person should be able to read later: a keeper replaced, a process that could not be ended."""

    level: str
    message: str
    at: float
    job_id: Optional[str] = None
    error_code: Optional[str] = None
    context: Tuple[Tuple[str, str], ...] = ()


Event = Union[RunStarted, AttemptIntended, AttemptStarted, AttemptEnded, OutputsKept, RetryScheduled, JobEnded,
              RunStopping, RunEnded, Notice]

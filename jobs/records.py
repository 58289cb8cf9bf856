"""What the history gives back: stored runs, their jobs, the attempts, and what was done to them.

Apart from ``jobs.models`` since a run only writes: what it does not read it need not load.
"""
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from jobs.exceptions import InternalError
from jobs.models import RUN_STATUSES

__all__ = ["AttemptRecord", "EventRecord", "JobRecord", "RunRecord"]


@dataclass
class JobRecord:
    """A job of a stored run, as ``show`` gives it."""

    job_id: str
    status: str
    reason: str = ""
    exit_code: Optional[int] = None
    signal: Optional[str] = None
    attempts: int = 0
    started_at: Optional[float] = None
    ended_at: Optional[float] = None
    duration_s: Optional[float] = None
    cpu_s: Optional[float] = None
    max_rss_bytes: Optional[int] = None
    stdout_path: Optional[str] = None
    stderr_path: Optional[str] = None
    #: The job's place in the file.
    position: int = 0
    description: str = ""
    allow_failure: bool = False
    #: What ``jobs.recovery`` keeps of the job; None = nothing.
    recovery: Optional[str] = None
    #: Seconds that its attempts waited for their turns, once they were ready; None where that was not recorded.
    waited_s: Optional[float] = None


@dataclass
class AttemptRecord:
    """An attempt of a stored run. ``status`` is ``QUEUED`` (intended), ``RUNNING`` (started) or a final one."""

    position: int
    job_id: str
    attempt: int
    token: str
    status: str
    intended_at: float
    stdout_path: str = ""
    stderr_path: str = ""
    pid: Optional[int] = None
    #: Start time of the process in clock ticks since boot.
    pid_start: Optional[int] = None
    started_at: Optional[float] = None
    ended_at: Optional[float] = None
    exit_code: Optional[int] = None
    signal: Optional[str] = None
    reason: str = ""
    stop_reason: str = ""
    duration_s: Optional[float] = None
    cpu_s: Optional[float] = None
    max_rss_bytes: Optional[int] = None
    survivors: Tuple[str, ...] = ()
    #: When nothing was left to be waited for but its turn; None where that was not recorded.
    ready_at: Optional[float] = None

    @property
    def waited_s(self) -> Optional[float]:
        """Seconds from being ready to its start; None where one of them is not known."""
        if self.ready_at is None or self.started_at is None:
            return None
        return max(0.0, self.started_at - self.ready_at)


@dataclass
class EventRecord:
    """Something that was done or noticed: by whom, and why. ``run_id`` is None where no run is meant."""

    event_id: int
    at: float
    kind: str
    run_id: Optional[int] = None
    application: str = ""
    job_id: Optional[str] = None
    who: str = ""
    why: str = ""
    details: Dict[str, Any] = field(default_factory=dict)


@dataclass
class RunRecord:
    """A stored run, as ``runs`` and ``show`` give it; ``jobs`` is empty where only the run was asked for."""

    run_id: int
    application: str
    status: str
    exit_code: Optional[int] = None
    config_path: str = ""
    started_at: Optional[float] = None
    ended_at: Optional[float] = None
    reason: str = ""
    run_uuid: str = ""
    parent_run_id: Optional[int] = None
    config_hash: str = ""
    jobs: List[JobRecord] = field(default_factory=list)
    job_count: int = 0
    #: The options it was started with, as the command line wrote them.
    options: Dict[str, Any] = field(default_factory=dict)
    host: str = ""
    user: str = ""
    #: The runner: boot id, pid and start time in clock ticks since boot name a process; the pid alone never does.
    boot_id: str = ""
    runner_pid: Optional[int] = None
    runner_start: Optional[int] = None
    #: Where the keeper's record of the run and the run's job output lie.
    record_path: str = ""
    log_dir: str = ""

    def __post_init__(self) -> None:
        if self.status not in RUN_STATUSES:
            raise InternalError("impossible value: run status %r" % self.status)

    @property
    def duration_s(self) -> Optional[float]:
        """Seconds from start to end; None while it runs."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, self.ended_at - self.started_at)

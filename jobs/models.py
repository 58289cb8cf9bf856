"""The data models: what a file asks for, and how an attempt ended. Each refuses impossible values.

Times are epoch seconds (UTC), durations seconds; a name that carries one ends in ``_s`` or ``_at``.
"""
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, List, Optional, Tuple, Union

from jobs.exceptions import InternalError

if TYPE_CHECKING:
    from jobs.server_place import ServerPlace

__all__ = [
    "AttemptOutcome", "Check", "Deadline", "Dependency", "FAILURE_STATUSES", "FINAL_STATUSES", "Job", "JobResult",
    "JobStatus", "Limits", "MailServer", "NOTIFY_ON", "NotificationRule", "OverlapPolicy", "Owner", "Pipeline",
    "Plugin", "Retention", "RetryPolicy", "RunStatus", "StopReason", "UNLIMITED_BYTES", "When",
]

#: More than anything can write.
UNLIMITED_BYTES = 1 << 62


class JobStatus:
    """Where a job is, or how it ended."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    ERROR = "ERROR"
    SKIPPED = "SKIPPED"
    BLOCKED = "BLOCKED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


LIVE_STATUSES = (JobStatus.PENDING, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.RETRYING)
FINAL_STATUSES = frozenset((JobStatus.SUCCESS, JobStatus.FAILED, JobStatus.TIMEOUT, JobStatus.ERROR,
                            JobStatus.SKIPPED, JobStatus.BLOCKED, JobStatus.CANCELLED, JobStatus.LOST))
#: What a dependency with ``when: failure`` waits for.
FAILURE_STATUSES = frozenset((JobStatus.FAILED, JobStatus.TIMEOUT, JobStatus.ERROR, JobStatus.LOST))
#: What makes a run FAILED where the job does not say ``allow_failure``.
FAILS_RUN = FAILURE_STATUSES | {JobStatus.BLOCKED}


class RunStatus:
    """Where a run is, or how it ended."""

    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LOST = "LOST"


RUN_STATUSES = frozenset((RunStatus.RUNNING, RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.LOST))


class When:
    """What a dependency must have come to."""

    SUCCESS = "success"
    FAILURE = "failure"
    DONE = "done"
    SKIPPED = "skipped"


WHENS = frozenset((When.SUCCESS, When.FAILURE, When.DONE, When.SKIPPED))


class OverlapPolicy:
    """What a second run of an application does while one is running."""

    FAIL = "fail"
    SKIP = "skip"
    WAIT = "wait"
    ALLOW = "allow"


OVERLAP_POLICIES = frozenset((OverlapPolicy.FAIL, OverlapPolicy.SKIP, OverlapPolicy.WAIT, OverlapPolicy.ALLOW))


ORPHAN_POLICIES = frozenset(("adopt", "kill", "fail"))
RUNNER_DEATH_POLICIES = frozenset(("finish", "kill"))


class StopReason:
    """Why an attempt was stopped by us; kept with it until it has ended."""

    TIMEOUT = "timeout"
    TOTAL_TIMEOUT = "total_timeout"
    RUN_TIMEOUT = "run_timeout"
    CANCEL = "cancel"
    OUTPUT_LIMIT = "output_limit"
    MEMORY_LIMIT = "memory_limit"


def _require(condition: bool, what: str, *values: object) -> None:
    if not condition:
        raise InternalError("impossible value: " + what % values)


@dataclass
class Dependency:
    """One arrow of the graph: the job waited for, and what it must have come to."""

    job: str
    when: str = When.SUCCESS

    def __post_init__(self) -> None:
        _require(self.when in WHENS, "dependency when=%r", self.when)


@dataclass
class Plugin:
    """A Python file that adds checks."""

    name: str
    #: Absolute.
    path: str


@dataclass
class Check:
    """A named check with its parameters, before or after a job."""

    name: str
    params: Dict[str, Any] = field(default_factory=dict)
    #: Where it comes from; None = it is built in.
    plugin: Optional[Plugin] = None


@dataclass
class RetryPolicy:
    """When an attempt is tried again, and after how long."""

    max_retries: int = 0
    delays_s: Tuple[float, ...] = (30.0,)
    backoff: float = 1.5
    jitter: float = 0.1
    max_retry_time_s: float = 1800.0
    on_status: FrozenSet[str] = frozenset((JobStatus.ERROR, JobStatus.FAILED, JobStatus.TIMEOUT))
    on_exit_codes: FrozenSet[int] = frozenset((1,))
    never_on_exit_codes: FrozenSet[int] = frozenset((126, 127))

    def __post_init__(self) -> None:
        _require(self.max_retries >= 0, "max_retries=%r", self.max_retries)
        _require(len(self.delays_s) > 0 and min(self.delays_s) >= 0, "retry delays %r", self.delays_s)
        _require(self.backoff >= 1, "retry backoff %r", self.backoff)
        _require(0 <= self.jitter <= 1, "retry jitter %r", self.jitter)
        _require(self.max_retry_time_s >= 0, "max_retry_time %r", self.max_retry_time_s)

    def wants_retry(self, status: str, exit_code: Optional[int]) -> bool:
        """Whether an attempt that ended so is tried again, attempts left or not."""
        if exit_code is not None and exit_code in self.never_on_exit_codes:
            return False
        return status in self.on_status or (exit_code is not None and exit_code in self.on_exit_codes)

    def delay_s(self, retry_number: int, unit_random: float) -> float:
        """Seconds before the given retry (1 = the first).

        :param unit_random: a random number from 0 to 1, so that this stays pure
        """
        if len(self.delays_s) > 1:
            delay = self.delays_s[min(retry_number, len(self.delays_s)) - 1]
        else:
            delay = self.delays_s[0] * self.backoff ** min(retry_number - 1, 200)
        return min(delay * (1.0 + self.jitter * (2.0 * unit_random - 1.0)), 10 * 365 * 86400.0)


@dataclass(frozen=True)
class Deadline:
    """When a job is to have ended: seconds after the run's start, or minutes after midnight, local time."""

    after_s: Optional[float] = None
    clock_minutes: Optional[int] = None

    def __post_init__(self) -> None:
        _require((self.after_s is None) != (self.clock_minutes is None), "a deadline of %r", self)


#: What a notification may be about.
NOTIFY_ON = ("failure", "success", "recovery", "late", "retry", "lost", "always")


@dataclass(frozen=True)
class NotificationRule:
    """Who hears of what.

    ``to`` is one destination: ``mailto:``, ``http(s)://`` or ``command:``; another text (a variable that nobody set)
    fails when something is sent there, since it is no reason not to run.
    """

    on: Tuple[str, ...]
    to: str
    #: The least time between two messages about the same cause; 0 = each one is sent.
    every_s: float = 0.0
    #: Template of the subject; "" = ours.
    subject: str = ""
    #: What a webhook's body is signed with; "" = not at all.
    secret: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.on) and set(self.on) <= set(NOTIFY_ON), "notification on %r", self.on)
        _require(self.every_s >= 0, "notification every %r", self.every_s)


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in. Port 465 speaks TLS from the first byte, 587 starts it; others start it if offered."""

    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    #: The sender's address; "" = ``executioner@`` and the name of the host.
    sender: str = ""


@dataclass(frozen=True)
class Retention:
    """How much of an application is kept: runs, seconds, bytes of output; the first limit that is passed decides."""

    runs: int = 1000
    age_s: float = 90 * 86400.0
    size_bytes: int = 10 << 30

    def __post_init__(self) -> None:
        _require(self.runs >= 1 and self.age_s > 0 and self.size_bytes >= 0, "retention %r", self)


@dataclass(frozen=True)
class Limits:
    """What one attempt may use; None = as much as the runner itself."""

    cpu_seconds: Optional[int] = None
    #: Of the whole tree.
    memory_bytes: Optional[int] = None
    open_files: Optional[int] = None
    file_size_bytes: Optional[int] = None
    processes: Optional[int] = None
    #: Added to the runner's own niceness.
    nice: Optional[int] = None

    def __post_init__(self) -> None:
        bounds = (self.cpu_seconds, self.memory_bytes, self.open_files, self.file_size_bytes, self.processes)
        _require(all(bound is None or bound >= 0 for bound in bounds), "limits %r", self)


@dataclass(frozen=True)
class Owner:
    """The user that a job runs as."""

    name: str
    uid: int
    gid: int
    groups: Tuple[int, ...]
    home: str
    shell: str


@dataclass
class Job:
    """One job, ready to run: defaults filled in, variables expanded, paths absolute."""

    id: str
    command: Union[str, Tuple[str, ...]]
    description: str = ""
    dependencies: Tuple[Dependency, ...] = ()
    #: How many dependencies must be met; None = all of them.
    join: Optional[int] = None
    timeout_s: float = 10800.0
    total_timeout_s: Optional[float] = None
    stop_signal: int = 15
    stop_grace_s: float = 10.0
    #: Variables of the job alone, resolved; they lie over ``Pipeline.environment``.
    environment: Dict[str, str] = field(default_factory=dict)
    working_dir: str = ""
    #: Path of the file on standard input ("" = /dev/null), or the text itself.
    stdin_path: str = ""
    stdin_text: Optional[str] = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    success_exit_codes: FrozenSet[int] = frozenset((0,))
    allow_failure: bool = False
    priority: int = 0
    tags: Tuple[str, ...] = ()
    pre_checks: Tuple[Check, ...] = ()
    post_checks: Tuple[Check, ...] = ()
    #: How much may be written to both streams together.
    output_limit_bytes: int = 1 << 30
    limits: Optional[Limits] = None
    #: What the files that it makes are not to be; None = as the runner's.
    umask: Optional[int] = None
    #: Whom it runs as; None = who runs us.
    run_as: Optional[Owner] = None
    #: Exit codes by which the job says that there was nothing to do.
    skip_exit_codes: FrozenSet[int] = frozenset()
    #: What must hold for the job to run (``jobs.checks.conditions``); None = nothing.
    condition: Optional[Dict[str, Any]] = None
    #: Names of what it tells those that depend on it.
    outputs: Tuple[str, ...] = ()
    #: The pool that its attempts take slots of; "" = none.
    pool: str = ""
    pool_slots: int = 1
    #: Whether an attempt whose outcome nobody knows may be run again.
    rerun_if_lost: bool = False
    #: Whether processes that the job leaves behind may live on.
    leave_running: bool = False
    deadline: Optional[Deadline] = None
    #: Text or URL that is shown with every failure.
    runbook: str = ""
    #: Paths or patterns, relative to its folder: what it reads, and what it makes.
    inputs: Tuple[str, ...] = ()
    products: Tuple[str, ...] = ()
    #: Why there is nothing to run ("" = there is): it ends SKIPPED as soon as it might start.
    nothing_to_do: str = ""
    #: Whether it runs even after a failure stopped the start of others; None = what it depends on says so.
    cleanup: Optional[bool] = None

    def __post_init__(self) -> None:
        _require(bool(self.id), "a job without id")
        _require(self.timeout_s > 0, "job %s: timeout %r", self.id, self.timeout_s)
        _require(self.total_timeout_s is None or self.total_timeout_s > 0, "job %s: total_timeout", self.id)
        _require(self.stop_grace_s >= 0, "job %s: stop_grace %r", self.id, self.stop_grace_s)
        _require(self.join is None or 1 <= self.join <= max(1, len(self.dependencies)), "job %s: join", self.id)

    @property
    def has_questions(self) -> bool:
        """Whether something must be looked at before its first attempt: condition, inputs, pre-checks."""
        return bool(self.pre_checks) or self.condition is not None or self.may_be_up_to_date

    @property
    def may_be_up_to_date(self) -> bool:
        """Whether it need not run where its products are no older than its inputs."""
        return bool(self.inputs and self.products)

    @property
    def has_afterwards(self) -> bool:
        """Whether something is looked at after an attempt that succeeded: post-checks, and its products."""
        return bool(self.post_checks or self.products)

    @property
    def is_cleanup(self) -> bool:
        """Whether the job runs even after a failure stopped the start of others."""
        if self.cleanup is not None:
            return self.cleanup
        return bool(self.dependencies) and all(
            dependency.when in (When.FAILURE, When.DONE) for dependency in self.dependencies)


@dataclass
class Pipeline:
    """Everything one file asks for, resolved against the caller's environment."""

    application: str
    jobs: List[Job]
    #: Absolute path of the file, for people and for a resume.
    config_path: str = ""
    #: Absolute paths of the configurations that its jobs run.
    inner_paths: Tuple[str, ...] = ()
    #: The file's text as read, secret values replaced: what the history keeps.
    config_text: str = ""
    #: SHA-256 of ``config_text``, hexadecimal.
    config_hash: str = ""
    working_dir: str = ""
    #: Where job output goes; "" = ``<home>/logs``.
    log_dir: str = ""
    parallel: bool = False
    max_workers: int = 1
    continue_on_error: bool = False
    run_timeout_s: Optional[float] = None
    overlap: str = OverlapPolicy.FAIL
    #: Slots of each pool that jobs name.
    pools: Dict[str, int] = field(default_factory=dict)
    #: What a later run does with jobs of a dead run that still run: ``adopt``, ``kill`` or ``fail``.
    on_orphan: str = "adopt"
    #: What the keeper does with running jobs when the runner dies: ``finish`` or ``kill``.
    on_runner_death: str = "finish"
    allow_shell: bool = True
    #: What every job sees: the inherited variables and the file's own.
    environment: Dict[str, str] = field(default_factory=dict)
    #: Values that are masked in everything we write ourselves.
    secret_values: Tuple[str, ...] = ()
    #: Names of secrets besides those that are secret by their names.
    secret_names: Tuple[str, ...] = ()
    #: Every ``env_file`` of its jobs, absolute.
    env_files: Tuple[str, ...] = ()
    features: Dict[str, bool] = field(default_factory=dict)
    database_path: str = ""
    #: The server that its runs are copied to when they have ended; None = nowhere.
    server: "Optional[ServerPlace]" = None
    notifications: Tuple[NotificationRule, ...] = ()
    mail_server: MailServer = field(default_factory=MailServer)
    #: How old the last success may become before somebody should look; None = nobody expects anything.
    expect_s: Optional[float] = None
    retention: Retention = field(default_factory=Retention)
    #: A copy of the Prometheus text, readable for others; "" = none.
    metrics_textfile: str = ""
    #: The page that each run keeps current; "" = none.
    status_page: str = ""

    def __post_init__(self) -> None:
        _require(bool(self.application), "a pipeline without application")
        _require(bool(self.jobs), "a pipeline without jobs")
        _require(self.max_workers >= 1, "max_workers=%r", self.max_workers)
        _require(self.overlap in OVERLAP_POLICIES, "overlap=%r", self.overlap)
        _require(self.on_orphan in ORPHAN_POLICIES, "on_orphan=%r", self.on_orphan)
        _require(self.on_runner_death in RUNNER_DEATH_POLICIES, "on_runner_death=%r", self.on_runner_death)
        _require(self.run_timeout_s is None or self.run_timeout_s > 0, "run_timeout=%r", self.run_timeout_s)


@dataclass
class AttemptOutcome:
    """How one attempt ended, as the executor tells it."""

    status: str
    exit_code: Optional[int] = None
    #: Name of the signal that ended it (``SIGKILL``), where one did.
    signal: Optional[str] = None
    reason: str = ""
    stop_reason: str = ""
    started_at: Optional[float] = None
    ended_at: Optional[float] = None
    duration_s: Optional[float] = None
    cpu_s: Optional[float] = None
    max_rss_bytes: Optional[int] = None
    #: Processes that outlived the attempt although we tried (``pid name`` each).
    survivors: Tuple[str, ...] = ()
    #: Whether another attempt could only end the same way.
    is_hopeless: bool = False

    def __post_init__(self) -> None:
        _require(self.status in FINAL_STATUSES, "attempt status %r", self.status)
        _require(self.duration_s is None or self.duration_s >= 0, "attempt duration %r", self.duration_s)


@dataclass
class JobResult:
    """What became of a job, with the tails of its output (64 KiB each, decoded)."""

    job_id: str
    status: str
    exit_code: Optional[int] = None
    stdout: str = ""
    stderr: str = ""
    duration: Optional[float] = None
    reason: str = ""
    attempts: int = 0

    def __post_init__(self) -> None:
        _require(bool(self.job_id), "a result without job id")
        _require(self.status in FINAL_STATUSES or self.status in LIVE_STATUSES, "result status %r", self.status)
        _require(self.duration is None or self.duration >= 0, "result duration %r", self.duration)
        _require(self.attempts >= 0, "result attempts %r", self.attempts)

    def is_success(self) -> bool:
        """The status decides, since ``success_exit_codes`` decided it."""
        return self.status == JobStatus.SUCCESS

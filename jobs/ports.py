"""The seams: what the engine needs from the world, each with at least two users (real and simulated)."""
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Union

from jobs.compat import Protocol
from jobs.events import Event
from jobs.models import AttemptOutcome, Job

__all__ = ["AttemptStart", "Clock", "Ended", "Executor", "ExecutorEvent", "ExecutorNotice", "HoldRequest", "Journal",
           "Observer", "PoolSlots", "Request", "Reserve", "Started", "StopRequest", "Withdrawn"]


class Clock(Protocol):
    """Two clocks: one to measure with, one to show."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    def wall(self) -> float:
        """Epoch seconds (UTC)."""


@dataclass(eq=False, repr=False)
class AttemptStart:
    """One attempt that the executor is to start as soon as a slot is free, in the order given."""

    token: str
    job: Job
    attempt: int
    #: Variables over the environment of the pipeline: the job's own and ``EXECUTIONER_*``.
    environment: Dict[str, str]
    #: File names inside the run's output folder.
    stdout_name: str
    stderr_name: str
    #: Seconds from its start after which it is stopped, and as what (a ``StopReason``).
    timeout_s: float
    timeout_reason: str
    #: Whether its exit code alone says that it succeeded (no post-check follows).
    decides_alone: bool = True


@dataclass(eq=False, repr=False)
class Started:
    """The executor has started the attempt."""

    token: str
    pid: int
    pid_start: int
    at: float


@dataclass(eq=False, repr=False)
class Ended:
    """The attempt is over. ``halted``: the executor starts nothing more from its queue until ``proceed``."""

    token: str
    outcome: AttemptOutcome
    halted: bool = False


@dataclass(eq=False, repr=False)
class Withdrawn:
    """The attempt was taken back from the queue; it has not begun and never will."""

    token: str


@dataclass(eq=False, repr=False)
class ExecutorNotice:
    """Something worth a line in the log that is no attempt's result."""

    level: str
    message: str
    context: Dict[str, str] = field(default_factory=dict)


ExecutorEvent = Union[Started, Ended, Withdrawn, ExecutorNotice]


@dataclass(eq=False, repr=False)
class StopRequest:
    """Somebody wants the run to stop; a second one means: at once."""

    #: The signal that brought it; the exit code is 128 and this.
    signal_number: int
    #: Who or what, and why, in words.
    reason: str


@dataclass(eq=False, repr=False)
class HoldRequest:
    """From now on these jobs of the application, and no others, are held: job id to who and why."""

    holds: Dict[str, str]


Request = Union[StopRequest, HoldRequest]


class Executor(Protocol):
    """Starts, times, stops and reaps attempts. Entirely passive: it acts only inside these calls (or in the keeper)."""

    def start(self, starts: Sequence[AttemptStart]) -> None:
        """Queue attempts; each begins when one of the slots is free."""

    def proceed(self) -> None:
        """Answer to a halt: the queue may go on."""

    def withdraw(self) -> None:
        """Take back everything queued that has not begun: a ``Withdrawn`` comes for each. Also answers a halt."""

    def stop(self, token: str, reason: str, immediately: bool = False) -> None:
        """Stop a running attempt: its stop signal, its grace, then KILL; ``immediately``: KILL now."""

    def wait(self, timeout_s: Optional[float]) -> List[ExecutorEvent]:
        """Everything that happened, at once if something is there, else within ``timeout_s`` (None = for ever).
        Returns early, perhaps with nothing, when a signal arrived."""

    def close(self) -> List[str]:
        """End the executor when nothing runs any more. Names what could not be ended."""


class Reserve(Protocol):
    """Room on the disk that is kept for results."""

    def give_up(self) -> bool:
        """Free the room; False where there is none to free."""

    def refill(self) -> bool:
        """Take the room again where that is possible; whether it is there."""


class PoolSlots(Protocol):
    """The slots of pools."""

    @property
    def are_shared(self) -> bool:
        """Whether other runs take of them too: then those that wait have to ask again and again."""

    def take(self, name: str, count: int) -> Optional[List[int]]:
        """Take that many slots of a pool, all or none; their numbers, or None where they are not free now."""

    def give(self, name: str, numbers: List[int]) -> None:
        """Give slots back."""


class Journal(Protocol):
    """Where facts become durable."""

    def commit(self, events: Sequence[Event]) -> None:
        """Keep the events in one transaction; on return they survive a power cut.

        :raises StorageError: where they cannot be kept; nothing of them was kept then
        """

    def flushed(self) -> bool:
        """Whether no write transaction is open (asserted before the loop waits)."""


class Observer(Protocol):
    """Someone who is told: log, terminal, metrics. One that fails is reported and never fails a job."""

    def tell(self, events: Sequence[Event]) -> None:
        """The events, after they were committed."""

"""An executor without processes: attempts take simulated time and end as they are told to.

It keeps the contract of the real one (slots, order, halts, withdrawal, stops), so that the real scheduler and engine
run thousands of graphs in a second, crashes of the executor's own kind included. Also what ``--dry-run`` runs on.
"""
import heapq
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from jobs.exceptions import InternalError
from jobs.models import AttemptOutcome, JobStatus, StopReason
from jobs.ports import AttemptStart, Ended, ExecutorEvent, Started, Withdrawn

__all__ = ["Behaviour", "SimulatedClock", "SimulatedExecutor", "SimulatedPools", "succeed_at_once"]


class Behaviour:
    """How a simulated attempt goes: how long it would take, how it would end, and how long it takes to obey a stop."""

    __slots__ = ("duration_s", "status", "exit_code", "stop_s")

    def __init__(self, duration_s: float, status: str, exit_code: Optional[int], stop_s: float = 0.0) -> None:
        self.duration_s = duration_s
        self.status = status
        self.exit_code = exit_code
        self.stop_s = stop_s


def succeed_at_once(start: AttemptStart) -> Behaviour:
    """Every job succeeds and takes no time: a dry run."""
    return Behaviour(0.0, JobStatus.SUCCESS, 0)


class SimulatedClock:
    """A clock that moves only when it is told to; the wall clock can be made to jump."""

    def __init__(self, monotonic: float = 1000.0, wall: float = 1.6e9) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        """Simulated seconds that never jump."""
        return self._monotonic

    def wall(self) -> float:
        """Simulated epoch seconds."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds
        self._wall += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as an administrator or NTP does."""
        self._wall += seconds


class SimulatedPools:
    """The slots of pools that no other run takes of.

    :param sizes: slots of each pool, by name
    """

    def __init__(self, sizes: Dict[str, int]) -> None:
        self._free = {name: list(range(size)) for name, size in sizes.items()}

    @property
    def are_shared(self) -> bool:
        """Nobody else is there."""
        return False

    def take(self, name: str, count: int) -> Optional[List[int]]:
        """Take that many slots, all or none."""
        free = self._free[name]
        if len(free) < count:
            return None
        self._free[name] = free[count:]
        return free[:count]

    def give(self, name: str, numbers: List[int]) -> None:
        """Give slots back."""
        self._free[name].extend(numbers)


class _Running:
    __slots__ = ("start", "behaviour", "began", "began_at", "ends", "stop_reason")

    def __init__(self, start: AttemptStart, behaviour: Behaviour, began: float, began_at: float) -> None:
        self.start = start
        self.behaviour = behaviour
        self.began = began
        self.began_at = began_at
        self.ends = began + behaviour.duration_s
        self.stop_reason = ""
        if behaviour.duration_s > start.timeout_s:
            self.stop_reason = start.timeout_reason
            self.ends = began + start.timeout_s + min(behaviour.stop_s, start.job.stop_grace_s)


class SimulatedExecutor:
    """Runs attempts in simulated time.

    :param behave: tells how an attempt goes
    :param interruptions: monotonic times at which ``wait`` returns early, as for a signal
    """

    def __init__(self, slots: int, clock: SimulatedClock, behave: Callable[[AttemptStart], Behaviour],
                 interruptions: Sequence[float] = ()) -> None:
        self._slots = slots
        self._clock = clock
        self._behave = behave
        self._queue: List[AttemptStart] = []
        self._running: Dict[str, _Running] = {}
        self._ends: List[Tuple[float, int, str]] = []
        self._serial = 0
        self._events: List[ExecutorEvent] = []
        self._halted = False
        self._interruptions = sorted(interruptions)
        self._next_pid = 100

    def start(self, starts: Sequence[AttemptStart]) -> None:
        """Queue attempts."""
        self._queue.extend(starts)
        self._fill()

    def proceed(self) -> None:
        """Go on after a halt."""
        self._halted = False
        self._fill()

    def withdraw(self) -> None:
        """Give everything queued back, and go on after a halt."""
        self._events.extend(Withdrawn(start.token) for start in self._queue)
        self._queue = []
        self._halted = False

    def stop(self, token: str, reason: str, immediately: bool = False) -> None:
        """Stop a running attempt; one that is not known (any more) is none of our business."""
        running = self._running.get(token)
        if running is None:
            return
        if not running.stop_reason:
            running.stop_reason = reason
        delay_s = 0.0 if immediately else min(running.behaviour.stop_s, running.start.job.stop_grace_s)
        self._schedule(running, min(running.ends, self._clock.monotonic() + delay_s))

    def wait(self, timeout_s: Optional[float]) -> List[ExecutorEvent]:
        """Let simulated time pass until something happens or the time is over."""
        if not self._events:
            self._pass_time(timeout_s)
        events, self._events = self._events, []
        return events

    def close(self) -> List[str]:
        """End the executor; nothing can be left of a simulation."""
        if self._running or self._queue:
            raise InternalError("the executor was closed while attempts ran: %s" % sorted(self._running))
        return []

    def _pass_time(self, timeout_s: Optional[float]) -> None:
        now = self._clock.monotonic()
        wakes = [] if timeout_s is None else [now + timeout_s]
        if self._ends:
            wakes.append(self._ends[0][0])
        if self._interruptions:
            wakes.append(self._interruptions[0])
        if not wakes:
            raise InternalError("stuck: nothing runs, nothing is due, and the loop would wait for ever")
        now = max(now, min(wakes))
        self._clock.advance(now - self._clock.monotonic())
        while self._interruptions and self._interruptions[0] <= now:
            self._interruptions.pop(0)
        while self._ends and self._ends[0][0] <= now:
            ends, _, token = heapq.heappop(self._ends)
            running = self._running.get(token)
            if running is not None and running.ends == ends:
                self._end(running)
        self._fill()

    def _fill(self) -> None:
        while self._queue and len(self._running) < self._slots and not self._halted:
            start = self._queue.pop(0)
            running = _Running(start, self._behave(start), self._clock.monotonic(), self._clock.wall())
            self._running[start.token] = running
            self._next_pid += 1
            self._events.append(Started(start.token, self._next_pid, self._next_pid, self._clock.wall()))
            self._schedule(running, running.ends)

    def _schedule(self, running: _Running, ends: float) -> None:
        running.ends = ends
        self._serial += 1
        heapq.heappush(self._ends, (ends, self._serial, running.start.token))

    def _end(self, running: _Running) -> None:
        del self._running[running.start.token]
        outcome = self._outcome(running)
        exit_codes = running.start.job.success_exit_codes
        if not running.start.decides_alone or running.stop_reason or outcome.exit_code not in exit_codes:
            self._halted = True
        self._events.append(Ended(running.start.token, outcome, self._halted))

    def _outcome(self, running: _Running) -> AttemptOutcome:
        behaviour = running.behaviour
        duration_s = self._clock.monotonic() - running.began
        outcome = AttemptOutcome(behaviour.status, behaviour.exit_code, reason="exit code %s" % behaviour.exit_code)
        if running.stop_reason:
            status = JobStatus.CANCELLED if running.stop_reason == StopReason.CANCEL else JobStatus.TIMEOUT
            outcome = AttemptOutcome(status, None, "SIGTERM", running.stop_reason, running.stop_reason)
        outcome.started_at, outcome.ended_at, outcome.duration_s = running.began_at, self._clock.wall(), duration_s
        return outcome

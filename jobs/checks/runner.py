"""Runs checks beside the loop, so that a file system that hangs holds up one check and never the run.

``CheckRunner`` works in a few daemon threads. One that does not answer in time is given up: its check counts as
failed, what it says later is ignored, and a new thread takes its place. ``InlineCheckRunner`` answers at once, on
the caller's thread, for simulations.
"""
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Deque, Dict, List, Optional, Sequence, Set

from jobs.checks.result import CONDITION, PRODUCTS, UP_TO_DATE, CheckContext, CheckResult
from jobs.compat import Protocol
from jobs.exceptions import ExecutionerError
from jobs.models import Check
from jobs.times import parse_duration

if TYPE_CHECKING:
    import threading

    from jobs.checks.registry import Registry

__all__ = ["CHECK_TIMEOUT_S", "CheckRunner", "CheckService", "Checked", "HURRIED_TIMEOUT_S", "InlineCheckRunner",
           "failure_reason", "run_check", "time_limit_s"]

#: Seconds that one check may take.
CHECK_TIMEOUT_S = 60.0
#: The same once the run is to stop.
HURRIED_TIMEOUT_S = 10.0
#: Seconds by which one with a timeout of its own may pass it.
_LONGER_S = 10.0
_THREADS = 4


@dataclass(eq=False, repr=False)
class Checked:
    """All checks of a ticket are answered."""

    ticket: str
    results: List[CheckResult]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(result.passed for result in self.results)


class CheckService(Protocol):
    """What the engine needs: hand in a job's checks, be woken, take the answers."""

    def submit(self, ticket: str, checks: Sequence[Check], context: CheckContext) -> None:
        """Have the checks run, all of them, in order. The ticket comes back with the answers."""

    def take(self) -> List[Checked]:
        """Every ticket that was answered since the last call."""

    def pending(self) -> int:
        """How many tickets were handed in and not taken yet."""

    def hurry(self) -> None:
        """The run is to stop: no check may take long from now on."""

    def close(self) -> None:
        """Stop; what still runs is given up."""


def failure_reason(results: Sequence[CheckResult]) -> str:
    """One line that names every check that failed and why; "" where none did."""
    return "; ".join("%s: %s" % (result.name, result.reason) for result in results if not result.passed)


def run_check(check: Check, context: CheckContext, registry: "Optional[Registry]" = None) -> CheckResult:
    """The answer of one check, of the built-in ones where no registry is given. A check that raises has failed."""
    if registry is None:
        # Imported here: most runs have no checks.
        from jobs.checks.registry import BUILT_IN

        registry = BUILT_IN
    try:
        if check.name == CONDITION:
            from jobs.checks.conditions import ask
            return ask(check.params["condition"], context)
        if check.name == UP_TO_DATE:
            from jobs.checks.freshness import ask_up_to_date
            return ask_up_to_date(context, **check.params)
        if check.name == PRODUCTS:
            from jobs.checks.freshness import ask_products
            return ask_products(context, **check.params)
        if check.plugin is not None:
            from jobs.checks.plugins import ask_plugin
            return ask_plugin(check, context)
        declaration = registry.get(check.name)
        if declaration is None:
            return CheckResult(check.name, False, "no such check; there are %s" % ", ".join(registry.names()))
        problems = declaration.problems(check.params)
        if problems:
            name, message = problems[0]
            return CheckResult(check.name, False, "%s %s" % (name, message) if message.startswith("must") else message)
        return declaration.function(context, **declaration.values(check.params))
    except ExecutionerError as error:
        return CheckResult(check.name, False, error.message, is_known=False)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a check means "no"
        return CheckResult(check.name, False, "the check raised %s: %s" % (type(error).__name__, error), False)


def time_limit_s(check: Check, usual_s: float) -> float:
    """Seconds after which a check is given up: later than by its own ``timeout``, where it has one."""
    own = check.params.get("timeout") if check.plugin is None else None
    seconds = parse_duration(own) if isinstance(own, str) else own
    return max(usual_s, seconds + _LONGER_S) if isinstance(seconds, (int, float)) else usual_s


class _Ticket:
    """What was handed in, and what was answered so far."""

    def __init__(self, ticket: str, checks: Sequence[Check], context: CheckContext) -> None:
        self.ticket = ticket
        self.checks = checks
        self.context = context
        self.results: List[CheckResult] = []


class InlineCheckRunner:
    """Runs checks where it stands; time limits do not hold."""

    def __init__(self, registry: "Optional[Registry]" = None) -> None:
        self._registry = registry
        self._answered: List[Checked] = []

    def submit(self, ticket: str, checks: Sequence[Check], context: CheckContext) -> None:
        """Run the checks now."""
        self._answered.append(Checked(ticket, [run_check(check, context, self._registry) for check in checks]))

    def take(self) -> List[Checked]:
        """Every ticket that was answered since the last call."""
        answered, self._answered = self._answered, []
        return answered

    def pending(self) -> int:
        """How many tickets were handed in and not taken yet."""
        return len(self._answered)

    def hurry(self) -> None:
        """There is nothing that could be made shorter."""

    def close(self) -> None:
        """Forget what was not taken."""
        self._answered = []


class CheckRunner:
    """Runs checks in daemon threads, started with the first ticket.

    :param registry: where checks are looked up; the built-in ones where none is given
    :param wake_fd: a pipe's or socket's non-blocking writing end: one byte is written whenever an answer is there
    :param timeout_s: seconds that one check may take
    """

    def __init__(self, wake_fd: Optional[int] = None, registry: "Optional[Registry]" = None,
                 timeout_s: float = CHECK_TIMEOUT_S) -> None:
        self._wake_fd = wake_fd
        self._registry = registry
        self._timeout_s = timeout_s
        self._queue: Deque[_Ticket] = deque()
        self._answered: List[Checked] = []
        self._pending = 0
        self._closed = False
        self._hurried = False
        #: What each thread is at, and until when (monotonic). One that is missing here was given up.
        self._running: Dict[threading.Thread, _Ticket] = {}
        self._deadlines: Dict[threading.Thread, float] = {}
        self._workers: Set[threading.Thread] = set()
        self._watchdog: Optional[threading.Thread] = None
        self._changed: Optional[threading.Condition] = None

    def submit(self, ticket: str, checks: Sequence[Check], context: CheckContext) -> None:
        """Have the checks run, all of them, in order."""
        import threading

        if self._changed is None:
            self._changed = threading.Condition()
        with self._changed:
            self._pending += 1
            self._queue.append(_Ticket(ticket, checks, context))
            self._staff()
            self._changed.notify_all()

    def take(self) -> List[Checked]:
        """Every ticket that was answered since the last call."""
        if self._changed is None:
            return []
        with self._changed:
            answered, self._answered = self._answered, []
            self._pending -= len(answered)
            return answered

    def pending(self) -> int:
        """How many tickets were handed in and not taken yet."""
        return self._pending

    def hurry(self) -> None:
        """Give up in a few seconds what has not answered by then, and from now on every check so early."""
        self._hurried = True
        if self._changed is None:
            return
        with self._changed:
            latest = time.monotonic() + HURRIED_TIMEOUT_S
            for worker, deadline in self._deadlines.items():
                self._deadlines[worker] = min(deadline, latest)
            self._changed.notify_all()

    def _limit_s(self, check: Check) -> float:
        limit_s = time_limit_s(check, self._timeout_s)
        return min(limit_s, HURRIED_TIMEOUT_S) if self._hurried else limit_s

    def close(self) -> None:
        """End the threads; one that is inside a check is left behind, and nothing wakes the loop any more."""
        if self._changed is None:
            return
        from jobs.checks.commands import end_all
        end_all()
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._running.clear()
            self._deadlines.clear()
            self._changed.notify_all()

    def _staff(self) -> None:
        """Start what threads are wanting. Called under the lock."""
        import threading

        try:
            if self._watchdog is None:
                watchdog = threading.Thread(target=self._watch, name="check-watchdog", daemon=True)
                watchdog.start()
                self._watchdog = watchdog
            idle = len(self._workers) - len(self._running)
            while len(self._workers) < _THREADS and idle < len(self._queue):
                worker = threading.Thread(target=self._work, name="check-worker", daemon=True)
                worker.start()
                self._workers.add(worker)
                idle += 1
        except RuntimeError as error:
            # The limit of threads. Those that are there do the work; where there is none, nobody ever would.
            while self._queue and not (self._workers and self._watchdog):
                ticket = self._queue.popleft()
                ticket.results += [CheckResult(check.name, False, "cannot be run: %s" % error, is_known=False)
                                   for check in ticket.checks[len(ticket.results):]]
                self._answer(ticket)

    def _work(self) -> None:
        import threading

        me = threading.current_thread()
        changed = self._changed
        assert changed is not None
        while True:
            with changed:
                while not self._queue and not self._closed:
                    changed.wait()
                if self._closed:
                    self._workers.discard(me)
                    return
                ticket = self._queue.popleft()
                self._running[me] = ticket
            while len(ticket.results) < len(ticket.checks):
                with changed:
                    if self._running.get(me) is not ticket:
                        return
                    check = ticket.checks[len(ticket.results)]
                    self._deadlines[me] = time.monotonic() + self._limit_s(check)
                    changed.notify_all()
                result = run_check(check, ticket.context, self._registry)
                with changed:
                    if self._running.get(me) is not ticket:
                        return
                    del self._deadlines[me]
                    ticket.results.append(result)
            with changed:
                if self._running.get(me) is not ticket:
                    return
                del self._running[me]
                self._answer(ticket)

    def _watch(self) -> None:
        changed = self._changed
        assert changed is not None
        with changed:
            while not self._closed:
                now = time.monotonic()
                for worker in [worker for worker, deadline in self._deadlines.items() if deadline <= now]:
                    self._give_up(worker)
                nearest = min(self._deadlines.values(), default=None)
                changed.wait(None if nearest is None else max(0.0, nearest - time.monotonic()))

    def _give_up(self, worker: "threading.Thread") -> None:
        """Count the worker's check as failed and let another thread go on with the ticket. Called under the lock."""
        del self._deadlines[worker]
        ticket = self._running.pop(worker)
        self._workers.discard(worker)
        check = ticket.checks[len(ticket.results)]
        reason = "given up, since the run is to stop"
        if not self._hurried:
            reason = "timed out after %g s" % self._limit_s(check)
        ticket.results.append(CheckResult(check.name, False, reason, is_known=False))
        if len(ticket.results) == len(ticket.checks):
            self._answer(ticket)
        else:
            self._queue.appendleft(ticket)
        self._staff()
        if self._changed is not None:
            self._changed.notify_all()

    def _answer(self, ticket: _Ticket) -> None:
        self._answered.append(Checked(ticket.ticket, ticket.results))
        if self._wake_fd is None:
            return
        try:
            os.write(self._wake_fd, b"\0")
        except OSError:
            # A full pipe has woken the loop already; a closed one means that the loop is over.
            pass

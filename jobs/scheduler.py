"""What runs next and what becomes of each job: a pure state machine.

No clock, no process, no file, no randomness of its own: times and random numbers come in with the events, so that the
real scheduler runs millions of simulated jobs in a test and each failure replays from its seed.

Life of a job (the left word is the state here, the right one what people see)::

    PENDING     PENDING    waits for its dependencies
    QUEUED      QUEUED     ready; waits for a slot
    PRECHECK    QUEUED     has a slot; its condition and its pre-checks are looked at
    DISPATCHED  QUEUED     handed to the executor, maybe ahead of a free slot; may begin at any moment
    RUNNING     RUNNING    its process exists
    POSTCHECK   RUNNING    its process is gone; its post-checks run
    RETRYING    RETRYING   waits for its next attempt
    FINAL       one of eight final statuses, never left again

``TABLE`` has a cell for each state and event. A counter per job says how many of its dependencies are met, another how
many are final; a job leaves PENDING when enough are met, or when all are final and too few are met. A job that cannot
run gets its verdict only then, so the verdict does not depend on who happened to end first.
"""
import heapq
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from jobs.exceptions import InternalError
from jobs.graph import Graph
from jobs.group_ids import is_inside
from jobs.models import (FAILS_RUN, FAILURE_STATUSES, FINAL_STATUSES, AttemptOutcome, Job, JobStatus, RunStatus,
                         StopReason, When)

__all__ = ["EVENTS", "STATES", "TABLE", "Finished", "Given", "Retry", "Scheduler"]

STATES = PENDING, QUEUED, PRECHECK, DISPATCHED, RUNNING, POSTCHECK, RETRYING, FINAL = range(8)
STATE_NAMES = ("PENDING", "QUEUED", "PRECHECK", "DISPATCHED", "RUNNING", "POSTCHECK", "RETRYING", "FINAL")
EVENTS = MET, UNMET, TAKE, CHECKED, STARTED, ENDED, WITHDRAWN, DUE, STOP, UNNEEDED = range(10)
EVENT_NAMES = ("MET", "UNMET", "TAKE", "CHECKED", "STARTED", "ENDED", "WITHDRAWN", "DUE", "STOP", "UNNEEDED")

#: What people see of a live state.
VISIBLE_STATUS = {PENDING: JobStatus.PENDING, QUEUED: JobStatus.QUEUED, PRECHECK: JobStatus.QUEUED,
                  DISPATCHED: JobStatus.QUEUED, RUNNING: JobStatus.RUNNING, POSTCHECK: JobStatus.RUNNING,
                  RETRYING: JobStatus.RETRYING}
#: States that occupy a slot (or a place ahead of one).
IN_FLIGHT = frozenset((PRECHECK, DISPATCHED, RUNNING, POSTCHECK))

# Why nothing new starts.
GOING, AFTER_FAILURE, AFTER_STOP = range(3)
# Why a dependency was not met, weakest first: the strongest decides the verdict.
WISH_UNFULFILLED, DEPENDENCY_CANCELLED, DEPENDENCY_FAILED = 1, 2, 3


class Finished:
    """A job has its final status."""

    __slots__ = ("position", "status", "reason", "attempts", "outcome", "first_start")

    def __init__(self, position: int, status: str, reason: str, attempts: int,
                 outcome: Optional[AttemptOutcome], first_start: Optional[float]) -> None:
        self.position = position
        self.status = status
        self.reason = reason
        self.attempts = attempts
        #: Of the last attempt, where there was one.
        self.outcome = outcome
        #: Monotonic time at which the first attempt started.
        self.first_start = first_start


class Retry:
    """A job will be tried again: attempt number ``attempt``, after ``delay_s``."""

    __slots__ = ("position", "attempt", "delay_s", "reason")

    def __init__(self, position: int, attempt: int, delay_s: float, reason: str) -> None:
        self.position = position
        self.attempt = attempt
        self.delay_s = delay_s
        self.reason = reason


class Given:
    """A job that is decided before the run begins: carried from a parent run, skipped, or not selected."""

    __slots__ = ("status", "reason", "counts_as_met")

    def __init__(self, status: str, reason: str, counts_as_met: bool = False) -> None:
        if status not in FINAL_STATUSES:
            raise InternalError("a given job must be final, not %s" % status)
        self.status = status
        self.reason = reason
        #: Whatever a dependent asked of it is taken as met (``--only``).
        self.counts_as_met = counts_as_met


class _Group:
    """What has become of the members of a group that others wait for.

    Who asks for their success (or for SKIPPED) waits for all of them, who asks for a failure for any: so says ``kinds``
    for each ``when`` how little it is met, and ``blame`` because of which member.
    """

    __slots__ = ("left", "kinds", "blame", "has_failed")

    def __init__(self, members: int) -> None:
        self.left = members
        self.kinds = {When.SUCCESS: 0, When.SKIPPED: 0, When.FAILURE: 0, When.DONE: 0}
        self.blame: Dict[str, int] = {}
        self.has_failed = False

    def count(self, member: int, status: str, forgiven: bool, is_inside: bool) -> None:
        """A member has ended. A failure inside a configuration that this allows is none of the configuration."""
        for when in (When.SUCCESS, When.SKIPPED, When.FAILURE):
            if when == When.FAILURE and forgiven and is_inside and status in FAILURE_STATUSES:
                kind = WISH_UNFULFILLED
            else:
                kind = _unmet_kind(when, status, forgiven)
            if when == When.FAILURE and not kind:
                self.has_failed = True
            if kind > self.kinds[when] or kind and kind == self.kinds[when] and member < self.blame[when]:
                self.kinds[when] = kind
                self.blame[when] = member

    def unmet(self, when: str) -> int:
        """0 where what is asked of the group is met, else why not."""
        return 0 if when == When.FAILURE and self.has_failed else self.kinds[when]


class Scheduler:
    """The state of a run, and what is to be done next.

    Feed it with events; then take what it wants: ``take_finished``, ``take_retries``, ``take_ready``.

    :param slots: how many jobs run at once
    :param given: jobs decided beforehand, by position
    """

    def __init__(self, jobs: Sequence[Job], graph: Graph, slots: int, continue_on_error: bool = False,
                 given: Optional[Dict[int, Given]] = None, run_timeout_s: Optional[float] = None) -> None:
        count = len(jobs)
        self.jobs = jobs
        self.graph = graph
        self.slots = slots
        self.continue_on_error = continue_on_error
        self.run_timeout_s = run_timeout_s
        self.run_deadline: Optional[float] = None
        self.state = bytearray(count)
        #: Monotonic times at which jobs became ready: what they need was settled, or the wait for a retry was over.
        self.ready_since = [0.0] * count
        self._now = 0.0
        self.status: List[Optional[str]] = [None] * count
        self.attempts: List[int] = [0] * count
        self.counts: Dict[str, int] = {}
        self.unfinished = count
        self.stop_reason = ""
        self.stop_kind = ""
        self._mode = GOING
        self._failed_required = 0
        self._blocked_required = 0
        self._cancelled_by_stop = 0
        self._met = [0] * count
        self._final_dependencies = [0] * count
        self._needed = [len(d) if job.join is None else job.join for job, d in zip(jobs, graph.dependencies)]
        self._unmet_kind = bytearray(count)
        self._blame: Dict[int, int] = {}
        self._given = dict(given or {})
        order = sorted(range(count), key=lambda p: (-jobs[p].priority, -graph.remaining[p], p))
        self._by_rank = order
        self._rank = [0] * count
        for rank, position in enumerate(order):
            self._rank[position] = rank
        #: The groups that are waited for; their nodes come after those of the jobs.
        self._groups: List[_Group] = []
        for node in range(count, len(graph.dependencies)):
            self._groups.append(_Group(len(graph.dependencies[node])))
            self._rank.append(min(self._rank[other] for other, _ in graph.dependents[node]))
        self._ready: List[int] = []
        #: What occupies a slot: the best rank of what follows from it.
        self._in_flight: Dict[int, int] = {}
        self._with_checks = 0
        self._timers: List[Tuple[float, int]] = []
        #: Ranks of jobs that wait for slots of a pool, by its name.
        self._pool_waits: Dict[str, List[int]] = {}
        #: Who holds a job, in words; and the held jobs that would be ready.
        self._holds: Dict[int, str] = {}
        self._held_ready: List[int] = []
        self._last: Dict[int, AttemptOutcome] = {}
        self._first_start: Dict[int, float] = {}
        self._first_failure: Dict[int, float] = {}
        self._to_settle: List[int] = []
        self._finished: List[Finished] = []
        self._retries: List[Retry] = []

    # ---- events in -----------------------------------------------------------------------------------------------

    def at(self, now: float) -> None:
        """What comes next happens at this monotonic time."""
        self._now = now

    def begin(self, now: float) -> None:
        """Start the run: decide the given jobs, queue what waits for nothing."""
        self._now = now
        if self.run_timeout_s is not None:
            self.run_deadline = now + self.run_timeout_s
        for position, given in sorted(self._given.items()):
            self._finish(position, given.status, given.reason)
        self._settle()
        for position in range(len(self.jobs)):
            if self.state[position] == PENDING and not self.graph.dependencies[position]:
                self._handle(position, MET)
        self._settle()

    def checked(self, position: int, passed: bool, reason: str, now: float, unit_random: float) -> None:
        """The checks of a job have been made."""
        self._handle(position, CHECKED, passed, reason, now, unit_random)
        self._settle()

    def unneeded(self, position: int, reason: str) -> None:
        """The job's own condition, or what it would make, says that it need not run."""
        self._handle(position, UNNEEDED, reason)
        self._settle()

    def started(self, position: int, now: float) -> None:
        """The executor has started the attempt."""
        self._handle(position, STARTED, now)

    def ended(self, position: int, outcome: AttemptOutcome, now: float, unit_random: float) -> None:
        """The attempt is over.

        :param unit_random: a random number from 0 to 1 for the jitter of a retry
        """
        self._handle(position, ENDED, outcome, now, unit_random)
        self._settle()

    def withdrawn(self, position: int) -> None:
        """The executor gave the attempt back; it has not begun."""
        self._handle(position, WITHDRAWN)
        self._settle()

    def stop(self, kind: str, reason: str) -> None:
        """Start nothing any more; what runs is stopped by the engine.

        :param kind: ``StopReason.CANCEL`` or ``StopReason.RUN_TIMEOUT``
        """
        if self._mode == AFTER_STOP:
            return
        self._mode = AFTER_STOP
        self.stop_kind = kind
        self.stop_reason = reason
        for position in range(len(self.jobs)):
            if self.state[position] != FINAL:
                self._handle(position, STOP)
        self._settle()

    def hold(self, holds: Dict[int, str]) -> None:
        """From now on these jobs, and no others, are held: they do not start. The text says by whom and why."""
        self._holds = dict(holds)
        released, self._held_ready = self._held_ready, []
        for position in released:
            if self.state[position] == QUEUED:
                heapq.heappush(self._ready, self._rank[position])

    def expire(self, now: float) -> None:
        """Let the timers that are due go off."""
        while self._timers and self._timers[0][0] <= now:
            self._now, position = heapq.heappop(self._timers)
            self._handle(position, DUE)
        self._now = now
        if self.run_deadline is not None and now >= self.run_deadline and self._mode != AFTER_STOP and self.unfinished:
            assert self.run_timeout_s is not None
            self.stop(StopReason.RUN_TIMEOUT, "the run passed its run_timeout of %g s" % self.run_timeout_s)
        self._give_up_held()
        self._settle()

    # ---- what is wanted ------------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether every job is final."""
        return not self.unfinished

    @property
    def starts_nothing(self) -> bool:
        """Whether new jobs are barred (after a failure, clean-up jobs and retries still run)."""
        return self._mode != GOING

    def next_timer(self) -> Optional[float]:
        """Monotonic time at which ``expire`` must be called next."""
        if self._only_held_left():
            return 0.0
        due = self._timers[0][0] if self._timers else None
        if self.run_deadline is not None and self._mode != AFTER_STOP:
            due = self.run_deadline if due is None else min(due, self.run_deadline)
        return due

    def take_finished(self) -> List[Finished]:
        """Jobs that became final since the last call, in order."""
        finished, self._finished = self._finished, []
        return finished

    def take_retries(self) -> List[Retry]:
        """Retries that were decided since the last call."""
        retries, self._retries = self._retries, []
        return retries

    def offer_pool(self, pool: str, slots: int) -> None:
        """Slots of a pool may be free: that many of the jobs that wait for it are ready again."""
        waiting = self._pool_waits.get(pool)
        while waiting and slots > 0:
            heapq.heappush(self._ready, heapq.heappop(waiting))
            slots -= 1

    def waiting_pools(self) -> List[str]:
        """The pools that ready jobs wait for."""
        found = []
        for pool, ranks in self._pool_waits.items():
            while ranks and self.state[self._by_rank[ranks[0]]] != QUEUED:
                heapq.heappop(ranks)
            if ranks:
                found.append(pool)
        return found

    def take_ready(self, ahead: int, admit: Optional[Callable[[int], bool]] = None) -> List[int]:
        """Jobs to hand to the executor now, best first; they are PRECHECK or DISPATCHED afterwards.

        :param admit: asked of each job that names a pool, before it is taken: whether it has got its slots. One that
            has not waits until its pool is offered again.

        :param ahead: how many may be handed over beyond the free slots. A job goes ahead only where nothing that could
            become ready by the end of what is in flight would have to start before it: the order never changes.
        """
        taken: List[int] = []
        best_follower: Optional[int] = None
        while self._ready:
            position = self._by_rank[self._ready[0]]
            if self.state[position] != QUEUED:
                heapq.heappop(self._ready)
                continue
            if position in self._holds:
                self._held_ready.append(self._by_rank[heapq.heappop(self._ready)])
                continue
            room = self.slots - len(self._in_flight)
            pool = self.jobs[position].pool
            if room <= 0:
                # While checks run, the executor does not know that their job holds a slot: nothing goes ahead then.
                if room + ahead <= 0 or pool or self.jobs[position].has_questions or self._with_checks:
                    break
                if best_follower is None:
                    best_follower = min(self._in_flight.values())
                if best_follower < self._rank[position]:
                    break
            rank = heapq.heappop(self._ready)
            if pool and admit is not None and not admit(position):
                heapq.heappush(self._pool_waits.setdefault(pool, []), rank)
                continue
            self._handle(position, TAKE)
            if best_follower is not None:
                best_follower = min(best_follower, self._in_flight[position])
            taken.append(position)
        return taken

    def has_prechecks_to_make(self, position: int) -> bool:
        """Whether a taken job waits for its pre-checks instead of for the executor."""
        return self.state[position] == PRECHECK

    def is_dispatched(self, position: int) -> bool:
        """Whether the job is to be handed (or has been handed) to the executor."""
        return self.state[position] == DISPATCHED

    def is_running(self, position: int) -> bool:
        """Whether the job has a process."""
        return self.state[position] == RUNNING

    def is_given(self, position: int) -> bool:
        """Whether the job was decided beforehand."""
        return position in self._given

    def in_postcheck(self, position: int) -> bool:
        """Whether the job's process is gone and its post-checks decide."""
        return self.state[position] == POSTCHECK

    def is_in_flight(self, position: int) -> bool:
        """Whether the job occupies a slot or a place ahead of one."""
        return position in self._in_flight

    def in_flight(self) -> List[int]:
        """Positions that occupy a slot or a place ahead of one."""
        return list(self._in_flight)

    def visible_status(self, position: int) -> str:
        """The status that people see."""
        final = self.status[position]
        return final if final is not None else VISIBLE_STATUS[self.state[position]]

    def attempt_limit(self, position: int, now: float) -> Tuple[float, str]:
        """Seconds that the next attempt may take, and what it is then stopped for (a ``StopReason``)."""
        job = self.jobs[position]
        limit, reason = job.timeout_s, StopReason.TIMEOUT
        if job.total_timeout_s is not None:
            left = self._first_start.get(position, now) + job.total_timeout_s - now
            if left < limit:
                limit, reason = left, StopReason.TOTAL_TIMEOUT
        if self.run_deadline is not None and self.run_deadline - now < limit:
            limit, reason = self.run_deadline - now, StopReason.RUN_TIMEOUT
        return max(limit, 0.001), reason

    def verdict(self) -> Tuple[str, str]:
        """Status of the run and why, once every job is final."""
        if self.unfinished:
            raise InternalError("the run is not over: %d jobs are not final" % self.unfinished)
        if self.stop_kind == StopReason.RUN_TIMEOUT:
            return RunStatus.FAILED, self.stop_reason
        if self.stop_kind and self._cancelled_by_stop:
            return RunStatus.CANCELLED, self.stop_reason
        if self._failed_required:
            blocked = ", %d blocked" % self._blocked_required if self._blocked_required else ""
            return RunStatus.FAILED, "%d of %d jobs failed%s" % (self._failed_required, len(self.jobs), blocked)
        if self._blocked_required:
            return RunStatus.FAILED, "%d of %d jobs blocked" % (self._blocked_required, len(self.jobs))
        return RunStatus.SUCCESS, ""

    # ---- the table -----------------------------------------------------------------------------------------------

    def _handle(self, position: int, event: int, *details: object) -> None:
        TABLE[self.state[position]][event](self, position, *details)

    def _become_ready(self, position: int) -> None:
        self.ready_since[position] = self._now
        self._queue(position)

    def _queue(self, position: int) -> None:
        if self._may_start(position):
            if self.jobs[position].nothing_to_do:
                self._finish(position, JobStatus.SKIPPED, self.jobs[position].nothing_to_do)
                return
            self.state[position] = QUEUED
            heapq.heappush(self._ready, self._rank[position])
        else:
            self._cancel(position)

    def _may_start(self, position: int) -> bool:
        """After a failure only clean-up jobs, and jobs that are between attempts; after a stop nothing."""
        if self._mode == GOING:
            return True
        return self._mode == AFTER_FAILURE and (self.attempts[position] > 0 or self.jobs[position].is_cleanup)

    def _judge_unmet(self, position: int) -> None:
        kind = self._unmet_kind[position]
        blamed = self._blame[position]
        name, status = self.graph.ids[blamed], self.status[blamed]
        if kind == DEPENDENCY_FAILED:
            self._finish(position, JobStatus.BLOCKED, "needs %s, which ended %s" % (name, status))
        elif kind == DEPENDENCY_CANCELLED:
            self._cancel(position)
        else:
            self._finish(position, JobStatus.SKIPPED, "not needed: %s ended %s" % (name, status))

    def _cancel(self, position: int) -> None:
        if self._mode == AFTER_STOP:
            self._cancelled_by_stop += 1
        reason = self.stop_reason or "its dependency was cancelled"
        self._finish(position, JobStatus.CANCELLED, "not started: " + reason if not self.attempts[position]
                     else "not tried again: " + reason)

    def _take(self, position: int) -> None:
        followers = self.graph.dependents[position]
        self._in_flight[position] = min((self._rank[other] for other, _ in followers), default=len(self.jobs))
        if self._has_checks(position):
            self._with_checks += 1
        first = not self.attempts[position]
        self.state[position] = PRECHECK if first and self.jobs[position].has_questions else DISPATCHED

    def _has_checks(self, position: int) -> bool:
        job = self.jobs[position]
        return job.has_questions or job.has_afterwards

    def _leave(self, position: int) -> None:
        """The job gives up its slot, where it has one."""
        if self._in_flight.pop(position, None) is not None and self._has_checks(position):
            self._with_checks -= 1

    def _prechecked(self, position: int, passed: bool, reason: str, now: float, unit_random: float) -> None:
        if not passed:
            self._finish(position, JobStatus.FAILED, reason)
        elif not self._may_start(position):
            self._cancel(position)
        else:
            self.state[position] = DISPATCHED

    def _skip(self, position: int, reason: str) -> None:
        self._finish(position, JobStatus.SKIPPED, reason)

    def _start(self, position: int, now: float) -> None:
        self.state[position] = RUNNING
        self.attempts[position] += 1
        self._first_start.setdefault(position, now)

    def _end_unstarted(self, position: int, outcome: AttemptOutcome, now: float, unit_random: float) -> None:
        # Its start and its end came together, or it could not be started at all; both use up an attempt.
        self._start(position, now)
        self._end(position, outcome, now, unit_random)

    def _end(self, position: int, outcome: AttemptOutcome, now: float, unit_random: float) -> None:
        self._last[position] = outcome
        if outcome.status == JobStatus.SUCCESS and self.jobs[position].has_afterwards:
            self.state[position] = POSTCHECK
            return
        self._conclude(position, outcome, now, unit_random)

    def _postchecked(self, position: int, passed: bool, reason: str, now: float, unit_random: float) -> None:
        outcome = self._last[position]
        if not passed:
            outcome.status = JobStatus.FAILED
            outcome.reason = reason
        self._conclude(position, outcome, now, unit_random)

    def _conclude(self, position: int, outcome: AttemptOutcome, now: float, unit_random: float) -> None:
        """An attempt is over, checks included: final, or another one?"""
        status, reason, delay_s = outcome.status, outcome.reason, self._retry_delay(position, outcome, now, unit_random)
        if delay_s is not None and self._total_is_used_up(position, now + delay_s):
            status, delay_s = JobStatus.TIMEOUT, None
            reason += "; its total_timeout leaves no time for another attempt"
        if delay_s is not None:
            self._leave(position)
            self.state[position] = RETRYING
            heapq.heappush(self._timers, (now + delay_s, position))
            self._retries.append(Retry(position, self.attempts[position] + 1, delay_s, reason))
            return
        if self.attempts[position] > 1:
            reason += " (attempt %d)" % self.attempts[position]
        if status == JobStatus.CANCELLED:
            self._cancelled_by_stop += 1
        self._finish(position, status, reason)

    def _total_is_used_up(self, position: int, next_start: float) -> bool:
        total_s = self.jobs[position].total_timeout_s
        return total_s is not None and next_start >= self._first_start[position] + total_s

    def _retry_delay(self, position: int, outcome: AttemptOutcome, now: float, unit_random: float) -> Optional[float]:
        """Seconds until the next attempt that the job's retry policy asks for; None where it asks for none."""
        retry = self.jobs[position].retry
        made = self.attempts[position]
        if (self._mode == AFTER_STOP or made > retry.max_retries or outcome.status not in FAILURE_STATUSES
                or outcome.status == JobStatus.LOST or outcome.stop_reason == StopReason.TOTAL_TIMEOUT
                or outcome.is_hopeless or not retry.wants_retry(outcome.status, outcome.exit_code)):
            return None
        delay_s = retry.delay_s(made, unit_random)
        first_failure = self._first_failure.setdefault(position, now)
        if retry.max_retry_time_s and now + delay_s - first_failure > retry.max_retry_time_s:
            return None
        return delay_s

    def _give_back(self, position: int) -> None:
        self._leave(position)
        self._queue(position)

    def _ignore(self, position: int, *details: object) -> None:
        """Stale or harmless in this state: see the cell."""

    # ---- ends and what follows from them -------------------------------------------------------------------------

    def _finish(self, position: int, status: str, reason: str) -> None:
        self.state[position] = FINAL
        self.status[position] = status
        self.counts[status] = self.counts.get(status, 0) + 1
        self.unfinished -= 1
        self._leave(position)
        self._first_failure.pop(position, None)
        self._finished.append(Finished(position, status, reason, self.attempts[position],
                                       self._last.pop(position, None), self._first_start.pop(position, None)))
        self._to_settle.append(position)
        job = self.jobs[position]
        if status in FAILS_RUN and not job.allow_failure:
            if status == JobStatus.BLOCKED:
                self._blocked_required += 1
            else:
                self._failed_required += 1
            if (status in FAILURE_STATUSES and self._mode == GOING and not self.continue_on_error
                    and position not in self._given):
                self._stop_after_failure(position)

    def _stop_after_failure(self, position: int) -> None:
        self._mode = AFTER_FAILURE
        self.stop_reason = "%s ended %s" % (self.graph.ids[position], self.status[position])
        ready, self._ready = self._ready, []
        for ranks in self._pool_waits.values():
            ready += ranks
        self._pool_waits = {}
        ready += [self._rank[held] for held in self._held_ready]
        self._held_ready = []
        for rank in ready:
            queued = self._by_rank[rank]
            if self.state[queued] == QUEUED:
                self._queue(queued)

    def _only_held_left(self) -> bool:
        return bool(self._held_ready) and not (self._in_flight or self._timers or self._ready or self.waiting_pools())

    def _give_up_held(self) -> None:
        """Held jobs are waited for as long as anything else goes on; then they end."""
        if not self._only_held_left():
            return
        held, self._held_ready = self._held_ready, []
        for position in held:
            if self.state[position] == QUEUED:
                self._finish(position, JobStatus.BLOCKED, "held by %s" % self._holds[position])

    def _settle(self) -> None:
        """Tell the dependents of all that became final; what follows becomes final in turn, without recursion."""
        jobs = len(self.jobs)
        while self._to_settle:
            done = self._to_settle.pop()
            if done >= jobs:
                group = self._groups[done - jobs]
                for other, when in self.graph.dependents[done]:
                    self._settle_arrow(other, group.unmet(when), group.blame.get(when, done))
                continue
            status = self.status[done]
            assert status is not None
            given = self._given.get(done)
            as_met = given is not None and given.counts_as_met
            forgiven = self.jobs[done].allow_failure
            for other, when in self.graph.dependents[done]:
                if other >= jobs:
                    self._settle_member(other, done, status, as_met, forgiven)
                else:
                    self._settle_arrow(other, 0 if as_met else _unmet_kind(when, status, forgiven), done)

    def _settle_member(self, node: int, done: int, status: str, as_met: bool, forgiven: bool) -> None:
        """A member of a group has ended; with the last one, the group has."""
        group = self._groups[node - len(self.jobs)]
        if not as_met:
            group.count(done, status, forgiven, is_inside(self.graph.ids[done],
                                                          self.graph.groups[node - len(self.jobs)]))
        group.left -= 1
        if not group.left:
            self._to_settle.append(node)

    def _settle_arrow(self, other: int, kind: int, done: int) -> None:
        """What a job waits for has ended: so little is met of what it asked."""
        self._final_dependencies[other] += 1
        if not kind:
            self._met[other] += 1
        elif kind > self._unmet_kind[other]:
            self._unmet_kind[other] = kind
            self._blame[other] = done
        elif kind == self._unmet_kind[other] and done < self._blame[other]:
            self._blame[other] = done
        if self.state[other] != PENDING:
            return
        if self._met[other] >= self._needed[other]:
            self._handle(other, MET)
        elif self._final_dependencies[other] == len(self.graph.dependencies[other]):
            self._handle(other, UNMET)


def _unmet_kind(when: str, status: str, forgiven: bool) -> int:
    """0 where a dependency that ended so is met, else why not (the larger, the graver)."""
    if when == When.DONE:
        return 0
    if when == When.FAILURE:
        if status in FAILURE_STATUSES:
            return 0
        return DEPENDENCY_CANCELLED if status == JobStatus.CANCELLED else WISH_UNFULFILLED
    if status == JobStatus.SKIPPED:
        return 0
    if status == JobStatus.CANCELLED:
        return DEPENDENCY_CANCELLED
    if status == JobStatus.SUCCESS:
        return 0 if when == When.SUCCESS else WISH_UNFULFILLED
    if forgiven and status in FAILURE_STATUSES:
        return 0 if when == When.SUCCESS else WISH_UNFULFILLED
    return DEPENDENCY_FAILED


def _bug(state: int, event: int) -> Callable[..., None]:
    def impossible(scheduler: Scheduler, position: int, *details: object) -> None:
        raise InternalError("this is a bug: job %s got %s in state %s" % (
            scheduler.graph.ids[position], EVENT_NAMES[event], STATE_NAMES[state]))
    return impossible


_S = Scheduler
_CELLS = {
    (PENDING, MET): _S._become_ready,
    (PENDING, UNMET): _S._judge_unmet,
    (PENDING, STOP): _S._cancel,
    (QUEUED, TAKE): _S._take,
    (QUEUED, STOP): _S._cancel,
    (PRECHECK, CHECKED): _S._prechecked,
    (PRECHECK, UNNEEDED): _S._skip,
    (PRECHECK, WITHDRAWN): _S._give_back,
    (PRECHECK, STOP): _S._cancel,
    (DISPATCHED, STARTED): _S._start,
    (DISPATCHED, ENDED): _S._end_unstarted,
    (DISPATCHED, WITHDRAWN): _S._give_back,
    (DISPATCHED, STOP): _S._ignore,         # the engine withdraws it
    (RUNNING, ENDED): _S._end,
    (RUNNING, STOP): _S._ignore,            # the engine stops it; its end comes
    (POSTCHECK, CHECKED): _S._postchecked,
    (POSTCHECK, STOP): _S._ignore,          # its process is gone; the check decides
    (RETRYING, DUE): _S._become_ready,
    (RETRYING, STOP): _S._cancel,
    (FINAL, CHECKED): _S._ignore,           # a check that a stop overtook
    (FINAL, UNNEEDED): _S._ignore,          # the same of a condition
    (FINAL, DUE): _S._ignore,               # the timer of a retry that a stop overtook
    (FINAL, STOP): _S._ignore,
}  # type: Dict[Tuple[int, int], Callable[..., None]]

#: ``TABLE[state][event]``: what happens; a pair that cannot be raises with both names.
TABLE = [[_CELLS.get((state, event)) or _bug(state, event) for event in EVENTS] for state in STATES]

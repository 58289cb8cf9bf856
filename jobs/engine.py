"""The loop of a run: wait, gather, decide, commit, act, tell.

One thread and one turn after the other:

1. wait for the executor, a timer or a signal, and take everything that is there;
2. feed the scheduler, which decides;
3. commit the results of this turn together with the intents of what is to start, in one transaction;
4. hand the starts to the executor: a job is never started before its intent and the results it rests on are durable;
5. tell the observers what was committed.

Where the journal cannot keep a turn, nothing new starts; what runs is watched on, and the turn is tried again later.
The keeper's record holds the results meanwhile. No decision is made here that ``scheduler.py`` could make.
"""
import math
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from jobs.attempts import AttemptMaker
from jobs.checks.result import CONDITION, PRODUCTS, UP_TO_DATE, CheckResult
from jobs.checks.runner import Checked, CheckService, failure_reason
from jobs.events import (AttemptEnded, AttemptIntended, AttemptStarted, Event, JobEnded, Notice, OutputsKept,
                         RetryScheduled, RunEnded, RunStarted, RunStopping)
from jobs.exceptions import EXIT_FAILED, EXIT_OK, EXIT_SIGNAL, InternalError, JobExecutionError, StorageError
from jobs.masking import Masker
from jobs.models import AttemptOutcome, Check, JobStatus, Pipeline, RunStatus, StopReason
from jobs.outcomes import apply_skip_codes
from jobs.ports import (Clock, Ended, Executor, ExecutorEvent, HoldRequest, Journal, Observer, PoolSlots, Request,
                        Reserve, Started, StopRequest, Withdrawn)
from jobs.run_context import RunContext, attempt_token, position_and_attempt
from jobs.scheduler import Finished, Scheduler

__all__ = ["Engine", "RunOutcome"]

#: How much work is handed to the executor ahead of the free slots.
AHEAD_S = 0.1
AHEAD_MOST = 64
#: A start is shown to others this late at most; it is kept earlier when something else is committed anyway.
START_SHOWN_WITHIN_S = 0.05
#: How often a pool whose slots other runs hold is asked again.
POOL_POLL_S = 0.25
#: First and longest wait before a failed commit is tried again.
STORAGE_RETRY_S = 5.0
STORAGE_RETRY_MOST_S = 60.0
#: How long a full disk or a locked history is waited for when nothing runs any more.
STORAGE_PATIENCE_S = 600.0
#: The same where the run was asked to stop.
STORAGE_PATIENCE_STOPPED_S = 10.0
WAITED_FOR_CAUSES = ("disk_full", "locked")


@dataclass(eq=False, repr=False)
class RunOutcome:
    """How a run ended, and with which exit code the command ends."""

    status: str
    exit_code: int
    reason: str


class Engine:
    """Runs one pipeline to its end.

    :param requests: gives what was asked of the run (to stop, to hold jobs) since the last call
    :param pools: the pools that the jobs name; None where they name none
    :param outputs: what jobs told in runs that this one resumes, by job id
    :param reserve: room on the disk that is given up for results when the disk is full
    :param unsure: jobs whose products are not to be trusted, by id: why
    :param unit_random: gives random numbers from 0 to 1 (the jitter of retries)
    """

    def __init__(self, pipeline: Pipeline, run: RunContext, scheduler: Scheduler, executor: Executor, journal: Journal,
                 observers: Sequence[Observer], clock: Clock, checks: CheckService,
                 requests: Callable[[], List[Request]], unit_random: Callable[[], float],
                 outputs: Optional[Mapping[str, Dict[str, str]]] = None, pools: Optional[PoolSlots] = None,
                 reserve: Optional[Reserve] = None, unsure: Optional[Mapping[str, str]] = None) -> None:
        self._pipeline = pipeline
        self._run = run
        self._scheduler = scheduler
        self._executor = executor
        self._journal = journal
        self._observers = list(observers)
        self._clock = clock
        self._checks = checks
        self._requests = requests
        self._unit_random = unit_random
        self._unsaved: List[Event] = []
        self._unsaved_since: Optional[float] = None
        self._pending_starts: List[int] = []
        self._attempts = AttemptMaker(pipeline, run, outputs)
        self._awaiting_postcheck: Dict[int, AttemptOutcome] = {}
        self._pools = pools
        self._slots_taken: Dict[int, List[int]] = {}
        #: What is still to be asked before a job's first attempt, by position.
        self._questions: Dict[int, List[Sequence[Check]]] = {}
        self._unsure = dict(unsure or {})
        self._masker = Masker(pipeline.secret_values)
        self._withdrawn: Dict[int, str] = {}
        self._first_started_at: Dict[int, float] = {}
        self._recent_duration_s: Optional[float] = None
        self._halted = False
        self._barred = False
        self._stop_told = False
        self._stop_signal: Optional[int] = None
        self._reserve = reserve
        self._trouble: Optional[StorageError] = None
        #: What went wrong when the reserve was given up; until that is back nothing new starts.
        self._short: Optional[StorageError] = None
        self._trouble_since = 0.0
        self._storage_retry_at = 0.0
        self._storage_delay_s = STORAGE_RETRY_S

    def run(self) -> RunOutcome:
        """Run until every job is final.

        What was decided beforehand (``Scheduler``'s ``given``) is already in the history, in the commit that made the
        run; it is told to the observers and not committed again.

        :raises StorageError: where results cannot be kept and waiting did not help; the run can be resumed
        """
        self._unsaved.append(RunStarted(
            self._run.run_id, self._run.run_uuid, self._pipeline.application, self._pipeline.config_path,
            len(self._pipeline.jobs), self._scheduler.slots, self._run.started_at))
        self._scheduler.begin(self._clock.monotonic())
        known = [finished for finished in self._scheduler.take_finished() if self._keep_unless_given(finished)]
        self._tell([self._job_ended(finished) for finished in known])
        self._turn([])
        while not self._scheduler.is_over or self._unsaved:
            if not self._journal.flushed():
                raise InternalError("this is a bug: a write transaction is open while the loop waits")
            self._turn(self._executor.wait(self._patience_s()))
        return self._close()

    # ---- one turn ------------------------------------------------------------------------------------------------

    def _turn(self, happened: Sequence[ExecutorEvent]) -> None:
        now = self._clock.monotonic()
        self._scheduler.at(now)
        for event in happened:
            self._absorb(event, now)
        # This takes the wake-ups of the checks as well: an answer that comes after it wakes the next wait.
        requests = self._requests()
        for checked in self._checks.take():
            self._absorb_check(checked, now)
        for request in requests:
            if isinstance(request, HoldRequest):
                self._absorb_holds(request)
            else:
                self._absorb_stop(request)
        self._scheduler.expire(now)
        self._gather()
        self._bar()
        if self._trouble is not None or self._short is not None:
            self._hold_back()
            if not (self._save(now) and self._has_room(now)):
                return
        self._choose(now)
        self._gather()
        self._save(now)

    def _absorb(self, event: ExecutorEvent, now: float) -> None:
        if isinstance(event, Started):
            position, attempt = position_and_attempt(event.token)
            self._scheduler.started(position, now)
            self._unsaved.append(AttemptStarted(position, self._id(position), attempt, event.token, event.pid,
                                                event.pid_start, event.at))
            if self._scheduler.stop_kind:
                self._executor.stop(event.token, self._scheduler.stop_kind)
        elif isinstance(event, Ended):
            self._absorb_end(event, now)
        elif isinstance(event, Withdrawn):
            position, _ = position_and_attempt(event.token)
            self._take_back(position, event.token)
        else:
            self._unsaved.append(Notice(event.level, event.message, self._clock.wall(),
                                        context=tuple(sorted(event.context.items()))))

    def _take_back(self, position: int, token: str) -> None:
        self._scheduler.withdrawn(position)
        if self._scheduler.status[position] is None:
            self._withdrawn[position] = token
        else:
            self._attempt_ended(position, token, _never_began())

    def _absorb_end(self, event: Ended, now: float) -> None:
        position, _ = position_and_attempt(event.token)
        job, outcome = self._pipeline.jobs[position], event.outcome
        self._halted = self._halted or event.halted
        self._learn_duration(outcome)
        apply_skip_codes(outcome, job.skip_exit_codes)
        if outcome.status == JobStatus.SUCCESS and job.outputs and not job.has_afterwards:
            self._take_outputs(event.token, outcome)
        self._scheduler.ended(position, outcome, now, self._unit_random())
        if self._scheduler.in_postcheck(position):
            self._awaiting_postcheck[position] = outcome
            made = (Check(PRODUCTS, {"products": list(job.products)}),) if job.products else ()
            self._check(event.token, tuple(job.post_checks) + made)
        else:
            self._attempt_ended(position, event.token, outcome)

    def _take_outputs(self, token: str, outcome: AttemptOutcome) -> str:
        """Read what a successful attempt told; what is wrong with that, and then the attempt has failed."""
        position, attempt = position_and_attempt(token)
        try:
            outputs = self._attempts.read_outputs(position, attempt)
        except JobExecutionError as error:
            outcome.status, outcome.reason = JobStatus.FAILED, error.message
            return error.message
        self._unsaved.append(OutputsKept(position, self._id(position), outputs, self._clock.wall()))
        return ""

    def _check(self, token: str, checks: Sequence[Check]) -> None:
        position, attempt = position_and_attempt(token)
        asked, context = self._attempts.questions(position, attempt, checks, self._scheduler.in_postcheck(position))
        self._checks.submit(token, asked, context)

    def _absorb_check(self, checked: Checked, now: float) -> None:
        position, _ = position_and_attempt(checked.ticket)
        job, passed, reason = self._pipeline.jobs[position], checked.passed, self._reason(checked.results)
        outcome = self._awaiting_postcheck.pop(position, None)
        if outcome is not None:
            if job.products and checked.results and checked.results[-1].name == PRODUCTS:
                made = checked.results.pop()
                passed, reason = checked.passed, self._reason(checked.results)
                if made.reason:
                    self._note("WARNING", position, "it succeeded, but its products are not there: %s" % made.reason)
            if passed and job.outputs:
                reason = self._take_outputs(checked.ticket, outcome)
                passed = not reason
            self._scheduler.checked(position, passed, reason, now, self._unit_random())
            self._attempt_ended(position, checked.ticket, outcome)
        elif self._scheduler.has_prechecks_to_make(position):
            first = checked.results[0] if checked.results else None
            if first is not None and first.name == CONDITION and not passed and first.is_known:
                self._scheduler.unneeded(position, self._masker.mask_text(first.reason))
            elif first is not None and first.name == UP_TO_DATE:
                if passed:
                    self._scheduler.unneeded(position, self._masker.mask_text(first.reason))
                else:
                    self._note("INFO", position, "it is not up to date: %s" % first.reason)
                    self._ask_next(position, now)
            elif not passed:
                self._scheduler.checked(position, False, reason, now, self._unit_random())
            else:
                self._ask_next(position, now)
        if self._scheduler.status[position] is not None:
            self._questions.pop(position, None)

    def _reason(self, results: Sequence[CheckResult]) -> str:
        """What failed and why. Checks look into files and programs of others, which may show a secret."""
        return self._masker.mask_text(failure_reason(results))

    def _absorb_holds(self, request: HoldRequest) -> None:
        # A hold of a job that another file of the application has is none of ours.
        named = self._scheduler.graph.named
        self._scheduler.hold({position: why for job_id, why in request.holds.items() for position in named(job_id)})

    def _absorb_stop(self, request: StopRequest) -> None:
        if self._stop_signal is None:
            self._stop_signal = request.signal_number
            self._scheduler.stop(StopReason.CANCEL, request.reason)
        else:
            for position in self._scheduler.in_flight():
                self._stop(position, StopReason.CANCEL, immediately=True)

    def _bar(self) -> None:
        """Take back what was handed over ahead once nothing new may start; stop what runs where the run is to stop."""
        stopping = bool(self._scheduler.stop_kind)
        if self._scheduler.starts_nothing and not self._barred or stopping and not self._stop_told:
            self._barred = True
            for position in self._pending_starts:
                self._take_back(position, attempt_token(self._run, position, self._scheduler.attempts[position] + 1))
            self._pending_starts = []
            self._executor.withdraw()
            self._halted = False
            self._unsaved.append(RunStopping(self._scheduler.stop_reason, self._clock.wall()))
            self._gather()
        if stopping and not self._stop_told:
            self._stop_told = True
            self._checks.hurry()
            for position in self._scheduler.in_flight():
                self._stop(position, self._scheduler.stop_kind)

    def _stop(self, position: int, reason: str, immediately: bool = False) -> None:
        if self._scheduler.is_running(position):
            token = attempt_token(self._run, position, self._scheduler.attempts[position])
            self._executor.stop(token, reason, immediately)

    def _choose(self, now: float) -> None:
        self._offer_pools()
        taken = self._scheduler.take_ready(self._ahead(), self._take_slots)
        while taken:
            while taken:
                position = taken.pop(0)
                if self._scheduler.has_prechecks_to_make(position):
                    self._ask(position, now)
                else:
                    self._begin(position, now)
                if not self._scheduler.is_in_flight(position):
                    break
            else:
                return
            # What ended without having begun has made room, or has barred the others.
            for position in taken:
                self._scheduler.withdrawn(position)
            self._gather()
            self._bar()
            self._offer_pools()
            taken = self._scheduler.take_ready(self._ahead(), self._take_slots)

    def _begin(self, position: int, now: float) -> None:
        """Have the attempt started after the commit of this turn; or ended, where it refers to what nobody told."""
        untold = self._attempts.untold(position)
        if untold is None:
            self._pending_starts.append(position)
            self._intend(position)
            return
        key, reference, teller = untold
        ended = self._scheduler.graph.position.get(teller)
        status = self._scheduler.status[ended] if ended is not None else None
        reason = "its %s refers to %s, which %s did not tell%s" % (
            key, reference, teller, ": it ended %s" % status if status is not None else "")
        attempt = self._scheduler.attempts[position] + 1
        self._intend(position)
        outcome = AttemptOutcome(JobStatus.ERROR, reason=reason, is_hopeless=True)
        self._scheduler.ended(position, outcome, now, self._unit_random())
        self._attempt_ended(position, self._attempts.token(position, attempt), outcome)

    def _take_slots(self, position: int) -> bool:
        """Take what the job needs of its pool; False where it is not free now."""
        job = self._pipeline.jobs[position]
        assert self._pools is not None
        slots = self._pools.take(job.pool, job.pool_slots)
        if slots is None:
            return False
        self._slots_taken[position] = slots
        return True

    def _offer_pools(self) -> None:
        """Give back what jobs that are over had of their pools, and let those that wait try again."""
        if self._pools is None:
            return
        for position in [one for one in self._slots_taken if not self._scheduler.is_in_flight(one)]:
            self._pools.give(self._pipeline.jobs[position].pool, self._slots_taken.pop(position))
        # Whether another run has given something back, the kernel does not tell: those in front ask.
        for pool in self._scheduler.waiting_pools():
            self._scheduler.offer_pool(pool, self._pipeline.pools[pool])

    def _ask(self, position: int, now: float) -> None:
        """Look at what must hold before the job's first attempt: its condition, its inputs, then its pre-checks."""
        job = self._pipeline.jobs[position]
        questions: List[Sequence[Check]] = []
        if job.condition is not None:
            questions.append((Check(CONDITION, {"condition": job.condition}),))
        if job.may_be_up_to_date and job.id in self._unsure:
            self._note("INFO", position, "it is not up to date: %s" % self._unsure[job.id])
        elif job.may_be_up_to_date:
            questions.append((Check(UP_TO_DATE, {"inputs": list(job.inputs), "products": list(job.products)}),))
        if job.pre_checks:
            questions.append(job.pre_checks)
        self._questions[position] = questions
        self._ask_next(position, now)

    def _ask_next(self, position: int, now: float) -> None:
        """Ask what comes next; where nothing is left to be asked, or can be, the job may begin (or end at once)."""
        left = self._questions[position]
        if left and (left[0][0].name == CONDITION or self._attempts.untold(position) is None):
            self._check(self._attempts.token(position, 1), left.pop(0))
        else:
            self._scheduler.checked(position, True, "", now, self._unit_random())
            if self._scheduler.is_dispatched(position):
                self._begin(position, now)

    def _act(self, now: float) -> None:
        if self._pending_starts:
            starts = [self._attempts.start(position, self._scheduler.attempts[position] + 1,
                                           *self._scheduler.attempt_limit(position, now))
                      for position in self._pending_starts]
            self._pending_starts = []
            self._executor.start(starts)
        if self._halted:
            self._halted = False
            self._executor.proceed()

    def _close(self) -> RunOutcome:
        status, reason = self._scheduler.verdict()
        if status == RunStatus.CANCELLED:
            exit_code = EXIT_SIGNAL + (self._stop_signal or 15)
        else:
            exit_code = EXIT_OK if status == RunStatus.SUCCESS else EXIT_FAILED
        for survivor in self._executor.close():
            self._unsaved.append(Notice("WARNING", "a process outlived the run: " + survivor, self._clock.wall(),
                                        error_code="E200"))
        self._unsaved.append(RunEnded(self._run.run_id, status, exit_code, reason, self._clock.wall()))
        while not self._save(self._clock.monotonic()):
            self._executor.wait(self._patience_s())
        return RunOutcome(status, exit_code, reason)

    # ---- events out ----------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        for retry in self._scheduler.take_retries():
            self._unsaved.append(RetryScheduled(retry.position, self._id(retry.position), retry.attempt, retry.delay_s,
                                                retry.reason, self._clock.wall()))
        for finished in self._scheduler.take_finished():
            token = self._withdrawn.pop(finished.position, None)
            if token is not None:
                # It was intended, taken back, and will not be handed over any more.
                self._attempt_ended(finished.position, token, _never_began())
            self._unsaved.append(self._job_ended(finished))

    def _keep_unless_given(self, finished: Finished) -> bool:
        given = self._scheduler.is_given(finished.position)
        if not given:
            self._unsaved.append(self._job_ended(finished))
        return given

    def _job_ended(self, finished: Finished) -> JobEnded:
        position, outcome = finished.position, finished.outcome
        ended = JobEnded(position, self._id(position), finished.status, finished.reason, finished.attempts,
                         self._clock.wall())
        first_started_at = self._first_started_at.pop(position, None)
        if outcome is not None:
            ended.exit_code, ended.signal = outcome.exit_code, outcome.signal
            ended.cpu_s, ended.max_rss_bytes = outcome.cpu_s, outcome.max_rss_bytes
            ended.started_at, ended.duration_s = outcome.started_at, outcome.duration_s
            if outcome.ended_at is not None:
                ended.at = outcome.ended_at
            if finished.attempts > 1 and finished.first_start is not None:
                ended.started_at = first_started_at
                ended.duration_s = max(0.0, self._clock.monotonic() - finished.first_start)
        return ended

    def _attempt_ended(self, position: int, token: str, outcome: AttemptOutcome) -> None:
        _, attempt = position_and_attempt(token)
        if outcome.started_at is not None:
            self._first_started_at.setdefault(position, outcome.started_at)
        at = outcome.ended_at if outcome.ended_at is not None else self._clock.wall()
        self._unsaved.append(AttemptEnded(position, self._id(position), attempt, token, outcome, at))
        self._gather()

    def _intend(self, position: int) -> None:
        if self._withdrawn.pop(position, None) is not None:
            return
        attempt = self._scheduler.attempts[position] + 1
        at = self._clock.wall()
        waited_s = max(0.0, self._clock.monotonic() - self._scheduler.ready_since[position])
        self._unsaved.append(self._attempts.intent(position, attempt, at, at - waited_s))

    def _note(self, level: str, position: int, message: str) -> None:
        job_id = self._id(position)
        self._unsaved.append(Notice(level, "%s: %s" % (job_id, self._masker.mask_text(message)), self._clock.wall(),
                                    job_id))

    def _id(self, position: int) -> str:
        return self._pipeline.jobs[position].id

    # ---- pace ----------------------------------------------------------------------------------------------------

    def _learn_duration(self, outcome: AttemptOutcome) -> None:
        if outcome.duration_s is not None:
            known = self._recent_duration_s
            self._recent_duration_s = outcome.duration_s if known is None else 0.8 * known + 0.2 * outcome.duration_s

    def _ahead(self) -> int:
        """How many jobs to hand over ahead: what ends within ``AHEAD_S`` by the last jobs' durations."""
        if self._recent_duration_s is None:
            return 1
        return max(1, min(AHEAD_MOST, math.ceil(self._scheduler.slots * AHEAD_S / max(self._recent_duration_s, 1e-4))))

    def _patience_s(self) -> Optional[float]:
        """Seconds that the loop may wait."""
        now = self._clock.monotonic()
        times: List[float] = []
        timer = self._scheduler.next_timer()
        if timer is not None:
            times.append(timer)
        if self._pools is not None and self._pools.are_shared and self._scheduler.waiting_pools():
            times.append(now + POOL_POLL_S)
        if self._trouble is not None or self._short is not None:
            times.append(self._storage_retry_at)
        elif self._unsaved_since is not None:
            times.append(self._unsaved_since + START_SHOWN_WITHIN_S)
        return max(0.0, min(times) - now) if times else None

    # ---- durability ----------------------------------------------------------------------------------------------

    def _save(self, now: float) -> bool:
        """Commit what is unsaved, act on it, tell the observers. Whether all is saved, or may wait."""
        if self._trouble is not None and now < self._storage_retry_at and not self._must_decide():
            return False
        if not self._unsaved or self._is_only_news(now):
            self._act(now)
            return True
        try:
            self._journal.commit(self._unsaved)
        except StorageError as error:
            self._storage_failed(error, now)
            return False
        events, self._unsaved, self._unsaved_since = self._unsaved, [], None
        self._trouble = None
        if self._short is None:
            self._storage_delay_s = STORAGE_RETRY_S
        self._act(now)
        self._tell(events)
        return True

    def _is_only_news(self, now: float) -> bool:
        """Starts alone may wait a moment for company: they are shown to people, and nothing rests on them."""
        if self._scheduler.is_over or not all(type(event) is AttemptStarted for event in self._unsaved):
            return False
        if self._unsaved_since is None:
            self._unsaved_since = now
        return now < self._unsaved_since + START_SHOWN_WITHIN_S

    def _storage_failed(self, error: StorageError, now: float) -> None:
        if self._trouble is None and self._short is None:
            self._trouble_since = now
            self._tell([Notice("ERROR", "results cannot be kept, nothing new starts: " + error.message,
                               self._clock.wall(), error_code=error.error_code)])
        known = self._short or self._trouble
        if known is not None and _cause(known) == "disk_full" and _cause(error) == "io_error":
            error = known  # a disk that is filled again and again refuses in other words too
        self._trouble = error
        self._hold_back()
        if self._scheduler.in_flight():
            self._executor.withdraw()
            self._halted = False
        if _cause(error) == "disk_full" and self._reserve is not None and self._reserve.give_up():
            self._short = error
            self._storage_retry_at = now  # there is room now, for results
            self._save(now)
            return
        self._try_again_later(error, now)

    def _try_again_later(self, error: StorageError, now: float) -> None:
        self._storage_retry_at = now + self._storage_delay_s
        self._storage_delay_s = min(self._storage_delay_s * 1.5, STORAGE_RETRY_MOST_S)
        if self._must_decide():
            patience_s = STORAGE_PATIENCE_S if not self._scheduler.stop_kind else STORAGE_PATIENCE_STOPPED_S
            if _cause(error) not in WAITED_FOR_CAUSES or now - self._trouble_since >= patience_s:
                raise error

    def _has_room(self, now: float) -> bool:
        """Whether new jobs may start: not before the reserve, given up for results, could be taken again.

        :raises StorageError: where nothing runs any more and that was waited for long enough
        """
        if self._short is None:
            return True
        if now < self._storage_retry_at or self._scheduler.is_over:
            return False
        if self._reserve is None or self._reserve.refill():
            self._short = None
            self._storage_delay_s = STORAGE_RETRY_S
            self._unsaved.append(Notice("INFO", "there is room on the disk again: jobs start", self._clock.wall()))
            return True
        self._try_again_later(self._short, now)
        return False

    def _hold_back(self) -> None:
        """What was chosen or let through by its checks in this turn is not started after all."""
        intended = {event.token for event in self._unsaved if type(event) is AttemptIntended}
        starts, self._pending_starts = self._pending_starts, []
        for position in starts:
            token = self._attempts.token(position, self._scheduler.attempts[position] + 1)
            if token in intended:
                self._unsaved = [event for event in self._unsaved
                                 if type(event) is not AttemptIntended or event.token != token]
                self._scheduler.withdrawn(position)
            else:
                self._take_back(position, token)
        self._gather()

    def _must_decide(self) -> bool:
        """Whether nothing runs any more, so that waiting for the storage is all that is left to do."""
        return not any(self._scheduler.is_running(position) or self._scheduler.in_postcheck(position)
                       for position in self._scheduler.in_flight())

    def _tell(self, events: Sequence[Event]) -> None:
        for observer in list(self._observers):
            try:
                observer.tell(events)
            except Exception as error:  # noqa: BLE001 - whatever it is, an observer must not fail a job
                self._observers.remove(observer)
                self._unsaved.append(Notice("ERROR", "%s failed and is not told any more: %s" % (
                    type(observer).__name__, error), self._clock.wall(), error_code="E900"))


def _cause(error: StorageError) -> object:
    return error.context.get("cause")


def _never_began() -> AttemptOutcome:
    return AttemptOutcome(JobStatus.CANCELLED, reason="never began")

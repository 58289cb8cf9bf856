"""Random runs through the real scheduler and engine in simulated time, and the rules that each of them must keep.

``python3 tests/simulation/simulate.py SEED [COUNT]`` replays one seed (or COUNT from it on) and says what is wrong.
"""
import os
import random
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from jobs.checks.result import CheckResult
from jobs.checks.runner import Checked
from jobs.engine import Engine
from jobs.events import AttemptEnded, AttemptIntended, AttemptStarted, JobEnded, RunEnded, RunStopping
from jobs.exceptions import StorageError
from jobs.executors.simulated import Behaviour, SimulatedClock, SimulatedExecutor
from jobs.graph import Graph
from jobs.models import (FAILS_RUN, FAILURE_STATUSES, Check, Dependency, Job, JobStatus, Pipeline, RetryPolicy,
                         RunStatus, StopReason)
from jobs.ports import AttemptStart, StopRequest
from jobs.run_context import RunContext, position_and_attempt
from jobs.scheduler import Given, Scheduler


class Violation(AssertionError):
    """A rule was broken; says which, and the seed to replay it."""


#: A command that refers to what nobody tells.
UNTOLD = "echo ${jobs.j0.outputs.n}"


def random_pipeline(rnd, untold=0.0):
    count = rnd.randrange(1, 40)
    jobs = []
    for position in range(count):
        dependencies = []
        if position:
            for other in rnd.sample(range(position), min(position, rnd.choice((0, 0, 1, 1, 2, 3, 5)))):
                when = rnd.choice(("success",) * 6 + ("failure", "done", "skipped"))
                dependencies.append(Dependency("j%d" % other, when))
        join = rnd.randrange(1, len(dependencies) + 1) if dependencies and rnd.random() < 0.25 else None
        retry = RetryPolicy(max_retries=rnd.choice((0, 0, 0, 1, 3)), delays_s=rnd.choice(((1.0,), (0.0,), (5.0, 1.0))),
                            jitter=rnd.choice((0.0, 0.1, 1.0)), max_retry_time_s=rnd.choice((0.0, 4.0, 1800.0)),
                            on_exit_codes=frozenset(rnd.choice(((1,), (), (1, 2)))),
                            on_status=frozenset(rnd.choice((("ERROR", "FAILED", "TIMEOUT"), ("TIMEOUT",), ()))))
        jobs.append(Job(
            id="j%d" % position, command=UNTOLD if rnd.random() < untold else "true", dependencies=tuple(dependencies), join=join,
            timeout_s=rnd.choice((2.0, 10.0, 100.0)), total_timeout_s=rnd.choice((None, None, None, 6.0)),
            stop_grace_s=rnd.choice((0.0, 1.0)), retry=retry, allow_failure=rnd.random() < 0.15,
            priority=rnd.choice((0, 0, 0, 1, 5, -3)),
            success_exit_codes=frozenset(rnd.choice(((0,), (0,), (0, 2)))),
            skip_exit_codes=frozenset((2,)) if rnd.random() < 0.2 else frozenset(),
            condition={"env": "X"} if rnd.random() < 0.1 else None,
            inputs=("in",) if rnd.random() < 0.15 else (), products=("out",) if rnd.random() < 0.3 else (),
            pre_checks=(Check("pre"),) if rnd.random() < 0.1 else (),
            post_checks=(Check("post"),) if rnd.random() < 0.1 else ()))
    return Pipeline(application="sim", jobs=jobs, parallel=True, max_workers=rnd.choice((1, 1, 2, 3, 8)),
                    continue_on_error=rnd.random() < 0.5,
                    run_timeout_s=rnd.choice((None, None, None, None, 20.0)))


#: Exit codes that the jobs of a run end with.
WAYS_TO_END = ((0,), (0, 0, 0, 1), (0, 1, 2, 126))


def random_behaviour(rnd, clock, codes):
    """How attempts go; the wall clock is set by somebody now and then."""
    def behave(start):
        code = rnd.choice(codes)
        status = JobStatus.SUCCESS if code in start.job.success_exit_codes else JobStatus.FAILED
        if code == 126:
            status = JobStatus.ERROR
        if rnd.random() < 0.1:
            clock.jump(rnd.choice((-86400.0, 3600.0, -1.0)))
        return Behaviour(rnd.choice((0.0, 0.01, 1.0, 3.0, 30.0)), status, code, rnd.choice((0.0, 0.5, 99.0)))

    return behave


def stop_requests(clock, times):
    """What asks for a stop when its time has come, and the times that were heard."""
    delivered = []

    def requests():
        due = [time for time in times if time <= clock.monotonic() and time not in delivered]
        delivered.extend(due)
        return [StopRequest(15, "the run was stopped by SIGTERM")] * len(due)

    return requests, delivered


def start_of(jobs, position):
    """The first attempt of a job, as the engine would hand it over."""
    job = jobs[position]
    return AttemptStart("u.%d.1" % position, job, 1, {}, "o", "e", job.timeout_s, StopReason.TIMEOUT)


class Ledger:
    """What really happened, by the executor's own account; never asks the scheduler."""

    def __init__(self):
        self.started = {}
        self.ended = {}
        self.running = set()
        self.most = 0
        self.durable = set()


class RecordingExecutor(SimulatedExecutor):
    def __init__(self, slots, clock, behave, ledger, interruptions, checks, reserve):
        super().__init__(slots, clock, behave, interruptions)
        self.ledger = ledger
        self.reserve = reserve
        self.checks = checks

    def start(self, starts):
        for start in starts:
            if start.token not in self.ledger.durable:
                raise Violation("%s was handed over before its intent was durable" % start.token)
            if not self.reserve.is_there:
                raise Violation("%s was handed over while there was room for results only" % start.token)
        super().start(starts)

    def wait(self, timeout_s):
        # An answered check wakes the loop through a pipe; here it lets no time pass.
        events = super().wait(0.0 if self.checks.verdicts else timeout_s)
        for event in events:
            token = getattr(event, "token", None)
            kind = type(event).__name__
            if kind == "Started":
                if token in self.ledger.started:
                    raise Violation("%s was started twice" % token)
                self.ledger.started[token] = self._clock.monotonic()
                self.ledger.running.add(token)
                self.ledger.most = max(self.ledger.most, len(self.ledger.running))
            elif kind == "Ended":
                self.ledger.ended[token] = event.outcome.status
                self.ledger.running.discard(token)
        return events


class SimulatedReserve:
    """Room on the disk; whether it can be had again is a matter of luck."""

    def __init__(self, rnd, exists):
        self.rnd = rnd
        self.exists = exists
        self.is_there = True

    def give_up(self):
        had, self.is_there = self.is_there, not self.exists
        return self.exists and had

    def refill(self):
        self.is_there = self.is_there or self.rnd.random() < 0.5
        return self.is_there


class SimulatedJournal:
    """Keeps what is committed, checks each event against the rules, and can be out of order for a while."""

    def __init__(self, pipeline, ledger, rnd, fails, given):
        self.pipeline = pipeline
        self.ledger = ledger
        self.rnd = rnd
        self.fails = fails
        self.is_full = False
        # What was decided beforehand stands in the history before the run begins.
        self.final = {position: decided.status for position, decided in given.items()}
        self.intended = set()
        self.attempt_status = {}
        self.barred = False
        self.events = []
        self.run_ended = None
        self.stopping = False

    def flushed(self):
        return True

    def commit(self, events):
        if self.rnd.random() < self.fails:
            # Once it is full, and filled again and again, it refuses in other words too.
            cause = self.rnd.choice(("disk_full", "io_error")) if self.is_full else "disk_full"
            self.is_full = True
            raise StorageError("no space (simulated)", context={"cause": cause})
        self.is_full = False
        for event in events:
            self._keep(event)
            self.events.append(event)
        self.ledger.durable.update(e.token for e in events if isinstance(e, AttemptIntended))

    def _keep(self, event):
        if self.run_ended:
            raise Violation("an event after the run's end: %r" % (event,))
        if isinstance(event, AttemptIntended):
            if event.token in self.intended:
                raise Violation("%s was intended twice" % event.token)
            if event.position in self.final:
                raise Violation("%s was intended after its job was final" % event.token)
            self.intended.add(event.token)
            self._check_allowed(event)
            self._check_dependencies(event.position, event.attempt)
        elif isinstance(event, AttemptStarted):
            self._check_allowed(event)
            if event.token not in self.intended:
                raise Violation("%s started without an intent" % event.token)
        elif isinstance(event, AttemptEnded):
            if event.token in self.attempt_status:
                raise Violation("%s ended twice" % event.token)
            self.attempt_status[event.token] = event.outcome.status
        elif isinstance(event, JobEnded):
            if event.position in self.final:
                raise Violation("job %d became final twice" % event.position)
            self.final[event.position] = event.status
            job = self.pipeline.jobs[event.position]
            if event.status in FAILURE_STATUSES and not job.allow_failure and not self.pipeline.continue_on_error:
                self.barred = True
            if not event.reason and event.status != JobStatus.SUCCESS:
                raise Violation("job %d ended %s without a reason" % (event.position, event.status))
        elif isinstance(event, RunStopping):
            self.stopping = True
        elif isinstance(event, RunEnded):
            self.run_ended = event

    def _check_allowed(self, event):
        if self.barred and event.attempt == 1 and not self.pipeline.jobs[event.position].is_cleanup:
            raise Violation("%s: a new job after the first failure" % event.token)

    def _check_dependencies(self, position, attempt):
        job = self.pipeline.jobs[position]
        met = sum(1 for d in job.dependencies if self._is_met(d))
        if met < (job.join or len(job.dependencies)):
            raise Violation("%s was to start with %d of its dependencies met" % (job.id, met))

    def _is_met(self, dependency):
        position = int(dependency.job[1:])
        return position in self.final and is_met(dependency.when, self.final[position],
                                                 self.pipeline.jobs[position].allow_failure)


def is_met(when, status, forgiven):
    """The rules of a dependency, written down once more and independently of the scheduler."""
    if when == "done":
        return True
    if when == "failure":
        return status in ("FAILED", "TIMEOUT", "ERROR", "LOST")
    if when == "skipped":
        return status == "SKIPPED"
    return status in ("SUCCESS", "SKIPPED") or (forgiven and status in ("FAILED", "TIMEOUT", "ERROR", "LOST"))


class SimulatedChecks:
    def __init__(self, decide):
        self.decide = decide
        self.verdicts = []

    def submit(self, ticket, checks, context):
        passed = self.decide()
        self.verdicts.append(Checked(ticket, [CheckResult(checks[0].name, passed, "as decided")]))

    def hurry(self):
        pass

    def take(self):
        verdicts, self.verdicts = self.verdicts, []
        return verdicts


def run_seed(seed):
    """One random run; returns facts for statistics.

    :raises Violation: where a rule was broken
    """
    rnd = random.Random(seed)
    pipeline = random_pipeline(rnd, 0.05)
    graph = Graph(pipeline.jobs)
    clock = SimulatedClock()
    ledger = Ledger()
    behave = random_behaviour(random.Random(seed + 1), clock, rnd.choice(WAYS_TO_END))
    signal_times = sorted(clock.monotonic() + rnd.uniform(0, 60) for _ in range(rnd.choice((0, 0, 0, 1, 2))))
    requests, delivered = stop_requests(clock, signal_times)

    given = {}
    if rnd.random() < 0.2:
        for position in rnd.sample(range(len(pipeline.jobs)), len(pipeline.jobs) // 4):
            given[position] = rnd.choice((Given(JobStatus.SKIPPED, "not selected", True),
                                          Given(JobStatus.SKIPPED, "skipped by --skip"),
                                          Given(JobStatus.SUCCESS, "kept from run 1")))
    scheduler = Scheduler(pipeline.jobs, graph, pipeline.max_workers, pipeline.continue_on_error, given,
                          pipeline.run_timeout_s)
    check_rnd = random.Random(seed + 3)
    checks = SimulatedChecks(lambda: check_rnd.random() < 0.7)
    reserve = SimulatedReserve(random.Random(seed + 5), seed % 2 == 0)
    executor = RecordingExecutor(pipeline.max_workers, clock, behave, ledger, signal_times, checks, reserve)
    journal = SimulatedJournal(pipeline, ledger, random.Random(seed + 2), rnd.choice((0.0, 0.0, 0.0, 0.2)),
                               given)
    if any(g.counts_as_met for g in given.values()):
        journal._check_dependencies = lambda position, attempt: None
    engine = Engine(pipeline, RunContext(1, "u%d" % seed, clock.wall(), "/nowhere"), scheduler, executor, journal, [],
                    clock, checks, requests, random.Random(seed + 4).random, reserve=reserve)
    try:
        outcome = engine.run()
    except StorageError:
        # It gave up on the storage: allowed only when nothing runs any more and somebody wanted the run to stop.
        if ledger.running or not (delivered or pipeline.run_timeout_s):
            raise
        return {"attempts": len(ledger.started), "status": "STORAGE", "jobs": len(pipeline.jobs)}
    verify(pipeline, journal, ledger, outcome, given, bool(delivered), clock)
    return {"attempts": len(ledger.started), "status": outcome.status, "jobs": len(pipeline.jobs)}


def verify(pipeline, journal, ledger, outcome, given, signalled, clock):
    final = journal.final
    if len(final) != len(pipeline.jobs):
        raise Violation("%d of %d jobs are final" % (len(final), len(pipeline.jobs)))
    if ledger.running:
        raise Violation("still running at the end: %s" % ledger.running)
    if ledger.most > pipeline.max_workers:
        raise Violation("%d jobs ran at once, %d are allowed" % (ledger.most, pipeline.max_workers))
    if set(ledger.ended) != set(ledger.started):
        raise Violation("started and ended differ")
    for token in ledger.started:
        if token not in journal.attempt_status:
            raise Violation("the result of %s was never committed" % token)
    for token in journal.intended:
        if token not in journal.attempt_status:
            raise Violation("what became of %s, which was intended, was never committed" % token)
    attempts = {}
    for token in ledger.started:
        position, number = position_and_attempt(token)
        attempts.setdefault(position, []).append(number)
        if position in given:
            raise Violation("a job that was decided beforehand was started")
    for position, numbers in attempts.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            raise Violation("attempts of job %d are numbered %s" % (position, sorted(numbers)))
        if len(numbers) > pipeline.jobs[position].retry.max_retries + 1:
            raise Violation("job %d had %d attempts" % (position, len(numbers)))
        last = journal.attempt_status["%s.%d.%d" % (token.split(".")[0], position, len(numbers))]
        if final[position] != last and (final[position], last) not in (
                ("TIMEOUT", "FAILED"), ("TIMEOUT", "ERROR"), ("CANCELLED", "FAILED"), ("CANCELLED", "ERROR"),
                ("CANCELLED", "TIMEOUT")):
            raise Violation("job %d is %s, its last attempt %s" % (position, final[position], last))
    for position, status in final.items():
        if pipeline.jobs[position].command == UNTOLD and (position in attempts or status == "SUCCESS") and (
                position not in given):
            raise Violation("job %d ran without what it refers to" % position)
        if pipeline.jobs[position].command == UNTOLD and status == "ERROR":
            continue
        if position not in given and position not in attempts and status in ("SUCCESS", "TIMEOUT", "ERROR", "LOST"):
            raise Violation("job %d is %s and never ran" % (position, status))
    verify_verdicts(pipeline, journal, given, signalled, attempts)
    verify_status(pipeline, final, outcome, signalled)
    if journal.run_ended is None or journal.run_ended.status != outcome.status:
        raise Violation("the end of the run was not committed as it was returned")


def verify_verdicts(pipeline, journal, given, signalled, attempts):
    """Each job that did not run has the status that follows from its dependencies; each that could have run did."""
    final = journal.final
    required_failed = any(final[p] in FAILURE_STATUSES and not job.allow_failure for p, job in enumerate(pipeline.jobs))
    stopped = signalled or pipeline.run_timeout_s is not None
    for position, job in enumerate(pipeline.jobs):
        if position in given:
            if final[position] != given[position].status:
                raise Violation("a given job changed its status")
            continue
        states = []
        for d in job.dependencies:
            other = int(d.job[1:])
            as_met = other in given and given[other].counts_as_met
            met = as_met or is_met(d.when, final[other], pipeline.jobs[other].allow_failure)
            states.append((d.when, final[other], met))
        met = sum(1 for _, _, ok in states if ok)
        runnable = met >= (job.join or len(states))
        ran = position in attempts or final[position] == "FAILED" or job.command == UNTOLD and final[position] == "ERROR"
        if ran and not runnable:
            raise Violation("job %d ran although its dependencies were not met" % position)
        if runnable and not ran and final[position] == "SKIPPED" and (job.condition is not None
                                                                           or job.may_be_up_to_date):
            continue
        if runnable and not ran and final[position] != "CANCELLED":
            raise Violation("job %d could run and ended %s" % (position, final[position]))
        if runnable and not ran and not stopped:
            if pipeline.continue_on_error or not required_failed:
                raise Violation("job %d was cancelled for no reason" % position)
            if job.is_cleanup:
                raise Violation("clean-up job %d did not run" % position)
        if not runnable and not stopped:
            bad = [s for when, s, ok in states if not ok]
            wishes = [(when, s) for when, s, ok in states if not ok]
            hurt = any(when != "failure" and s in FAILS_RUN and not (when == "skipped" and s != "BLOCKED"
                       and pipeline.jobs[int(job.dependencies[i].job[1:])].allow_failure)
                       for i, (when, s, ok) in enumerate(states) if not ok)
            expected = "BLOCKED" if hurt else "CANCELLED" if "CANCELLED" in bad else "SKIPPED"
            if final[position] != expected:
                raise Violation("job %d is %s, expected %s from %s" % (position, final[position], expected, wishes))


def verify_status(pipeline, final, outcome, signalled):
    failed = any(status in ("FAILED", "TIMEOUT", "ERROR", "LOST", "BLOCKED") and not pipeline.jobs[p].allow_failure
                 for p, status in final.items())
    if outcome.status == RunStatus.SUCCESS and failed:
        raise Violation("SUCCESS with a failed job")
    if outcome.status == RunStatus.FAILED and not failed and pipeline.run_timeout_s is None:
        raise Violation("FAILED without a failed job")
    if outcome.status == RunStatus.CANCELLED and not signalled:
        raise Violation("CANCELLED and nobody asked")
    if outcome.status == RunStatus.CANCELLED and outcome.exit_code != 143:
        raise Violation("a cancelled run ends with %d" % outcome.exit_code)
    if (outcome.exit_code == 0) != (outcome.status == RunStatus.SUCCESS):
        raise Violation("%s and exit code %d" % (outcome.status, outcome.exit_code))


def run_many(first_seed, count):
    """Runs that many seeds; returns sums. The failing seed is named in the error."""
    attempts = jobs = 0
    statuses = {}
    for seed in range(first_seed, first_seed + count):
        try:
            facts = run_seed(seed)
        except Exception as error:
            raise Violation("seed %d: %s: %s  (python3 tests/simulation/simulate.py %d)" % (
                seed, type(error).__name__, error, seed)) from error
        attempts += facts["attempts"]
        jobs += facts["jobs"]
        statuses[facts["status"]] = statuses.get(facts["status"], 0) + 1
    return {"runs": count, "jobs": jobs, "attempts": attempts, "statuses": statuses}


if __name__ == "__main__":
    print(run_many(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))

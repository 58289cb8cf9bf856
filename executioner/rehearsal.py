"""A run without processes: the real engine and scheduler on an executor that only pretends, in simulated time.

Behind ``run --dry-run`` and ``plan``: what they say is decided by the very code that would run it. Nothing is written.
"""
import time
from dataclasses import replace
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from jobs.checks.result import UP_TO_DATE, CheckContext, CheckResult
from jobs.checks.runner import Checked, run_check
from jobs.engine import Engine
from jobs.events import AttemptStarted, Event, JobEnded
from jobs.executors.simulated import Behaviour, SimulatedClock, SimulatedExecutor, SimulatedPools
from jobs.graph import Graph
from jobs.models import Check, JobStatus, Pipeline
from jobs.ports import AttemptStart, ExecutorEvent
from jobs.run_context import RunContext, position_and_attempt
from jobs.scheduler import Given, Scheduler

__all__ = ["Rehearsal", "Step", "rehearse"]


class Step:
    """A job that would run."""

    __slots__ = ("position", "starts_s", "duration_s")

    def __init__(self, position: int, starts_s: float, duration_s: Optional[float]) -> None:
        self.position = position
        #: Seconds after the start of the run, by usual durations; those of jobs without any count as nothing.
        self.starts_s = starts_s
        #: Seconds that it usually takes; None where nobody knows.
        self.duration_s = duration_s


class Rehearsal:
    """What would happen, if every job succeeded."""

    __slots__ = ("steps", "left_out", "duration_s")

    def __init__(self) -> None:
        #: In the order of their starts.
        self.steps: List[Step] = []
        #: Jobs that would not run, by position: why.
        self.left_out: Dict[int, str] = {}
        #: Seconds that all would take, by usual durations.
        self.duration_s = 0.0


class _NoJournal:
    def commit(self, events: Sequence[Event]) -> None:
        """Keep nothing."""

    def flushed(self) -> bool:
        """Nothing is ever open."""
        return True


class _PassingChecks:
    """Checks that are not made: a rehearsal takes them as passed. What is up to date is looked at where that is known.

    :param is_settled: whether nothing will have run before a job, by position, that could change its inputs
    """

    def __init__(self, is_settled: Callable[[int], bool]) -> None:
        self._asked: List[Tuple[str, Sequence[Check], CheckContext]] = []
        self._is_settled = is_settled

    def submit(self, ticket: str, checks: Sequence[Check], context: CheckContext) -> None:
        """Note what is asked; the answer waits until what came before it is known."""
        self._asked.append((ticket, checks, context))

    def take(self) -> List[Checked]:
        """Every ticket since the last call."""
        asked, self._asked = self._asked, []
        return [Checked(ticket, [self._answer(ticket, check, context) for check in checks])
                for ticket, checks, context in asked]

    def _answer(self, ticket: str, check: Check, context: CheckContext) -> CheckResult:
        if check.name != UP_TO_DATE:
            return CheckResult(check.name, True)
        if self._is_settled(position_and_attempt(ticket)[0]):
            return run_check(check, context)
        return CheckResult(check.name, False, "nobody knows yet")

    def pending(self) -> int:
        """How many tickets were not taken yet."""
        return len(self._asked)

    def hurry(self) -> None:
        """They take no time."""

    def close(self) -> None:
        """Nothing is left."""
        self._asked = []


class _Executor(SimulatedExecutor):
    """Wakes for the answers of checks as the real one does."""

    def __init__(self, slots: int, clock: SimulatedClock, behave: Callable[[AttemptStart], Behaviour],
                 checks: _PassingChecks) -> None:
        super().__init__(slots, clock, behave)
        self._checks = checks

    def wait(self, timeout_s: Optional[float]) -> List[ExecutorEvent]:
        """As ever, but at once where a check has its answer."""
        return super().wait(0.0 if self._checks.pending() else timeout_s)


class _Listener:
    def __init__(self, rehearsal: Rehearsal, usual_s: Mapping[str, float], began_at: float) -> None:
        self._rehearsal = rehearsal
        self._usual_s = usual_s
        self._began_at = began_at

    def tell(self, events: Sequence[Event]) -> None:
        """Note starts, and what was not to run."""
        for event in events:
            if isinstance(event, AttemptStarted):
                self._rehearsal.steps.append(Step(event.position, max(0.0, event.at - self._began_at),
                                                  self._usual_s.get(event.job_id)))
            elif isinstance(event, JobEnded) and event.status != JobStatus.SUCCESS:
                self._rehearsal.left_out[event.position] = event.reason


def rehearse(pipeline: Pipeline, graph: Graph, given: Dict[int, Given], usual_s: Mapping[str, float],
             unsure: Optional[Mapping[str, str]] = None) -> Rehearsal:
    """Go through a whole run in no time.

    A job with inputs and products is left out where it is up to date now, and nothing that runs before it could change
    that. Of the others nobody knows; they are taken as run.

    :param given: jobs that are decided beforehand
    :param usual_s: seconds that jobs usually take, by id
    :param unsure: jobs whose products are not to be trusted, by id
    """
    rehearsal = Rehearsal()
    clock = SimulatedClock(wall=time.time())
    began_at, began = clock.wall(), clock.monotonic()

    def behave(start: AttemptStart) -> Behaviour:
        return Behaviour(min(usual_s.get(start.job.id, 0.0), start.timeout_s), JobStatus.SUCCESS, 0)

    told: Dict[str, Dict[str, str]] = {}
    if any(job.outputs for job in pipeline.jobs):  # nobody writes them here: each stands for itself
        told = {job.id: {name: "${jobs.%s.outputs.%s}" % (job.id, name) for name in job.outputs}
                for job in pipeline.jobs}
        pipeline = replace(pipeline, jobs=[replace(job, outputs=()) if job.outputs else job for job in pipeline.jobs])
    slots = pipeline.max_workers if pipeline.parallel else 1

    def is_settled(position: int) -> bool:
        seen, todo = {position}, [position]
        while todo:
            for other, _ in graph.dependencies[todo.pop()]:
                if other < len(graph.ids) and other not in given and other not in rehearsal.left_out:
                    return False
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return True

    checks = _PassingChecks(is_settled)
    Engine(pipeline, RunContext(0, "rehearsal", began_at, "/"),
           Scheduler(pipeline.jobs, graph, slots, pipeline.continue_on_error, given),
           _Executor(slots, clock, behave, checks), _NoJournal(), [_Listener(rehearsal, usual_s, began_at)], clock,
           checks, list, lambda: 0.5, told, SimulatedPools(pipeline.pools), unsure=unsure).run()
    rehearsal.duration_s = clock.monotonic() - began
    return rehearsal

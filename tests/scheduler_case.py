"""The real scheduler with names instead of positions, for histories of events."""
from jobs.graph import Graph
from jobs.models import AttemptOutcome, Dependency, Job, JobStatus, StopReason
from jobs.scheduler import Scheduler

__all__ = ["OUTCOMES", "Play", "job"]

OUTCOMES = {"ok": (JobStatus.SUCCESS, 0), "fail": (JobStatus.FAILED, 1), "timeout": (JobStatus.TIMEOUT, None),
            "error": (JobStatus.ERROR, 127), "cancelled": (JobStatus.CANCELLED, None), "lost": (JobStatus.LOST, None)}


def job(name, *needs, **options):
    dependencies = tuple(Dependency(*need.split(":")) for need in needs)
    return Job(id=name, command="true", dependencies=dependencies, **options)


class Play:
    """A scheduler with names instead of positions, and a clock that the test moves."""

    def __init__(self, *jobs, slots=8, **options):
        self.now = 100.0
        self.jobs = jobs
        self.graph = Graph(jobs)
        self.scheduler = Scheduler(jobs, self.graph, slots, **options)
        self.scheduler.begin(self.now)

    def position(self, name):
        return self.graph.position[name]

    def ready(self, ahead=0):
        return [self.jobs[position].id for position in self.scheduler.take_ready(ahead)]

    def end(self, name, how):
        status, code = OUTCOMES[how]
        position = self.position(name)
        if self.scheduler.is_dispatched(position):
            self.scheduler.started(position, self.now)
        stop_reason = StopReason.TIMEOUT if how == "timeout" else ""
        self.scheduler.at(self.now)
        self.scheduler.ended(position, AttemptOutcome(status, code, reason=how, stop_reason=stop_reason), self.now, 0.5)

    def tick(self, seconds):
        self.now += seconds
        self.scheduler.expire(self.now)

    @property
    def finals(self):
        return {one.id: self.scheduler.status[p] for p, one in enumerate(self.jobs) if self.scheduler.status[p]}

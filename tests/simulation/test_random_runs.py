"""INVARIANT: whatever graph, outcomes, stops and storage do, each job ends exactly once and as the rules say.

Each seed is one random run through the real scheduler and engine. A failure names the seed that replays it.
"""
import os
import random
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import simulate  # noqa: E402

from jobs import scheduler as scheduler_module  # noqa: E402
from jobs.executors.simulated import SimulatedClock, SimulatedExecutor, succeed_at_once  # noqa: E402
from jobs.graph import Graph  # noqa: E402
from jobs.models import Dependency, Job  # noqa: E402
from jobs.scheduler import Scheduler  # noqa: E402

SLICES = 8
RUNS_A_SLICE = 600


@pytest.mark.parametrize("part", range(SLICES))
def test_random_runs_keep_every_rule(part):
    facts = simulate.run_many(part * 100000, RUNS_A_SLICE)
    assert facts["runs"] == RUNS_A_SLICE
    # A generator that stopped making work would make this test say nothing.
    assert facts["attempts"] > RUNS_A_SLICE * 3
    assert {"SUCCESS", "FAILED", "CANCELLED"} <= set(facts["statuses"])


def greedy_order(jobs):
    """The order for one slot, written down independently: priority, longest remaining path, place in the file."""
    followers = {job.id: [other.id for other in jobs if any(d.job == job.id for d in other.dependencies)]
                 for job in jobs}

    def remaining(job_id):
        return 1 + max([remaining(other) for other in followers[job_id]] or [0])

    place = {job.id: number for number, job in enumerate(jobs)}
    done, order = set(), []
    while len(order) < len(jobs):
        ready = [job for job in jobs if job.id not in done and all(d.job in done for d in job.dependencies)]
        best = min(ready, key=lambda job: (-job.priority, -remaining(job.id), place[job.id]))
        done.add(best.id)
        order.append(best.id)
    return order


def engine_order(jobs, ahead):
    clock = SimulatedClock()
    scheduler = Scheduler(jobs, Graph(jobs), 1)
    executor = SimulatedExecutor(1, clock, succeed_at_once)
    order = []
    scheduler.begin(clock.monotonic())
    while not scheduler.is_over:
        starts = [simulate.start_of(jobs, position) for position in scheduler.take_ready(ahead)]
        executor.start(starts)
        for event in executor.wait(0.0):
            position = simulate.position_and_attempt(event.token)[0]
            if type(event).__name__ == "Started":
                order.append(jobs[position].id)
                scheduler.started(position, clock.monotonic())
            else:
                scheduler.ended(position, event.outcome, clock.monotonic(), 0.5)
    return order


@pytest.mark.parametrize("ahead", (0, 1, 64))
def test_running_ahead_never_changes_the_order(ahead):
    rnd = random.Random(7)
    for _ in range(150):
        jobs = [Job(id="j%d" % n, command="true", priority=rnd.choice((0, 0, 0, 2, 5, -1)), dependencies=tuple(
            Dependency("j%d" % other) for other in rnd.sample(range(n), min(n, rnd.choice((0, 0, 1, 2))))))
            for n in range(rnd.randrange(1, 14))]
        assert engine_order(jobs, ahead) == greedy_order(jobs)


@pytest.mark.parametrize("name", ("_stop_after_failure", "_retry_delay", "_settle", "_may_start"))
def test_the_simulation_notices_a_broken_scheduler(name, monkeypatch):
    broken = {
        "_stop_after_failure": lambda self, position: None,
        "_retry_delay": lambda self, position, outcome, now, unit_random: 1.0 if self.attempts[position] < 9 else None,
        "_settle": lambda self: self._to_settle.clear(),
        "_may_start": lambda self, position: True,
    }
    monkeypatch.setattr(scheduler_module.Scheduler, name, broken[name])
    with pytest.raises(simulate.Violation):
        simulate.run_many(0, 300)

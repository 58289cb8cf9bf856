"""INVARIANT: whatever a valid file says, it is planned, and run to an end in which each job is final exactly once.

The files are random, made from the key tables. A failure names its seed: ``python3 tests/simulation/test_random_files.py SEED``
shows the file.
"""
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import simulate  # noqa: E402
from random_files import LEFT_OUT, PARAMS, TABLES, Maker  # noqa: E402

from config.pipeline import Overrides, load_pipeline, validate_file  # noqa: E402
from executioner.commands import plan  # noqa: E402
from executioner.rehearsal import rehearse  # noqa: E402
from jobs.engine import Engine  # noqa: E402
from jobs.events import JobEnded  # noqa: E402
from jobs.executors.simulated import SimulatedClock, SimulatedExecutor, SimulatedPools  # noqa: E402
from jobs.graph import Graph  # noqa: E402
from jobs.run_context import RunContext  # noqa: E402
from jobs.scheduler import Scheduler  # noqa: E402

FILES = 250
ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LANG": "C"}


class Executor(SimulatedExecutor):
    """Counts what runs, and lets no time pass while a check has its answer."""

    def __init__(self, slots, clock, behave, checks, pipeline):
        super().__init__(slots, clock, behave)
        self.checks = checks
        self.pipeline = pipeline
        self.running = {}

    def wait(self, timeout_s):
        events = super().wait(0.0 if self.checks.verdicts else timeout_s)
        for event in events:
            if type(event).__name__ == "Started":
                self.running[event.token] = self.pipeline.jobs[int(event.token.split(".")[1])]
            elif type(event).__name__ == "Ended":
                self.running.pop(event.token, None)
        for pool, size in self.pipeline.pools.items():
            assert sum(job.pool_slots for job in self.running.values() if job.pool == pool) <= size
        assert len(self.running) <= self._slots
        return events


class Journal:
    def __init__(self):
        self.ended = []

    def commit(self, events):
        self.ended += [event.position for event in events if isinstance(event, JobEnded)]

    def flushed(self):
        return True


def run(pipeline, graph, seed):
    """A run with random ends, as a resume would see it: what was told stands for itself."""
    rnd = random.Random(seed)
    clock, slots = SimulatedClock(), pipeline.max_workers if pipeline.parallel else 1
    told = {job.id: {name: "x" for name in job.outputs} for job in pipeline.jobs if job.outputs}
    checks, journal = simulate.SimulatedChecks(lambda: rnd.random() < 0.8), Journal()
    behave = simulate.random_behaviour(random.Random(seed + 1), clock, rnd.choice(simulate.WAYS_TO_END))
    executor = Executor(slots, clock, behave, checks, pipeline)
    outcome = Engine(pipeline, RunContext(1, "u", clock.wall(), "/nowhere"),
                     Scheduler(pipeline.jobs, graph, slots, pipeline.continue_on_error, {}, pipeline.run_timeout_s),
                     executor, journal, [], clock, checks, list, rnd.random, told, SimulatedPools(pipeline.pools)).run()
    assert sorted(journal.ended) == list(range(len(pipeline.jobs)))
    assert not executor.running
    assert (outcome.exit_code == 0) == (outcome.status == "SUCCESS")
    return outcome.status


def check_seed(seed, folder, used):
    """One file through everything; how its run ended, and its jobs."""
    path = os.path.join(str(folder), "random.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump(Maker(seed, used).file(), out, indent=1)
    problems = [str(one) for one in validate_file(path, ENVIRON, params=PARAMS).problems if one.is_error]
    assert not problems, problems
    pipeline = load_pipeline(path, ENVIRON, Overrides(params=PARAMS)).pipeline
    assert pipeline is not None
    graph = Graph(pipeline.jobs)
    usual_s = {job.id: 3600.0 for job in pipeline.jobs[::2]}
    rehearsal = rehearse(pipeline, graph, {}, usual_s)
    decided = sorted([step.position for step in rehearsal.steps] + list(rehearsal.left_out))
    assert decided == list(range(len(pipeline.jobs)))
    critical = [position for position in graph.critical_path() if position not in rehearsal.left_out]
    document = json.loads("\n".join(plan._json_lines(pipeline, graph, rehearsal, critical, usual_s)))
    assert len(document["jobs"]) == len(rehearsal.steps)
    assert all(isinstance(line, str) for line in plan._lines(pipeline, graph, rehearsal, critical, usual_s))
    return run(pipeline, graph, seed), len(pipeline.jobs)


def make_surroundings(folder):
    """What the files refer to."""
    (folder / "in").mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / "in" / name).write_text("x\n")
    (folder / "job.env").write_text("FROM_FILE=1\n")
    (folder / "job.env").chmod(0o600)


def test_random_files_are_planned_and_run(tmp_path):
    make_surroundings(tmp_path)
    used, statuses, jobs = set(), {}, 0
    for seed in range(FILES):
        try:
            status, count = check_seed(seed, tmp_path, used)
        except Exception as error:
            raise AssertionError("seed %d: %s: %s" % (seed, type(error).__name__, error)) from error
        statuses[status] = statuses.get(status, 0) + 1
        jobs += count
    # A maker that stopped making work, or left keys out, would make this test say nothing.
    assert jobs > FILES * 4 and min(statuses["SUCCESS"], statuses["FAILED"]) > FILES // 20, (jobs, statuses)
    assert {(table.name, key.name) for table in TABLES for key in table} - used == LEFT_OUT


if __name__ == "__main__":
    print(json.dumps(Maker(int(sys.argv[1]), set()).file(), indent=1))

"""Runs whose runner, keeper or machine dies at a random moment; settled and resumed until they are over, in simulated time.

Real are the scheduler, the engine, the history (a SQLite file), the keeper's record with its lock, the verdicts and the
resume. Simulated are processes, clocks, the disk's moods and the deaths. The oracle is what the simulated processes did.

``python3 tests/simulation/crashes.py SEED [COUNT]`` replays one seed (or COUNT from it on) and says what is wrong.
"""
import os
import random
import shutil
import sys
import tempfile

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import simulate
from simulate import (RecordingExecutor, SimulatedChecks, SimulatedJournal, SimulatedReserve, Violation,
                      random_behaviour, random_pipeline)

from db import truth
from db.history import History, NewRun, RunPlaces
from executioner.prepared import Prepared, settled_events
from executioner.resume import ResumeOptions, prepare_resume
from jobs.engine import Engine, RunOutcome
from jobs.exceptions import StorageError
from jobs.executors.simulated import SimulatedClock
from jobs.graph import Graph
from jobs.keeper.processes import boot_id
from jobs.keeper.record import RecordWriter
from jobs.models import FINAL_STATUSES, Check, JobStatus, RunStatus
from jobs.run_context import RunContext
from jobs.scheduler import Scheduler

#: Greater than any pid that a kernel gives: the runners of the simulation are dead for whoever looks.
NO_PID = (1 << 22) + 7
#: More runs than that are not made of one pipeline.
RUNS_MOST = 9
WAYS = ("runner", "runner", "both", "power")


class Died(BaseException):
    """The process that is simulated was killed at this very point."""


class Fate:
    """Counts the points at which a process can be killed, down to the one at which it is."""

    def __init__(self, points):
        self.points = points

    def point(self):
        self.points -= 1
        if self.points == 0:
            raise Died()


class Truth:
    """What became of each attempt in the simulated world, whoever knows of it."""

    def __init__(self):
        self.began = set()
        #: Status and exit code of what ended while its keeper could write it down.
        self.ended = {}
        #: Tokens whose lines a power cut may have taken from the record.
        self.doubtful = set()


class KeptExecutor(RecordingExecutor):
    """Keeps the record that a keeper keeps, and goes on as a keeper does when its runner is gone."""

    def __init__(self, record_path, truth_of_all, fate, *rest):
        super().__init__(*rest)
        self.truth = truth_of_all
        self.fate = fate
        self.record = RecordWriter(os.fsencode(record_path))
        self.record.header(boot_id(), 0, 0, self._clock.wall())
        self.record.flush()

    def start(self, starts):
        self.fate.point()
        super().start(starts)
        self.fate.point()

    def wait(self, timeout_s):
        self.fate.point()
        events = super().wait(timeout_s)
        self.fate.point()
        return events

    def close(self):
        survivors = super().close()
        self._let_go()
        return survivors

    def _fill(self):
        before = set(self._running)
        super()._fill()
        for token in self._running:
            if token not in before:
                self.truth.began.add(token)
                self.record.started(token, self._clock.wall(), self._clock.monotonic())
        self.record.flush()

    def _end(self, running):
        super()._end(running)
        outcome = self._events[-1].outcome
        self.truth.ended[running.start.token] = (outcome.status, outcome.exit_code)
        self.record.ended((running.start.token, outcome.status, outcome.exit_code, outcome.signal, outcome.reason,
                           outcome.stop_reason, outcome.started_at, outcome.ended_at, outcome.duration_s, None, None, ()))
        self.record.flush()

    def _let_go(self):
        if self.record.fd < 0:
            return
        self.record.closed(self._clock.wall())
        self.record.flush()
        self.die()

    # ---- after the runner's death --------------------------------------------------------------------------------

    def lose_runner(self, finishes):
        """What was not begun is dropped; what runs goes on, or is stopped."""
        self._queue = []
        self._interruptions = []
        for token in list(self._running):
            if not finishes:
                self.stop(token, "cancel")
        self.live_on(0.0)

    def live_on(self, seconds):
        """Let time pass; the keeper ends, and lets its lock go, when nothing runs any more."""
        if self._running:
            self._pass_time(seconds)
        if not self._running:
            self._let_go()

    def die(self):
        """The keeper ends, or dies and nobody will know how what runs ends; its lock is free."""
        if self.record.fd >= 0:
            self.record.close()
            self.record.fd = -1


class HonestChecks(SimulatedChecks):
    """Of what looks at files the answer is the true one, since it may be looked at again after a death."""

    def submit(self, ticket, checks, context):
        if checks[0].name != "check_file_exists":
            super().submit(ticket, checks, context)
            return
        decide, self.decide = self.decide, lambda: os.path.exists(checks[0].params["path"])
        super().submit(ticket, checks, context)
        self.decide = decide


class RealJournal(SimulatedJournal):
    """The rules of the simulated journal, and behind them the history itself; its user may die before or after."""

    def __init__(self, journal, fate, *rest):
        super().__init__(*rest)
        self.journal = journal
        self.fate = fate

    def flushed(self):
        return self.journal.flushed()

    def commit(self, events):
        self.fate.point()
        super().commit(events)
        self.journal.commit(events)
        self.fate.point()


class DyingHistory:
    """The history as somebody sees it who may die at each of its commits."""

    def __init__(self, history, fate):
        self._history = history
        self._fate = fate

    def __getattr__(self, name):
        return getattr(self._history, name)

    def journal(self, run_id):
        journal, fate = self._history.journal(run_id), self._fate

        class Dying:
            def commit(self, events):
                fate.point()
                journal.commit(events)
                fate.point()

        return Dying()


class Night:
    """One pipeline, run and resumed until it is over, whatever dies meanwhile."""

    def __init__(self, seed, folder):
        self.seed = seed
        self.rnd = random.Random(seed)
        self.folder = folder
        self.pipeline = random_pipeline(self.rnd)
        for job in self.pipeline.jobs:
            job.rerun_if_lost = self.rnd.random() < 0.3
            if job.post_checks:
                path = self.rnd.choice((__file__, "/nowhere"))
                job.post_checks = (Check("check_file_exists", {"path": path}),)
        self.pipeline.config_hash = "c%d" % seed
        self.pipeline.config_text = "{}"
        self.pipeline.on_runner_death = self.rnd.choice(("finish", "finish", "kill"))
        self.graph = Graph(self.pipeline.jobs)
        self.ways = self.rnd.choice(simulate.WAYS_TO_END)
        self.clock = SimulatedClock()
        self.truth = Truth()
        #: Ids of jobs that are done, by the truth; of jobs nobody knows the end of.
        self.done, self.unknown = set(), set()
        self.deaths = self.attempts = self.lost = 0

    # ---- the runs ------------------------------------------------------------------------------------------------

    def play(self):
        path = os.path.join(self.folder, "history.db")
        shutil.copy(os.path.join(os.path.dirname(self.folder), "empty.db"), path)
        with History.open(path) as history:
            self.history = history
            deaths = self.rnd.choice((0, 1, 1, 2, 3))
            status = ""
            for number in range(RUNS_MOST):
                way = self.rnd.choice(WAYS) if number < deaths else None
                found = self._run(number, way)
                if found is None:
                    break
                status = found
        return {"attempts": self.attempts, "jobs": len(self.pipeline.jobs), "status": status, "deaths": self.deaths,
                "lost": self.lost}

    def _run(self, number, way):
        """One run of the chain; None where there was nothing left to do."""
        self._settle_all()
        prepared = self._prepare(number)
        if isinstance(prepared, RunOutcome):
            if self._is_left_over():
                raise Violation("nothing to resume, it says, and a job is not done: %s" % prepared.reason)
            return None
        fate = Fate(self.rnd.choice((1, 2, 3, 5, 8, 12, 20, 35, 60)) if way else 0)
        uuid = "%08x%02d" % (self.seed, number)
        record = os.path.join(self.folder, uuid + ".record")
        at = self.clock.wall()
        new = NewRun(uuid, at, prepared.parent_run_id, runner_pid=NO_PID, runner_start=1,
                     boot_id="another-boot" if way == "power" else boot_id(),
                     settled=settled_events(prepared.graph, prepared.given, at))
        self.run_id = self.history.create_run(new, self.pipeline, lambda run_id: RunPlaces(self.folder, record))
        engine = self._engine(prepared, fate, uuid, record)
        try:
            outcome = engine.run()
        except Died:
            self.deaths += 1
            self._die(way, record)
            if self.history.run(self.run_id, with_jobs=False).status != RunStatus.RUNNING:
                self._note_ends(uuid)
            return "DIED"
        except StorageError:
            if self.ledger.running:
                raise
            self.executor.lose_runner(True)
            return "STORAGE"
        self._note_ends(uuid)
        simulate.verify(self.pipeline, self.journal, self.ledger, outcome, prepared.given, bool(self.delivered),
                        self.clock)
        return None if outcome.status == RunStatus.SUCCESS else outcome.status

    def _prepare(self, number):
        if number == 0:
            return Prepared(self.pipeline, self.graph, {})
        lost = []
        if self.rnd.random() < 0.4:
            last = self.history.run(self.history.resolve("last", "sim"))
            lost = [job.job_id for job in last.jobs if job.status == JobStatus.LOST and self.rnd.random() < 0.5]
        self.unknown.difference_update(lost)  # somebody decided
        return prepare_resume(self.history, ResumeOptions("last", rerun_lost=lost), self.pipeline, None,
                              lambda pipeline, graph: {}, set())

    def _engine(self, prepared, fate, uuid, record):
        rnd, clock, given = self.rnd, self.clock, prepared.given
        signals = sorted(clock.monotonic() + rnd.uniform(0, 60) for _ in range(rnd.choice((0, 0, 0, 0, 1))))
        requests, self.delivered = simulate.stop_requests(clock, signals)
        self.ledger = ledger = simulate.Ledger()
        checks = HonestChecks(lambda: rnd.random() < 0.7)
        reserve = SimulatedReserve(random.Random(rnd.random()), rnd.random() < 0.5)
        pipeline = self.pipeline
        self.executor = KeptExecutor(record, self.truth, fate, pipeline.max_workers, clock,
                                     random_behaviour(rnd, clock, self.ways), ledger, list(signals), checks, reserve)
        self.journal = RealJournal(self.history.journal(self.run_id), fate, pipeline, ledger,
                                   random.Random(rnd.random()), rnd.choice((0.0, 0.0, 0.0, 0.1)), given)
        if any(one.counts_as_met for one in given.values()):
            self.journal._check_dependencies = lambda position, attempt: None
        begin = self.executor.start

        def start(starts):
            for one in starts:
                self._must_be_open(one)
            begin(starts)

        self.executor.start = start
        scheduler = Scheduler(pipeline.jobs, prepared.graph, pipeline.max_workers, pipeline.continue_on_error, given,
                              pipeline.run_timeout_s)
        return Engine(pipeline, RunContext(self.run_id, uuid, clock.wall(), self.folder), scheduler, self.executor,
                      self.journal, [], clock, checks, requests, rnd.random, reserve=reserve)

    def _must_be_open(self, start):
        """A job that is done is not done twice; one that nobody knows the end of is not, unless somebody says so."""
        job = start.job
        self.attempts += 1
        if job.id in self.done:
            raise Violation("%s is done and was handed over again, as %s" % (job.id, start.token))
        if job.id in self.unknown and not job.rerun_if_lost:
            raise Violation("nobody knows how %s ended, and it was handed over again, as %s" % (job.id, start.token))

    # ---- deaths --------------------------------------------------------------------------------------------------

    def _die(self, way, record):
        if way == "runner":
            self.executor.lose_runner(self.pipeline.on_runner_death == "finish")
            return
        self.executor.die()
        if way == "power":
            size = os.path.getsize(record)
            kept = self.rnd.choice((size, self.rnd.randrange(size + 1)))
            end = 0
            with open(record, "rb") as lines:
                for line in lines:
                    end += len(line)
                    if end > kept:
                        self.truth.doubtful.add(line.split(b" ")[1].decode())
            os.truncate(record, kept)

    def _settle_all(self):
        for run in self.history.open_runs("sim"):
            before = {job.position: (job.status, job.reason, job.ended_at) for job in self.history.jobs(run.run_id)
                      if job.status in FINAL_STATUSES}
            while True:
                fate = Fate(self.rnd.choice((0, 0, 0, 1, 2, 3)))

                def wait(seconds):
                    fate.point()
                    self.executor.live_on(seconds)
                    return True

                shown = truth.true_jobs(self.history, self.history.run(run.run_id))
                try:
                    if not truth.settle(DyingHistory(self.history, fate), run, wait, "adopt"):
                        raise Violation("a dead run was not settled")
                except Died:
                    self.deaths += 1
                    continue
                break
            self._check_settled(run, before, shown)

    # ---- what must be true -----------------------------------------------------------------------------------------

    def _check_settled(self, run, before, shown):
        after = self.history.run(run.run_id)
        if after.status == RunStatus.RUNNING:
            raise Violation("run %d is open after it was settled" % run.run_id)
        for job in after.jobs:
            if job.status not in FINAL_STATUSES:
                raise Violation("%s is %s after its run was settled" % (job.job_id, job.status))
            if job.position in before and before[job.position] != (job.status, job.reason, job.ended_at):
                raise Violation("%s was final as %s and is %s" % (job.job_id, before[job.position], job.status))
            if not job.reason and job.status != JobStatus.SUCCESS:
                raise Violation("%s is %s without a reason" % (job.job_id, job.status))
        for job in shown:
            # What a reader was shown of what had ended by then is what was recorded in the end.
            if job.status == JobStatus.SUCCESS and after.jobs[job.position].status != JobStatus.SUCCESS:
                raise Violation("%s was shown as SUCCESS and became %s" % (job.job_id, after.jobs[job.position].status))
        failed = any(job.status in ("FAILED", "TIMEOUT", "ERROR", "LOST", "BLOCKED") and not job.allow_failure
                     for job in after.jobs)
        if after.status == RunStatus.SUCCESS and failed:
            raise Violation("a settled run is SUCCESS with a failed job")
        self._note_ends(run.run_uuid)

    def _note_ends(self, uuid):
        """Compare each attempt of a run that is over with what became of it, and learn which jobs are done."""
        rows = {attempt.token: attempt for attempt in self.history.attempts(self.run_id)}
        jobs = {job.position: job for job in self.history.jobs(self.run_id)}
        for token in self.truth.began:
            if token.startswith(uuid + ".") and token not in rows:
                raise Violation("%s ran and the history does not know it" % token)
        for token, row in rows.items():
            job = self.pipeline.jobs[row.position]
            expected = self._expected(job, token)
            if row.status not in expected:
                raise Violation("%s is %s in the history, and was %s" % (token, row.status, " or ".join(sorted(expected))))
            last = row.attempt == max(one.attempt for one in rows.values() if one.position == row.position)
            if last and row.status == JobStatus.LOST:
                self.lost += 1
                self.unknown.add(job.id)
            elif last and row.status in (JobStatus.SUCCESS, JobStatus.SKIPPED):
                if jobs[row.position].status != row.status:
                    raise Violation("%s was %s, its job is %s" % (token, row.status, jobs[row.position].status))
                if row.status == JobStatus.SUCCESS:
                    self.done.add(job.id)
                self.unknown.discard(job.id)
            elif last:
                self.unknown.discard(job.id)

    def _expected(self, job, token):
        if token not in self.truth.began:
            # With the record's lines gone, nobody can say that it did not begin.
            return {"CANCELLED", "LOST"} if token in self.truth.doubtful or self._went_down() else {"CANCELLED"}
        known = self.truth.ended.get(token)
        if known is None:
            return {"LOST"}
        status, code = known
        if status == JobStatus.FAILED and code in job.skip_exit_codes:
            status = JobStatus.SKIPPED
        if status == JobStatus.SUCCESS and any(not os.path.exists(check.params["path"]) for check in job.post_checks):
            status = JobStatus.FAILED
        return {status, "LOST"} if token in self.truth.doubtful else {status}

    def _went_down(self):
        return self.history.run(self.run_id, with_jobs=False).boot_id != boot_id()

    def _is_left_over(self):
        last = self.history.run(self.history.resolve("last", "sim"))
        return any(job.status in ("FAILED", "TIMEOUT", "ERROR", "LOST") and not job.allow_failure for job in last.jobs)


def run_many(first_seed, count):
    """Plays that many nights; returns sums. The failing seed is named in the error."""
    sums = {"nights": count, "attempts": 0, "jobs": 0, "deaths": 0, "lost": 0}
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="nights-", dir=base) as folder:
        History.open(os.path.join(folder, "empty.db")).close()
        for seed in range(first_seed, first_seed + count):
            night = os.path.join(folder, str(seed))
            os.mkdir(night, 0o700)
            try:
                facts = Night(seed, night).play()
            except Exception as error:
                raise Violation("seed %d: %s: %s  (python3 tests/simulation/crashes.py %d)" % (
                    seed, type(error).__name__, error, seed)) from error
            shutil.rmtree(night)
            for name in ("attempts", "jobs", "deaths", "lost"):
                sums[name] += facts[name]
    return sums


if __name__ == "__main__":
    print(run_many(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))

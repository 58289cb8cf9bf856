"""Runs, events and files that the tests of the history share."""
import hashlib
import os
from typing import Any, List, Optional

from db.history import History, NewRun, RunPlaces
from jobs.events import AttemptEnded, AttemptIntended, AttemptStarted, Event, JobEnded, RunEnded
from jobs.models import AttemptOutcome, Job, JobStatus, Pipeline, RunStatus


def pipeline(application: str = "nightly", jobs: int = 3, text: str = "{}") -> Pipeline:
    """A pipeline of jobs ``job0``, ``job1`` … that do not depend on each other."""
    return Pipeline(application, [Job("job%d" % position, "true", description="does %d" % position)
                                  for position in range(jobs)],
                    config_path="/etc/jobs/%s.json" % application, config_text=text,
                    config_hash=hashlib.sha256(text.encode()).hexdigest())


def new_run(number: int = 1, **more: Any) -> NewRun:
    """A run that is about to start."""
    facts = dict(options={"workers": 2}, host="alpha", user="ops", boot_id="boot-1", runner_pid=4711, runner_start=99)
    facts.update(more)
    return NewRun("%032x" % number, 1000.0 + number, **facts)


def places(run_id: int) -> RunPlaces:
    """Where the run's files lie."""
    return RunPlaces("/logs/nightly/%d" % run_id, "/home/records/%d" % run_id)


def token(run_id: int, position: int, attempt: int = 1) -> str:
    """The name of an attempt."""
    return "run-%d.%d.%d" % (run_id, position, attempt)


def intended(run_id: int, position: int, attempt: int = 1, at: float = 1010.0) -> AttemptIntended:
    """The attempt is about to be handed over."""
    name = "/logs/nightly/%d/job%d.%d" % (run_id, position, attempt)
    return AttemptIntended(position, "job%d" % position, attempt, token(run_id, position, attempt), name + ".out",
                           name + ".err", at, at - 4.0)


def started(run_id: int, position: int, attempt: int = 1, at: float = 1011.0) -> AttemptStarted:
    """Its process exists."""
    return AttemptStarted(position, "job%d" % position, attempt, token(run_id, position, attempt), 5000 + position,
                          700 + position, at)


def ended(run_id: int, position: int, attempt: int = 1, status: str = JobStatus.SUCCESS,
          exit_code: Optional[int] = 0, **more: Any) -> AttemptEnded:
    """It is over."""
    facts = dict(started_at=1011.5, ended_at=1013.5, duration_s=2.0, cpu_s=0.25, max_rss_bytes=4096)
    facts.update(more)
    return AttemptEnded(position, "job%d" % position, attempt, token(run_id, position, attempt),
                        AttemptOutcome(status, exit_code, **facts), 1013.5)


def job_ended(position: int, status: str = JobStatus.SUCCESS, reason: str = "", attempts: int = 1,
              **more: Any) -> JobEnded:
    """The job has its final status."""
    facts = dict(exit_code=0, started_at=1011.5, duration_s=2.0, cpu_s=0.25, max_rss_bytes=4096)
    facts.update(more)
    return JobEnded(position, "job%d" % position, status, reason, attempts, 1013.5, **facts)


def whole_job(run_id: int, position: int) -> List[Event]:
    """A job that succeeded, from its intent to its end."""
    return [intended(run_id, position), started(run_id, position), ended(run_id, position), job_ended(position)]


def run_ended(run_id: int, status: str = RunStatus.SUCCESS, exit_code: int = 0, reason: str = "") -> RunEnded:
    """The run is over."""
    return RunEnded(run_id, status, exit_code, reason, 1020.0)


def finished_run(history: History, number: int, application: str = "nightly", jobs: int = 3,
                 status: str = RunStatus.SUCCESS) -> int:
    """A whole run; all its jobs succeeded."""
    run_id = history.create_run(new_run(number), pipeline(application, jobs), places)
    events: List[Event] = []
    for position in range(jobs):
        events += whole_job(run_id, position)
    history.journal(run_id).commit(events + [run_ended(run_id, status)])
    return run_id


def digest(path: str) -> str:
    """SHA-256 of a file, which no connection of this process has open."""
    with open(path, "rb") as content:
        return hashlib.sha256(content.read()).hexdigest()


def names(folder: str) -> List[str]:
    """What lies in a folder."""
    return sorted(os.listdir(folder))

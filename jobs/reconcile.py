"""What is true of a run whose runner is gone. Pure: facts in, verdicts out; nobody is asked and nothing is written.

Three witnesses are compared: the history (what was to be started), the keeper's record (what was started and how it
ended), and the kernel (is the keeper alive, is this still the same boot). Readers show the verdicts; ``run``,
``cancel`` and ``db recover`` commit them.
"""
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence

from jobs.events import AttemptEnded, Event, JobEnded, OutputsKept, RunEnded
from jobs.exceptions import EXIT_FAILED, EXIT_OK, InternalError
from jobs.last_words import LastWords
from jobs.models import FAILS_RUN, FINAL_STATUSES, AttemptOutcome, JobStatus, RunStatus

__all__ = ["OpenAttempt", "OpenJob", "Reconciled", "Recorded", "reconcile"]

NEVER_BEGAN = "the runner died before its start"
GIVEN_UP = "the run was given up before its start"
BOTH_DIED = "the runner and its keeper died while it ran; nobody knows how it ended"
MACHINE_WENT_DOWN = "the machine went down; nobody knows how it ended"


@dataclass
class OpenAttempt:
    """An attempt that the history has as intended and not as ended."""

    token: str
    attempt: int
    boot_id: str
    #: Whether it may have begun although the record does not say so: the history says it, or the record is gone.
    may_have_begun: bool = False
    #: When the history says that it started.
    started_at: Optional[float] = None


@dataclass
class OpenJob:
    """A job of the dead run that is not final in the history."""

    position: int
    job_id: str
    #: Its open attempt, where it has one.
    attempt: Optional[OpenAttempt] = None
    #: How its last ended attempt came out, where it was between two attempts.
    last_outcome: Optional[AttemptOutcome] = None
    attempts: int = 0
    allow_failure: bool = False
    #: Whether it has no checks that decide about its last attempt, or they were made.
    is_checked: bool = True
    #: What they found wrong, or what is wrong with what it told others.
    check_failure: str = ""
    #: What it told others.
    told: Dict[str, str] = field(default_factory=dict)


@dataclass
class Recorded:
    """What the keeper's record says of an attempt: that it was started, and how it ended if it has."""

    pid: Optional[int] = None
    pid_start: Optional[int] = None
    outcome: Optional[AttemptOutcome] = None
    started_at: Optional[float] = None


@dataclass
class Reconciled:
    """The truth about a dead run, as events to commit."""

    events: List[Event] = field(default_factory=list)
    #: Positions of jobs that still run under a keeper that lives.
    running: List[int] = field(default_factory=list)
    #: Status of each job that was open, by position: what readers show.
    statuses: Dict[int, str] = field(default_factory=dict)
    reasons: Dict[int, str] = field(default_factory=dict)
    #: Whether the runner gave the run up and said so.
    is_given_up: bool = False


def reconcile(run_id: int, jobs: Sequence[OpenJob], record: Dict[str, Recorded], keeper_alive: bool, boot_id: str,
              closed_statuses: Sequence[str], forgiven: Sequence[bool], at: float,
              last_words: Optional[LastWords] = None) -> Reconciled:
    """The verdict on every open job, and on the run where nothing of it runs any more.

    :param jobs: the jobs that are not final
    :param record: what the keeper wrote, by token
    :param boot_id: of the boot that we live in
    :param closed_statuses: statuses of the jobs that are final already
    :param forgiven: for each of those, whether it may fail
    :param at: when the verdict is given, or the runner gave the run up
    :param last_words: what it said then; None where it died without a word
    """
    truth = Reconciled(is_given_up=last_words is not None)
    fails = any(status in FAILS_RUN and not soft for status, soft in zip(closed_statuses, forgiven))
    orphaned = JobStatus.LOST in closed_statuses
    for job in jobs:
        outcome = _outcome(job, record, keeper_alive, boot_id, at, truth, last_words is not None)
        if outcome is None:
            truth.running.append(job.position)
            truth.statuses[job.position] = JobStatus.RUNNING
            continue
        status, reason = outcome.status, outcome.reason
        if status not in FINAL_STATUSES:
            raise InternalError("this is a bug: verdict %s for %s" % (status, job.job_id))
        truth.statuses[job.position], truth.reasons[job.position] = status, reason
        began = job.attempts + (1 if job.attempt is not None and outcome.started_at is not None else 0)
        truth.events.append(JobEnded(
            job.position, job.job_id, status, reason, began, outcome.ended_at or at, outcome.exit_code, outcome.signal,
            outcome.started_at, outcome.duration_s, outcome.cpu_s, outcome.max_rss_bytes))
        fails = fails or (status in FAILS_RUN and not job.allow_failure)
        orphaned = orphaned or status in (JobStatus.LOST, JobStatus.CANCELLED)
    if not truth.running and last_words is not None:
        status = RunStatus.FAILED if orphaned or fails else RunStatus.SUCCESS
        truth.events.append(RunEnded(run_id, status, last_words.exit_code, last_words.reason, last_words.at))
    elif not truth.running:
        status = RunStatus.LOST if orphaned else RunStatus.FAILED if fails else RunStatus.SUCCESS
        truth.events.append(RunEnded(run_id, status, EXIT_OK if status == RunStatus.SUCCESS else EXIT_FAILED,
                                     "the runner died; what it left was settled later", at))
    return truth


def _with(outcome: AttemptOutcome, status: str, reason: str) -> AttemptOutcome:
    """The same attempt, judged differently."""
    return AttemptOutcome(status, outcome.exit_code, outcome.signal, reason, outcome.stop_reason, outcome.started_at,
                          outcome.ended_at, outcome.duration_s, outcome.cpu_s, outcome.max_rss_bytes, outcome.survivors)


def _outcome(job: OpenJob, record: Dict[str, Recorded], keeper_alive: bool, boot_id: str, at: float,
             truth: Reconciled, is_given_up: bool) -> Optional[AttemptOutcome]:
    """How the job came out; None where it still runs. Adds the end of an open attempt to the events."""
    if job.attempt is None:
        if job.last_outcome is not None:
            last = job.last_outcome
            return _with(last, last.status, "%s; the %s before its next attempt" % (
                last.reason, "run was given up" if is_given_up else "runner died"))
        return AttemptOutcome(JobStatus.CANCELLED, reason=GIVEN_UP if is_given_up else NEVER_BEGAN)
    known = record.get(job.attempt.token)
    started_at = job.attempt.started_at if known is None or known.started_at is None else known.started_at
    if known is not None and known.outcome is not None:
        outcome = known.outcome
        if outcome.status == JobStatus.SUCCESS and not job.is_checked:
            outcome = _with(outcome, JobStatus.LOST, "it ended well, but its post-checks have not been made")
        elif outcome.status == JobStatus.SUCCESS and job.check_failure:
            outcome = _with(outcome, JobStatus.FAILED, job.check_failure)
        elif outcome.status == JobStatus.SUCCESS and job.told:
            truth.events.append(OutputsKept(job.position, job.job_id, job.told, at))
    elif job.attempt.boot_id != boot_id:
        outcome = AttemptOutcome(JobStatus.LOST, reason=MACHINE_WENT_DOWN, started_at=started_at)
    elif keeper_alive and known is not None:
        return None
    elif known is None and not job.attempt.may_have_begun:
        outcome = AttemptOutcome(JobStatus.CANCELLED, reason=GIVEN_UP if is_given_up else NEVER_BEGAN)
    else:
        outcome = AttemptOutcome(JobStatus.LOST, reason=BOTH_DIED, started_at=started_at)
    truth.events.append(AttemptEnded(job.position, job.job_id, job.attempt.attempt, job.attempt.token, outcome,
                                     outcome.ended_at or at))
    return outcome

"""What people do to runs: cancel, hold, release, mark as success. Each act is recorded with who, when and why first.

The runner is told by a signal and reads the history for the rest; so an act works the same from the command line and
over HTTP, and a runner that is gone is no obstacle.
"""
import os
import signal
import time
from typing import Callable, List, Optional, Sequence

from db.history import EventKind, History
from db.truth import is_anything_running, is_runner_alive, settle
from jobs.exceptions import ConfigurationError
from jobs.graph import suggestion
from jobs.group_ids import groups_of, named
from jobs.keeper.processes import start_time
from jobs.models import JobStatus, RunStatus
from jobs.records import RunRecord
from jobs.ports import StopRequest

__all__ = ["HOLDS_CHANGED", "cancel", "hold", "mark_success", "release", "require_held", "require_known",
           "stop_requests"]

#: What a runner gets when the held jobs of its application have changed.
HOLDS_CHANGED = int(signal.SIGUSR1)
_SIGNAL_NAMES = {1: "SIGHUP", 2: "SIGINT", 15: "SIGTERM"}


def stop_requests(history: History, run_id: int, signal_number: int) -> List[StopRequest]:
    """What a signal asks of a run: as the last cancel of it says, or as the signal alone does."""
    if signal_number == signal.SIGTERM and run_id:
        asked = history.events(run_id, EventKind.CANCEL)
        if asked:
            last = asked[-1]
            request = StopRequest(signal_number, "cancelled by %s%s" % (last.who, ": " + last.why if last.why else ""))
            # The second request is the one that does not wait for the jobs.
            return [request] * (2 if last.details.get("immediately") else 1)
    return [StopRequest(signal_number, "stopped by %s" % _SIGNAL_NAMES.get(signal_number, "signal %d" % signal_number))]


def cancel(history: History, run: RunRecord, who: str, why: str, wait: Callable[[float], bool],
           immediately: bool = False) -> bool:
    """Stop a run and wait until nothing of it is left.

    :param history: open for writing
    :param wait: waits about so many seconds; False = do not wait any longer
    :param immediately: do not give the jobs their grace
    :returns: whether the run has ended
    :raises StorageError: where the act or its result cannot be kept
    """
    if run.status == RunStatus.RUNNING:
        history.add_event(EventKind.CANCEL, time.time(), run.run_id, who=who, why=why,
                          details={"immediately": True} if immediately else {})
    if is_runner_alive(run):
        _signal_runner(run, signal.SIGTERM)
    pause_s = 0.02
    while is_runner_alive(run) and is_anything_running(run):
        if not wait(pause_s):
            return False
        pause_s = min(pause_s * 1.5, 0.25)
    return settle(history, run, wait, "kill")


def hold(history: History, application: str, job_id: str, who: str, why: str) -> None:
    """Keep a job of an application from starting, now and in later runs, until it is released.

    :raises ConfigurationError: where the application has no such job in its last run
    """
    require_known(history, application, [job_id])
    history.add_event(EventKind.HOLD, time.time(), application=application, job_id=job_id, who=who, why=why)
    _tell_runners(history, application)


def release(history: History, application: str, job_id: str, who: str, why: str) -> None:
    """Let a held job start again.

    :raises ConfigurationError: where it is not held
    """
    require_held(history, application, [job_id])
    history.add_event(EventKind.RELEASE, time.time(), application=application, job_id=job_id, who=who, why=why)
    _tell_runners(history, application)


def mark_success(history: History, run: RunRecord, job_ids: Sequence[str], who: str, why: str) -> None:
    """Have a resume of the run take these jobs as done. Their status stays; the mark is shown beside it.

    The id of a group means those of its jobs that are no success yet.

    :raises ConfigurationError: where a job is not there or cannot be marked, or the run still runs
    """
    if is_anything_running(run) and run.status == RunStatus.RUNNING:
        raise ConfigurationError("run %d still runs; cancel it or wait for its end first" % run.run_id)
    settle(history, run, lambda seconds: False)
    jobs = {job.job_id: job for job in history.jobs(run.run_id)}
    marked: List[str] = []
    for job_id in job_ids:
        members = named(job_id, jobs)
        if not members:
            raise ConfigurationError('run %d has no job "%s"%s' % (run.run_id, job_id, suggestion(job_id, jobs)))
        members = [member for member in members if jobs[member].status != JobStatus.SUCCESS]
        if not members:
            raise ConfigurationError("job %s of run %d is a SUCCESS already" % (job_id, run.run_id))
        marked += members
    for job_id in marked:
        history.add_event(EventKind.MARK_SUCCESS, time.time(), run.run_id, job_id=job_id, who=who, why=why)


def require_known(history: History, application: str, job_ids: Sequence[str]) -> None:
    """See that the last run of an application has these jobs.

    :raises ConfigurationError: where it has not
    """
    last: Optional[RunRecord] = history.last_run(application)
    if last is None:
        raise ConfigurationError("no application %s has run here%s" % (
            application, suggestion(application, history.applications())))
    known: List[str] = [job.job_id for job in history.jobs(last.run_id)]
    for job_id in job_ids:
        if not named(job_id, known):
            raise ConfigurationError('the last run of %s (%d) has no job "%s"%s' % (
                application, last.run_id, job_id, suggestion(job_id, known)))


def require_held(history: History, application: str, job_ids: Sequence[str]) -> None:
    """See that these jobs of an application are held.

    :raises ConfigurationError: where one is not
    """
    held = history.holds(application)
    for job_id in job_ids:
        group = next((one for one in groups_of(job_id) if one in held), "")
        if job_id not in held and group:
            raise ConfigurationError("%s of %s is held with all of %s; release %s, and hold others by themselves" % (
                job_id, application, group, group))
        if job_id not in held:
            raise ConfigurationError("%s of %s is not held%s" % (
                job_id, application, "; held are: " + ", ".join(sorted(held)) if held else ""))


def _tell_runners(history: History, application: str) -> None:
    for run in history.open_runs(application):
        if is_runner_alive(run):
            _signal_runner(run, signal.SIGUSR1)


def _signal_runner(run: RunRecord, number: int) -> None:
    if run.runner_pid is None:
        return
    if start_time(run.runner_pid) != run.runner_start:
        if is_runner_alive(run):
            raise ConfigurationError(
                "run %d cannot be reached from here: its runner is process %d of another container" % (
                    run.run_id, run.runner_pid), context={"hint": "give the command in that container"})
        return
    try:
        os.kill(run.runner_pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        raise ConfigurationError("run %d belongs to another user (%s); only they and root can tell its runner" % (
            run.run_id, run.user))

"""Beside a run: tells who asked for it that a job will miss its deadline, or that one is tried again.

A process of its own, which reads the history: the loop of the run knows nothing of deadlines, and they are watched
even where the runner has died.
"""
import time
from typing import TYPE_CHECKING, Callable, Dict, List

from db.history import EventKind, History
from db.outbox import Outbox
from db.truth import is_runner_alive
from executioner.delivery import deliver_waiting
from executioner.home import Home
from jobs.masking import Masker
from jobs.models import RunStatus
from jobs.records import JobRecord, RunRecord
from monitoring.deadlines import Late, Watched, deadline_at, late_jobs, next_look_s
from monitoring.message import Facts, late_message
from monitoring.notifications import new_message, tell_retries

if TYPE_CHECKING:
    from executioner.aftermath import Task
    from monitoring.courier import Delivery

__all__ = ["Watch"]

#: How often it is looked whether a job is tried again, in seconds.
RETRY_LOOK_S = 5.0


class Watch:
    """Watches one run until it ends.

    :param tell: hears of each job that is late
    :param delivered: hears of each attempt to deliver
    """

    def __init__(self, history: History, run_id: int, task: "Task", home: Home,
                 tell: Callable[[str, List[str]], None], delivered: Callable[["Delivery"], None]) -> None:
        self._history = history
        self._run_id = run_id
        self._task = task
        self._home = home
        self._tell = tell
        self._delivered = delivered
        self._told: List[str] = []
        self._watched: List[Watched] = []
        self._usual_s: Dict[str, float] = {}

    def work(self, pause: Callable[[float], None]) -> None:
        """Look again and again until the run has ended, and once more then.

        :param pause: waits so many seconds, or until the run ends
        """
        run = self._history.run(self._run_id, with_jobs=False)
        if run is None:
            return
        started_at = run.started_at or 0.0
        runbooks = {}
        for job_id, needs, after_s, minutes, runbook in self._task.watched:
            assert isinstance(needs, list) and (after_s is None or isinstance(after_s, (int, float)))
            assert minutes is None or isinstance(minutes, int)
            self._watched.append(Watched(str(job_id), tuple(map(str, needs)),
                                         deadline_at(started_at, after_s, minutes)))
            if runbook:
                runbooks[str(job_id)] = str(runbook)
        facts = Facts(self._task.command, Masker(self._task.secrets), runbooks)
        if self._watched:
            self._usual_s = self._history.usual_durations(run.application)
        wants_retries = any("retry" in rule.on for rule in self._task.rules)
        while True:
            run = self._history.run(self._run_id, with_jobs=False)
            if run is None:
                return
            is_over = run.status != RunStatus.RUNNING
            jobs = {job.job_id: job for job in self._history.jobs(self._run_id)} if self._watched else {}
            added = self._look(run, jobs, facts)
            if wants_retries:
                added += len(tell_retries(self._history, run, self._task.rules, facts, time.time()))
            if added and self._task.notify:
                deliver_waiting(self._history, run.application, self._task.rules, self._task.server, self._home,
                                self._task.allow_shell, self._delivered)
            if is_over or (self._has_told_all() and (not wants_retries or not is_runner_alive(run))):
                return
            pause_s = next_look_s(self._watched, jobs, self._usual_s, self._told, time.time())
            pause(min(pause_s, RETRY_LOOK_S) if wants_retries else pause_s)

    def _has_told_all(self) -> bool:
        return all(one.deadline_at is None or one.job_id in self._told for one in self._watched)

    def _look(self, run: RunRecord, jobs: Dict[str, JobRecord], facts: Facts) -> int:
        """Tell of the jobs that are late by now; how many messages there are to deliver."""
        added = 0
        for late in late_jobs(self._watched, jobs, self._usual_s, time.time()):
            if late.job_id not in self._told:
                self._told.append(late.job_id)
                added += self._tell_of(run, late, facts)
        return added

    def _tell_of(self, run: RunRecord, late: Late, facts: Facts) -> int:
        self._history.add_event(EventKind.LATE, time.time(), run.run_id, job_id=late.job_id,
                                why="; ".join(late.lines), details={"missed": late.missed})
        self._tell(late.job_id, late.lines)
        messages = [new_message(rule, "late: " + late.job_id,
                                late_message(run, late.job_id, late.lines, late.missed, facts, rule.subject))
                    for rule in self._task.rules if "late" in rule.on or "always" in rule.on]
        return len(Outbox(self._history).decide(run, messages, time.time(), is_over=False)) if messages else 0

"""What follows a run: messages are delivered, its rows copied to a server, and old runs taken away, by another process.

The runner only decides whether there is anything to do, and starts ``executioner after RUN``. That process has its
own session and no stream of ours, so neither cron nor a person waits for it, and nothing that it does can change or
delay the result. What it must know and the history must not (passwords, web addresses) comes to it over a pipe.
"""
import os
from typing import Callable, Dict, List, Optional, Sequence, Set

from db.history import History
from jobs.exceptions import StorageError
from jobs.group_ids import members_by_group
from jobs.models import Deadline, Job, MailServer, NotificationRule, Pipeline, Retention

__all__ = ["Task", "after_run", "has_something_to_say", "runbooks_of", "start", "task_of", "watched_jobs"]

#: Runbooks of so many failed jobs go along.
_MOST_RUNBOOKS = 20
#: How long the new process may take to read what it must know.
_HAND_OVER_S = 5.0


class Task:
    """What the process after a run must know."""

    __slots__ = ("application", "home", "home_source", "database", "working_dir", "allow_shell", "command", "secrets",
                 "rules", "server", "retention", "runbooks", "watched", "notify", "copy", "prune",
                 "metrics", "metrics_textfile", "status_page", "hide_in")

    def __init__(self, pipeline: Pipeline, home: str, home_source: str, database: str, command: str) -> None:
        self.application = pipeline.application
        self.home = home
        self.home_source = home_source
        self.database = database
        self.working_dir = pipeline.working_dir
        self.allow_shell = pipeline.allow_shell
        #: How a person calls this program.
        self.command = command
        self.secrets: Sequence[str] = pipeline.secret_values
        self.rules: Sequence[NotificationRule] = pipeline.notifications
        self.server = pipeline.mail_server
        self.retention = pipeline.retention
        self.runbooks: Dict[str, str] = {}
        #: Jobs with a deadline and all that they wait for: id, ids it waits for, seconds after the run's start or
        #: minutes after midnight.
        self.watched: List[List[object]] = []
        self.notify = False
        self.copy = False
        #: Whether the figures are to be written anew when copying is over, and where their copy goes.
        self.metrics = pipeline.features.get("metrics", True)
        self.metrics_textfile = pipeline.metrics_textfile
        self.status_page = pipeline.status_page
        self.prune = False
        #: The folder whose output is to be looked through for secrets; "" = none.
        self.hide_in = ""

    def to_json(self) -> bytes:
        """The task as it goes through the pipe: one line."""
        import json
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["rules"] = [[list(rule.on), rule.to, rule.every_s, rule.subject, rule.secret] for rule in self.rules]
        fields["server"] = [self.server.host, self.server.port, self.server.user, self.server.password,
                            self.server.sender]
        fields["retention"] = [self.retention.runs, self.retention.age_s, self.retention.size_bytes]
        return json.dumps(fields).encode("ascii") + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> "Task":
        """The task out of the pipe.

        :raises ValueError: where it is none
        """
        import json
        fields = json.loads(data.decode("ascii"))
        task = cls.__new__(cls)
        for name in cls.__slots__:
            setattr(task, name, fields[name])
        task.rules = tuple(NotificationRule(tuple(on), *rest) for on, *rest in fields["rules"])
        task.server = MailServer(*fields["server"])
        task.retention = Retention(*fields["retention"])
        return task


def task_of(pipeline: Pipeline, home: str, home_source: str, database: str, command: str) -> Task:
    """What the process after a run of this pipeline must know, with nothing to do yet."""
    return Task(pipeline, home, home_source, database, command)


def has_something_to_say(history: History, run_id: int, pipeline: Pipeline) -> bool:
    """Whether anybody is to hear of the run, or something earlier still waits: a quick look.

    :raises DatabaseError: where the history cannot be read
    """
    from db.outbox import Outbox
    from monitoring.notifications import is_wanted

    run = history.run(run_id, with_jobs=False)
    if run is None:
        return False
    outbox = Outbox(history)
    if is_wanted(history, run, pipeline.notifications) or outbox.waiting(pipeline.application, limit=1):
        return True
    # Runs that others closed: nobody has looked at them yet.
    return any(other.run_id != run_id for other in outbox.untold_runs(pipeline.application, limit=2))


def runbooks_of(jobs: Sequence[Job], history: History, run_id: int) -> Dict[str, str]:
    """The runbooks of the jobs that failed."""
    runbooks = {job.id: job.runbook for job in jobs if job.runbook}
    if not runbooks:
        return {}
    from jobs.models import FAILURE_STATUSES
    failed = history.jobs(run_id, sorted(FAILURE_STATUSES), limit=_MOST_RUNBOOKS)
    return {job.job_id: runbooks[job.job_id] for job in failed if job.job_id in runbooks}


def watched_jobs(jobs: Sequence[Job]) -> List[List[object]]:
    """The jobs with a deadline and all that they wait for, as ``Task.watched`` has them; empty where there is none.

    A group that is waited for is watched like a job that takes no time and waits for its members.
    """
    wanted = [job for job in jobs if job.deadline is not None]
    if not wanted:
        return []
    by_id = {job.id: job for job in jobs}
    members = members_by_group(by_id)
    found: Set[str] = set()
    left = [job.id for job in wanted]
    while left:
        job_id = left.pop()
        if job_id not in found:
            found.add(job_id)
            left += [dependency.job for dependency in by_id[job_id].dependencies] if job_id in by_id \
                else members.get(job_id, [])
    watched: List[List[object]] = [[group, members[group], None, None, ""] for group in members if group in found]
    for job in jobs:
        if job.id in found:
            deadline = job.deadline if job.deadline is not None else Deadline(after_s=0.0)
            watched.append([job.id, [dependency.job for dependency in job.dependencies],
                            None if job.deadline is None else deadline.after_s,
                            None if job.deadline is None else deadline.clock_minutes, job.runbook])
    return watched


def start(task: Task, run_id: int, role: str, report: Callable[[str], None],
          output: Optional[int] = None) -> Optional[int]:
    """Start the process after a run, or one beside it; None where it could not be started.

    :param role: "" after the run; ``--watch`` to watch its deadlines, ``--page`` to keep its page
    :param report: told in one line why not; what was to be said is said by the next command then
    :param output: its standard output; None = nowhere
    :returns: our end of the pipe to it. Closing it tells a watching process that the run is over.
    """
    import fcntl

    from executioner.ourselves import own_words
    from jobs.keeper.spawn import Spawner

    words = own_words() + ["--home", task.home, "after", str(run_id)] + ([role] if role else [])
    data = task.to_json()
    read_end, write_end = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.fcntl(write_end, 1031, max(len(data), 4096))  # F_SETPIPE_SZ: then nobody waits for anybody
        except OSError:
            pass  # too much for a pipe of ours: it is handed over piece by piece
        copies = [os.dup(read_end), os.dup(null), os.dup(null if output is None else output)]
        try:
            for copy in copies:
                os.set_inheritable(copy, True)
            environment = dict(os.environb)
            Spawner().spawn(os.fsencode(words[0]), [os.fsencode(word) for word in words], environment,
                            (copies[0], copies[2], copies[1]))
        finally:
            for copy in copies:
                os.close(copy)
        os.close(read_end)
        read_end = -1
        if not _hand_over(write_end, data):
            report("the process after run %d did not take its task" % run_id)
        ours, write_end = write_end, -1
        return ours
    except OSError as error:
        report("the process after run %d could not be started: %s" % (run_id, error.strerror or error))
        return None
    finally:
        for descriptor in (read_end, write_end, null):
            if descriptor >= 0:
                os.close(descriptor)


def _hand_over(descriptor: int, data: bytes) -> bool:
    import select

    from jobs.system import SystemClock
    clock = SystemClock()
    os.set_blocking(descriptor, False)
    end = clock.monotonic() + _HAND_OVER_S
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while data:
        try:
            data = data[os.write(descriptor, data):]
        except BlockingIOError:
            left_s = end - clock.monotonic()
            if left_s <= 0:
                return False
            poll.poll(left_s * 1000)
    return True


def after_run(history: History, run_id: int, pipeline: Pipeline, task: Task, now: float,
              report: Callable[[str], None], may_prune: bool = True) -> None:
    """Start what is to follow a run that has ended, where anything is. Never raises for a history that fails.

    :param now: epoch seconds
    :param may_prune: False where a run is about to begin: taking files away makes new ones dear for minutes
    """
    from db.destinations import is_anything_waiting
    try:
        task.notify = bool(pipeline.notifications) and pipeline.features.get("notifications", True) \
            and has_something_to_say(history, run_id, pipeline)
        if may_prune and pipeline.features.get("history_retention", True):
            from executioner.retention import is_due
            task.prune = is_due(history, pipeline.application, pipeline.retention, now)
        task.copy = is_anything_waiting(history.database)
        if task.notify:
            task.runbooks = runbooks_of(pipeline.jobs, history, run_id)
    except StorageError as error:
        report("what follows run %d is left to the next command: %s" % (run_id, error.message))
        task.notify = task.copy = task.prune = False
    if task.notify or task.copy or task.prune or task.hide_in:
        pipe = start(task, run_id, "", report)
        if pipe is not None:
            os.close(pipe)

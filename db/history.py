"""The history: what was run, what became of it, and who did what. The only place with SQL besides the adapters.

    history = History.open(path)                          # makes the file, or brings its schema up to date
    run_id = history.create_run(NewRun(...), pipeline)    # one transaction: run, configuration, a row for each job
    journal = history.journal(run_id)                     # a jobs.ports.Journal for the engine
    journal.commit(events)                                # one transaction, durable on return
    history.close()

    history = History.open(path, readonly=True)           # for whoever only reads
    history.runs("nightly", limit=20)                     # newest first; next page: before=last.run_id

Writers wait for each other up to 30 seconds. Every failure is a ``StorageError`` (mostly a ``DatabaseError``) of one
line; ``context["cause"]`` tells kinds apart (``missing``: no history yet; ``disk_full``, ``locked``: try again later).
"""
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from db.interface import DatabaseInterface, Row, SqlValue, storable
from db.migration import apply_pending, pending
from db.migrations import MIGRATIONS
from db.paths import path_of, path_text
from db.sqlite_adapter import SQLiteAdapter
from db.sqlite_file import is_there
from db.tallies import count_run
from jobs.events import (AttemptEnded, AttemptIntended, AttemptStarted, Event, JobEnded, Notice, OutputsKept,
                         RetryScheduled, RunEnded, RunStarted, RunStopping)
from jobs.exceptions import ConfigurationError, DatabaseError, ExecutionerError, InternalError, MigrationError
from jobs.recovery import recovery_text
from jobs.models import FAILURE_STATUSES, FINAL_STATUSES, JobStatus, Pipeline, Retention, RunStatus

if TYPE_CHECKING:
    from jobs.records import AttemptRecord, EventRecord, JobRecord, RunRecord

__all__ = ["ApplicationSettings", "EventKind", "History", "NewRun", "RunJournal", "RunPlaces", "new_home_uuid"]

#: Newer than every run.
_NO_LIMIT = (1 << 63) - 1
#: How many runs, and how many of their jobs, are asked for what a job usually takes.
_USUAL_RUNS = 20
_USUAL_JOBS = 20000
#: Jobs that are read at once where it is not known how many of them are wanted.
_PIECE_OF_JOBS = 1000

_RUN = ("SELECT run_id, application, status, exit_code, config_path, started_at, ended_at, reason, run_uuid, "
        "parent_run_id, config_hash, job_count, options, host, user_name, boot_id, runner_pid, runner_start, "
        "record_path, log_dir FROM runs ")
#: A row for each attempt, so a job of several comes several times, the last one last.
_JOBS = ("SELECT j.position, j.job_id, j.status, j.reason, j.exit_code, j.signal, j.attempts, j.started_at, "
         "j.ended_at, j.duration_s, j.cpu_s, j.max_rss_bytes, j.description, j.allow_failure, j.recovery, r.log_dir, "
         "a.attempt, a.status, a.started_at, a.stdout_path, a.stderr_path, a.ready_at "
         "FROM runs r JOIN jobs j ON j.run_id = r.run_id "
         "LEFT JOIN attempts a ON a.run_id = j.run_id AND a.position = j.position WHERE r.run_id = ? ")
_ATTEMPTS = ("SELECT a.position, j.job_id, a.attempt, a.token, a.status, a.intended_at, a.stdout_path, a.stderr_path, "
             "a.pid, a.pid_start, a.started_at, a.ended_at, a.exit_code, a.signal, a.reason, a.stop_reason, "
             "a.duration_s, a.cpu_s, a.max_rss_bytes, a.survivors, r.log_dir, a.ready_at "
             "FROM runs r JOIN jobs j ON j.run_id = r.run_id "
             "JOIN attempts a ON a.run_id = j.run_id AND a.position = j.position WHERE r.run_id = ? ")
_EVENTS = "SELECT event_id, at, kind, run_id, application, job_id, who, why, details FROM events "
_INTEND = ("INSERT INTO attempts (run_id, position, attempt, token, status, intended_at, stdout_path, stderr_path, "
           "ready_at) VALUES (?, ?, ?, ?, 'QUEUED', ?, ?, ?, ?)")
_START_ATTEMPT = ("UPDATE attempts SET status = 'RUNNING', pid = ?, pid_start = ?, started_at = ? "
                  "WHERE run_id = ? AND position = ? AND attempt = ? AND token = ? AND status = 'QUEUED'")
_END_ATTEMPT = ("UPDATE attempts SET status = ?, exit_code = ?, signal = ?, reason = ?, stop_reason = ?, "
                "started_at = COALESCE(?, started_at), ended_at = ?, duration_s = ?, cpu_s = ?, max_rss_bytes = ?, "
                "survivors = ?, pid = COALESCE(?, pid), pid_start = COALESCE(?, pid_start) "
                "WHERE run_id = ? AND position = ? AND attempt = ? AND token = ? AND ended_at IS NULL")
_END_JOB = ("UPDATE jobs SET status = ?, reason = ?, attempts = ?, exit_code = ?, signal = ?, started_at = ?, "
            "ended_at = ?, duration_s = ?, cpu_s = ?, max_rss_bytes = ? "
            "WHERE run_id = ? AND position = ? AND status = 'PENDING'")
_END_RUN = ("UPDATE runs SET status = ?, exit_code = ?, reason = ?, ended_at = ? "
            "WHERE run_id = ? AND status = 'RUNNING'")
_ADD_EVENT = ("INSERT INTO events (run_id, application, job_id, at, kind, who, why, details) "
              "VALUES (?, ?, ?, ?, ?, ?, ?, ?)")


_ADD_OUTPUT = "INSERT INTO outputs (run_id, position, name, value) VALUES (?, ?, ?, ?)"


class EventKind:
    """What an event of the history says; people and the API see these words."""

    RETRY = "retry"
    STOPPING = "stopping"
    NOTICE = "notice"
    CANCEL = "cancel"
    MARK_SUCCESS = "mark_success"
    HOLD = "hold"
    RELEASE = "release"
    LATE = "late"


class RunPlaces(NamedTuple):
    """Where a run keeps its files."""

    #: Folder of the output of its jobs.
    log_dir: str = ""
    #: The keeper's record.
    record_path: str = ""


class ApplicationSettings(NamedTuple):
    """What the last file of an application said that others than its runs must know."""

    application: str
    config_path: str
    #: Seconds that its last success may be old; None = nobody expects anything.
    expect_s: Optional[float]
    retention: Retention


@dataclass(eq=False, repr=False)
class NewRun:
    """What is known of a run before its first job."""

    run_uuid: str
    #: Epoch seconds.
    started_at: float
    #: The run that this one resumes.
    parent_run_id: Optional[int] = None
    #: The options of the command line; must be JSON-able.
    options: Dict[str, Any] = field(default_factory=dict)
    host: str = ""
    user: str = ""
    #: The runner: boot id, pid and start time in clock ticks since boot.
    boot_id: str = ""
    runner_pid: Optional[int] = None
    runner_start: Optional[int] = None
    #: Jobs that are final before anything starts (kept from the run that is resumed, left out, skipped by an option).
    settled: Sequence[JobEnded] = ()
    #: What settled jobs told others, by position.
    outputs: Dict[int, Dict[str, str]] = field(default_factory=dict)


class History:
    """All runs of a home. One user at a time, of any thread; ``open`` makes one for its own use."""

    def __init__(self, database: DatabaseInterface) -> None:
        self._database = database
        self._home_uuid = ""

    @classmethod
    def open(cls, path: str, readonly: bool = False, allow_network_fs: bool = False,
             lock_timeout_s: float = 30.0) -> "History":
        """Open the history, made or brought up to date where it is opened for writing.

        :param path: the SQLite file; its folder must exist
        :param readonly: change nothing; works while others write, and in a folder that cannot be written
        :param allow_network_fs: accept a network file system, at a price in speed
        :param lock_timeout_s: how long another writer is waited for
        :raises DatabaseError: where the file cannot be used (``context["cause"]``; ``missing``: nothing to read yet)
        :raises MigrationError: where its schema is newer than ours, or older and it is only read
        """
        if not readonly and not is_there(path):
            SQLiteAdapter.create(path, _build, allow_network_fs, lock_timeout_s)
        database = SQLiteAdapter(path, readonly, allow_network_fs, lock_timeout_s)
        try:
            left = pending(database, MIGRATIONS)
            if left and readonly:
                found, known = left[0].version - 1, MIGRATIONS[-1].version
                raise MigrationError("%s has an older schema (%d, this executioner reads %d); run `executioner db "
                                     "migrate`" % (database.where, found, known),
                                     context={"path": database.where, "found": found, "known": known})
            if left:
                apply_pending(database, MIGRATIONS)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def database(self) -> DatabaseInterface:
        """The connection, for the other modules of this folder."""
        return self._database

    @property
    def where(self) -> str:
        """The history's place, for messages."""
        return self._database.where

    def change_mark(self) -> Optional[int]:
        """A number that a commit of anybody else changes; None where that cannot be told."""
        return self._database.change_mark()

    def close(self) -> None:
        """End the connection; what was committed is kept. A second call does nothing."""
        self._database.close()

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def home_uuid(self) -> str:
        """The UUID of this home: with it a run id means one run in the world."""
        if not self._home_uuid:
            row = self._database.fetchone("SELECT value FROM meta WHERE name = 'home_uuid'")
            if row is None:
                raise DatabaseError("%s: the home's UUID is missing; restore a backup" % self.where,
                                    context={"path": self.where, "cause": "malformed"})
            self._home_uuid = str(row[0])
        return self._home_uuid

    # ---- writing -------------------------------------------------------------------------------------------------

    def create_run(self, new: NewRun, pipeline: Pipeline,
                   place: Optional[Callable[[int], RunPlaces]] = None) -> int:
        """Record a run that is about to start, with a row for each of its jobs, in one durable transaction.

        :param place: names the run's files by its id; called inside the transaction, so it must not wait
        :returns: the run's id, never given before
        :raises DatabaseError: where it cannot be kept; nothing of it was kept then
        """
        database = self._database
        settled = {event.position: event for event in new.settled}
        with database.transaction():
            if database.fetchone("SELECT 1 FROM configurations WHERE config_hash = ?", (pipeline.config_hash,)) is None:
                database.execute("INSERT INTO configurations (config_hash, config_text) VALUES (?, ?)",
                                 (pipeline.config_hash, pipeline.config_text))
            run_id = database.insert(
                "INSERT INTO runs (run_uuid, parent_run_id, application, status, reason, config_hash, config_path, "
                "options, job_count, host, user_name, boot_id, runner_pid, runner_start, record_path, log_dir, "
                "started_at, untold) VALUES (?, ?, ?, 'RUNNING', '', ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, ?)",
                (new.run_uuid, new.parent_run_id, pipeline.application, pipeline.config_hash,
                 path_text(pipeline.config_path), _json(new.options),
                 len(pipeline.jobs), new.host, new.user, new.boot_id, new.runner_pid,
                 new.runner_start, new.started_at, int(bool(pipeline.notifications))), "run_id")
            self._keep_application(pipeline)
            if pipeline.server is not None:
                from db.destinations import add_to_destination
                add_to_destination(database, run_id, str(pipeline.server))
            if place is not None:
                places = place(run_id)
                database.execute("UPDATE runs SET log_dir = ?, record_path = ? WHERE run_id = ?",
                                 (path_text(places.log_dir), path_text(places.record_path), run_id))
            database.executemany(
                "INSERT INTO jobs (run_id, position, job_id, description, allow_failure, recovery, status, reason, "
                "attempts) VALUES (?, ?, ?, ?, ?, ?, 'PENDING', '', 0)",
                [(run_id, position, storable(job.id), storable(job.description), int(job.allow_failure),
                  recovery_text(job, pipeline.secret_values, pipeline.environment, os.environ))
                 for position, job in enumerate(pipeline.jobs)])
            if settled:
                ended = database.executemany(_END_JOB, [_job_values(run_id, event) for event in settled.values()])
                if ended != len(new.settled):
                    raise InternalError("this is a bug: jobs settled before the run are not its own, or twice")
            database.executemany(_ADD_OUTPUT, [
                (run_id, position, storable(name), storable(value))
                for position, outputs in new.outputs.items() for name, value in outputs.items()])
        return run_id

    def _keep_application(self, pipeline: Pipeline) -> None:
        """Remember what others than the runs of an application must know of its file; inside a transaction."""
        kept = pipeline.retention
        values: Tuple[SqlValue, ...] = (path_text(pipeline.config_path), pipeline.expect_s, kept.runs, kept.age_s,
                                        kept.size_bytes)
        columns = "config_path, expect_s, keep_runs, keep_s, keep_bytes"
        found = self._database.fetchone("SELECT %s FROM applications WHERE application = ?" % columns,
                                        (pipeline.application,))
        if found is None:
            self._database.execute("INSERT INTO applications (%s, application) VALUES (?, ?, ?, ?, ?, ?)" % columns,
                                   values + (pipeline.application,))
        elif tuple(found) != values:
            self._database.execute(
                "UPDATE applications SET config_path = ?, expect_s = ?, keep_runs = ?, keep_s = ?, keep_bytes = ? "
                "WHERE application = ?", values + (pipeline.application,))

    def journal(self, run_id: int) -> "RunJournal":
        """Where the engine makes the events of a run durable.

        :raises DatabaseError: where there is no such run (cause ``missing``)
        """
        row = self._database.fetchone("SELECT log_dir FROM runs WHERE run_id = ?", (run_id,))
        if row is None:
            raise DatabaseError("%s: there is no run %d" % (self.where, run_id),
                                context={"path": self.where, "cause": "missing"})
        return RunJournal(self._database, run_id, path_of(row[0]))

    def add_event(self, kind: str, at: float, run_id: Optional[int] = None, application: str = "",
                  job_id: Optional[str] = None, who: str = "", why: str = "",
                  details: Optional[Dict[str, Any]] = None) -> int:
        """Record an act of a person or of another program (cancel, hold, release, mark-success), durably.

        :param kind: an ``EventKind``
        :param at: epoch seconds
        :param run_id: the run that is meant; None where it is the application (``hold``, ``release``)
        :param details: must be JSON-able
        :returns: the event's id; ids grow
        :raises DatabaseError: where it cannot be kept, also where there is no such run
        """
        with self._database.transaction():
            return self._database.insert(
                _ADD_EVENT, (run_id, application or None, job_id, at, kind, who, why, _json(details or {})), "event_id")

    # ---- reading: runs -------------------------------------------------------------------------------------------

    def runs(self, application: Optional[str] = None, status: Optional[str] = None, limit: int = 20,
             before: Optional[int] = None) -> "List[RunRecord]":
        """A page of runs without their jobs, newest first.

        :param status: a ``RunStatus``
        :param before: only runs with a smaller id: the last one of the page before
        """
        where, values = "", []  # type: str, List[SqlValue]
        if application is not None:
            where += "application = ? AND "
            values.append(application)
        if status is not None:
            where += "status = ? AND "
            values.append(status)
        values += [_NO_LIMIT if before is None else before, max(0, limit)]
        rows = self._database.fetchall(
            self._database.paged(_RUN + "WHERE " + where + "run_id < ? ORDER BY run_id DESC"), values)
        return [self._run_record(row) for row in rows]

    def run(self, run_id: int, with_jobs: bool = True) -> "Optional[RunRecord]":
        """A run with its jobs in the order of the file; None where there is none of that id."""
        row = self._database.fetchone(_RUN + "WHERE run_id = ?", (run_id,))
        if row is None:
            return None
        record = self._run_record(row)
        if with_jobs:
            record.jobs = self.jobs(run_id)
        return record

    def last_run(self, application: str) -> "Optional[RunRecord]":
        """The newest run of an application, running or not, without its jobs."""
        found = self.runs(application, limit=1)
        return found[0] if found else None

    def last_finished(self, application: str, before: Optional[int] = None) -> "Optional[RunRecord]":
        """The newest run of an application that has ended, without its jobs.

        :param before: only runs with a smaller id
        """
        query = _RUN + "WHERE application = ? AND run_id < ? AND status <> 'RUNNING' ORDER BY run_id DESC"
        row = self._database.fetchone(self._database.paged(query),
                                      (application, _NO_LIMIT if before is None else before, 1))
        return None if row is None else self._run_record(row)

    def last_success(self, application: str) -> "Optional[RunRecord]":
        """The newest run of an application that succeeded, without its jobs."""
        found = self.runs(application, RunStatus.SUCCESS, limit=1)
        return found[0] if found else None

    def open_runs(self, application: Optional[str] = None) -> "List[RunRecord]":
        """Every run recorded as running, oldest first, without its jobs; whether its runner lives is not known here."""
        return self.runs(application, RunStatus.RUNNING, limit=_NO_LIMIT)[::-1]

    def chain(self, run_id: int) -> "List[RunRecord]":
        """A run and those that it resumes, newest first, without their jobs."""
        found: "List[RunRecord]" = []
        wanted: Optional[int] = run_id
        while wanted is not None and (not found or wanted < found[-1].run_id):
            record = self.run(wanted, with_jobs=False)
            if record is None:
                break
            found.append(record)
            wanted = record.parent_run_id
        return found

    def resolve(self, text: str, application: Optional[str] = None) -> int:
        """The id of the run that a person means: an id, ``last``, ``-1`` (the last), ``-2`` (the one before), or the
        name of an application (its last run).

        :param application: ``last`` and the negative numbers count only its runs
        :raises ConfigurationError: where there is no such run
        """
        wanted = text.strip()
        of = " of %s" % application if application is not None else ""
        digits = wanted.lstrip("-")
        if wanted == "last" or (wanted == "-" + digits and _is_number(digits, 6) and int(digits)):
            back = 1 if wanted == "last" else int(digits)
            found = self.runs(application, limit=back)
            if len(found) == back:
                return found[-1].run_id
            problem = "there are only %d runs%s" % (len(found), of) if found else "there are no runs%s" % of
        elif _is_number(wanted, 18):
            record = self.run(int(wanted), with_jobs=False)
            if record is not None:
                return record.run_id
            newest = self.runs(application, limit=1)
            problem = "the newest%s is %d" % (of, newest[0].run_id) if newest else "there are no runs%s" % of
        else:
            named = self.last_run(wanted)
            if named is not None:
                return named.run_id
            problem = "expected a number, last, -1 for the last one, or the name of an application that has runs"
        raise ConfigurationError("no run %s: %s" % (wanted, problem), context={"run": text, "application": application})

    def applications(self) -> List[str]:
        """The names of all applications that have runs, sorted."""
        found: List[str] = []
        query = self._database.paged("SELECT application FROM runs WHERE application > ? ORDER BY application")
        while True:
            # From name to name: a DISTINCT would read every run there is.
            row = self._database.fetchone(query, (found[-1] if found else "", 1))
            if row is None:
                return found
            found.append(row[0])

    def configuration(self, config_hash: str) -> Optional[str]:
        """The text of a configuration that was run, secret values replaced; None where none has that hash."""
        row = self._database.fetchone("SELECT config_text FROM configurations WHERE config_hash = ?", (config_hash,))
        return None if row is None else str(row[0])

    def application_settings(self) -> List[ApplicationSettings]:
        """What the last file of each application said that others must know, sorted by name."""
        return [ApplicationSettings(row[0], path_of(str(row[1])), row[2], Retention(row[3], row[4], row[5]))
                for row in self._database.fetchall(
                    "SELECT application, config_path, expect_s, keep_runs, keep_s, keep_bytes FROM applications "
                    "ORDER BY application")]

    # ---- reading: jobs -------------------------------------------------------------------------------------------

    def jobs(self, run_id: int, statuses: Sequence[str] = (), limit: Optional[int] = None,
             after: int = -1) -> "List[JobRecord]":
        """Jobs of a run in the order of the file, with the output of their last attempts.

        A job that is not final is ``RUNNING``, ``QUEUED``, ``RETRYING`` or ``PENDING``, as its attempts say.

        :param statuses: only jobs in one of these
        :param limit: at most so many
        :param after: only jobs with a larger ``position``: the last one of the page before
        """
        if limit is not None and statuses and not FINAL_STATUSES.issuperset(statuses):
            return self._live_jobs(run_id, statuses, max(0, limit), after)
        # One statement, so that a job and its attempts are of the same moment.
        query = _JOBS + "AND j.position > ? "
        values: List[SqlValue] = [run_id, after]
        if limit is not None and not statuses:
            query += "AND j.position <= ? "
            values.append(after + max(0, limit))
        elif statuses:
            recorded = sorted({status if status in FINAL_STATUSES else JobStatus.PENDING for status in statuses})
            wanted = "status IN (%s) " % ", ".join("?" * len(recorded))
            if limit is not None:
                # Which jobs are on the page, before it is known how many attempts they had.
                page = self._database.fetchall(self._database.paged(
                    "SELECT position FROM jobs WHERE run_id = ? AND position > ? AND " + wanted + "ORDER BY position"),
                    values + list(recorded) + [max(0, limit)])
                query += "AND j.position <= ? "
                values.append(page[-1][0] if page else after)
            query += "AND j." + wanted
            values += recorded
        rows = self._database.fetchall(query + "ORDER BY j.position, a.attempt", values)
        last = {row[0]: row for row in rows}
        records = [self._job_record(row) for row in last.values()]
        waits = _waits(rows)
        for record in records:
            record.waited_s = waits.get(record.position)
        if statuses:
            records = [record for record in records if record.status in statuses]
        self._tell_why_retrying(run_id, records)
        return records

    def _live_jobs(self, run_id: int, statuses: Sequence[str], limit: int, after: int) -> "List[JobRecord]":
        """A page of jobs of which some are not final: whether a job is on it, only its attempts tell."""
        found: "List[JobRecord]" = []
        last = self._database.fetchone("SELECT max(position) FROM jobs WHERE run_id = ?", (run_id,))
        end = -1 if last is None or last[0] is None else int(last[0])
        while len(found) < limit and after < end:
            found += [record for record in self.jobs(run_id, limit=_PIECE_OF_JOBS, after=after)
                      if record.status in statuses]
            after += _PIECE_OF_JOBS
        return found[:limit]

    def job_counts(self, run_id: int) -> Dict[str, int]:
        """How many jobs of a run are in each status that occurs; those that are not final count as ``PENDING``."""
        return {row[0]: row[1] for row in self._database.fetchall(
            "SELECT status, count(*) FROM jobs WHERE run_id = ? GROUP BY status ORDER BY status", (run_id,))}

    def failure_count(self, run_id: int) -> int:
        """How many jobs of a run failed that may not."""
        values: List[SqlValue] = [run_id]
        values += sorted(FAILURE_STATUSES)
        row = self._database.fetchone(
            "SELECT count(*) FROM jobs WHERE run_id = ? AND allow_failure = 0 AND status IN (%s)" % ", ".join(
                "?" * (len(values) - 1)), values)
        return 0 if row is None else int(row[0])

    def attempts(self, run_id: int, job: Union[int, str, None] = None) -> "List[AttemptRecord]":
        """The attempts of a run in the order of its jobs, each job's in order.

        :param job: only those of one job, named by its position or its id
        """
        query, values = _ATTEMPTS, [run_id]  # type: str, List[SqlValue]
        if job is not None:
            query += "AND j.position = ? " if isinstance(job, int) else "AND j.job_id = ? "
            values.append(job)
        rows = self._database.fetchall(query + "ORDER BY a.position, a.attempt", values)
        return [self._attempt_record(row) for row in rows]

    def usual_durations(self, application: str) -> Dict[str, float]:
        """Seconds that each job of an application usually takes: the median of its recent successes."""
        seen: Dict[str, List[float]] = {}
        budget = _USUAL_JOBS
        for run in self.runs(application, limit=_USUAL_RUNS):
            for job_id, duration_s in self._database.fetchall(
                    "SELECT job_id, duration_s FROM jobs WHERE run_id = ? AND status = 'SUCCESS' AND attempts > 0 "
                    "AND duration_s IS NOT NULL", (run.run_id,)):
                seen.setdefault(job_id, []).append(duration_s)
            budget -= run.job_count
            if budget <= 0:
                break
        return {job_id: _median(durations) for job_id, durations in seen.items()}

    def last_tries(self, application: str, job_ids: Set[str]) -> Dict[str, Tuple[int, str]]:
        """How the last attempts of jobs came out: run and status, by id. Of the recent runs of the application.

        Somebody's word that one is done (``mark-success``) counts as a success.
        """
        found: Dict[str, Tuple[int, str]] = {}
        budget = _USUAL_JOBS
        for run in self.runs(application, limit=_USUAL_RUNS):
            tried = [(job_id, status) for job_id, status in self._database.fetchall(
                "SELECT job_id, status FROM jobs WHERE run_id = ? AND (attempts > 0 OR status = ?)",
                (run.run_id, JobStatus.LOST)) if job_id in job_ids and job_id not in found]
            marked = self.marks(run.run_id) if any(status != JobStatus.SUCCESS for _, status in tried) else {}
            for job_id, status in tried:
                found[job_id] = (run.run_id, JobStatus.SUCCESS if job_id in marked else status)
            budget -= run.job_count
            if budget <= 0 or len(found) == len(job_ids):
                break
        return found

    # ---- reading: events -----------------------------------------------------------------------------------------

    def events(self, run_id: int, kind: Optional[str] = None, after: int = 0,
               limit: int = 1000) -> "List[EventRecord]":
        """What was done to a run or noticed in it, oldest first.

        :param kind: only one ``EventKind``
        :param after: only events with a larger id: the last one seen
        """
        return self._events("run_id = ? AND event_id > ?", [run_id, after], kind, "event_id", limit)

    def application_events(self, application: str, kind: Optional[str] = None, limit: int = 100) -> "List[EventRecord]":
        """What was done to an application as such (``hold``, ``release``), newest first."""
        return self._events("application = ?", [application], kind, "event_id DESC", limit)

    def outputs(self, run_id: int) -> Dict[str, Dict[str, str]]:
        """What the jobs of a run told others, by job id; what was kept from its parent included."""
        told: Dict[str, Dict[str, str]] = {}
        for job_id, name, value in self._database.fetchall(
                "SELECT j.job_id, o.name, o.value FROM outputs o JOIN jobs j ON j.run_id = o.run_id "
                "AND j.position = o.position WHERE o.run_id = ?", (run_id,)):
            told.setdefault(job_id, {})[name] = value
        return told

    def marks(self, run_id: int) -> "Dict[str, EventRecord]":
        """The jobs of a run that somebody marked as success, by id."""
        marks = self.events(run_id, EventKind.MARK_SUCCESS, limit=_NO_LIMIT)
        return {event.job_id: event for event in marks if event.job_id}

    def holds(self, application: str) -> "Dict[str, EventRecord]":
        """The jobs of an application that are held, by id: the last ``hold`` that no ``release`` followed."""
        rows = self._database.fetchall(
            _EVENTS + "WHERE application = ? AND kind IN ('hold', 'release') ORDER BY event_id", (application,))
        held: "Dict[str, EventRecord]" = {}
        for event in map(self._event_record, rows):
            if event.job_id is None:
                continue
            if event.kind == EventKind.HOLD:
                held[event.job_id] = event
            else:
                held.pop(event.job_id, None)
        return held

    def _events(self, where: str, values: List[SqlValue], kind: Optional[str], order: str,
                limit: int) -> "List[EventRecord]":
        if kind is not None:
            where += " AND kind = ?"
            values.append(kind)
        rows = self._database.fetchall(
            self._database.paged(_EVENTS + "WHERE %s ORDER BY %s" % (where, order)), values + [max(0, limit)])
        return [self._event_record(row) for row in rows]

    # ---- rows to records -----------------------------------------------------------------------------------------

    def _require_text(self, what: str, name: object, row: Row) -> None:
        # No column of ours holds bytes: a bit that fell over in the header of a row makes them of text.
        if bytes in map(type, row):
            raise self._impossible(what, name, TypeError("bytes where a text belongs"))

    def _run_record(self, row: Row) -> "RunRecord":
        from jobs.records import RunRecord
        self._require_text("run", row[0], row)
        try:
            return RunRecord(
                run_id=row[0], application=row[1], status=row[2], exit_code=row[3], config_path=path_of(row[4]),
                started_at=row[5], ended_at=row[6], reason=row[7], run_uuid=row[8], parent_run_id=row[9],
                config_hash=row[10], job_count=row[11], options=_object(row[12]), host=row[13], user=row[14],
                boot_id=row[15], runner_pid=row[16], runner_start=row[17], record_path=path_of(row[18]),
                log_dir=path_of(row[19]))
        except (ExecutionerError, TypeError, ValueError) as error:
            raise self._impossible("run", row[0], error) from error

    def _job_record(self, row: Row) -> "JobRecord":
        from jobs.records import JobRecord
        (position, job_id, status, reason, exit_code, signal, attempts, started_at, ended_at, duration_s, cpu_s,
         max_rss_bytes, description, allow_failure, recovery, log_dir, attempt, attempt_status, attempt_started_at,
         stdout, stderr, _) = row
        self._require_text("job", position, row)
        if status == JobStatus.PENDING and attempt is not None:
            status = attempt_status if attempt_status in (JobStatus.QUEUED, JobStatus.RUNNING) else JobStatus.RETRYING
            attempts, started_at = attempt, attempt_started_at
        return JobRecord(
            job_id=job_id, status=status, reason=reason, exit_code=exit_code, signal=signal, attempts=attempts,
            started_at=started_at, ended_at=ended_at, duration_s=duration_s, cpu_s=cpu_s, max_rss_bytes=max_rss_bytes,
            stdout_path=None if attempt is None else _absolute(log_dir, stdout),
            stderr_path=None if attempt is None else _absolute(log_dir, stderr), position=position,
            description=description, allow_failure=bool(allow_failure), recovery=recovery)

    def _attempt_record(self, row: Row) -> "AttemptRecord":
        from jobs.records import AttemptRecord
        self._require_text("attempt", row[3], row)
        try:
            return AttemptRecord(
                position=row[0], job_id=row[1], attempt=row[2], token=row[3], status=row[4], intended_at=row[5],
                stdout_path=_absolute(row[20], row[6]), stderr_path=_absolute(row[20], row[7]), pid=row[8],
                pid_start=row[9], started_at=row[10], ended_at=row[11], exit_code=row[12], signal=row[13],
                reason=row[14] or "", stop_reason=row[15] or "", duration_s=row[16], cpu_s=row[17],
                max_rss_bytes=row[18], survivors=tuple(json.loads(row[19])) if row[19] else (), ready_at=row[21])
        except (TypeError, ValueError) as error:
            raise self._impossible("attempt", row[3], error) from error

    def _event_record(self, row: Row) -> "EventRecord":
        from jobs.records import EventRecord
        self._require_text("event", row[0], row)
        try:
            return EventRecord(event_id=row[0], at=row[1], kind=row[2], run_id=row[3], application=row[4] or "",
                               job_id=row[5], who=row[6], why=row[7], details=_object(row[8]))
        except (TypeError, ValueError) as error:
            raise self._impossible("event", row[0], error) from error

    def _impossible(self, what: str, name: object, error: Exception) -> DatabaseError:
        return DatabaseError("%s: the database is damaged (%s %s: %s); restore a backup, or move it away" % (
            self.where, what, name, " ".join(str(error).split())), context={"path": self.where, "cause": "malformed"})

    def _tell_why_retrying(self, run_id: int, records: "Sequence[JobRecord]") -> None:
        waiting = {record.job_id: record for record in records if record.status == JobStatus.RETRYING}
        if waiting:
            for job_id, why in self._database.fetchall(
                    "SELECT job_id, why FROM events WHERE run_id = ? AND kind = 'retry' ORDER BY event_id", (run_id,)):
                if job_id in waiting:
                    waiting[job_id].reason = why


class RunJournal:
    """Makes the events of one run durable: a ``jobs.ports.Journal``.

    A commit that fails has kept nothing and may be tried again with the same events.
    """

    def __init__(self, database: DatabaseInterface, run_id: int, log_dir: str) -> None:
        self._database = database
        self._run_id = run_id
        self._folder = log_dir.rstrip("/") + "/" if log_dir else ""

    def flushed(self) -> bool:
        """Whether no write transaction is open."""
        return not self._database.in_transaction

    def commit(self, events: Sequence[Event]) -> None:
        """Keep the events in one transaction; on return they survive a power cut.

        An attempt's start or end that is already recorded (a result imported once more) changes nothing.

        :raises StorageError: where they cannot be kept; nothing of them was kept then
        :raises InternalError: for an attempt that was never intended, a second end of a job or of the run
        """
        rows = _Rows(self._run_id, self._folder)
        for event in events:
            rows.add(event)
        if not rows.is_empty:
            with self._database.transaction():
                self._write(rows)

    def _write(self, rows: "_Rows") -> None:
        database = self._database
        if rows.intended:
            try:
                database.executemany(_INTEND, rows.intended)
            except DatabaseError as error:
                if error.context.get("cause") == "constraint":
                    raise InternalError("this is a bug: run %d: an attempt is intended twice, or for a job that is not "
                                        "there: %s" % (self._run_id, error.message)) from error
                raise
        if rows.started:
            self._set_attempts(_START_ATTEMPT,
                               [_started_values(self._run_id, event) for event in rows.started.values()])
        if rows.ended:
            self._set_attempts(_END_ATTEMPT, rows.ended)
        if rows.jobs and database.executemany(_END_JOB, rows.jobs) != len(rows.jobs):
            raise InternalError("this is a bug: run %d: a final status would be overwritten, among jobs at %s" % (
                self._run_id, ", ".join(str(values[-1]) for values in rows.jobs[:20])))
        if rows.outputs:
            database.executemany(_ADD_OUTPUT, rows.outputs)
        if rows.events:
            database.executemany(_ADD_EVENT, rows.events)
        for event in rows.run_ends:
            values = (event.status, event.exit_code, event.reason, event.at, self._run_id)
            if event.run_id != self._run_id or database.execute(_END_RUN, values) != 1:
                raise InternalError("this is a bug: run %d has ended before, or another is meant: %d"
                                    % (self._run_id, event.run_id))
            count_run(database, self._run_id, event.status, event.at)

    def _set_attempts(self, sql: str, values: List[Tuple[SqlValue, ...]]) -> None:
        """Compare and set: where less was set than asked for, each attempt must at least be the one that is meant."""
        if self._database.executemany(sql, values) == len(values):
            return
        for row in values:
            if self._database.fetchone(
                    "SELECT 1 FROM attempts WHERE run_id = ? AND position = ? AND attempt = ? AND token = ?",
                    row[-4:]) is None:
                raise InternalError("this is a bug: run %d: attempt %r (job %r, attempt %r) was never intended" % (
                    self._run_id, row[-1], row[-3], row[-2]))


class _Rows:
    """Events as rows, grouped by the statement that keeps them; the start and the end of one attempt are one row."""

    def __init__(self, run_id: int, folder: str) -> None:
        self.run_id = run_id
        self.folder = folder
        self.intended: List[Tuple[SqlValue, ...]] = []
        self.started: Dict[str, AttemptStarted] = {}
        self.ended: List[Tuple[SqlValue, ...]] = []
        self.jobs: List[Tuple[SqlValue, ...]] = []
        self.events: List[Tuple[SqlValue, ...]] = []
        self.outputs: List[Tuple[SqlValue, ...]] = []
        self.run_ends: List[RunEnded] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.intended or self.started or self.ended or self.jobs or self.events or self.outputs
                    or self.run_ends)

    def add(self, event: Event) -> None:
        """Take an event, in the order of the stream."""
        if isinstance(event, AttemptEnded):
            self.ended.append(_ended_values(self.run_id, event, self.started.pop(event.token, None)))
        elif isinstance(event, JobEnded):
            self.jobs.append(_job_values(self.run_id, event))
        elif isinstance(event, AttemptIntended):
            self.intended.append((self.run_id, event.position, event.attempt, event.token, event.at,
                                  self._inside(event.stdout_path), self._inside(event.stderr_path), event.ready_at))
        elif isinstance(event, AttemptStarted):
            self.started[event.token] = event
        elif isinstance(event, OutputsKept):
            self.outputs += [(self.run_id, event.position, storable(name), storable(value))
                             for name, value in event.outputs.items()]
        elif isinstance(event, RetryScheduled):
            self._note(event.at, EventKind.RETRY, event.reason, event.job_id,
                       {"attempt": event.attempt, "delay_s": event.delay_s})
        elif isinstance(event, Notice):
            details: Dict[str, Any] = {"level": event.level}
            if event.error_code:
                details["error_code"] = event.error_code
            if event.context:
                details["context"] = dict(event.context)
            self._note(event.at, EventKind.NOTICE, event.message, event.job_id, details)
        elif isinstance(event, RunStopping):
            self._note(event.at, EventKind.STOPPING, event.reason, None, {})
        elif isinstance(event, RunEnded):
            self.run_ends.append(event)
        elif not isinstance(event, RunStarted):
            raise InternalError("this is a bug: the history does not know the event %r" % (event,))

    def _note(self, at: float, kind: str, why: str, job_id: Optional[str], details: Dict[str, Any]) -> None:
        self.events.append((self.run_id, None, storable(job_id), at, kind, "", storable(why), _json(details)))

    def _inside(self, path: str) -> SqlValue:
        if self.folder and path.startswith(self.folder):
            path = path[len(self.folder):]
        return storable(path)


def _started_values(run_id: int, event: AttemptStarted) -> Tuple[SqlValue, ...]:
    return (storable(event.pid), storable(event.pid_start), event.at,
            run_id, event.position, event.attempt, event.token)


def _ended_values(run_id: int, event: AttemptEnded, started: Optional[AttemptStarted]) -> Tuple[SqlValue, ...]:
    outcome = event.outcome
    started_at = outcome.started_at
    pid: Optional[int] = None
    pid_start: Optional[int] = None
    if started is not None:
        pid, pid_start = started.pid, started.pid_start
        started_at = started.at if started_at is None else started_at
    return (outcome.status, storable(outcome.exit_code), outcome.signal, storable(outcome.reason), outcome.stop_reason,
            started_at, event.at if outcome.ended_at is None else outcome.ended_at, outcome.duration_s, outcome.cpu_s,
            storable(outcome.max_rss_bytes), _json(list(outcome.survivors)) if outcome.survivors else None,
            storable(pid), storable(pid_start), run_id, event.position, event.attempt, event.token)


def _job_values(run_id: int, event: JobEnded) -> Tuple[SqlValue, ...]:
    if event.status not in FINAL_STATUSES:
        raise InternalError("this is a bug: job %s ends as %r" % (event.job_id, event.status))
    return (event.status, storable(event.reason), event.attempts, storable(event.exit_code), event.signal,
            event.started_at, event.at, event.duration_s, event.cpu_s, storable(event.max_rss_bytes),
            run_id, event.position)


def _waits(rows: Sequence[Row]) -> Dict[int, float]:
    """Seconds that the attempts of jobs waited for their turns, by position, of rows of ``_JOBS``."""
    waits: Dict[int, float] = {}
    for row in rows:
        position, started_at, ready_at = row[0], row[18], row[21]
        if started_at is not None and ready_at is not None:
            waits[position] = waits.get(position, 0.0) + max(0.0, started_at - ready_at)
    return waits


def _absolute(folder: str, path: str) -> str:
    """What ``RunJournal`` made relative to the run's folder."""
    if not path or path.startswith("/") or not folder:
        return path_of(path) if path else path
    return path_of(folder).rstrip("/") + "/" + path


def _is_number(text: str, most_digits: int) -> bool:
    return 0 < len(text) <= most_digits and all("0" <= character <= "9" for character in text)


def _json(value: Union[Dict[str, Any], List[str]]) -> str:
    # ASCII escapes keep lone surrogates storable.
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _object(text: str) -> Dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("expected an object, found %s" % text[:40])
    return value


def _median(values: List[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2.0


def new_home_uuid() -> str:
    """A random UUID (version 4); the module ``uuid`` costs an import."""
    random = bytearray(os.urandom(16))
    random[6] = random[6] & 0x0F | 0x40
    random[8] = random[8] & 0x3F | 0x80
    text = bytes(random).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _build(database: DatabaseInterface) -> None:
    """A history without runs."""
    apply_pending(database, MIGRATIONS)
    database.execute("INSERT INTO meta (name, value) VALUES ('home_uuid', ?)", (new_home_uuid(),))

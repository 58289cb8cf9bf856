"""A new history from what is left of a damaged one: rows that SQLite can still read, and traces found elsewhere.

Nothing is claimed that is not known: a run that may lack jobs is marked as rebuilt (a resume then runs nothing of which
it knows nothing), and what ended nobody knows how is LOST. The damaged file is kept.
"""
import json
import os
import sqlite3
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from db.checks import inconsistencies
from db.history import History
from db.interface import SqlValue, storable
from db.paths import path_text
from db.sqlite_adapter import SQLiteAdapter
from db.sqlite_file import file_uri
from db.upkeep import put_in_place
from db.writer_lock import WriterLock, lock_path
from jobs.exceptions import EXIT_FAILED, ConfigurationError
from jobs.models import FINAL_STATUSES, RUN_STATUSES, JobStatus, RunStatus

__all__ = ["Rebuilt", "TracedAttempt", "TracedJob", "TracedRun", "rebuild"]

_REASON = "the history was damaged, and rebuilt without it"
#: The configuration of runs whose own is gone: empty, so that a resume asks for the current one.
_NO_CONFIGURATION = "not-recovered"
_LOCK_S = 30.0
#: Tables that are made with the new file.
_NOT_COPIED = ("schema_version",)


class TracedAttempt:
    """What is known of an attempt without the history."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.token = ""
        self.status = ""
        self.reason = ""
        self.exit_code: Optional[int] = None
        self.signal: Optional[str] = None
        self.pid: Optional[int] = None
        self.started_at: Optional[float] = None
        self.ended_at: Optional[float] = None
        self.duration_s: Optional[float] = None
        self.cpu_s: Optional[float] = None
        self.stdout_path = ""
        self.stderr_path = ""


class TracedJob:
    """What is known of a job; ``status`` is "" where nobody said how it ended."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.position: Optional[int] = None
        self.status = ""
        self.reason = ""
        self.exit_code: Optional[int] = None
        self.signal: Optional[str] = None
        self.ended_at: Optional[float] = None
        self.duration_s: Optional[float] = None
        #: How many there were, where somebody said so.
        self.attempt_count: Optional[int] = None
        self.attempts: Dict[int, TracedAttempt] = {}


class TracedRun:
    """What is known of a run."""

    def __init__(self, run_id: int) -> None:
        self.run_id = run_id
        self.run_uuid = ""
        self.application = "unknown"
        self.config_path = ""
        self.job_count: Optional[int] = None
        self.status = ""
        self.exit_code: Optional[int] = None
        self.reason = ""
        self.started_at = 0.0
        self.ended_at: Optional[float] = None
        self.log_dir = ""
        self.record_path = ""
        self.jobs: Dict[str, TracedJob] = {}


class Rebuilt(NamedTuple):
    """What a rebuild found."""

    #: Rows that could be read from the damaged file, by table.
    rows: Dict[str, int]
    #: Tables that could be read in part only, or not at all.
    unreadable: List[str]
    #: Runs that were made from traces, and those among them that may lack jobs.
    traced: List[int]
    partial: List[int]
    #: What does not agree in the new history.
    problems: List[str]
    #: Where the damaged file is; None where there was none.
    aside: Optional[str]
    path: str

    def lines(self) -> List[str]:
        """For a person."""
        read = ", ".join("%d of %s" % (count, table) for table, count in sorted(self.rows.items()) if count)
        lines = ["%s is rebuilt" % self.path, "rows read from the damaged file: %s" % (read or "none")]
        if self.unreadable:
            lines.append("could not be read, in part or at all: %s" % ", ".join(self.unreadable))
        lines.append("runs made from the log, the records and the output: %s" % (_numbers(self.traced) or "none"))
        if self.partial:
            lines.append("of these runs jobs may be missing: %s" % _numbers(self.partial))
        lines += ["does not agree: " + problem for problem in self.problems]
        lines.append("not recovered but where rows could be read: configurations, cancels, holds and marks of people")
        if self.aside is not None:
            lines.append("the damaged file is kept as %s" % self.aside)
        return lines


def _numbers(run_ids: Sequence[int]) -> str:
    return ", ".join(map(str, run_ids))


def rebuild(path: str, traces: Sequence[TracedRun], busy: Sequence[str], allow_network_fs: bool = False) -> Rebuilt:
    """Build a new history and put it in the place of the damaged one, which is kept beside it.

    :param traces: runs that are known without the history
    :param busy: what still runs; nothing is done then
    :raises ConfigurationError: where something runs
    :raises StorageError: where the new file cannot be made
    """
    if busy:
        raise ConfigurationError("the history is in use: %s; wait for it or cancel it first" % "; ".join(busy))
    lock = WriterLock(lock_path(path), _LOCK_S)
    lock.acquire()
    new = path + ".rebuilt"
    try:
        _discard(new)
        History.open(new, allow_network_fs=allow_network_fs).close()
        database = SQLiteAdapter(new, allow_network_fs=allow_network_fs)
        try:
            database.execute("PRAGMA foreign_keys=OFF")
            with database.transaction():
                rows, unreadable = _salvage(path, database)
                known = {row[0] for row in database.fetchall("SELECT run_id FROM runs")}
                partial = _complete(database, {run.run_id: run for run in traces})
                for run in traces:
                    if run.run_id not in known and _insert_run(database, run):
                        partial.append(run.run_id)
                _tidy(database)
            problems = database.check_all() + inconsistencies(database)
        finally:
            database.close()
        aside = put_in_place(new, path, "damaged")
        return Rebuilt(rows, unreadable, sorted(run.run_id for run in traces if run.run_id not in known),
                       sorted(set(partial)), problems, aside, path)
    finally:
        _discard(new)
        lock.close()


def _discard(new: str) -> None:
    for name in (new, new + "-wal", new + "-shm", new + "-journal", lock_path(new)):
        try:
            os.unlink(name)
        except FileNotFoundError:
            continue


# ---- rows of the damaged file --------------------------------------------------------------------------------------

def _salvage(path: str, database: SQLiteAdapter) -> Tuple[Dict[str, int], List[str]]:
    """Copy every row that can be read: how many of each table, and the tables that could not be read wholly."""
    rows: Dict[str, int] = {}
    unreadable: List[str] = []
    tables = [row[0] for row in database.fetchall(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
    if not os.path.lexists(path):
        return rows, []
    for table in tables:
        if table in _NOT_COPIED:
            continue
        columns = [str(row[1]) for row in database.fetchall("PRAGMA table_info(%s)" % table)]
        found, whole = _read(path, table, columns)
        if not whole:
            unreadable.append(table)
        rows[table] = 0
        for values in found:
            names = list(values)
            try:
                rows[table] += database.execute(
                    "INSERT OR REPLACE INTO %s (%s) VALUES (%s)" % (
                        table, ", ".join(names), ", ".join("?" * len(names))),
                    [storable(values[name]) for name in names])
            except Exception as error:  # noqa: BLE001 - whatever a damaged row holds, it is passed over
                if not isinstance(error, (ValueError, TypeError)) and type(error).__module__ != "jobs.exceptions":
                    raise
                if table not in unreadable:
                    unreadable.append(table)
    return rows, unreadable


def _read(path: str, table: str, columns: Sequence[str]) -> Tuple[List[Dict[str, SqlValue]], bool]:
    """The rows of a table, from both its ends until the damage; and whether that was all."""
    found: Dict[int, Dict[str, SqlValue]] = {}
    whole = False
    for order in ("", " DESC"):
        connection = None
        try:
            connection = sqlite3.connect(file_uri(path, "mode=ro"), isolation_level=None, uri=True)
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            there = [str(row[1]) for row in connection.execute("PRAGMA table_info(%s)" % table)]
            names = [name for name in columns if name in there]
            if not names:
                return [], False
            for row in connection.execute("SELECT rowid, %s FROM %s NOT INDEXED ORDER BY rowid%s" % (
                    ", ".join(names), table, order)):
                found[row[0]] = dict(zip(names, row[1:]))
            whole = True
        except (sqlite3.Error, OverflowError):
            continue  # what came before the damage is kept
        finally:
            if connection is not None:
                connection.close()
        break
    return [found[rowid] for rowid in sorted(found)], whole


# ---- traces --------------------------------------------------------------------------------------------------------

def _complete(database: SQLiteAdapter, traces: Dict[int, TracedRun]) -> List[int]:
    """Give salvaged runs the jobs that they lack, as far as there are traces; the runs that may still lack some."""
    partial: List[int] = []
    for run_id, job_count, uuid in database.fetchall("SELECT run_id, job_count, run_uuid FROM runs ORDER BY run_id"):
        have = {row[0]: row[1] for row in database.fetchall(
            "SELECT job_id, position FROM jobs WHERE run_id = ?", (run_id,))}
        if len(have) == job_count:
            continue
        traced = traces.get(run_id)
        if traced is not None and traced.run_uuid in ("", uuid):
            _insert_jobs(database, run_id, [job for job in traced.jobs.values() if job.job_id not in have],
                         set(have.values()))
        partial.append(run_id)
        _mark_rebuilt(database, run_id)
    return partial


def _insert_run(database: SQLiteAdapter, run: TracedRun) -> bool:
    """Whether jobs of it may be missing."""
    partial = run.job_count is None or len(run.jobs) != run.job_count
    ended = max([job.ended_at for job in run.jobs.values() if job.ended_at is not None] + [run.started_at])
    if not run.status:
        run.status, run.exit_code = RunStatus.LOST, EXIT_FAILED
        run.reason = "its end was not found when the history was rebuilt"
        run.ended_at = ended
    if database.fetchone("SELECT 1 FROM runs WHERE run_uuid = ?", (run.run_uuid,)) is not None or not run.run_uuid:
        run.run_uuid = os.urandom(16).hex()
    database.execute(
        "INSERT INTO runs (run_id, run_uuid, application, status, exit_code, reason, config_hash, config_path, "
        "options, job_count, host, user_name, boot_id, record_path, log_dir, started_at, ended_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', ?, ?, ?, ?)",
        (run.run_id, run.run_uuid, storable(run.application), run.status, run.exit_code, storable(run.reason),
         _NO_CONFIGURATION, storable(run.config_path), json.dumps({"rebuilt": True}) if partial else "{}",
         len(run.jobs), path_text(run.record_path), path_text(run.log_dir), run.started_at,
         ended if run.ended_at is None else run.ended_at))
    _insert_jobs(database, run.run_id, list(run.jobs.values()), set())
    return partial


def _insert_jobs(database: SQLiteAdapter, run_id: int, jobs: Sequence[TracedJob], taken: Set[int]) -> None:
    for job in jobs:
        if job.position in taken:
            job.position = None
        elif job.position is not None:
            taken.add(job.position)
    free = 0
    for job in jobs:
        if job.position is None:
            while free in taken:
                free += 1
            taken.add(free)
            job.position = free
        _insert_job(database, run_id, job)


def _insert_job(database: SQLiteAdapter, run_id: int, job: TracedJob) -> None:
    attempts = [job.attempts[number] for number in sorted(job.attempts)]
    # Numbers that nothing is known of would make a hole: what lies behind it is told by the job's own row alone.
    attempts = [one for number, one in enumerate(attempts, 1) if one.attempt == number]
    last = attempts[-1] if attempts else None
    if not job.status:
        job.status, job.reason = _verdict(last)
        if last is not None:
            job.exit_code, job.signal, job.ended_at = last.exit_code, last.signal, last.ended_at
            job.duration_s = last.duration_s
    if job.status == JobStatus.SUCCESS and last is not None:
        last.status = JobStatus.SUCCESS
    count = min(len(attempts), len(attempts) if job.attempt_count is None else job.attempt_count)
    started = attempts[0].started_at if attempts else None
    database.execute(
        "INSERT OR REPLACE INTO jobs (run_id, position, job_id, description, allow_failure, status, reason, attempts, "
        "exit_code, signal, started_at, ended_at, duration_s) VALUES (?, ?, ?, '', 0, ?, ?, ?, ?, ?, ?, ?, ?)",
        (run_id, job.position, storable(job.job_id), job.status, storable(job.reason), count, job.exit_code, job.signal,
         started, job.ended_at if job.ended_at is not None else started, job.duration_s))
    for one in attempts:
        at = one.started_at or one.ended_at or 0.0
        status = one.status if one.status in FINAL_STATUSES else JobStatus.LOST
        database.execute(
            "INSERT OR REPLACE INTO attempts (run_id, position, attempt, token, status, intended_at, stdout_path, "
            "stderr_path, pid, started_at, ended_at, exit_code, signal, reason, stop_reason, duration_s, cpu_s) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)",
            (run_id, job.position, one.attempt, storable(one.token), status, at, storable(one.stdout_path),
             storable(one.stderr_path), one.pid, one.started_at, one.ended_at if one.ended_at is not None else at,
             one.exit_code, one.signal, storable(one.reason), one.duration_s, one.cpu_s))


def _verdict(last: Optional[TracedAttempt]) -> Tuple[str, str]:
    if last is None or last.status not in FINAL_STATUSES:
        return JobStatus.LOST, "how it ended was not found when the history was rebuilt"
    if last.status == JobStatus.SUCCESS:
        return JobStatus.LOST, "its process ended well by the keeper's record; whether checks said more is not known"
    return last.status, last.reason


# ---- making it agree -----------------------------------------------------------------------------------------------

def _mark_rebuilt(database: SQLiteAdapter, run_id: int) -> None:
    row = database.fetchone("SELECT options FROM runs WHERE run_id = ?", (run_id,))
    try:
        options = json.loads(row[0]) if row is not None else {}
    except ValueError:
        options = {}
    options = dict(options) if isinstance(options, dict) else {}
    options["rebuilt"] = True
    database.execute("UPDATE runs SET options = ? WHERE run_id = ?", (json.dumps(options, sort_keys=True), run_id))


def _tidy(database: SQLiteAdapter) -> None:
    """Take out what refers to nothing, and close the gaps that are left."""
    marks = ", ".join("'%s'" % status for status in sorted(RUN_STATUSES))
    database.execute("DELETE FROM runs WHERE status NOT IN (%s) "
                     "OR typeof(started_at) NOT IN ('real', 'integer')" % marks)
    finals = ", ".join("'%s'" % status for status in sorted(FINAL_STATUSES) + [JobStatus.PENDING])
    database.execute("DELETE FROM jobs WHERE status NOT IN (%s)" % finals)
    database.execute("INSERT OR IGNORE INTO configurations (config_hash, config_text) SELECT DISTINCT config_hash, '' "
                     "FROM runs WHERE config_hash NOT IN (SELECT config_hash FROM configurations)")
    database.execute("UPDATE runs SET parent_run_id = NULL WHERE parent_run_id IS NOT NULL "
                     "AND (parent_run_id >= run_id OR parent_run_id NOT IN (SELECT run_id FROM runs))")
    while True:
        loose = database.fetchall("PRAGMA foreign_key_check")
        if not loose:
            break
        for table, rowid in {(row[0], row[1]) for row in loose}:
            database.execute("DELETE FROM %s WHERE rowid = ?" % table, (rowid,))
    for run_id, status in database.fetchall("SELECT run_id, status FROM runs"):
        _close_gaps(database, run_id, status)


def _close_gaps(database: SQLiteAdapter, run_id: int, status: str) -> None:
    """Every position has a job; those of a run that has ended have ended, and so have their attempts."""
    rows = database.fetchall("SELECT position FROM jobs WHERE run_id = ? ORDER BY position", (run_id,))
    have = [row[0] for row in rows]
    wanted = max(have) + 1 if have else 0
    for position in set(range(wanted)).difference(have):
        database.execute(
            "INSERT INTO jobs (run_id, position, job_id, description, allow_failure, status, reason, attempts) "
            "VALUES (?, ?, ?, '', 0, ?, ?, 0)", (run_id, position, "unknown-%d" % position, JobStatus.LOST, _REASON))
    database.execute("UPDATE runs SET job_count = ? WHERE run_id = ?", (wanted, run_id))
    if status == RunStatus.RUNNING:
        database.execute("UPDATE runs SET ended_at = NULL WHERE run_id = ?", (run_id,))
        return
    database.execute("UPDATE jobs SET status = ?, reason = ? WHERE run_id = ? AND status = ?",
                     (JobStatus.LOST, _REASON, run_id, JobStatus.PENDING))
    database.execute(
        "UPDATE attempts SET status = ?, ended_at = COALESCE(ended_at, started_at, intended_at), reason = ? "
        "WHERE run_id = ? AND (ended_at IS NULL OR status IN (?, ?))",
        (JobStatus.LOST, _REASON, run_id, JobStatus.QUEUED, JobStatus.RUNNING))
    database.execute(
        "UPDATE jobs SET attempts = (SELECT count(*) FROM attempts a WHERE a.run_id = jobs.run_id "
        "AND a.position = jobs.position) WHERE run_id = ? AND attempts > (SELECT count(*) FROM attempts a "
        "WHERE a.run_id = jobs.run_id AND a.position = jobs.position)", (run_id,))
    database.execute("UPDATE runs SET exit_code = COALESCE(exit_code, ?), ended_at = COALESCE(ended_at, started_at) "
                     "WHERE run_id = ?", (EXIT_FAILED, run_id))

"""Takes over the history of the earlier Executioner: ``jobs_history.db`` with ``job_history`` and ``run_summary``.

Every version of that file is read, columns that are missing are done without. Runs keep their numbers, which must lie
before those of the home's own runs, since numbers grow as time does. What a run was is taken, not what it may tell of
the machine: commands and errors of jobs may hold secrets, and stay in the old file.

Times there have no zone. They are this machine's local time, but ``last_run`` of a job without a duration, which SQLite
filled in, is UTC and the job's end.
"""
import json
import sqlite3
import time
from calendar import timegm
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from db.history import History
from db.interface import SqlValue, storable
from db.sqlite_errors import refusal
from db.sqlite_file import file_uri, is_there
from jobs.digests import sha256_hex
from jobs.models import FAILS_RUN, FINAL_STATUSES, JobStatus, RunStatus

__all__ = ["EarlierJob", "EarlierRun", "Imported", "import_earlier", "read_earlier"]

_UNKNOWN = "unknown"
#: Statuses of runs there that ours call otherwise.
_RUN_STATUSES = {"SUCCESS": RunStatus.SUCCESS, "COMPLETED": RunStatus.SUCCESS, "FAILED": RunStatus.FAILED,
                 "PARTIAL": RunStatus.FAILED, "ERROR": RunStatus.FAILED, "TIMEOUT": RunStatus.FAILED,
                 "CANCELLED": RunStatus.CANCELLED, "INTERRUPTED": RunStatus.CANCELLED, "RUNNING": RunStatus.LOST,
                 "PENDING": RunStatus.LOST}
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
_MOST_RETRIES = 1000


class EarlierJob(NamedTuple):
    """A job of a run of the earlier Executioner."""

    job_id: str
    description: str
    status: str
    reason: str
    attempts: int
    exit_code: Optional[int]
    started_at: Optional[float]
    ended_at: Optional[float]
    duration_s: Optional[float]


class EarlierRun(NamedTuple):
    """A run of the earlier Executioner, as ours know one."""

    run_id: int
    application: str
    status: str
    reason: str
    exit_code: int
    started_at: float
    ended_at: float
    jobs: Tuple[EarlierJob, ...]

    @property
    def run_uuid(self) -> str:
        """The same for the same run, so that it is taken once."""
        return sha256_hex(json.dumps(["jobs_history", self.application, self.run_id, self.started_at]).encode())[:32]


class Imported(NamedTuple):
    """What was taken, or would be."""

    taken: List[EarlierRun]
    #: How many were there already.
    known: int
    #: What could not be taken, a line each.
    problems: List[str]


def import_earlier(history: History, path: str, dry_run: bool = False) -> Imported:
    """Take the runs of an earlier history that are not there yet.

    :param history: the home's; open for writing unless ``dry_run``
    :raises DatabaseError: where the file is none of the earlier Executioner's or cannot be read, or ours refuses
    """
    database = history.database
    runs, problems = read_earlier(path)
    taken: List[EarlierRun] = []
    known = 0
    imported = {row[0] for row in database.fetchall("SELECT run_uuid FROM runs")}
    # Those that were imported bear no runner.
    row = database.fetchone("SELECT min(run_id) FROM runs WHERE boot_id <> ''")
    first_own = row[0] if row is not None else None
    used = {row[0] for row in database.fetchall("SELECT run_id FROM runs")}
    for run in runs:
        if run.run_uuid in imported:
            known += 1
        elif first_own is not None and run.run_id >= first_own:
            problems.append("run %d of %s: the home's own runs begin at %d, and numbers grow as time does; import into "
                            "a new home: executioner --home DIR db import FILE" % (
                                run.run_id, run.application, first_own))
        elif run.run_id in used:
            problems.append("run %d of %s: another run has that number here" % (run.run_id, run.application))
        else:
            used.add(run.run_id)
            taken.append(run)
    if taken and not dry_run:
        with database.transaction():
            for run in taken:
                _insert(history, run)
    return Imported(taken, known, problems)


def read_earlier(path: str) -> Tuple[List[EarlierRun], List[str]]:
    """The runs of a file, oldest first, and what of it cannot be understood, a line each.

    :raises DatabaseError: where it is none of the earlier Executioner's, or cannot be read
    """
    if not is_there(path):
        raise refusal(path, "missing", "there is no such file", "name the jobs_history.db of the earlier Executioner")
    problems: List[str] = []
    try:
        connection = sqlite3.connect(file_uri(path, "mode=ro"), uri=True, timeout=30.0)
        try:
            connection.text_factory = lambda data: data.decode("utf-8", "backslashreplace")
            if not _columns(connection, "job_history") and not _columns(connection, "run_summary"):
                raise refusal(path, "foreign", "it has neither job_history nor run_summary",
                              "name the jobs_history.db of the earlier Executioner")
            summaries = _grouped(_rows(connection, "run_summary"), problems, "run_summary")
            jobs = _grouped(_rows(connection, "job_history"), problems, "job_history")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise refusal(path, "malformed", str(error), "copy it with `sqlite3 FILE .backup`, or repair it") from error
    runs = []
    for run_id in sorted(set(summaries) | set(jobs)):
        run = _run(run_id, summaries.get(run_id, []), jobs.get(run_id, []), problems)
        if run is not None:
            runs.append(run)
    return runs, problems


def _columns(connection: sqlite3.Connection, table: str) -> List[str]:
    return [str(row[1]) for row in connection.execute("PRAGMA table_info(%s)" % table)]


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[Dict[str, Any]]:
    columns = _columns(connection, table)
    if columns:
        # The order of the rows is the order in which the jobs were recorded.
        for row in connection.execute("SELECT * FROM %s" % table):
            yield dict(zip(columns, row))


def _grouped(rows: Iterator[Dict[str, Any]], problems: List[str], table: str) -> Dict[int, List[Dict[str, Any]]]:
    found: Dict[int, List[Dict[str, Any]]] = {}
    for row in rows:
        run_id = _integer(row.get("run_id"))
        if run_id is None or not 0 < run_id < 1 << 53:
            problems.append("%s: a row without a usable run_id (%s)" % (table, ascii(row.get("run_id"))[:40]))
            continue
        found.setdefault(run_id, []).append(row)
    return found


def _run(run_id: int, summaries: List[Dict[str, Any]], rows: List[Dict[str, Any]],
         problems: List[str]) -> Optional[EarlierRun]:
    summaries = sorted(summaries, key=lambda row: _integer(row.get("attempt_id")) or 1)
    latest: Dict[str, EarlierJob] = {}
    for row in sorted(rows, key=lambda row: _integer(row.get("attempt_id")) or 1):
        if not _text(row.get("id")):
            problems.append("run %d: a job without id" % run_id)
            continue
        job = _job(run_id, row, problems)
        before = latest.pop(job.job_id, None)
        # A later attempt of the run leaves out what had succeeded; its row counts in any case.
        latest[job.job_id] = job if before is None else job._replace(
            attempts=job.attempts + before.attempts, started_at=_first([before.started_at, job.started_at]))
    jobs = tuple(latest.values())
    last = summaries[-1] if summaries else {}
    times = [job.started_at for job in jobs] + [job.ended_at for job in jobs]
    started = _first([_local(row.get("start_time")) for row in summaries]) or _first(times)
    if started is None:
        problems.append("run %d: no time in it can be read" % run_id)
        return None
    ended = max([started] + [time_s for time_s in [_local(row.get("end_time")) for row in summaries] + times
                             if time_s is not None])
    names = [_text(row.get("application_name")) for row in summaries[::-1] + rows[::-1]]
    application = next((name for name in names if name), _UNKNOWN)
    said = _text(last.get("status")).upper()
    failing = any(job.status in FAILS_RUN for job in jobs)
    if said in _RUN_STATUSES:
        status = _RUN_STATUSES[said]
    else:
        status = RunStatus.FAILED if failing else RunStatus.SUCCESS if jobs else RunStatus.LOST
        if said:
            problems.append("run %d: the status %s is not known; taken as %s" % (run_id, ascii(said)[:40], status))
    if status == RunStatus.SUCCESS and failing:
        problems.append("run %d: SUCCESS, but a job of it failed; taken as FAILED" % run_id)
        status = RunStatus.FAILED
    reason = "of the earlier Executioner" + (", where it was %s" % said if said and said != status else "")
    code = _integer(last.get("exit_code"))
    agrees = code is not None and (code == 0) == (status == RunStatus.SUCCESS)
    return EarlierRun(run_id, application, status, reason, code if agrees and code is not None else int(
        status != RunStatus.SUCCESS), started, ended, jobs)


def _job(run_id: int, row: Dict[str, Any], problems: List[str]) -> EarlierJob:
    job_id = _text(row.get("id"))
    said = _text(row.get("status")).upper()
    reason = ""
    status = said
    if said not in FINAL_STATUSES:
        status, reason = JobStatus.LOST, "was %s when its run ended" % (said or "without status")
        if said not in ("PENDING", "RUNNING", "QUEUED", ""):
            problems.append("run %d: job %s: the status %s is not known; taken as LOST" % (
                run_id, ascii(job_id)[:80], ascii(said)[:40]))
    duration = row.get("duration_seconds")
    duration_s = float(duration) if isinstance(duration, (int, float)) and 0 <= duration < 1e9 else None
    started: Optional[float] = None
    ended: Optional[float] = None
    if duration_s is not None:
        started = _local(row.get("last_run"))
        ended = None if started is None else started + duration_s
    else:
        ended = _utc(row.get("last_run"))
    never_ran = status in (JobStatus.SKIPPED, JobStatus.BLOCKED, JobStatus.CANCELLED)
    attempts = 0 if never_ran else 1 + min(max(_integer(row.get("retry_count")) or 0, 0), _MOST_RETRIES)
    return EarlierJob(job_id, _text(row.get("description")), status, reason, attempts,
                      0 if status == JobStatus.SUCCESS else _integer(row.get("last_exit_code")), started, ended,
                      duration_s)


def _insert(history: History, run: EarlierRun) -> None:
    """A run with its jobs and attempts; inside a transaction."""
    database = history.database
    text = json.dumps({"application_name": run.application, "jobs": [
        {"id": job.job_id, "description": job.description} for job in run.jobs]}, sort_keys=True)
    digest = sha256_hex(text.encode("utf-8"))
    if database.fetchone("SELECT 1 FROM configurations WHERE config_hash = ?", (digest,)) is None:
        database.execute("INSERT INTO configurations (config_hash, config_text) VALUES (?, ?)", (digest, text))
    database.execute(
        "INSERT INTO runs (run_id, run_uuid, application, status, exit_code, reason, config_hash, config_path, "
        "options, job_count, host, user_name, boot_id, record_path, log_dir, started_at, ended_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, '', '{}', ?, '', '', '', '', '', ?, ?)",
        (run.run_id, run.run_uuid, storable(run.application), run.status, run.exit_code, storable(run.reason), digest,
         len(run.jobs), run.started_at, run.ended_at))
    jobs: List[Tuple[SqlValue, ...]] = []
    attempts: List[Tuple[SqlValue, ...]] = []
    for position, job in enumerate(run.jobs):
        ended = run.ended_at if job.ended_at is None else job.ended_at
        jobs.append((run.run_id, position, storable(job.job_id), storable(job.description), 0, job.status,
                     storable(job.reason), job.attempts, storable(job.exit_code), job.started_at, ended,
                     job.duration_s))
        for attempt in range(1, job.attempts + 1):
            is_last = attempt == job.attempts
            attempts.append((run.run_id, position, attempt, "earlier-%s-%d-%d" % (run.run_uuid, position, attempt),
                             job.status if is_last else JobStatus.FAILED, run.started_at, "", "",
                             job.started_at if is_last else None, ended, storable(job.exit_code) if is_last else None,
                             job.duration_s if is_last else None))
    database.executemany(
        "INSERT INTO jobs (run_id, position, job_id, description, allow_failure, status, reason, attempts, exit_code, "
        "started_at, ended_at, duration_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", jobs)
    database.executemany(
        "INSERT INTO attempts (run_id, position, attempt, token, status, intended_at, stdout_path, stderr_path, "
        "started_at, ended_at, exit_code, duration_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", attempts)


# ---- values of a file that promises nothing ------------------------------------------------------------------------


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _integer(value: object) -> Optional[int]:
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, str) and value.strip().lstrip("-").isdigit() and len(value) < 19:
        return int(value)
    return None


def _first(times: List[Optional[float]]) -> Optional[float]:
    known = [time_s for time_s in times if time_s is not None]
    return min(known) if known else None


def _fields(value: object) -> Optional[Tuple[time.struct_time, float]]:
    """Date and time of a text, and the part of a second behind them."""
    if not isinstance(value, str):
        return None
    text, _, rest = value.strip().partition(".")
    for pattern in _FORMATS:
        try:
            digits = rest.rstrip("Z")
            return time.strptime(text.rstrip("Z"), pattern), float("0." + digits) if digits.isdigit() else 0.0
        except ValueError:
            continue
    return None


def _local(value: object) -> Optional[float]:
    found = _fields(value)
    if found is None:
        return None
    try:
        return time.mktime(found[0][:8] + (-1,)) + found[1]
    except (OverflowError, ValueError):
        return None


def _utc(value: object) -> Optional[float]:
    found = _fields(value)
    return None if found is None else timegm(found[0]) + found[1]

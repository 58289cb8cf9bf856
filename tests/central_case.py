"""What the tests of the central history share: homes with many runs, other host names, and every row compared."""
import os
import signal
import sqlite3
import subprocess
import time
from typing import Any, Dict, List, Optional, Tuple

from cli_case import Case
from db.copying import _EVENT, _PARTS, _RUN
from db.destinations import add_to_destination
from db.history import History, NewRun
from jobs.events import AttemptEnded, AttemptIntended, AttemptStarted, Event, JobEnded, RetryScheduled, RunEnded
from jobs.models import AttemptOutcome, Job, JobStatus, Pipeline, RunStatus
from servers import PostgreSQLServer

__all__ = ["HOME_TABLES", "assert_same_rows", "central_rows", "copiers", "copies_are_over", "end_copiers", "home_rows",
           "home_uuid", "with_host", "write_runs"]

HOME_TABLES = ("runs", "jobs", "attempts", "outputs", "events", "configurations")
PATIENCE_S = 60.0
Rows = List[Tuple[Any, ...]]


def home_rows(home: str, sql: str, values: Tuple[object, ...] = ()) -> Rows:
    """Rows of a home's history."""
    connection = sqlite3.connect("file:%s/history.db?mode=ro" % home, uri=True, timeout=30)
    try:
        return [tuple(row) for row in connection.execute(sql, values)]
    finally:
        connection.close()


def home_uuid(home: str) -> str:
    """The UUID of a home."""
    return str(home_rows(home, "SELECT value FROM meta WHERE name = 'home_uuid'")[0][0])


def central_rows(server: PostgreSQLServer, schema: str, sql: str) -> Rows:
    """Rows of the tables on the server."""
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET search_path TO " + schema)
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]
    finally:
        connection.close()


def _joined(columns: Tuple[str, ...], table: str = "t") -> str:
    return ", ".join("%s.%s" % (table, name) for name in columns)


def assert_same_rows(homes: List[str], server: PostgreSQLServer, schema: str) -> None:
    """Every row of every run that has ended is there once and the same, and no other is there."""
    expected: Dict[str, Rows] = {table: [] for table in HOME_TABLES}
    for home in homes:
        uuid = (home_uuid(home),)
        ended = "r.status <> 'RUNNING'"
        expected["runs"] += [uuid + row for row in home_rows(
            home, "SELECT r.run_id, %s FROM runs r WHERE %s" % (_joined(_RUN, "r"), ended))]
        for table, names in _PARTS:
            expected[table] += [uuid + row for row in home_rows(
                home, "SELECT t.run_id, %s FROM %s t JOIN runs r ON r.run_id = t.run_id WHERE %s" % (
                    _joined(names), table, ended))]
        expected["events"] += [uuid + row for row in home_rows(
            home, "SELECT t.event_id, t.run_id, %s FROM events t LEFT JOIN runs r ON r.run_id = t.run_id "
                  "WHERE t.run_id IS NULL OR %s" % (_joined(_EVENT), ended))]
        expected["configurations"] += home_rows(
            home, "SELECT DISTINCT t.config_hash, t.config_text FROM configurations t JOIN runs r "
                  "ON r.config_hash = t.config_hash WHERE " + ended)
    expected["configurations"] = sorted(set(expected["configurations"]))
    found = {"runs": central_rows(server, schema, "SELECT home_uuid, home_run_id, %s FROM runs t" % _joined(_RUN)),
             "events": central_rows(server, schema, "SELECT t.home_uuid, t.home_event_id, r.home_run_id, %s FROM events "
                                    "t LEFT JOIN runs r ON r.run_id = t.run_id" % _joined(_EVENT)),
             "configurations": central_rows(server, schema, "SELECT config_hash, config_text FROM configurations")}
    for table, names in _PARTS:
        found[table] = central_rows(server, schema, "SELECT t.home_uuid, r.home_run_id, %s FROM %s t JOIN runs r "
                                    "ON r.run_id = t.run_id" % (_joined(names), table))
    for table in HOME_TABLES:
        left, right = (sorted(rows[table], key=repr) for rows in (expected, found))
        missing = [row for row in left if row not in set(right)]
        extra = [row for row in right if row not in set(left)]
        assert left == right, "%s: %d rows in the homes, %d there; missing: %s; extra: %s" % (
            table, len(left), len(right), missing[:3], extra[:3])


def copiers(home: str) -> List[int]:
    """The processes of ours that were left behind by runs of a home."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/cmdline" % name, "rb") as line:
                    words = line.read().split(b"\0")
            except OSError:
                continue
            if b"after" in words and os.fsencode(home) in words:
                found.append(int(name))
    return found


def end_copiers(home: str) -> None:
    """Kill them, as those for a server that is away would wait for minutes."""
    end = time.monotonic() + PATIENCE_S
    while True:
        left = copiers(home)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if not left:
            return
        assert time.monotonic() < end
        time.sleep(0.01)


def copies_are_over(case: Case, home: str = "") -> None:
    """Wait until what runs left behind has done its work, and see that nothing waits any more."""
    end = time.monotonic() + PATIENCE_S
    while copiers(home or case.home):
        assert time.monotonic() < end, "still copying"
        time.sleep(0.02)
    assert home_rows(home or case.home, "SELECT count(*) FROM runs WHERE uncopied = 1") == [(0,)], home_rows(
        home or case.home, "SELECT * FROM destinations")


def with_host(name: str, words: List[str]) -> Optional[List[str]]:
    """A command that runs on a host of another name; None where that cannot be had."""
    prefix = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    try:
        if subprocess.call(prefix + ["true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            return None
    except OSError:
        return None
    return prefix + words


def write_runs(home: str, place: str, runs: int, jobs: int, application: str = "many") -> None:
    """Give a home runs that have ended and wait for a server, straight through its history."""
    os.makedirs(home, mode=0o700, exist_ok=True)
    for name in ("logs", "locks", "records"):
        os.makedirs(os.path.join(home, name), mode=0o700, exist_ok=True)
    pipeline = Pipeline(application, [Job("job%d" % position, "true") for position in range(jobs)],
                        config_path="/etc/jobs/%s.json" % application, config_text="{}", config_hash="0" * 64)
    with History.open(os.path.join(home, "history.db")) as history:
        history.database.execute("PRAGMA synchronous=OFF")
        for number in range(runs):
            at = 1700000000.0 + number * 60.125
            run_id = history.create_run(NewRun(os.urandom(16).hex(), at, host="alpha", user="ops"), pipeline)
            with history.database.transaction():
                add_to_destination(history.database, run_id, place)
            events: List[Event] = []
            for position in range(jobs):
                token = "%d.%d" % (run_id, position)
                name = "job%d" % position
                outcome = AttemptOutcome(JobStatus.SUCCESS, 0, started_at=at, ended_at=at + 2.5, duration_s=2.5,
                                         cpu_s=0.125, max_rss_bytes=123456)
                events += [AttemptIntended(position, name, 1, token, "o", "e", at),
                           AttemptStarted(position, name, 1, token, 1, 1, at),
                           AttemptEnded(position, name, 1, token, outcome, at + 2.5),
                           JobEnded(position, name, JobStatus.SUCCESS, "", 1, at + 2.5, exit_code=0, started_at=at,
                                    duration_s=2.5, cpu_s=0.125, max_rss_bytes=123456)]
            events += [RetryScheduled(0, "job0", 1, 1.0, "why", at), RunEnded(run_id, RunStatus.SUCCESS, 0, "", at + 3)]
            history.journal(run_id).commit(events)

"""How fast a large history is read, and copied to a server: python3 benchmarks/history.py [--runs N] [--jobs N] ...

Makes a history of its own, with 100,000 runs of 20 jobs where not told otherwise, straight with SQL. Measured is the
work behind the commands and pages, beyond the start of the interpreter. ``--sync URL`` copies ``--sync-runs`` of
them to an empty schema of a server.
"""
import argparse
import os
import sys
import tempfile
import time
from typing import Callable, List, Tuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from db.destinations import destinations  # noqa: E402
from db.history import History  # noqa: E402

#: Milliseconds that a page may take.
MOST_MS = 50.0
#: Seconds that 100,000 attempts may take on their way to a server.
MOST_SYNC_S = 60.0
APPLICATIONS = 50


def make(path: str, runs: int, jobs: int) -> None:
    """Fill a new history; the newest run of each application failed in one job."""
    with History.open(path) as history:
        database = history.database
        database.execute("PRAGMA synchronous=OFF")
        with database.transaction():
            database.execute("INSERT INTO configurations (config_hash, config_text) VALUES ('h', '{}')")
            for first in range(0, runs, 1000):
                some = range(first + 1, min(first + 1000, runs) + 1)
                database.executemany(
                    "INSERT INTO runs (run_id, run_uuid, application, status, exit_code, reason, config_hash, "
                    "config_path, options, job_count, host, user_name, boot_id, record_path, log_dir, started_at, "
                    "ended_at) VALUES (?, ?, ?, ?, ?, '', 'h', '/etc/jobs/app.json', '{}', ?, 'alpha', 'ops', 'b', "
                    "'', ?, ?, ?)",
                    [(number, "%032x" % number, "app%02d" % (number % APPLICATIONS),
                      "FAILED" if number > runs - APPLICATIONS else "SUCCESS", int(number > runs - APPLICATIONS), jobs,
                      "/logs/%d" % number, 1.6e9 + number * 60, 1.6e9 + number * 60 + 50) for number in some])
                database.executemany(
                    "INSERT INTO jobs (run_id, position, job_id, description, allow_failure, status, reason, attempts, "
                    "exit_code, started_at, ended_at, duration_s, cpu_s, max_rss_bytes) "
                    "VALUES (?, ?, ?, 'does a thing', 0, 'SUCCESS', '', 1, 0, 1.6e9, 1.6e9, 1.5, 0.1, 1000000)",
                    [(number, position, "job%d" % position) for number in some for position in range(jobs)])
                database.executemany(
                    "INSERT INTO attempts (run_id, position, attempt, token, status, intended_at, stdout_path, "
                    "stderr_path, pid, pid_start, started_at, ended_at, exit_code, reason, stop_reason, duration_s, "
                    "cpu_s, max_rss_bytes) VALUES (?, ?, 1, ?, 'SUCCESS', 1.6e9, ?, ?, 4711, 1, 1.6e9, 1.6e9, 0, '', "
                    "'', 1.5, 0.1, 1000000)",
                    [(number, position, "%x.%d.1" % (number, position), "job%d.1.out" % position,
                      "job%d.1.err" % position) for number in some for position in range(jobs)])


def best_ms(work: Callable[[], object], times: int = 5) -> float:
    """Milliseconds of the quickest of some calls."""
    found: List[float] = []
    for _ in range(times):
        before = time.perf_counter()
        work()
        found.append((time.perf_counter() - before) * 1000.0)
    return min(found)


def read(path: str, runs: int) -> bool:
    """Time what commands and pages read; whether each is fast enough."""
    middle = runs // 2

    def opened() -> None:
        with History.open(path, readonly=True) as history:
            history.runs()

    with History.open(path, readonly=True) as history:
        works: List[Tuple[str, Callable[[], object]]] = [
            ("open, and the newest 20 runs", opened),
            ("runs, first page", lambda: history.runs(limit=20)),
            ("runs, a page in the middle", lambda: history.runs(limit=200, before=middle)),
            ("runs of one application", lambda: history.runs("app07", limit=200)),
            ("runs that failed", lambda: history.runs(status="FAILED", limit=200)),
            ("runs of one application that failed", lambda: history.runs("app07", "FAILED", limit=200)),
            ("show: a run with its jobs", lambda: history.run(middle)),
            ("a page of jobs", lambda: history.jobs(middle, limit=200)),
            ("attempts of a run", lambda: history.attempts(middle)),
            ("all applications", history.applications),
            ("the last run that ended", lambda: history.last_finished("app07")),
            ("runs that go on", history.open_runs),
            ("events of a run", lambda: history.events(middle)),
            ("usual durations", lambda: history.usual_durations("app07")),
            ("what waits for servers", lambda: destinations(history.database))]
        good = True
        for name, work in works:
            took = best_ms(work)
            good = good and took < MOST_MS
            print("%-40s %8.2f ms%s" % (name, took, "" if took < MOST_MS else "  TOO SLOW"))
    return good


def copy(path: str, url: str, runs: int, jobs: int) -> bool:
    """Time the copy of the last runs to a server; whether that is fast enough."""
    from db.central import open_central
    from db.copying import Copier
    from db.destinations import add_to_destination
    from jobs.server_place import parse_place

    with History.open(path) as history:
        newest = history.runs(limit=1)[0].run_id
        with history.database.transaction():
            for number in range(newest - runs + 1, newest + 1):
                add_to_destination(history.database, number, url)
        destination = destinations(history.database)[-1]
        before = time.perf_counter()
        with open_central(parse_place(url), os.environ) as central:
            done = Copier(history, central, destination.destination_id, time.time).work()
        took = time.perf_counter() - before
    allowed = MOST_SYNC_S * max(1.0, runs * jobs / 100000.0)
    print("%d runs with %d attempts copied in %.1f s%s" % (done.runs, done.attempts, took,
                                                           "" if took < allowed else "  TOO SLOW"))
    return took < allowed


def main() -> int:
    """Measure; exit 1 where something is too slow."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=100000)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--sync", metavar="URL", help="an empty schema of a server")
    parser.add_argument("--sync-runs", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "history.db")
        before = time.perf_counter()
        make(path, options.runs, options.jobs)
        print("%d runs of %d jobs made in %.0f s, %.0f MiB" % (
            options.runs, options.jobs, time.perf_counter() - before, os.stat(path).st_size / 2.0 ** 20))
        good = read(path, options.runs)
        if options.sync:
            good = copy(path, options.sync, options.sync_runs, options.jobs) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

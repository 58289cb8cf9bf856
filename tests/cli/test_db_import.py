"""A history of the earlier Executioner is taken over, whichever version wrote it."""
import os
import sqlite3
from typing import Any, Dict, List

import pytest

from cli_case import Case

FIRST = """CREATE TABLE job_history (run_id INTEGER, id TEXT, description TEXT, command TEXT, status TEXT,
    application_name TEXT, last_run TIMESTAMP DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (run_id, id));"""
RETRIES = """ALTER TABLE job_history ADD COLUMN retry_count INTEGER DEFAULT 0;
    ALTER TABLE job_history ADD COLUMN last_error TEXT;
    ALTER TABLE job_history ADD COLUMN retry_history TEXT;"""
METRICS = """ALTER TABLE job_history ADD COLUMN duration_seconds REAL;
    ALTER TABLE job_history ADD COLUMN memory_usage_mb REAL;
    ALTER TABLE job_history ADD COLUMN cpu_usage_percent REAL;
    ALTER TABLE job_history ADD COLUMN last_exit_code INTEGER;"""
SUMMARY = """CREATE TABLE run_summary (run_id INTEGER NOT NULL, %s application_name TEXT NOT NULL,
    start_time TIMESTAMP NOT NULL, end_time TIMESTAMP, status TEXT, total_jobs INTEGER DEFAULT 0,
    completed_jobs INTEGER DEFAULT 0, failed_jobs INTEGER DEFAULT 0, skipped_jobs INTEGER DEFAULT 0,
    exit_code INTEGER, working_dir TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);"""


def make(case: Case, script: str, name: str = "jobs_history.db") -> str:
    """A file of the earlier Executioner."""
    connection = sqlite3.connect(case.path(name))
    connection.executescript(script)
    connection.commit()
    connection.close()
    return name


def fifth(case: Case) -> str:
    """What its fifth schema holds: a success, a failure with retries, and a run that never ended."""
    case.environ["TZ"] = "UTC-2"  # two hours before UTC, as POSIX has it
    return make(case, FIRST + RETRIES + METRICS + SUMMARY % "" + """
        INSERT INTO run_summary VALUES (3, 'nightly', '2025-03-01 04:00:00', '2025-03-01 04:05:00', 'SUCCESS', 2, 2, 0,
                                        0, 0, '/srv', NULL);
        INSERT INTO run_summary VALUES (4, 'nightly', '2025-03-02 04:00:00', '2025-03-02 04:01:00', 'FAILED', 2, 1, 1,
                                        0, 1, '/srv', NULL);
        INSERT INTO run_summary VALUES (7, 'hourly', '2025-03-02 05:00:00', NULL, 'RUNNING', 1, 0, 0, 0, NULL, NULL,
                                        NULL);
        INSERT INTO job_history VALUES (3, 'b', 'the first', 'x --password=hidden-word', 'SUCCESS', 'nightly',
                                        '2025-03-01 04:00:10', 0, NULL, NULL, 12.5, NULL, NULL, NULL);
        INSERT INTO job_history VALUES (3, 'a', NULL, 'y', 'SKIPPED', 'nightly', '2025-03-01 02:00:20', 0, NULL, NULL,
                                        NULL, NULL, NULL, NULL);
        INSERT INTO job_history VALUES (4, 'b', 'the first', 'x', 'FAILED', 'nightly', '2025-03-02 04:00:10', 2,
                                        'hidden-word', '[]', 3.0, NULL, NULL, 9);
        INSERT INTO job_history VALUES (7, 'b', '', 'x', 'RUNNING', 'hourly', '2025-03-02 03:00:01', 0, NULL, NULL,
                                        NULL, NULL, NULL, NULL);""")


def shown(case: Case, run: str) -> Dict[str, Any]:
    """A run as ``show --json`` has it."""
    document: Dict[str, Any] = case.run("show", run, "--json").expect().json()
    return document


def test_runs_are_taken_with_their_numbers(case: Case) -> None:
    name = fifth(case)
    told = case.run("db", "import", name).expect(0, err="")
    assert told.out == "3 runs taken (3 to 7, TIME to TIME); 0 were here already\n"
    runs = case.run("runs", "--json").json()
    assert [(run["run_id"], run["application"], run["status"], run["exit_code"]) for run in runs] == [
        (7, "hourly", "LOST", 1), (4, "nightly", "FAILED", 1), (3, "nightly", "SUCCESS", 0)]
    run = shown(case, "3")
    assert (run["started"], run["ended"], run["duration"]) == ("2025-03-01T02:00:00.000Z", "2025-03-01T02:05:00.000Z", 300.0)
    assert [(job["job_id"], job["status"], job["started"], job["ended"], job["duration"], job["attempts"])
            for job in run["jobs"]] == [
        ("b", "SUCCESS", "2025-03-01T02:00:10.000Z", "2025-03-01T02:00:22.500Z", 12.5, 1),
        ("a", "SKIPPED", None, "2025-03-01T02:00:20.000Z", None, 0)]
    failed = shown(case, "4")["jobs"][0]
    assert (failed["status"], failed["exit_code"], failed["attempts"]) == ("FAILED", 9, 3)
    assert shown(case, "7")["jobs"][0]["status"] == "LOST"
    case.run("db", "check").expect(0)


def test_twice_is_once(case: Case) -> None:
    name = fifth(case)
    case.run("db", "import", name).expect(0)
    case.run("db", "import", name).expect(0, out="0 runs taken; 3 were here already\n", err="")
    assert len(case.run("runs", "--json").json()) == 3
    case.run("db", "check").expect(0)


def test_a_dry_run_makes_nothing(case: Case) -> None:
    name = fifth(case)
    told = case.run("db", "import", name, "--dry-run").expect(0, err="")
    assert told.out.startswith("3 runs would be taken")
    assert not os.path.exists(case.home)
    case.run("db", "import", name).expect(0)
    assert case.run("db", "import", name, "--dry-run", "--json").expect(0).json() == {
        "runs": [], "known": 3, "problems": [], "dry_run": True}


def test_new_runs_come_after_them(case: Case) -> None:
    case.run("db", "import", fifth(case)).expect(0)
    case.config({"application_name": "nightly", "retention": {"days": 36500}, "jobs": [{"id": "b", "command": "true"}]})
    case.run("run", "config.json").expect(0)
    runs = case.run("runs", "nightly", "--json").json()
    assert [run["run_id"] for run in runs] == [8, 4, 3]
    case.run("db", "import", "jobs_history.db").expect(0, out="0 runs taken; 3 were here already\n")
    assert case.run("plan", "config.json").expect(0)


def test_no_command_and_no_error_text_is_taken(case: Case) -> None:
    case.run("db", "import", fifth(case)).expect(0)
    for folder, _, names in os.walk(case.home):
        for name in names:
            with open(os.path.join(folder, name), "rb") as content:
                assert b"hidden-word" not in content.read()


def test_a_home_with_runs_of_its_own_keeps_its_order(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}).run("run", "config.json").expect(0)
    told = case.run("db", "import", fifth(case)).expect(1)
    assert told.out == "0 runs taken; 0 were here already\n"
    assert told.err.count("the home's own runs begin at 1") == 3
    assert len(case.run("runs", "--json").json()) == 1


def test_the_first_schema_and_the_last(case: Case) -> None:
    first = make(case, FIRST + """
        INSERT INTO job_history VALUES (1, 'a', '', 'x', 'SUCCESS', 'old', '2020-01-01 10:00:00');
        INSERT INTO job_history VALUES (1, 'b', '', 'x', 'ERROR', 'old', '2020-01-01 10:01:00');
        INSERT INTO job_history VALUES (2, 'a', '', 'x', 'SUCCESS', 'old', '2020-01-02 10:00:00');""", "first.db")
    case.run("db", "import", first).expect(0, err="")
    assert [(run["run_id"], run["status"], run["duration"]) for run in case.run("runs", "--json").json()] == [
        (2, "SUCCESS", 0.0), (1, "FAILED", 60.0)]
    last = make(case, """CREATE TABLE job_history (run_id INTEGER NOT NULL, attempt_id INTEGER NOT NULL DEFAULT 1,
            id TEXT NOT NULL, description TEXT, command TEXT, status TEXT, application_name TEXT, duration_seconds REAL,
            retry_count INTEGER DEFAULT 0, last_run TIMESTAMP, PRIMARY KEY (run_id, attempt_id, id));"""
                + SUMMARY % "attempt_id INTEGER NOT NULL DEFAULT 1," + """
        INSERT INTO run_summary VALUES (5, 1, 'new', '2025-03-01 04:00:00', '2025-03-01 04:05:00', 'FAILED', 2, 1, 1,
                                        0, 1, '/srv', NULL);
        INSERT INTO run_summary VALUES (5, 2, 'new', '2025-03-01 05:00:00', '2025-03-01 05:05:00', 'SUCCESS', 2, 2, 0,
                                        0, 0, '/srv', NULL);
        INSERT INTO job_history VALUES (5, 1, 'a', '', 'x', 'SUCCESS', 'new', 1.0, 0, '2025-03-01 04:00:00');
        INSERT INTO job_history VALUES (5, 1, 'b', '', 'x', 'FAILED', 'new', 1.0, 0, '2025-03-01 04:01:00');
        INSERT INTO job_history VALUES (5, 2, 'b', '', 'x', 'SUCCESS', 'new', 1.0, 0, '2025-03-01 05:01:00');""",
                "last.db")
    case.run("db", "import", last).expect(0, err="")
    run = shown(case, "5")
    assert run["status"] == "SUCCESS" and run["duration"] == 3900.0
    assert [(job["job_id"], job["status"], job["attempts"]) for job in run["jobs"]] == [
        ("a", "SUCCESS", 1), ("b", "SUCCESS", 2)]
    case.run("db", "check").expect(0)


def test_what_cannot_be_taken_is_said(case: Case) -> None:
    name = make(case, "CREATE TABLE job_history (run_id, id, status, last_run);" + """
        INSERT INTO job_history VALUES ('x', 'a', 'SUCCESS', '2020-01-01 10:00:00');
        INSERT INTO job_history VALUES (NULL, 'a', 'SUCCESS', '2020-01-01 10:00:00');
        INSERT INTO job_history VALUES (1, '', 'SUCCESS', '2020-01-01 10:00:00');
        INSERT INTO job_history VALUES (1, 'a', 'STRANGE', '2020-01-01 10:00:00');
        INSERT INTO job_history VALUES (2, 'a', 'SUCCESS', 'never');
        INSERT INTO job_history VALUES ('3', x'ff00', 'SUCCESS', '2020-01-01');
        INSERT INTO job_history VALUES (-4, 'a', 'SUCCESS', '2020-01-01 10:00:00');""")
    told = case.run("db", "import", name).expect(1)
    assert told.err == """\
executioner: job_history: a row without a usable run_id ('x')
executioner: job_history: a row without a usable run_id (None)
executioner: job_history: a row without a usable run_id (-4)
executioner: run 1: a job without id
executioner: run 1: job 'a': the status 'STRANGE' is not known; taken as LOST
executioner: run 2: no time in it can be read
executioner: run 3: a job without id
executioner: run 3: no time in it can be read
"""
    runs = case.run("runs", "--json").json()
    assert [(run["run_id"], run["application"]) for run in runs] == [(1, "unknown")]
    case.run("db", "check").expect(0)


@pytest.mark.parametrize("script, problem", [
    ("CREATE TABLE other (x);", "it has neither job_history nor run_summary"),
    (None, "there is no such file"),
])
def test_other_files(case: Case, script: Any, problem: str) -> None:
    if script is not None:
        make(case, script)
    told = case.run("db", "import", "jobs_history.db").expect(3, out="")
    assert problem in told.err
    case.file("text", "this is no database\n" * 100)
    assert "not a database" in case.run("db", "import", "text").expect(3, out="").err
    assert not os.path.exists(case.home)


def test_large(case: Case) -> None:
    rows: List[str] = ["INSERT INTO job_history VALUES (%d, 'job%d', '', 'x', 'SUCCESS', 'app', '2020-01-01 10:00:00');"
                       % (run, job) for run in range(1, 301) for job in range(10)]
    case.run("db", "import", make(case, FIRST + "BEGIN;" + "".join(rows) + "COMMIT;")).expect(0)
    assert len(case.run("runs", "--limit", "1000", "--json").json()) == 300

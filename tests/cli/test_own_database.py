"""The history of a configuration that names its own database path, read with ``--database``."""
import os
import sqlite3

from cli_case import Case


def run_twice(case: Case) -> None:
    """Two runs whose history is in own.db, not in the home's."""
    case.jobs({"id": "a", "command": "echo of-its-own"}, application_name="nightly",
              database={"type": "sqlite", "path": "own.db"})
    os.chmod(case.path("config.json"), 0o600)
    for _ in range(2):
        case.run("run", "config.json", "--quiet").expect(0)


def test_commands_read_the_history_that_is_named(case: Case) -> None:
    run_twice(case)
    assert case.run("runs", "--json").json() == []
    named = ("--database", case.path("own.db"))
    assert [one["run_id"] for one in case.run("runs", "--json", *named).json()] == [2, 1]
    shown = case.run("show", "last", "--json", *named)
    assert shown.expect(0).json()["run_id"] == 2, shown.out
    assert b"of-its-own" in case.run("logs", "last", "a", *named).raw_out
    case.run("doctor", "--health", *named).expect(0)


def test_prune_takes_from_the_history_that_is_named(case: Case) -> None:
    run_twice(case)
    for _ in range(2):
        case.run("run", "config.json", "--quiet").expect(0)
    told = case.run("db", "prune", "--runs", "1", "--json", "--database", case.path("own.db")).expect(0).json()
    assert told[0]["runs"]
    database = sqlite3.connect(case.path("own.db"))
    try:
        assert database.execute("SELECT count(*) FROM runs").fetchone()[0] == told[0]["left"] < 4
    finally:
        database.close()


def test_what_cannot_be_meant(case: Case) -> None:
    run_twice(case)
    gone = case.run("runs", "--database", case.path("owm.db")).expect(2)
    assert "--database: there is no file" in gone.err
    both = case.run("show", "last", "--central", "--database", case.path("own.db")).expect(2)
    assert "two histories" in both.err

"""Runs whose configuration names a database of its own are found, and nothing of another history is touched."""
import json
import os
import sqlite3
import subprocess
import urllib.request

import pytest

from cli_case import Case
from killing import wait_until

OK = {"id": "extract", "command": "true"}
BAD = {"id": "load", "command": "exit 3"}


def test_they_are_found_where_there_are_no_others(case: Case) -> None:
    failed = case.jobs(OK, BAD, database={"type": "sqlite", "path": "own/history.db"})
    os.mkdir(case.path("own"))
    said = failed.run("run", "config.json").expect(1).err
    where = case.path("own/history.db")
    assert "EXECUTIONER_HISTORY=DIR/own/history.db" in said
    assert not os.path.exists(case.home + "/history.db")
    assert [run["run_id"] for run in case.run("runs", "--json").expect(0).json()] == [1]
    assert case.run("show", "last", "--json").expect(0).json()["status"] == "FAILED"
    case.run("logs", "last", "load").expect(0)
    case.run("db", "check").expect(0)
    case.run("mark-success", "last", "load", "--because", "done by hand").expect(0)
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert os.stat(case.home + "/histories").st_mode & 0o777 == 0o600
    with open(case.home + "/histories") as listed:
        assert listed.read() == where + "\n", "once"


@pytest.mark.slow
def test_beside_others_they_are_named(case: Case) -> None:
    os.mkdir(case.path("own"))
    case.config({"application_name": "with-own", "jobs": [BAD], "database": "sqlite:///own/history.db"})
    case.run("run", "config.json").expect(1)
    case.config({"application_name": "other", "jobs": [OK]}, "other.json").run("run", "other.json").expect(0)
    where = case.path("own/history.db")
    told = case.run("runs", "--json").expect(0)
    assert [run["application"] for run in told.json()] == ["other"]
    assert "EXECUTIONER_HISTORY=DIR/own/history.db" in told.err
    environ = {"EXECUTIONER_HISTORY": where}
    shown = case.run("runs", "--json", env=environ).expect(0).json()
    assert [run["application"] for run in shown] == ["with-own"]
    # A run is kept where its own file says, whatever the reader looks at.
    case.run("run", "other.json", env=environ).expect(0)
    assert len(case.run("runs", "--json").json()) == 2


def run_twice(case: Case) -> None:
    """Two runs whose history is in own.db, not in the home's."""
    case.jobs({"id": "a", "command": "echo of-its-own"}, application_name="nightly",
              database={"type": "sqlite", "path": "own.db"})
    os.chmod(case.path("config.json"), 0o600)
    for _ in range(2):
        case.run("run", "config.json", "--quiet").expect(0)


def test_commands_read_the_history_that_is_named(case: Case) -> None:
    run_twice(case)
    case.config({"application_name": "other", "jobs": [{"id": "x", "command": "true"}]}, "other.json")
    case.run("run", "other.json", "--quiet").expect(0)
    assert [one["application"] for one in case.run("runs", "--json").json()] == ["other"]
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


def two_histories(case: Case) -> None:
    """Run 1 is in both; run 2 and the application ``with-own`` are in own.db alone."""
    case.config({"application_name": "other", "jobs": [OK]}, "other.json").run("run", "other.json").expect(0)
    case.config({"application_name": "with-own", "database": "sqlite:///own.db", "jobs": [
        OK, {"id": "load", "command": "echo $EXECUTIONER_PARAM_day >> days; test -e go"}],
        "parameters": {"day": {"type": "string", "required": True}}})
    for day in ("mon", "tue"):
        case.run("run", "config.json", "--param", "day=" + day).expect(1)


def test_a_resume_takes_the_parameters_of_its_parent_out_of_the_history_of_its_file(case: Case) -> None:
    two_histories(case)
    for number in ("2", "last"):
        case.run("run", "config.json", "--resume", number).expect(1)
    case.file("go", "").run("run", "config.json", "--resume", "1").expect(0)
    with open(case.path("days")) as days:
        assert days.read().split() == ["mon", "tue", "tue", "tue", "mon"]


def test_a_run_is_found_in_the_only_history_that_has_it(case: Case) -> None:
    two_histories(case)
    assert case.run("show", "2", "--json").expect(0).json()["application"] == "with-own"
    assert case.run("show", "with-own", "--json").expect(0).json()["run_id"] == 2
    case.run("logs", "2", "load").expect(0)
    case.run("report", "2", "-o", "r.html").expect(0)
    case.run("cancel", "2").expect(0, out="run 2 has ended already: FAILED\n")
    case.run("hold", "with-own", "load").expect(0)
    case.run("release", "with-own", "load").expect(0)
    case.run("mark-success", "2", "load", "--because", "by hand").expect(0)
    case.run("run", "config.json", "--resume", "2").expect(0)


def test_an_act_on_what_is_in_several_histories_is_refused(case: Case) -> None:
    two_histories(case)
    for words in (["cancel", "1"], ["mark-success", "last", "load", "--because", "x"]):
        refused = case.run(*words).expect(2)
        assert "is in several histories: " in refused.err and "--database FILE" in refused.err
        named = case.run(*(words + ["--database", case.path("own.db")])).expect(0)
        assert named.err == ""
    assert case.run("show", "1", "--json").json()["application"] == "other", "the home's own comes first"


def test_a_plan_knows_how_long_jobs_took_in_the_history_of_its_file(case: Case) -> None:
    case.config({"application_name": "other", "jobs": [OK]}, "other.json").run("run", "other.json").expect(0)
    case.config({"application_name": "with-own", "database": "sqlite:///own.db", "jobs": [{"id": "a", "command": "sleep 0.2"}]})
    case.run("run", "config.json").expect(0)
    assert case.run("plan", "config.json", "--json").expect(0).json()["expected_duration"] >= 0.2


def test_slots_that_its_runs_take_are_shown(case: Case) -> None:
    """The locks of pools are in the home, wherever the history is."""
    hold = {"id": "a", "command": "touch began; while test ! -e go; do sleep 0.05; done", "pool": "db"}
    case.jobs(hold, pools={"db": 2}, database={"type": "sqlite", "path": "own.db"})

    def ask(url: str, path: str, token: str) -> bytes:
        request = urllib.request.Request(url + path, headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    with case.background("run", "config.json"):
        try:
            wait_until(lambda: os.path.exists(case.path("began")))
            token = case.run("token", "create", "me").expect(0).raw_out.split()[-1].decode()
            with case.background("serve", "--listen", "127.0.0.1:0", stdout=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL) as server:
                assert server.stdout is not None
                url = server.stdout.readline().decode().strip()
                try:
                    assert json.loads(ask(url, "status", token).decode())["pools"] == {"db": {"slots": 2, "taken": 1}}
                    assert b'executioner_pool_slots_taken{pool="db"} 1' in ask(url, "metrics", token)
                finally:
                    server.terminate()
        finally:
            case.file("go", "")

"""Runs of several hosts on one PostgreSQL server: copied when they have ended, never in the way of a run."""
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from central_case import (HOME_TABLES, assert_same_rows, central_rows, copiers, copies_are_over, end_copiers, home_uuid,
                          with_host, write_runs)
from cli_case import Case
from db.copying import RUNS_AT_ONCE
from jobs.server_place import ServerPlace
from servers import PostgreSQLServer, wire_to

JOBS = [{"id": "a", "command": "echo hello"}, {"id": "b", "command": "exit 3", "dependencies": ["a"]},
        {"id": "c", "command": "true", "outputs": []}]


@pytest.fixture(autouse=True)
def no_copier_is_left(case: Case) -> Iterator[None]:
    """What copies beside a test ends with it."""
    yield
    end_copiers(case.home)


def keys(server: PostgreSQLServer, **more: Any) -> Dict[str, Any]:
    """``database`` of a file."""
    place = server.place()
    return dict({"type": "postgresql", "host": "127.0.0.1", "port": place.port, "name": place.name,
                 "user": place.user, "schema": place.schema}, **more)


def test_an_ended_run_comes_to_the_server_by_itself(case: Case, postgresql: PostgreSQLServer) -> None:
    database = keys(postgresql)
    case.jobs(*JOBS, database=database).run("run", "config.json", "--continue-on-error").expect(code=1)
    copies_are_over(case)
    assert_same_rows([case.home], postgresql, database["schema"])
    rows = central_rows(postgresql, database["schema"], "SELECT home_uuid, home_host, home_run_id FROM runs")
    assert rows == [(home_uuid(case.home), os.uname().nodename, 1)]
    for table in HOME_TABLES:
        assert central_rows(postgresql, database["schema"], "SELECT DISTINCT home_uuid, home_host FROM " + table) in (
            [rows[0][:2]], []), table


def test_it_is_read_with_central(case: Case, postgresql: PostgreSQLServer) -> None:
    case.jobs(*JOBS, database=keys(postgresql)).run("run", "config.json").expect(code=1)
    copies_are_over(case)
    host = os.uname().nodename
    told = case.run("runs", "--central").expect(code=0)
    assert told.out.split("\n")[0].split() == ["RUN", "HOST", "THERE", "APPLICATION", "STATUS", "EXIT", "STARTED",
                                               "DURATION", "REASON"]
    assert told.out.split("\n")[1].split()[:5] == ["1", host, "1", "app", "FAILED"]
    document = case.run("runs", "--central", "--json").expect().json()
    assert [(one["host"], one["home"], one["home_run_id"], one["status"]) for one in document] == [
        (host, home_uuid(case.home), 1, "FAILED")]
    local, there = (case.run("show", "last", "--json", *words).expect().json() for words in ((), ("--central",)))
    assert there["jobs"] == local["jobs"] and there["home"] == home_uuid(case.home)
    assert case.run("show", "last", "--central").expect().out.startswith("run 1 on %s, of its home" % host)


def test_another_host_reads_it_by_the_environment(case: Case, postgresql: PostgreSQLServer) -> None:
    database = keys(postgresql)
    case.jobs(*JOBS, database=database).run("run", "config.json").expect(code=1)
    copies_are_over(case)
    url = "postgresql://%s@127.0.0.1:%d/%s?schema=%s" % (database["user"], database["port"], database["name"],
                                                         database["schema"])
    other = Case(case.folder)
    other.home = case.path("nothing-here")
    assert len(other.run("runs", "--central", "--json", env={"EXECUTIONER_DATABASE": url}).expect().json()) == 1
    assert not os.path.exists(other.home)
    other.run("runs", "--central").expect(code=2)


def test_a_server_that_is_away_changes_nothing_for_the_run(case: Case, postgresql: PostgreSQLServer) -> None:
    with wire_to(postgresql) as wire:
        database = keys(postgresql, port=wire.port)
        wire.cut()
        case.jobs({"id": "a", "command": "true"}, database=database)
        case.run("run", "config.json").expect(code=0, out="", err="")
        end_copiers(case.home)
        told = case.run("db", "sync").expect(code=1, out="")
        assert "the server cannot be reached" in told.err and "1 run waits" in told.err
        status = case.run("status").expect()
        assert "central history: 1 run waits for postgresql://jobs@127.0.0.1:%d" % wire.port in status.out
        assert "which fails since TIME" in status.out and "cannot be reached" in status.out
        assert case.run("status", "--json").expect().json()["central"]
        checks = case.run("doctor", "--health", "--json").json()["checks"]
        central = [one for one in checks if one["name"] == "central"]
        assert len(central) == 1 and central[0]["ok"] is True and "1 runs wait" in central[0]["found"]
        wire.mend()
        told = case.run("db", "sync").expect(code=0, err="")
        assert told.out.startswith("1 run, 1 attempt and 0 events copied to postgresql://jobs@127.0.0.1")
        case.run("db", "sync").expect(code=0, out="", err="")
        assert "central" not in case.run("status").expect().out
        assert_same_rows([case.home], postgresql, database["schema"])


def test_the_health_fails_when_a_run_waits_for_long(case: Case, postgresql: PostgreSQLServer) -> None:
    with wire_to(postgresql) as wire:
        wire.cut()
        case.jobs({"id": "a", "command": "true"}, database=keys(postgresql, port=wire.port))
        case.run("run", "config.json").expect(code=0)
        end_copiers(case.home)
    with sqlite3.connect(case.home + "/history.db") as home:
        home.execute("UPDATE runs SET ended_at = ended_at - 1000")
    home.close()
    checks = case.run("doctor", "--health", "--json").expect(code=1).json()["checks"]
    assert [one["ok"] for one in checks if one["name"] == "central"] == [False]


def test_the_next_run_brings_what_waits(case: Case, postgresql: PostgreSQLServer) -> None:
    with wire_to(postgresql) as wire:
        database = keys(postgresql, port=wire.port)
        wire.cut()
        case.jobs({"id": "a", "command": "true"}, database=database)
        case.run("run", "config.json").expect(code=0)
        end_copiers(case.home)
        wire.mend()
        case.run("run", "config.json").expect(code=0)
        copies_are_over(case)
        assert_same_rows([case.home], postgresql, database["schema"])
        assert len(central_rows(postgresql, database["schema"], "SELECT 1 FROM runs")) == 2


def test_acts_on_a_run_that_is_there_come_too(case: Case, postgresql: PostgreSQLServer) -> None:
    database = keys(postgresql)
    case.jobs(*JOBS, database=database).run("run", "config.json").expect(code=1)
    copies_are_over(case)
    case.run("mark-success", "1", "b", "--because", "by hand").expect(code=0)
    case.run("hold", "app", "a").expect(code=0)
    case.run("db", "sync").expect(code=0)
    case.run("db", "sync").expect(code=0, out="")
    assert_same_rows([case.home], postgresql, database["schema"])
    kinds = central_rows(postgresql, database["schema"], "SELECT kind, run_id IS NULL FROM events ORDER BY event_id")
    assert ("mark_success", False) in kinds and ("hold", True) in kinds


def test_all_earlier_runs_can_be_brought(case: Case, postgresql: PostgreSQLServer) -> None:
    place = postgresql.place()
    case.jobs(*JOBS).run("run", "config.json").expect(code=1)
    case.jobs(*JOBS).run("run", "config.json", "--resume", "last").expect(code=1)
    case.run("db", "sync").expect(code=0, out="")
    case.run("db", "sync", "--all").expect(code=2)
    case.run("db", "sync", "--all", "--to", str(place)).expect(code=0)
    assert_same_rows([case.home], postgresql, place.schema)
    assert central_rows(postgresql, place.schema, "SELECT home_run_id, home_parent_run_id, parent_run_id IS NOT NULL "
                        "FROM runs ORDER BY run_id") == [(1, None, False), (2, 1, True)]


@pytest.mark.parametrize("way", ["env", "file", "url"])
@pytest.mark.slow
def test_the_password_is_seen_nowhere(case: Case, postgresql: PostgreSQLServer, way: str) -> None:
    secret = "s3cret-Pass-%s" % way
    database: Any = keys(postgresql)
    if way == "file":
        case.file("password", secret + "\n")
        os.chmod(case.path("password"), 0o600)
        database["password_file"] = case.path("password")
    elif way == "env":
        database["password_env"] = "HISTORY_PW"
    else:
        database = "postgresql://%s:${HISTORY_PW}@127.0.0.1:%d/%s?schema=%s" % (
            database["user"], database["port"], database["name"], database["schema"])
    case.environ["HISTORY_PW"] = secret
    case.jobs(*JOBS, database=database).run("run", "config.json").expect(code=1)
    copies_are_over(case)
    case.run("db", "sync").expect(code=0)
    told = [case.run(*words).raw_out + case.run(*words).raw_err for words in (
        ("runs", "--central"), ("status", "--json"), ("doctor", "--health"), ("db", "status"))]
    assert len(case.run("runs", "--central", "--json").expect().json()) == 1
    for folder, _, names in os.walk(case.home):
        for name in names:
            with open(os.path.join(folder, name), "rb") as content:
                told.append(content.read())
    assert not [1 for text in told if secret.encode() in text]


def test_a_password_that_is_missing_is_said(case: Case, postgresql: PostgreSQLServer) -> None:
    case.jobs({"id": "a", "command": "true"}, database=keys(postgresql, password_env="NO_SUCH_PW"))
    case.run("run", "config.json").expect(code=0, err="")
    end_copiers(case.home)
    told = case.run("db", "sync").expect(code=1)
    assert "the variable NO_SUCH_PW, which is to hold the password, is not set" in told.err
    case.file("pw", "x")
    os.chmod(case.path("pw"), 0o644)
    case.jobs({"id": "a", "command": "true"}, database=keys(postgresql, password_file=case.path("pw")))
    case.run("run", "config.json").expect(code=0, err="")
    end_copiers(case.home)
    assert "is open to others (mode 0644)" in case.run("db", "sync").expect(code=1).err


@pytest.mark.parametrize("database, problem", [
    ("postgresql://u:secret-word@h/db", "a password does not belong into the URL"),
    ("postgresql://u@h/", "the name of the database is missing"),
    ("mysql://u@h/db", "expected a URL such as postgresql://"),
    ("postgresql://u@h/db?nonsense=1", 'the URL says "nonsense"'),
    ({"type": "postgresql"}, "the name of the database is missing"),
    ({"type": "postgresql", "name": "x", "port": 70000}, "port"),
    ({"type": "postgresql", "name": "x", "schema": "a;b"}, "a schema is named by"),
    ({"type": "postgresql", "name": "x", "password_file": "relative"}, "must be an absolute path"),
    ({"type": "postgresql", "name": "x", "password_file": "/x", "password_env": "Y"}, "contradict each other"),
    ({"type": "postgresql", "name": "x", "password": "secret-word"}, "unknown"),
    ({"type": "postgres", "name": "x"}, "postgres"),
    ({"host": "x"}, "is for a server, and the type is sqlite"),
    ({"type": "postgresql", "name": "x", "sslmode": "always"}, "sslmode"),
])
def test_bad_values(case: Case, database: object, problem: str) -> None:
    told = case.jobs({"id": "a", "command": "true"}, database=database).run("validate", "config.json").expect(code=2)
    assert problem in told.out + told.err
    assert "secret-word" not in told.out + told.err


def test_without_the_driver_a_run_goes_on_and_the_reason_is_said(case: Case, postgresql: PostgreSQLServer) -> None:
    os.mkdir(case.path("without"))
    case.file("without/psycopg2.py", "raise ImportError('no module of that name')\n")
    case.environ["PYTHONPATH"] = case.path("without") + os.pathsep + case.environ["PYTHONPATH"]
    case.jobs({"id": "a", "command": "true"}, database=keys(postgresql))
    case.run("run", "config.json").expect(code=0, err="")
    end_copiers(case.home)
    told = case.run("db", "sync").expect(code=1)
    assert "pip install 'executioner[postgresql]'" in told.err


def test_two_hosts_two_runners_one_server(case: Case, postgresql: PostgreSQLServer) -> None:
    why_not = with_host("probe", ["true"])
    if why_not is None:
        pytest.skip("not run: a host name of its own takes `unshare --uts` and its rights")
    database = keys(postgresql)
    case.jobs(*JOBS, database=database)
    homes = [case.path("home-" + name) for name in ("alpha", "beta")]
    children: List[Tuple[str, "subprocess.Popen[bytes]"]] = []
    for round_number in range(3):
        for name, home in zip(("alpha", "beta"), homes):
            words = [sys.executable, "-m", "executioner", "--home", home, "run", "config.json"]
            children.append((name, subprocess.Popen(with_host(name, words) or [], cwd=case.folder, env=case.environ,
                                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)))
        for _, child in children:
            assert child.wait(60) == 1
    for home in homes:
        copies_are_over(case, home)
    assert_same_rows(homes, postgresql, database["schema"])
    assert central_rows(postgresql, database["schema"], "SELECT home_host, home_run_id, count(*) FROM runs "
                        "GROUP BY 1, 2 ORDER BY 1, 2") == [
        (name, number, 1) for name in ("alpha", "beta") for number in (1, 2, 3)]


@pytest.mark.slow
def test_the_server_dies_in_the_middle_of_a_copy(case: Case) -> None:
    server = PostgreSQLServer.start()
    try:
        place = server.place()
        write_runs(case.home, str(place), 900, 2)
        connection = hold_up(case, server, place)
        command = case.command("db", "sync")
        child = subprocess.Popen(command, cwd=case.folder, env=case.environ, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        wait_until(lambda: is_held_up(connection))
        server.kill()
        out, err = child.communicate(timeout=60)
        assert child.returncode == 1 and b"cannot be reached" in err and b"Traceback" not in err
        server.resume()
        connection = server.connect()
        assert count(connection, place.schema) == RUNS_AT_ONCE
        let_go(connection, place)
        case.run("db", "sync").expect(code=0, err="")
        assert_same_rows([case.home], server, place.schema)
    finally:
        server.remove()


@pytest.mark.slow
def test_a_copier_that_is_killed_leaves_nothing_half(case: Case, postgresql: PostgreSQLServer) -> None:
    place = postgresql.place()
    write_runs(case.home, str(place), 900, 2)
    connection = hold_up(case, postgresql, place)
    with subprocess.Popen(case.command("db", "sync"), cwd=case.folder, env=case.environ) as child:
        wait_until(lambda: is_held_up(connection))
        child.send_signal(signal.SIGKILL)
    assert count(connection, place.schema) == RUNS_AT_ONCE
    let_go(connection, place)
    case.run("db", "sync").expect(code=0, err="")
    assert_same_rows([case.home], postgresql, place.schema)


def hold_up(case: Case, server: PostgreSQLServer, place: ServerPlace) -> Any:
    """Have the second batch of a copy stand still in its middle, and give a connection to look at it."""
    case.run("db", "migrate", "--central", env={"EXECUTIONER_DATABASE": str(place)}).expect(code=0)
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION %s.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT 1 FROM "
                       "%s.runs WHERE home_run_id > %d) THEN PERFORM pg_sleep(60); END IF; RETURN NULL; END $$"
                       % (place.schema, place.schema, RUNS_AT_ONCE))
        cursor.execute("CREATE TRIGGER hold AFTER INSERT ON %s.attempts FOR EACH STATEMENT EXECUTE FUNCTION %s.hold()"
                       % (place.schema, place.schema))
    return connection


def is_held_up(connection: Any) -> bool:
    """Whether a copy stands still."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        return cursor.fetchone() is not None


def let_go(connection: Any, place: ServerPlace) -> None:
    """End what stands still, and have nothing stand still any more."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        cursor.execute("DROP TRIGGER hold ON %s.attempts" % place.schema)
    connection.close()


def count(connection: Any, schema: str) -> int:
    """How many runs are there; 0 where there are no tables yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = 'runs'",
                       (schema,))
        if cursor.fetchone() is None:
            return 0
        cursor.execute("SELECT count(*) FROM %s.runs" % schema)
        return int(cursor.fetchone()[0])


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_two_copiers_of_a_home_do_not_meet(case: Case, postgresql: PostgreSQLServer) -> None:
    place = postgresql.place()
    write_runs(case.home, str(place), 300, 3)
    children = [subprocess.Popen(case.command("db", "sync"), cwd=case.folder, env=case.environ,
                                 stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert_same_rows([case.home], postgresql, place.schema)


def test_a_run_that_waits_is_not_pruned(case: Case, postgresql: PostgreSQLServer) -> None:
    with wire_to(postgresql) as wire:
        wire.cut()
        case.jobs({"id": "a", "command": "true"}, database=keys(postgresql, port=wire.port))
        for _ in range(4):
            case.run("run", "config.json").expect(code=0)
            end_copiers(case.home)
        case.run("db", "prune", "--runs", "1").expect(code=0)
        assert len(case.run("runs", "--json").json()) == 4
        wire.mend()
        case.run("db", "sync").expect(code=0)
        case.run("db", "prune", "--runs", "1").expect(code=0)
        assert len(case.run("runs", "--json").json()) == 1
        assert len(case.run("runs", "--central", "--json").json()) == 4


def test_what_the_log_says(case: Case, postgresql: PostgreSQLServer) -> None:
    case.jobs({"id": "a", "command": "true"}, database=keys(postgresql)).run("run", "config.json").expect(code=0)
    copies_are_over(case)
    with open(case.home + "/logs/executioner.jsonl", encoding="utf-8") as lines:
        told = [json.loads(line) for line in lines]
    assert [(one["level"], one["run_id"], one["context"]["runs"]) for one in told
            if one["event"] == "central_copied"] == [("INFO", 1, 1)]


def test_the_schema_there_is_changed_only_when_it_is_asked_for(case: Case, postgresql: PostgreSQLServer) -> None:
    place = postgresql.place()
    case.environ["EXECUTIONER_DATABASE"] = str(place)
    told = case.run("db", "migrate", "--central", "--dry-run").expect(code=0)
    assert "would make schema 1 (history)" in told.out
    assert "made schema 1 (history)" in case.run("db", "migrate", "--central").expect(code=0).out
    assert "nothing to do" in case.run("db", "migrate", "--central").expect(code=0).out
    newest = central_rows(postgresql, place.schema, "SELECT max(version) FROM schema_version")[0][0]
    case.jobs({"id": "a", "command": "true"}, database=str(place))
    connection = postgresql.connect()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO %s.schema_version VALUES (%d, 'later', 'x', 1.0)" % (place.schema, newest + 1))
    case.run("run", "config.json").expect(code=0, err="")
    end_copiers(case.home)
    assert "was written by a newer executioner" in case.run("db", "sync").expect(code=1).err
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM %s.schema_version WHERE version > %d" % (place.schema, newest))
    connection.close()
    case.run("db", "sync").expect(code=0, err="")
    assert_same_rows([case.home], postgresql, place.schema)


def test_the_figures_are_those_after_the_copy(case: Case, postgresql: PostgreSQLServer) -> None:
    case.jobs({"id": "a", "command": "true"}, database=keys(postgresql)).run("run", "config.json").expect(code=0)
    copies_are_over(case)
    with open(case.home + "/executioner.prom", encoding="utf-8") as text:
        lines = [line for line in text.read().splitlines() if line.startswith("executioner_central_")]
    assert [line.split("{")[0] + line.split("}")[1] for line in lines if "timestamp" not in line] == [
        "executioner_central_runs_waiting 0", "executioner_central_failing 0"]


def test_it_is_served(case: Case, postgresql: PostgreSQLServer) -> None:
    case.jobs(*JOBS, database=keys(postgresql)).run("run", "config.json").expect(code=1)
    copies_are_over(case)
    token = case.run("token", "create", "me", "--role", "operate").expect(code=0).raw_out.split()[-1].decode()
    with case.background("serve", "--central", "--listen", "127.0.0.1:0", stdout=subprocess.PIPE,
                         stdin=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        url = child.stdout.readline().decode().strip()
        try:
            assert [(one["run_id"], one["status"]) for one in ask(url, "api/v1/runs", token)["runs"]] == [(1, "FAILED")]
            jobs = ask(url, "api/v1/runs/1/jobs", token)["jobs"]
            assert [one["job_id"] for one in jobs] == ["a", "b", "c"]
            assert ask(url, "api/v1/applications", token)["applications"][0]["application"] == "app"
            assert ask(url, "status", token)["last"]["app"]["run_id"] == 1
            for path in ("api/v1/runs/1/jobs/a/attempts/1/output/stdout", "metrics",
                         "api/v1/runs?since=2026-01-01T00:00:00Z"):
                assert "many hosts" in ask(url, path, token, 409)["message"]
            assert "many hosts" in ask(url, "api/v1/runs/1/resume", token, 409, b"{}")["message"]
        finally:
            child.terminate()


def ask(url: str, path: str, token: str, status: int = 200, body: Any = None) -> Any:
    """One request."""
    request = urllib.request.Request(url + path, body, {"Authorization": "Bearer " + token,
                                                        "Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == status
            return json.loads(answer.read().decode())
    except urllib.error.HTTPError as error:
        found = error.read().decode()
        assert error.code == status, found
        return json.loads(found)


@pytest.mark.slow
def test_a_real_password_and_a_wrong_one(case: Case) -> None:
    server = PostgreSQLServer.start()
    try:
        connection = server.connect()
        with connection.cursor() as cursor:
            cursor.execute("CREATE ROLE locked LOGIN PASSWORD 'right-Word-1'")
            cursor.execute("CREATE DATABASE locked OWNER locked")
        connection.close()
        server.stop()
        with open(server.data + "/pg_hba.conf", "r+", encoding="utf-8") as rules:
            kept = rules.read()
            rules.seek(0)
            rules.write("host all locked 127.0.0.1/32 scram-sha-256\n" + kept)
        server.resume()
        database = {"type": "postgresql", "host": "127.0.0.1", "port": server.port, "name": "locked",
                    "user": "locked", "password_env": "LOCKED_PW"}
        case.environ["LOCKED_PW"] = "wrong-Word-2"
        case.jobs(*JOBS, database=database).run("run", "config.json").expect(code=1)
        end_copiers(case.home)
        told = case.run("db", "sync").expect(code=1)
        assert "the server refuses the user" in told.err and "Word" not in told.err
        case.environ["LOCKED_PW"] = "right-Word-1"
        case.run("db", "sync").expect(code=0, err="")
        assert len(case.run("runs", "--central", "--json").expect().json()) == 1
        assert "Word" not in case.run("status", "--json").expect().out
    finally:
        server.remove()


@pytest.mark.slow
def test_ctrl_c_ends_a_copy_at_once(case: Case, postgresql: PostgreSQLServer) -> None:
    place = postgresql.place()
    write_runs(case.home, str(place), 900, 2)
    connection = hold_up(case, postgresql, place)
    child = subprocess.Popen(case.command("db", "sync"), cwd=case.folder, env=case.environ, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    wait_until(lambda: is_held_up(connection))
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and b"Traceback" not in err
    let_go(connection, place)
    case.run("db", "sync").expect(code=0, err="")
    assert_same_rows([case.home], postgresql, place.schema)


@pytest.mark.slow
def test_a_wire_that_swallows_everything_does_not_hold_a_copy_for_ever(case: Case) -> None:
    """The server accepts and never answers: the connection is given up."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        case.jobs({"id": "a", "command": "true"}, database={
            "type": "postgresql", "host": "127.0.0.1", "port": silent.getsockname()[1], "name": "x", "user": "u"})
        case.run("run", "config.json").expect(code=0, out="", err="")
        assert copiers(case.home), "the run has waited for the server"
        end_copiers(case.home)
        assert "cannot be reached" in case.run("db", "sync").expect(code=1).err


def test_the_password_is_masked_where_a_job_tells_it(case: Case, postgresql: PostgreSQLServer) -> None:
    place = postgresql.place()
    case.environ["HISTORY_DB"] = "not-for-you-1"
    for database in (str(place._replace(password_env="HISTORY_DB")), keys(postgresql, password_env="HISTORY_DB")):
        case.jobs({"id": "a", "command": "echo $HISTORY_DB; exit 1"}, database=database)
        told = case.run("run", "config.json").expect(code=1)
        assert "***" in told.err and "not-for-you" not in told.err
        copies_are_over(case)

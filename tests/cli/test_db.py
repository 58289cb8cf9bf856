"""``executioner db``: the history looked at, copied, put back, migrated, and built anew from what is left of it."""
import hashlib
import os
import signal
import sqlite3
import stat
from typing import Dict, List

import pytest

from cli_case import Case
from killing import LONG, begin, rows, statuses, wait_for_file, wait_until

A = {"id": "a", "command": "echo a >> ran"}
B = {"id": "b", "command": "echo b >> ran; exit 3", "dependencies": ["a"]}
C = {"id": "c", "command": "true", "dependencies": ["b"]}


def two_runs(case: Case) -> Case:
    case.jobs(A).run("run", "config.json").expect(0)
    case.jobs(A, B, C).run("run", "config.json").expect(1)
    return case


def digest(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def in_home(case: Case, part: str) -> List[str]:
    return sorted(name for name in os.listdir(case.home) if part in name)


def change(case: Case, *statements: str, **options: str) -> None:
    connection = sqlite3.connect(options.get("path", case.path("home", "history.db")), isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def damage(case: Case, keep: int) -> None:
    """Overwrite all pages behind the first ones."""
    path = case.path("home", "history.db")
    change(case, "PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(4096 * keep)
        stream.write(os.urandom(size - 4096 * keep))


# ---- status, check ---------------------------------------------------------------------------------------------------

def test_the_commands_are_listed(case: Case) -> None:
    case.run("db").expect(2, out="", err="""
        executioner: no command given
          hint: executioner db --help lists the commands
        """)
    text = case.run("db", "--help").expect(0).out
    assert "  backup   copy it to a file, while runs go on\n" in text
    case.run("db", "bakup").expect(2, out="", err="""
        executioner: unknown command db bakup; did you mean backup?
          hint: executioner db --help lists the commands
        """)
    assert case.run("db", "backup", "--help").expect(0).out.startswith("usage: executioner db backup [options] FILE\n")
    assert case.run("help", "db", "check").expect(0).out.startswith("usage: executioner db check [options] [FILE]\n")
    assert not os.path.exists(case.home)


def test_status(case: Case) -> None:
    case.run("db", "status").expect(2)
    text = two_runs(case).run("db", "status").expect(0, err="").out
    assert "file     HOME/history.db\n" in text and "up to date" in text
    assert "runs     2 since TIME: 1 FAILED, 1 SUCCESS\n" in text and "none found by a quick look" in text
    document = case.run("db", "status", "--json").expect(0, err="").json()
    assert (document["runs"], document["jobs"], document["attempts"], document["newest_run"], document["damage"]) == (
        {"FAILED": 1, "SUCCESS": 1}, 4, 3, 2, None)
    assert document["ballast"] == 256 << 10 and document["free_bytes"] > 0 and document["journal_mode"] == "wal"
    assert document["schema"] == document["known_schema"]


def test_check_of_a_whole_history(case: Case) -> None:
    two_runs(case).run("db", "check").expect(0, out="HOME/history.db is whole\n", err="")
    assert case.run("db", "check", "--json").expect(0).json() == []


@pytest.mark.parametrize("statement, problem", [
    ("UPDATE jobs SET status = 'PENDING' WHERE run_id = 1", "run 1 is SUCCESS, but its job a is PENDING"),
    ("UPDATE jobs SET status = 'FAILED' WHERE run_id = 1", "run 1 is SUCCESS, but its job a is FAILED"),
    ("DELETE FROM attempts WHERE run_id = 1", "run 1: job a had 1 attempts, and 0 are recorded"),
    ("UPDATE attempts SET status = 'FAILED' WHERE run_id = 1", "run 1: job a is SUCCESS, but its last attempt is FAILED"),
    ("UPDATE attempts SET ended_at = NULL WHERE run_id = 1", "run 1: job a is over, but its attempt 1 is SUCCESS"),
    ("DELETE FROM jobs WHERE run_id = 1", "run 1 should have 1 jobs, numbered from 0, and has 0"),
    ("UPDATE runs SET ended_at = NULL WHERE run_id = 1", "run 1 is SUCCESS, but has no end or no exit code"),
    ("UPDATE runs SET status = 'DONE' WHERE run_id = 1", "run 1 has the status DONE, which there is not"),
    ("UPDATE runs SET parent_run_id = 2 WHERE run_id = 1", "run 1 resumes run 2, which came later"),
    ("DELETE FROM meta", "the home's UUID is missing"),
    ("UPDATE runs SET config_hash = 'x' WHERE run_id = 1",
     "row 1 of runs refers to a row of configurations that is not there"),
])
def test_check_finds_what_does_not_agree(case: Case, statement: str, problem: str) -> None:
    change(two_runs(case), statement)
    before = digest(case.path("home", "history.db"))
    result = case.run("db", "check").expect(3)
    assert problem in result.out.splitlines(), result.out
    assert case.run("db", "check", "--json").expect(3).json() == result.out.splitlines()
    assert digest(case.path("home", "history.db")) == before


def test_check_of_a_damaged_history(case: Case) -> None:
    damage(two_runs(case), 3)
    text = case.run("db", "check").expect(3).err
    assert "the database is damaged" in text and text.count("\n") == 1


# ---- backup, restore -------------------------------------------------------------------------------------------------

def test_a_backup_is_whole_and_private(case: Case) -> None:
    two_runs(case).run("db", "backup", "copy.db").expect(0, out="copy.db: SIZE, checked\n", err="")
    assert stat.S_IMODE(os.stat(case.path("copy.db")).st_mode) == 0o600
    assert [name for name in os.listdir(case.folder) if name.startswith("copy")] == ["copy.db"], "something beside it"
    case.run("db", "check", "copy.db").expect(0, out="copy.db is whole\n", err="")
    assert [name for name in os.listdir(case.folder) if name.startswith("copy")] == ["copy.db"], "a look made something"
    before = digest(case.path("copy.db"))
    case.run("db", "backup", "copy.db").expect(
        2, out="", err="executioner: copy.db is there already; a backup replaces no file\n")
    assert digest(case.path("copy.db")) == before
    assert "No such file" in case.run("db", "backup", "none/copy.db").expect(3, out="").err


def test_backups_while_a_run_goes_on(case: Case) -> None:
    case.jobs(*[{"id": "j%d" % number, "command": "true"} for number in range(150)])
    with begin(case, "run", "config.json") as runner:
        wait_until(lambda: rows(case, "SELECT 1 FROM attempts"))
        for number in range(4):
            case.run("db", "backup", "copy%d.db" % number).expect(0)
        assert runner.wait() == 0
    for number in range(4):
        case.run("db", "check", "copy%d.db" % number).expect(0)
    assert set(statuses(case).values()) == {"SUCCESS"}


def test_a_copy_that_is_not_whole_is_no_backup(case: Case) -> None:
    """An index that does not agree with its table: a quick look does not see it."""
    change(two_runs(case), "PRAGMA writable_schema=ON", "UPDATE sqlite_master SET sql = "
           "'CREATE INDEX runs_by_parent ON runs (config_hash)' WHERE name = 'runs_by_parent'")
    assert "the database is damaged (the copy: " in case.run("db", "backup", "copy.db").expect(3, out="").err
    assert [name for name in os.listdir(case.folder) if name.startswith("copy")] == []
    case.run("db", "check").expect(3)


def test_a_backup_is_restored_and_the_old_file_kept(case: Case) -> None:
    two_runs(case).run("db", "backup", "copy.db").expect(0)
    case.jobs(A).run("run", "config.json").expect(0)
    out = case.run("db", "restore", "copy.db").expect(0, err="").out
    (aside,) = in_home(case, "before-restore")
    assert out.splitlines() == ["copy.db is the history now", "the one that was there is kept as HOME/" + aside]
    assert [run["run_id"] for run in case.run("runs", "--json").json()] == [2, 1]
    connection = sqlite3.connect(os.path.join(case.home, aside))
    assert connection.execute("SELECT max(run_id) FROM runs").fetchone() == (3,)
    connection.close()
    case.run("run", "config.json").expect(0)  # the folder of its number is there already
    case.run("db", "check").expect(0)
    assert os.path.exists(case.path("copy.db"))


def test_a_restore_where_the_history_is_gone_or_damaged(case: Case) -> None:
    two_runs(case).run("db", "backup", "copy.db").expect(0)
    damage(case, 1)
    case.run("db", "restore", "copy.db").expect(0)
    os.unlink(case.path("home", "history.db"))
    case.run("db", "restore", "copy.db").expect(0, out="copy.db is the history now\n", err="")
    case.run("db", "check").expect(0)


def test_what_is_not_restored(case: Case) -> None:
    two_runs(case).file("text", "no database").file("empty", "")
    before = digest(case.path("home", "history.db"))
    case.run("db", "restore", "text").expect(3, out="")
    case.run("db", "restore", "empty").expect(3, out="")
    case.run("db", "restore", "missing.db").expect(3, out="")
    case.run("db", "restore", "home/history.db").expect(2, out="", err="executioner: home/history.db is the history itself\n")
    case.run("db", "backup", "copy.db").expect(0)
    change(case, "DELETE FROM jobs", path=case.path("copy.db"))
    assert "refers to a row of jobs that is not there" in case.run("db", "restore", "copy.db").expect(3, out="").err
    assert digest(case.path("home", "history.db")) == before and in_home(case, "before-restore") == []


def test_nothing_is_restored_or_rebuilt_under_a_run(case: Case) -> None:
    two_runs(case).run("db", "backup", "copy.db").expect(0)
    case.jobs({"id": "long", "command": LONG})
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        assert "the history is in use: " in case.run("db", "restore", "copy.db").expect(2, out="").err
        runner.kill()  # its keeper still has the job
        assert "jobs still run under the record" in case.run("db", "restore", "copy.db").expect(2, out="").err
    case.file("go", "")
    wait_until(lambda: case.run("show", "last", "--json").json()["status"] != "RUNNING")
    case.run("db", "restore", "copy.db").expect(0)


@pytest.mark.slow
def test_an_interrupted_replacement_is_said_and_no_empty_history_made(case: Case) -> None:
    """As a kill between the two renames leaves it."""
    two_runs(case).run("db", "backup", "copy.db").expect(0)
    os.rename(case.path("home", "history.db"), case.path("home", "history.db.before-restore-1"))
    case.file("home/history.db.unfinished", "")
    for words in (("run", "config.json"), ("runs",), ("db", "check")):
        assert "it was being replaced, and that was interrupted" in case.run(*words).expect(3, out="").err
    case.run("db", "restore", "copy.db").expect(0)
    case.run("db", "check").expect(0)
    assert in_home(case, "unfinished") == []


def test_a_run_whose_history_is_replaced_stops_with_a_clear_line(case: Case) -> None:
    case.jobs({"id": "long", "command": LONG}, {"id": "after", "command": "echo after >> ran", "dependencies": ["long"]})
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"))
        os.rename(case.path("home", "history.db"), case.path("home", "history.db.mine"))
        case.file("go", "")
        assert runner.wait() == 3
    text = open(case.path("err")).read()
    assert "it was moved away or replaced while this process had it open" in text and "Traceback" not in text
    assert not os.path.exists(case.path("ran")), "something was started whose start nobody can find"
    os.rename(case.path("home", "history.db.mine"), case.path("home", "history.db"))
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert open(case.path("ran")).read() == "after\n" and open(case.path("done")).read() == "long\n"


# ---- migrate ---------------------------------------------------------------------------------------------------------

def old_history(case: Case) -> None:
    """A history as the first version made it."""
    from db.migration import apply_pending
    from db.migrations import MIGRATIONS
    from db.sqlite_adapter import SQLiteAdapter

    os.mkdir(case.home, 0o700)
    SQLiteAdapter.create(case.path("home", "history.db"), lambda database: _first_schema(database, apply_pending, MIGRATIONS))


def _first_schema(database, apply_pending, migrations):  # type: ignore[no-untyped-def]
    apply_pending(database, migrations[:1])
    database.execute("INSERT INTO meta (name, value) VALUES ('home_uuid', 'u')")


def test_migrate(case: Case) -> None:
    old_history(case)
    assert "schema   1, older than this executioner's" in case.run("db", "status").expect(0).out
    assert "db migrate" in case.run("runs").expect(3, out="").err
    lines = case.run("db", "migrate", "--dry-run").expect(0, err="").out.splitlines()
    assert lines[0] == "would make schema 2 (upkeep)"
    assert rows(case, "SELECT max(version) FROM schema_version") == [(1,)] and in_home(case, "backup") == []
    case.run("db", "migrate", "--to", "2").expect(0, err="", out="""
        made schema 2 (upkeep)
        a backup from before is HOME/history.db.schema-1.backup
        """)
    case.run("db", "migrate").expect(0)
    case.run("db", "migrate").expect(0, err="")
    assert "the way back is the backup" in case.run("db", "migrate", "--to", "1").expect(2, out="").err
    assert "there is no schema 99" in case.run("db", "migrate", "--to", "99").expect(2, out="").err
    case.run("db", "restore", "home/history.db.schema-1.backup").expect(0)
    assert rows(case, "SELECT max(version) FROM schema_version") == [(1,)]
    case.jobs(A).run("run", "config.json").expect(0)


# ---- recover ---------------------------------------------------------------------------------------------------------

def test_recover_closes_the_runs_of_all_applications(case: Case) -> None:
    for name in ("one", "two", "three"):
        case.config({"application_name": name, "jobs": [{"id": "long", "command": LONG}]}, name + ".json")
    with begin(case, "run", "one.json") as one, begin(case, "run", "two.json") as two, begin(case, "run", "three.json") as three:
        wait_until(lambda: len(rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'")) == 3)
        one.kill()
        two.kill_both()
        with begin(case, "db", "recover") as waiting:
            wait_until(lambda: "jobs of run" in open(case.path("err")).read())
            assert waiting.kill(signal.SIGINT) == 130
        case.file("go", "")
        assert three.wait() == 0
    lines = case.run("db", "recover").expect(0).out.splitlines()
    assert sorted(line.split(": ")[1] for line in lines if line.startswith("run ")) in (["LOST", "SUCCESS"], ["SUCCESS"], ["LOST"])
    case.run("db", "recover").expect(0, out="every run is closed\n", err="")
    assert sorted(rows(case, "SELECT application, status FROM runs")) == [
        ("one", "SUCCESS"), ("three", "SUCCESS"), ("two", "LOST")]


def test_nothing_is_rebuilt_that_is_whole(case: Case) -> None:
    two_runs(case)
    before = digest(case.path("home", "history.db"))
    case.run("db", "recover", "--rebuild").expect(0, err="", out="""
        HOME/history.db is whole; nothing to rebuild
        every run is closed
        """)
    assert digest(case.path("home", "history.db")) == before and in_home(case, "damaged") == []


def runs_shown(case: Case) -> Dict[int, str]:
    return {run["run_id"]: run["status"] for run in case.run("runs", "--json").expect(0).json()}


@pytest.mark.parametrize("loss", ["all pages"] + [
    pytest.param(loss, marks=pytest.mark.slow) for loss in ("gone", "header", "empty")])
def test_a_history_is_rebuilt_from_log_records_and_output(case: Case, loss: str) -> None:
    two_runs(case)
    shown = case.run("show", "2", "--json").json()
    path = case.path("home", "history.db")
    if loss == "gone":
        for name in in_home(case, "history.db"):
            os.unlink(os.path.join(case.home, name))
    elif loss == "empty":
        open(path, "wb").close()
    else:
        damage(case, 1 if loss == "all pages" else 0)
    lines = case.run("db", "recover", "--rebuild").expect(0, err="").out.splitlines()
    assert "runs made from the log, the records and the output: 1, 2" in lines, lines
    assert not any("does not agree" in line for line in lines), lines
    kept = [name for name in in_home(case, "damaged") if not name.endswith(("-wal", "-shm"))]
    assert len(kept) == (0 if loss == "gone" else 1), "the damaged file is not kept"
    case.run("db", "check").expect(0)
    assert runs_shown(case) == {1: "SUCCESS", 2: "FAILED"}
    rebuilt = case.run("show", "2", "--json").json()
    wanted = ("job_id", "status", "exit_code", "attempts", "stdout_path")
    assert [[job[name] for name in wanted] for job in rebuilt["jobs"]] == [
        [job[name] for name in wanted] for job in shown["jobs"]]
    case.run("logs", "2", "b").expect(0)
    # The next run gets a number that was never given; a resume runs what did not succeed, and nothing else.
    case.run("run", "config.json", "--resume", "2").expect(2)  # its configuration is gone with the history
    case.run("run", "config.json", "--resume", "2", "--with-current-config").expect(1)
    assert open(case.path("ran")).read().split() == ["a", "a", "b", "b"]
    assert max(runs_shown(case)) == 3


@pytest.mark.slow
def test_rows_that_can_be_read_are_kept(case: Case) -> None:
    for number in range(60):
        change(two_runs(case) if number == 0 else case, "INSERT INTO events (run_id, at, kind, who, why, details) "
               "VALUES (1, %d, 'notice', '', '%s', '{}')" % (number, "x" * 3000))
    change(case, "PRAGMA wal_checkpoint(TRUNCATE)")
    path = case.path("home", "history.db")
    with open(path, "r+b") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(size // 2 // 4096 * 4096)  # in the middle of the events
        stream.write(os.urandom(4096 * 3))
    case.run("db", "check").expect(3)
    out = case.run("db", "recover", "--rebuild").expect(0, err="").out
    assert "2 of runs" in out and "4 of jobs" in out and "events" in out.split("in part or at all: ")[1].splitlines()[0]
    assert "records and the output: none" in out
    case.run("db", "check").expect(0)
    assert runs_shown(case) == {1: "SUCCESS", 2: "FAILED"}
    assert 30 < rows(case, "SELECT count(*) FROM events")[0][0] < 60
    case.run("run", "config.json", "--resume", "2").expect(1)  # its configuration could be read


def test_what_nobody_knows_of_a_rebuilt_run_is_lost_and_not_run_again(case: Case) -> None:
    """The runner was killed, its log lines are gone, the history too: the keeper's record has the end of the process."""
    case.jobs(A, {"id": "long", "command": LONG, "dependencies": ["a"]},
              {"id": "z", "command": "echo z >> ran", "dependencies": ["long"]})
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        wait_until(lambda: "attempt_started" in open(case.path("home", "logs", "executioner.jsonl")).read())
        runner.kill()
    case.file("go", "")
    wait_until(lambda: case.run("show", "1", "--json").json()["status"] != "RUNNING")
    damage(case, 0)
    assert "of these runs jobs may be missing: 1" in case.run("db", "recover", "--rebuild").expect(0).out
    assert statuses(case, 1) == {"a": "SUCCESS", "long": "LOST"}
    text = case.run("run", "config.json", "--resume", "1", "--with-current-config").expect(1).err
    assert "out   z  (the history was rebuilt, and what became of it is not in it; decide with `--rerun-lost z`)" in text
    assert open(case.path("ran")).read() == "a\n"
    case.run("mark-success", "1", "long", "--because", "seen").expect(0)
    case.run("run", "config.json", "--resume", "1", "--with-current-config", "--rerun-lost", "z").expect(0)
    assert open(case.path("ran")).read() == "a\nz\n" and open(case.path("done")).read() == "long\n"

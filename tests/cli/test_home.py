"""A home or a history that cannot be used: one line, exit 3, nothing is started and nothing is spoilt."""
import hashlib
import os
import sqlite3
import subprocess
from typing import Iterator

import pytest

from cli_case import Case, Result


def failed(case: Case, *words: str) -> Result:
    """The command failed for the tool's own reasons: exit 3, one line (and a hint), no job was started."""
    result = case.run(*words).expect(3, out="")
    lines = result.err.splitlines()
    assert lines[0].startswith("executioner: ") and len(lines) <= 2, result.err
    assert len(lines) == 1 or lines[1].startswith("  hint: "), result.err
    assert not os.path.exists(case.path("started")), "a job was started"
    return result


@pytest.fixture
def started(case: Case) -> Case:
    """A case whose job leaves a trace."""
    return case.jobs({"id": "a", "command": "touch started"})


def test_a_home_that_others_may_enter(started: Case) -> None:
    os.mkdir(started.home)
    os.chmod(started.home, 0o750)
    for words in (("run", "config.json"), ("runs",), ("show", "last"), ("status",), ("logs", "last")):
        assert failed(started, *words).err == (
            "executioner: home HOME: others may enter it (mode 0750, expected 0700)\n  hint: chmod 700 HOME\n")
    document = started.run("run", "--json", "config.json").expect(3).json()
    assert (document["error"], document["error_code"]) == ("StorageError", "E400")
    assert os.listdir(started.home) == []


def test_a_home_that_is_a_file(started: Case) -> None:
    started.file("home", "")
    assert "expected a folder" in failed(started, "run", "config.json").err


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_a_home_that_cannot_be_made(started: Case) -> None:
    started.home = "/proc/no-such-thing/home"
    assert failed(started, "run", "config.json").err.startswith("executioner: home HOME: cannot create ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_home_that_cannot_be_written(started: Case) -> None:
    os.mkdir(started.home, 0o700)
    os.chmod(started.home, 0o500)
    failed(started, "run", "config.json")


@pytest.mark.slow
def test_a_history_of_a_newer_version(started: Case) -> None:
    started.jobs({"id": "a", "command": "true"}).run("run", "config.json").expect(0)
    started.jobs({"id": "a", "command": "touch started"})
    history = started.path("home", "history.db")
    with sqlite3.connect(history) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(schema_version)")]
        row = list(database.execute("SELECT * FROM schema_version ORDER BY version DESC LIMIT 1").fetchone())
        row[columns.index("version")] = 9999
        database.execute("INSERT INTO schema_version VALUES (%s)" % ", ".join("?" * len(row)), row)
    database.close()
    for words in (("run", "config.json"), ("runs",), ("show", "last")):
        assert "newer" in failed(started, *words).err and "9999" in failed(started, *words).err


@pytest.mark.parametrize("content", [b"this is no database\n" * 100, b"SQLite format 3\0" + b"\1" * 5000])
def test_a_history_that_is_no_database(started: Case, content: bytes) -> None:
    os.mkdir(started.home, 0o700)
    started.file(os.path.join("home", "history.db"), content)
    os.chmod(started.path("home", "history.db"), 0o600)
    before = hashlib.sha256(content).hexdigest()
    for words in (("run", "config.json"), ("runs",)):
        failed(started, *words)
    with open(started.path("home", "history.db"), "rb") as history:
        assert hashlib.sha256(history.read()).hexdigest() == before, "the file was changed"


@pytest.fixture
def small_disk(case: Case) -> Iterator[Case]:
    """A case whose home is a disk of 1 MiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a disk of its own")
    os.mkdir(case.home, 0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", case.home],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if mounted.returncode != 0:
        pytest.skip("cannot mount: %s" % mounted.stdout.decode().strip())
    yield case
    subprocess.run(["umount", case.home], check=True)


@pytest.mark.parametrize("runs_before", [0, 1])
def test_a_full_disk(small_disk: Case, runs_before: int) -> None:
    for _ in range(runs_before):
        small_disk.jobs({"id": "a", "command": "true"}).run("run", "config.json").expect(0)
    small_disk.jobs({"id": "a", "command": "touch started"})
    filler = small_disk.path("home", "filler")
    with open(filler, "wb", buffering=0) as stream:
        size = 4096
        while size:
            try:
                stream.write(b"\0" * size)
            except OSError:
                size //= 2
    failed(small_disk, "run", "config.json")
    assert not os.path.exists(small_disk.path("home", "logs", str(runs_before + 1))), "the run was not made"
    os.unlink(filler)
    small_disk.run("run", "config.json").expect(0, "", "")
    assert os.path.exists(small_disk.path("started"))


def test_a_run_that_cannot_be_recorded_leaves_no_folder(started: Case) -> None:
    started.jobs({"id": "a", "command": "true"}).run("run", "config.json").expect(0)
    started.jobs({"id": "a", "command": "touch started"})
    database = sqlite3.connect(started.path("home", "history.db"))
    database.execute("CREATE TRIGGER refuse BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'refused'); END")
    database.commit()
    database.close()
    failed(started, "run", "config.json")
    assert not os.path.exists(started.path("home", "logs", "2"))
    assert [run["run_id"] for run in started.run("runs", "--json").json()] == [1]


def test_the_environment_names_the_home(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"})
    done = subprocess.run([case.python, "-m", "executioner", "run", "config.json"], cwd=case.folder,
                          env=dict(case.environ, EXECUTIONER_HOME="elsewhere"))
    assert done.returncode == 0
    assert os.path.exists(case.path("elsewhere", "history.db")) and not os.path.exists(case.home)


def test_an_internal_error_is_one_line_and_its_traceback_is_in_the_log(case: Case) -> None:
    import json
    case.jobs({"id": "a", "command": "true"}).run("run", "config.json").expect(0)
    case.file("break.py", "import executioner.commands.runs as runs, executioner.cli as cli, sys\n"
                          "def execute(arguments, console):\n    raise ValueError('boom')\n"
                          "runs.execute = execute\nsys.exit(cli.main(sys.argv[1:]))\n")
    done = subprocess.run([case.python, "break.py", "--home", case.home, "runs"], cwd=case.folder, env=case.environ,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 3 and done.stdout == b""
    assert done.stderr == (b"executioner: internal error: ValueError: boom\n"
                           b"  hint: this is a bug; --debug shows where\n")
    with open(case.path("home", "logs", "executioner.jsonl")) as log:
        last = json.loads(log.readlines()[-1])
    assert last["event"] == "error" and "ValueError: boom" in last["exception"]["traceback"]

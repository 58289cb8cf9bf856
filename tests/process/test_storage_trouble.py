"""Storage trouble as a user meets it: full disks, histories that are not ours or not whole, locks, network disks, limits."""
import hashlib
import os
import resource
import sqlite3
import subprocess
import time
from typing import Any, Callable, Dict, List

import pytest

from cli_case import Case
from killing import LONG, begin, rows, statuses, wait_for_file, wait_until
from small_disks import fill, small_disk

JOB = {"id": "a", "command": "echo a >> ran"}
#: The command, less patient than it is: the real waits are five seconds, growing, and ten minutes.
IMPATIENT = """
import sys
import jobs.engine
jobs.engine.STORAGE_RETRY_S, jobs.engine.STORAGE_RETRY_MOST_S, jobs.engine.STORAGE_PATIENCE_S = 0.1, 0.3, %s
import executioner.cli
sys.exit(executioner.cli.main(sys.argv[1:]))
"""

needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")


def lines(case: Case, name: str) -> List[str]:
    try:
        with open(case.path(name)) as stream:
            return stream.read().splitlines()
    except FileNotFoundError:
        return []


def clear_line(text: str, *parts: str) -> None:
    """One error, in words, and nothing of our insides."""
    assert "Traceback" not in text and "internal error" not in text and "this is a bug" not in text, text
    assert text.startswith("executioner: "), text
    for part in parts:
        assert part in text, text


# ---- a full disk -------------------------------------------------------------------------------------------------------

def chain(case: Case, wide: int = 0) -> None:
    """``long``, what depends on it, and ``wide`` jobs beside it that write a lot of history."""
    case.jobs({"id": "long", "command": LONG}, {"id": "next", "command": "echo next >> ran", "dependencies": ["long"]},
              *[{"id": "w%d" % number, "command": "while [ ! -e go ]; do sleep 0.05; done; echo w >> wide"}
                for number in range(wide)], parallel=True, max_workers=wide + 1)


@needs_mount
def test_results_are_kept_on_a_full_disk_and_the_run_goes_on_when_there_is_room(case: Case) -> None:
    with small_disk(case) as disk:
        chain(case)
        with begin(case, "run", "config.json", program=IMPATIENT % 60) as runner:
            wait_for_file(case, "begun")
            wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"))
            assert os.path.getsize(case.home + "/ballast") == 256 << 10
            filler = fill(disk)
            # The log of the history has room for what is overwritten in it; take that too.
            case.file("go", "")
            wait_until(lambda: rows(case, "SELECT 1 FROM jobs WHERE job_id = 'long' AND status = 'SUCCESS'"),
                       "the result is kept although the disk is full")
            if not os.path.exists(case.home + "/ballast"):
                time.sleep(0.5)
                assert lines(case, "ran") == [], "something was started on a full disk"
            os.unlink(filler)
            assert runner.wait() == 0
        assert statuses(case) == {"long": "SUCCESS", "next": "SUCCESS"} and lines(case, "ran") == ["next"]
        case.run("db", "check").expect(0)
        assert os.path.getsize(case.home + "/ballast") == 256 << 10, "the ballast is not there again"


@needs_mount
@pytest.mark.slow
def test_without_a_ballast_the_results_wait_in_the_record(case: Case) -> None:
    with small_disk(case, "1m") as disk:
        chain(case, 12)
        with begin(case, "run", "config.json", program=IMPATIENT % 60) as runner:
            wait_for_file(case, "begun")
            wait_until(lambda: len(rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'")) == 13)
            os.unlink(case.home + "/ballast")
            filler = fill(disk)
            case.file("go", "")
            wait_until(lambda: "nothing new starts" in open(case.home + "/logs/executioner.jsonl").read()
                       or len(lines(case, "wide")) == 12)
            time.sleep(0.6)
            os.unlink(filler)
            assert runner.wait() == 0
        assert set(statuses(case).values()) == {"SUCCESS"}
        assert lines(case, "ran") == ["next"] and lines(case, "begun") == ["long"] and len(lines(case, "wide")) == 12
        case.run("db", "check").expect(0)


@needs_mount
@pytest.mark.slow
def test_a_disk_that_stays_full_ends_the_run_with_a_clear_line(case: Case) -> None:
    with small_disk(case, "4m") as disk:
        jobs: List[Dict[str, Any]] = [{"id": "long", "command": LONG}]
        jobs += [{"id": "n%d" % number, "command": "echo n >> ran", "description": "x" * 900, "dependencies": ["long"]}
                 for number in range(200)]
        case.jobs(*jobs)
        with begin(case, "run", "config.json", program=IMPATIENT % 1) as runner:
            wait_for_file(case, "begun")
            wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"))
            os.unlink(case.home + "/ballast")
            filler = fill(disk)
            started = time.monotonic()
            case.file("go", "")
            assert runner.wait() == 3
            assert time.monotonic() - started >= 1, "it did not wait"
        err = open(case.path("err")).read()
        clear_line(err.split("\n", 1)[1] if err.startswith("executioner: the log") else err,
                   "the disk is full", "free some space", "run config.json --resume 1")
        os.unlink(filler)
        case.run("run", "config.json", "--resume", "1").expect(0)
        assert lines(case, "begun") == ["long"] and len(lines(case, "ran")) == 200
        case.run("db", "check").expect(0)


@needs_mount
@pytest.mark.slow
def test_the_disk_is_full_from_the_start(case: Case) -> None:
    """At every size at which some of the files of a run can be made and others cannot: a clear line, or a run."""
    case.jobs(JOB)
    codes = []
    with small_disk(case, "1m") as disk:
        for left in list(range(0, 160, 8)) + [200, 300, 600]:
            fill(disk, but=left << 10)
            with begin(case, "run", "config.json", program=IMPATIENT % 0.3) as runner:
                code = runner.wait()
            text = open(case.path("err")).read()
            os.unlink(case.path("err"))
            codes.append(code)
            assert code in (0, 3), (left, code, text)
            assert "Traceback" not in text and "internal error" not in text, (left, text)
            if code == 3:
                assert text.startswith("executioner: ") and ("No space left" in text or "full" in text), (left, text)
                if lines(case, "ran"):
                    # There was room for its start and not for its end: the keeper's record has that.
                    os.unlink(disk + "/filler")
                    case.run("run", "config.json", "--resume", "last").expect(0)
                    assert lines(case, "ran") == ["a"], (left, "it ran twice")
                    os.unlink(case.path("ran"))
            else:
                assert lines(case, "ran") == ["a"], left
                os.unlink(case.path("ran"))
            subprocess.check_call(["sh", "-c", "rm -rf %s/*" % disk])
    assert codes[0] == 3 and codes[-1] == 0 and len(set(codes)) == 2


@needs_mount
def test_a_disk_without_free_files(case: Case) -> None:
    folder = case.path("disk")
    os.mkdir(folder)
    subprocess.check_call(["mount", "-t", "tmpfs", "-o", "nr_inodes=6,mode=0700", "test", folder])
    try:
        case.home = folder + "/home"
        clear_line(case.jobs(JOB).run("run", "config.json").expect(3, out="").err, "No space left on device")
    finally:
        subprocess.check_call(["umount", folder])


def test_the_ballast_is_made_with_the_home_and_private(case: Case) -> None:
    case.jobs(JOB).run("run", "config.json").expect(0)
    found = os.stat(case.home + "/ballast")
    assert (found.st_size, found.st_mode & 0o777) == (256 << 10, 0o600)
    assert found.st_blocks * 512 >= found.st_size, "it takes up no room"
    os.unlink(case.home + "/ballast")
    case.run("run", "config.json").expect(0)
    assert os.path.getsize(case.home + "/ballast") == 256 << 10


# ---- what cannot be written or is not ours -----------------------------------------------------------------------------

@needs_mount
def test_a_file_system_that_is_read_only(case: Case) -> None:
    with small_disk(case) as disk:
        case.jobs(JOB).run("run", "config.json").expect(0)
        subprocess.check_call(["mount", "-o", "remount,ro", disk])
        clear_line(case.run("run", "config.json").expect(3, out="").err, "home HOME")
        assert lines(case, "ran") == ["a"]
        assert case.run("runs", "--json").expect(0).json()[0]["status"] == "SUCCESS"
        case.run("db", "backup", "copy.db").expect(0)
        case.run("db", "check").expect(0)
        subprocess.check_call(["mount", "-o", "remount,rw", disk])


def digest(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def garbage(path: str) -> None:
    with open(path, "r+b") as stream:
        stream.write(os.urandom(os.fstat(stream.fileno()).st_size))


def in_the_middle(path: str) -> None:
    with open(path, "r+b") as stream:
        stream.seek(4096 * 2)
        stream.write(os.urandom(4096 * 8))


def cut(path: str) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def emptied(path: str) -> None:
    os.truncate(path, 0)


def text(path: str) -> None:
    with open(path, "w") as stream:
        stream.write("dear diary\n" * 1000)


def foreign(path: str) -> None:
    os.unlink(path)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (x)")
    connection.close()


def newer(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO schema_version (version, name, checksum, applied_at) VALUES (99, 'z', 'z', 0)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("spoil, says", [
    (garbage, "it is not a history database"), (in_the_middle, "the database is damaged"),
    (cut, "the database is damaged"), (emptied, "it is empty"), (text, "it is not a history database"),
    (foreign, "it is the database of another program"), (newer, "was written by a newer executioner")])
def test_a_history_that_cannot_be_used_is_left_as_it_is(case: Case, spoil: Callable[[str], None], says: str) -> None:
    case.jobs(JOB).run("run", "config.json").expect(0)
    path = case.path("home", "history.db")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    spoil(path)
    before = digest(path)
    for words in (("run", "config.json"), ("run", "config.json", "--resume", "last"), ("runs",), ("status",),
                  ("cancel", "last"), ("db", "check"), ("db", "backup", "copy.db")):
        if words[1:] == ("backup", "copy.db") and spoil is newer:
            continue  # a copy of it is as good as any
        clear_line(case.run(*words).expect(3, out="").err, says)
    assert digest(path) == before and lines(case, "ran") == ["a"]
    assert not os.path.exists(case.path("copy.db"))


def test_a_history_that_another_process_keeps_locked(case: Case) -> None:
    case.jobs(JOB).run("run", "config.json").expect(0)
    holder = sqlite3.connect(case.path("home", "history.db"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    brief = ("import sys, db.history\nopened = db.history.History.open.__func__\n"
             "db.history.History.open = classmethod(lambda cls, path, readonly=False, allow_network_fs=False, "
             "lock_timeout_s=0.5: opened(cls, path, readonly, allow_network_fs, lock_timeout_s))\n"
             "import executioner.cli\nsys.exit(executioner.cli.main(sys.argv[1:]))")
    with begin(case, "run", "config.json", program=brief) as runner:
        assert runner.wait() == 3
    clear_line(open(case.path("err")).read(), "another process keeps the database locked")
    assert lines(case, "ran") == ["a"]
    holder.execute("ROLLBACK")
    holder.close()
    case.run("run", "config.json").expect(0)


def test_a_history_that_is_locked_for_a_moment_is_waited_for(case: Case) -> None:
    case.jobs(JOB).run("run", "config.json").expect(0)
    holder = sqlite3.connect(case.path("home", "history.db"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with begin(case, "run", "config.json") as runner:
        time.sleep(1)
        holder.execute("COMMIT")
        assert runner.wait() == 0
    holder.close()
    assert open(case.path("err")).read() == ""


NETWORK = """
import sys
import db.sqlite_file
db.sqlite_file.network_file_system.__globals__["_is_network"] = lambda kind: True
import executioner.cli
sys.exit(executioner.cli.main(sys.argv[1:]))
"""


def test_a_network_file_system_is_refused_or_insisted_on(case: Case) -> None:
    case.jobs(JOB)
    with begin(case, "run", "config.json", program=NETWORK) as runner:
        assert runner.wait() == 3
    clear_line(open(case.path("err")).read(), "network file system", "--allow-network-fs")
    assert lines(case, "ran") == []
    with begin(case, "run", "config.json", "--allow-network-fs", program=NETWORK) as runner:
        assert runner.wait() == 0
    assert lines(case, "ran") == ["a"]
    assert rows(case, "PRAGMA journal_mode") == [("delete",)]
    assert "a network file system: every commit is slower" in open(case.home + "/logs/executioner.jsonl").read()
    for words in (["status"], ["db", "check"], ["show", "last"]):
        with begin(case, *words, program=NETWORK) as refused:
            assert refused.wait() == 3
        with begin(case, *(words + ["--allow-network-fs"]), program=NETWORK) as accepted:
            assert accepted.wait() == 0


# ---- limits of the runner itself ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("files", [3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20, 24, 28, 32])
def test_too_few_descriptors(case: Case, files: int) -> None:
    """Whatever cannot be opened: a run that goes well, or a clear line; nothing half done."""
    case.jobs(JOB)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    done = subprocess.run(case.command("run", "config.json"), cwd=case.folder, env=case.environ, preexec_fn=limit,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    said = done.stderr.decode()
    if not lines(case, "ran") and done.returncode not in (0, 3) and "executioner" not in said:
        return  # Python itself did not get so far
    assert "Traceback" not in said and "this is a bug" not in said, (files, said)
    assert done.returncode in (0, 3), (files, said)
    if done.returncode == 0:
        assert lines(case, "ran") == ["a"]
    else:
        assert said.startswith("executioner: "), (files, said)
        assert lines(case, "ran") in ([], ["a"])
    case.run("db", "status")
    case.run("run", "config.json").expect(0)

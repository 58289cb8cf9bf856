"""What was acknowledged is kept: against kill -9, a full disk, a file-size limit, and others who use the file."""
import errno
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
from typing import Iterator, List

import db_samples as sample
import pytest

from db.history import History
from jobs.events import Event
from jobs.exceptions import DatabaseError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROLOGUE = "import os, sys, time; sys.path[:0] = [%r, %r]\n" % (ROOT, os.path.join(ROOT, "tests"))

#: Records runs for ever, and says so on standard output after each commit.
WRITER = PROLOGUE + """
from db.history import History
import db_samples as sample
history = History.open(sys.argv[1])
history._database.execute("PRAGMA wal_autocheckpoint=20")
number = int(sys.argv[2])
while True:
    number += 1
    run_id = history.create_run(sample.new_run(number), sample.pipeline(jobs=2), sample.places)
    os.write(1, b"run %d\\n" % run_id)
    journal = history.journal(run_id)
    journal.commit([sample.intended(run_id, 0), sample.intended(run_id, 1)])
    journal.commit(sample.whole_job(run_id, 0)[1:] + sample.whole_job(run_id, 1)[1:])
    os.write(1, b"jobs %d\\n" % run_id)
    journal.commit([sample.run_ended(run_id)])
    os.write(1, b"end %d\\n" % run_id)
"""


def python(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a program of ours."""
    return subprocess.Popen([sys.executable, "-c", program] + list(arguments), stdout=subprocess.PIPE)


@pytest.fixture
def path(tmp_path: object) -> str:
    return "%s/history.db" % tmp_path


def test_kill_9_of_a_writer_loses_nothing_that_was_acknowledged(path: str) -> None:
    chance = random.Random(1)
    acknowledged: List[List[bytes]] = []
    for number in range(8):
        child = python(WRITER, path, str(number * 1000000))
        assert child.stdout is not None
        said = b"".join(child.stdout.readline() for _ in range(13))  # however slow the machine
        time.sleep(chance.uniform(0.0, 0.1))
        child.kill()
        said += child.stdout.read()
        child.stdout.close()
        child.wait()
        acknowledged += [line.split() for line in said.splitlines(True) if line.endswith(b"\n")]
        with History.open(path) as history:
            for what, run_id in acknowledged:
                run = history.run(int(run_id))
                assert run is not None and len(run.jobs) == 2, (what, run_id)
                if what != b"run":
                    assert [job.status for job in run.jobs] == ["SUCCESS", "SUCCESS"], (what, run_id)
                if what == b"end":
                    assert run.status == "SUCCESS", (what, run_id)
            assert history._database.fetchone("PRAGMA integrity_check") == ("ok",)
            assert history._database.fetchall("PRAGMA foreign_key_check") == []
    assert len(acknowledged) > 100


def test_kill_9_while_a_history_is_made_leaves_all_or_nothing(path: str) -> None:
    program = PROLOGUE + "from db.history import History\nos.write(1, b'go')\nHistory.open(sys.argv[1]).home_uuid()\n"
    chance = random.Random(2)
    whole = 0
    for _ in range(12):
        child = python(program, path)
        assert child.stdout is not None and child.stdout.read(2) == b"go"
        time.sleep(chance.uniform(0.0, 0.006))
        child.kill()
        child.wait()
        child.stdout.close()
        if os.path.exists(path):
            whole += 1
            with History.open(path, readonly=True) as history:
                assert len(history.home_uuid()) == 36
            with History.open(path) as history:
                sample.finished_run(history, 1)
            os.unlink(path)
        else:
            assert [name for name in sample.names(os.path.dirname(path)) if not name.startswith("history.db.new")] in (
                ["history.lock"], [])
        for ending in ("-wal", "-shm"):
            if os.path.exists(path + ending):
                os.unlink(path + ending)
    History.open(path).close()


def test_many_writers_at_once(path: str) -> None:
    program = PROLOGUE + """
from db.history import History
import db_samples as sample
with History.open(sys.argv[1]) as history:
    for number in range(15):
        sample.finished_run(history, int(sys.argv[2]) * 1000 + number, "app" + sys.argv[2], 2)
"""
    children = [python(program, path, str(number)) for number in range(4)]
    reading = 0
    while any(child.poll() is None for child in children):
        try:
            with History.open(path, readonly=True) as history:
                for run in history.runs(limit=3):
                    assert len(history.jobs(run.run_id)) == 2
                    reading += 1
        except DatabaseError as error:
            assert error.context["cause"] == "missing"
    for child in children:
        assert child.wait() == 0
        assert child.stdout is not None
        child.stdout.close()
    assert reading
    with History.open(path) as history:
        runs = history.runs(limit=1000)
        assert sorted(run.run_id for run in runs) == list(range(1, 61))
        assert all(run.status == "SUCCESS" for run in runs)
        assert history._database.fetchone("PRAGMA integrity_check") == ("ok",)


def test_one_that_is_made_while_it_is_looked_for_is_not_gone(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = PROLOGUE + """
from db.history import History
import db_samples as sample
with History.open(sys.argv[1]) as history:
    sample.finished_run(history, 1)
    os.write(1, b"made")
    time.sleep(600)
"""
    look = os.lstat
    makers: List["subprocess.Popen[bytes]"] = []

    def made_behind_the_first_look(name: str) -> os.stat_result:
        if name == path and not makers:
            makers.append(python(program, path))
            assert makers[0].stdout is not None and makers[0].stdout.read(4) == b"made"
            assert os.path.getsize(path + "-wal")
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return look(name)

    monkeypatch.setattr(os, "lstat", made_behind_the_first_look)
    try:
        with pytest.raises(DatabaseError) as caught:
            History.open(path, readonly=True)
    finally:
        for maker in makers:
            maker.kill()
            maker.communicate()
    assert caught.value.context["cause"] == "missing"


def test_several_at_once_make_one_history(path: str) -> None:
    program = PROLOGUE + """
from db.history import History
sys.stdin.read()
print(History.open(sys.argv[1]).home_uuid())
"""
    children = [subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                for _ in range(4)]
    said = set()
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    for child in children:
        assert child.stdout is not None
        said.add(child.stdout.read())
        child.stdout.close()
        assert child.wait() == 0
    assert len(said) == 1


def test_a_writer_that_was_stopped_is_waited_for_and_named(path: str) -> None:
    program = PROLOGUE + """
from db.history import History
history = History.open(sys.argv[1])
with history._database.transaction():
    os.write(1, b"in")
    sys.stdin.read()
"""
    child = subprocess.Popen([sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    assert child.stdout.read(2) == b"in"
    with History.open(path, lock_timeout_s=0.3) as history:
        before = time.monotonic()
        with pytest.raises(DatabaseError) as caught:
            sample.finished_run(history, 1)
        assert 0.3 <= time.monotonic() - before < 5
        assert caught.value.context["cause"] == "locked"
        assert "history.lock" in caught.value.message and "for more than 0.3 s" in caught.value.message
        with History.open(path, readonly=True) as reader:
            assert reader.runs() == []
        child.kill()
        child.wait()
        sample.finished_run(history, 1)
    child.stdin.close()
    child.stdout.close()


def test_another_program_that_keeps_the_file_locked(path: str) -> None:
    History.open(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("INSERT INTO meta VALUES ('a', 'b')")
    program = PROLOGUE + """
from db.history import History
from jobs.exceptions import DatabaseError
for readonly in (True, False):
    try:
        History.open(sys.argv[1], readonly=readonly, lock_timeout_s=0.2)
    except DatabaseError as error:
        print(error.context["cause"], error.message)
"""
    said = subprocess.check_output([sys.executable, "-c", program, path]).decode().splitlines()
    other.execute("ROLLBACK")
    other.close()
    assert len(said) == 2 and all(line.startswith("locked %s: " % path) for line in said), said


def test_a_limit_of_the_file_size(path: str) -> None:
    program = PROLOGUE + """
import resource
from db.history import History
import db_samples as sample
from jobs.exceptions import DatabaseError
history = History.open(sys.argv[1])
sample.finished_run(history, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (300000, resource.RLIM_INFINITY))
try:
    for number in range(2, 1000):
        sample.finished_run(history, number, jobs=20)
except DatabaseError as error:
    print(error.context["cause"], len(history.runs(limit=1000)), history._database.in_transaction, error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(sample.finished_run(history, 5000) > 1)
history.close()
"""
    first, second = subprocess.check_output([sys.executable, "-c", program, path]).decode().splitlines()
    cause, kept, in_transaction, message = first.split(None, 3)
    assert cause in ("io_error", "disk_full") and in_transaction == "False"
    assert message.startswith(path) and second == "True"
    with History.open(path, readonly=True) as history:
        assert len(history.runs(limit=1000)) == int(kept) + 1


def test_no_descriptor_left(path: str) -> None:
    History.open(path).close()
    kept = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))
    try:
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        for readonly in (True, False):
            with pytest.raises(DatabaseError) as caught:
                History.open(path, readonly)
            assert caught.value.context["cause"] == "cannot_open"
            assert "\n" not in caught.value.message
    finally:
        for descriptor in kept:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    History.open(path).close()


def test_the_files_are_not_inherited(path: str) -> None:
    with History.open(path) as history:
        sample.finished_run(history, 1)
        with history._database.transaction():
            listing = subprocess.check_output(["ls", "-l", "/proc/self/fd"], close_fds=False).decode()
    assert "history" not in listing


# ---- a full disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: object) -> Iterator[str]:
    """A file system of its own with little space."""
    folder = "%s/disk" % tmp_path
    os.mkdir(folder)
    if os.getuid() != 0 or subprocess.call(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", folder]) != 0:
        pytest.skip("not run: a small tmpfs needs root and mount")
    yield folder
    subprocess.check_call(["umount", "-l", folder])


def fill(path: str) -> None:
    """Write until nothing more can be written."""
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                continue
        except OSError:
            return


@pytest.mark.needs_root
def test_a_full_disk_keeps_what_was_committed_and_goes_on_when_there_is_space(small_disk: str) -> None:
    path = small_disk + "/history.db"
    history = History.open(path)
    run_id = history.create_run(sample.new_run(), sample.pipeline(jobs=2), sample.places)
    journal = history.journal(run_id)
    journal.commit(sample.whole_job(run_id, 0))
    ballast = small_disk + "/ballast"
    fill(ballast)
    kept = 0
    events: List[Event] = sample.whole_job(run_id, 1)
    with pytest.raises(DatabaseError) as caught:
        while True:
            history.add_event("notice", float(kept), run_id, why="x" * 3000)
            kept += 1
    assert caught.value.context["cause"] == "disk_full"
    assert "the disk is full" in caught.value.message and path in caught.value.message
    for _ in range(3):
        assert journal.flushed()
        with pytest.raises(DatabaseError) as caught:
            journal.commit(events)
        assert caught.value.context["cause"] == "disk_full"
    assert len(history.events(run_id)) == kept
    assert [job.status for job in history.jobs(run_id)] == ["SUCCESS", "PENDING"]
    with History.open(path, readonly=True) as reader:
        assert [job.status for job in reader.jobs(run_id)] == ["SUCCESS", "PENDING"]
    os.unlink(ballast)
    journal.commit(events)
    journal.commit([sample.run_ended(run_id)])
    history.close()
    with History.open(path) as history:
        run = history.run(run_id)
        assert run is not None and run.status == "SUCCESS"
        assert [job.status for job in run.jobs] == ["SUCCESS", "SUCCESS"]
        assert len(history.events(run_id)) == kept
        assert history._database.fetchone("PRAGMA integrity_check") == ("ok",)


@pytest.mark.needs_root
def test_no_space_to_make_a_history(small_disk: str) -> None:
    fill(small_disk + "/ballast")
    with pytest.raises(DatabaseError) as caught:
        History.open(small_disk + "/history.db")
    assert caught.value.context["cause"] == "disk_full"
    assert sample.names(small_disk) in (["ballast", "history.lock"], ["ballast"])
    os.unlink(small_disk + "/ballast")
    with History.open(small_disk + "/history.db") as history:
        sample.finished_run(history, 1)


@pytest.mark.needs_root
def test_a_disk_that_may_only_be_read(small_disk: str) -> None:
    path = small_disk + "/history.db"
    with History.open(path) as history:
        sample.finished_run(history, 1)
    subprocess.check_call(["mount", "-o", "remount,ro", small_disk])
    with pytest.raises(DatabaseError) as caught:
        History.open(path)
    assert caught.value.context["cause"] == "readonly"
    with History.open(path, readonly=True) as history:
        assert len(history.runs()) == 1
    subprocess.check_call(["mount", "-o", "remount,rw", small_disk])
    with History.open(path) as history:
        sample.finished_run(history, 2)

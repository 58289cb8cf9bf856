"""Locks between real processes: one winner, no memory of the dead, nothing inherited, no race with a removal."""
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, List, Optional

import pytest

from jobs.exceptions import EXIT_LOCKED, OverlapError, StorageError
from jobs.locks import (FileLock, LockHolder, acquire_application_lock, application_lock_path, is_held, read_holder)

ROOT = str(Path(__file__).resolve().parent.parent.parent)
DEADLINE_S = 60.0
HOLD = """
import sys
sys.path.insert(0, %r)
from jobs.locks import FileLock, LockHolder
import os
lock = FileLock(sys.argv[1])
lock.acquire(shared=len(sys.argv) > 2)
lock.name_holder(LockHolder(os.getpid(), 42, "boot", 7, "2026-01-01T00:00:00.000Z"))
print("held", flush=True)
sys.stdin.read()
""" % ROOT


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Other:
    """Another process that holds the lock until it is told to end, or killed."""

    def __init__(self, path: str, *args: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", HOLD, path] + list(args), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        assert self.process.stdout is not None and self.process.stdout.readline() == b"held\n"

    def __enter__(self) -> "Other":
        return self

    def __exit__(self, *args: object) -> None:
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "app.lock")


def test_one_holder(path: str) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(timeout_s=0) and first.held
    assert not second.acquire(timeout_s=0) and not second.held
    assert is_held(path)
    first.release()
    assert second.acquire(timeout_s=0)
    second.release()
    second.release()
    assert not is_held(path) and not first.held
    with pytest.raises(StorageError):
        with FileLock(path) as lock:
            lock.acquire()
    assert not is_held(path)


def test_shared_holders_keep_an_exclusive_one_out(path: str) -> None:
    first, second, third = FileLock(path), FileLock(path), FileLock(path)
    assert first.acquire(shared=True, timeout_s=0) and second.acquire(shared=True, timeout_s=0)
    assert not third.acquire(timeout_s=0)
    first.release()
    assert is_held(path) and not third.acquire(timeout_s=0)
    second.release()
    assert third.acquire(timeout_s=0)
    assert not first.acquire(shared=True, timeout_s=0)
    third.release()


def test_a_wait_has_an_end(path: str) -> None:
    with Other(path):
        started = time.monotonic()
        assert not FileLock(path).acquire(timeout_s=0.2)
        assert 0.2 <= time.monotonic() - started < DEADLINE_S
        asked: List[int] = []

        def stop() -> bool:
            asked.append(1)
            return len(asked) == 3

        assert not FileLock(path).acquire(should_stop=stop)
        assert len(asked) == 3


@pytest.mark.parametrize("polling", [False, True])
def test_a_wait_ends_when_the_holder_does(path: str, polling: bool) -> None:
    mine = FileLock(path)
    taken: List[bool] = []
    with Other(path):
        waiter = threading.Thread(target=lambda: taken.append(
            mine.acquire(should_stop=(lambda: False) if polling else None)))
        waiter.start()
        assert not taken
    waiter.join(DEADLINE_S)
    assert taken == [True]
    mine.release()


def test_a_wait_goes_on_after_a_signal(path: str) -> None:
    seen: List[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    other = Other(path)

    def disturb() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_for(lambda: bool(seen))
        other.process.communicate()

    disturber = threading.Thread(target=disturb)
    lock = FileLock(path)
    try:
        disturber.start()
        assert lock.acquire()
    finally:
        disturber.join(DEADLINE_S)
        signal.signal(signal.SIGUSR1, before)
        lock.release()
    assert seen


def test_a_killed_holder_blocks_nobody_and_is_not_named(path: str) -> None:
    other = Other(path)
    assert is_held(path)
    other.process.kill()
    other.process.communicate()
    assert not is_held(path)
    lock = FileLock(path)
    assert lock.acquire(timeout_s=0)
    assert read_holder(path) is not None, "the dead one's entry is still there, and did not matter"
    lock.release()
    assert read_holder(path) is None


def test_a_child_does_not_inherit_it(path: str) -> None:
    lock = FileLock(path)
    assert lock.acquire(timeout_s=0)
    child = subprocess.Popen([sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
    assert child.stdout is not None and child.stdout.readline()
    lock.release()
    try:
        assert not is_held(path)
    finally:
        child.communicate()


@pytest.mark.slow
def test_of_fifty_at_once_one_wins(path: str) -> None:
    racer = """
import os, sys
sys.path.insert(0, %r)
from jobs.exceptions import OverlapError
from jobs.locks import LockHolder, acquire_application_lock
os.read(0, 1)
try:
    lock = acquire_application_lock(sys.argv[1], "fail", LockHolder(os.getpid(), 1))
except OverlapError as error:
    print("refused", flush=True)
else:
    print("won", flush=True)
os.read(int(sys.argv[2]), 1)
""" % ROOT
    gate, gate_end = os.pipe()
    over, over_end = os.pipe()
    racers: "List[subprocess.Popen[bytes]]" = []
    try:
        for _ in range(50):
            racers.append(subprocess.Popen([sys.executable, "-c", racer, path, str(over)], stdin=gate,
                                           stdout=subprocess.PIPE, pass_fds=[over]))
    finally:
        os.close(gate_end)
        os.close(gate)
    try:
        answers = [process.stdout.readline() for process in racers if process.stdout is not None]
    finally:
        os.close(over_end)
        os.close(over)
        for process in racers:
            process.communicate()
    assert answers.count(b"won\n") == 1 and answers.count(b"refused\n") == 49


def test_holders_in_turn_never_overlap_while_others_look_and_one_removes_the_file(path: str, tmp_path: Path) -> None:
    """Processes take the lock again and again; each makes a file that only one may have made at a time."""
    turns = """
import os, sys
sys.path.insert(0, %r)
from jobs.locks import FileLock, is_held
path, mark = sys.argv[1:]
for _ in range(150):
    with FileLock(path):
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        os.unlink(mark)
    is_held(path)
""" % ROOT
    workers = [subprocess.Popen([sys.executable, "-c", turns, path, str(tmp_path / "mark")], stderr=subprocess.PIPE)
               for _ in range(4)]
    removals = 0
    while any(worker.poll() is None for worker in workers):
        with FileLock(path):
            # Removed while it is held by us: every waiter must notice that it waits for a file without a name.
            os.unlink(path)
            removals += 1
    assert [worker.communicate()[1] for worker in workers] == [b""] * 4
    assert removals > 0


def test_who_waited_for_a_removed_file_waits_for_the_one_that_has_its_name(path: str) -> None:
    first, second, waiter = FileLock(path), FileLock(path), FileLock(path)
    assert first.acquire(timeout_s=0)
    thread = threading.Thread(target=waiter.acquire)
    thread.start()
    wait_for(lambda: waiter._descriptor >= 0)
    os.unlink(path)
    assert second.acquire(timeout_s=0)
    first.release()
    wait_for(lambda: waiter.held or
             (waiter._descriptor >= 0 and os.stat(waiter._descriptor).st_ino == os.stat(path).st_ino))
    assert not waiter.held
    second.release()
    thread.join(DEADLINE_S)
    assert waiter.held
    waiter.release()


def test_who_looks_again_looks_at_the_file_that_has_the_name_now(path: str) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(timeout_s=0)
    removed: List[int] = []

    def remove_once() -> bool:
        if not removed:
            os.unlink(path)
            removed.append(1)
        return False

    assert second.acquire(timeout_s=DEADLINE_S, should_stop=remove_once)
    first.release()
    second.release()


def test_a_lock_on_a_removed_file_is_none(path: str) -> None:
    first, second = FileLock(path), FileLock(path)
    assert first.acquire(timeout_s=0)
    os.unlink(path)
    assert second.acquire(timeout_s=0)
    assert is_held(path)
    first.release()
    assert is_held(path)
    second.release()


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_the_file_is_private_whatever_the_umask(path: str, mask: int) -> None:
    before = os.umask(mask)
    try:
        with FileLock(path):
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("make", ["link", "dangling", "folder", "fifo"])
def test_only_a_file_of_its_own_is_used(path: str, tmp_path: Path, make: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    if make == "link":
        os.symlink(str(victim), path)
    elif make == "dangling":
        os.symlink(str(tmp_path / "made"), path)
    elif make == "folder":
        os.mkdir(path)
    else:
        os.mkfifo(path)
    for use in (FileLock(path).acquire, lambda: is_held(path)):
        with pytest.raises(StorageError) as caught:
            use()
        assert path in caught.value.message
    assert not (tmp_path / "made").exists()
    assert victim.read_bytes() == b"untouched"


def test_a_missing_folder_is_an_error_for_who_locks_and_nothing_for_who_looks(tmp_path: Path) -> None:
    path = str(tmp_path / "missing" / "app.lock")
    with pytest.raises(StorageError) as caught:
        FileLock(path).acquire()
    assert caught.value.message == "cannot open %s: No such file or directory" % path
    assert not is_held(path) and read_holder(path) is None


def test_what_stands_in_the_file_is_one_line_of_json(path: str) -> None:
    lock = FileLock(path)
    lock.acquire()
    lock.name_holder(LockHolder(1234567, 42, "b" * 200, 9, "2026-01-01T00:00:00.000Z"))
    holder = LockHolder(12, None, "b", 9, "now")
    lock.name_holder(holder)
    content = Path(path).read_text()
    assert content.endswith("\n") and content.count("\n") == 1
    assert json.loads(content) == {"pid": 12, "run_id": None, "boot_id": "b", "pid_start": 9, "started": "now"}
    assert read_holder(path) == holder
    assert holder.describe() == "another run (pid 12, since now)"
    assert LockHolder(12, 42).describe() == "run 42 (pid 12)"
    lock.release()


@pytest.mark.parametrize("content", [
    b"", b"\n", b"{", b"[]", b"7", b'{"pid": 1}', b'{"pid": "x"}', b"\xff", b"{" * 5000,
    b'{"pid": null, "run_id": 1, "boot_id": "", "pid_start": 0, "started": ""}'])
def test_nonsense_in_the_file_matters_to_nobody(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)
    assert read_holder(path) is None
    assert not is_held(path)
    lock = acquire_application_lock(path, "fail", LockHolder(os.getpid()))
    assert lock is not None and lock.held
    with pytest.raises(OverlapError):
        acquire_application_lock(path, "fail", LockHolder(os.getpid()))
    lock.release()


def take(path: str, policy: str, should_stop: Optional[Callable[[], bool]] = None) -> Optional[FileLock]:
    return acquire_application_lock(path, policy, LockHolder(os.getpid(), 43), "nightly", should_stop)


def test_policy_fail_names_the_holder(path: str) -> None:
    with Other(path) as other:
        with pytest.raises(OverlapError) as caught:
            take(path, "fail")
        error = caught.value
        assert error.message == ("nightly: run 42 (pid %d, since 2026-01-01T00:00:00.000Z) is still running; "
                                 'wait for it, or set "overlap" to wait, skip or allow' % other.process.pid)
        assert error.exit_code == EXIT_LOCKED
        assert error.context == {"lock": path, "run_id": 42, "pid": other.process.pid,
                                 "since": "2026-01-01T00:00:00.000Z"}
    lock = take(path, "fail")
    assert lock is not None and read_holder(path) == LockHolder(os.getpid(), 43)
    lock.release()


def test_policy_fail_does_not_name_a_dead_run(path: str) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    lock = FileLock(path)
    lock.acquire()
    lock.name_holder(LockHolder(dead.pid, 41))
    with pytest.raises(OverlapError) as caught:
        take(path, "fail")
    assert caught.value.message.startswith("nightly: another run is still running")
    lock.release()


def test_policy_skip(path: str) -> None:
    with Other(path):
        assert take(path, "skip") is None
    lock = take(path, "skip")
    assert lock is not None and lock.held
    lock.release()


def test_policy_wait(path: str) -> None:
    with Other(path):
        assert take(path, "wait", lambda: True) is None
    lock = take(path, "wait")
    assert lock is not None and lock.held and not lock.shared
    lock.release()


def test_policy_allow(path: str) -> None:
    first, second = take(path, "allow"), take(path, "allow")
    assert first is not None and first.held and first.shared and second is not None and second.held
    with pytest.raises(OverlapError):
        take(path, "fail")
    first.release()
    second.release()
    with Other(path):
        third = take(path, "allow")
        assert third is not None and not third.held
        third.release()
        assert is_held(path)


def test_a_look_never_makes_a_start_fail(path: str) -> None:
    """``is_held`` takes the lock for a moment; who starts in that moment must still get it."""
    code = ("import sys; sys.path.insert(0, %r); from jobs.locks import is_held\nprint(1, flush=True)\n"
            "while 1: is_held(sys.argv[1])")
    Path(path).write_bytes(b"")
    looker = subprocess.Popen([sys.executable, "-c", code % ROOT, path], stdout=subprocess.PIPE)
    try:
        assert looker.stdout is not None and looker.stdout.readline()
        for _ in range(300):
            lock = take(path, "fail")
            assert lock is not None
            lock.release()
    finally:
        looker.kill()
        looker.communicate()


def test_paths_of_applications() -> None:
    names = ["nightly", "Nightly", "a/b", "a_b", "../../etc", ".", "..", "", "x" * 5000, "ä", "ö", "a\0b", "\udcff",
             "-"]
    paths = [application_lock_path("/locks", name) for name in names]
    assert len(set(paths)) == len(names)
    for path in paths:
        folder, name = os.path.split(path)
        assert folder == "/locks" and len(name) < 100 and name.endswith(".lock") and not name.startswith(".")
        assert all(character.isalnum() or character in "_.-" for character in name) and name.isprintable()
    assert os.path.basename(paths[0]).startswith("nightly-")

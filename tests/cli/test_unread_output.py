"""Nobody reads what a run tells: a frozen terminal, a pager at its first page. The run goes on, ends, and lets the next one begin."""
import contextlib
import os
import signal
import subprocess
import time
from typing import Iterator, Tuple

import pytest

from cli_case import Case
from executioner.background_writer import MOST_WAITING, BackgroundWriter
from executioner.console import Output

COUNT = 5


@contextlib.contextmanager
def full_pipe() -> Iterator[Tuple[int, int, int]]:
    """A pipe that holds as much as it can: its two ends, and how many bytes that is."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)
    try:
        yield read_end, write_end, filled
    finally:
        os.close(read_end)
        os.close(write_end)


def lines_of(path: str, count: int) -> int:
    """Wait until a file has so many lines; how many it has."""
    deadline = time.monotonic() + 60
    while True:
        found = 0
        if os.path.exists(path):
            with open(path, "rb") as stream:
                found = stream.read().count(b"\n")
        if found >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def chain(case: Case, last: str = "true") -> str:
    """A configuration of a few jobs, one after the other, each of which leaves a line in the file that is returned."""
    jobs = [{"id": "j%d" % number, "command": "echo %d >> ledger; %s" % (number, last if number == COUNT - 1 else ":"),
             "dependencies": ["j%d" % (number - 1)] if number else []} for number in range(COUNT)]
    case.jobs(*jobs)
    return case.path("ledger")


def wait_ended(case: Case) -> str:
    """Wait until the last run has ended; its status."""
    deadline = time.monotonic() + 60
    while True:
        status = str(case.run("show", "last", "--json").json()["status"])
        if status != "RUNNING" or time.monotonic() > deadline:
            return status
        time.sleep(0.05)


def test_a_run_goes_on_and_keeps_nobody_out(case: Case) -> None:
    """Its jobs run and are recorded, the next run is not refused, and one signal ends what still wants to tell."""
    ledger = chain(case)
    with full_pipe() as (read_end, write_end, filled):
        with case.background("run", "config.json", "--verbose", stdout=subprocess.DEVNULL, stderr=write_end) as unread:
            assert lines_of(ledger, COUNT) == COUNT
            assert wait_ended(case) == "SUCCESS"
            case.run("run", "config.json", "--wait").expect(0)
            assert unread.poll() is None, "it did not wait for its reader"
            unread.send_signal(signal.SIGTERM)
            assert unread.wait(60) == -signal.SIGTERM


def test_a_reader_that_comes_late_gets_everything(case: Case) -> None:
    """In order, the summary of a failure at the end; the exit code is the run's."""
    ledger = chain(case, "exit 3")
    with full_pipe() as (read_end, write_end, filled):
        with case.background("run", "config.json", "--verbose", stdout=subprocess.DEVNULL, stderr=write_end) as late:
            assert lines_of(ledger, COUNT) == COUNT
            assert wait_ended(case) == "FAILED"
            got = b""
            while b"all of the run:" not in got[filled:]:
                data = os.read(read_end, 65536)
                assert data
                got += data
            assert late.wait(60) == 1
    told = got[filled:].decode("utf-8")
    assert told.startswith("run 1 of app: 5 jobs, 1 at once\n"), told
    places = [told.index(words) for words in ("start  j0", "ok     j0", "start  j4", "FAIL   j4", "run 1 of app FAILED")]
    assert places == sorted(places), told


@pytest.mark.parametrize("how", ["--verbose", "--json"])
def test_a_run_that_is_stopped_does_not_wait_for_a_reader(case: Case, how: str) -> None:
    """One TERM is enough, whatever it has not told yet."""
    ledger = chain(case, "exec sleep 100")
    with full_pipe() as (read_end, write_end, filled):
        with case.background("run", "config.json", how, stdout=write_end, stderr=write_end) as unread:
            assert lines_of(ledger, COUNT) == COUNT
            unread.send_signal(signal.SIGTERM)
            assert unread.wait(60) == 143
    found = case.run("show", "last", "--json").json()
    assert (found["status"], found["exit_code"], found["jobs"][-1]["status"]) == ("CANCELLED", 143, "CANCELLED")


def test_what_waits_is_bounded_and_what_is_left_out_is_said() -> None:
    """A reader that stops for a whole night costs a megabyte, and is told how much it missed."""
    with full_pipe() as (read_end, write_end, filled):
        writer = BackgroundWriter(write_end)
        line = b"y" * 1023 + b"\n"
        count = 3 * MOST_WAITING // len(line)
        for _ in range(count):
            writer.write(line)
        assert not writer.close(0)
        got = b""
        while len(got) < filled + MOST_WAITING // 2 or not got.endswith(b"in time\n"):
            got += os.read(read_end, 65536)
        assert writer.close(20)
        kept = got.count(line)
        assert MOST_WAITING // len(line) - 1 <= kept < count
        assert got.endswith(b"... %d lines left out: they were not read in time\n" % (count - kept))


def test_nothing_is_left_out_of_a_document() -> None:
    """However long it is, and however much of what was told before it still waits."""
    with full_pipe() as (read_end, write_end, filled):
        output = Output(write_end, strict=True)
        output.write_behind()
        output.write_bytes(b"t" * MOST_WAITING)
        output.flush()
        output.write_behind(whole=True)
        output.write_bytes(b"d" * MOST_WAITING * 2)
        output.flush()
        assert not output.catch_up(0)
        got = b""
        while len(got) < filled + 3 * MOST_WAITING:
            got += os.read(read_end, 1 << 20)
        assert output.catch_up(20)
        assert got[filled:] == b"t" * MOST_WAITING + b"d" * MOST_WAITING * 2

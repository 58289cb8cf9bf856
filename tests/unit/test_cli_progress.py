"""The live progress, event by event, on a terminal of known size and on a pipe."""
import fcntl
import os
import pty
import select
import struct
import termios
from typing import Dict, Iterator, Tuple

import pytest

from executioner.console import Console, Output
from executioner.progress import Progress
from jobs.events import (AttemptEnded, AttemptIntended, AttemptStarted, JobEnded, Notice, RetryScheduled, RunEnded,
                         RunStarted, RunStopping)
from jobs.models import AttemptOutcome

ERASE = "\r\x1b[K"


class Terminal:
    """A pseudo terminal that keeps what was written to it."""

    def __init__(self) -> None:
        self.main, self.side = pty.openpty()
        attributes = termios.tcgetattr(self.side)
        attributes[1] &= ~termios.OPOST  # newlines stay what they are
        termios.tcsetattr(self.side, termios.TCSANOW, attributes)

    def size(self, columns: int) -> None:
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def text(self) -> str:
        data = b""
        while select.select([self.main], [], [], 0)[0]:
            data += os.read(self.main, 65536)
        return data.decode("utf-8")

    def console(self, environ: Dict[str, str]) -> Console:
        console = Console(environ)
        console.err = Output(self.side, strict=False)
        return console


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    one = Terminal()
    yield one
    os.close(one.main)
    os.close(one.side)


def intended(position: int, job_id: str) -> AttemptIntended:
    return AttemptIntended(position, job_id, 1, "t", "/o/%s.out" % job_id, "/o/%s.err" % job_id, 0.0)


def started(position: int, job_id: str) -> AttemptStarted:
    return AttemptStarted(position, job_id, 1, "t", 42, 0, 0.0)


def attempt_ended(position: int, job_id: str) -> AttemptEnded:
    return AttemptEnded(position, job_id, 1, "t", AttemptOutcome("FAILED"), 0.0)


OK = JobEnded(0, "extract", "SUCCESS", "", 1, 0.0, exit_code=0, duration_s=1.2)
FAIL = JobEnded(1, "load", "FAILED", "exit code 3 (attempt 2)", 2, 0.0, exit_code=3, duration_s=8.0)
BLOCKED = JobEnded(2, "report", "BLOCKED", "needs load, which ended FAILED", 0, 0.0)


def test_a_line_for_each_ended_job_and_one_that_is_redrawn(terminal: Terminal) -> None:
    progress = Progress(terminal.console({"TERM": "xterm", "NO_COLOR": "1"}), ["extract", "load", "report"], False)
    progress.tell([RunStarted(7, "u", "app", "/c", 3, 2, 0.0), intended(0, "extract"), intended(1, "load")])
    assert terminal.text() == "0/3 done"
    progress.tell([started(0, "extract"), started(1, "load")])
    assert terminal.text() == ERASE + "0/3 done  running: extract, load"
    progress.tell([OK])
    assert terminal.text() == ERASE + "ok     extract  1.2 s\n1/3 done  running: load"
    progress.tell([attempt_ended(1, "load"), FAIL, RunStopping("load ended FAILED", 0.0), BLOCKED])
    assert terminal.text() == (ERASE + "FAIL   load     exit 3 after 2 tries, 8.0 s    /o/load.err\n"
                               "stop   no new job starts: load ended FAILED\n"
                               "block  report   needs load, which ended FAILED\n"
                               "3/3 done, 1 failed, 1 blocked, stopping")
    progress.tell([RunEnded(7, "FAILED", 1, "1 of 3 jobs failed", 0.0)])
    assert terminal.text() == ERASE
    progress.close()
    assert terminal.text() == ""


def test_close_takes_the_status_line_away(terminal: Terminal) -> None:
    progress = Progress(terminal.console({"TERM": "xterm"}), ["a"], False)
    progress.tell([started(0, "a")])
    terminal.text()
    progress.close()
    progress.close()
    assert terminal.text() == ERASE


def test_colour(terminal: Terminal) -> None:
    progress = Progress(terminal.console({"TERM": "xterm"}), ["extract"], False)
    progress.tell([OK])
    assert terminal.text() == "\x1b[32mok    \x1b[0m extract  1.2 s\n1/1 done"


@pytest.mark.parametrize("columns, expected", [
    (0, "0/2 done  running: one, " + "b" * 52 + "..."), (20, "0/2 done  runnin..."), (4, "0/2"), (3, "0/"), (1, "")])
def test_the_status_line_never_wraps(terminal: Terminal, columns: int, expected: str) -> None:
    terminal.size(columns)
    progress = Progress(terminal.console({"TERM": "xterm"}), ["one", "b" * 100], False)
    progress.tell([started(0, "one"), started(1, "b" * 100)])
    assert terminal.text() == expected


def test_a_dumb_terminal_gets_plain_lines(terminal: Terminal) -> None:
    progress = Progress(terminal.console({"TERM": "dumb"}), ["extract"], False)
    progress.tell([started(0, "extract")])
    progress.tell([OK])
    progress.close()
    assert terminal.text() == "ok     extract  1.2 s\n"


def test_control_characters_of_others_are_shown_not_obeyed(terminal: Terminal) -> None:
    progress = Progress(terminal.console({"TERM": "xterm", "NO_COLOR": "1"}), ["a"], False)
    progress.tell([JobEnded(0, "a", "ERROR", "cannot start \x1b]0;title\x07\nfake line", 1, 0.0)])
    assert terminal.text() == "ERROR  a  cannot start \\x1b]0;title\\x07 fake line\n1/1 done, 1 failed"


def piped(verbose: bool, debug: bool = False) -> Tuple[Progress, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    console = Console({})
    console.err = Output(writer, strict=False)
    return Progress(console, ["a", "extract"], verbose, debug), reader


def test_verbose_tells_starts_and_retries_and_notices() -> None:
    progress, reader = piped(True)
    progress.tell([RunStarted(7, "u", "app", "/c", 2, 1, 0.0), started(0, "extract"),
                   RetryScheduled(0, "extract", 2, 30.0, "exit code 1", 0.0),
                   Notice("INFO", "a keeper was replaced", 0.0), Notice("DEBUG", "hidden", 0.0), OK])
    assert os.read(reader, 9999).decode() == (
        "run 7 of app: 2 jobs, 1 at once\n"
        "start  extract  pid 42\n"
        "retry  extract  exit code 1; try 2 in 30 s\n"
        "note   a keeper was replaced\n"
        "ok     extract  1.2 s\n")
    os.close(reader)


def test_warnings_are_told_unasked_and_debug_tells_all() -> None:
    progress, reader = piped(False)
    progress.tell([Notice("INFO", "hidden", 0.0), Notice("WARNING", "a process outlived the run", 0.0, job_id="a")])
    assert os.read(reader, 9999).decode() == "warn   a        a process outlived the run\n"
    os.close(reader)
    progress, reader = piped(True, debug=True)
    progress.tell([Notice("DEBUG", "shown", 0.0)])
    assert os.read(reader, 9999).decode() == "note   shown\n"
    os.close(reader)

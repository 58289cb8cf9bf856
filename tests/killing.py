"""What the tests of crashes share: commands in the background, what ``/proc`` says of them, and waiting for a condition."""
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Optional

from cli_case import Case

__all__ = ["Background", "LONG", "begin", "is_alive", "keeper_of", "kill", "rows", "statuses", "wait_for_file", "wait_until"]

PATIENCE_S = 60.0

#: A command that says that it has begun, and ends well when the file ``go`` is there.
LONG = "echo $EXECUTIONER_JOB_ID >> begun; while [ ! -e go ]; do sleep 0.02; done; echo $EXECUTIONER_JOB_ID >> done"


def wait_until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "not within %g s: %s" % (PATIENCE_S, what or condition)
        time.sleep(0.01)


def wait_for_file(case: Case, name: str) -> None:
    """Wait until a file of the test is there."""
    wait_until(lambda: os.path.exists(case.path(name)), "the file " + name)


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        with open("/proc/%d/stat" % pid, errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def keeper_of(runner: int) -> int:
    """The pid of the keeper of a runner."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, errors="replace") as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
                with open("/proc/%s/cmdline" % name, "rb") as line:
                    if parent == runner and b"executioner-keeper" in line.read():
                        return int(name)
            except OSError:
                continue
    raise AssertionError("runner %d has no keeper" % runner)


def kill(pid: int) -> None:
    """``kill -9``, and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "the death of %d" % pid)


class Background:
    """A command that runs while the test goes on."""

    def __init__(self, case: Case, words: List[str], env: Dict[str, str], program: str = "") -> None:
        self.case = case
        command = case.command(*words)
        if program:
            command[1:3] = ["-c", program]
        with open(case.path("err"), "ab") as err, open(case.path("out"), "wb") as out:
            self.process = subprocess.Popen(command, cwd=case.folder, env=dict(case.environ, **env),
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def keeper(self) -> int:
        """The pid of its keeper."""
        return keeper_of(self.pid)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(PATIENCE_S)

    def kill_both(self, keeper_first: bool = False) -> None:
        """Kill the runner and its keeper, so that neither has time to notice."""
        keeper = self.keeper()
        pids = [keeper, self.pid] if keeper_first else [self.pid, keeper]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.wait()
        wait_until(lambda: not is_alive(keeper), "the keeper's death")


@contextmanager
def begin(case: Case, *words: str, **options: Any) -> Iterator[Background]:
    """Start a command that goes on while the ``with`` lasts; what is left of it then is killed.

    ``env``: variables over the environment; ``program``: Python text that is run instead of ``-m executioner``.
    """
    background = Background(case, list(words), options.pop("env", {}), options.pop("program", ""))
    assert not options, options
    try:
        yield background
    finally:
        if background.process.poll() is None:
            background.process.kill()
            background.process.wait()


def rows(case: Case, query: str) -> List[Any]:
    """What the history has, asked past the product."""
    if not os.path.exists(os.path.join(case.home, "history.db")):
        return []
    connection = sqlite3.connect("file:%s/history.db?mode=ro" % case.home, uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def statuses(case: Case, run: Optional[int] = None) -> Dict[str, str]:
    """Job id to status, as ``show`` tells it (of the last run)."""
    document = case.run("show", str(run or "last"), "--json").expect(0).json()
    return {job["job_id"]: job["status"] for job in document["jobs"]}

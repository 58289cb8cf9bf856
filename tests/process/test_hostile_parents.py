"""However the runner was started, jobs get clean surroundings and their exit statuses are told truly."""
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from executor_case import runner_command, runner_environment

pytestmark = pytest.mark.needs_linux

#: A small parent that spoils what is inherited, then becomes the runner.
SPOIL = "import os, signal, sys; %s; os.execv(sys.argv[1], sys.argv[1:])"
#: Every signal that can be ignored, those aside that the C library keeps for itself.
NUMBERS = [number for number in range(1, 65) if number not in (9, 19, 32, 33)]
LOOK = "grep -E '^(Sig|Pid)' /proc/self/status; ulimit -n; ls -l /proc/self/fd"


def run_spoilt(tmp_path: Path, spoil: str, jobs: List[List[Any]], slots: int = 4,
               prepare: bool = True) -> Tuple[Dict[str, Dict[str, Any]], List[str]]:
    """Run jobs below a spoilt parent: their ends by name, and what notices said.

    :param prepare: whether the runner cleans itself up first, as the command does
    """
    command = [sys.executable, "-I", "-S", "-c", SPOIL % (spoil or "pass")]
    command += runner_command(tmp_path, jobs, slots=slots, prepare=prepare)
    log = tmp_path / "log"
    read_end, write_end = os.pipe()
    # The runner says what happened on descriptor 1, which some of these parents have closed: then it is lost, and the
    # record tells instead.
    process = subprocess.Popen(command, env=runner_environment(), stdin=subprocess.DEVNULL, stdout=write_end,
                               stderr=open(str(log), "wb"), pass_fds=[])
    os.close(write_end)
    with open(read_end, "rb") as said:
        lines = said.read().splitlines()
    assert process.wait() == 0, log.read_bytes().decode()
    events = [json.loads(line.decode()) for line in lines]
    return ({event["name"]: event for event in events if event["event"] == "ended"},
            [event["message"] for event in events if event["event"] == "notice"])


def masks(tmp_path: Path, name: str) -> Dict[str, int]:
    """Blocked, ignored and caught signals that a job saw."""
    text = (tmp_path / "output" / (name + ".out")).read_text()
    lines = dict(line.split(":\t") for line in text.splitlines() if line.startswith("Sig"))
    return {key: int(value, 16) & ~(3 << 31) for key, value in lines.items() if key in ("SigBlk", "SigIgn", "SigCgt")}


CODES: List[List[Any]] = [["code%d" % code, ["/bin/sh", "-c", "exit %d" % code], {}] for code in range(256)]
DEATHS: List[List[Any]] = [["signal%d" % number, ["/bin/sh", "-c", "kill -%d $$" % number], {}]
                           for number in NUMBERS if number not in (17, 18, 20, 21, 22, 23, 28)]


@pytest.mark.parametrize("spoil", [
    "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "[signal.signal(n, signal.SIG_IGN) for n in range(2, 65) if n not in (9, 19, 32, 33)]",
    "signal.pthread_sigmask(signal.SIG_BLOCK, [n for n in range(1, 65) if n not in (9, 19, 32, 33)])",
])
def test_every_status_is_true_below_a_spoilt_parent(tmp_path: Path, spoil: str) -> None:
    """256 exit codes and every deadly signal, where the parent ignores or blocks signals."""
    ended, _ = run_spoilt(tmp_path, spoil, CODES + DEATHS, slots=8)
    wrong = [name for name, end in ended.items()
             if name.startswith("code") and (end["exit_code"] != int(name[4:]) or end["signal"] is not None)]
    wrong += [name for name, end in ended.items() if name.startswith("signal") and (
        end["exit_code"] is not None or end["status"] != "FAILED" or not end["signal"])]
    assert wrong == [] and len(ended) == len(CODES) + len(DEATHS)
    assert ended["signal10"]["signal"] == "SIGUSR1" and ended["signal6"]["signal"] == "SIGABRT"


@pytest.mark.parametrize("prepare", [True, False])
@pytest.mark.parametrize("how", ["ignored", "blocked"])
def test_term_always_stops_a_polite_job(tmp_path: Path, how: str, prepare: bool) -> None:
    """Dispositions and mask are the defaults in the job, whatever they were above."""
    spoil = {"ignored": "[signal.signal(n, signal.SIG_IGN) for n in %r if n != 1]" % NUMBERS,
             "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, %r)" % NUMBERS}[how]
    ended, _ = run_spoilt(tmp_path, spoil, [
        ["job", "sleep 60", {"timeout_s": 0.3, "stop_grace_s": 20.0}],
        ["look", ["cat", "/proc/self/status"], {}]], prepare=prepare)
    assert (ended["job"]["status"], ended["job"]["signal"]) == ("TIMEOUT", "SIGTERM")
    assert masks(tmp_path, "look") == {"SigBlk": 0, "SigIgn": 0, "SigCgt": 0}


def test_nohup_holds_for_the_jobs(tmp_path: Path) -> None:
    """A hang-up that was ignored at the start stays ignored, for the jobs too, and nothing else is."""
    run_spoilt(tmp_path, "signal.signal(signal.SIGHUP, signal.SIG_IGN)", [["look", ["cat", "/proc/self/status"], {}]])
    assert masks(tmp_path, "look") == {"SigBlk": 0, "SigIgn": 1, "SigCgt": 0}


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_closed_standard_streams(tmp_path: Path, closed: Tuple[int, ...]) -> None:
    """No file of ours becomes a standard stream, of the runner, the keeper or a job."""
    look = ["/bin/sh", "-c", "for fd in 0 1 2; do readlink /proc/self/fd/$fd; readlink /proc/$PPID/fd/$fd; done"]
    run_spoilt(tmp_path, "[os.close(fd) for fd in %r]" % (closed,), [["look", look, {}]])
    output = tmp_path / "output"
    assert (output / "look.out").read_text().splitlines() == [
        "/dev/null", "/dev/null", str(output / "look.out"), "/dev/null", str(output / "look.err"), "/dev/null"]


def test_descriptors_of_the_parent_are_not_passed_on(tmp_path: Path) -> None:
    """A lock or a connection that the caller left open must not be held by jobs."""
    spoil = "[os.set_inheritable(os.dup(0), True) for _ in range(40)]"
    run_spoilt(tmp_path, spoil, [["look", ["ls", "/proc/self/fd"], {}]])
    assert (tmp_path / "output" / "look.out").read_text().split() == ["0", "1", "2", "3"]


def test_limits_of_descriptors_are_given_back(tmp_path: Path) -> None:
    """The runner raises its own; jobs get what the caller had."""
    spoil = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 1000))"
    run_spoilt(tmp_path, spoil, [["look", "ulimit -n; ulimit -Hn", {}]])
    assert (tmp_path / "output" / "look.out").read_text().split() == ["200", "1000"]


def test_umask_is_the_callers(tmp_path: Path) -> None:
    """Jobs see the caller's umask; our files have their own modes."""
    run_spoilt(tmp_path, "os.umask(0o013)", [["look", "umask", {}]])
    assert (tmp_path / "output" / "look.out").read_text().strip() == "0013"
    assert (tmp_path / "output" / "look.out").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600


def test_few_descriptors_are_waited_for(tmp_path: Path) -> None:
    """Where descriptors run out, attempts wait and are not failed."""
    spoil = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))"
    ended, _ = run_spoilt(tmp_path, spoil, [["j%d" % number, "sleep 0.01", {}] for number in range(60)], slots=30)
    assert {end["status"] for end in ended.values()} == {"SUCCESS"} and len(ended) == 60

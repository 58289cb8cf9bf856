"""A job has the limits that it asked for, ends with the one it passed as its reason, and harms nobody else."""
import os
import pwd
import sys
from pathlib import Path
from typing import Dict, Iterator

import pytest

from executor_case import Case, processes_with
from jobs.models import JobStatus, Limits, Owner

pytestmark = pytest.mark.needs_linux

PYTHON = [sys.executable, "-I", "-S", "-c"]
HOG = "import time\nhoard = []\nwhile True:\n    hoard.append(bytearray(8 << 20))\n    time.sleep(0.01)\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="not run: needs root")


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """An executor, closed after the test."""
    found = Case(tmp_path)
    yield found
    assert found.close() == []


def limits_of(text: str) -> Dict[str, str]:
    """Name and soft limit of each line of /proc/self/limits."""
    return {line[:26].strip(): line[26:].split()[0] for line in text.splitlines() if line.startswith("Max ")}


def test_a_job_has_what_it_asked_for_and_the_next_has_not(case: Case) -> None:
    command = "cat /proc/self/limits; umask; nice"
    before = limits_of(Path("/proc/self/limits").read_text())
    case.run(command, limits=Limits(cpu_seconds=77, open_files=99, file_size_bytes=1 << 20, processes=4000, nice=3),
             umask=0o027)
    case.run(command)
    bound, free = [(case.output / ("job%d.out" % number)).read_text() for number in (0, 1)]
    found = limits_of(bound)
    assert [found[name] for name in ("Max cpu time", "Max open files", "Max file size", "Max processes")] == [
        "77", "99", str(1 << 20), "4000"]
    assert bound.split()[-2:] == ["0027", str(3 + os.nice(0))]
    assert limits_of(free)["Max cpu time"] == before["Max cpu time"]
    assert limits_of(free)["Max file size"] == before["Max file size"] and free.split()[-1] == str(os.nice(0))


def test_its_session_streams_and_signals_are_as_ever(case: Case) -> None:
    script = "echo $$ $(cut -d' ' -f5,6 /proc/$$/stat); grep -E 'Sig(Ign|Blk)' /proc/self/status; ls /proc/self/fd; echo e >&2"
    case.run(["sh", "-c", script], umask=0)
    case.run(["sh", "-c", script])
    bound, free = [(case.output / ("job%d.out" % number)).read_text().split("\n") for number in (0, 1)]
    pid, group, session = bound[0].split()
    assert pid == group == session
    assert bound[1:] == free[1:]
    assert (case.output / "job0.err").read_text() == "e\n"


@pytest.mark.parametrize("command", ["while :; do :; done", PYTHON + ["while True: pass"], "sh -c 'while :; do :; done'"])
def test_processor_time(case: Case, command: object) -> None:
    outcome = case.run(command, limits=Limits(cpu_seconds=1))
    assert outcome.status == JobStatus.FAILED
    assert outcome.reason == "it used its 1 s of processor time (limits.cpu_seconds)"


@pytest.mark.slow
def test_who_ignores_the_signal_is_killed_with_the_same_reason(case: Case) -> None:
    # Several seconds of processor time, which may be long on a machine with other things to do.
    case.go("spins", "trap '' XCPU; while :; do :; done", timeout_s=280.0, limits=Limits(cpu_seconds=1))
    case.finish(within_s=270.0)
    outcome = case.outcomes["spins"]
    assert (outcome.status, outcome.signal) == (JobStatus.FAILED, "SIGKILL")
    assert outcome.reason == "it used its 1 s of processor time (limits.cpu_seconds)"


def test_the_size_of_a_file(case: Case, tmp_path: Path) -> None:
    outcome = case.run("head -c 3000000 /dev/zero > big", limits=Limits(file_size_bytes=1 << 20))
    assert (outcome.status, outcome.reason) == (JobStatus.FAILED, "a file passed 1.0 MiB (limits.file_size)")
    assert os.path.getsize(str(tmp_path / "big")) == 1 << 20


def test_the_memory_of_a_tree(case: Case) -> None:
    """Of two processes neither of which has too much; nothing of them is left."""
    nonce = "hog-of-%d" % os.getpid()
    half = "import time\nhoard = bytearray(b'x') * (60 << 20)\ntime.sleep(600)\n"
    code = "import subprocess, sys\nfor _ in range(2): subprocess.Popen([sys.executable, '-I', '-S', '-c', sys.argv[2], sys.argv[1]])\n"
    command = PYTHON + [code + "import time; time.sleep(600)", nonce, half]
    outcome = case.run(command, limits=Limits(memory_bytes=100 << 20), stop_grace_s=60.0)
    assert (outcome.status, outcome.stop_reason) == (JobStatus.FAILED, "memory_limit")
    assert "100.0 MiB are allowed (limits.memory)" in outcome.reason
    assert processes_with(nonce) == {}


def test_memory_that_is_shared_counts_once(case: Case) -> None:
    code = "import os, time\nhoard = bytearray(b'x') * (60 << 20)\nfor _ in range(3):\n    if os.fork() == 0: time.sleep(1.2); os._exit(0)\ntime.sleep(1.0)\n"
    if not os.path.exists("/proc/self/smaps_rollup"):
        pytest.skip("not run: this kernel has no smaps_rollup")
    assert case.run(PYTHON + [code], limits=Limits(memory_bytes=100 << 20)).status == JobStatus.SUCCESS


def test_memory_runs_wild_beside_a_neighbour(case: Case) -> None:
    case.go("hog", PYTHON + [HOG], limits=Limits(memory_bytes=128 << 20))
    case.go("neighbour", "sleep 0.5")
    case.finish()
    assert case.outcomes["hog"].stop_reason == "memory_limit"
    assert case.outcomes["neighbour"].status == JobStatus.SUCCESS


def test_a_limit_that_cannot_be_set_is_an_error_that_names_it(case: Case, tmp_path: Path) -> None:
    outcome = case.run("touch ran", limits=Limits(open_files=1 << 40))
    assert outcome.status == JobStatus.ERROR and outcome.reason.startswith("limits.open_files %d: " % (1 << 40))
    outcome = case.run(["/no/such/program"], limits=Limits(nice=1))
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, 127)
    outcome = case.run(["/etc"], umask=0o77)
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, 126)
    (tmp_path / "script").write_text("echo by shell\n")
    (tmp_path / "script").chmod(0o755)
    assert case.run(["./script"], umask=0o77).status == JobStatus.SUCCESS
    assert not (tmp_path / "ran").exists()


@needs_root
def test_another_user(case: Case, tmp_path: Path) -> None:
    found = pwd.getpwnam("nobody")
    owner = Owner("nobody", found.pw_uid, found.pw_gid, (found.pw_gid,), found.pw_dir, found.pw_shell)
    case.run("id -u; id -g; id -G; cat /etc/shadow; kill -0 %d; kill -TERM %d" % (os.getpid(), case.executor.keeper_pid),
             run_as=owner, working_dir="/")
    assert (case.output / "job0.out").read_text().split() == [str(found.pw_uid)] + [str(found.pw_gid)] * 2
    assert (case.output / "job0.out").stat().st_uid == 0 and (case.output / "job0.out").stat().st_mode & 0o777 == 0o600
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    outcome = case.run("true", run_as=owner, working_dir=str(closed))
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "working folder %s: Permission denied" % closed)
    outcome = case.run("trap '' TERM; sleep 600 & sleep 600", run_as=owner, working_dir="/", timeout_s=0.5,
                       stop_grace_s=0.2)
    assert outcome.status == JobStatus.TIMEOUT and outcome.survivors == ()


@needs_root
def test_only_root_becomes_somebody_else(case: Case) -> None:
    """What the child is refused comes back with its name."""
    outcome = case.run("true", run_as=Owner("x", -5, 0, (), "/", "/bin/sh"), working_dir="/")
    assert outcome.status == JobStatus.ERROR and outcome.reason.startswith("run_as: ")

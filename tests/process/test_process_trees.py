"""Nothing of a job outlives it, in whatever way it tried to get away. The oracle is /proc, never the executor."""
import os
import sys
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

import faulty_keeper
from executor_case import DEADLINE_S, Case, processes_with, python, wait_until
from faulty_keeper import deny_kill, no_children_files
from jobs.keeper.processes import stat_of
from jobs.models import JobStatus

pytestmark = pytest.mark.needs_linux

#: Two forks with a session of its own in between, as a daemon does it; the last word is exec'd.
#: The pipe closes when the daemon has become another program: until then it still carries the mark of its job.
DAEMON = ("import os, sys\n"
          "r, w = os.pipe()\n"
          "if os.fork() == 0:\n"
          " os.setsid()\n"
          " if os.fork() == 0:\n"
          "  os.execve('/bin/sleep', ['sleep', sys.argv[1]], %s)\n"
          " os._exit(0)\n"
          "os.close(w)\n"
          "os.read(r, 1)\n"
          "os.wait()\n")
SUBREAPER = ("import ctypes, os, sys, time\n"
             "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
             "os.system('setsid sleep %s & setsid sh -c \"sleep %s & sleep %s\" &' % ((sys.argv[1],) * 3))\n")
#: The first thread ends, which looks like a zombie in /proc; the other goes on in the process.
FIRST_THREAD_ENDS = ("import ctypes, os, sys, threading, time\n"
                     "from threading import Thread\n"
                     "Thread(target=time.sleep, args=(float(sys.argv[1]),)).start()\n"
                     "os.close(1)\n"
                     "ctypes.CDLL(None).pthread_exit(None)\n")
#: A tree that makes a new session every ten milliseconds, of which each member goes on doing so.
RESPAWNER = "i=0; while [ $i -lt 3000 ]; do setsid sh -c 'sleep $0' $1 & i=$((i+1)); sleep 0.01; done"


def daemon(nonce: str, environment: str) -> str:
    """A shell command that leaves a daemon behind."""
    return "%s -I -S -c \"%s\" %s" % (sys.executable, DAEMON % environment, nonce)


def styles(nonce: str) -> Dict[str, str]:
    """Each way of getting away, as a shell command that leaves ``sleep NONCE`` behind and goes on."""
    return {
        "background": "sleep %s &" % nonce,
        "nohup": "nohup sleep %s >/dev/null 2>&1 &" % nonce,
        "ignores TERM": "(trap '' TERM INT HUP; exec sleep %s) &" % nonce,
        "own group": "set -m; sleep %s & set +m" % nonce,
        "own session": "setsid sleep %s &" % nonce,
        "own session, stopped": "setsid sh -c 'kill -STOP $$; sleep %s' &" % nonce,
        "daemon": daemon(nonce, "os.environ"),
        "daemon without environment": daemon(nonce, "{}"),
        "daemon of a daemon": daemon(nonce, "os.environ") + " & " + daemon(nonce, "{}") + " & sleep 0.2",
        "nested subreaper": "%s -I -S -c '%s' %s" % (sys.executable, SUBREAPER.replace("'", "'\\''"), nonce),
        "first thread ends": ": $(setsid %s -I -S -c '%s' %s &)" % (
            sys.executable, FIRST_THREAD_ENDS, nonce),
        "terminal": "script -qc 'sleep %s' /dev/null >/dev/null 2>&1 &" % nonce,
        "worker pool": ("%s -I -c \"import subprocess, sys; [subprocess.Popen(['sleep', sys.argv[1]], "
                        "start_new_session=True) for _ in range(20)]\" %s" % (sys.executable, nonce)),
        "respawner": "sh -c '%s' sh %s &" % (RESPAWNER.replace("'", "'\\''"), nonce),
    }


STYLES = sorted(styles(""))


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """An executor, closed after the test."""
    found = Case(tmp_path)
    yield found
    found.close()


def nonce_of(tmp_path: Path, which: int = 1) -> str:
    """A time to sleep that no other process of this machine has."""
    return "%d%d.%d" % (which, os.getpid(), abs(hash(str(tmp_path))) % 10**9)


@pytest.mark.parametrize("style", STYLES)
def test_a_timeout_leaves_nothing(case: Case, tmp_path: Path, style: str) -> None:
    """The leader waits, it is stopped as by its limit once it has got away, the tree goes."""
    nonce = nonce_of(tmp_path)
    case.go("job", styles(nonce)[style] + "\ntouch ready; while :; do sleep 0.1; done", stop_grace_s=0.3)
    wait_until(lambda: (tmp_path / "ready").exists() and len(processes_with(nonce)) > 1, "the job gets away")
    case.until(lambda: "job" in case.started, "told as started")
    case.executor.stop("job", "timeout")
    case.finish()
    assert processes_with(nonce) == {}
    assert case.outcomes["job"].status == JobStatus.TIMEOUT and case.outcomes["job"].survivors == ()


@pytest.mark.parametrize("style", STYLES)
def test_a_success_leaves_nothing(case: Case, tmp_path: Path, style: str) -> None:
    """The leader ends with success; what it left is stopped, and its end is told after that."""
    nonce = nonce_of(tmp_path)
    case.go("job", styles(nonce)[style] + "\nsleep 0.1; exit 0", stop_grace_s=0.3)
    case.finish()
    assert processes_with(nonce) == {}
    outcome = case.outcomes["job"]
    assert (outcome.status, outcome.exit_code, outcome.survivors) == (JobStatus.SUCCESS, 0, ())
    assert outcome.duration_s is not None and outcome.duration_s < DEADLINE_S


@pytest.mark.parametrize("style", [style for style in STYLES if "without environment" not in style
                                   and style != "daemon of a daemon"])
def test_what_can_be_told_apart_goes_while_others_run(case: Case, tmp_path: Path, style: str) -> None:
    """Another job runs on, and its own background process with it."""
    nonce, other = nonce_of(tmp_path), nonce_of(tmp_path, 2)
    case.go("other", "setsid sleep %s & sleep 30" % other)
    case.until(lambda: "other" in case.started, "the other job")
    wait_until(lambda: len(processes_with(other)) > 1, "the other's child")
    case.go("job", styles(nonce)[style] + "\nsleep 0.1; exit 0", stop_grace_s=0.3)
    case.until(lambda: "job" in case.outcomes, "the end")
    assert processes_with(nonce) == {}
    assert [line for line in processes_with(other).values() if line.startswith("sleep " + other)], "left in peace"
    case.executor.stop("other", "cancel")
    case.finish()
    assert processes_with(other) == {}


def test_what_cannot_be_told_apart_goes_with_the_last_candidate(case: Case, tmp_path: Path) -> None:
    """A daemon without environment and session could be of either job: it is named, and stopped when both have ended."""
    nonce = nonce_of(tmp_path)
    os.mkfifo(str(tmp_path / "gate"))
    case.go("other", "read line < gate", timeout_s=20.0)
    case.until(lambda: "other" in case.started, "the other job")
    case.go("job", daemon(nonce, "{}"))
    case.until(lambda: "job" in case.outcomes, "the end")
    assert len(processes_with(nonce)) == 1
    assert [notice.message for notice in case.notices if "left behind by one of 2 jobs" in notice.message]
    case.go("innocent", "true")
    case.until(lambda: "innocent" in case.outcomes, "a job that began later has nothing to do with it")
    assert len(processes_with(nonce)) == 1
    (tmp_path / "gate").write_text("go\n")
    case.finish()
    assert processes_with(nonce) == {}


def test_close_leaves_nothing(tmp_path: Path) -> None:
    """Jobs that are still running at an early end go with all they have."""
    case = Case(tmp_path)
    nonce = nonce_of(tmp_path)
    case.start(*[case.attempt("j%d" % number, styles(nonce)[style] + "\nsleep 60") for number, style in enumerate(
        ("daemon", "daemon without environment", "ignores TERM", "own session, stopped"))])
    case.until(lambda: len(case.started) == 4 and len(processes_with("sleep\0" + nonce)) >= 3, "they are away")
    assert case.close() == []
    assert processes_with(nonce) == {}


def test_a_stopped_job_is_ended(case: Case, tmp_path: Path) -> None:
    """A job that has been stopped by SIGSTOP obeys its limit nevertheless, and by its own handler."""
    nonce = nonce_of(tmp_path)
    case.go("job", "trap 'echo bye; exit 0' TERM; kill -STOP $$; sleep %s" % nonce, stop_grace_s=10 * DEADLINE_S)
    case.until(lambda: "job" in case.started and stat_of(case.started["job"].pid).state == "T", "it has been stopped")
    case.executor.stop("job", "timeout")
    case.finish()
    assert case.outcomes["job"].status == JobStatus.TIMEOUT and case.stdout("job") == b"bye\n"


def test_a_daemon_that_holds_the_output_does_not_hold_up_the_end(case: Case, tmp_path: Path) -> None:
    """The exit is the truth, not the end of a stream."""
    nonce = nonce_of(tmp_path)
    case.go("job", "echo here; setsid sleep %s & exit 0" % nonce)
    case.finish()
    assert case.stdout("job") == b"here\n" and processes_with(nonce) == {}


def test_leftovers_are_stopped_politely_first(case: Case, tmp_path: Path) -> None:
    """What a job leaves behind gets the stop signal and its grace, and is named in a notice."""
    code = ("import os, signal, time\n"
            "def bye(*_): print('bye', flush=True); os._exit(0)\n"
            "signal.signal(signal.SIGTERM, bye); print('up', flush=True); time.sleep(60)")
    job = "setsid %s &\nwhile ! [ -s job.seen ]; do cp ../%s/output/job.out job.seen; sleep 0.01; done" % (
        " ".join("'%s'" % word.replace("'", "'\\''") for word in python(code)), tmp_path.name)
    case.go("job", job)
    case.finish()
    assert case.stdout("job") == b"up\nbye\n"
    notices: List[str] = [notice.message for notice in case.notices]
    assert any(message.startswith("the job left processes behind, which are stopped: ") for message in notices)


def test_threads_that_have_children_hide_none(case: Case, tmp_path: Path) -> None:
    """The children of a process are listed by thread."""
    nonce = nonce_of(tmp_path)
    code = ("import subprocess, sys, threading, time\n"
            "def run(): subprocess.Popen(['sleep', sys.argv[1]], start_new_session=True).wait()\n"
            "[threading.Thread(target=run).start() for _ in range(5)]")
    case.go("job", [sys.executable, "-I", "-c", code, nonce], stop_grace_s=0.0)
    wait_until(lambda: len(processes_with("sleep\0" + nonce)) == 5, "all are up")
    case.executor.stop("job", "timeout")
    case.finish()
    assert processes_with(nonce) == {}


def test_a_polite_stop_reaches_everybody(case: Case) -> None:
    """The children of a process are listed by thread: those of all threads are asked to stop while the leader lives."""
    code = ("import signal, subprocess, sys, threading, time\n"
            "signal.signal(signal.SIGTERM, lambda *_: None)\n"
            "child = 'trap \"echo bye; exit 0\" TERM; echo up; while :; do sleep 0.05; done'\n"
            "def run(): subprocess.Popen(['/bin/sh', '-c', child], start_new_session=True).wait(); time.sleep(60)\n"
            "[threading.Thread(target=run).start() for _ in range(5)]")
    case.go("job", [sys.executable, "-I", "-c", code], stop_grace_s=20.0)
    wait_until(lambda: (case.output / "job.out").exists() and case.stdout("job").count(b"up") == 5, "all are up")
    case.executor.stop("job", "cancel")
    wait_until(lambda: case.wait(0.01) is not None and case.stdout("job").count(b"bye") == 5, "all were asked")
    case.executor.stop("job", "cancel", immediately=True)
    case.finish()


@pytest.mark.parametrize("style", ["daemon without environment", "own session", "nested subreaper"])
def test_without_the_kernels_lists_of_children(tmp_path: Path, style: str) -> None:
    """Old kernels do not list them: all processes are looked through instead."""
    case = Case(tmp_path, keeper_modules=[faulty_keeper, no_children_files])
    nonce = nonce_of(tmp_path)
    case.go("ends", styles(nonce)[style] + "\nexit 3", stop_grace_s=0.3)
    case.finish()
    assert processes_with(nonce) == {} and case.outcomes["ends"].exit_code == 3
    case.go("late", styles(nonce)[style] + "\nsleep 60", timeout_s=0.6, stop_grace_s=0.3)
    case.finish()
    assert processes_with(nonce) == {} and case.outcomes["late"].status == JobStatus.TIMEOUT
    assert case.close() == []


@pytest.mark.parametrize("style", ["background", "daemon", "daemon without environment"])
def test_what_may_be_left_running_is(tmp_path: Path, style: str) -> None:
    """Where the job says so, what it leaves lives on, after the executor too; a time limit ends it nevertheless."""
    case = Case(tmp_path)
    nonce, other = nonce_of(tmp_path), nonce_of(tmp_path, 2)
    case.go("leaves", styles(nonce)[style] + "\nexit 0", leave_running=True)
    case.finish()
    case.go("tidy", "setsid sleep %s & exit 0" % other, stop_grace_s=0.3)
    case.finish()
    assert case.outcomes["leaves"].status == JobStatus.SUCCESS and processes_with(other) == {}
    case.go("late", styles(other)["own session"] + "\nsleep 60", timeout_s=0.3, stop_grace_s=0.3, leave_running=True)
    case.finish()
    assert processes_with(other) == {}
    assert case.close() == []
    left = processes_with("sleep\0" + nonce)
    assert len(left) == 1
    for pid in left:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_what_cannot_be_ended_is_named(tmp_path: Path) -> None:
    """After the patience the attempt ends all the same, with the names of its survivors."""
    # A process that KILL does not end needs a broken device; one whose KILL is made to fail shows the same path.
    case = Case(tmp_path, kill_patience_s=0.3, keeper_modules=[faulty_keeper, deny_kill])
    nonce = nonce_of(tmp_path)
    case.go("job", "exec sleep %s" % nonce, timeout_s=0.2, stop_grace_s=0.1)
    case.finish()
    outcome = case.outcomes["job"]
    assert outcome.status == JobStatus.TIMEOUT and [name.split()[1] for name in outcome.survivors] == ["sleep"]
    assert "could not be ended: %s" % outcome.survivors[0] in outcome.reason
    assert case.run("true").status == JobStatus.SUCCESS, "the run goes on"
    assert [name.split()[1] for name in case.close()] == ["sleep"]
    for pid in processes_with(nonce):
        os.kill(pid, 9)
        os.waitpid(pid, 0)

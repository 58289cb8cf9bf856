"""The local executor with real processes: statuses, streams, environment, order, halts, limits."""
import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from executor_case import DEADLINE_S, Case, python, wait_until
from jobs.keeper.processes import stat_of
from jobs.keeper.record import read_record
from jobs.models import JobStatus


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """An executor with four slots, closed after the test, with nothing left of it."""
    found = Case(tmp_path)
    yield found
    assert found.close() == []


# ---- how it ends ---------------------------------------------------------------------------------------------------

def test_every_exit_code_and_every_signal_is_told_truly(case: Case) -> None:
    """256 exit codes and the deadly signals."""
    deadly = [int(number) for number in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 34, 64)]
    for code in range(256):
        case.go("code%d" % code, ["/bin/sh", "-c", "exit %d" % code])
    for number in deadly:
        case.go("signal%d" % number, ["/bin/sh", "-c", "kill -%d $$" % number])
    case.finish()
    for code in range(256):
        outcome = case.outcomes["code%d" % code]
        assert (outcome.status, outcome.exit_code, outcome.signal) == (
            JobStatus.FAILED if code else JobStatus.SUCCESS, code, None)
        assert outcome.reason == "exit code %d" % code
    for number in deadly:
        outcome = case.outcomes["signal%d" % number]
        name = signal.Signals(number).name if number not in (34, 64) else {34: "SIGRTMIN", 64: "SIGRTMIN+30"}[number]
        assert (outcome.status, outcome.exit_code, outcome.signal) == (JobStatus.FAILED, None, name)
        assert outcome.reason == "ended by " + name


@pytest.mark.parametrize("command, status, exit_code, reason", [
    ("true", JobStatus.SUCCESS, 0, "exit code 0"),
    ("", JobStatus.SUCCESS, 0, "the command is empty"),
    ("   \n# only words\n", JobStatus.SUCCESS, 0, "the command is empty"),
    ("exit 3", JobStatus.FAILED, 3, "exit code 3"),
    ("no-such-program-here", JobStatus.ERROR, 127, "program not found: no-such-program-here (PATH="),
    (["no-such-program-here", "x"], JobStatus.ERROR, 127, "program not found: no-such-program-here (PATH="),
    ("no-such-program-here; exit $?", JobStatus.ERROR, 127, "a program was not found by the shell"),
    ("./plain.txt; exit $?", JobStatus.ERROR, 126, "a program could not be executed by the shell"),
    ("./no/such/program", JobStatus.ERROR, 127, "program not found: ./no/such/program"),
    ("./plain.txt", JobStatus.ERROR, 126, "./plain.txt is not executable"),
    ("./plain.txt/x", JobStatus.ERROR, 127, "program not found: ./plain.txt/x"),
    ("./folder", JobStatus.ERROR, 126, "./folder is a folder"),
    ("./orphan-script", JobStatus.ERROR, 127, "the interpreter that ./orphan-script names"),
    ("./bare-script", JobStatus.FAILED, 5, "exit code 5"),
    (["./bare-script", "7"], JobStatus.FAILED, 7, "exit code 7"),
    ("true a\0b", JobStatus.ERROR, 126, "command: it holds a NUL character"),
    ("true a\ud800b", JobStatus.ERROR, 126, "command: it holds half a character"),
    (["true", "x" * 200000], JobStatus.ERROR, 126, "command: it is too long"),
    (["true"] + ["x" * 100000] * 30, JobStatus.ERROR, 126, "command and environment are too long for this system"),
])
def test_what_becomes_of_a_command(case: Case, command: str, status: str, exit_code: int, reason: str) -> None:
    """Found or not, executable or not, sensible or not: each has its status, its code and a reason."""
    (case.folder / "plain.txt").write_text("no program")
    (case.folder / "folder").mkdir()
    for name, text in (("orphan-script", "#!/no/such/interpreter\n"), ("bare-script", "exit ${1:-5}\n")):
        (case.folder / name).write_text(text)
        (case.folder / name).chmod(0o755)
    outcome = case.run(command)
    assert (outcome.status, outcome.exit_code) == (status, exit_code), outcome.reason
    assert outcome.reason.startswith(reason)
    assert case.run("true").status == JobStatus.SUCCESS, "the next one goes on"


@pytest.mark.parametrize("options, reason", [
    ({"working_dir": "/no/such/folder"}, "working folder /no/such/folder: No such file or directory"),
    ({"working_dir": "/etc/passwd"}, "working folder /etc/passwd: Not a directory"),
    ({"stdin_path": "/no/such/file"}, "standard input /no/such/file: No such file or directory"),
    ({"environment": {"A=B": "1"}}, "variable A=B: 'A=B' is no name of a variable"),
    ({"environment": {"": "1"}}, "variable : '' is no name of a variable"),
    ({"environment": {"A": "x\0"}}, "variable A: it holds a NUL character"),
    ({"environment": {"A": "x" * 200000}}, "variable A: it is too long"),
])
def test_surroundings_that_cannot_be_had_are_an_error(case: Case, options: Dict[str, object], reason: str) -> None:
    """Nothing is run in the wrong place, on the wrong input, or without its variables."""
    outcome = case.run("echo no > ran", **options)
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, None)
    assert outcome.reason.startswith(reason)
    assert not (case.folder / "ran").exists()


def test_success_codes_decide(case: Case) -> None:
    """A code that the job counts as success is one, and 0 is none where it is not named."""
    assert case.run("exit 4", success_exit_codes=frozenset((4,))).status == JobStatus.SUCCESS
    assert case.run("exit 0", success_exit_codes=frozenset((4,))).status == JobStatus.FAILED
    assert case.run("nope; exit $?", success_exit_codes=frozenset((127,))).status == JobStatus.SUCCESS


def test_costs_and_times_are_measured(case: Case) -> None:
    """CPU, memory and duration are those of the job."""
    before = time.time()
    outcome = case.run(python("import time; b = b'x' * 50000000; \nwhile time.process_time() < 0.3: pass"))
    assert outcome.status == JobStatus.SUCCESS
    assert outcome.cpu_s is not None and 0.3 <= outcome.cpu_s < 3
    assert outcome.duration_s is not None and 0.25 <= outcome.duration_s < 20
    assert outcome.max_rss_bytes is not None and 50000000 < outcome.max_rss_bytes < 200000000
    assert outcome.started_at is not None and outcome.ended_at is not None
    assert before <= outcome.started_at <= outcome.ended_at <= time.time()
    assert case.run("sleep 0").cpu_s is not None


# ---- what it gets --------------------------------------------------------------------------------------------------

def test_surroundings_of_a_job(case: Case) -> None:
    """Own session and group, default signals, three descriptors, an empty mask, the folder, the mark."""
    code = ("import os, signal, json; r = dict(pid=os.getpid(), sid=os.getsid(0), pgid=os.getpgid(0), cwd=os.getcwd(),"
            " fds=sorted(int(f) for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)),"
            " stdin=os.readlink('/proc/self/fd/0'), mark=os.environ['EXECUTIONER_MARK'], pwd=os.environ.get('PWD'),"
            " tty=os.isatty(0)); print(json.dumps(r))")
    inner = case.folder / "inner"
    inner.mkdir()
    assert case.run(python(code), working_dir=str(inner)).status == JobStatus.SUCCESS
    found = json.loads(case.stdout("job0").decode())
    assert found["pid"] == found["sid"] == found["pgid"] == case.started["job0"].pid
    assert found["cwd"] == str(inner) and found["fds"] == [0, 1, 2] and found["stdin"] == "/dev/null"
    assert found["mark"] == "job0" and not found["tty"]
    case.run(["cat", "/proc/self/status"])
    masks = dict(line.split(":\t") for line in case.stdout("job1").decode().splitlines() if line.startswith("Sig"))
    ignored = int(masks["SigIgn"], 16) & ~(3 << 31)  # 32 and 33 are the C library's own, which leaves them so
    assert (int(masks["SigBlk"], 16), ignored, int(masks["SigCgt"], 16)) == (0, 0, 0)


def test_environment_layers(tmp_path: Path) -> None:
    """The attempt's variables lie over the common ones, nothing else gets in, and bytes stay bytes."""
    environment = {"PATH": os.environ["PATH"], "A": "common", "B": "common", "RAW": b"\xff\xfe".decode("utf-8", "surrogateescape")}
    case = Case(tmp_path, environment=environment)
    case.run(["env", "-0"], environment={"B": "own", "C": "schön ☃"})
    entries = dict(entry.split(b"=", 1) for entry in case.stdout("job0").split(b"\0") if entry)
    assert case.close() == []
    assert entries == {b"PATH": os.fsencode(os.environ["PATH"]), b"A": b"common", b"B": b"own", b"RAW": b"\xff\xfe",
                       b"C": "schön ☃".encode(), b"EXECUTIONER_MARK": b"job0"}


def test_pwd_is_the_folder(tmp_path: Path) -> None:
    """A PWD that was inherited would tell the job where somebody else was."""
    case = Case(tmp_path, environment={"PATH": os.environ["PATH"], "PWD": "/somewhere/else"})
    case.run(["printenv", "PWD"])
    assert case.close() == []
    assert case.stdout("job0").decode().strip() == str(tmp_path)


def test_a_spoilt_common_variable_is_an_error_of_each_job(tmp_path: Path) -> None:
    """Not a crash of the executor."""
    case = Case(tmp_path, environment={"PATH": os.environ["PATH"], "BAD": "\ud800"})
    outcome = case.run("true")
    assert case.close() == []
    assert (outcome.status, outcome.reason) == (
        JobStatus.ERROR, "variable BAD: it holds half a character (a lone surrogate)")


def test_programs_are_looked_up_on_the_jobs_own_path(case: Case) -> None:
    """First match wins, other PATHs are other programs, and a program that moved is found again."""
    for folder, text in (("one", "echo one"), ("two", "echo two")):
        (case.folder / folder).mkdir()
        program = case.folder / folder / "tool"
        program.write_text("#!/bin/sh\n" + text + "\n")
        program.chmod(0o755)
    one, two = str(case.folder / "one"), str(case.folder / "two")
    case.run("tool", environment={"PATH": "%s:%s" % (one, two)})
    case.run("tool", environment={"PATH": "%s:%s" % (two, one)})
    (case.folder / "one" / "tool").unlink()
    case.run("tool", environment={"PATH": "%s:%s" % (one, two)})
    case.run("tool", environment={"PATH": "two:/bin"})
    (case.folder / "two" / "tool").chmod(0o644)
    outcome = case.run("tool", environment={"PATH": "two:/bin"})
    assert [case.stdout("job%d" % number) for number in range(4)] == [b"one\n", b"two\n", b"two\n", b"two\n"]
    assert (outcome.status, outcome.exit_code, outcome.reason) == (JobStatus.ERROR, 126, "two/tool is not executable")


def test_true_without_a_path_is_the_shells(case: Case) -> None:
    """``true`` needs no shell where the PATH has it; where not, the shell has one."""
    assert case.run("true", environment={"PATH": "/nowhere"}).status == JobStatus.SUCCESS
    assert case.run("false", environment={"PATH": "/nowhere"}).exit_code == 1


def test_standard_input(case: Case) -> None:
    """Nothing, a file, or a text: any bytes, larger than a pipe."""
    (case.folder / "in.bin").write_bytes(bytes(range(256)) * 10)
    text = "zeile ä\n" * 100000
    case.run("cat")
    case.run("cat", stdin_path="in.bin")
    case.run("cat", stdin_text=text)
    case.run("cat", stdin_text="")
    assert case.stdout("job0") == b"" and case.stdout("job1") == bytes(range(256)) * 10
    assert case.stdout("job2") == text.encode() and case.stdout("job3") == b""
    assert [name for name in os.listdir(str(case.output)) if "stdin" in name] == []


def test_a_fifo_as_standard_input_holds_nobody_up(case: Case) -> None:
    """A FIFO without a writer would block whoever opens it."""
    os.mkfifo(str(case.folder / "fifo"))
    case.go("reads", "cat", stdin_path="fifo")
    case.go("other", "echo here")
    case.finish()
    assert case.stdout("other") == b"here\n"


def test_allow_shell_false_starts_none(tmp_path: Path) -> None:
    """Neither for a command that needs one nor for a script that names none."""
    case = Case(tmp_path, allow_shell=False)
    script = tmp_path / "bare"
    script.write_text("echo no > ran\n")
    script.chmod(0o755)
    assert case.run("echo no > ran").reason == "the command needs a shell, and allow_shell is false"
    outcome = case.run("./bare")
    assert (outcome.status, outcome.exit_code) == (JobStatus.ERROR, 126)
    assert outcome.reason == "./bare is no program, and a shell for it is not allowed"
    assert case.run("printenv PATH").status == JobStatus.SUCCESS
    assert case.close() == []
    assert not (tmp_path / "ran").exists()


# ---- what it writes ------------------------------------------------------------------------------------------------

def test_output_is_exact(case: Case) -> None:
    """Every byte of both streams: none, all values, half a character, a burst before the end, large."""
    burst = "import sys, os; sys.stdout.buffer.write(b'0123456789' * 200000); sys.stdout.flush(); os._exit(0)"
    case.go("none", "true")
    case.go("bytes", python("import os; os.write(1, bytes(range(256))); os.write(2, bytes(range(255, -1, -1)))"))
    case.go("half", ["printf", r"abc\303"])
    case.go("burst", python(burst))
    case.go("lines", "seq 1 200000")
    case.go("both", "echo out; echo err >&2; printf end")
    case.finish()
    assert case.stdout("none") == b"" and case.stderr("none") == b""
    assert case.stdout("bytes") == bytes(range(256)) and case.stderr("bytes") == bytes(range(255, -1, -1))
    assert case.stdout("half") == b"abc\xc3"
    assert case.stdout("burst") == b"0123456789" * 200000
    expected = "".join("%d\n" % number for number in range(1, 200001)).encode()
    assert hashlib.sha256(case.stdout("lines")).digest() == hashlib.sha256(expected).digest()
    assert case.stdout("both") == b"out\nend" and case.stderr("both") == b"err\n"
    assert {path.stat().st_mode & 0o777 for path in case.output.iterdir()} == {0o600}


def test_a_planted_link_is_not_followed(case: Case) -> None:
    """An output file that exists already is nobody's to write to."""
    (case.output / "job0.out").symlink_to(case.folder / "victim")
    outcome = case.run("echo no")
    assert (outcome.status, outcome.reason) == (JobStatus.ERROR, "output file job0.out: File exists")
    assert not (case.folder / "victim").exists()


def test_too_much_output_stops_a_job(case: Case) -> None:
    """A flood is stopped soon after its limit, and told as what it is."""
    outcome = case.run("yes", output_limit_bytes=1000000, stop_grace_s=1.0)
    assert (outcome.status, outcome.stop_reason) == (JobStatus.FAILED, "output_limit")
    assert outcome.reason == "output passed 976.6 KiB (limits.output)"


# ---- order, slots, halts -------------------------------------------------------------------------------------------

def test_slots_bound_what_runs_at_once(tmp_path: Path) -> None:
    """Never more than the slots, and all of them used."""
    case = Case(tmp_path, slots=3)
    code = "echo S >> ledger; while [ $(grep -c S ledger) -lt 3 ]; do sleep 0.01; done; sleep 0.05; echo E >> ledger"
    case.start(*[case.attempt("j%d" % number, code) for number in range(12)])
    case.finish()
    assert case.close() == []
    running, most = 0, 0
    for line in (tmp_path / "ledger").read_text().split():
        running += 1 if line == "S" else -1
        most = max(most, running)
    assert most == 3 and running == 0


def test_one_slot_keeps_the_order(tmp_path: Path) -> None:
    """With one slot, attempts run one after the other, empty and impossible ones at their place."""
    case = Case(tmp_path, slots=1)
    commands = ["echo a >> ledger", "", "no-such-program", "echo b >> ledger", "exit 3", "echo c >> ledger"]
    case.start(*[case.attempt("j%d" % number, command) for number, command in enumerate(commands)])
    case.finish()
    assert case.close() == []
    assert case.order == ["j%d" % number for number in range(6)]
    assert (tmp_path / "ledger").read_text() == "a\nb\nc\n"
    assert case.halted == ["j2", "j4"]


def test_after_a_failure_nothing_starts_until_it_is_answered(tmp_path: Path) -> None:
    """A start that is sent after the failure is no answer; ``proceed`` is."""
    case = Case(tmp_path, slots=1)
    case.answers_halts = False
    case.start(case.attempt("bad", "exit 1"), case.attempt("next", "echo x > ran"))
    case.until(lambda: "bad" in case.outcomes, "the failure")
    case.go("later", "echo y > ran-too")
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        case.wait(0.05)
    assert case.halted == ["bad"] and case.order == ["bad"]
    assert not (tmp_path / "ran").exists() and not (tmp_path / "ran-too").exists()
    case.executor.proceed()
    case.finish()
    assert case.close() == []
    assert case.order == ["bad", "next", "later"] and (tmp_path / "ran-too").exists()


def test_a_success_that_others_must_confirm_halts_too(tmp_path: Path) -> None:
    """Where a post-check decides, the queue waits for it."""
    case = Case(tmp_path, slots=1)
    case.answers_halts = False
    case.start(case.attempt("checked", "true", decides_alone=False), case.attempt("next", "true"))
    case.until(lambda: "checked" in case.outcomes, "the end")
    assert case.halted == ["checked"] and case.outcomes["checked"].status == JobStatus.SUCCESS
    case.executor.withdraw()
    case.until(lambda: case.withdrawn, "the withdrawal")
    assert case.withdrawn == ["next"]
    assert case.run("true").status == JobStatus.SUCCESS, "a withdrawal answers the halt"
    assert case.close() == []


def test_withdraw_gives_back_what_has_not_begun(tmp_path: Path) -> None:
    """What runs goes on; what is queued never begins."""
    case = Case(tmp_path, slots=1)
    os.mkfifo(str(tmp_path / "gate"))
    case.start(*[case.attempt("j%d" % number, "read line < gate; echo %d >> ledger" % number) for number in range(4)])
    case.until(lambda: "j0" in case.started, "the first start")
    case.executor.withdraw()
    case.until(lambda: case.withdrawn, "the withdrawal")
    (tmp_path / "gate").write_text("go\n")
    case.finish()
    assert case.close() == []
    assert case.order == ["j0"] and case.withdrawn == ["j1", "j2", "j3"]
    assert (tmp_path / "ledger").read_text() == "0\n"


def test_a_queued_attempt_that_is_stopped_is_given_back(tmp_path: Path) -> None:
    """It never begins."""
    case = Case(tmp_path, slots=1)
    os.mkfifo(str(tmp_path / "gate"))
    case.start(case.attempt("runs", "read line < gate"), case.attempt("waits", "echo x > ran"))
    case.executor.stop("waits", "cancel")
    case.executor.stop("nobody", "cancel")
    case.until(lambda: case.withdrawn, "it is given back")
    (tmp_path / "gate").write_text("go\n")
    case.finish()
    assert case.close() == []
    assert case.withdrawn == ["waits"] and case.order == ["runs"] and not (tmp_path / "ran").exists()


# ---- limits and stops ----------------------------------------------------------------------------------------------

def begin(case: Case, name: str, command: str, **options: Any) -> None:
    """Start a job that says that it is ready for its stop signal, and wait for that."""
    case.go(name, command, **options)
    wait_until(lambda: (case.output / (name + ".out")).exists() and case.stdout(name), "the job is ready")
    case.until(lambda: name in case.started, "told as started")


@pytest.mark.parametrize("reason, status", [
    ("timeout", JobStatus.TIMEOUT), ("total_timeout", JobStatus.TIMEOUT), ("run_timeout", JobStatus.TIMEOUT)])
def test_a_time_limit_fires(case: Case, reason: str, status: str) -> None:
    """On time, with the status of its reason."""
    outcome = case.run("sleep 60", timeout_s=0.5, timeout_reason=reason)
    assert (outcome.status, outcome.exit_code, outcome.signal, outcome.stop_reason) == (status, None, "SIGTERM", reason)
    assert outcome.reason == "%s after 0.5 s" % reason.replace("_", " ")
    assert outcome.duration_s is not None and 0.5 <= outcome.duration_s < DEADLINE_S


def test_an_exit_of_its_own_after_the_limit_is_a_timeout(case: Case) -> None:
    """A job that ends with success when it is told to stop has not succeeded."""
    begin(case, "a", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    case.executor.stop("a", "timeout")
    case.finish()
    outcome = case.outcomes["a"]
    assert (outcome.status, outcome.exit_code, outcome.signal) == (JobStatus.TIMEOUT, 0, None)


def test_cancel_and_the_stop_signal_of_a_job(case: Case) -> None:
    """The job's own stop signal, and CANCELLED."""
    begin(case, "a", "trap 'echo int; exit 7' INT; echo ready; while :; do sleep 0.05; done",
          stop_signal=int(signal.SIGINT))
    case.executor.stop("a", "cancel")
    case.executor.stop("a", "timeout")
    case.finish()
    outcome = case.outcomes["a"]
    assert (outcome.status, outcome.exit_code, outcome.reason) == (JobStatus.CANCELLED, 7, "cancelled")
    assert case.stdout("a") == b"ready\nint\n"


def test_a_job_that_obeys_nothing_is_killed_after_its_grace(case: Case) -> None:
    """The grace, then KILL; and KILL at once where that is asked for."""
    stubborn = "trap '' TERM INT HUP; echo ready; while :; do sleep 0.05; done"
    begin(case, "a", stubborn, stop_grace_s=0.5)
    before = time.monotonic()
    case.executor.stop("a", "timeout")
    case.finish()
    assert 0.5 <= time.monotonic() - before
    assert (case.outcomes["a"].status, case.outcomes["a"].signal) == (JobStatus.TIMEOUT, "SIGKILL")
    begin(case, "b", stubborn, stop_grace_s=10 * DEADLINE_S)
    case.executor.stop("b", "cancel")
    case.executor.stop("b", "cancel", immediately=True)
    case.finish()
    assert (case.outcomes["b"].status, case.outcomes["b"].signal) == (JobStatus.CANCELLED, "SIGKILL")


def test_close_stops_what_still_runs(tmp_path: Path) -> None:
    """An executor that is closed in an emergency leaves nothing."""
    case = Case(tmp_path)
    case.go("a", "trap '' TERM; sleep 60")
    case.until(lambda: "a" in case.started, "the start")
    assert case.close() == []
    facts = read_record(str(case.record)).attempts["a"].facts
    assert facts is not None and facts[1] == JobStatus.CANCELLED


# ---- waiting -------------------------------------------------------------------------------------------------------

def test_wait_returns_early_when_woken(tmp_path: Path) -> None:
    """A signal's wake-up ends the wait, though nothing happened."""
    read_end, write_end = os.pipe()
    case = Case(tmp_path, wake_fds=[read_end])
    os.mkfifo(str(tmp_path / "gate"))
    case.go("a", "read line < gate")
    case.until(lambda: "a" in case.started, "the start")
    os.write(write_end, b"x")
    assert case.wait(None) == []
    os.read(read_end, 1)
    (tmp_path / "gate").write_text("go\n")
    case.finish()
    assert case.close() == []
    os.write(write_end, b"x")
    assert case.executor.wait(None) == [], "also when closed"
    assert case.executor.wait(0.0) == []
    for fd in (read_end, write_end):
        os.close(fd)


def test_the_record_tells_it_all(case: Case) -> None:
    """What the runner hears stands in the record, with times and process."""
    case.start(case.attempt("good", "true"), case.attempt("bad", "exit 9"), case.attempt("late", "sleep 9", timeout_s=0.2))
    case.finish()
    run = read_record(str(case.record))
    assert run.keeper_pid == case.executor.keeper_pid and run.boot_id and not run.closed
    for name, status in (("good", "SUCCESS"), ("bad", "FAILED"), ("late", "TIMEOUT")):
        known = run.attempts[name]
        assert (known.pid, known.pid_start) == (case.started[name].pid, case.started[name].pid_start)
        assert known.facts is not None and known.facts[1] == status == case.outcomes[name].status
    assert case.close() == []
    assert read_record(str(case.record)).closed
    assert case.record.stat().st_mode & 0o777 == 0o600


def test_start_times_are_those_of_the_kernel(case: Case) -> None:
    """Pid and start time name a process for whoever comes later, so the clock must not be a tick beside it."""
    for number in range(25):
        case.go("j%d" % number, "exec sleep 30")
    for name in ["j%d" % number for number in range(25)]:
        case.until(lambda name=name: name in case.started, "the start")
        found = stat_of(case.started[name].pid)
        assert found is not None and found.start == case.started[name].pid_start
        case.executor.stop(name, "cancel", immediately=True)
    case.finish()


def test_the_keeper_can_be_recognised_and_holds_nothing_foreign(case: Case) -> None:
    """Its name, its session, its streams on /dev/null, no descriptor that it was not given."""
    foreign = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(foreign, True)
    case.run("true")
    pid = case.executor.keeper_pid
    proc = Path("/proc/%d" % pid)
    assert b"executioner-keeper" in (proc / "cmdline").read_bytes()
    assert (proc / "comm").read_text().strip() == "exec-keeper"
    assert os.getsid(pid) == pid and os.readlink(str(proc / "cwd")) == "/"
    links = [os.readlink(str(link)) for link in (proc / "fd").iterdir()]
    assert links.count("/dev/null") == 3
    assert sorted(link.split(":")[0] for link in links if link != "/dev/null") == sorted(
        ["pipe"] * 4 + [str(case.record), str(case.output), "/proc/%d/task/%d/children" % (pid, pid),
                       "/proc/%d/mountinfo" % pid])
    os.close(foreign)


def test_many_short_jobs_in_many_slots(tmp_path: Path) -> None:
    """Nothing is lost or mixed up when much ends at once."""
    case = Case(tmp_path, slots=32)
    case.start(*[case.attempt("j%d" % number, ["/bin/sh", "-c", "echo %d; exit %d" % (number, number % 3)])
                 for number in range(300)])
    case.finish()
    assert case.close() == []
    for number in range(300):
        assert case.outcomes["j%d" % number].exit_code == number % 3
        assert case.stdout("j%d" % number) == b"%d\n" % number
    assert len(case.halted) == 200



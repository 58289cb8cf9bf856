"""A job that floods is stopped at its cap, with that as the reason; nothing of ours grows with what it writes."""
import os
from pathlib import Path

from executor_case import DEADLINE_S, Case
from jobs.models import JobStatus

CAP = 8 << 20
STEADY = "while :; do head -c 262144 /dev/zero; sleep 0.005; done"


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    with open("/proc/%d/status" % pid) as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS:"))


def test_floods_are_stopped_at_their_cap_and_memory_does_not_grow(tmp_path: Path) -> None:
    case = Case(tmp_path, slots=4)
    assert case.run("true").status == JobStatus.SUCCESS
    keeper = case.executor.keeper_pid
    before = resident(keeper), resident(os.getpid())
    case.go("polite", "while [ ! -e go ]; do sleep 0.02; done; echo polite")
    for name, command in (("out", STEADY), ("err", "(%s) >&2" % STEADY), ("flood", "exec yes")):
        case.go(name, command, output_limit_bytes=CAP, stop_grace_s=0.5)
    case.until(lambda: len(case.outcomes) == 4, "the floods are stopped")
    grown = resident(keeper) - before[0], resident(os.getpid()) - before[1]
    (tmp_path / "go").touch()
    case.finish()
    for name in ("out", "err", "flood"):
        outcome = case.outcomes[name]
        assert (outcome.status, outcome.stop_reason) == (JobStatus.FAILED, "output_limit"), outcome
        assert outcome.reason.startswith("output passed 8.0 MiB")
        written = sum(os.path.getsize(str(case.output / (name + ending))) for ending in (".out", ".err"))
        assert written == CAP
    assert case.outcomes["polite"].status == JobStatus.SUCCESS, "a neighbour was stopped too"
    assert case.close() == []
    assert max(grown) < 4 << 20, grown
    for path in case.output.iterdir():
        path.unlink()


def test_what_ignores_its_stop_signal_is_killed_before_its_grace_is_over(tmp_path: Path) -> None:
    case = Case(tmp_path)
    outcome = case.run("trap '' TERM; while :; do head -c 1048576 /dev/zero; done", output_limit_bytes=CAP,
                       stop_grace_s=10 * DEADLINE_S)
    assert (outcome.status, outcome.stop_reason, outcome.signal) == (JobStatus.FAILED, "output_limit", "SIGKILL")
    assert outcome.duration_s is not None and outcome.duration_s < DEADLINE_S
    assert len(case.stdout("job0")) == CAP
    case.close()


def test_too_much_is_noticed_at_the_end_too(tmp_path: Path) -> None:
    """What ends before anybody has looked is judged as what is seen while it writes."""
    case = Case(tmp_path)
    outcome = case.run("head -c 2000000 /dev/zero; head -c 2000000 /dev/zero >&2", output_limit_bytes=3999999)
    assert (outcome.status, outcome.exit_code, outcome.stop_reason) in (
        (JobStatus.FAILED, 0, "output_limit"), (JobStatus.FAILED, None, "output_limit"))
    assert outcome.reason == "output passed 3.8 MiB (limits.output)"
    outcome = case.run("head -c 2000000 /dev/zero; head -c 2000000 /dev/zero >&2", output_limit_bytes=4000000)
    assert outcome.status == JobStatus.SUCCESS, "exactly the limit is not too much"
    assert case.close() == []

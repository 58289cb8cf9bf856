"""A job that floods is stopped at its cap, with that as the reason; nothing of ours grows with what it writes."""
import os
from pathlib import Path

from executor_case import Case
from jobs.models import JobStatus

CAP = 8 << 20
#: What a steady stream of some 40 MiB a second may write between two looks.
BEHIND = 128 << 20
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
        assert CAP < written
        assert written < CAP + BEHIND or name == "flood", written
    assert case.outcomes["polite"].status == JobStatus.SUCCESS, "a neighbour was stopped too"
    assert case.close() == []
    assert max(grown) < 4 << 20, grown
    for path in case.output.iterdir():
        path.unlink()

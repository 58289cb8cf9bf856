"""The process that a keeper was starting at the moment of its death: was there one, and which?

Between the line ``started`` and the line ``process`` of the record lies the start itself. Whatever came of it is a
child of ours now, since we are a subreaper and its parent is gone. So a process that is not found never was, and the
attempt can be started again.
"""
import os
import time
from typing import Callable, List, Optional, Tuple

from jobs import system
from jobs.keeper import processes
from jobs.keeper.loop import PROCESS_NAME
from jobs.keeper.nursery import AttemptSpec
from jobs.keeper.record import RecordedAttempt

__all__ = ["Unsure", "find_newborn", "is_child"]

#: How long a process that still is a copy of the keeper may take to become the job.
_PATIENCE_S = 2.0


class Unsure(Exception):
    """There may have been a process, and it cannot be told which."""


def is_child(pid: int, pid_start: int) -> bool:
    """Whether that very process is a child of ours, dead or alive."""
    found = processes.stat_of(pid)
    return found is not None and found.start == pid_start and found.ppid == os.getpid()


def find_newborn(spec: AttemptSpec, known: RecordedAttempt,
                 is_other: Callable[[int], bool]) -> Optional[Tuple[int, int]]:
    """Pid and start time of the process of an attempt that the keeper was starting; None where it never was.

    :param is_other: tells pids that are known to be something else
    :raises Unsure: where that cannot be told
    """
    ticks = os.sysconf("SC_CLK_TCK")
    now = processes.boot_time_s()
    earliest = int((now - (time.monotonic() - known.started_mono)) * ticks) - 1
    latest = int(now * ticks) + 1
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        born = [found for found in _children() if earliest <= found.start <= latest and not is_other(found.pid)]
        unfinished = [found for found in born if not found.is_dead and found.name == PROCESS_NAME]
        if not unfinished:
            break
        if time.monotonic() >= give_up_at:
            raise Unsure()
        time.sleep(0.002)
    leaders = []
    for found in born:
        if found.name == PROCESS_NAME:
            # A start that failed: it never became the program.
            _reap(found.pid)
        elif found.session == found.pid:
            leaders.append(found)
    marks = {found.pid: processes.mark_of(found.pid) for found in leaders}
    marked = [found for found in leaders if marks[found.pid] == spec.token]
    # What is dead, or dies while we look, shows no environment; a job may also have wiped its own.
    unmarked = [found for found in leaders if marks[found.pid] is None]
    if len(unmarked) > 1:
        program = os.path.basename(spec.argv[0])[:15].decode("utf-8", "replace") if spec.argv else ""
        unmarked = [found for found in unmarked if found.name == program] or unmarked
    candidates = marked or unmarked
    if len(candidates) > 1:
        raise Unsure()
    return (candidates[0].pid, candidates[0].start) if candidates else None


def _reap(pid: int) -> None:
    try:
        system.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def _children() -> List[processes.ProcessStat]:
    found = [processes.stat_of(pid) for pid in processes.children_of(os.getpid())]
    return [stat for stat in found if stat is not None]

"""What is left of a run whose runner is gone: telling its keeper to stop, and ending what has no keeper any more."""
import os
import signal
import time
from typing import Dict, Iterable, List, Optional, Set

from jobs import system
from jobs.keeper.processes import ProcessStat, has_proc, mark_of, stat_of

__all__ = ["end_survivors", "stop_keeper"]

#: From the polite signal to KILL, and until the rest is given up.
GRACE_S = 2.0
PATIENCE_S = 60.0


def stop_keeper(pid: int, start: int) -> bool:
    """Ask a keeper whose runner is gone to stop its jobs; it ends when they have. Whether it was there to be asked.

    :param start: its start time in clock ticks since boot: another process may have the number by now
    """
    found = stat_of(pid) if pid > 0 else None
    if found is None or found.is_dead or found.start != start:
        return False
    return _signal(found, signal.SIGTERM)


def end_survivors(run_uuid: str, leaders: Dict[int, int], spared: Set[int]) -> List[str]:
    """End every process of a run's attempts that can be told: by its mark, or by the session of a recorded leader.

    :param leaders: pid of each recorded attempt's first process, with its start time in clock ticks since boot
    :param spared: positions of jobs that may leave processes behind
    :returns: what could not be ended, ``pid name`` each
    """
    if not has_proc():
        return []
    began = time.monotonic()
    pause_s = 0.005
    left = list(_survivors(run_uuid, leaders, spared))
    first = True
    while left and time.monotonic() - began < PATIENCE_S:
        polite = time.monotonic() - began < GRACE_S
        for process in left:
            if polite and not first:
                continue
            _signal(process, signal.SIGTERM if polite else signal.SIGKILL)
            if polite:
                _signal(process, signal.SIGCONT)
        first = False
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
        left = list(_survivors(run_uuid, leaders, spared))
    return [process.describe() for process in left]


def _survivors(run_uuid: str, leaders: Dict[int, int], spared: Set[int]) -> Iterable[ProcessStat]:
    ours = _own_line()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in ours:
            continue
        found = stat_of(int(name))
        if found is None or found.is_dead:
            continue
        mark = mark_of(found.pid)
        if mark is not None:
            parts = mark.split(".")
            if parts[0] == run_uuid and not (len(parts) == 3 and parts[1].isdigit() and int(parts[1]) in spared):
                yield found
        elif found.session in leaders and found.start >= leaders[found.session]:
            # A number that is in use as a session is not given to another process.
            yield found


def _own_line() -> Set[int]:
    """This process and those that started it: one of them may itself be a job of the run."""
    line: Set[int] = set()
    pid: Optional[int] = os.getpid()
    while pid and pid not in line:
        line.add(pid)
        found = stat_of(pid)
        pid = found.ppid if found is not None else None
    return line


def _signal(process: ProcessStat, number: int) -> bool:
    """Signal the very process that was seen, not another one that has its number by now."""
    again = stat_of(process.pid)
    if again is None or again.start != process.start:
        return False
    try:
        system.kill(process.pid, number)
    except OSError:
        return False  # it has just ended, or is another user's
    return True

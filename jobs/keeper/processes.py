"""What ``/proc`` tells about processes: children, start times, sessions, marks. Everything may be gone a moment later.

Where there is no ``/proc`` (macOS, BSD) each question gets the answer "nothing known".
"""
import errno
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

__all__ = ["MARK", "Children", "ProcessStat", "become_subreaper", "boot_id", "boot_time_s", "children_of", "has_proc",
           "mark_of", "start_time", "stat_of"]

#: The variable that marks every process of an attempt with its token.
MARK = b"EXECUTIONER_MARK"
#: CLOCK_BOOTTIME, which ``time`` names from 3.7 on only; start times are counted by it.
_CLOCK_BOOTTIME = 7
_READ_BYTES = 4096
_PR_SET_CHILD_SUBREAPER = 36
#: A process that is just becoming another program has no environment; it needs the processor for microseconds of that.
_EXEC_LOOK_S = 0.001
_EXEC_LOOKS = 250


def become_subreaper(wanted: bool = True) -> bool:
    """Let what loses its parent below us come to us, not to process 1. Whether this system can do that (Linux).

    :param wanted: False: as it was before
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes
    return int(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)) == 0


class ProcessStat:
    """A line of ``/proc/PID/stat``. Pid and start time together name a process within a boot."""

    __slots__ = ("pid", "name", "state", "ppid", "pgrp", "session", "threads", "start", "is_between_programs",
                 "has_no_environment")

    def __init__(self, pid: int, name: str, fields: "List[bytes]") -> None:
        """
        :param fields: the line's words after the name
        :raises IndexError: the line is too short
        :raises ValueError: a word is no number
        """
        self.pid = pid
        self.name = name
        #: One letter: R, S, D, T, Z (ended, not yet reaped) ...
        self.state = fields[0].decode("ascii")
        self.ppid = int(fields[1])
        self.pgrp = int(fields[2])
        self.session = int(fields[3])
        self.threads = int(fields[17])
        #: Clock ticks since boot.
        self.start = int(fields[19])
        has_memory = len(fields) > 48 and fields[20] != b"0" and self.state not in "ZX"
        is_empty = has_memory and fields[48] in (b"0", fields[47])
        #: Threads of the kernel, and what is about to end, have no memory at all; an environment may be empty.
        self.has_no_environment = not has_memory or (is_empty and fields[48] != b"0" and self.state not in "RD")
        #: In the middle of an execve the new memory has no environment yet: where it ends is set last. Nothing sleeps
        #: in there.
        self.is_between_programs = is_empty and not self.has_no_environment

    @property
    def is_dead(self) -> bool:
        """Whether it has ended and only waits to be reaped. One whose first thread has ended may live on in others."""
        return self.state in "ZX" and self.threads <= 1

    def describe(self) -> str:
        """``4711 sleep``."""
        return "%d %s" % (self.pid, self.name)


def _read(path: bytes) -> "Optional[bytes]":
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(fd, _READ_BYTES)
        part = data
        while len(part) > 0 and len(data) % _READ_BYTES == 0:
            part = os.read(fd, _READ_BYTES)
            data += part
        return data
    except OSError:
        return None
    finally:
        os.close(fd)


def has_proc() -> bool:
    """Whether this system tells about its processes in ``/proc``."""
    return os.path.exists("/proc/self/stat")


def boot_id() -> str:
    """What tells this boot of the machine from all others; "" where the system does not say."""
    data = _read(b"/proc/sys/kernel/random/boot_id")
    return data.decode("ascii", "replace").strip() if data else ""


def boot_time_s() -> float:
    """Seconds since boot by the clock that start times are counted by; -1 where there is none."""
    try:
        return time.clock_gettime(_CLOCK_BOOTTIME)
    except (OSError, AttributeError):
        return -1.0


def stat_of(pid: int) -> "Optional[ProcessStat]":
    """What the system knows about a process; None where it is gone."""
    data = _read(b"/proc/%d/stat" % pid)
    if not data:
        return None
    # A name may hold blanks and brackets; the last bracket ends it.
    before, _, after = data.rpartition(b")")
    try:
        return ProcessStat(pid, before.partition(b"(")[2].decode("utf-8", "replace"), after.split())
    except (IndexError, ValueError):
        return None


def start_time(pid: int) -> "Optional[int]":
    """When the process was started, in clock ticks since boot; None where it is gone."""
    stat = stat_of(pid)
    return stat.start if stat is not None else None


def mark_of(pid: int) -> "Optional[str]":
    """The token that the environment of the process carries; None where there is none or it cannot be read."""
    data = _environment_of(pid)
    if data is None or MARK not in data:
        return None
    for entry in data.split(b"\0"):
        if entry.startswith(MARK + b"="):
            return entry[len(MARK) + 1:].decode("utf-8", "surrogateescape")
    return None


def _environment_of(pid: int) -> "Optional[bytes]":
    path = b"/proc/%d/environ" % pid
    for _ in range(_EXEC_LOOKS):
        data = _read(path)
        stat = stat_of(pid) if not data else None
        if stat is None or stat.is_dead:
            return data
        if stat.state in "ZX":
            # What the first thread had is gone with it; the others still have it.
            return _read(b"/proc/%d/task/%d/environ" % (pid, _newest_thread(pid)))
        if data is None or stat.has_no_environment:
            return data
        if stat.is_between_programs:
            time.sleep(_EXEC_LOOK_S)
    return b""


def _newest_thread(pid: int) -> int:
    try:
        # The list is empty where the process is reaped between opening it and reading it.
        return max(map(int, os.listdir(b"/proc/%d/task" % pid)), default=pid)
    except OSError:
        return pid


def children_of(pid: int) -> "List[int]":
    """The children of all threads of a process, dead ones too. A child may be missed while others end: look again."""
    try:
        threads = os.listdir(b"/proc/%d/task" % pid)
    except OSError:
        return []
    children = []
    for thread in threads:
        data = _read(b"/proc/%d/task/%s/children" % (pid, thread))
        if data is None:
            if not _kernel_lists_children():
                return [child for child, parent in _parents().items() if parent == pid]
            continue
        children += [int(word) for word in data.split()]
    return children


def _kernel_lists_children() -> bool:
    return os.path.exists("/proc/self/task/%d/children" % os.getpid())


def _parents() -> "Dict[int, int]":
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = stat_of(int(name))
            if stat is not None:
                parents[stat.pid] = stat.ppid
    return parents


class Children:
    """Our own children, asked for after each end of a job: one system call for a single-threaded process."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._fd = -1
        try:
            self._fd = os.open("/proc/self/task/%d/children" % self._pid, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise

    def count(self) -> int:
        """How many children we have, dead and not yet reaped ones included."""
        if self._fd < 0:
            return len(self.list())
        return self._data().count(b" ")

    def list(self) -> "List[int]":
        """The pids of our children."""
        if self._fd < 0:
            return children_of(self._pid)
        return [int(word) for word in self._data().split()]

    def close(self) -> None:
        """Close the file that was kept open."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _data(self) -> bytes:
        data = os.pread(self._fd, _READ_BYTES, 0)
        if len(data) < _READ_BYTES - 16:
            return data
        os.lseek(self._fd, 0, os.SEEK_SET)
        parts: "List[bytes]" = []
        while True:
            part = os.read(self._fd, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)

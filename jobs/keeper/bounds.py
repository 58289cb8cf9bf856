"""What an attempt may not pass: set by the child for itself, between fork and exec; memory is watched from outside.

A child with bounds is forked, which costs a fraction of a millisecond in a process as small as the keeper; all others
are spawned as ever. What goes wrong before the exec comes back through a pipe that the exec closes. A child that enters
a folder which does not answer gets there late or never: it counts as started, and its time limit holds.
"""
import errno
import os
import select

from jobs.keeper.spawn import DEFAULT_SIGNALS, Refused
from jobs.keeper.verdict import bytes_text
from jobs.system import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Sequence, Tuple
    from jobs.keeper.processes import ProcessStat
    from jobs.keeper.spawn import Environment
    # Limits by the names of the configuration, niceness to add, umask, (uid, gid, groups), folder, name of the file
    # in which it tells others ("" = it can make that for itself). The second to fourth may be None. Plain values: they
    # travel from the runner.
    Asked = Tuple[Dict[str, int], Optional[int], Optional[int], Optional[Tuple[int, int, Tuple[int, ...]]], bytes, str]

__all__ = ["Bounds", "KERNEL_LIMITS", "memory_of"]

#: How long a child that enters a folder of another machine is waited for until it counts as started all the same.
_FOLDER_PATIENCE_MS = 200

#: Between SIGXCPU, which a program may take, and the KILL that follows it.
_CPU_GRACE_S = 5
#: Name in the configuration: name of the kernel's limit.
KERNEL_LIMITS = (("cpu_seconds", "RLIMIT_CPU"), ("open_files", "RLIMIT_NOFILE"), ("file_size", "RLIMIT_FSIZE"),
                 ("processes", "RLIMIT_NPROC"))
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Bounds:
    """The bounds of one attempt.

    :param asked: as they travel from the runner; None where it is only about the folder
    :param distant: a folder that the child has to enter for itself, since it may not answer; None where there is none
    """

    __slots__ = ("_limits", "_nice", "_umask", "_owner", "_folder", "_told_fd", "distant", "memory_bytes",
                 "outputs_name", "outputs_fd")

    def __init__(self, asked: "Optional[Asked]", distant: "Optional[bytes]" = None) -> None:
        limits, self._nice, self._umask, self._owner, self._folder, self.outputs_name = asked or (
            {}, None, None, None, distant or b"", "")
        #: That file, open for the attempt; -1 where there is none.
        self.outputs_fd = -1
        self.distant = distant
        self._told_fd = -1
        self._limits = limits
        #: Most bytes of memory of the whole tree; 0 = no such bound.
        self.memory_bytes = limits.get("memory", 0)

    def spawn(self, program: bytes, argv: "Sequence[bytes]", environment: "Environment",
              streams: "Sequence[int]") -> int:
        """Start a program in a session of its own, within these bounds.

        :raises OSError: as ``execve`` and ``fork`` would
        :raises Refused: where one of them cannot be set
        """
        for text in [program] + list(argv) + [name + b"=" + value for name, value in environment.items()]:
            if b"\0" in text:
                raise ValueError("embedded null byte")
        import resource  # before the fork: the child imports nothing
        setrlimit: "Callable[[int, Tuple[int, int]], None]" = resource.setrlimit
        limits = self._kernel_limits()
        told, tell = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(told)
            os.close(tell)
            raise
        if pid == 0:
            self._become(program, argv, environment, streams, limits, setrlimit, tell)
        os.close(tell)
        self._told_fd = told
        if self.distant is not None:
            poll = select.poll()
            poll.register(told, select.POLLIN)
            if not poll.poll(_FOLDER_PATIENCE_MS):
                return pid
        try:
            self.check()
        except (OSError, Refused):
            os.waitpid(pid, 0)
            raise
        return pid

    def give_outputs(self, descriptor: int) -> bytes:
        """The file in which the attempt tells others is open: it becomes the owner's; the path by which he opens it.

        It lies where only we can enter, so nobody can put a link or another file in its place.

        :raises OSError: where it cannot be given away
        """
        self.outputs_fd = descriptor
        if self._owner is not None:
            os.fchown(descriptor, self._owner[0], self._owner[1])
        return (b"/proc/self/fd/%d" if os.path.isdir("/proc/self/fd") else b"/dev/fd/%d") % descriptor

    def check(self) -> None:
        """Hear whether the child has become its program; once that is so, or it has ended.

        :raises OSError: as ``execve`` would
        :raises Refused: where a bound cannot be set, or its folder not be entered
        """
        if self._told_fd < 0:
            return
        told, self._told_fd = self._told_fd, -1
        try:
            refusal = self._read(told)
        finally:
            os.close(told)
        if refusal:
            number, _, what = refusal.partition(b" ")
            if what:
                raise Refused(None, "%s: %s" % (str(what, "utf-8", "replace"), os.strerror(int(number))))
            raise OSError(int(number), os.strerror(int(number)))

    def _kernel_limits(self) -> "List[Tuple[str, int, Tuple[int, int]]]":
        import resource
        found = []
        for name, kernel_name in KERNEL_LIMITS:
            value = self._limits.get(name)
            number: "Optional[int]" = getattr(resource, kernel_name, None)
            if value is None or number is None:
                continue
            highest = resource.getrlimit(number)[1]
            hard = value + _CPU_GRACE_S if name == "cpu_seconds" else value
            if 0 <= highest < hard and name == "cpu_seconds":
                hard = max(value, highest)
            found.append((name, number, (value, hard)))
        return found

    def _become(self, program: bytes, argv: "Sequence[bytes]", environment: "Environment", streams: "Sequence[int]",
                limits: "List[Tuple[str, int, Tuple[int, int]]]", setrlimit: "Callable[[int, Tuple[int, int]], None]",
                tell: int) -> None:
        """The child: never returns."""
        what = ""
        try:
            os.setsid()
            # Who hangs below is to obey the signals that stop it, and not to wake the keeper.
            signal.set_wakeup_fd(-1)
            for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
                if signal.getsignal(caught) != signal.SIG_IGN:
                    signal.signal(caught, signal.SIG_DFL)
            if self._umask is not None:
                os.umask(self._umask)
            if self._nice is not None:
                what = "limits.nice %d" % self._nice
                os.nice(self._nice)
            for target, source in enumerate(streams):
                what = "stream %d" % target
                if source != target:
                    os.dup2(source, target)
            if self.outputs_fd >= 0:
                os.set_inheritable(self.outputs_fd, True)
            for name, number, values in limits:
                what = "limits.%s %d" % (name, values[0])
                setrlimit(number, values)
            if self._owner is not None:
                what = "run_as"
                uid, gid, groups = self._owner
                os.setgroups(list(groups))
                os.setgid(gid)
                os.setuid(uid)
            if self._owner is not None or self.distant is not None:
                what = "working folder %s" % os.fsdecode(self._folder or b"/")
                os.chdir(self._folder or b"/")
            for ignored in DEFAULT_SIGNALS:
                signal.signal(ignored, signal.SIG_DFL)
            what = ""
            os.execve(program, list(argv), environment)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
            # Above the hard limit, Python says ValueError.
            code = error.errno if isinstance(error, OSError) else errno.EPERM
            text = ("%d %s" % (code or errno.EINVAL, what)).rstrip(" ")
            os.write(tell, text.encode("utf-8", "surrogateescape"))
        finally:
            os._exit(127)

    @staticmethod
    def _read(told: int) -> bytes:
        data = b""
        while True:
            part = os.read(told, 4096)
            if not part:
                return data
            data += part

    def ended_by(self, wait_status: int, cpu_s: float) -> str:
        """Which bound it ran into, by how it ended; "" where none. A shell tells of a signal by 128 and its number."""
        number = os.WTERMSIG(wait_status) if os.WIFSIGNALED(wait_status) else os.WEXITSTATUS(wait_status) - 128
        seconds = self._limits.get("cpu_seconds")
        # What ignores SIGXCPU is killed a little later.
        if seconds is not None and (number == getattr(signal, "SIGXCPU", -1)
                                    or number == signal.SIGKILL and cpu_s >= seconds + _CPU_GRACE_S - 1):
            return "it used its %d s of processor time (limits.cpu_seconds)" % seconds
        if number == getattr(signal, "SIGXFSZ", -1) and "file_size" in self._limits:
            return "a file passed %s (limits.file_size)" % bytes_text(self._limits["file_size"])
        return ""


def memory_of(tree: "Sequence[ProcessStat]", limit: int) -> int:
    """Bytes of memory that a tree has, as far as it matters whether that is more than the limit.

    What processes share is counted once where the sum of what each has resident is over the limit, and the kernel
    tells (``smaps_rollup`` of Linux 4.14): a look that costs milliseconds for a large process.
    """
    resident = sum(_resident(stat.pid) for stat in tree)
    if resident <= limit:
        return resident
    return min(resident, sum(_proportional(stat.pid) for stat in tree))


def _resident(pid: int) -> int:
    try:
        with open("/proc/%d/statm" % pid, "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open("/proc/%d/smaps_rollup" % pid, "rb") as rollup:
            return sum(int(line.split()[1]) << 10 for line in rollup if line.startswith(b"Pss:"))
    except (OSError, IndexError, ValueError):
        return _resident(pid)

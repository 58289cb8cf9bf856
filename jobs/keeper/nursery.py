"""The attempts that run: started, timed, stopped, reaped, each until nothing of its process tree is left.

A passive object: it acts only when told (``start``, ``stop``) or asked (``reap``, ``tick``). The keeper drives one;
the runner uses the same class for the jobs of a keeper that died, which come back to it (``adopt``).

**Who belongs to an attempt.** Its leader and what is below it. What lost its parent comes to us, since we are a
subreaper, and is then told by session, process group, having been seen below the leader, or the mark in its
environment. What shows none of these (a daemon that made a session and wiped its environment) can only be of a job
that was running when it began: of that job, where there is but one; else it is left until the last of those that it
could be of has ended, and stopped then.

**How an attempt ends.** There is one path: the stop signal to the leader's group and to all others of the tree, then
CONT (a stopped process obeys nothing), the grace, then KILL, again and again, until nothing is left or patience is
over, which names the survivors. What a job leaves behind when it ends by itself goes the same way. The end is told
when the tree is gone. The exit status is the truth, never the end of a pipe.

A pid is signalled only while it is a child of ours that has not been reaped, or after its start time was compared.
"""
import errno
import os
import time

from jobs import system
from jobs.keeper import processes, verdict
from jobs.keeper.bounds import Bounds, memory_of
from jobs.keeper.mounts import Mounts
from jobs.keeper.spawn import SHORTAGES, Refused, Shortage, shown
from jobs.system import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple
    from resource import struct_rusage
    from jobs.keeper.bounds import Asked
    from jobs.keeper.processes import ProcessStat
    from jobs.keeper.record import Facts, RecordWriter
    from jobs.keeper.spawn import Environment, Spawner
    # ("started", token, pid, pid_start, at) | ("ended", facts, needs_answer) | ("notice", level, text, context)
    NurseryEvent = Tuple[object, ...]
    Birth = Tuple[int, int]

__all__ = ["Attempt", "AttemptSpec", "Nursery"]

_SIGKILL, _SIGCONT = int(signal.SIGKILL), int(signal.SIGCONT)
#: How often the size of the output is looked at: at most, at least; and how much may be written in a second. So what
#: begins to flood between two looks passes its limit by what it writes in the shortest pause.
_SIZES_EVERY_S, _SIZES_EVERY_LEAST_S, _FLOOD_BYTES_A_S = 1.0, 0.05, 2.0 * (1 << 30)
#: What is being stopped may write so much beyond its limit in its grace; then it is KILL.
_LAST_WORDS_BYTES = 16 << 20
#: How often the memory of a tree with a bound is looked at; when first.
_MEMORY_EVERY_S, _FIRST_MEMORY_S = 0.25, 0.1
#: Between two rounds of KILL.
_ROUND_S, _ROUND_MOST_S = 0.001, 0.05
#: How often a tree without its leader is looked at while it has its grace; its ends wake us as well.
_LOOK_EVERY_S = 0.25
_NEVER = float("inf")
_CLD_EXITED = 1
#: Look for the end of a child, and leave it.
_PEEK = getattr(os, "WEXITED", 0) | os.WNOHANG | getattr(os, "WNOWAIT", 0)
_ANY_CHILD = (getattr(os, "P_ALL", 0), 0)

_SPEC_FIELDS = ("token", "argv", "via_shell", "refusal", "environment", "folder", "stdin_path", "stdin_text",
                "stdout_name", "stderr_name", "timeout_s", "timeout_reason", "timeout_text", "stop_signal", "grace_s",
                "success_codes", "decides_alone", "output_limit", "leave_running", "bounds")


class AttemptSpec:
    """What an attempt is to be, as it travels from the runner (see ``as_tuple``)."""

    __slots__ = _SPEC_FIELDS

    def __init__(self, token: str, argv: "Sequence[bytes]", via_shell: bool,
                 refusal: "Optional[Tuple[Optional[int], str]]", environment: "Environment", folder: bytes,
                 stdin_path: bytes, stdin_text: "Optional[bytes]", stdout_name: str, stderr_name: str,
                 timeout_s: float, timeout_reason: str, timeout_text: str, stop_signal: int, grace_s: float,
                 success_codes: "Tuple[int, ...]", decides_alone: bool, output_limit: int,
                 leave_running: bool, bounds: "Optional[Asked]" = None) -> None:
        self.token = token
        #: Empty for a command that says nothing: it succeeds without a process.
        self.argv = argv
        self.via_shell = via_shell
        #: Exit code and reason, where the runner saw already that it cannot be started.
        self.refusal = refusal
        #: Over the environment that all attempts share.
        self.environment = environment
        self.folder = folder
        self.stdin_path = stdin_path
        self.stdin_text = stdin_text
        self.stdout_name = stdout_name
        self.stderr_name = stderr_name
        #: Seconds from its start.
        self.timeout_s = timeout_s
        self.timeout_reason = timeout_reason
        self.timeout_text = timeout_text
        self.stop_signal = stop_signal
        self.grace_s = grace_s
        self.success_codes = success_codes
        self.decides_alone = decides_alone
        self.output_limit = output_limit
        self.leave_running = leave_running
        #: Limits, niceness, umask and owner; None where it asks for nothing of the kind.
        self.bounds = bounds

    @property
    def outputs_name(self) -> str:
        """The file that is made for it to tell others in; "" where it makes that for itself."""
        return "" if self.bounds is None else self.bounds[5]

    def as_tuple(self) -> "Tuple[object, ...]":
        """The fields in the order of the constructor."""
        return tuple(getattr(self, name) for name in _SPEC_FIELDS)


class Attempt:
    """An attempt whose tree is not known to be gone yet."""

    __slots__ = ("spec", "pid", "pid_start", "started_at", "started_mono", "ended_at", "ended_mono", "status", "cpu_s",
                 "max_rss_bytes", "has_leader", "stop_reason", "stop_text", "stopping", "killing", "kill_at",
                 "give_up_at", "round_s", "wake_at", "sizes_at", "bounds", "memory_at", "seen", "killed", "survivors",
                 "lives_on")

    def __init__(self, spec: AttemptSpec, pid: int, pid_start: int, started_at: float, started_mono: float,
                 bounds: "Optional[Bounds]" = None) -> None:
        self.spec = spec
        self.pid = pid
        self.pid_start = pid_start
        self.started_at = started_at
        self.started_mono = started_mono
        self.ended_at = 0.0
        self.ended_mono = 0.0
        self.status: "Optional[int]" = None
        self.cpu_s: "Optional[float]" = None
        self.max_rss_bytes: "Optional[int]" = None
        #: Whether its first process has not been reaped yet.
        self.has_leader = True
        #: Its first process could not be ended.
        self.lives_on = False
        self.stop_reason = ""
        self.stop_text = ""
        #: The stop signal has been sent; the grace ends at ``kill_at``.
        self.stopping = False
        self.kill_at = _NEVER
        #: KILL is being sent; given up at ``give_up_at``.
        self.killing = False
        self.give_up_at = _NEVER
        self.round_s = _ROUND_S
        self.sizes_at = started_mono + _pause_s(spec.output_limit)
        if bounds is None and spec.bounds is not None:
            bounds = Bounds(spec.bounds)  # adopted: what was set for it when it was started still holds
        self.bounds = bounds
        #: When the memory of its tree is looked at.
        self.memory_at = _NEVER
        if self.bounds is not None and self.bounds.memory_bytes:
            self.memory_at = started_mono + _FIRST_MEMORY_S
        #: Processes of the tree that were seen, by pid and start time.
        self.seen: "Set[Birth]" = set()
        self.killed: "Set[Birth]" = set()
        self.survivors: "Tuple[str, ...]" = ()
        self.wake_at = 0.0
        self.plan_wake()

    def plan_wake(self) -> None:
        """Work out when ``tick`` has to look at it again."""
        if self.stopping:
            return
        self.wake_at = min(self.started_mono + self.spec.timeout_s, self.sizes_at, self.memory_at)


def _pause_s(room_bytes: int) -> float:
    """How long nothing can have written so much."""
    return min(_SIZES_EVERY_S, max(_SIZES_EVERY_LEAST_S, room_bytes / _FLOOD_BYTES_A_S))


def _output_text(spec: AttemptSpec) -> str:
    return "output passed %s (limits.output)" % verdict.bytes_text(spec.output_limit)


class _Stray:
    """A child of ours that is no leader: it lost its parent. ``attempts``: those that it can be of."""

    __slots__ = ("pid", "start", "name", "attempts")

    def __init__(self, stat: "ProcessStat", attempts: "Set[Attempt]") -> None:
        self.pid = stat.pid
        self.start = stat.start
        self.name = stat.name
        self.attempts = attempts


class Nursery:
    """Owns running attempts.

    :param output_fd: descriptor of the folder for output files
    :param environment: what every attempt gets
    :param owns_children: whether every child of this process is an attempt's (the keeper); else only known ones are
    touched
    :param kill_patience_s: how long KILL is repeated before survivors are named
    """

    def __init__(self, record: "RecordWriter", spawner: "Spawner", output_fd: int, environment: "Environment",
                 allow_shell: bool = True, owns_children: bool = True, kill_patience_s: float = 60.0) -> None:
        self._record = record
        self._spawner = spawner
        self._mounts = Mounts()
        self._output_fd = output_fd
        self._environment = environment
        self._allow_shell = allow_shell
        self._owns_children = owns_children
        self._kill_patience_s = kill_patience_s
        self._children = processes.Children()
        self._has_proc = processes.has_proc()
        self._ticks_a_second = os.sysconf("SC_CLK_TCK")
        #: Whether start times can be told from the clock; None until tried.
        self._clock_tells_start: "Optional[bool]" = None
        self._leaders: "Dict[int, Attempt]" = {}
        self._strays: "Dict[int, _Stray]" = {}
        #: What outlived everything we did; not looked at again.
        self._given_up: "Set[Birth]" = set()
        #: Left running on purpose.
        self._left: "Set[Birth]" = set()
        self._left_tokens: "Set[str]" = set()
        self._doomed = False
        self._next_wake = _NEVER
        self._events: "List[NurseryEvent]" = []
        #: Attempts by token, from their start until their tree is gone.
        self.running: "Dict[str, Attempt]" = {}

    # ---- for the one who drives ----------------------------------------------------------------------------------

    def take_events(self) -> "List[NurseryEvent]":
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    @property
    def has_events(self) -> bool:
        """Whether ``take_events`` has something to give."""
        return bool(self._events)

    def next_wake(self) -> float:
        """When ``tick`` must be called at the latest, by the monotonic clock; infinity where it need not."""
        return self._next_wake

    def start(self, spec: AttemptSpec) -> None:
        """Start an attempt; how it went is an event.

        :raises Shortage: where the system is short of something; nothing of the attempt is left then
        """
        started_at, started_mono = time.time(), time.monotonic()
        bounds: "Optional[Bounds]" = None
        try:
            if spec.refusal is not None:
                raise Refused(spec.refusal[0], spec.refusal[1])
            is_distant = self._mounts.may_hang(spec.folder)
            if is_distant or spec.bounds is not None:
                bounds = Bounds(spec.bounds, spec.folder if is_distant else None)
            self._enter_folder(b"/" if is_distant else spec.folder)
            streams = self._open_streams(spec, bounds)
            try:
                self._note_start(spec, started_at, started_mono)
                pid, pid_start = self._spawn(spec, streams, bounds)
            except Shortage:
                self._record.unstarted(spec.token)
                self._remove_output(spec)
                raise
            finally:
                for fd in streams:
                    if fd > 2:
                        system.close(fd)
        except Refused as refused:
            self._end_without_process(spec, started_at, refused)
            return
        if pid == 0:
            self._end_without_process(spec, started_at, None)
            return
        attempt = Attempt(spec, pid, pid_start, started_at, started_mono, bounds)
        self._record.process(spec.token, pid, pid_start)
        self._take_in(attempt)

    def adopt(self, attempt: Attempt) -> None:
        """Take over a child of this process that another nursery had started."""
        self._take_in(attempt)

    def adopt_ended(self, attempt: Attempt, wait_status: int, facts: "Facts") -> None:
        """Take over an attempt whose first process another nursery has reaped; of its tree something may be left."""
        self._take_in(attempt)
        attempt.status, attempt.stop_reason = wait_status, facts[5]
        if attempt.stop_reason == attempt.spec.timeout_reason:
            attempt.stop_text = attempt.spec.timeout_text
        attempt.ended_at = facts[7] or attempt.started_at
        attempt.ended_mono = attempt.started_mono + (facts[8] or 0.0)
        self._after_leader(self._leader_ended(attempt))

    def stop(self, token: str, reason: str, immediately: bool = False, text: str = "") -> None:
        """Stop an attempt; one that is not known (any more) is none of our business. The first reason is kept."""
        attempt = self.running.get(token)
        if attempt is None:
            return
        if attempt.has_leader and not attempt.stop_reason:
            attempt.stop_reason, attempt.stop_text = reason, text
        self._begin_stop(attempt, immediately)

    def stop_all(self, reason: str, immediately: bool = False, text: str = "") -> None:
        """Stop every attempt."""
        for token in list(self.running):
            self.stop(token, reason, immediately, text)

    def reap(self) -> bool:
        """Gather the processes that ended. Whether there were any."""
        ended: "List[Attempt]" = []
        found = False
        for pid, status, usage in self._ended_children():
            found = True
            attempt = self._leaders.get(pid)
            if attempt is None:
                self._strays.pop(pid, None)
            else:
                attempt.status = status
                attempt.cpu_s = usage.ru_utime + usage.ru_stime
                attempt.max_rss_bytes = usage.ru_maxrss * 1024
                ended.append(self._leader_ended(attempt))
        for attempt in ended:
            self._after_leader(attempt)
        if found:
            for attempt in [one for one in self.running.values() if one.stopping and one not in ended]:
                self._look_after(attempt)
        return found or bool(ended)

    def tick(self, now: float) -> None:
        """Do what is due: time limits, the ends of graces, rounds of KILL, a look at the size of the output."""
        if now < self._next_wake:
            return
        if self._doomed:
            self._doomed = False
            self._survey()
        for attempt in list(self.running.values()):
            if now >= attempt.wake_at:
                if attempt.stopping:
                    self._look_after(attempt)
                else:
                    self._check_limits(attempt, now)
        wakes = [attempt.wake_at for attempt in self.running.values()]
        if self._doomed:
            wakes.append(now + _ROUND_MOST_S)
        self._next_wake = min(wakes) if wakes else _NEVER

    def sweep(self) -> "List[str]":
        """At the end, when no attempt runs any more: KILL whatever is still below us.

        :returns: what could not be ended, ``pid name`` each
        """
        if not self._owns_children:
            return []
        give_up_at = time.monotonic() + self._kill_patience_s
        pause_s = _ROUND_S
        while True:
            self.reap()
            left: "List[ProcessStat]" = []
            for pid in self._children.list():
                stat = processes.stat_of(pid)
                if stat is not None and (stat.pid, stat.start) not in self._left and self._stray(stat) is not None:
                    left += self._tree(pid)
            if not left or time.monotonic() >= give_up_at:
                return [stat.describe() for stat in left]
            if all((stat.pid, stat.start) in self._given_up for stat in left):
                give_up_at = min(give_up_at, time.monotonic() + 1.0)
            for stat in left:
                self._signal(stat, _SIGKILL)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _ROUND_MOST_S)

    # ---- starting ------------------------------------------------------------------------------------------------

    def _take_in(self, attempt: Attempt) -> None:
        self.running[attempt.spec.token] = attempt
        self._leaders[attempt.pid] = attempt
        self._next_wake = min(self._next_wake, attempt.wake_at)
        self._events.append(("started", attempt.spec.token, attempt.pid, attempt.pid_start, attempt.started_at))

    def _enter_folder(self, folder: bytes) -> None:
        try:
            system.chdir(folder or b"/")
        except OSError as error:
            raise Refused(None, "working folder %s: %s" % (shown(folder), os.strerror(error.errno or 0)))
        except ValueError:
            raise Refused(None, "working folder %r: not a path" % shown(folder))

    def _open_streams(self, spec: AttemptSpec, bounds: "Optional[Bounds]") -> "List[int]":
        """What becomes 0, 1 and 2, and the file in which it tells others where it cannot make that for itself."""
        streams: "List[int]" = []
        made: "List[str]" = []
        act = ""
        try:
            act = "standard input %s" % shown(spec.stdin_path) if spec.stdin_path else "standard input"
            streams.append(self._open_stdin(spec))
            act = "output file %s" % spec.stdout_name
            streams.append(self._create(spec.stdout_name, os.O_WRONLY | os.O_APPEND))
            made.append(spec.stdout_name)
            if spec.stderr_name == spec.stdout_name:
                streams.append(streams[1])
            else:
                act = "output file %s" % spec.stderr_name
                streams.append(self._create(spec.stderr_name, os.O_WRONLY | os.O_APPEND))
                made.append(spec.stderr_name)
            if bounds is not None and bounds.outputs_name:
                act = "file of outputs %s" % bounds.outputs_name
                streams.append(self._create(bounds.outputs_name, os.O_RDWR))
                made.append(bounds.outputs_name)
                spec.environment[b"EXECUTIONER_OUTPUT"] = bounds.give_outputs(streams[3])
            return streams
        except (OSError, ValueError) as error:
            for fd in streams:
                if fd > 2:
                    system.close(fd)
            if isinstance(error, OSError) and error.errno in SHORTAGES:
                for name in made:
                    self._unlink(name)
                raise Shortage("%s: %s" % (act, os.strerror(error.errno or 0)))
            text = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
            raise Refused(None, "%s: %s" % (act, text))

    def _create(self, name: str, access: int) -> int:
        flags = access | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = system.open_file(name, flags, 0o600, dir_fd=self._output_fd)
        os.fchmod(fd, 0o600)
        return fd

    def _open_stdin(self, spec: AttemptSpec) -> int:
        """Descriptor 0, which is ``/dev/null`` here, where the job does not say otherwise."""
        if spec.stdin_text is not None:
            name = ".stdin.%d.%s" % (os.getpid(), spec.stdout_name)
            fd = self._create(name, os.O_RDWR)
            try:
                self._unlink(name)
                rest = spec.stdin_text
                while rest:
                    rest = rest[system.write(fd, rest):]
                os.lseek(fd, 0, os.SEEK_SET)
            except OSError:
                system.close(fd)
                raise
            return fd
        if spec.stdin_path:
            # Non-blocking, since a FIFO without a writer would hold us up.
            fd = system.open_file(spec.stdin_path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            os.set_blocking(fd, True)
            return fd
        return 0

    def _remove_output(self, spec: AttemptSpec) -> None:
        self._unlink(spec.stdout_name)
        if spec.stderr_name != spec.stdout_name:
            self._unlink(spec.stderr_name)
        if spec.outputs_name:
            self._unlink(spec.outputs_name)

    def _unlink(self, name: str) -> None:
        try:
            system.unlink(name, dir_fd=self._output_fd)
        except OSError:
            pass

    def _note_start(self, spec: AttemptSpec, at: float, mono: float) -> None:
        self._record.started(spec.token, at, mono)
        refused = self._record.flush()
        if refused is not None:
            raise Shortage("the run's record cannot be written: %s" % os.strerror(refused.errno or 0))

    def _spawn(self, spec: AttemptSpec, streams: "Sequence[int]", bounds: "Optional[Bounds]") -> "Birth":
        """Pid and start time; pid 0 for an empty command."""
        if not spec.argv:
            return 0, 0
        environment = dict(self._environment)
        environment.update(spec.environment)
        environment[processes.MARK] = spec.token.encode("utf-8", "surrogateescape")
        before = processes.boot_time_s()
        if bounds is None:
            pid = self._spawner.start(spec.argv, environment, streams, self._allow_shell)
        else:
            pid = self._spawner.start(spec.argv, environment, streams[:3], self._allow_shell, bounds.spawn,
                                      bounds.distant or b"")
        after = processes.boot_time_s()
        return pid, self._start_of(pid, int(before * self._ticks_a_second), int(after * self._ticks_a_second))

    def _start_of(self, pid: int, earliest: int, latest: int) -> int:
        """When the child was started. Where the clock leaves no choice, ``/proc`` is not asked: that costs more."""
        if earliest == latest and self._clock_tells_start:
            return latest
        start = processes.start_time(pid)
        if self._clock_tells_start is None and start is not None:
            self._clock_tells_start = earliest >= 0 and earliest <= start <= latest
        return start if start is not None else max(latest, 0)

    def _end_without_process(self, spec: AttemptSpec, started_at: float, refused: "Optional[Refused]") -> None:
        """The end of an attempt that never became a process: refused, or an empty command."""
        refusal = (refused.exit_code, refused.reason) if refused is not None else None
        status, exit_code, _, reason = verdict.judge(0, spec.success_codes, refusal=refusal)
        if refused is None:
            reason = "the command is empty"
        facts = (spec.token, status, exit_code, None, reason, "", started_at, time.time(), 0.0, None, None, ())
        self._record.ended(facts)
        if refused is None:
            self._events.append(("started", spec.token, 0, 0, started_at))
        self._events.append(("ended", facts, status != "SUCCESS" or not spec.decides_alone))

    # ---- ending --------------------------------------------------------------------------------------------------

    def _ended_children(self) -> "Iterator[Tuple[int, int, struct_rusage]]":
        """Reap what has ended. A leader that somebody else reaped has ended too, and nobody knows how."""
        if not self._owns_children:
            # Others in this process may have children too, and wait for them.
            for pid in list(self._leaders) + list(self._strays):
                try:
                    found = self._reap_one(pid)
                    if found is not None:
                        yield found
                except ChildProcessError:
                    self._forget(pid)
            return
        while True:
            try:
                found = self._reap_one(-1)
            except ChildProcessError:
                for pid in list(self._leaders) + list(self._strays):
                    self._forget(pid)
                return
            if found is None:
                return
            yield found

    def _reap_one(self, pid: int) -> "Optional[Tuple[int, int, struct_rusage]]":
        """As ``wait4``. How a leader ended is recorded before it is reaped: after that, nobody else could learn it."""
        if system.waitid is not None:
            ended = system.waitid(*_ANY_CHILD if pid < 0 else (os.P_PID, pid), _PEEK)
            if ended is None:
                return None
            pid = ended.si_pid
            attempt = self._leaders.get(pid)
            if attempt is not None:
                status = ended.si_status << 8 if ended.si_code == _CLD_EXITED else ended.si_status
                self._note_flood(attempt)
                self._record_exit(attempt, status)
        found = system.wait4(pid, os.WNOHANG)
        return found if found[0] else None

    def _record_exit(self, attempt: Attempt, wait_status: int) -> None:
        attempt.ended_at, attempt.ended_mono = time.time(), time.monotonic()
        spec = attempt.spec
        status = verdict.judge(wait_status, spec.success_codes, attempt.stop_reason, via_shell=spec.via_shell)[0]
        self._record.exited(spec.token, wait_status, status, attempt.stop_reason, attempt.started_at, attempt.ended_at,
                            attempt.ended_mono - attempt.started_mono)
        self._record.flush()

    def _forget(self, pid: int) -> None:
        self._strays.pop(pid, None)
        attempt = self._leaders.get(pid)
        if attempt is not None:
            self._after_leader(self._leader_ended(attempt))

    def _leader_ended(self, attempt: Attempt) -> Attempt:
        del self._leaders[attempt.pid]
        attempt.has_leader = False
        if not attempt.ended_mono:
            attempt.ended_at, attempt.ended_mono = time.time(), time.monotonic()
        return attempt

    def _after_leader(self, attempt: Attempt) -> None:
        if not self._has_proc:
            self._killpg(attempt.pid, _SIGKILL)
            self._finish(attempt)
        elif attempt.stopping:
            self._look_after(attempt)
        elif self._has_no_new_strays(attempt):
            self._finish(attempt)
        else:
            self._begin_stop(attempt, False)

    def _has_no_new_strays(self, attempt: Attempt) -> bool:
        """The fast path: whether all our children are leaders, or strays that can only be of others."""
        if not self._owns_children:
            return False
        count = self._children.count()
        if count == len(self._leaders):
            return True
        if count != len(self._leaders) + len(self._strays):
            return False
        if any(attempt in stray.attempts for stray in self._strays.values()):
            return False
        return all(pid in self._leaders or pid in self._strays for pid in self._children.list())

    def _check_limits(self, attempt: Attempt, now: float) -> None:
        spec = attempt.spec
        if now >= attempt.started_mono + spec.timeout_s:
            self.stop(spec.token, spec.timeout_reason, text=spec.timeout_text)
        else:
            if now >= attempt.sizes_at:
                self._check_sizes(attempt, now)
            if now >= attempt.memory_at and not attempt.stopping:
                self._check_memory(attempt, now)
        attempt.plan_wake()

    def _check_sizes(self, attempt: Attempt, now: float) -> None:
        """Stop what wrote too much; look again before it can have by far."""
        spec = attempt.spec
        size = self._output_bytes(spec)
        if size > spec.output_limit:
            self.stop(spec.token, "output_limit", text=_output_text(spec))
            return
        attempt.sizes_at = now + _pause_s(spec.output_limit - size)

    def _note_flood(self, attempt: Attempt) -> None:
        """What has ended by itself and could have written too much since the last look: had it?"""
        spec = attempt.spec
        if attempt.stop_reason or (time.monotonic() - attempt.started_mono) * _FLOOD_BYTES_A_S < spec.output_limit:
            return
        if self._output_bytes(spec) > spec.output_limit:
            attempt.stop_reason, attempt.stop_text = "output_limit", _output_text(spec)

    def _output_bytes(self, spec: AttemptSpec) -> int:
        size = self._size_of(spec.stdout_name)
        if spec.stderr_name != spec.stdout_name:
            size += self._size_of(spec.stderr_name)
        return size

    def _check_memory(self, attempt: Attempt, now: float) -> None:
        """End a tree that has more memory than it may: at once, since it takes more while it is asked."""
        assert attempt.bounds is not None
        limit = attempt.bounds.memory_bytes
        size = memory_of(self._known_tree(attempt), limit)
        attempt.memory_at = time.monotonic() + _MEMORY_EVERY_S
        if size > limit:
            text = "it had %s of memory, %s are allowed (limits.memory)" % (
                verdict.bytes_text(size), verdict.bytes_text(limit))
            self.stop(attempt.spec.token, "memory_limit", True, text)

    def _known_tree(self, attempt: Attempt) -> "List[ProcessStat]":
        """What belongs to an attempt. All is surveyed only where something came to us that nobody has looked at."""
        if not self._owns_children or self._children.count() != len(self._leaders) + len(self._strays):
            self._survey()
        tree = self._tree(attempt.pid) if attempt.has_leader else []
        for stray in self._strays.values():
            if stray.attempts == {attempt}:
                tree += self._tree(stray.pid)
        return tree

    def _cut_output(self, spec: AttemptSpec) -> None:
        """Keep no more than the cap of what a flood wrote until it was gone; of two files, first the longer is cut."""
        names = [spec.stdout_name] if spec.stderr_name == spec.stdout_name else [spec.stdout_name, spec.stderr_name]
        sizes = sorted((self._size_of(name), name) for name in names)
        room = spec.output_limit
        for place, (size, name) in enumerate(sizes):
            share = room if place == len(sizes) - 1 else room // 2
            kept = min(size, share)
            room -= kept
            if size > kept:
                try:
                    fd = system.open_file(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._output_fd)
                    try:
                        os.ftruncate(fd, kept)
                    finally:
                        system.close(fd)
                except OSError as error:
                    self._notice("warning", "%s could not be cut: %s" % (name, os.strerror(error.errno or 0)), None)

    def _size_of(self, name: str) -> int:
        try:
            return system.stat(name, dir_fd=self._output_fd).st_size
        except OSError:
            return 0

    def _begin_stop(self, attempt: Attempt, immediately: bool) -> None:
        """Send the stop signal and start the grace; or go over to KILL."""
        now = time.monotonic()
        if not attempt.stopping and not immediately:
            attempt.stopping = True
            attempt.kill_at = now + attempt.spec.grace_s
            members = self._survey(attempt)
            if attempt.has_leader or members:
                if not attempt.has_leader:
                    self._tell_leftovers(attempt, members)
                if not (attempt.spec.leave_running and not attempt.stop_reason):
                    self._send(attempt, members, attempt.spec.stop_signal)
                    self._send(attempt, members, _SIGCONT)
        elif immediately and not attempt.killing:
            attempt.stopping = True
            attempt.kill_at = now
        self._look_after(attempt)

    def _look_after(self, attempt: Attempt) -> None:
        """The next step of an attempt that is being stopped."""
        if attempt.spec.token not in self.running:
            return
        now = time.monotonic()
        members = self._survey(attempt)
        if not attempt.has_leader and not members:
            self._finish(attempt)
            return
        if attempt.spec.leave_running and not attempt.stop_reason and not attempt.has_leader:
            self._left.update((stat.pid, stat.start) for stat in members)
            self._left_tokens.add(attempt.spec.token)
            self._finish(attempt)
            return
        room = -1
        if not attempt.killing and now < attempt.kill_at:
            room = attempt.spec.output_limit + _LAST_WORDS_BYTES - self._output_bytes(attempt.spec)
        if room >= 0:
            attempt.wake_at = min(attempt.kill_at, now + min(_LOOK_EVERY_S, _pause_s(room)))
        elif attempt.killing and now >= attempt.give_up_at:
            self._give_up(attempt, members)
            return
        else:
            if not attempt.killing:
                attempt.killing = True
                attempt.give_up_at = now + self._kill_patience_s
            births = {(stat.pid, stat.start) for stat in members}
            # New ones mean that the tree still grows: be quick. Else give what was killed time to go.
            attempt.round_s = _ROUND_S if births - attempt.killed else min(attempt.round_s * 2, _ROUND_MOST_S)
            attempt.killed |= births
            self._send(attempt, members, _SIGKILL)
            attempt.wake_at = min(now + attempt.round_s, attempt.give_up_at)
        self._next_wake = min(self._next_wake, attempt.wake_at)

    def _give_up(self, attempt: Attempt, members: "List[ProcessStat]") -> None:
        attempt.survivors = tuple(stat.describe() for stat in members)
        self._given_up.update((stat.pid, stat.start) for stat in members)
        if attempt.has_leader:
            # It cannot be reaped while it lives; when it ends it is a stray like any other.
            self._leader_ended(attempt)
            attempt.lives_on = True
        self._notice("error", "processes could not be ended: %s" % ", ".join(attempt.survivors), attempt)
        self._finish(attempt)

    def _finish(self, attempt: Attempt) -> None:
        spec = attempt.spec
        del self.running[spec.token]
        status, exit_code, ended_by, reason = verdict.judge(
            attempt.status, spec.success_codes, attempt.stop_reason, attempt.stop_text, spec.via_shell,
            self._late_refusal(attempt), attempt.lives_on)
        if status == "FAILED" and not attempt.stop_reason and attempt.bounds is not None and attempt.status is not None:
            reason = attempt.bounds.ended_by(attempt.status, attempt.cpu_s or 0.0) or reason
        if attempt.stop_reason == "output_limit":
            self._cut_output(spec)
        if attempt.survivors:
            reason += "; could not be ended: " + ", ".join(attempt.survivors)
        facts = (spec.token, status, exit_code, ended_by, reason, attempt.stop_reason, attempt.started_at,
                 attempt.ended_at, max(0.0, attempt.ended_mono - attempt.started_mono), attempt.cpu_s,
                 attempt.max_rss_bytes, attempt.survivors)
        self._record.ended(facts)
        self._events.append(("ended", facts, status != "SUCCESS" or not spec.decides_alone))

    def _late_refusal(self, attempt: Attempt) -> "Optional[Tuple[Optional[int], str]]":
        """Why a child that took its time in front of its folder never became its program; None where it did."""
        if attempt.bounds is None or attempt.lives_on:
            return None
        try:
            attempt.bounds.check()
        except Refused as refused:
            return None if attempt.stop_reason else (refused.exit_code, refused.reason)
        except OSError as error:
            if not attempt.stop_reason:
                return self._spawner.refusal_of(error, attempt.spec.argv[0])
        return None

    # ---- whose process is it -------------------------------------------------------------------------------------

    def _survey(self, of: "Optional[Attempt]" = None) -> "List[ProcessStat]":
        """Look at everything below us: learn who belongs to whom, KILL what belongs to nobody any more.

        :returns: the live processes of the given attempt, its leader among them
        """
        members: "List[ProcessStat]" = []
        if not self._has_proc:
            return members
        for pid in self._children.list() if self._owns_children else processes.children_of(os.getpid()):
            leader = self._leaders.get(pid)
            if leader is not None:
                tree = self._tree(pid)
                leader.seen.update((stat.pid, stat.start) for stat in tree if stat.pid != pid)
                if leader is of:
                    members += tree
                continue
            stat = processes.stat_of(pid)
            if stat is None or (stat.pid, stat.start) in self._left or (stat.pid, stat.start) in self._given_up:
                continue
            stray = self._stray(stat)
            if stray is None:
                continue
            tree = self._tree(pid)
            for attempt in stray.attempts:
                attempt.seen.update((one.pid, one.start) for one in tree)
            if of is not None and of in stray.attempts:
                if not any(attempt.has_leader for attempt in stray.attempts if attempt is not of):
                    members += tree
            elif not any(attempt.spec.token in self.running for attempt in stray.attempts):
                for one in tree:
                    self._signal(one, _SIGKILL)
                self._doomed = True
                self._next_wake = min(self._next_wake, time.monotonic() + _ROUND_S)
        return members

    def _tree(self, root: int) -> "List[ProcessStat]":
        """A process and what is below it, as far as it lives."""
        stat = processes.stat_of(root)
        return [one for one in ([stat] if stat is not None else []) + self._below(root) if not one.is_dead]

    def _below(self, root: int) -> "List[ProcessStat]":
        found: "Dict[int, ProcessStat]" = {}
        parents = [root]
        while parents:
            for pid in processes.children_of(parents.pop()):
                if pid not in found:
                    stat = processes.stat_of(pid)
                    if stat is not None:
                        found[pid] = stat
                        parents.append(pid)
        return list(found.values())

    def _stray(self, stat: "ProcessStat") -> "Optional[_Stray]":
        """Whose child of ours is this that is no leader? None: not ours at all."""
        known = self._strays.get(stat.pid)
        if known is not None and known.start == stat.start:
            return known
        attempts = self._owners(stat)
        if attempts is None:
            return None
        stray = self._strays[stat.pid] = _Stray(stat, attempts)
        if len(attempts) > 1:
            self._notice("warning", "process %s was left behind by one of %d jobs that ran together; it is stopped when"
                         " the last of them has ended" % (stat.describe(), len(attempts)), None)
        return stray

    def _owners(self, stat: "ProcessStat") -> "Optional[Set[Attempt]]":
        birth = (stat.pid, stat.start)
        for number in (stat.session, stat.pgrp):
            leader = self._leaders.get(number)
            if leader is not None:
                return {leader}
        for attempt in self.running.values():
            if birth in attempt.seen or (not attempt.has_leader and attempt.pid in (stat.session, stat.pgrp)):
                return {attempt}
        mark = processes.mark_of(stat.pid)
        if self._left_tokens and (mark is None or mark in self._left_tokens):
            # It is of a job that may leave processes behind, or nobody can say that it is not.
            self._left.add(birth)
            self._notice("info", "process %s is left running" % stat.describe(), None)
            return None
        marked = self.running.get(mark) if mark is not None else None
        if marked is not None:
            return {marked}
        if not self._owns_children:
            return None
        return {attempt for attempt in self.running.values() if attempt.pid_start <= stat.start}

    def _tell_leftovers(self, attempt: Attempt, members: "Sequence[ProcessStat]") -> None:
        verb = "left running" if attempt.spec.leave_running else "stopped"
        names = ", ".join(stat.describe() for stat in members[:5]) + (", ..." if len(members) > 5 else "")
        self._notice("info", "the job left processes behind, which are %s: %s" % (verb, names), attempt)

    def _notice(self, level: str, text: str, attempt: "Optional[Attempt]") -> None:
        context = {"token": attempt.spec.token} if attempt is not None else {}
        self._events.append(("notice", level, text, context))

    # ---- signals -------------------------------------------------------------------------------------------------

    def _send(self, attempt: Attempt, members: "Iterable[ProcessStat]", number: int) -> None:
        """To the leader's group at one stroke, and to all others of the tree."""
        if attempt.has_leader:
            self._killpg(attempt.pid, number)
        for stat in members:
            if not (attempt.has_leader and stat.pgrp == attempt.pid):
                self._signal(stat, number)

    def _killpg(self, group: int, number: int) -> None:
        try:
            system.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _signal(self, stat: "ProcessStat", number: int) -> None:
        if stat.pid not in self._leaders and processes.start_time(stat.pid) != stat.start:
            return
        try:
            system.kill(stat.pid, number)
        except (ProcessLookupError, PermissionError):
            pass
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

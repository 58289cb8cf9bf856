"""The keeper's loop: one thread that waits for the runner, for ended children and for deadlines.

From the runner come ``setup`` (once), ``start``, ``proceed``, ``withdraw``, ``halt``, ``slots``, ``stop`` and
``close``; to the runner go lists of events. Events are gathered, since each message costs the runner a turn and a
commit. They are sent when

- the queue has fallen below half of what it was after the last ``start``: the runner has time to refill it;
- a slot is free and nothing is queued: the runner is being waited for;
- an attempt was no success, or its success is not for us to tell: a **halt**. Nothing more of the queue starts until
  the runner has answered it, by its number: a ``start`` that was on its way before is no answer;
- the oldest has waited for 50 milliseconds.

Before anything is told it stands in the record. At the end of the stream the runner is dead: what is queued never
begins, what runs is finished (or stopped, as the run wishes), its time limits fire, and all of it is recorded; then
the keeper ends.
"""
import errno
import os
import select
import sys
import time

from jobs import system
from jobs.keeper import processes
from jobs.keeper.messages import Channel
from jobs.keeper.nursery import AttemptSpec, Nursery
from jobs.keeper.record import RecordBusy, RecordWriter
from jobs.keeper.spawn import Shortage, Spawner
from jobs.system import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Tuple

__all__ = ["Keeper", "PROCESS_NAME", "main"]

#: The oldest event waits so long for company.
_GATHER_S = 0.05
_SHORTAGE_FIRST_S, _SHORTAGE_MOST_S = 0.05, 5.0
#: How long a predecessor may hold the record while it dies.
_RECORD_PATIENCE_S = 10.0
_LONGEST_WAIT_S = 3600.0
#: What ``ps`` shows; and what a process is called that the keeper has begun to start and that is no program yet.
PROCESS_NAME = "exec-keeper"
_PR_SET_NAME = 15


class Keeper:
    """Runs what the runner sends, ``slots`` at a time."""

    def __init__(self, channel: Channel, wake_fd: int) -> None:
        self._channel = channel
        self._wake_fd = wake_fd
        self._slots = 0
        self._on_runner_death = "finish"
        self._record: "Optional[RecordWriter]" = None
        self._nursery: "Optional[Nursery]" = None
        self._queue: "List[AttemptSpec]" = []
        self._window = 0
        self._asked_for_more = False
        self._events: "List[Tuple[object, ...]]" = []
        self._events_since = 0.0
        #: Whether an end is among them; starts alone can wait.
        self._has_end = False
        self._must_send = False
        #: How many attempts have ended in a way that the runner must answer; what it has answered.
        self._halts = 0
        self._answered = 0
        self._halted_by_runner = False
        self._retry_at = 0.0
        self._shortage_s = 0.0
        #: Since when nothing could be started while nothing ran that could end; None = that is not so.
        self._starving_since: "Optional[float]" = None
        self._shortage_patience_s = 0.0
        self._disk_refuses = False
        self._closing = False
        self._runner_is_dead = False
        self._folder_is_root = True

    def run(self) -> None:
        """Work until the runner closes us, or is dead and everything has ended."""
        poll = select.poll()
        poll.register(self._channel.read_fd, select.POLLIN)
        poll.register(self._wake_fd, select.POLLIN)
        writes = False
        while True:
            if self._channel.wants_write != writes:
                writes = not writes
                if writes:
                    poll.register(self._channel.write_fd, select.POLLOUT)
                else:
                    poll.unregister(self._channel.write_fd)
            signals = b""
            readable = False
            for fd, _ in poll.poll(self._patience_ms()):
                if fd == self._wake_fd:
                    signals = os.read(self._wake_fd, 4096)
                elif fd == self._channel.read_fd:
                    readable = True
                else:
                    self._channel.flush()
            if self._turn(signals, readable, poll):
                return

    # ---- one turn ------------------------------------------------------------------------------------------------

    def _turn(self, signals: bytes, readable: bool, poll: "select.poll") -> bool:
        """Whether that was the last one."""
        nursery = self._nursery
        if nursery is not None:
            if signals and nursery.reap():
                # What had ended may have held what there was a shortage of.
                self._retry_at = 0.0
            nursery.tick(time.monotonic())
            self._fill()
        if readable:
            # All of it: an end of the stream behind the messages says that the runner is dead, and nothing may start.
            for message in self._channel.receive_all():
                self._obey(message)
            if self._channel.ended:
                poll.unregister(self._channel.read_fd)
                self._runner_died()
            self._fill()
        if self._runner_is_dead and bytes((signal.SIGTERM,)) in signals and self._nursery is not None:
            self._nursery.stop_all("cancel", text="stopped: the runner had died")
        self._gather()
        self._send_when_due()
        return self._is_over()

    def _patience_ms(self) -> int:
        now = time.monotonic()
        until = now + _LONGEST_WAIT_S
        if self._nursery is not None:
            until = min(until, self._nursery.next_wake())
            if self._events:
                until = min(until, self._events_since + _GATHER_S)
            if self._queue and self._may_start() and len(self._nursery.running) < self._slots:
                until = min(until, self._retry_at)
        if self._disk_refuses:
            until = min(until, now + 1.0)
        if not self._folder_is_root:
            # A job's folder is not to be kept busy by us.
            system.chdir("/")
            self._folder_is_root = True
        # Rounded up: waking too early means waking twice.
        return max(0, int((until - now) * 1000) + 1) if until > now else 0

    def _obey(self, message: "Sequence[object]") -> None:
        kind = message[0]
        if kind == "setup":
            self._set_up(*message[1:])  # type: ignore[arg-type]
        elif kind == "start":
            self._queue_up(message[1])  # type: ignore[arg-type]
        elif kind == "proceed":
            self._answer(message[1])  # type: ignore[arg-type]
        elif kind == "withdraw":
            self._withdraw()
            self._answer(message[1])  # type: ignore[arg-type]
        elif kind == "halt":
            self._halted_by_runner = True
        elif kind == "slots":
            self._slots = int(message[1])  # type: ignore[call-overload]
        elif kind == "stop":
            self._stop(*message[1:])  # type: ignore[arg-type]
        elif kind == "close":
            self._closing = True
            self._withdraw()
            if self._nursery is not None:
                self._nursery.stop_all("cancel", immediately=True)

    def _set_up(self, record_path: bytes, output_dir: bytes, environment: "Dict[bytes, bytes]", slots: int,
                on_runner_death: str, allow_shell: bool, hup_ignored: bool, open_files: "Optional[Tuple[int, int]]",
                kill_patience_s: float, shortage_patience_s: float) -> None:
        if open_files is not None:
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, open_files)
        if hup_ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._slots = slots
        self._shortage_patience_s = shortage_patience_s
        self._on_runner_death = on_runner_death
        self._record = _open_record(record_path)
        self._record.header(processes.boot_id(), os.getpid(), processes.start_time(os.getpid()) or 0, time.time())
        self._record.flush()
        output_fd = os.open(output_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._nursery = Nursery(self._record, Spawner(), output_fd, environment, allow_shell,
                                kill_patience_s=kill_patience_s)
        self._emit(("ready", os.getpid()))
        self._must_send = True

    def _queue_up(self, specs: "Sequence[Sequence[object]]") -> None:
        self._queue += [AttemptSpec(*spec) for spec in specs]  # type: ignore[arg-type]
        self._window = len(self._queue)
        self._asked_for_more = False

    def _answer(self, number: int) -> None:
        self._answered = max(self._answered, number)
        self._halted_by_runner = False

    def _withdraw(self) -> None:
        for spec in self._queue:
            self._emit(("withdrawn", spec.token))
        self._queue = []
        self._must_send = True

    def _stop(self, token: str, reason: str, immediately: bool) -> None:
        if self._nursery is not None:
            self._nursery.stop(token, reason, immediately)
        for spec in [spec for spec in self._queue if spec.token == token]:
            self._queue.remove(spec)
            self._emit(("withdrawn", token))
            self._must_send = True

    def _runner_died(self) -> None:
        self._runner_is_dead = True
        self._queue = []
        if self._nursery is not None and self._on_runner_death == "kill":
            self._nursery.stop_all("cancel", text="stopped: the runner died")

    # ---- starting ------------------------------------------------------------------------------------------------

    def _may_start(self) -> bool:
        return not (self._halts > self._answered or self._halted_by_runner or self._closing or self._runner_is_dead)

    def _fill(self) -> None:
        """Start what is queued while slots are free."""
        nursery = self._nursery
        if nursery is None:
            return
        if nursery.has_events:
            self._gather()
        while self._queue and len(nursery.running) < self._slots and self._may_start():
            if self._retry_at and time.monotonic() < self._retry_at:
                return
            self._folder_is_root = False
            try:
                nursery.start(self._queue[0])
            except Shortage as shortage:
                self._back_off(shortage)
                return
            del self._queue[0]
            self._retry_at = self._shortage_s = 0.0
            self._starving_since = None
            self._gather()

    def _back_off(self, shortage: Shortage) -> None:
        if not self._shortage_s:
            self._emit(("notice", "warning", "%s; it is tried again" % shortage.reason, {}))
        self._shortage_s = min(max(_SHORTAGE_FIRST_S, self._shortage_s * 2), _SHORTAGE_MOST_S)
        now = time.monotonic()
        self._retry_at = now + self._shortage_s
        if self._nursery is not None and self._nursery.running:
            self._starving_since = None  # when that ends there may be what is short
        elif self._starving_since is None:
            self._starving_since = now
        elif now - self._starving_since >= self._shortage_patience_s:
            # Said with each further try: the runner may have a reason to wait on.
            self._emit(("starved", shortage.reason, now - self._starving_since))
            self._must_send = True

    # ---- telling -------------------------------------------------------------------------------------------------

    def _emit(self, event: "Tuple[object, ...]") -> None:
        if not self._events:
            self._events_since = time.monotonic()
        self._events.append(event)

    def _gather(self) -> None:
        """Take the nursery's events; an end that the runner must answer is numbered."""
        if self._nursery is None:
            return
        for event in self._nursery.take_events():
            if event[0] == "ended":
                if event[2]:
                    self._halts += 1
                    self._must_send = True
                self._has_end = True
                self._emit(("ended", event[1], self._halts if event[2] else 0))
            else:
                self._emit(event)

    def _send_when_due(self) -> None:
        if self._record is not None:
            refused = self._record.flush()
            if refused is not None and not self._disk_refuses:
                self._emit(("notice", "error", "the run's record cannot be written, nothing new starts: %s" %
                            os.strerror(refused.errno or 0), {}))
            self._disk_refuses = refused is not None
        if not self._events or self._runner_is_dead:
            self._events = []
            return
        nursery = self._nursery
        due = self._must_send
        if self._has_end and not due and nursery is not None:
            if not self._queue:
                due = len(nursery.running) < self._slots
            elif 2 * len(self._queue) < self._window and not self._asked_for_more:
                due = True
        if due or time.monotonic() >= self._events_since + _GATHER_S:
            if 2 * len(self._queue) < self._window:
                self._asked_for_more = True
            events, self._events = self._events, []
            self._must_send = self._has_end = False
            self._channel.send(events)

    def _is_over(self) -> bool:
        if not self._closing and not self._runner_is_dead:
            return False
        nursery, record = self._nursery, self._record
        if nursery is None or record is None:
            return True
        if nursery.running:
            return False
        if record.flush() is not None:
            return False  # results that stand nowhere else: wait for the disk as long as it takes
        survivors = nursery.sweep()
        record.closed(time.time())
        record.flush()
        self._gather()
        self._emit(("closed", survivors))
        if not self._runner_is_dead:
            self._channel.send(self._events)
            self._drain()
        return True

    def _drain(self) -> None:
        poll = select.poll()
        poll.register(self._channel.write_fd, select.POLLOUT)
        while self._channel.wants_write:
            poll.poll(1000)
            self._channel.flush()


def _open_record(path: bytes) -> RecordWriter:
    give_up_at = time.monotonic() + _RECORD_PATIENCE_S
    while True:
        try:
            return RecordWriter(path)
        except RecordBusy:
            if time.monotonic() >= give_up_at:
                raise OSError(errno.EBUSY, "another keeper holds the record")
            time.sleep(0.005)


def _prepare_process(kept: "Sequence[int]") -> int:
    """Default signals, no foreign descriptors, subreaper. The descriptor on which signals are told."""
    for number in range(1, signal.NSIG):
        try:
            if signal.getsignal(number) == signal.SIG_IGN and number not in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.chdir("/")
    _close_all_but(kept)
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, _ignore)
    if processes.become_subreaper():
        import ctypes
        ctypes.CDLL(None).prctl(_PR_SET_NAME, PROCESS_NAME.encode("ascii"), 0, 0, 0)
    return read_fd


def _ignore(number: int, frame: object) -> None:
    """The number has been written to the wake-up pipe; a handler, and not SIG_IGN, so that jobs get the default."""


def _close_all_but(kept: "Sequence[int]") -> None:
    try:
        found = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        found = list(range(256))
    for fd in found:
        if fd > 2 and fd not in kept:
            try:
                os.close(fd)
            except OSError:
                continue


def main(read_fd: int, write_fd: int, held_fds: "Sequence[int]" = ()) -> None:
    """The keeper's process, from its first step to its last.

    :param held_fds: descriptors that stay open as long as it lives, and that no job gets
    """
    kept = (read_fd, write_fd) + tuple(held_fds)
    for fd in kept:
        os.set_inheritable(fd, False)
    channel = Channel(read_fd, write_fd)
    try:
        Keeper(channel, _prepare_process(kept)).run()
        # At once: the runner waits for us, and there is nothing that an interpreter would have to take apart.
        os._exit(0)
    except Exception as error:  # noqa: BLE001 - whatever it is, the runner is to know, and takes over
        import traceback
        channel.send([("fatal", "%s: %s" % (type(error).__name__, error), traceback.format_exc())])
        sys.exit(70)

"""Runs attempts as processes of this machine, by means of a keeper.

This side translates jobs into what the keeper needs and its messages into events. When a keeper dies, its jobs come
back to us, since we are a subreaper: they are adopted and watched from here, what had ended is read from the record,
what had not begun goes to a new keeper.
"""
import os
import select
import stat
import time
from types import ModuleType
from typing import Dict, List, Optional, Sequence, Tuple

from jobs import system
from jobs.exceptions import InternalError, StorageError
from jobs.executors.attempt_specs import SpecMaker
from jobs.executors.newborn import Unsure, find_newborn, is_child
from jobs.keeper import processes, record
from jobs.keeper.launch import Launcher
from jobs.keeper.messages import Channel
from jobs.keeper.nursery import Attempt, AttemptSpec, Nursery
from jobs.keeper.spawn import Spawner
from jobs.last_words import make_room
from jobs.outcomes import Facts, lost_outcome, outcome_from_facts
from jobs.ports import AttemptStart, Ended, ExecutorEvent, ExecutorNotice, Started, Withdrawn

__all__ = ["LocalExecutor"]

#: While jobs of a dead keeper are watched from here, at least so often.
_WATCH_EVERY_S = 0.02
#: How long a keeper that has closed its end may take to be gone.
_KEEPER_DEATH_S = 5.0
#: Keepers that died one after the other without having started anything.
_DEATHS_IN_VAIN_MOST = 3
_LONGEST_WAIT_S = 3600.0
#: How long a shortage is waited for when nothing runs whose end could mend it: as long as a full disk.
SHORTAGE_PATIENCE_S = 600.0


class _Open:
    """An attempt that was handed over and has not ended."""

    __slots__ = ("spec", "told_started", "withdrawing", "stop_reason", "stop_immediately")

    def __init__(self, spec: AttemptSpec) -> None:
        self.spec = spec
        self.told_started = False
        self.withdrawing = False
        self.stop_reason = ""
        self.stop_immediately = False


class LocalExecutor:
    """Runs attempts as processes; implements ``jobs.ports.Executor``.

    The keeper is started at once and not waited for.

    :param slots: how many attempts run at a time
    :param record_path: the run's record file; made where it does not exist
    :param output_dir: an existing folder of ours, in which the output files are made
    :param environment: what every attempt gets; attempts lay their own variables over it
    :param allow_shell: False: no shell is ever started
    :param wake_fds: descriptors that end a ``wait`` early when they are readable; they are not read here
    :param on_runner_death: ``finish`` or ``kill``: what the keeper does with running jobs when we die
    :param hup_ignored: whether jobs are to ignore SIGHUP, as we were told to
    :param open_files: soft and hard limit of descriptors for the jobs; None = ours
    :param kill_patience_s: seconds for which KILL is repeated before a process is given up
    :param keeper_modules: modules that the keeper executes before it begins, for tests
    :param launcher: starts the keepers; one of our own where none is given
    :raises StorageError: where the record or the folder cannot be used
    :raises InternalError: where no keeper can be started
    """

    def __init__(self, slots: int, record_path: str, output_dir: str, environment: Dict[str, str],
                 allow_shell: bool = True, wake_fds: Sequence[int] = (), on_runner_death: str = "finish",
                 hup_ignored: bool = False, open_files: Optional[Tuple[int, int]] = None,
                 kill_patience_s: float = 60.0, keeper_modules: Sequence[ModuleType] = (),
                 launcher: Optional[Launcher] = None) -> None:
        self._slots = slots
        self._record_path = os.path.abspath(record_path)
        self._allow_shell = allow_shell
        self._wake_fds = list(wake_fds)
        self._on_runner_death = on_runner_death
        self._hup_ignored = hup_ignored
        self._open_files = open_files
        self._kill_patience_s = kill_patience_s
        self._starved: Optional[StorageError] = None
        self._open: Dict[str, _Open] = {}
        self._events: List[ExecutorEvent] = []
        self._last_halt = 0
        self._unanswered = False
        self._deaths_in_vain = 0
        self._fatal = ""
        self._survivors: List[str] = []
        self._closed = False
        self._adopted: Optional[Nursery] = None
        self._adopted_record: Optional[record.RecordWriter] = None
        self._specs = SpecMaker(environment, allow_shell)
        self._output_fd = _open_folder(output_dir)
        self._output_dir = os.fsencode(os.path.abspath(output_dir))
        _make_record(self._record_path)
        self._launcher = launcher if launcher is not None else Launcher(keeper_modules)
        self._keeper_pid = 0
        self._channel: Optional[Channel] = None
        self._launch()
        # Now, while the keeper comes up: should it die, its jobs are to come to us.
        self._is_subreaper = processes.become_subreaper()

    @property
    def keeper_pid(self) -> int:
        """The pid of the keeper; 0 where there is none at the moment."""
        return self._keeper_pid

    # ---- what the engine asks for --------------------------------------------------------------------------------

    def start(self, starts: Sequence[AttemptStart]) -> None:
        """Queue attempts; each begins when one of the slots is free."""
        specs = [self._specs.spec(start) for start in starts]
        for spec in specs:
            self._open[spec.token] = _Open(spec)
        self._send_specs(specs)

    def proceed(self) -> None:
        """Answer to a halt: the queue may go on."""
        self._unanswered = False
        self._send(("proceed", self._last_halt))

    def withdraw(self) -> None:
        """Take back everything queued that has not begun; also answers a halt."""
        for one in self._open.values():
            one.withdrawing = True
        self._unanswered = False
        self._send(("withdraw", self._last_halt))

    def stop(self, token: str, reason: str, immediately: bool = False) -> None:
        """Stop an attempt; one that is not known (any more) is none of our business."""
        one = self._open.get(token)
        if one is None:
            return
        one.stop_reason = one.stop_reason or reason
        one.stop_immediately = one.stop_immediately or immediately
        if self._adopted is not None and token in self._adopted.running:
            self._adopted.stop(token, reason, immediately)
            self._gather_adopted()
        else:
            self._send(("stop", token, reason, immediately))

    def wait(self, timeout_s: Optional[float]) -> List[ExecutorEvent]:
        """Everything that happened; see ``jobs.ports.Executor``.

        :raises InternalError: where keepers die one after the other
        :raises StorageError: where nothing can be started for want of something, and that was waited for long enough
        """
        deadline = None if timeout_s is None else time.monotonic() + max(0.0, timeout_s)
        while not self._events:
            if self._starved is not None:
                raise self._starved
            if self._wait_once(deadline):
                break
        events, self._events = self._events, []
        return events

    def close(self) -> List[str]:
        """End the executor. What still runs is stopped at once.

        :returns: what could not be ended, ``pid name`` each
        """
        if self._closed:
            return []
        if self._channel is not None:
            self._send(("close",))
        if self._adopted is not None:
            self._adopted.stop_all("cancel", immediately=True)
        give_up_at = time.monotonic() + 2 * self._kill_patience_s + 10.0
        while (self._channel is not None or self._adopted is not None) and time.monotonic() < give_up_at:
            self._wait_once(min(give_up_at, time.monotonic() + 1.0), closing=True)
        self._closed = True
        if self._channel is not None:
            self._survivors.append("%d keeper" % self._keeper_pid)
            self._channel.close()
            self._channel = None
        os.close(self._output_fd)
        if self._adopted_record is not None:
            self._adopted_record.close()
        if self._is_subreaper:
            processes.become_subreaper(False)
        return self._survivors

    def leave(self) -> None:
        """Go without ending anything: the keeper takes it as our death, ends what still runs as it was told to, and
        then itself. After ``close`` it does nothing."""
        if not self._closed:
            self._closed = True
            if self._channel is not None:
                self._channel.close()
                self._channel = None
            os.close(self._output_fd)

    # ---- waiting -------------------------------------------------------------------------------------------------

    def _wait_once(self, deadline: Optional[float], closing: bool = False) -> bool:
        """Wait for one thing. Whether the wait is over: the time is, or a wake-up came."""
        poll = select.poll()
        channel = self._channel
        if channel is not None:
            poll.register(channel.read_fd, select.POLLIN)
            if channel.wants_write:
                poll.register(channel.write_fd, select.POLLOUT)
        if not closing:
            for fd in self._wake_fds:
                poll.register(fd, select.POLLIN)
        now = time.monotonic()
        until = now + _LONGEST_WAIT_S if deadline is None else min(deadline, now + _LONGEST_WAIT_S)
        if self._adopted is not None:
            until = min(until, now + _WATCH_EVERY_S)
        ready = poll.poll(max(0, int((until - now) * 1000 + 0.999)))
        woken = False
        for fd, _ in ready:
            if channel is not None and fd == channel.read_fd:
                self._hear(channel, closing)
            elif channel is not None and fd == channel.write_fd:
                if self._channel is channel:
                    channel.flush()
            else:
                woken = True
        if self._adopted is not None:
            self._watch_adopted()
        return woken or (deadline is not None and time.monotonic() >= deadline)

    def _hear(self, channel: Channel, closing: bool) -> None:
        messages = channel.receive()
        self._absorb(messages)
        if channel.ended:
            if self._channel is channel:
                self._keeper_died(closing)
            self._gather_adopted()

    def _absorb(self, messages: Sequence[Sequence[object]]) -> None:
        for message in messages:
            for event in message:
                self._translate(event)  # type: ignore[arg-type]

    def _translate(self, event: Sequence[object]) -> None:
        kind = event[0]
        if kind == "started":
            self._tell_started(*event[1:])  # type: ignore[arg-type]
        elif kind == "ended":
            self._tell_ended(event[1], event[2])  # type: ignore[arg-type]
        elif kind == "withdrawn":
            token = str(event[1])
            if self._open.pop(token, None) is not None:
                self._events.append(Withdrawn(token))
        elif kind == "notice":
            context: Dict[str, str] = event[3]  # type: ignore[assignment]
            self._events.append(ExecutorNotice(str(event[1]), str(event[2]), context))
        elif kind == "starved":
            self._tell_starved(str(event[1]), float(event[2]))  # type: ignore[arg-type]
        elif kind == "closed":
            self._survivors += list(event[1])  # type: ignore[call-overload]
            self._end_keeper()
        elif kind == "fatal":
            self._fatal = str(event[1])
            self._events.append(ExecutorNotice("error", "the keeper failed: %s" % event[1], {"trace": str(event[2])}))

    def _tell_started(self, token: str, pid: int, pid_start: int, at: float) -> None:
        self._deaths_in_vain = 0
        one = self._open.get(token)
        if one is not None and not one.told_started:
            one.told_started = True
            self._events.append(Started(token, pid, pid_start, at))

    def _tell_ended(self, facts: Facts, halt: int) -> None:
        if halt:
            self._last_halt = halt
            self._unanswered = True
        if self._open.pop(facts[0], None) is not None:
            self._events.append(Ended(facts[0], outcome_from_facts(facts), bool(halt)))

    def _tell_starved(self, shortage: str, for_s: float) -> None:
        """Nothing can be started, and no end of a job can mend that; else it is waited on."""
        if self._adopted is None and any(not one.withdrawing for one in self._open.values()):
            self._starved = StorageError(
                "%s; nothing could be started for %d s while nothing else of this run ran, so it is given up" % (
                    shortage, for_s),
                context={"hint": "ulimit -a shows this process's limits, df -h the space on disks; then resume it"})

    # ---- the keeper ----------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        try:
            self._keeper_pid, self._channel = self._launcher.launch(self._record_path)
        except OSError as error:
            raise InternalError("the keeper process cannot be started: %s" % os.strerror(error.errno or 0))
        self._last_halt = 0
        self._channel.send(("setup", os.fsencode(self._record_path), self._output_dir, self._specs.environment,
                            self._free_slots(), self._on_runner_death, self._allow_shell, self._hup_ignored,
                            self._open_files, self._kill_patience_s, SHORTAGE_PATIENCE_S))

    def _free_slots(self) -> int:
        return max(0, self._slots - (len(self._adopted.running) if self._adopted is not None else 0))

    def _send(self, message: Tuple[object, ...]) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _send_specs(self, specs: Sequence[AttemptSpec]) -> None:
        if not specs:
            return
        if self._channel is None:
            self._launch()
            if self._unanswered:
                self._send(("halt",))
        self._send(("start", [spec.as_tuple() for spec in specs]))

    def _end_keeper(self) -> None:
        """The keeper has said its last word, or its pipe has closed: wait until it is gone, and its jobs are ours."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        give_up_at = time.monotonic() + _KEEPER_DEATH_S
        pause_s = 0.0005
        while True:
            try:
                if system.wait4(self._keeper_pid, os.WNOHANG)[0]:
                    break
            except ChildProcessError:
                break
            if time.monotonic() >= give_up_at:
                system.kill(self._keeper_pid, 9)
                give_up_at += _KEEPER_DEATH_S
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.02)
        self._keeper_pid = 0

    def _keeper_died(self, closing: bool) -> None:
        """Its end of the pipe closed without a last word: take over what it had."""
        pid = self._keeper_pid
        self._end_keeper()
        self._deaths_in_vain += 1
        try:
            recorded = record.read_record(self._record_path).attempts
        except OSError as error:
            raise StorageError("%s: the run's record cannot be read: %s" % (
                self._record_path, os.strerror(error.errno or 0)))
        queued: List[_Open] = []
        adopted = lost = 0
        for token, one in list(self._open.items()):
            known = recorded.get(token)
            if self._adopted is not None and token in self._adopted.running:
                continue
            if known is not None and known.facts is not None and known.has_ended:
                self._import(one, known, known.facts)
                continue
            try:
                if known is None or not self._adopt(one, known):
                    queued.append(one)
                else:
                    adopted += 1
            except Unsure:
                self._lose(one, known)
                lost += 1
        self._events.append(ExecutorNotice(
            "error", "the keeper (pid %d) died; %d running jobs taken over, %d lost" % (pid, adopted, lost),
            {"cause": self._fatal} if self._fatal else {}))
        if self._deaths_in_vain > _DEATHS_IN_VAIN_MOST:
            raise InternalError("the keeper process died %d times without starting anything%s" % (
                self._deaths_in_vain, ": " + self._fatal if self._fatal else ""))
        if self._adopted_record is not None:
            self._adopted_record.flush()
        self._queue_again(queued, closing)

    def _queue_again(self, queued: Sequence[_Open], closing: bool) -> None:
        for one in [one for one in queued if one.withdrawing or one.stop_reason or closing]:
            del self._open[one.spec.token]
            self._events.append(Withdrawn(one.spec.token))
        again = [one.spec for one in queued if one.spec.token in self._open]
        for spec in again:
            # The keeper may have died between the making of the files and the start.
            for name in (spec.stdout_name, spec.stderr_name, spec.outputs_name):
                self._remove_empty(name)
        self._send_specs(again)

    def _remove_empty(self, name: str) -> None:
        if not name:
            return
        try:
            found = os.stat(name, dir_fd=self._output_fd, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and found.st_size == 0:
                os.unlink(name, dir_fd=self._output_fd)
        except OSError:
            pass

    def _import(self, one: _Open, known: record.RecordedAttempt, facts: Facts) -> None:
        if known.pid is not None and known.pid_start is not None:
            self._tell_started(one.spec.token, known.pid, known.pid_start, known.started_at)
        needs_answer = facts[1] != "SUCCESS" or not one.spec.decides_alone
        self._unanswered = self._unanswered or needs_answer
        del self._open[one.spec.token]
        self._events.append(Ended(one.spec.token, outcome_from_facts(facts), needs_answer))

    def _adopt(self, one: _Open, known: Optional[record.RecordedAttempt]) -> bool:
        """Watch a job of the dead keeper from here; False where it had not been started.

        :raises Unsure: where nobody can say what became of it
        """
        if known is None:
            return False
        pid, pid_start = known.pid, known.pid_start
        if pid is None or pid_start is None:
            if not self._is_subreaper:
                raise Unsure()
            born = find_newborn(one.spec, known, self._is_known)
            if born is None:
                self._own_record().unstarted(known.token)
                return False
            pid, pid_start = born
            self._own_record().process(known.token, pid, pid_start)
        if self._adopted is None:
            self._adopted = Nursery(self._own_record(), Spawner(), self._output_fd, {}, self._allow_shell,
                                    owns_children=False, kill_patience_s=self._kill_patience_s)
        attempt = Attempt(one.spec, pid, pid_start, known.started_at, known.started_mono)
        if is_child(pid, pid_start):
            self._adopted.adopt(attempt)
        elif known.facts is not None and known.wait_status is not None:
            self._adopted.adopt_ended(attempt, known.wait_status, known.facts)
        else:
            raise Unsure()
        if one.stop_reason:
            self._adopted.stop(known.token, one.stop_reason, one.stop_immediately)
        return True

    def _lose(self, one: _Open, known: Optional[record.RecordedAttempt]) -> None:
        token = one.spec.token
        why = "the keeper died while starting it"
        if known is not None and known.pid is not None:
            why = "the keeper died, and its process did not come to us"
        started_at = known.started_at if known is not None else None
        self._unanswered = True
        del self._open[token]
        self._events.append(Ended(token, lost_outcome(why, started_at), True))
        self._own_record().ended((token, "LOST", None, None, why, "", started_at, None, None, None, None, ()))

    def _is_known(self, pid: int) -> bool:
        return self._adopted is not None and any(one.pid == pid for one in self._adopted.running.values())

    def _own_record(self) -> record.RecordWriter:
        if self._adopted_record is None:
            self._adopted_record = record.RecordWriter(os.fsencode(self._record_path), lock=False)
        return self._adopted_record

    # ---- adopted jobs --------------------------------------------------------------------------------------------

    def _watch_adopted(self) -> None:
        nursery = self._adopted
        if nursery is None:
            return
        before = len(nursery.running)
        nursery.reap()
        nursery.tick(time.monotonic())
        self._gather_adopted()
        if len(nursery.running) != before:
            self._send(("slots", self._free_slots()))
        if not nursery.running:
            nursery.reap()
            self._adopted = None

    def _gather_adopted(self) -> None:
        nursery = self._adopted
        if nursery is None:
            return
        self._own_record().flush()
        for event in nursery.take_events():
            if event[0] == "ended":
                if event[2]:
                    # The new keeper is not to start anything on the strength of what this failure forbids.
                    self._unanswered = True
                    self._send(("halt",))
                facts: Facts = event[1]  # type: ignore[assignment]
                if self._open.pop(facts[0], None) is not None:
                    self._events.append(Ended(facts[0], outcome_from_facts(facts), bool(event[2])))
            else:
                self._translate(event)


def _open_folder(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError("%s: the folder for output files cannot be opened: %s" % (
            path, os.strerror(error.errno or 0)))


def _make_record(path: str) -> None:
    try:
        make_room(path)
    except OSError as error:
        raise StorageError("%s: the run's record cannot be made: %s" % (path, os.strerror(error.errno or 0)))

"""The first thing a runner does: bring a process that anybody may have started in any way into a known state.

Whoever starts us may have closed our streams, ignored SIGCHLD (then the exit status of every child is lost), blocked
SIGTERM, or given us few descriptors. Call ``prepare_process`` before anything is opened.
"""
import os
import signal
import sys
from typing import Dict, List, Optional, Tuple

from jobs.exceptions import SecurityError

__all__ = ["OriginalState", "StopSignals", "prepare_process"]

#: Descriptors that we want for ourselves, where the hard limit allows.
OPEN_FILES = 4096


class OriginalState:
    """What was found, for those whom it is to be given back: the jobs."""

    def __init__(self, hup_ignored: bool, open_files: Optional[Tuple[int, int]]) -> None:
        #: Started by ``nohup`` or the like: a hang-up means nothing, to us nor to the jobs.
        self.hup_ignored = hup_ignored
        #: Soft and hard limit of descriptors before ours was raised; None where it was not.
        self.open_files = open_files


def prepare_process() -> OriginalState:
    """Bring this process into a known state.

    :raises SecurityError: where the program runs set-uid or set-gid
    """
    _fill_standard_streams()
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        raise SecurityError("refused to run set-uid or set-gid: real and effective user differ (%d, %d)" % (
            os.getuid(), os.geteuid()))
    hup_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return OriginalState(hup_ignored, _raise_open_files())


def _fill_standard_streams() -> None:
    """Descriptors 0 to 2 must be open, or the next file that is opened gets written to as standard output."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            break
        os.set_inheritable(fd, True)
    for name, fd, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        # Python found them closed at its start and set them to None.
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115


def _raise_open_files() -> Optional[Tuple[int, int]]:
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return None
    return soft, hard


class StopSignals:
    """INT, TERM, HUP and USR1 as numbers to be asked for: no work is done in handlers.

    USR1 says that what somebody asked of the run stands in the history.

    ``fd`` becomes readable when a signal has come, for whoever waits in ``poll``.

    :param hup_ignored: leave HUP ignored
    """

    def __init__(self, hup_ignored: bool = False) -> None:
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        self._caught = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1] + ([] if hup_ignored else [signal.SIGHUP])
        self._pending: List[int] = []
        self._previous_fd = signal.set_wakeup_fd(self._write_fd)
        self._previous: Dict[int, object] = {
            number: signal.signal(number, self._note) for number in self._caught}

    def take(self) -> List[int]:
        """The numbers of the signals that came since the last call, in their order."""
        while True:
            try:
                if not os.read(self.fd, 4096):
                    break
            except BlockingIOError:
                break
        pending, self._pending = self._pending, []
        return pending

    def close(self) -> None:
        """Put the handlers back that were there before; again: nothing. USR1 ends no process that has just gone on."""
        if not self._previous:
            return
        for number, handler in self._previous.items():
            # None: a handler that was not made by Python, and cannot be put back.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]
        self._previous = {}
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self.fd)
        os.close(self._write_fd)

    def _note(self, number: int, frame: object) -> None:
        self._pending.append(number)

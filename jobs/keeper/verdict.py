"""How an attempt ended: status, exit code, signal, and a reason that a person can read. Pure."""
import os

from jobs.system import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Dict, Optional, Tuple
    Verdict = Tuple[str, Optional[int], Optional[str], str]
    Refusal = Tuple[Optional[int], str]

__all__ = ["bytes_text", "judge", "limit_text", "signal_name"]

#: Why we stopped it: the status it then has.
_STOP_STATUSES = {"timeout": "TIMEOUT", "total_timeout": "TIMEOUT", "run_timeout": "TIMEOUT", "cancel": "CANCELLED",
                  "output_limit": "FAILED", "memory_limit": "FAILED"}
_STOP_TEXTS = {"timeout": "timeout", "total_timeout": "total timeout", "run_timeout": "run timeout",
               "cancel": "cancelled", "output_limit": "too much output",
               "memory_limit": "too much memory"}
_SIGNAL_NAMES: "Dict[int, str]" = {}


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; ``SIGRTMIN+3`` for a real-time signal; ``signal 99`` for none."""
    if not _SIGNAL_NAMES:
        for name in dir(signal):
            value = getattr(signal, name)
            if name.startswith("SIG") and name.isalnum() and isinstance(value, int):
                _SIGNAL_NAMES.setdefault(int(value), name)
        for preferred in ("SIGABRT", "SIGCHLD", "SIGIO"):
            if hasattr(signal, preferred):
                _SIGNAL_NAMES[int(getattr(signal, preferred))] = preferred
    known = _SIGNAL_NAMES.get(number)
    if known is not None and number != getattr(signal, "SIGRTMAX", 0):
        return known
    first, last = int(getattr(signal, "SIGRTMIN", 0)), int(getattr(signal, "SIGRTMAX", -1))
    if first <= number <= last:
        return "SIGRTMIN+%d" % (number - first) if number > first else "SIGRTMIN"
    return "signal %d" % number


def limit_text(seconds: float) -> str:
    """A time limit as a person would have written it: ``5 s``, ``90 s``, ``15 min``, ``3 h``."""
    if seconds >= 3600 and seconds % 3600 == 0:
        return "%d h" % (seconds // 3600)
    if seconds >= 120 and seconds % 60 == 0:
        return "%d min" % (seconds // 60)
    return "%g s" % (round(seconds, 3) if seconds >= 0.001 else seconds)


def bytes_text(count: int) -> str:
    """A size for people: ``1.0 GiB``."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return "%d bytes" % count if unit == "bytes" else "%.1f %s" % (size, unit)
        size /= 1024
    return "%.1f TiB" % size


def judge(wait_status: "Optional[int]", success_codes: "Collection[int]", stop_reason: str = "", stop_text: str = "",
          via_shell: bool = False, refusal: "Optional[Refusal]" = None, lives_on: bool = False) -> "Verdict":
    """How an attempt ended.

    :param wait_status: as ``wait4`` gave it; None where nobody knows it
    :param stop_reason: why we had stopped it, a ``StopReason``; "" where we had not
    :param stop_text: the reason in words, where there is more to say than the reason alone
    :param via_shell: whether a shell ran the command, which tells by 126 and 127 that it could not
    :param refusal: exit code (or None) and reason where it never became a process
    :param lives_on: whether it could not be ended, which is why there is no wait status
    :returns: status, exit code (None where a signal ended it), name of the signal, reason
    """
    if refusal is not None:
        return "ERROR", refusal[0], None, refusal[1]
    exit_code: "Optional[int]" = None
    ended_by: "Optional[str]" = None
    if wait_status is None:
        if not lives_on:
            return "LOST", None, None, "its exit status is not known: another process took it"
    elif os.WIFSIGNALED(wait_status):
        ended_by = signal_name(os.WTERMSIG(wait_status))
    else:
        exit_code = os.WEXITSTATUS(wait_status)
    if stop_reason:
        text = stop_text or _STOP_TEXTS.get(stop_reason, stop_reason)
        return _STOP_STATUSES.get(stop_reason, "CANCELLED"), exit_code, ended_by, text
    if exit_code is None:
        return "FAILED", None, ended_by, "ended by %s" % ended_by
    if exit_code in success_codes:
        return "SUCCESS", exit_code, None, "exit code %d" % exit_code
    if via_shell and exit_code == 127:
        return "ERROR", exit_code, None, "a program was not found by the shell (exit code 127)"
    if via_shell and exit_code == 126:
        return "ERROR", exit_code, None, "a program could not be executed by the shell (exit code 126)"
    return "FAILED", exit_code, None, "exit code %d" % exit_code

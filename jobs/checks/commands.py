"""Runs a program for a check or a condition: in a session of its own, bounded in time, and nothing stays behind."""
import os
import select
import signal
import time
from typing import TYPE_CHECKING, List, Mapping, NamedTuple, Optional, Set, Tuple

from jobs.checks.result import CheckContext, CheckResult
from jobs.keeper.verdict import signal_name
from jobs.terminal_text import safe_text

if TYPE_CHECKING:
    import subprocess

__all__ = ["COMMAND_TIMEOUT_S", "Answer", "check_command", "end_all", "last_words", "run_command", "run_program"]

#: Seconds that a command of a check or a condition may take, where nothing else is said.
COMMAND_TIMEOUT_S = 50.0
#: How often a program whose streams are closed is looked at.
_LOOK_EVERY_S = 0.02
_CHUNK_BYTES = 65536
#: Bytes of what a program says that are kept: the last ones.
_KEPT_BYTES = 65536
#: How often what is left in a pipe is taken after the end of its program: others may write into it for ever.
_ROUNDS_AFTER = 32
#: Characters of a command's last words that are shown.
_SHOWN = 200
_POLL_IN = select.POLLIN | select.POLLHUP | select.POLLERR

#: Leaders of the programs that run now, for whoever ends the process in the meantime.
_running: Set[int] = set()


class Answer(NamedTuple):
    """How a program ended."""

    #: None where it has none: it was not started, was stopped, or a signal ended it.
    exit_code: Optional[int]
    #: What happened, in words.
    what: str
    #: The end of what it said on the stream that was listened to.
    said: bytes = b""


def check_command(context: CheckContext, command: object, timeout: float = COMMAND_TIMEOUT_S) -> CheckResult:
    """Passes where the command ends with exit code 0. A string is for the shell, which expands variables itself.

    :param timeout: seconds that it may take
    """
    answer = run_program(_argv(command), context.working_dir, context.environment, timeout)
    return CheckResult("check_command", answer.exit_code == 0,
                       answer.what + ("" if answer.exit_code == 0 else last_words(answer.said)))


def last_words(said: bytes) -> str:
    """The last line of what a program said, after a colon; "" where it said nothing."""
    line = said.decode("utf-8", "replace").strip().split("\n")[-1]
    return ": " + safe_text(" ".join(line.split()))[:_SHOWN] if line else ""


def run_command(command: object, working_dir: str, environment: Mapping[str, str],
                timeout_s: float = COMMAND_TIMEOUT_S) -> Tuple[Optional[int], str]:
    """Run a command and wait for it.

    :param command: text for the shell, or an argument vector
    :returns: the exit code (None where there is none), and what happened in words
    """
    return run_program(_argv(command), working_dir, environment, timeout_s)[:2]


def _argv(command: object) -> List[str]:
    if isinstance(command, str):
        from jobs.command import shell_arguments
        return list(shell_arguments(command))
    assert isinstance(command, (list, tuple))
    return [str(word) for word in command]


def run_program(argv: List[str], working_dir: str, environment: Mapping[str, str], timeout_s: float,
                given: bytes = b"", listens_to_output: bool = False) -> Answer:
    """Run a program and wait until it ends; what it leaves behind in its group is ended with it.

    :param given: what it gets on its standard input
    :param listens_to_output: whether its standard output is listened to, and not its standard error
    """
    # Not on the way of a run without such a check: the module costs more than many a job.
    import subprocess

    deadline = time.monotonic() + timeout_s
    listens = (subprocess.PIPE, subprocess.DEVNULL) if listens_to_output else (subprocess.DEVNULL, subprocess.PIPE)
    try:
        child = subprocess.Popen(argv, stdin=subprocess.PIPE if given else subprocess.DEVNULL, stdout=listens[0],
                                 stderr=listens[1], cwd=working_dir or None, env=dict(environment),
                                 start_new_session=True, bufsize=0)
    except (OSError, ValueError) as error:
        return Answer(None, "cannot be run: %s" % (getattr(error, "strerror", None) or error))
    _running.add(child.pid)
    try:
        said = _converse(child, given, deadline)
    finally:
        is_over = child.poll() is not None
        # Its leader is not reaped yet, or has just been: the group's number is not another's while it has members.
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except OSError:
            pass
        code = child.wait()
        _running.discard(child.pid)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()
    if not is_over:
        return Answer(None, "did not end within %g s" % timeout_s, said)
    if code < 0:
        return Answer(None, "ended by %s" % signal_name(-code), said)
    return Answer(code, "exit code %d" % code, said)


def end_all() -> None:
    """End the programs that run: whoever asked for them is about to go."""
    for pid in list(_running):
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            continue


def _converse(child: "subprocess.Popen[bytes]", given: bytes, deadline: float) -> bytes:
    """Give and take until the program ends or the time is over; never longer, whoever holds the other ends."""
    poll = select.poll()
    source, sink = child.stdout or child.stderr, child.stdin
    assert source is not None
    reads = source.fileno()
    writes = sink.fileno() if sink is not None else -1
    os.set_blocking(reads, False)
    poll.register(reads, select.POLLIN)
    if writes >= 0:
        os.set_blocking(writes, False)
        poll.register(writes, select.POLLOUT)
    said, left = b"", memoryview(given)
    # Short at first, so that one that ends with its streams in other hands is not waited for.
    pause_s = 0.001
    rounds_after = 0
    while rounds_after < _ROUNDS_AFTER:
        is_over = child.poll() is not None
        rounds_after += is_over
        left_s = deadline - time.monotonic()
        if left_s <= 0 and not is_over:
            break
        ready = poll.poll(0 if is_over else max(1, int(min(left_s, pause_s) * 1000)))
        pause_s = min(pause_s * 2, _LOOK_EVERY_S)
        heard = False
        for fd, event in ready:
            if fd == writes:
                left = _give(writes, left)
                if not left:
                    poll.unregister(writes)
                    assert sink is not None
                    sink.close()
                    writes = -1
            elif event & _POLL_IN:
                chunk = _take(reads)
                if chunk == b"":
                    poll.unregister(reads)
                elif chunk:
                    said, heard = (said + chunk)[-_KEPT_BYTES:], True
        if is_over and not heard:
            break
    return said


def _give(fd: int, left: memoryview) -> memoryview:
    """Write what the pipe takes; what is left. Nothing is, where nobody reads any more."""
    try:
        return left[os.write(fd, left[:_CHUNK_BYTES]):]
    except BlockingIOError:
        return left
    except OSError:
        return left[:0]


def _take(fd: int) -> Optional[bytes]:
    """What is there to read; None where nothing is at the moment."""
    try:
        return os.read(fd, _CHUNK_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""

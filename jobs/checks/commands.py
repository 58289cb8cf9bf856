"""Runs a command for a check or a condition: in a session of its own, bounded in time, and nothing stays behind."""
import os
import signal
from typing import Mapping, Optional, Tuple

__all__ = ["COMMAND_TIMEOUT_S", "run_command"]

#: Seconds that a command of a check or a condition may take.
COMMAND_TIMEOUT_S = 50.0


def run_command(command: object, working_dir: str, environment: Mapping[str, str],
                timeout_s: float = COMMAND_TIMEOUT_S) -> Tuple[Optional[int], str]:
    """Run a command and wait for it.

    :param command: text for the shell, or an argument vector
    :returns: the exit code (None where there is none), and what happened in words
    """
    # Not on the way of a run without such a check: the module costs more than many a job.
    import subprocess

    argv = ["/bin/sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]  # type: ignore[attr-defined]
    try:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 cwd=working_dir or None, env=dict(environment), start_new_session=True)
    except (OSError, ValueError) as error:
        return None, "cannot be run: %s" % (getattr(error, "strerror", None) or error)
    try:
        code = child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        # Its leader is not reaped yet, or has just been: the group's number is not another's while it has members.
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except OSError:
            pass
        child.wait()
    if code is None:
        return None, "did not end within %g s" % timeout_s
    return code, "exit code %d" % code if code >= 0 else "ended by signal %d" % -code

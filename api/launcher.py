"""Starts runs: the same command as a person would type, as a process of its own that outlives this server."""
import os
import subprocess
import tempfile
import threading
import time
from typing import IO, Callable, Dict, List, Optional, Sequence

from jobs.exceptions import StorageError

__all__ = ["Launched", "Launcher"]

_MESSAGE_BYTES = 16 * 1024


class Launched:
    """A run that was started, or that ended before it had its number."""

    def __init__(self, run_id: Optional[int], exit_code: Optional[int], message: str) -> None:
        #: None where it is not known yet.
        self.run_id = run_id
        #: None where it still runs.
        self.exit_code = exit_code
        self.message = message


class Launcher:
    """Starts ``executioner`` commands and forgets none of them before its end.

    :param command: how to call us, home included
    :param environ: what the runs inherit
    """

    def __init__(self, command: Sequence[str], environ: Dict[str, str]) -> None:
        self._command = list(command)
        self._environ = environ
        self._guard = threading.Lock()
        self._children: "List[subprocess.Popen[bytes]]" = []

    def start(self, words: Sequence[str], run_of: Callable[[int], Optional[int]], patience_s: float = 5.0) -> Launched:
        """Start ``executioner WORDS`` and wait until it has its number, or has ended without one.

        :param words: never values of a client other than ids that the history knows
        :param run_of: the run whose runner has this pid, by the history
        :raises StorageError: where the process cannot be started
        """
        with tempfile.TemporaryFile() as said:
            try:
                # A session of its own: what stops the server does not stop the runs that it started.
                child = subprocess.Popen(self._command + list(words), stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=said, env=self._environ, cwd=os.sep,
                                         start_new_session=True)
            except OSError as error:
                raise StorageError("cannot start %s: %s" % (self._command[0], error.strerror or error))
            try:
                return self._watch(child, said, run_of, patience_s)
            finally:
                with self._guard:
                    self._children.append(child)

    def reap(self) -> int:
        """Take note of those that have ended; how many have not."""
        with self._guard:
            self._children = [child for child in self._children if child.poll() is None]
            return len(self._children)

    @staticmethod
    def _watch(child: "subprocess.Popen[bytes]", said: IO[bytes], run_of: Callable[[int], Optional[int]],
               patience_s: float) -> Launched:
        deadline = time.monotonic() + patience_s
        pause_s = 0.01
        while True:
            exit_code = child.poll()
            run_id = run_of(child.pid)
            if run_id is not None or exit_code is not None or time.monotonic() > deadline:
                return Launched(run_id, exit_code, "" if exit_code is None else _text(said))
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.1)


def _text(said: IO[bytes]) -> str:
    """What it said on standard error, without our name before it."""
    size = os.fstat(said.fileno()).st_size
    text = os.pread(said.fileno(), _MESSAGE_BYTES, max(0, size - _MESSAGE_BYTES)).decode("utf-8", "replace").strip()
    return text[len("executioner: "):] if text.startswith("executioner: ") else text

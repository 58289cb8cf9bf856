"""A thread that writes what is told during a run, so that the run never waits for whoever reads it.

A terminal that was stopped with Ctrl-S, an ssh connection that hangs, ``| less`` at its first page: a write to them may
take for ever. Jobs are started, timed and recorded meanwhile.
"""
import os
from _thread import allocate_lock, start_new_thread
from typing import List

__all__ = ["BackgroundWriter", "write_all"]

#: What may wait for its reader, in bytes; beyond it, lines are left out, and that is said.
MOST_WAITING = 1 << 20


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, however long that takes.

    :raises OSError: where it cannot be written; BrokenPipeError where nobody will read it
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view):]
        except BlockingIOError:
            import select
            select.select([], [descriptor], [])


class BackgroundWriter:
    """Writes to a descriptor in the order in which it is told to; what cannot be written is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        #: Nothing is left out from now on, however much waits.
        self.whole = False
        self._guard = allocate_lock()
        #: Released where there is something to do; the thread takes it again and again.
        self._call = allocate_lock()
        self._call.acquire()
        #: Released when all is written, after ``close``.
        self._end = allocate_lock()
        self._end.acquire()
        self._waiting: List[bytes] = []
        self._waiting_bytes = 0
        self._left_out = 0
        self._closing = False
        start_new_thread(self._work, ())

    def write(self, data: bytes) -> None:
        """Have it written; returns at once."""
        with self._guard:
            if self._waiting_bytes + len(data) > MOST_WAITING and not self.whole:
                self._left_out += data.count(b"\n")
                return
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self._wake()

    def close(self, timeout_s: float = -1) -> bool:
        """Wait until everything is written, and end the thread.

        :param timeout_s: how long to wait; negative: until it is done
        :return: whether it is done; if not, the thread ends with the process
        """
        with self._guard:
            self._closing = True
            self._wake()
        return self._end.acquire(True, timeout_s)

    def _wake(self) -> None:
        if self._call.locked():
            self._call.release()

    def _work(self) -> None:
        while True:
            self._call.acquire()
            with self._guard:
                data, self._waiting = b"".join(self._waiting), []
                if self._left_out:
                    data += b"... %d lines left out: they were not read in time\n" % self._left_out
                    self._left_out = 0
            try:
                write_all(self._descriptor, data)
            except OSError:
                pass  # nobody reads it, and it decides nothing
            with self._guard:
                self._waiting_bytes = sum(map(len, self._waiting))
                if self._closing and not self._waiting and not self._left_out:
                    self._end.release()
                    return

"""The table of open connections: how many there may be, and who has to go for a new one.

When the table is full, the connection that has been waiting longest for the rest of a request's head is cut; where
there is none, the one that has been reading an answer longest (after a second). So slow senders and slow readers
only ever push each other out, and whoever sends whole requests is served.
"""
import socket
import threading
import time
from typing import Dict, List, Optional

__all__ = ["Connection", "Connections"]

#: How long an answer may be on its way before its reader counts as slow.
_SLOW_READER_S = 1.0
#: How long a new connection waits for the place of the one that was cut.
_PLACE_S = 0.5


class Phase:
    """What a connection is doing."""

    READING = "reading"
    WORKING = "working"
    WRITING = "writing"
    STREAMING = "streaming"


class Connection:
    """One open connection, as the table knows it."""

    __slots__ = ("socket", "phase", "since", "is_cut")

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self.phase = Phase.READING
        #: Monotonic seconds at which the phase began.
        self.since = time.monotonic()
        self.is_cut = False

    def cut(self) -> None:
        """End it from another thread: whoever reads or writes there is told by its next call."""
        self.is_cut = True
        try:
            # Not the method of an SSL socket, which forgets its state while its own thread uses it.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        except OSError:
            return  # it was closed already


class Connections:
    """All open connections.

    :param limit: how many at once
    :param stream_limit: how many of them may be event streams
    """

    def __init__(self, limit: int, stream_limit: int) -> None:
        self.limit = limit
        self.stream_limit = stream_limit
        #: For the metrics: connections cut for another, and connections turned away.
        self.evicted = 0
        self.refused = 0
        self._open: Dict[int, Connection] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def admit(self, opened: socket.socket) -> Optional[Connection]:
        """Give a new connection its place; None where there is none for it."""
        with self._changed:
            if len(self._open) >= self.limit:
                victim = self._victim()
                if victim is not None:
                    victim.cut()
                    self.evicted += 1
                    self._changed.wait_for(lambda: len(self._open) < self.limit, _PLACE_S)
            if len(self._open) >= self.limit or self._is_closed:
                self.refused += 1
                return None
            connection = Connection(opened)
            self._open[id(connection)] = connection
            return connection

    def remove(self, connection: Connection) -> None:
        """Its thread is done with it."""
        with self._changed:
            self._open.pop(id(connection), None)
            self._changed.notify()

    def enter(self, connection: Connection, phase: str) -> bool:
        """Note what a connection does from now on; False where it was cut meanwhile."""
        with self._changed:
            connection.phase = phase
            connection.since = time.monotonic()
            return not connection.is_cut

    def enter_stream(self, connection: Connection) -> bool:
        """Have a connection become an event stream; False where there are too many of them."""
        with self._changed:
            streams = sum(1 for one in self._open.values() if one.phase == Phase.STREAMING)
            if streams >= self.stream_limit:
                return False
            connection.phase = Phase.STREAMING
            return not connection.is_cut

    def close(self) -> None:
        """Cut all of them and admit no more."""
        with self._changed:
            self._is_closed = True
            for connection in self._open.values():
                connection.cut()

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until every thread is done with its connection."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout_s)

    def _victim(self) -> Optional[Connection]:
        slow_since = time.monotonic() - _SLOW_READER_S
        for phase, latest in ((Phase.READING, None), (Phase.WRITING, slow_since)):
            candidates: List[Connection] = [one for one in self._open.values() if one.phase == phase and not one.is_cut
                                            and (latest is None or one.since < latest)]
            if candidates:
                return min(candidates, key=lambda one: one.since)
        return None

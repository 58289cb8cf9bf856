"""The table of open connections: how many there may be, and who has to go for a new one.

When the table is full, the connection that has been waiting longest for the rest of a request's head is cut; where
there is none, the one that has been reading an answer longest (after a second). So slow senders and slow readers
only ever push each other out, and whoever sends whole requests is served.
"""
import socket
import threading
import time
from typing import Dict, List, Optional

from api.errors import Refusal

__all__ = ["Connection", "Connections", "Phase"]

#: How long an answer may be on its way before its reader counts as slow.
_SLOW_READER_S = 1.0


class Phase:
    """What a connection is doing."""

    #: It has not sent a whole head yet, and nobody but the lobby knows it.
    WAITING = "waiting"
    READING = "reading"
    WORKING = "working"
    WRITING = "writing"
    STREAMING = "streaming"


class Connection:
    """One open connection, as the table knows it."""

    __slots__ = ("socket", "phase", "since", "is_cut", "data", "awaited", "problem")

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self.phase = Phase.WAITING
        #: Monotonic seconds at which the phase began.
        self.since = time.monotonic()
        self.is_cut = False
        #: What was read in the lobby.
        self.data = b""
        #: Bytes of a TLS greeting that must have come.
        self.awaited = 0
        #: What is to be answered instead of a request.
        self.problem: Optional[Refusal] = None

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
        #: In the order in which they came.
        self._open: Dict[int, Connection] = {}
        #: Those among them that were cut and whose threads are about to notice.
        self._leaving = 0
        self._waiting = 0
        self._changed = threading.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether somebody has to go before another one can come."""
        # Who was cut is gone as soon as its thread runs again, which is not waited for: with hundreds of new
        # connections that would add up. There cannot be more threads than twice the limit, though.
        return len(self._open) - self._leaving >= self.limit or len(self._open) >= 2 * self.limit

    def admit(self, opened: socket.socket) -> Optional[Connection]:
        """Give a new connection its place; None where there is none for it."""
        with self._changed:
            if self.is_full or self._is_closed:
                self.refused += 1
                return None
            connection = Connection(opened)
            self._open[id(connection)] = connection
            self._waiting += 1
            return connection

    def push_out(self) -> Optional[Connection]:
        """Cut one for a new one; None where nobody has to go. One that was ``WAITING`` is the caller's to close."""
        with self._changed:
            victim = self._victim() if not self._is_closed else None
            if victim is not None:
                self.evicted += 1
                self._cut(victim)
            return victim

    def remove(self, connection: Connection) -> None:
        """Whoever had it is done with it."""
        with self._changed:
            if self._open.pop(id(connection), None) is not None:
                self._leaving -= connection.is_cut
                self._waiting -= connection.phase == Phase.WAITING
                self._changed.notify()

    def enter(self, connection: Connection, phase: str) -> bool:
        """Note what a connection does from now on; False where it was cut meanwhile."""
        with self._changed:
            self._waiting -= connection.phase == Phase.WAITING
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

    def replace(self, connection: Connection, opened: socket.socket) -> None:
        """Have a connection speak through another socket, which took over its descriptor."""
        with self._changed:
            connection.socket = opened
            if connection.is_cut:
                connection.cut()

    def close(self) -> None:
        """Cut all of them and admit no more."""
        with self._changed:
            self._is_closed = True
            for connection in self._open.values():
                self._cut(connection)

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until every thread is done with its connection."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, timeout_s)

    def _cut(self, connection: Connection) -> None:
        self._leaving += not connection.is_cut
        connection.cut()

    def _victim(self) -> Optional[Connection]:
        if 2 * self._waiting >= self.limit:
            # Many who never asked anything: they do not push out who did.
            return next(one for one in self._open.values() if one.phase == Phase.WAITING)
        now = time.monotonic()
        for phases, latest in (((Phase.WAITING, Phase.READING), now), ((Phase.WRITING,), now - _SLOW_READER_S)):
            candidates: List[Connection] = [one for one in self._open.values() if one.phase in phases
                                            and not one.is_cut and one.since <= latest]
            if candidates:
                return min(candidates, key=lambda one: one.since)
        return None

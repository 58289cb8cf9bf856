"""Where connections wait until they have asked for something: one thread accepts them and reads their first heads.

A connection costs a descriptor and a few dozen microseconds here. A thread of its own, whose start is waited for, and
the end of the thread that had its place before, cost twenty times as much: with hundreds that come at once, that was
time for which whoever had sent a whole request stood in line.
"""
import os
import select
import socket
import time
from typing import Callable, Dict, Optional

from api.connections import Connection, Connections, Phase
from api.errors import Refusal
from api.messages import HEAD_BYTES, find_end_of_head

__all__ = ["Lobby"]

#: So many are accepted before those that wait are looked at again.
_ACCEPTED_AT_ONCE = 16
#: Pause after a failed accept (no descriptors left): else the loop would spin.
_ACCEPT_PAUSE_S = 0.05
_GREETING_HEAD = 5
_GREETING = 0x16
_GREETING_BYTES = 16 * 1024


class Lobby:
    """Accepts connections and gives on those that need a thread.

    :param listening: is accepted from
    :param patience_s: how long a connection may take for its first head (TLS: for its greeting)
    :param speaks_tls: whether a greeting is waited for instead of a head
    :param give_on: takes a connection whose head is whole, or which has a ``problem``, or has none of both
    :param turn_away: tells somebody that there is no place; the caller closes
    """

    def __init__(self, listening: socket.socket, connections: Connections, patience_s: float, speaks_tls: bool,
                 give_on: Callable[[Connection], None], turn_away: Callable[[socket.socket], None]) -> None:
        self._listening = listening
        self._connections = connections
        self._patience_s = patience_s
        self._speaks_tls = speaks_tls
        self._give_on = give_on
        self._turn_away = turn_away
        self._poll = select.poll()
        #: Those who wait, by descriptor, in the order in which they came.
        self._waiting: Dict[int, Connection] = {}
        self._accepts_again_at: Optional[float] = None
        self._is_over = False
        self._wakes, self._waker = os.pipe()
        listening.setblocking(False)
        self._poll.register(listening, select.POLLIN)
        self._poll.register(self._wakes, select.POLLIN)

    def run(self, tend: Callable[[], None], tend_every_s: float) -> None:
        """Go on until ``leave`` is called.

        :param tend: called about that often
        """
        tended_at = time.monotonic()
        while not self._is_over:
            now = time.monotonic()
            if now - tended_at >= tend_every_s:
                tended_at = now
                tend()
            is_asked = False
            for descriptor, _ in self._poll.poll(self._time_left(now, tended_at + tend_every_s) * 1000.0):
                if descriptor in self._waiting:
                    self._look(self._waiting[descriptor])
                elif descriptor == self._listening.fileno():
                    is_asked = True
            self._expire(time.monotonic())
            if is_asked:
                self._accept()

    def leave(self) -> None:
        """Have ``run`` end; callable from any thread."""
        self._is_over = True
        os.write(self._waker, b"x")

    def close(self) -> None:
        """Close what still waits, after ``run``."""
        for connection in list(self._waiting.values()):
            self._forget(connection)
        os.close(self._wakes)
        os.close(self._waker)

    def _time_left(self, now: float, until: float) -> float:
        for connection in self._waiting.values():
            until = min(until, connection.since + self._patience_s)
            break
        if self._accepts_again_at is not None:
            until = min(until, self._accepts_again_at)
        return max(0.0, until - now)

    def _expire(self, now: float) -> None:
        if self._accepts_again_at is not None and now >= self._accepts_again_at:
            self._accepts_again_at = None
            self._poll.register(self._listening, select.POLLIN)
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if oldest.since + self._patience_s > now:
                return
            if oldest.data:
                oldest.problem = Refusal("too_slow")
                self._hand_over(oldest)
            else:
                self._forget(oldest)  # nothing was asked, so there is nothing to answer

    # ---- who comes -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                opened, _ = self._listening.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError:
                if self._push_out() is None:
                    self._accepts_again_at = time.monotonic() + _ACCEPT_PAUSE_S
                    self._poll.unregister(self._listening)
                    return
                continue
            self._admit(opened)

    def _admit(self, opened: socket.socket) -> None:
        opened.setblocking(False)
        if self._connections.is_full:
            self._push_out()
        connection = self._connections.admit(opened)
        if connection is None:
            self._turn_away(opened)
            opened.close()
            return
        self._waiting[opened.fileno()] = connection
        self._poll.register(opened, select.POLLIN)
        # Whoever stood in line has mostly sent everything by now.
        self._look(connection)

    def _push_out(self) -> Optional[Connection]:
        victim = self._connections.push_out()
        if victim is not None and victim.phase == Phase.WAITING:
            self._forget(victim)
        return victim

    def _forget(self, connection: Connection) -> None:
        self._release(connection)
        connection.socket.close()
        self._connections.remove(connection)

    def _release(self, connection: Connection) -> None:
        descriptor = connection.socket.fileno()
        self._poll.unregister(descriptor)
        del self._waiting[descriptor]

    def _hand_over(self, connection: Connection) -> None:
        self._release(connection)
        self._give_on(connection)

    # ---- what they say -------------------------------------------------------------------------------------------

    def _look(self, connection: Connection) -> None:
        try:
            is_ready = self._has_greeted(connection) if self._speaks_tls else self._has_asked(connection)
        except (BlockingIOError, InterruptedError):
            return
        except Refusal:
            is_ready = True  # it is answered by the thread that finds the same
        except (EOFError, OSError):
            self._forget(connection)
            return
        if is_ready:
            self._hand_over(connection)

    def _has_asked(self, connection: Connection) -> bool:
        piece = connection.socket.recv(HEAD_BYTES)
        if not piece:
            raise EOFError
        connection.data = connection.data + piece if connection.data else piece.lstrip(b"\r\n")
        return bool(connection.data) and find_end_of_head(connection.data) >= 0

    def _has_greeted(self, connection: Connection) -> bool:
        """Whether the first record of TLS is there, which is not taken from the socket: OpenSSL wants to read it."""
        opened, before = connection.socket, connection.awaited
        head = opened.recv(_GREETING_HEAD, socket.MSG_PEEK)
        if not head:
            raise EOFError
        if head[0] != _GREETING:
            return True  # whatever it is, OpenSSL will refuse it
        connection.awaited = _GREETING_HEAD
        if len(head) == _GREETING_HEAD:
            connection.awaited += int.from_bytes(head[3:], "big")
            if connection.awaited > _GREETING_BYTES:
                return True
            if len(opened.recv(connection.awaited, socket.MSG_PEEK)) == connection.awaited:
                return True
        if connection.awaited == before:
            return True  # this system wakes us for less than we wait for: a thread can wait better
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, connection.awaited)
        return False

"""The server: reads whole requests within their time, and writes each answer in one piece.

``http.server`` listens; what stands between it and the requests is ours: its own parser takes whatever comes, its
timeouts are per ``recv`` (one byte a second is never cut), and a failed ``accept`` makes it spin. Here a connection
waits in the ``lobby`` until its first request is there, then it has a thread; a request's head has five seconds in
all, a body ten, an answer ten; connections are counted and pushed out (``connections``); nothing that a client does is
answered with a traceback or in HTML.

    api = ExecutionerAPI("127.0.0.1", 8765, service)
    api.serve_forever()
"""
import select
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer
from typing import Callable, Iterator, Optional

from api.connections import Connection, Connections, Phase
from api.errors import Refusal
from api.lobby import Lobby
from api.messages import HEAD_BYTES, Request, Response, find_end_of_head, json_response, parse_head, response_head

__all__ = ["ExecutionerAPI", "Limits"]


class Limits:
    """What one client may cost. Seconds and counts."""

    def __init__(self, connections: int = 32, streams: int = 12, head_s: float = 5.0, body_s: float = 10.0,
                 write_s: float = 10.0, idle_s: float = 10.0) -> None:
        self.connections = connections
        self.streams = streams
        #: From the first byte of a request (on a new connection: from its start) to the end of its head.
        self.head_s = head_s
        self.body_s = body_s
        self.write_s = write_s
        #: How long a connection may be kept without a request.
        self.idle_s = idle_s


#: What answers requests: the routes behind their gate.
Answer = Callable[[Request], Response]
#: How long the rest of a refused request is read, so that the client gets to see the answer.
_LINGER_S = 0.5
_LINGER_BYTES = 256 * 1024
_PIECE = 64 * 1024


class ExecutionerAPI(HTTPServer):
    """The HTTP server.

    :param host: address to listen on
    :param port: 0 = any free one; see ``port``
    :param answer: gives the response to a request; must not raise
    :param tls: speak TLS with these keys
    :param tend: done about twice a second, and at the end
    """

    allow_reuse_address = True
    request_queue_size = 1024  # a full queue costs an honest client a second, until it asks again

    def __init__(self, host: str, port: int, answer: Answer, limits: Optional[Limits] = None,
                 tls: Optional[ssl.SSLContext] = None, tend: Callable[[], int] = lambda: 0) -> None:
        self.tend = tend
        self.limits = limits if limits is not None else Limits()
        self.connections = Connections(self.limits.connections, self.limits.streams)
        self.answer = answer
        self.tls = tls
        #: How many connections had a thread.
        self.threads_given = 0
        self._is_down = threading.Event()
        self._is_down.set()
        self._dates = _Dates()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        HTTPServer.__init__(self, (host, port), BaseHTTPRequestHandler)  # which is never made: see the lobby
        self._lobby = Lobby(self.socket, self.connections, self.limits.head_s, tls is not None, self._give_thread,
                            self._turn_away)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def date(self) -> str:
        """Now, as the header ``Date`` wants it."""
        return self._dates.now()

    def stop(self) -> None:
        """End the loop and all connections. Not to be called by the thread that serves."""
        self.shutdown()
        self.connections.close()
        self._lobby.close()
        self.connections.wait_until_empty(2.0)
        self.server_close()
        self.tend()

    def service_actions(self) -> None:
        """Look after what is not a request."""
        self.tend()

    # ---- what http.server and socketserver would do otherwise ----------------------------------------------------

    def server_bind(self) -> None:
        """Bind without asking the network for our name."""
        TCPServer.server_bind(self)

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Accept and answer until ``shutdown``.

        :param poll_interval: how often what is not a request is looked after, in seconds
        """
        self._is_down.clear()
        try:
            self._lobby.run(self.service_actions, poll_interval)
        finally:
            self._is_down.set()

    def shutdown(self) -> None:
        """Have ``serve_forever`` end, and wait for it."""
        self._lobby.leave()
        self._is_down.wait()

    def _give_thread(self, connection: Connection) -> None:
        """Have what a connection asks for answered by a thread of its own."""
        self.connections.enter(connection, Phase.READING if self.tls is not None else Phase.WORKING)
        self.threads_given += 1
        try:
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
        except RuntimeError:  # no threads left
            self.connections.remove(connection)
            connection.socket.close()

    def _serve(self, connection: Connection) -> None:
        try:
            _Handler(connection, self)
        finally:
            try:
                _say_goodbye(connection.socket)
                connection.socket.close()
            finally:
                self.connections.remove(connection)

    def _turn_away(self, request: socket.socket) -> None:
        if self.tls is not None:
            return  # it would take a handshake to say so
        response = json_response(Refusal("busy").document(), 503, {"Retry-After": "1"})
        try:
            request.settimeout(0)
            request.send(response_head(response, self.date(), False) + response.body)
        except OSError:
            return


def _say_goodbye(opened: socket.socket) -> None:
    """End TLS as it wants to be ended, or clients take the end for an attack; waits for nobody."""
    if isinstance(opened, ssl.SSLSocket):
        try:
            opened.settimeout(0)
            opened.unwrap()
        except (OSError, ValueError):
            return  # said, and not answered yet; or it was cut, or never came to TLS


class _Dates:
    """The date of an answer, made once a second."""

    def __init__(self) -> None:
        self._made_at = -1
        self._text = ""

    def now(self) -> str:
        """Now, in the one format that HTTP has, whatever the locale."""
        second = int(time.monotonic())
        if second != self._made_at:
            from email.utils import formatdate
            self._text, self._made_at = formatdate(usegmt=True), second
        return self._text


class _Gone(Exception):
    """The client has left, or was cut."""


class _Handler:
    """One connection, in its own thread."""

    def __init__(self, connection: Connection, server: ExecutionerAPI) -> None:
        self._api = server
        self._entry = connection
        self._socket = connection.socket
        self._limits = server.limits
        #: What came and was not looked at yet.
        self._rest = connection.data
        try:
            self.handle()
        except (_Gone, OSError, ValueError):
            return  # ValueError: TLS on a socket that was cut

    def handle(self) -> None:
        """Answer one request after the other until somebody has enough."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._entry.problem is not None:
            self._refuse(self._entry.problem)
            return
        if self._api.tls is not None:
            self._greet(self._api.tls)
        is_first = True
        while True:
            try:
                request = self._read(is_first)
            except Refusal as problem:
                self._refuse(problem)
                return
            if request is None or not self._api.connections.enter(self._entry, Phase.WORKING):
                return
            if not self._respond(request, self._api.answer(request)):
                return
            is_first = False

    def _greet(self, tls: ssl.SSLContext) -> None:
        """Begin TLS. It has its time in all, and whoever takes it can be pushed out meanwhile."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self._socket.settimeout(self._limits.head_s)
        opened = tls.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._api.connections.replace(self._entry, opened)
        self._socket = opened
        opened.do_handshake()  # its timeout is for the whole of it

    # ---- reading -------------------------------------------------------------------------------------------------

    def _read(self, is_first: bool) -> Optional[Request]:
        """The next whole request; None where the client is done.

        :raises Refusal: where it does not arrive in time, or is none
        """
        limits, data = self._limits, self._rest
        data = data[2:] if data.startswith(b"\r\n") else data  # some clients end a body with it
        end = find_end_of_head(data) if data else -1
        if end < 0:
            self._api.connections.enter(self._entry, Phase.READING)
        deadline = time.monotonic() + limits.head_s if is_first or data else 0.0
        if not is_first and not data:
            self._socket.settimeout(limits.idle_s)
        while end < 0:
            if deadline:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Refusal("too_slow")
                self._socket.settimeout(left)
            try:
                piece = self._socket.recv(HEAD_BYTES)
            except socket.timeout:
                if not data:
                    return None  # nothing was asked, so there is nothing to answer
                raise Refusal("too_slow")
            if not piece:
                return None
            if not deadline:
                deadline = time.monotonic() + limits.head_s
            data = (data + piece).lstrip(b"\r\n") if not data else data + piece
            end = find_end_of_head(data) if data else -1
        request = parse_head(data[:end])
        data = data[end:]
        if request.body_length:
            data = self._read_body(request, data)
        self._rest = data
        return request

    def _read_body(self, request: Request, data: bytes) -> bytes:
        """Read the body; what follows it."""
        if request.expects_continue and not data:
            self._socket.settimeout(self._limits.write_s)
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        deadline = time.monotonic() + self._limits.body_s
        if len(data) < request.body_length:
            self._api.connections.enter(self._entry, Phase.READING)
        while len(data) < request.body_length:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Refusal("too_slow")
            self._socket.settimeout(left)
            try:
                piece = self._socket.recv(_PIECE)
            except socket.timeout:
                raise Refusal("too_slow")
            if not piece:
                raise _Gone
            data += piece
        request.body = data[:request.body_length]
        return data[request.body_length:]

    # ---- writing -------------------------------------------------------------------------------------------------

    def _respond(self, request: Request, response: Response) -> bool:
        """Write the answer; whether the connection goes on."""
        if response.stream is not None and request.method != "HEAD":
            self._stream(response, response.stream)
            return False
        head = response_head(response, self._api.date(), request.keeps_alive)
        self._write(head if request.method == "HEAD" else head + response.body)
        return request.keeps_alive

    def _write(self, data: bytes) -> None:
        """One write for all of it: head and body apart would wait for each other's acknowledgement."""
        if not self._api.connections.enter(self._entry, Phase.WRITING):
            raise _Gone
        self._socket.settimeout(self._limits.write_s)
        self._socket.sendall(data)  # the timeout is for the whole of it

    def _refuse(self, problem: Refusal) -> None:
        """Answer what was no request, and see that the answer arrives although more may be coming."""
        response = json_response(problem.document(), problem.status, problem.headers)
        self._write(response_head(response, self._api.date(), False) + response.body)
        _say_goodbye(self._socket)
        socket.socket.shutdown(self._socket, socket.SHUT_WR)
        self._api.connections.enter(self._entry, Phase.READING)  # nothing of value is lost where it is pushed out now
        deadline = time.monotonic() + _LINGER_S
        left_bytes = _LINGER_BYTES
        while left_bytes > 0:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._socket.settimeout(left)
            piece = self._socket.recv(_PIECE)
            if not piece:
                return
            left_bytes -= len(piece)

    def _stream(self, response: Response, stream: Callable[[Callable[[float], bool]], Iterator[bytes]]) -> None:
        """Write pieces as they come, until the stream or the client ends."""
        if not self._api.connections.enter_stream(self._entry):
            refused = json_response(Refusal("busy", "too many event streams").document(), 503, {"Retry-After": "5"})
            self._write(response_head(refused, self._api.date(), False) + refused.body)
            return
        self._socket.settimeout(self._limits.write_s)
        self._socket.sendall(response_head(response, self._api.date(), False))
        for piece in stream(self._wait):
            if self._entry.is_cut:
                return
            self._socket.settimeout(self._limits.write_s)
            self._socket.sendall(piece)

    def _wait(self, seconds: float) -> bool:
        """Wait so long on a stream; False where the client has left."""
        watcher = select.poll()
        watcher.register(self._socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        if not watcher.poll(max(0.0, seconds) * 1000.0):
            return not self._entry.is_cut
        self._socket.settimeout(0)
        try:
            self._socket.recv(_PIECE)
            return False  # the end, or something that nobody sends on a stream
        except (BlockingIOError, ssl.SSLWantReadError):
            return True

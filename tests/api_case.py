"""A server on a real socket, in a thread of the test, with a home of its own, and requests to it byte by byte."""
import json
import os
import socket
import ssl
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from api.app import make_server
from api.server import Limits
from api.tokens import OPERATE, READ, TokenStore
from api.vitals import Vitals
from db.history import History

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Longer than any answer of a test takes, on a machine with other things to do.
PATIENCE_S = 40.0


class Reply(NamedTuple):
    """One answer, taken apart."""

    status: int
    headers: Dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's JSON document."""
        return json.loads(self.body.decode("utf-8"))


class ApiCase:
    """A home with a server.

    :param limits: smaller ones make tests of time short
    """

    def __init__(self, folder: str, limits: Optional[Limits] = None, environ: Optional[Dict[str, str]] = None,
                 command: Optional[List[str]] = None, host: str = "127.0.0.1",
                 tls: Optional[ssl.SSLContext] = None) -> None:
        self.host = host
        #: Makes a TLS connection of a new one.
        self.wrap: Optional[Callable[[socket.socket], socket.socket]] = None
        self.home = os.path.join(folder, "home")
        os.mkdir(self.home, 0o700)
        self.history_path = os.path.join(self.home, "history.db")
        self.store = TokenStore(os.path.join(self.home, "tokens.json"))
        self.reader = self.store.create("reader", READ, 0.0)
        self.operator = self.store.create("operator", OPERATE, 0.0)
        #: Level, event and message of what the server told.
        self.told: List[Any] = []
        self.server = make_server(
            host, 0, self.history_path, os.path.join(self.home, "locks"), self.store, command or ["false"],
            environ if environ is not None else {}, "9.9", Vitals(self.home, self.history_path).checks,
            lambda level, event, message, error: self.told.append((level, event, message, error)), (), limits, tls)
        self.port = self.server.port
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the server."""
        self.server.stop()
        self._thread.join(PATIENCE_S)

    def history(self) -> History:
        """The history, open for writing."""
        return History.open(self.history_path)

    def connect(self) -> socket.socket:
        """A new connection."""
        opened = socket.create_connection((self.host, self.port), PATIENCE_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened if self.wrap is None else self.wrap(opened)

    def raw(self, data: bytes) -> bytes:
        """Everything that comes back for these bytes, to the end of the connection."""
        with self.connect() as opened:
            opened.sendall(data)
            opened.shutdown(socket.SHUT_WR)
            return read_all(opened)

    def request(self, method: str, path: str, token: Optional[str] = "", headers: Optional[Dict[str, str]] = None,
                body: Optional[object] = None) -> Reply:
        """One request on a connection of its own; the reader's token where none is named, None = no token."""
        lines = ["%s %s HTTP/1.1" % (method, path), "Connection: close"]
        given = {"Host": "127.0.0.1:%d" % self.port}
        if token is not None:
            given["Authorization"] = "Bearer " + (token or self.reader)
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
            given.update({"Content-Type": "application/json", "Content-Length": str(len(data))})
        given.update(headers or {})
        lines += ["%s: %s" % pair for pair in given.items()]
        with self.connect() as opened:
            opened.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + data)
            return parse_reply(read_all(opened))

    def get(self, path: str, **more: Any) -> Reply:
        """GET with the reader's token."""
        return self.request("GET", path, **more)

    def post(self, path: str, body: Optional[object] = None, **more: Any) -> Reply:
        """POST with the operator's token."""
        more.setdefault("token", self.operator)
        return self.request("POST", path, body={} if body is None else body, **more)


def read_all(opened: socket.socket) -> bytes:
    """Everything to the end; a reset is an end, too."""
    parts = []
    while True:
        try:
            part = opened.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def parse_reply(data: bytes) -> Reply:
    """Status, headers by lower-case name, and body of the first answer."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert lines[0].startswith("HTTP/1.1 "), data[:200]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return Reply(int(lines[0].split(" ")[1]), headers, body)


def read_reply(opened: socket.socket) -> Reply:
    """One answer of a connection that goes on."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = opened.recv(65536)
        assert part, data
        data += part
    length = int(parse_reply(data).headers["content-length"])
    while len(data.partition(b"\r\n\r\n")[2]) < length:
        part = opened.recv(65536)
        assert part, data
        data += part
    return parse_reply(data)


class Events:
    """An event stream, read event by event."""

    def __init__(self, case: ApiCase, path: str, last_id: str = "", token: str = "") -> None:
        self._socket = case.connect()
        lines = ["GET %s HTTP/1.1" % path, "Host: localhost:%d" % case.port,
                 "Authorization: Bearer " + (token or case.reader)]
        if last_id:
            lines.append("Last-Event-ID: " + last_id)
        self._socket.sendall("\r\n".join(lines).encode("ascii") + b"\r\n\r\n")
        self._data = b""
        self.last_id = last_id
        head = self._until(b"\r\n\r\n")
        assert head is not None
        self.reply = parse_reply(head + b"\r\n\r\n")

    def next(self) -> Any:
        """The next event as (name, data); None at the end of the stream."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, "nothing but heartbeats"
            block = self._until(b"\n\n")
            if block is None:
                return None
            fields = dict(line.partition(": ")[::2] for line in block.decode("utf-8").split("\n") if line[:1] != ":")
            if "id" in fields:
                self.last_id = fields["id"]
            if "event" in fields:
                return fields["event"], json.loads(fields["data"])

    def _until(self, mark: bytes) -> Optional[bytes]:
        while mark not in self._data:
            part = self._socket.recv(65536)
            if not part:
                return None
            self._data += part
        found, _, self._data = self._data.partition(mark)
        return found

    def close(self) -> None:
        """Leave."""
        self._socket.close()

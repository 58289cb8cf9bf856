"""Real servers on loopback for the tests of notifications: SMTP with TLS and login, and HTTP that keeps what it got."""
import base64
import os
import shutil
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Dict, List, NamedTuple, Optional, Tuple, Type

__all__ = ["HttpReceiver", "Mail", "SmtpReceiver", "make_certificate"]


def make_certificate(folder: str, name: str = "localhost") -> Tuple[str, str]:
    """A certificate that signs itself, and its key; the test says "not run" where there is no openssl."""
    import pytest
    if shutil.which("openssl") is None:
        pytest.skip("not run: no openssl to make a certificate with")
    certificate, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.check_call(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:%s" % name], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    return certificate, key


class Mail(NamedTuple):
    """A mail that was handed in."""

    sender: str
    recipients: List[str]
    data: bytes
    user: str
    was_encrypted: bool


class SmtpReceiver:
    """A mail server in a thread. ``with`` starts and stops it.

    :param tls: ``""``, ``"starttls"`` (offered) or ``"tls"`` (from the first byte)
    :param certificate: file and key
    :param login: user and password that it asks for
    :param answers: what it says instead of 250, by command (``RCPT``, ``MAIL``, ``DATA``); one use each
    """

    def __init__(self, tls: str = "", certificate: Optional[Tuple[str, str]] = None,
                 login: Optional[Tuple[str, str]] = None, answers: Optional[Dict[str, List[str]]] = None) -> None:
        self.mails: List[Mail] = []
        self.commands: List[str] = []
        self._tls = tls
        self._login = login
        self._answers = answers or {}
        self._context: Optional[ssl.SSLContext] = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if hasattr(ssl, "PROTOCOL_TLS_SERVER")
                                           else ssl.PROTOCOL_TLS)
            self._context.load_cert_chain(*certificate)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(8)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "SmtpReceiver":
        self._thread.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            connection.settimeout(10)
            try:
                if self._tls == "tls":
                    assert self._context is not None
                    connection = self._context.wrap_socket(connection, server_side=True)
                self._talk(connection, self._tls == "tls")
            except (OSError, ValueError):
                pass
            finally:
                connection.close()

    def _talk(self, connection: socket.socket, encrypted: bool) -> None:
        stream = connection.makefile("rb")

        def say(text: str) -> None:
            connection.sendall(text.encode() + b"\r\n")

        sender, recipients, user = "", [], ""  # type: str, List[str], str
        say("220 test ESMTP")
        while True:
            line = stream.readline().decode().rstrip("\r\n")
            if not line:
                return
            word = line.split()[0].upper()
            self.commands.append(word)
            planned = self._answers.get(word)
            if planned:
                say(planned.pop(0))
                continue
            if word == "EHLO":
                extensions = ["test", "8BITMIME"]
                if self._tls == "starttls" and not encrypted:
                    extensions.append("STARTTLS")
                if self._login:
                    extensions.append("AUTH PLAIN")
                for one in extensions[:-1]:
                    say("250-" + one)
                say("250 " + extensions[-1])
            elif word == "STARTTLS" and self._context is not None:
                say("220 go on")
                connection = self._context.wrap_socket(connection, server_side=True)
                stream, encrypted = connection.makefile("rb"), True
            elif word == "AUTH" and self._login:
                given = base64.b64decode(line.split()[2]).decode().split("\0")[1:]
                if tuple(given) != self._login:
                    say("535 wrong password")
                    continue
                user = given[0]
                say("235 welcome")
            elif word == "MAIL":
                if self._login and not user:
                    say("530 log in first")
                    continue
                sender, recipients = line.partition(":")[2].strip().split(">")[0].lstrip("<"), []
                say("250 ok")
            elif word == "RCPT":
                recipients.append(line.partition(":")[2].strip().split(">")[0].lstrip("<"))
                say("250 ok")
            elif word == "DATA":
                say("354 go on")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += stream.readline()
                self.mails.append(Mail(sender, recipients, data[:-3].replace(b"\r\n..", b"\r\n."), user, encrypted))
                say("250 taken")
            elif word in ("RSET", "NOOP"):
                say("250 ok")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("502 what?")


class HttpReceiver:
    """A web server in a thread that keeps each request.

    :param statuses: what it answers, one after the other; then 200
    """

    def __init__(self, statuses: Tuple[int, ...] = ()) -> None:
        self.requests: List[Tuple[str, Dict[str, str], bytes]] = []
        left = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                receiver.requests.append((self.path, dict(self.headers.items()), body))
                status = left.pop(0) if left else 200
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing: the test looks at ``requests``."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "HttpReceiver":
        self._thread.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

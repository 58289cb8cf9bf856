"""Connections that have not asked anything cost no thread, keep nobody waiting, and push out only each other."""
import socket
import ssl
import time
from typing import Iterator, List

import pytest

from api.app import tls_context
from api.connections import Phase
from api.server import Limits
from api_case import PATIENCE_S, ApiCase, parse_reply, read_all, read_reply
from receivers import make_certificate

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
MANY = 300


@pytest.fixture
def small(folder: str) -> Iterator[ApiCase]:
    """A server with few places and much patience."""
    case = ApiCase(folder, Limits(connections=8, head_s=2 * PATIENCE_S, idle_s=2 * PATIENCE_S))
    yield case
    case.close()


@pytest.fixture
def secure(folder: str) -> Iterator[ApiCase]:
    """The same with TLS; ``connect`` gives plain sockets."""
    certificate, key = make_certificate(folder)
    case = ApiCase(folder, Limits(connections=8, head_s=2 * PATIENCE_S, idle_s=2 * PATIENCE_S), tls=tls_context(certificate, key))
    yield case
    case.close()


def crowd(case: ApiCase, says: bytes, count: int = MANY) -> List[socket.socket]:
    """So many connections that begin like that and say no more; all of them have come."""
    opened = []
    before = case.server.connections.evicted + len(case.server.connections)
    for _ in range(count):
        opened.append(case.connect())
        if says:
            try:
                opened[-1].sendall(says)
            except OSError:
                continue  # pushed out already
    wait_for(lambda: case.server.connections.evicted + len(case.server.connections) >= before + count)
    return opened


def wait_for(condition: "object") -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def close(opened: List[socket.socket]) -> None:
    """Let go of all."""
    for one in opened:
        one.close()


@pytest.mark.parametrize("says", [b"", b"G", HEAD], ids=["nothing", "a byte", "half a head"])
def test_who_asks_nothing_has_no_thread(small: ApiCase, says: bytes) -> None:
    slow = crowd(small, says)
    assert small.server.threads_given == 0
    assert small.get("/health").status == 200
    assert small.server.threads_given == 1
    assert len(small.server.connections) <= 8
    close(slow)


def test_the_one_that_waits_longest_goes_first(small: ApiCase) -> None:
    slow = crowd(small, HEAD, 20)
    for one in slow[:12]:
        assert read_all(one) == b""
    for one in slow[12:]:
        one.sendall(b"\r\n")
        assert read_reply(one).status == 200
    close(slow)


def test_who_has_asked_is_not_pushed_out_by_who_has_not(small: ApiCase) -> None:
    with small.connect() as honest:
        honest.sendall(HEAD + b"\r\n")
        assert read_reply(honest).status == 200
        slow = crowd(small, b"G")
        honest.sendall(HEAD + b"\r\n")
        assert read_reply(honest).status == 200
        close(slow)


def test_who_only_keeps_connections_makes_place(small: ApiCase) -> None:
    kept = [small.connect() for _ in range(8)]
    for number, one in enumerate(kept):
        one.sendall(HEAD + b"\r\n")
        assert read_reply(one).status == 200
        # Its thread waits for the next request a moment after the answer: who goes is who has waited longest so.
        wait_for(lambda number=number: reading(small) == number + 1)
    assert small.get("/health").status == 200
    answered = 0
    for one in kept:
        try:
            one.sendall(HEAD + b"\r\n")
            answered += read_reply(one).status == 200
        except (AssertionError, OSError):
            continue  # it was the one
    assert (answered, small.server.connections.evicted) == (7, 1)
    close(kept)


def reading(case: ApiCase) -> int:
    """How many connections a thread reads from."""
    return [one.phase for one in list(case.server.connections._open.values())].count(Phase.READING)


def test_a_head_may_come_in_pieces(small: ApiCase) -> None:
    with small.connect() as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"\r\n", b"GET /hea", b"lth HTTP/1.1\r\nHost: local", b"host\r", b"\n\r", b"\nGET /he"):
            opened.sendall(piece)
            time.sleep(0.02)
        assert read_reply(opened).status == 200
        opened.sendall(b"alth HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_reply(opened).status == 200
    assert small.server.threads_given == 1


def test_who_leaves_is_forgotten(small: ApiCase) -> None:
    for says in (b"", b"G"):
        close(crowd(small, says, 5))
        wait_for(lambda: not len(small.server.connections))
    assert small.server.threads_given == 0


def test_what_is_no_head_is_answered_by_a_thread(small: ApiCase) -> None:
    assert parse_reply(small.raw(b"GET /health HTTP/1.1\nHost: localhost\n\n")).status == 400
    assert small.server.threads_given == 1


@pytest.mark.parametrize("says", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "a byte", "some bytes"])
def test_half_a_greeting_has_no_thread(secure: ApiCase, says: bytes) -> None:
    slow = crowd(secure, says)
    assert secure.server.threads_given == 0
    assert ask_secretly(secure, [1 << 20]) == 200
    assert secure.server.threads_given == 1
    close(slow)


@pytest.mark.parametrize("pieces", [[1], [4, 1], [5], [6, 20], [100]], ids=str)
def test_a_greeting_may_come_in_pieces(secure: ApiCase, pieces: List[int]) -> None:
    assert ask_secretly(secure, pieces) == 200


def test_what_is_no_greeting_is_no_harm(secure: ApiCase) -> None:
    for says in (HEAD + b"\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\x00\x02zz"):
        try:
            assert b"HTTP/1.1 200" not in secure.raw(says)
        except OSError:
            continue  # it was closed before all was said
    assert ask_secretly(secure, [7]) == 200
    wait_for(lambda: not len(secure.server.connections))


def ask_secretly(case: ApiCase, pieces: List[int]) -> int:
    """The status of an answer by TLS, where the greeting is sent in pieces of these lengths and then the rest."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing)
    with case.connect() as opened:
        def until(act: "object") -> bytes:
            while True:
                try:
                    return act()  # type: ignore[operator,no-any-return]
                except ssl.SSLWantReadError:
                    opened.sendall(outgoing.read())
                    data = opened.recv(65536)
                    assert data, "it was closed"
                    incoming.write(data)

        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        for length in pieces:
            opened.sendall(outgoing.read(length))
            time.sleep(0.05)
        until(client.do_handshake)
        client.write(HEAD + b"Connection: close\r\n\r\n")
        opened.sendall(outgoing.read())
        return int(until(lambda: client.read(4096)).split()[1])

"""What is no request is refused, whatever it is: by a status of its own, as JSON, or by the end of the connection."""
import json
import random

import pytest

from api_case import ApiCase, parse_reply, read_reply

OK = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEADERS = (b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
           b"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
           b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n")


@pytest.mark.parametrize("data, status", [
    (b"GET / \r\n\r\n", 400),
    (b"GET /health\r\n\r\n", 400),
    (b"GET /health HTTP/0.9\r\nHost: localhost\r\n\r\n", 505),
    (b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    (b"GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /health#x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /h\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17000 + b"\r\n\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 70 + b"\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX" + b"\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\n\r\n", 421),
    (b"GET /health HTTP/1.0\r\n\r\n", 421),
    (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\na", 400),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 1\r\n\r\na", 400),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n", 413),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n", 413),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na", 501),
    (b"POST /health HTTP/1.1\r\nHost: localhost\r\nExpect: 200-maybe\r\n\r\n", 417),
    (b"BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    (b"TRACE /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    (b"OPTIONS /status HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
])
def test_what_is_no_request(api: ApiCase, data: bytes, status: int) -> None:
    answer = api.raw(data)
    reply = parse_reply(answer)
    assert reply.status == status, answer
    assert reply.headers["content-type"] == "application/json"
    document = reply.json()
    assert sorted(document) == ["code", "error_code", "message"]
    assert document["error_code"] == "E600"
    assert HEADERS in answer
    assert b"Server:" not in answer and b"Access-Control" not in answer
    if status == 405:
        assert reply.headers["allow"] == "GET, HEAD"
    assert parse_reply(api.raw(OK)).status == 200


def test_one_connection_answers_many(api: ApiCase) -> None:
    with api.connect() as opened:
        for _ in range(3):
            opened.sendall(OK)
            assert read_reply(opened).status == 200
        opened.sendall(OK + OK)  # pipelined
        assert read_reply(opened).status == 200
        opened.sendall(b"\r\n" + OK[:20])
        opened.sendall(OK[20:])
        assert read_reply(opened).status == 200


def test_an_answer_is_one_write(api: ApiCase) -> None:
    # Head and body apart cost 40 ms each on a connection that goes on.
    with api.connect() as opened:
        opened.sendall(OK)
        data = opened.recv(65536)
    assert data.endswith(b"}\n") and data.startswith(b"HTTP/1.1 200 OK\r\n")


def test_head_is_get_without_a_body(api: ApiCase) -> None:
    got, head = api.get("/health"), api.request("HEAD", "/health")
    assert head.status == got.status and head.body == b""
    assert head.headers["content-length"] == got.headers["content-length"]


def test_the_body_waits_for_its_continue(api: ApiCase) -> None:
    body = json.dumps({"jobs": ["a"]}).encode()
    with api.connect() as opened:
        opened.sendall(b"POST /api/v1/runs/1/marks HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                       b"Content-Type: application/json\r\nAuthorization: Bearer " + api.operator.encode()
                       + b"\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert opened.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        opened.sendall(body)
        assert read_reply(opened).status == 404


@pytest.mark.parametrize("body, kind, status", [
    (b"{}", "text/plain", 415), (b"{}", "application/x-www-form-urlencoded", 415), (b"", "application/json", 400),
    (b"[]", "application/json", 400), (b"{", "application/json", 400), (b"\xff", "application/json", 400),
    (b'{"why": 1}', "application/json", 400), (b'{"unknown": 1}', "application/json", 400),
    (b'{"why": "a", "why": "b"}', "application/json", 400), (b'{"why": "\\ud800"}', "application/json", 400),
    (b'{"why": "\\u0000"}', "application/json", 400), (b'{"now": NaN}', "application/json", 400),
    (b"[" * 60000, "application/json", 400), (b'{"now": "yes"}', "application/json", 400),
    (b'{"why": "' + b"x" * 501 + b'"}', "application/json", 400), (b"{}", "Application/JSON; charset=utf-8", 404),
])
def test_bodies(api: ApiCase, body: bytes, kind: str, status: int) -> None:
    assert api.post("/api/v1/runs/7/cancel", body, headers={"Content-Type": kind}).status == status


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=a", "limit=1&limit=1", "limit", "x=1", "limit=1%",
                                   "status=%ff", "status=NOPE", "before=00", "before=1e3", "since=yesterday",
                                   "application=%00", "limit=%s" % ("9" * 400)])
def test_queries_are_checked(api: ApiCase, query: str) -> None:
    assert api.get("/api/v1/runs?" + query).status == 400


def test_random_bytes(api: ApiCase) -> None:
    source = random.Random(5)
    words = [b"GET ", b"/", b"health", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Host: localhost", b": ", b"\0", b"\n",
             b"Content-Length: 5", b"Transfer-Encoding: chunked", b"\xff\xfe", b"Authorization: Bearer x", b"%2e%2e"]
    for _ in range(300):
        answer = api.raw(b"".join(source.choice(words) for _ in range(source.randrange(1, 20))) + b"\r\n\r\n")
        assert answer == b"" or parse_reply(answer).status in (200, 400, 401, 404, 405, 413, 421, 429, 431, 501, 505)
    assert api.get("/health").status == 200
    assert not [told for told in api.told if told[0] == "ERROR"], api.told

"""Requests and responses as bytes: a strict parser of a request's head, and a writer of whole responses. Pure.

Strict, because what two programs read differently is how requests are smuggled: lines end with CR LF, a header that
matters stands once, no transfer encoding, no folding, no HTTP/0.9, only paths as targets.
"""
import json
import re
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from api.errors import Refusal

__all__ = ["BODY_BYTES", "HEAD_BYTES", "Request", "Response", "find_end_of_head", "json_response", "parse_head",
           "response_head"]

HEAD_BYTES = 16 * 1024
BODY_BYTES = 64 * 1024
_TARGET_BYTES = 4096
_MOST_HEADERS = 64

_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]+) HTTP/([0-9])\.([0-9])\Z")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\Z")
#: Of these only one may stand in a request.
_SINGLE = frozenset(("authorization", "content-length", "content-type", "expect", "host", "last-event-id", "origin",
                     "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "transfer-encoding"))
_REASONS = {200: "OK", 201: "Created", 202: "Accepted", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
            404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
            413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type", 417: "Expectation Failed",
            421: "Misdirected Request", 429: "Too Many Requests",
            431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
            503: "Service Unavailable", 505: "HTTP Version Not Supported"}
#: The same for every answer. Nothing that a user wrote is ever put into a header.
_SECURITY = ("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
             "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
             "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCache-Control: no-store\r\n")


class Request:
    """One request, its head understood."""

    __slots__ = ("method", "path", "query", "headers", "keeps_alive", "body_length", "expects_continue", "body")

    def __init__(self, method: str, path: str, query: str, headers: Dict[str, str], keeps_alive: bool,
                 body_length: int, expects_continue: bool) -> None:
        self.method = method
        #: As it came: nothing is decoded or made shorter.
        self.path = path
        self.query = query
        #: By lower-case name.
        self.headers = headers
        self.keeps_alive = keeps_alive
        self.body_length = body_length
        self.expects_continue = expects_continue
        self.body = b""


#: Waits so many seconds; False = the other side is gone, or nothing more may be sent.
Wait = Callable[[float], bool]


class Response:
    """One answer: a whole body, or a stream of pieces that ends with the connection."""

    __slots__ = ("status", "body", "content_type", "headers", "stream")

    def __init__(self, status: int, body: bytes, content_type: str = "application/json",
                 headers: Optional[Dict[str, str]] = None,
                 stream: Optional[Callable[[Wait], Iterator[bytes]]] = None) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.stream = stream


def json_response(value: object, status: int = 200, headers: Optional[Dict[str, str]] = None) -> Response:
    """A value as JSON, in ASCII."""
    return Response(status, json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n",
                    headers=headers)


def find_end_of_head(data: bytes) -> int:
    """Where the body begins; -1 where the head is not complete.

    :raises Refusal: as soon as it is clear that no head of ours can come of it
    """
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        if end + 4 > HEAD_BYTES:
            raise Refusal("head_too_large")
        return end + 4
    if len(data) > HEAD_BYTES:
        raise Refusal("head_too_large")
    line_end = data.find(b"\n")
    if line_end >= 0 and data[line_end - 1:line_end] != b"\r":
        raise Refusal("bad_request", "lines of the head end with CR LF")
    if line_end >= 0:
        _request_line(data[:line_end - 1].decode("latin-1"))
    return -1


def _request_line(line: str) -> Tuple[str, str, bool]:
    """Method, target, and whether it is HTTP/1.1."""
    found = _REQUEST_LINE.match(line)
    if found is None:
        raise Refusal("bad_request", "expected a request line: METHOD /path HTTP/1.1")
    method, target, major, minor = found.groups()
    if major != "1" or minor not in "01":
        raise Refusal("version")
    if len(target) > _TARGET_BYTES:
        # A path is a place; what follows the ? is only a value that is too long.
        if "?" in target[:_TARGET_BYTES]:
            raise Refusal("bad_request", "the query is too long")
        raise Refusal("target_too_long")
    if target[0] != "/":
        raise Refusal("bad_request", "the target must be a path")
    if "#" in target:
        raise Refusal("bad_request", "a fragment is not for servers")
    return method, target, minor == "1"


def parse_head(head: bytes) -> Request:
    """Understand a head, up to and with its empty line.

    :raises Refusal: for whatever a strict reader does not accept
    """
    lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, is_newer = _request_line(lines[0])
    if len(lines) > _MOST_HEADERS + 1:
        raise Refusal("head_too_large", "more than %d headers" % _MOST_HEADERS)
    headers: Dict[str, str] = {}
    for line in lines[1:]:
        found = _HEADER.match(line)
        if found is None:
            raise Refusal("bad_request", "a header is not well-formed")
        name, value = found.group(1).lower(), found.group(2)
        if name in headers:
            if name in _SINGLE:
                raise Refusal("bad_request", "the header %s stands twice" % name)
            value = headers[name] + ", " + value
        headers[name] = value
    if "transfer-encoding" in headers:
        raise Refusal("not_implemented")
    length = headers.get("content-length", "0")
    if not _is_number(length):
        raise Refusal("bad_request", "Content-Length must be a number")
    if int(length) > BODY_BYTES:
        raise Refusal("body_too_large")
    expects = headers.get("expect", "").lower()
    if expects not in ("", "100-continue"):
        raise Refusal("expectation")
    options = [word.strip() for word in headers.get("connection", "").lower().split(",")]
    keeps_alive = is_newer and "close" not in options
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, keeps_alive, int(length), bool(expects) and is_newer)


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 18 and not text.strip("0123456789")


def response_head(response: Response, date: str, keeps_alive: bool) -> bytes:
    """The head of an answer; no ``Content-Length`` where it is a stream."""
    lines: List[str] = ["HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n" % (
        response.status, _REASONS[response.status], date, response.content_type)]
    if response.stream is None:
        lines.append("Content-Length: %d\r\n" % len(response.body))
    if not keeps_alive:
        lines.append("Connection: close\r\n")
    if response.headers:
        for name, value in response.headers.items():
            if "\r" in value or "\n" in value:
                raise ValueError("a header of several lines: %s" % name)
            lines.append("%s: %s\r\n" % (name, value))
    lines.append(_SECURITY)
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")

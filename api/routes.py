"""The route table's vocabulary: what a route accepts, what it answers, and how a request finds it.

A route says what it accepts once; the check of a request, the OpenAPI document and the documentation page come from it.
"""
import json
import re
from typing import TYPE_CHECKING, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union
from urllib.parse import unquote_to_bytes

from api.errors import Refusal
from api.messages import Request, Response
from api.tokens import Token

if TYPE_CHECKING:
    from api.service import Service

__all__ = ["Answer", "Call", "Parameter", "Route", "RouteTable", "body_field", "parameter"]

LARGEST = 10 ** 18 - 1
Value = Union[None, bool, int, str, List[str]]


class Parameter(NamedTuple):
    """One value of a request: in its path, its query or its body."""

    name: str
    text: str
    #: ``string``, ``integer``, ``boolean`` or ``strings`` (a list of them).
    kind: str
    required: bool
    minimum: int
    maximum: int
    choices: Tuple[str, ...]
    pattern: str
    example: Value
    default: Value


def parameter(name: str, text: str, kind: str = "string", minimum: int = 0, maximum: int = LARGEST,
              choices: Sequence[str] = (), pattern: str = "", example: Value = None, default: Value = None,
              required: bool = False) -> Parameter:
    """A value of path or query; ``minimum`` and ``maximum`` are of the number, or of the text's length."""
    if kind == "string" and maximum == LARGEST:
        maximum = 512
    return Parameter(name, text, kind, required, minimum, maximum, tuple(choices), pattern, example, default)


body_field = parameter


class Answer(NamedTuple):
    """What a route answers where all goes well."""

    status: int
    text: str
    #: Name of a schema in the OpenAPI document.
    schema: str
    content_type: str = "application/json"


class Route(NamedTuple):
    """One method of one path."""

    method: str
    #: With ``{names}``; a name stands for a whole segment.
    path: str
    #: ``""`` = open to all; else the least role.
    role: str
    name: str
    text: str
    handler: "Callable[[Service, Call], Response]"
    answer: Answer
    in_path: Tuple[Parameter, ...] = ()
    in_query: Tuple[Parameter, ...] = ()
    in_body: Optional[Tuple[Parameter, ...]] = None
    #: Codes of ``api.errors.PROBLEMS`` that it may answer besides those that all may.
    problems: Tuple[str, ...] = ()
    #: A page for people, to which a link on another site may lead.
    is_page: bool = False


class Call:
    """A request that has found its route and passed its gate, with its values checked."""

    __slots__ = ("request", "route", "token", "values", "still_admitted")

    def __init__(self, request: Request, route: Route, token: Optional[Token], values: Dict[str, Value],
                 still_admitted: Callable[[], bool]) -> None:
        self.request = request
        self.route = route
        self.token = token
        self.values = values
        self.still_admitted = still_admitted

    def text(self, name: str) -> str:
        """A text that was given, or its default."""
        value = self.values[name]
        assert isinstance(value, str)
        return value

    def text_or_none(self, name: str) -> Optional[str]:
        """A text, or None where it was not given."""
        value = self.values.get(name)
        assert value is None or isinstance(value, str)
        return value

    def number(self, name: str) -> int:
        """A number that was given, or its default."""
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def number_or_none(self, name: str) -> Optional[int]:
        """A number, or None where it was not given."""
        value = self.values.get(name)
        assert value is None or isinstance(value, int)
        return value

    def flag(self, name: str) -> bool:
        """A truth value; false where it was not given."""
        return self.values.get(name) is True

    def texts(self, name: str) -> List[str]:
        """A list of texts; empty where it was not given."""
        value = self.values.get(name)
        return value if isinstance(value, list) else []


class RouteTable:
    """All routes, and how a request finds its own."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: Dict[str, Dict[str, Route]] = {}
        self._patterns: Dict[int, List[Tuple[List[str], Dict[str, Route]]]] = {}
        by_path: Dict[str, Dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        for path, methods in by_path.items():
            if "{" in path:
                segments = path.split("/")
                self._patterns.setdefault(len(segments), []).append((segments, methods))
            else:
                self._fixed[path] = methods

    def find(self, request: Request) -> "Tuple[Optional[Route], List[str]]":
        """The route and the segments of the path as they came; None where there is no such path.

        :raises Refusal: 405 where the path has no such method
        """
        methods, segments = self._methods(request.path)
        if methods is None:
            return None, []
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            allowed = sorted(set(methods) | ({"HEAD"} if "GET" in methods else set()))
            raise Refusal("method", "%s is not for this path" % request.method if request.method.isalpha() else "",
                          Allow=", ".join(allowed))
        return route, segments

    def _methods(self, path: str) -> "Tuple[Optional[Dict[str, Route]], List[str]]":
        found = self._fixed.get(path)
        if found is not None:
            return found, []
        segments = path.split("/")
        for pattern, methods in self._patterns.get(len(segments), ()):
            if all(part == segment or (part[:1] == "{" and segment) for part, segment in zip(pattern, segments)):
                return methods, segments
        return None, []


def values_of(route: Route, segments: Sequence[str], request: Request) -> Dict[str, Value]:
    """The values of path, query and body, checked by the route.

    :raises Refusal: 400 (404 for the path, 415 for the body's type) where they are not as it says
    """
    values: Dict[str, Value] = {}
    if route.in_path:
        given = {part[1:-1]: segment for part, segment in zip(route.path.split("/"), segments) if part[:1] == "{"}
        for wanted in route.in_path:
            try:
                values[wanted.name] = _checked(wanted, _decoded(given[wanted.name], False))
            except Refusal:
                raise Refusal("not_found", "the path has no such %s" % wanted.name)
    if route.in_query or request.query:
        _read_query(route, request.query, values)
    if route.in_body is not None:
        _read_body(route.in_body, request, values)
    return values


def _read_query(route: Route, query: str, values: Dict[str, Value]) -> None:
    known = {wanted.name: wanted for wanted in route.in_query}
    given: Dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        name = _decoded(name, True)
        if name not in known:
            raise Refusal("bad_request", "the query has a parameter that is not known here%s" % (
                "; known are: " + ", ".join(known) if known else ""))
        if name in given:
            raise Refusal("bad_request", "the parameter %s stands twice" % name)
        given[name] = _decoded(value, True)
    for wanted in route.in_query:
        if wanted.name in given:
            values[wanted.name] = _checked(wanted, given[wanted.name])
        elif wanted.required:
            raise Refusal("bad_request", "the parameter %s is missing" % wanted.name)
        else:
            values[wanted.name] = wanted.default


def _decoded(text: str, is_query: bool) -> str:
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise Refusal("bad_request", "a % must be followed by two hexadecimal digits")
    try:
        decoded = unquote_to_bytes(text.replace("+", " ") if is_query else text).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("bad_request", "what is encoded with % must be UTF-8")
    if "\0" in decoded:
        raise Refusal("bad_request", "no value may hold a NUL")
    return decoded


def _checked(wanted: Parameter, text: str) -> Value:
    """A value of path or query, which are text."""
    if wanted.kind == "integer":
        digits = text[1:] if text[:1] == "-" else text
        if not digits or len(digits) > 18 or digits.strip("0123456789") or (len(digits) > 1 and digits[0] == "0"):
            raise Refusal("bad_request", "%s must be a whole number" % wanted.name)
        return _bounded(wanted, int(text))
    if wanted.kind == "boolean":
        if text not in ("true", "false"):
            raise Refusal("bad_request", "%s must be true or false" % wanted.name)
        return text == "true"
    return _bounded(wanted, text)


def _bounded(wanted: Parameter, value: Union[int, str]) -> Union[int, str]:
    if isinstance(value, int):
        if not wanted.minimum <= value <= wanted.maximum:
            raise Refusal("bad_request", "%s must be from %d to %d" % (wanted.name, wanted.minimum, wanted.maximum))
        return value
    if wanted.choices and value not in wanted.choices:
        raise Refusal("bad_request", "%s must be one of: %s" % (wanted.name, ", ".join(wanted.choices)))
    if not wanted.minimum <= len(value) <= wanted.maximum:
        raise Refusal("bad_request", "%s must have %d to %d characters" % (wanted.name, wanted.minimum,
                                                                         wanted.maximum))
    if wanted.pattern and not re.match("(?:%s)\\Z" % wanted.pattern, value):
        raise Refusal("bad_request", "%s is not well-formed" % wanted.name)
    return value


def _read_body(fields: Sequence[Parameter], request: Request, values: Dict[str, Value]) -> None:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        # A page elsewhere can make a browser send a form without asking; JSON it cannot.
        raise Refusal("media_type")
    try:
        body = json.loads(request.body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal("bad_request", "the body must be a JSON object in UTF-8, each key once")
    if not isinstance(body, dict):
        raise Refusal("bad_request", "the body must be a JSON object")
    known = {wanted.name: wanted for wanted in fields}
    for name in body:
        if name not in known:
            raise Refusal("bad_request", "the body has a key that is not known here; known are: " + ", ".join(known))
    for wanted in fields:
        if wanted.name in body:
            values[wanted.name] = _checked_json(wanted, body[wanted.name])
        elif wanted.required:
            raise Refusal("bad_request", "the key %s is missing" % wanted.name)
        else:
            values[wanted.name] = wanted.default


def _checked_json(wanted: Parameter, value: object) -> Value:
    if wanted.kind == "boolean" and isinstance(value, bool):
        return value
    if wanted.kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return _bounded(wanted, value)
    if wanted.kind == "string" and isinstance(value, str) and _is_plain(value):
        return _bounded(wanted, value)
    if wanted.kind == "strings" and isinstance(value, list):
        texts = [one for one in value if isinstance(one, str) and 0 < len(one) <= 1024 and _is_plain(one)]
        if len(texts) == len(value) and wanted.minimum <= len(texts) <= wanted.maximum:
            return texts
        raise Refusal("bad_request", "%s must be a list of %d to %d texts of 1 to 1024 characters" % (
            wanted.name, wanted.minimum, wanted.maximum))
    raise Refusal("bad_request", "%s must be a %s" % (wanted.name, {"strings": "list of texts", "string": "text"}.get(
        wanted.kind, wanted.kind)))


def _is_plain(text: str) -> bool:
    """Whether it can be stored and sent: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _unique(pairs: List[Tuple[str, object]]) -> Dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)

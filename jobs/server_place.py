"""Where a central history is: a database server, by a URL or by keys; never its password, only where that is found.

    place = parse_place("postgresql://jobs@db.example.org/history?password_env=HISTORY_PASSWORD")
    str(place)                                # the same, for people, messages and the history
    place.password(os.environ)                # read when a connection is made, and kept nowhere
"""
import os
import re
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

from jobs.exceptions import ConfigurationError

__all__ = ["PORTS", "SERVER_KINDS", "SSL_MODES", "ServerPlace", "parse_place", "place_of", "problem_of"]

#: Kinds of servers, and the port that each has where none is named.
PORTS: Dict[str, int] = {"postgresql": 5432, "oracle": 1521}
SERVER_KINDS = tuple(sorted(PORTS))
#: What a place says besides its kind; the order is that of a URL's query.
_EXTRAS = ("schema", "sslmode", "password_env", "password_file")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_VARIABLE = re.compile(r"\A\$\{([A-Za-z_][A-Za-z0-9_]*)\}\Z")
_VARIABLE_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
_SCHEMA = re.compile(r"\A[a-z_][a-z0-9_]{0,62}\Z")
_URL = re.compile(r"\A([a-z]+)://(?:([^/@]*)@)?(\[[^\]/]*\]|[^/:?]*)(?::([0-9]*))?/([^?]*)(?:\?(.*))?\Z", re.DOTALL)
_MOST_PASSWORD_BYTES = 4096


class ServerPlace(NamedTuple):
    """A database on a server. Holds no secret."""

    kind: str
    host: str = ""
    port: int = 0
    #: Of the database; with Oracle of the service.
    name: str = ""
    user: str = ""
    #: Where the tables are in it; "" = where the user's own are.
    schema: str = ""
    sslmode: str = ""
    #: The variable that holds the password; "" = none of ours.
    password_env: str = ""
    #: The file whose first line is the password.
    password_file: str = ""

    def __str__(self) -> str:
        host = "[%s]" % self.host if ":" in self.host else _quoted(self.host)
        text = "%s://%s%s%s/%s" % (self.kind, _quoted(self.user) + "@" if self.user else "", host,
                                   ":%d" % self.port if self.port else "", _quoted(self.name))
        extras = ["%s=%s" % (name, _quoted(getattr(self, name))) for name in _EXTRAS if getattr(self, name)]
        return text + ("?" + "&".join(extras) if extras else "")

    def password(self, environ: Mapping[str, str]) -> Optional[str]:
        """The password as the environment or the file has it now; None where the driver is to look for it itself.

        :raises ConfigurationError: where the variable is not set, or the file cannot be read or is open to others
        """
        if self.password_env:
            if self.password_env not in environ:
                raise ConfigurationError("%s: the variable %s, which is to hold the password, is not set" % (
                    self.shown, self.password_env), context={"variable": self.password_env})
            return environ[self.password_env]
        if not self.password_file:
            return None
        return _password_in(self.password_file, self.shown)

    @property
    def shown(self) -> str:
        """The place in short: where it is, and not how the password is found."""
        return str(self._replace(sslmode="", password_env="", password_file=""))


def parse_place(url: str) -> ServerPlace:
    """The place that a URL names: ``KIND://[USER[:${VARIABLE}]@]HOST[:PORT]/NAME[?schema=…&password_env=…]``.

    :raises ConfigurationError: where it is none; a password in it is never repeated
    """
    found = _URL.match(url)
    if found is None or found.group(1) not in PORTS:
        kind = url.partition("://")[0]
        raise ConfigurationError("expected a URL such as postgresql://USER@HOST/DATABASE, got %s" % (
            'one that begins with "%s://"' % kind if re.match(r"[A-Za-z0-9+.-]{1,30}\Z", kind) and "://" in url
            else "something else"),
                                 context={"hint": "known are: " + ", ".join(SERVER_KINDS)})
    kind, who, host, port, name, query = found.groups()
    user, colon, secret = (who or "").partition(":")
    extras: Dict[str, str] = {}
    if colon:
        variable = _VARIABLE.match(secret)
        if variable is None:
            raise ConfigurationError("a password does not belong into the URL", context={
                "hint": "write ${VARIABLE} in its place, or password_env=VARIABLE or password_file=PATH behind a ?"})
        extras["password_env"] = variable.group(1)
    for part in (query or "").split("&") if query else ():
        key, _, value = part.partition("=")
        if key not in _EXTRAS:
            raise ConfigurationError('the URL says "%s", which is not known' % _unquoted(key),
                                     context={"hint": "known are: " + ", ".join(_EXTRAS)})
        extras[key] = _unquoted(value)
    place = ServerPlace(kind, _unquoted(host.strip("[]")), int(port) if port else 0, _unquoted(name),
                        _unquoted(user), *[extras.get(name, "") for name in _EXTRAS])
    problem = problem_of(place)
    if problem is not None:
        raise ConfigurationError(problem[1])
    return place


def place_of(keys: Mapping[str, object], kind: str) -> ServerPlace:
    """The place that the keys of an object name; what they lack has its default. Not judged here (``problem_of``)."""
    port = keys.get("port", 0)
    return ServerPlace(kind, port=port if isinstance(port, int) else 0, **{
        name: str(keys.get(name, "")) for name in ("host", "name", "user") + _EXTRAS})


def problem_of(place: ServerPlace) -> Optional[Tuple[str, str]]:
    """What is wrong with a place, as the key and a sentence; None where it can be used."""
    checks: List[Tuple[bool, str, str]] = [
        (not place.name, "name", "the name of the %s is missing" % (
            "service" if place.kind == "oracle" else "database")),
        (place.kind == "oracle" and not place.host, "host", "the host of the server is missing"),
        (place.kind == "oracle" and not place.user, "user", "the user is missing"),
        (not 0 <= place.port <= 65535, "port", "there is no port %d" % place.port),
        (bool(place.schema) and _SCHEMA.match(place.schema) is None, "schema",
         "a schema is named by up to 63 small letters, digits and underscores"),
        (bool(place.sslmode) and place.sslmode not in SSL_MODES, "sslmode",
         "sslmode must be one of " + ", ".join(SSL_MODES)),
        (bool(place.sslmode) and place.kind == "oracle", "sslmode", "sslmode is for postgresql"),
        (bool(place.password_env) and _VARIABLE_NAME.match(place.password_env) is None, "password_env",
         "password_env must name a variable of the environment"),
        (bool(place.password_env and place.password_file), "password_file",
         "password_env and password_file contradict each other"),
        (bool(place.password_file) and not os.path.isabs(place.password_file), "password_file",
         "password_file must be an absolute path"),
        (any("\0" in part or "\n" in part for part in place[1:] if isinstance(part, str)), "",
         "a line feed or a NUL has no place in it"),
    ]
    for is_wrong, key, sentence in checks:
        if is_wrong:
            return key, sentence
    return None


def _password_in(path: str, shown: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            mode = os.fstat(descriptor).st_mode
            if mode & 0o077:
                raise ConfigurationError("%s: the password file %s is open to others (mode %04o)" % (
                    shown, path, mode & 0o7777), context={"hint": "chmod 600 %s" % path})
            line = os.read(descriptor, _MOST_PASSWORD_BYTES).split(b"\n")[0]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigurationError("%s: the password file %s cannot be read: %s" % (
            shown, path, error.strerror or error))
    if not line:
        raise ConfigurationError("%s: the password file %s is empty" % (shown, path))
    return line.decode("utf-8", "surrogateescape")


def _quoted(text: str) -> str:
    return "".join(chr(byte) if chr(byte).isalnum() and byte < 128 or chr(byte) in "-._~$/" else "%%%02X" % byte
                   for byte in text.encode("utf-8", "surrogateescape"))


def _unquoted(text: str) -> str:
    data = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found.group(1), 16)]),
                  text.encode("utf-8", "surrogateescape"))
    return data.decode("utf-8", "surrogateescape")

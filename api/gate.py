"""The one gate that every request passes: the name it was sent to, the page it comes from, and who sends it."""
import re
import threading
import time
from typing import Callable, FrozenSet, Iterable, List, NoReturn, Optional

from api.errors import Refusal
from api.messages import Request
from api.tokens import READ, Token, TokenStore

__all__ = ["Gate"]

#: Failed authentications within a second, after which the others are not even told that they failed.
_FAILURES = 10
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@]+)(?::([0-9]{1,5}))?\Z")
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Gate:
    """Decides about requests before any route sees them.

    :param tokens: who is known
    :param names: hosts besides this machine's loopback that the server answers to, without ports
    :param scheme: ``http`` or ``https``
    """

    def __init__(self, tokens: TokenStore, names: Iterable[str] = (), scheme: str = "http") -> None:
        self._tokens = tokens
        self._names: FrozenSet[str] = frozenset(_LOCAL_NAMES) | {name.lower() for name in names}
        self._scheme = scheme
        self._failures: List[float] = []
        self._guard = threading.Lock()
        self.failures_a_second = _FAILURES
        #: For the metrics.
        self.failed = 0

    def check_origin(self, request: Request, is_page: bool) -> None:
        """Refuse what was sent to another name, or by another site's page.

        :param is_page: a page of the dashboard, which a link elsewhere may lead to
        :raises Refusal: 421 or 403
        """
        headers = request.headers
        host = headers.get("host", "").lower()
        found = _HOST.match(host)
        if found is None or found.group(1) not in self._names:
            # A page that has its name point here (DNS rebinding) is told nothing.
            raise Refusal("misdirected")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != "%s://%s" % (self._scheme, host):
            raise Refusal("foreign_origin")
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and not (
                is_page and headers.get("sec-fetch-mode") == "navigate"
                and headers.get("sec-fetch-dest") == "document" and request.method == "GET"):
            raise Refusal("foreign_origin")

    def identify(self, request: Request) -> Optional[Token]:
        """Whose token the request carries; None where it carries none.

        :raises Refusal: where the token is wrong; always with the same answer
        """
        value = request.headers.get("authorization")
        if value is None:
            return None
        scheme, _, secret = value.partition(" ")
        found = self._tokens.find(secret.strip(" ")) if len(secret) < 1024 else None
        if found is None or scheme.lower() != "bearer":
            self._fail()  # having none is no failure: nothing was guessed
        return found

    def admit(self, token: Optional[Token], role: str) -> Token:
        """Let somebody in who may.

        :param role: what the route asks for
        :raises Refusal: 401 without a token, 403 where it may not
        """
        if token is None:
            raise _unknown()
        if not token.allows(role):
            raise Refusal("role", "the token %s may only %s" % (token.name, READ))
        return token

    def still_admits(self, token: Optional[Token]) -> Callable[[], bool]:
        """Asked again and again while a stream is open: whether its token was not revoked meanwhile."""
        return lambda: token is None or token in self._tokens.all()

    def _fail(self) -> NoReturn:
        now = time.monotonic()
        with self._guard:
            self.failed += 1
            self._failures = [at for at in self._failures if now - at < 1.0][-self.failures_a_second:]
            is_flood = len(self._failures) >= self.failures_a_second
            if not is_flood:
                self._failures.append(now)
        if is_flood:
            raise Refusal("too_many_failures", Retry_After="1")
        raise _unknown()


def _unknown() -> Refusal:
    return Refusal("not_authenticated", WWW_Authenticate='Bearer realm="executioner"')

"""What the routes answer with: the history, the secrets, the tokens, the clock, and the gate before all of them."""
import json
from typing import Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional

from api.central import CentralReaders, refuse_what_is_of_one_host
from api.errors import Refusal, refusal
from api.gate import Gate
from api.launcher import Launcher
from api.live import Watches
from api.messages import Request, Response, json_response
from api.readers import ReaderPool
from api.routes import Call, RouteTable, values_of
from api.secrets import Secrets
from api.tokens import Token
from db.history import History
from jobs.exceptions import ConfigurationError, ExecutionerError, InternalError, OverlapError, StorageError

__all__ = ["Check", "Service"]

#: Tells about something of the server's own life: level, event, message, and the error behind it.
Report = Callable[[str, str, str, Optional[BaseException]], None]


class Check(NamedTuple):
    """One thing that ``/health`` looks at."""

    name: str
    ok: bool
    message: str = ""


class Service:
    """Everything that a route may use.

    :param version: of the product, for those who have a token
    :param history_path: the SQLite file of the home
    :param vitals: makes the checks of ``/health``
    :param central: opens the history on a server, where that is served instead
    """

    def __init__(self, table: RouteTable, gate: Gate, history_path: str, locks: str, version: str,
                 environ: Mapping[str, str], launcher: Launcher, vitals: Callable[[], List[Check]], report: Report,
                 central: Optional[Callable[[], History]] = None) -> None:
        self.table = table
        self.gate = gate
        self.history_path = history_path
        #: The home's folder of locks, where the slots of pools are.
        self.locks = locks
        self.version = version
        self.secrets = Secrets(environ)
        self.readers = ReaderPool(history_path) if central is None else CentralReaders(central)
        self.is_central = central is not None
        self.launcher = launcher
        self.watches = Watches(self.readers)
        self.vitals = vitals
        self.report = report
        #: Requests by status, for the metrics.
        self.answered: Dict[int, int] = {}
        self.started_at = self.now()

    def answer(self, request: Request) -> Response:
        """The response to a request: the one way in. Never raises."""
        try:
            response = self._answer(request)
        except Refusal as problem:
            response = json_response(problem.document(), problem.status, problem.headers)
        except ExecutionerError as error:
            response = self._failed(error)
        except Exception as error:  # noqa: BLE001 - a defect must cost one answer and not the connection
            self.report("ERROR", "api_error", "%s: %s" % (type(error).__name__, error), error)
            response = json_response(Refusal("internal").document(), 500)
        self.answered[response.status] = self.answered.get(response.status, 0) + 1
        return response

    def reply(self, value: object, config_paths: Iterable[str] = (), status: int = 200) -> Response:
        """A value as JSON, with the secrets of these configurations replaced in all its strings."""
        masker = self.secrets.masker(config_paths)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        if masker and masker.may_stand_in(text):
            text = json.dumps(masker.mask_value(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        # A lone surrogate becomes its JSON escape.
        return Response(status, text.encode("utf-8", "backslashreplace") + b"\n")

    def now(self) -> float:
        """Epoch seconds."""
        from jobs.system import SystemClock
        return SystemClock().wall()

    def close(self) -> None:
        """Let go of what is open."""
        self.readers.close()
        self.launcher.reap()

    def _answer(self, request: Request) -> Response:
        problem: Optional[Refusal] = None
        try:
            route, segments = self.table.find(request)
        except Refusal as unknown:
            route, segments, problem = None, [], unknown
        self.gate.check_origin(request, route is not None and route.is_page)
        if problem is not None:
            raise problem
        token: Optional[Token] = self.gate.identify(request)
        if route is None:
            self.gate.admit(token, "read")
            raise Refusal("not_found", "there is no such path; /openapi.json lists them")
        if route.role:
            self.gate.admit(token, route.role)
        values = values_of(route, segments, request)
        call = Call(request, route, token, values, self.gate.still_admits(token))
        if self.is_central:
            refuse_what_is_of_one_host(route, call)
        return route.handler(self, call)

    def _failed(self, error: ExecutionerError) -> Response:
        """The answer where the tool itself refuses."""
        if isinstance(error, (OverlapError, ConfigurationError)):
            code = "conflict"
        elif isinstance(error, StorageError):
            code = "storage"
        else:
            code = "internal"
        if code in ("storage", "internal"):
            self.report("ERROR", "api_error", error.message, error)
        message = error.message if code != "internal" else ""
        shown = Refusal(code, message)
        if isinstance(error, InternalError):
            return json_response(shown.document(), shown.status)
        return self.reply(refusal(code, shown.message, error.error_code), (), shown.status)

"""``serve``: the HTTP API and the dashboard, until a signal."""
import os
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Tuple

from executioner.central import CENTRAL
from executioner.console import Console
from executioner.home import Home, locate
from executioner.options import DATABASE, Arguments, CommandSpec, Option, usage_error
from jobs.exceptions import EXIT_OK, APIError

if TYPE_CHECKING:
    import ssl

    from api.server import ExecutionerAPI
    from api.service import Report
    from db.history import History

__all__ = ["DEFAULT_PLACE", "SPEC", "execute", "parse_place"]

SPEC = CommandSpec(
    "", 0, 0,
    (Option("--listen", "where (127.0.0.1:8765); port 0 = any free one", "HOST:PORT"),
     Option("--allow-host", "a name that it answers to besides loopback and its own; repeatable", "NAME"),
     Option("--tls-cert", "speak TLS with this certificate (PEM, with its chain)", "FILE"),
     Option("--tls-key", "and this key (PEM)", "FILE"),
     CENTRAL, DATABASE,
     Option("--until-eof", "end when standard input ends, as well")),
    "Serves the HTTP API and the dashboard of a home until SIGTERM or SIGINT. It only reads the history; runs that\n"
    "are started through it go on when it ends. Whoever asks needs a token: executioner token create NAME.",
    (("executioner serve", "on http://127.0.0.1:8765/"),
     ("executioner serve --listen 0.0.0.0:8443 --allow-host jobs.example.org --tls-cert c.pem --tls-key k.pem",
      "for others")))

#: Where it listens where nothing is said.
DEFAULT_PLACE = "127.0.0.1:8765"


def execute(arguments: Arguments, console: Console) -> int:
    """Serve until a signal."""
    import select

    from jobs.startup import StopSignals

    host, port = parse_place(arguments.one("listen") or DEFAULT_PLACE, "--listen")
    home = locate(arguments.one("home"), console.environ, arguments.one("database"))
    tls = _tls(arguments)
    central = _central(arguments, console) if arguments.flag("central") else None
    home.create()
    report = _log(home)
    signals = StopSignals(console.origin.hup_ignored if console.origin is not None else False)
    try:
        try:
            server = _server(home, console, host, port, arguments.many("allow_host"), tls, report, central)
        except APIError as error:
            report("ERROR", "api_failed", error.message, None)
            raise
        scheme = "https" if tls is not None else "http"
        address = str(server.server_address[0])
        url = "%s://%s:%d/" % (scheme, "[%s]" % address if ":" in address else address, server.port)
        console.out.line(url)
        console.out.flush()
        _advise(home, console, host, tls is not None)
        report("INFO", "api_started", "serving %s at %s" % (home.path, url), None)
        import threading
        loop = threading.Thread(target=server.serve_forever, daemon=True)
        loop.start()
        watched = [signals.fd] + ([0] if arguments.flag("until_eof") else [])
        while True:
            ready, _, _ = select.select(watched, [], [])
            if 0 in ready and not os.read(0, 4096):
                break
            if any(number != _USR1 for number in signals.take()):
                break
        server.stop()
        report("INFO", "api_stopped", "served %s no longer" % url, None)
        return EXIT_OK
    finally:
        signals.close()


_USR1 = 10


def parse_place(text: str, option: str) -> Tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``[::1]:PORT`` or ``:PORT``.

    :raises ConfigurationError: where it is none of them
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not port.isdigit() or int(port) > 65535:
        raise usage_error('%s: expected HOST:PORT such as 127.0.0.1:8765 or [::1]:8765, found "%s"' % (option, text))
    return host or "127.0.0.1", int(port)


def _server(home: Home, console: Console, host: str, port: int, names: List[str], tls: "Optional[ssl.SSLContext]",
            report: "Report", central: "Optional[Callable[[], History]]") -> "ExecutionerAPI":
    from api.app import make_server
    from api.tokens import TokenStore
    from api.vitals import Vitals
    from executioner import __version__
    from executioner.ourselves import own_words

    environ: Dict[str, str] = dict(console.environ)
    try:
        return make_server(host, port, home.history, home.locks, TokenStore(home.tokens),
                           own_words() + ["--home", home.path], environ, __version__,
                           Vitals(home.path, home.history).checks, report, names, None, tls, central)
    except OSError as error:
        raise APIError("cannot listen on %s:%d: %s" % (host, port, error.strerror or error), context={
            "hint": "another port is named with --listen HOST:PORT"})


def _central(arguments: Arguments, console: Console) -> "Callable[[], History]":
    """What opens the history on the server; tried once, so that what is wrong is said at the start."""
    from db.central import open_central
    from executioner.central import central_place

    place = central_place(arguments, console)

    def connect() -> "History":
        return open_central(place, console.environ, readonly=True, lock_timeout_s=5.0)

    connect().close()
    return connect


def _tls(arguments: Arguments) -> "Optional[ssl.SSLContext]":
    certificate, key = arguments.one("tls_cert"), arguments.one("tls_key")
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise usage_error("--tls-cert and --tls-key go together")
    from api.app import tls_context
    try:
        return tls_context(certificate, key)
    except OSError as error:
        raise usage_error("--tls-cert, --tls-key: %s" % (error.strerror or error))


def _advise(home: Home, console: Console, host: str, is_tls: bool) -> None:
    """What whoever started it should know, at once."""
    from api.tokens import TokenStore
    if not TokenStore(home.tokens).all():
        console.err.line("executioner: nobody has a token yet; make one with: executioner token create NAME")
    if host not in ("localhost", "::1") and not host.startswith("127.") and not is_tls:
        console.err.line("executioner: %s is reached from elsewhere, and without TLS tokens travel in the clear" % host)


def _log(home: Home) -> "Report":
    from executioner_logging.record import Record, exception_fields
    from executioner_logging.writer import LogWriter
    from jobs.system import SystemClock

    writer = LogWriter(home.log)
    clock = SystemClock()

    def report(level: str, event: str, message: str, error: Optional[BaseException]) -> None:
        record = Record(clock.wall(), level, event, message, logger="executioner.api")
        if error is not None:
            record.exception = exception_fields(error)
        writer.write([record])

    return report

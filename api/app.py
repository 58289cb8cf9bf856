"""Joins table, gate and services to a server for one home."""
import ssl
import sys
from typing import Callable, Dict, List, Optional, Sequence

from api.gate import Gate
from api.launcher import Launcher
from api.server import ExecutionerAPI, Limits
from api.service import Check, Report, Service
from api.table import TABLE
from api.tokens import TokenStore
from db.history import History

__all__ = ["make_server", "tls_context"]


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """What TLS 1.2 and newer is spoken with.

    :param certificate: path of the chain, PEM
    :param key: path of its key, PEM
    :raises OSError: where they cannot be read, or do not belong together
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if sys.version_info >= (3, 7):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:
        context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    context.load_cert_chain(certificate, key)
    return context


def make_server(host: str, port: int, history_path: str, locks: str, tokens: TokenStore, command: Sequence[str],
                environ: Dict[str, str], version: str, vitals: Callable[[], List[Check]], report: Report,
                names: Sequence[str] = (), limits: Optional[Limits] = None,
                tls: Optional[ssl.SSLContext] = None,
                central: Optional[Callable[[], History]] = None) -> ExecutionerAPI:
    """A server that listens; ``serve_forever`` answers.

    :param port: 0 = any free one
    :param locks: the home's folder of locks; the history may be elsewhere
    :param command: how a run is started: ourselves, with the home
    :param central: opens the history on a server, where that is served instead of the home's
    :param names: hosts that it answers to besides loopback and ``host``
    :raises OSError: where it cannot listen there
    """
    own = [] if host in ("", "0.0.0.0", "::") else ["[%s]" % host if ":" in host else host]  # noqa: S104
    gate = Gate(tokens, list(names) + own, "https" if tls is not None else "http")
    service = Service(TABLE, gate, history_path, locks, version, environ, Launcher(command, environ), vitals,
                      report, central)
    return ExecutionerAPI(host, port, service.answer, limits, tls, service.launcher.reap)

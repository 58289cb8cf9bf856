"""TLS: what is spoken, with whom, and that one slow client keeps nobody else waiting; with a certificate made here."""
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from typing import Any, Dict, Iterator, List

import pytest

from api.app import tls_context
from api.server import Limits
from api_case import ROOT, ApiCase

#: More than one request takes on a loaded machine, and less than the handshake of a silent client may.
SOON_S = 10.0


def make_certificate(folder: str, name: str) -> "Dict[str, str]":
    """A certificate that signs itself, for 127.0.0.1 and localhost, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("not run: no openssl command")
    made = {"certificate": os.path.join(folder, name + ".pem"), "key": os.path.join(folder, name + ".key")}
    settings = os.path.join(folder, name + ".cnf")
    with open(settings, "w") as out:
        out.write("[req]\ndistinguished_name = who\nx509_extensions = more\nprompt = no\n[who]\nCN = localhost\n"
                  "[more]\nsubjectAltName = DNS:localhost, IP:127.0.0.1\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", settings,
                    "-keyout", made["key"], "-out", made["certificate"]], check=True, stderr=subprocess.DEVNULL)
    return made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: Any) -> "Dict[str, str]":
    return make_certificate(str(tmp_path_factory.mktemp("tls")), "ours")


@pytest.fixture
def secure(folder: str, certificate: "Dict[str, str]") -> Iterator[ApiCase]:
    """A server that speaks TLS, and a client that trusts its certificate."""
    case = ApiCase(folder, Limits(connections=8), tls=tls_context(certificate["certificate"], certificate["key"]))
    client = ssl.create_default_context(cafile=certificate["certificate"])
    case.wrap = lambda opened: client.wrap_socket(opened, server_hostname="localhost")
    yield case
    case.close()


def test_requests_are_answered(secure: ApiCase) -> None:
    assert secure.get("/api/v1/me").json()["name"] == "reader"
    assert secure.get("/api/v1/me", token=None).status == 401
    with secure.connect() as opened:
        assert isinstance(opened, ssl.SSLSocket)
        assert opened.version() in ("TLSv1.2", "TLSv1.3")


def test_a_stranger_is_not_trusted(secure: ApiCase) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), 20) as opened:
        with pytest.raises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(opened, server_hostname="localhost")
    assert secure.get("/health", token=None).status == 200


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1", "-tls1_2"])
def test_only_tls_1_2_and_newer(secure: ApiCase, option: str) -> None:
    # The command with its guard taken down, so that it is the server who refuses the old ones.
    done = subprocess.run(["openssl", "s_client", option, "-cipher", "DEFAULT:@SECLEVEL=0", "-connect",
                           "127.0.0.1:%d" % secure.port], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60)
    said = done.stdout.decode("utf-8", "replace")
    if "unknown option" in said.lower():
        pytest.skip("not run: this openssl cannot speak %s" % option)
    assert ("Cipher is (NONE)" in said or done.returncode != 0) is (option != "-tls1_2"), said[-1500:]


def test_plain_http_is_no_answer_and_no_harm(secure: ApiCase) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), 20) as opened:
        opened.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            found = opened.recv(4096)
        except ConnectionError:
            found = b""
    assert b"HTTP/1.1 200" not in found
    assert secure.get("/health", token=None).status == 200
    assert [told for told in secure.told if told[0] == "ERROR"] == []


def test_slow_handshakes_keep_nobody_waiting(secure: ApiCase) -> None:
    silent: List[socket.socket] = []
    try:
        for number in range(30):  # more than there are places
            opened = socket.create_connection(("127.0.0.1", secure.port), 20)
            silent.append(opened)
            if number % 2:
                opened.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a greeting, and no more
        for _ in range(5):
            began = time.monotonic()
            assert secure.get("/health", token=None).status == 200
            assert time.monotonic() - began < SOON_S
    finally:
        for opened in silent:
            opened.close()


def test_a_key_of_another_certificate_is_refused(certificate: "Dict[str, str]", folder: str) -> None:
    other = make_certificate(folder, "other")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EXECUTIONER_")}
    environ["PYTHONPATH"] = ROOT
    for key, problem in ((other["key"], "--tls-cert, --tls-key: "), (os.path.join(folder, "none"), "No such file")):
        done = subprocess.run(
            [sys.executable, "-m", "executioner", "--home", os.path.join(folder, "home"), "serve", "--listen",
             "127.0.0.1:0", "--tls-cert", certificate["certificate"], "--tls-key", key], cwd=folder, env=environ,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        told = done.stderr.decode("utf-8")
        assert (done.returncode, done.stdout) == (2, b"") and problem in told and "Traceback" not in told
    assert not os.path.exists(os.path.join(folder, "home"))

"""IPv6: the server on ``::1``; "not run" where the machine has none."""
import os
import re
import signal
import socket
import subprocess
import sys
from typing import Iterator

import pytest

from api_case import ROOT, ApiCase


def has_ipv6() -> bool:
    """Whether anything can listen on ``::1`` here."""
    try:
        with socket.socket(socket.AF_INET6) as opened:
            opened.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="not run: the machine has no IPv6 loopback")


@pytest.fixture
def six(folder: str) -> Iterator[ApiCase]:
    case = ApiCase(folder, host="::1")
    yield case
    case.close()


@pytest.mark.parametrize("host, status", [
    ("[::1]:%d", 200), ("[::1]", 200), ("localhost:%d", 200), ("[::2]:%d", 421), ("::1", 421), ("[::1", 421),
    ("evil.example:%d", 421)])
def test_it_answers_to_its_own_names(six: ApiCase, host: str, status: int) -> None:
    name = host % six.port if "%d" in host else host
    found = six.raw(("GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name).encode("ascii"))
    assert re.match(br"HTTP/1.1 (\d+)", found).group(1) == b"%d" % status, found[:300]  # type: ignore[union-attr]


def test_a_token_opens_it(six: ApiCase) -> None:
    assert six.get("/api/v1/me").json()["name"] == "reader"
    assert six.get("/api/v1/me", token=None).status == 401


def test_the_command_says_the_address_as_browsers_want_it(folder: str) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EXECUTIONER_")}
    environ["PYTHONPATH"] = ROOT
    server = subprocess.Popen([sys.executable, "-m", "executioner", "--home", os.path.join(folder, "home"), "serve",
                               "--listen", "[::1]:0"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert server.stdout is not None
        found = re.match(r"http://\[::1\]:(\d+)/\n", server.stdout.readline().decode("ascii"))
        assert found is not None
        with socket.create_connection(("::1", int(found.group(1))), 20) as opened:
            opened.sendall(b"GET /health HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")
            assert opened.recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        server.stdout.close()

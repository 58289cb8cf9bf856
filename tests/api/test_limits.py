"""What one client may cost: time, connections, descriptors, memory. Honest requests are answered meanwhile."""
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from typing import Iterator, List

import pytest

from api.server import Limits
from api_case import PATIENCE_S, ROOT, ApiCase, Events, parse_reply, read_all, read_reply
from db_samples import new_run, pipeline

HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def short(folder: str) -> Iterator[ApiCase]:
    """A server with little patience for what comes slowly."""
    case = ApiCase(folder, Limits(connections=4, streams=2, head_s=0.4, body_s=0.4, write_s=0.5))
    yield case
    case.close()


@pytest.fixture
def few(folder: str) -> Iterator[ApiCase]:
    """A server with few places, and patience."""
    case = ApiCase(folder, Limits(connections=4, streams=2, head_s=PATIENCE_S))
    yield case
    case.close()


def is_cut(opened: socket.socket, data: bytes) -> bool:
    """Send the data, then letters, a byte each 30 ms: whether the server has had enough before 40 s are over."""
    try:
        for position in range(1300):
            opened.sendall(data[position:position + 1] or b"a")
            time.sleep(0.03)
    except OSError:
        return True
    return False


def test_a_head_has_its_time_in_all(short: ApiCase) -> None:
    with short.connect() as opened:
        assert is_cut(opened, HEAD + b"X: ")
        assert parse_reply(read_all(opened)).status == 408


def test_a_connection_that_says_nothing_is_closed(short: ApiCase) -> None:
    with short.connect() as opened:
        assert read_all(opened) == b""


def test_an_idle_connection_is_closed(folder: str) -> None:
    case = ApiCase(folder, Limits(idle_s=0.5, head_s=2 * PATIENCE_S))
    with case.connect() as opened:
        began = time.monotonic()
        opened.sendall(HEAD + b"\r\n")
        read_reply(opened)
        assert read_all(opened) == b""
        assert 0.4 < time.monotonic() - began < PATIENCE_S
    case.close()


def test_the_second_head_has_its_time_too(folder: str) -> None:
    case = ApiCase(folder, Limits(head_s=1.0, idle_s=2 * PATIENCE_S))
    with case.connect() as opened:
        opened.sendall(HEAD + b"\r\n")
        read_reply(opened)
        assert is_cut(opened, HEAD + b"X: ")
        assert parse_reply(read_all(opened)).status == 408
    case.close()


def test_a_body_has_its_time_in_all(short: ApiCase) -> None:
    with short.connect() as opened:
        opened.sendall(b"POST /api/v1/runs/1/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000\r\n\r\n")
        assert is_cut(opened, b"")
        assert parse_reply(read_all(opened)).status == 408


def test_a_slow_reader_is_cut(short: ApiCase) -> None:
    with short.connect() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        sent = 0
        try:
            opened.settimeout(0.2)
            while sent < 3000:
                opened.sendall(request)
                sent += 1
        except OSError:
            pass
        wait_for(lambda: not len(short.server.connections))


def test_the_oldest_incomplete_head_makes_place(few: ApiCase) -> None:
    slow = [few.connect() for _ in range(4)]
    for opened in slow:
        opened.sendall(HEAD)
    wait_for(lambda: len(few.server.connections) == 4)
    assert few.get("/health").status == 200
    assert few.server.connections.evicted == 1
    assert read_all(slow[0]) == b""
    slow[1].sendall(b"\r\n")
    assert read_reply(slow[1]).status == 200
    for opened in slow:
        opened.close()


def test_streams_have_a_limit_of_their_own(few: ApiCase) -> None:
    with few.history() as history:
        run_id = history.create_run(live_run(), pipeline())
    path = "/api/v1/runs/%d/events" % run_id
    streams = [Events(few, path) for _ in range(2)]
    assert [stream.next()[0] for stream in streams] == ["changes", "changes"]
    refused = few.get(path)
    assert refused.status == 503 and refused.headers["retry-after"] == "5"
    assert few.get("/health").status == 200
    streams[0].close()
    wait_for(lambda: few.get(path.replace("events", "graph")).status == 200 and len(few.server.connections) <= 1)
    for stream in streams:
        stream.close()


def test_where_nobody_can_go_the_new_one_is_told(few: ApiCase) -> None:
    with few.history() as history:
        run_id = history.create_run(live_run(), pipeline())
    few.server.connections.stream_limit = 4
    streams = [Events(few, "/api/v1/runs/%d/events" % run_id) for _ in range(4)]
    refused = few.get("/health")
    assert refused.status == 503 and refused.json()["code"] == "busy"
    for stream in streams:
        stream.close()


def test_large_heads_and_bodies_cost_no_memory(api: ApiCase) -> None:
    before = memory()
    for _ in range(20):
        assert parse_reply(api.raw(HEAD + b"X: " + b"a" * (1 << 17) + b"\r\n\r\n")).status == 431
        assert parse_reply(api.raw(b"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
                                   + b"a" * (1 << 17))).status == 413
    assert memory() - before < 8 << 20


@pytest.mark.slow
def test_few_descriptors_and_many_slow_sockets(folder: str) -> None:
    home = os.path.join(folder, "home")
    environ = dict(os.environ, PYTHONPATH=ROOT, EXECUTIONER_HOME=home)
    token = subprocess.check_output([sys.executable, "-m", "executioner", "token", "create", "t"], env=environ,
                                    stderr=subprocess.DEVNULL, cwd=folder).decode().strip()
    server = subprocess.Popen([sys.executable, "-m", "executioner", "serve", "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, env=environ, cwd=folder, preexec_fn=few_descriptors)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().decode().rsplit(":", 1)[1].strip("/\n"))
        began = time.monotonic()
        attackers, times = _attack_and_ask(port, token, 150, 3.0)
        took = time.monotonic() - began
        assert attackers > 150
        assert len(times) >= 20, "honest requests that were answered: %d" % len(times)
        times.sort()
        # Well below the time that a slow head may take, after which a place becomes free by itself.
        assert times[len(times) * 9 // 10] < Limits().head_s / 2, times[-5:]
        with open("/proc/%d/status" % server.pid) as status:
            threads = int([line for line in status if line.startswith("Threads:")][0].split()[1])
        assert threads <= 32 + 3
        with open("/proc/%d/stat" % server.pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        assert used < 1.0 + 0.8 * took, "processor time of the server, which spins"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)
        if server.stdout is not None:
            server.stdout.close()


def few_descriptors() -> None:
    """``ulimit -n 64``."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _attack_and_ask(port: int, token: str, sockets: int, seconds: float) -> "tuple[int, List[float]]":
    """Keep that many slow sockets open; how many were opened in all, and how long honest requests took.

    It goes on for at least so many seconds, and until both are enough to judge by.
    """
    over = threading.Event()
    opened_in_all = [0]

    def attack() -> None:
        slow: List[socket.socket] = []
        while not over.is_set():
            while len(slow) < sockets and not over.is_set():
                try:
                    one = socket.create_connection(("127.0.0.1", port), 1)
                    one.settimeout(0.5)
                    one.sendall(b"G")
                except OSError:
                    break
                slow.append(one)
                opened_in_all[0] += 1
            for one in list(slow):
                try:
                    one.sendall(b"E")
                except OSError:
                    one.close()
                    slow.remove(one)
            time.sleep(0.05)
        for one in slow:
            one.close()

    attacker = threading.Thread(target=attack)
    attacker.start()
    times: List[float] = []
    start = time.monotonic()
    try:
        while time.monotonic() < start + seconds or (
                (len(times) < 20 or opened_in_all[0] <= sockets) and time.monotonic() < start + 2 * PATIENCE_S):
            began = time.monotonic()
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as asking:
                    asking.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                   b"Authorization: Bearer " + token.encode() + b"\r\n\r\n")
                    if parse_reply(read_all(asking)).status == 200:
                        times.append(time.monotonic() - began)
            except (OSError, AssertionError):
                pass
            time.sleep(0.02)
    finally:
        over.set()
        attacker.join()
    return opened_in_all[0], times


def live_run() -> "object":
    """A run whose runner is this process."""
    from jobs.keeper.processes import boot_id, start_time
    return new_run(1, boot_id=boot_id(), runner_pid=os.getpid(), runner_start=start_time(os.getpid()))


def wait_for(condition: "object") -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def memory() -> int:
    """Bytes that this process occupies."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

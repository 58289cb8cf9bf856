"""The API under load.

    python3 benchmarks/api_load.py [--requests N] [--attempts N] [--only NAME,...]

Each figure is measured on a server of its own, started as `executioner serve` in a home that is made for it, and is one
line: requests (speed, and growth over very many), attempts (to get in), checks (attempts that all come to the check of
the token, without the limit on failures), slow (sockets, with few descriptors left), bursts (the same, but they come
back by the hundred), polling (what a run loses), runs (the first rows of a long history), page (the same in Chromium;
needs Playwright).
"""
import argparse
import contextlib
import multiprocessing
import multiprocessing.sharedctypes
import os
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "GET\t", "PROPFIND")
#: What nobody may have without a token.
GUARDED = ("/status", "/metrics", "/api/v1/runs", "/api/v1/runs/1", "/api/v1/me", "/api/v1/applications",
           "/api/v1/runs/1/jobs/job1/logs/stdout", "/api/v1/runs/1/configuration")
CONNECTIONS = 8


class Server:
    """``executioner serve`` in a home."""

    def __init__(self, folder: str, open_files: Optional[int] = None,
                 program: Sequence[str] = ("-m", "executioner")) -> None:
        from api.tokens import OPERATE, READ, TokenStore
        self.home = os.path.join(folder, "home")
        if not os.path.isdir(self.home):
            os.mkdir(self.home, 0o700)
        store = TokenStore(os.path.join(self.home, "tokens.json"))
        names = {token.name for token in store.all()}
        self.reader = store.create("reader-%d" % len(names), READ, time.time())
        self.operator = store.create("operator-%d" % len(names), OPERATE, time.time())
        environ = dict(os.environ, PYTHONPATH=ROOT)
        limited = ["sh", "-c", 'ulimit -n %d; exec "$@"' % open_files, "sh"] if open_files is not None else []
        self.process = subprocess.Popen(
            limited + [sys.executable, *program, "--home", self.home, "serve", "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, env=environ, cwd=folder)
        assert self.process.stdout is not None
        found = re.match(br"http://127\.0\.0\.1:(\d+)/", self.process.stdout.readline())
        assert found is not None, "the server did not start"
        self.port = int(found.group(1))

    def vitals(self) -> Dict[str, int]:
        """Resident KiB, threads and descriptors."""
        base = "/proc/%d/" % self.process.pid
        with open(base + "status", encoding="ascii", errors="replace") as lines:
            told = dict(line.split(":", 1) for line in lines)
        return {"rss_kib": int(told["VmRSS"].split()[0]), "threads": int(told["Threads"]),
                "descriptors": len(os.listdir(base + "fd"))}

    def cpu_s(self) -> float:
        """Processor time that it has used, in seconds."""
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def server(open_files: Optional[int] = None, program: Sequence[str] = ("-m", "executioner")) -> Iterator[Server]:
    """A server with an empty home."""
    with tempfile.TemporaryDirectory() as folder:
        started = Server(folder, open_files, program)
        try:
            yield started
        finally:
            started.stop()


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str, token: str = "", method: str = "GET", more: str = "") -> Tuple[int, bytes]:
        """Status and body; 0 where there was no answer."""
        head = "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s\r\n" % (
            method, path, self._port, "Authorization: Bearer %s\r\n" % token if token else "", more)
        return self.send(head.encode("utf-8", "surrogateescape"), method == "HEAD")

    def send(self, data: bytes, has_no_body: bool = False) -> Tuple[int, bytes]:
        """Send one request as it stands."""
        try:
            self._socket.sendall(data)
            found = b""
            while b"\r\n\r\n" not in found:
                piece = self._socket.recv(65536)
                if not piece:
                    raise ConnectionError
                found += piece
            lines, _, body = found.partition(b"\r\n\r\n")
            length = re.search(br"(?i)\r\ncontent-length: (\d+)", lines)
            while length is not None and not has_no_body and len(body) < int(length.group(1)):
                body += self._socket.recv(1 << 20)
            if b"onnection: close" in lines:
                self.reopen()
            return int(lines.split(b" ")[1]), body
        except (OSError, ValueError, IndexError):
            self.reopen()
            return 0, b""

    def reopen(self) -> None:
        """Begin anew."""
        self.close()
        self._open()

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Let so many threads do their part."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def part_of(times: List[float], share: float) -> float:
    """A quantile, in milliseconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000


def requests(options: argparse.Namespace) -> str:
    """Speed by wrk where it is installed; then very many requests, and what the server is after them."""
    lines = []
    with server() as one:
        Client(one.port).ask("/status", one.reader)
        wrk = shutil.which("wrk")
        for path in ("/health", "/status"):
            if wrk is None:
                continue
            told = subprocess.check_output([
                wrk, "-t1", "-c%d" % CONNECTIONS, "-d%ds" % options.seconds, "--latency", "-H",
                "Authorization: Bearer " + one.reader, "http://127.0.0.1:%d%s" % (one.port, path)]).decode()
            found = re.search(r"99%\s+(\S+)[\s\S]*Requests/sec:\s+(\S+)", told)
            assert found is not None and "Non-2xx" not in told, told
            lines.append("%s %s/s p99 %s" % (path, found.group(2), found.group(1)))
        before = one.vitals()
        bad: List[int] = []
        began = time.monotonic()
        done = 0
        while wrk is not None and done < options.requests:
            told = subprocess.check_output([
                wrk, "-t1", "-c32", "-d%ds" % min(30, max(2, (options.requests - done) // 8000)), "-H",
                "Authorization: Bearer " + one.reader, "http://127.0.0.1:%d/status" % one.port]).decode()
            found = re.search(r"(\d+) requests in", told)
            assert found is not None
            done += int(found.group(1))
            errors = re.search(r"Socket errors: (.*)|Non-2xx or 3xx responses: (\d+)", told)
            if errors is not None:
                bad.append(0)
                lines.append(errors.group(0))

        def work(number: int) -> None:
            client = Client(one.port)
            for _ in range(options.requests // CONNECTIONS):
                if client.ask("/status", one.reader)[0] != 200:
                    bad.append(number)
            client.close()

        if wrk is None:
            at_once(CONNECTIONS, work)
            done = options.requests
        took = time.monotonic() - began
        deadline = time.monotonic() + 40
        while one.vitals()["threads"] > before["threads"] and time.monotonic() < deadline:
            time.sleep(0.2)
        after = one.vitals()
        lines.append("%d requests in %.0f s, %d bad; before %s, after %s" % (done, took, len(bad), before, after))
    return "; ".join(lines)


def attempts(options: argparse.Namespace) -> str:
    """Attempts to get at what only a token opens: none, wrong ones, and tricks with path, method and headers."""
    source = random.Random(options.seed)
    counts: Dict[int, int] = {}
    got_in: List[str] = []

    with server() as one:
        secrets = [one.reader, one.operator]
        honest = {path: Client(one.port).ask(path, one.reader)[1] for path in ("/status", "/api/v1/me")}
        lock = threading.Lock()

        def path_of() -> str:
            path = source.choice(GUARDED)
            return source.choice([
                path, "/" + path, "/health/.." + path, "/static/.." + path, "/static/%2e%2e" + path, path + "/",
                path + "%00", path + "?token=" + source.choice(secrets), path + "?access_token=" + secrets[0],
                path.replace("/", "%2f"), "/health/%252e%252e" + path, "/health%2f..%2f" + path[1:],
                path + ";/../health",
                path.upper(), path + ";x", path.replace("/", "//"), path.replace("s", "%73"), path + "#/health",
                "http://127.0.0.1" + path, path + "?", "/./" + path[1:], path + "/../health/.." + path, "\\" + path[1:],
                path + "\t", path + "%20", "*", path + "/%2e"])

        def token_of() -> str:
            right = source.choice(secrets)
            return source.choice([
                "", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n", "Authorization: Bearer x\r\n",
                "Authorization: Basic %s\r\n" % right, "Authorization: %s\r\n" % right,
                "Authorization: Bearer %s\r\n" % right[:-1], "Authorization: Bearer %sx\r\n" % right,
                "Authorization: Bearer %s\r\n" % right[::-1], "Authorization: Bearer %s\r\n" % right.swapcase(),
                "Authorization: Bearer %s, Bearer %s\r\n" % (right, right), "Cookie: token=%s\r\n" % right,
                "Authorization: Bearer x\r\nAuthorization: Bearer %s\r\n" % right, "X-Token: %s\r\n" % right,
                "Authorization: Bearer %s\u00e9\r\n" % right, "Authorization: Bearer %s\r\n" % ("y" * 4000),
                "Proxy-Authorization: Bearer %s\r\n" % right, "X-Forwarded-For: 127.0.0.1\r\n",
                "X-Original-URL: /status\r\n", "X-HTTP-Method-Override: GET\r\n",
                "Authorization : Bearer %s\r\n" % right, "Host: localhost\r\n", "X-HTTP-Method: GET\r\n",
                "Content-Length: 0\r\nContent-Length: 5\r\n", "Content-Length: +0\r\n",
                "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "Transfer-Encoding : chunked\r\n",
                " Authorization: Bearer %s\r\n" % right])

        def work(number: int) -> None:
            client = Client(one.port)
            for _ in range(options.attempts // CONNECTIONS):
                with lock:
                    path, token, method = path_of(), token_of(), source.choice(METHODS)
                    version = source.choice(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0"])
                data = "%s %s %s\r\nHost: 127.0.0.1:%d\r\nConnection: %s\r\n%s\r\n" % (
                    method, path, version, one.port, "keep-alive", token)
                status, body = client.send(data.encode("utf-8"), method == "HEAD")
                with lock:
                    counts[status] = counts.get(status, 0) + 1
                    is_open = status == 200 and not path.lower().startswith(("/health", "/static", "/docs", "/openapi"))
                    if is_open or any(body and body == kept for kept in honest.values()):
                        got_in.append("%s %s %r -> %d" % (method, path, token, status))
            client.close()

        at_once(CONNECTIONS, work)
        # After all of it whoever has a token is still let in.
        deadline = time.monotonic() + 30
        while Client(one.port).ask("/api/v1/me", one.reader)[0] != 200:
            assert time.monotonic() < deadline, "an honest request is not answered any more"
            time.sleep(0.1)
    return "%d attempts, %d got in%s; answers %s" % (
        sum(counts.values()), len(got_in), "".join(": " + told for told in got_in[:3]), sorted(counts.items()))


#: ``executioner serve`` without the limit on failures; at its end it says how many requests came to the token's check.
_ALL_ARE_CHECKED = """
import atexit, itertools, sys
import api.gate
from executioner.bootstrap import main
api.gate._FAILURES = 1 << 40
numbers, identify = itertools.count(1), api.gate.Gate.identify
checked = [0]
def counted(self, request):
    checked[0] = next(numbers)
    return identify(self, request)
api.gate.Gate.identify = counted
atexit.register(lambda: print("checked %d" % checked[0], flush=True))
sys.exit(main())
"""
ACTS = ("/api/v1/runs/1/cancel", "/api/v1/runs/1/resume", "/api/v1/runs/1/marks", "/api/v1/applications/a/runs",
        "/api/v1/applications/a/jobs/j/hold", "/api/v1/applications/a/jobs/j/release")


def checks(options: argparse.Namespace) -> str:
    """Attempts that are well-formed requests, so that all of them come to the check of the token."""
    from api.tokens import OPERATE, TokenStore
    source = random.Random(options.seed)
    counts: Dict[int, int] = {}
    got_in: List[str] = []
    lock = threading.Lock()
    each = options.attempts // CONNECTIONS
    with server(None, ("-c", _ALL_ARE_CHECKED)) as one:
        store = TokenStore(os.path.join(one.home, "tokens.json"))
        revoked = store.create("revoked", OPERATE, time.time())
        honest = [Client(one.port).ask(path, one.reader)[1] for path in ("/status", "/api/v1/me")]
        assert Client(one.port).ask("/api/v1/me", revoked)[0] == 200
        store.revoke("revoked")
        asked_before = 3

        def attempt() -> Tuple[str, str, str, str]:
            """Method, path, headers and body of one attempt."""
            acts = source.random() < 0.4
            path = source.choice(ACTS if acts else GUARDED)
            right = source.choice([one.reader, one.operator])
            wrong = ["", "Bearer", "Bearer ", "Bearer x", "Basic " + right, right, "Bearer " + right[:-1],
                     "Bearer " + right + "x", "Bearer " + right[1:], "Bearer " + right[::-1],
                     "Bearer " + right.swapcase(), "Bearer %s, Bearer %s" % (right, right), "Bearer " + revoked,
                     "Bearer %s\u00e9" % right, "Bearer " + "y" * source.randrange(1, 4000), "Bearer\t" + right,
                     "Bearer exr_" + "%064x" % source.getrandbits(256), "Bearer %s %s" % (right, right),
                     "Bearer \"%s\"" % right, "Bearer=" + right, "bearer:" + right, "Token " + right,
                     "Bearer %2565" + right, "Digest username=" + right]
            value = source.choice(wrong + (["Bearer " + one.reader] * 6 if acts else []))
            more = source.choice(["", "", "Cookie: token=%s\r\n" % right, "X-Token: %s\r\n" % right,
                                  "Proxy-Authorization: Bearer %s\r\n" % right, "X-Forwarded-For: 127.0.0.1\r\n",
                                  "X-Original-URL: /health\r\n", "X-Rewrite-URL: /health\r\n",
                                  "X-HTTP-Method-Override: GET\r\n", "X-Forwarded-User: admin\r\n",
                                  "X-Authorization: Bearer %s\r\n" % right])
            if value != "Bearer " + one.reader:  # else it is a right one, of somebody who may only read
                path = source.choice([
                    path, path, path, path + "?token=" + right, path + "?access_token=" + right, "/" + path,
                    "/health/.." + path, "/static/.." + path, "/static/%2e%2e" + path, "/health/%252e%252e" + path,
                    path + "/", path + "%00", path + ";x", path + "?", "/./" + path[1:], path.replace("/", "//"),
                    path.replace("s", "%73"), path + "/../health/.." + path, path + "%20", path + "/%2e",
                    path.replace("/api", "/API") if path.startswith("/api") else path.upper(),
                    "/" + path[1:].replace("/", "%2f"), "/" + path[1:].replace("/", "%252f"), path + "/..;/"])
            headers = ("Authorization: %s\r\n" % value if value or source.random() < 0.5 else "") + more
            body = "{}" if acts else ""
            if acts:
                headers += "Content-Type: application/json\r\nContent-Length: 2\r\n"
            return "POST" if acts else source.choice(["GET", "GET", "HEAD"]), path, headers, body

        def work(_: int) -> None:
            client = Client(one.port)
            for _ in range(each):
                with lock:
                    method, path, headers, body = attempt()
                data = "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n%s" % (method, path, one.port, headers, body)
                status, answer = client.send(data.encode("utf-8"), method == "HEAD")
                with lock:
                    counts[status] = counts.get(status, 0) + 1
                    if status not in (401, 403, 404, 405) or answer and answer in honest:
                        got_in.append("%s %s %r -> %d" % (method, path, headers, status))
            client.close()

        at_once(CONNECTIONS, work)
        assert Client(one.port).ask("/api/v1/me", one.reader)[0] == 200
        acted = os.path.exists(os.path.join(one.home, "history.db"))
        one.process.terminate()
        assert one.process.stdout is not None
        checked = int(one.process.stdout.read().split()[1]) - asked_before - 1
    return "%d attempts, %d came to the check of the token, %d got in%s%s; answers %s" % (
        sum(counts.values()), checked, len(got_in), "".join(": " + told for told in got_in[:3]),
        ", AND SOMETHING WAS DONE" if acted else "", sorted(counts.items()))


SLOW_SOCKETS = 1000
#: How often those that come in bursts do.
BURST_S = 0.25


def drip(port: int, in_bursts: bool, opened_in_all: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
    """Keep slow sockets open: a byte a second each; one that was cut comes again, at once or with all the others."""
    dripping: List[Optional[socket.socket]] = [None] * SLOW_SOCKETS
    while True:
        began = time.monotonic()
        for place, opened in enumerate(dripping):
            if not in_bursts:
                time.sleep(1.0 / SLOW_SOCKETS)
            try:
                if opened is None:
                    opened = dripping[place] = socket.socket()
                    opened.setblocking(False)
                    opened_in_all.value += 1
                    opened.connect_ex(("127.0.0.1", port))
                opened.send(b"G" if place % 2 else b"GET /health HTTP/1.1\r\nX: "[:1 + place % 20])
            except BlockingIOError:
                continue
            except OSError:
                if opened is not None:
                    opened.close()
                dripping[place] = None
        time.sleep(max(0.0, began + BURST_S - time.monotonic()))


def _beside_slow_sockets(options: argparse.Namespace, in_bursts: bool) -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
    with server(64) as one:
        opened_in_all = multiprocessing.Value("l", 0)
        # Not a thread: what waits for this process's own lock would be counted as the server's time.
        attacker = multiprocessing.Process(target=drip, args=(one.port, in_bursts, opened_in_all), daemon=True)
        attacker.start()
        time.sleep(2)
        times, bad = [], 0
        cost_s, opened_before = one.cpu_s(), opened_in_all.value
        began = time.monotonic()
        while time.monotonic() - began < options.seconds * 5:
            start = time.monotonic()
            try:
                client = Client(one.port)
                status = client.ask("/health")[0]
                client.close()
            except OSError:
                status = 0
            times.append(time.monotonic() - start)
            bad += status not in (200, 503)
            time.sleep(0.02)
        vitals, came = one.vitals(), opened_in_all.value - opened_before
        took, cost_s = time.monotonic() - began, one.cpu_s() - cost_s
        attacker.terminate()
        attacker.join()
    return ("%d honest requests on new connections, %d unanswered; p50 %.1f ms, p99 %.1f ms, worst %.1f ms; "
            "%.0f slow ones came a second, processor %.0f %%; %s" % (
                len(times), bad, part_of(times, 0.5), part_of(times, 0.99), max(times) * 1000, came / took,
                cost_s / took * 100, vitals))


def slow(options: argparse.Namespace) -> str:
    """A thousand sockets that drip, while the server may open 64 files; what honest requests take."""
    return _beside_slow_sockets(options, in_bursts=False)


def bursts(options: argparse.Namespace) -> str:
    """The same where the slow ones that were cut come back by the hundred."""
    return _beside_slow_sockets(options, in_bursts=True)


def polling(options: argparse.Namespace) -> str:
    """Runs of 1,000 jobs in pairs, one of each pair polled once a second."""
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        import json
        config = os.path.join(folder, "w.json")
        with open(config, "w") as out:
            json.dump({"parallel": True, "max_workers": 2, "jobs": [
                {"id": "j%d" % number, "command": "true"} for number in range(1000)]}, out)
        os.chmod(config, 0o600)
        one = Server(folder)
        command = [sys.executable, "-m", "executioner", "--home", one.home, "run", config]
        environ = dict(os.environ, PYTHONPATH=ROOT)

        def run() -> float:
            began = time.monotonic()
            subprocess.check_call(command, env=environ)
            return time.monotonic() - began

        def polled() -> float:
            is_over = threading.Event()

            def poll() -> None:
                client = Client(one.port)
                while not is_over.is_set():
                    for path in ("/status", "/health"):
                        client.ask(path, one.reader)
                    is_over.wait(1)

            thread = threading.Thread(target=poll)
            thread.start()
            took = run()
            is_over.set()
            thread.join()
            return took

        run()
        for pair in range(options.pairs):
            if pair % 2:
                loud, quiet = polled(), run()
            else:
                quiet, loud = run(), polled()
            ratios.append(loud / quiet)
        one.stop()
    return "%d pairs, polled/quiet: median %.3f, from %.3f to %.3f" % (
        len(ratios), statistics.median(ratios), min(ratios), max(ratios))


def fill(home: str, runs: int) -> None:
    """A history of so many runs of three jobs."""
    from db.history import History
    from db_samples import finished_run
    with History.open(os.path.join(home, "history.db")) as history:
        first = finished_run(history, 1, "nightly")
        database = history.database
        with database.transaction():
            for table in ("runs", "jobs"):
                row = database.fetchall("SELECT name FROM pragma_table_info('%s')" % table)
                names = [one[0] for one in row if one[0] not in ("run_id", "run_uuid")]
                extra = ", run_uuid" if table == "runs" else ""
                database.execute(
                    "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                    "INSERT INTO %s (run_id%s, %s) SELECT n.i%s, %s FROM n, %s t WHERE t.run_id = ?" % (
                        table, extra, ", ".join(names), ", printf('%032x', n.i)" if extra else "",
                        ", ".join("t." + name for name in names), table), (runs, first))


def runs(options: argparse.Namespace) -> str:
    """The first rows of a history of very many runs."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "home"), 0o700)
        fill(os.path.join(folder, "home"), options.runs)
        one = Server(folder)
        lines = []
        assert b'"run_id":%d,' % options.runs in Client(one.port).ask("/api/v1/runs?limit=1", one.reader)[1]
        for path in ("/api/v1/runs", "/api/v1/runs?status=FAILED", "/api/v1/applications"):
            times = []
            for _ in range(30):
                client = Client(one.port)
                began = time.monotonic()
                status, _ = client.ask(path, one.reader)
                times.append(time.monotonic() - began)
                client.close()
                assert status == 200, (path, status)
            lines.append("%s first %.1f ms, median %.1f ms" % (path, times[0] * 1000, statistics.median(times) * 1000))
        one.stop()
    return "%d runs: %s" % (options.runs, "; ".join(lines))


def page(options: argparse.Namespace) -> str:
    """From the address to a page with rows in it, in Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return "not run: Playwright is missing"
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        return "not run: no Chromium"
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "home"), 0o700)
        fill(os.path.join(folder, "home"), options.runs)
        one = Server(folder)
        found: Dict[str, List[float]] = {}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            for _ in range(7):
                context = browser.new_context()
                tab = context.new_page()
                tab.goto("http://127.0.0.1:%d/static/icon.svg" % one.port)
                tab.evaluate("token => sessionStorage.setItem('executioner-token', token)", one.reader)
                for address, row in (("#/", ".app"), ("#/runs", ".runs tbody tr"), ("#/runs/1", ".node")):
                    tab.goto("about:blank")
                    tab.goto("http://127.0.0.1:%d/static/icon.svg" % one.port)
                    began = time.monotonic()
                    tab.goto("http://127.0.0.1:%d/%s" % (one.port, address))
                    tab.wait_for_selector(row)
                    found.setdefault(address, []).append(time.monotonic() - began)
                context.close()
            browser.close()
        one.stop()
    return "%d runs: %s" % (options.runs, "; ".join("%s median %.0f ms, worst %.0f ms" % (
        address, statistics.median(times) * 1000, max(times) * 1000) for address, times in found.items()))


FIGURES = (requests, attempts, checks, slow, bursts, polling, runs, page)


def main(argv: Optional[List[str]] = None) -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=1000000)
    parser.add_argument("--attempts", type=int, default=50000)
    parser.add_argument("--runs", type=int, default=100000)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement of speed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="figures with commas: %s" % ", ".join(
        figure.__name__ for figure in FIGURES))
    options = parser.parse_args(argv)
    for figure in FIGURES:
        if not options.only or figure.__name__ in options.only.split(","):
            print("%s: %s" % (figure.__name__, figure(options)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

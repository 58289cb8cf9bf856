"""Real servers for tests: a PostgreSQL of our own, and a wire to it that can be cut.

    server = PostgreSQLServer.start()      # pytest.skip where none is installed
    place = server.place("some_schema")    # a ServerPlace, the schema made
    server.kill(); server.resume()
"""
import contextlib
import glob
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from typing import Any, Dict, Iterator, List, Optional

import pytest
from killing import is_alive

from jobs.server_place import ServerPlace

__all__ = ["PostgreSQLServer", "Wire", "free_port", "why_no_postgresql"]

PATIENCE_S = 60.0
_counter = iter(range(1, 1 << 30))


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives to nobody who asks for just any, at either end."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        lowest = int(limits.read().split()[0])
    while True:
        port = random.SystemRandom().randrange(10000 if lowest > 11000 else 1024, lowest)
        with contextlib.closing(socket.socket()) as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _programs() -> Optional[str]:
    """The folder of ``initdb`` and ``pg_ctl``, of the newest release that is installed."""
    found = [path for path in glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin")
             if os.path.exists(path + "/initdb") and os.path.exists(path + "/pg_ctl")]
    named = shutil.which("initdb")
    if not found and named is not None:
        return os.path.dirname(os.path.realpath(named))
    return max(found, key=lambda path: float("".join(c for c in path if c.isdigit() or c == ".").strip(".") or 0),
               default=None)


def why_no_postgresql() -> str:
    """Why no test can have a PostgreSQL server here; "" where one can."""
    if _programs() is None:
        return "not run: no PostgreSQL server is installed"
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "not run: this Python has no psycopg2"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "not run: PostgreSQL does not run as root, and there is no user postgres"
    return ""


def _clean_environ() -> Dict[str, str]:
    # The mark of a test must not stick to a server that outlives it.
    return {name: value for name, value in os.environ.items()
            if name != "TEST_LEFTOVER_MARK" and not name.startswith("PG")}


class PostgreSQLServer:
    """A server on a free port of the loopback, its files in a folder of its own."""

    def __init__(self, folder: str, port: int) -> None:
        self.folder = folder
        self.port = port
        self._bin = _programs() or ""

    @classmethod
    def start(cls) -> "PostgreSQLServer":
        """Make a cluster and start it; the test is skipped where that cannot be had."""
        reason = why_no_postgresql()
        if reason:
            pytest.skip(reason)
        server = cls(_folder(), free_port())
        server._run("initdb", "-D", server.data, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "-U", "jobs")
        server.resume()
        return server

    @property
    def data(self) -> str:
        return os.path.join(self.folder, "data")

    def _run(self, program: str, *words: str) -> None:
        command = [os.path.join(self._bin, program)] + list(words)
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--"] + command
        log = os.path.join(self.folder, "out")
        with open(log, "wb") as out:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd="/",
                                  env=_clean_environ(), timeout=PATIENCE_S)
        if done.returncode:
            told = ""
            for path in (log, os.path.join(self.folder, "log")):
                if os.path.exists(path):
                    with open(path, encoding="utf-8", errors="replace") as lines:
                        told += lines.read()[-1000:]
            raise AssertionError("%s: exit %d: %s" % (" ".join(command), done.returncode, told))

    def resume(self) -> None:
        """Start it, after a kill too."""
        for path in [os.path.join(self.data, "postmaster.pid")] + glob.glob(self.folder + "/.s.PGSQL.*"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # left by a kill; another process may have the number that stands in it
        self._run("pg_ctl", "-D", self.data, "-w", "-t", "50", "-l", os.path.join(self.folder, "log"), "-o",
                  "-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s -c fsync=off -c max_connections=50 "
                  "-c restart_after_crash=off" % (self.port, self.folder), "start")

    def stop(self) -> None:
        """Stop it in order, whatever is connected."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def kill(self) -> None:
        """SIGKILL to the server and all its processes, and wait until they are gone."""
        postmaster = self.pid()
        if postmaster is None:
            return
        os.kill(postmaster, signal.SIGSTOP)  # so that it starts no more
        children = _children(postmaster)
        for pid in [postmaster] + children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE_S
        while any(is_alive(pid) for pid in [postmaster] + children):
            assert time.monotonic() < end, "the server does not die"
            time.sleep(0.01)

    def pid(self) -> Optional[int]:
        """The server's process id; None where it does not run."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as first:
                pid = int(first.readline())
        except (OSError, ValueError):
            return None
        return pid if is_alive(pid) else None

    def remove(self) -> None:
        """Kill it and take its files away."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self) -> Any:
        """A plain connection of the driver, for what a test wants to do or see itself."""
        import psycopg2
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="jobs", dbname="postgres")
        connection.autocommit = True
        return connection

    def place(self, schema: str = "", port: Optional[int] = None) -> ServerPlace:
        """A place on it with a new schema, or the named one."""
        name = schema or "t%d_%d" % (os.getpid(), next(_counter))
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("CREATE SCHEMA IF NOT EXISTS " + name)
        finally:
            connection.close()
        return ServerPlace("postgresql", "127.0.0.1", port or self.port, "postgres", "jobs", name)


def _folder() -> str:
    """A folder that the server's user owns and can reach."""
    for parent in (tempfile.gettempdir(), "/tmp", "/dev/shm"):
        folder = tempfile.mkdtemp(prefix="pg-", dir=parent)
        if os.geteuid() != 0:
            return folder
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        if not subprocess.call(["runuser", "-u", "postgres", "--", "test", "-w", folder], cwd="/"):
            return folder
        os.rmdir(folder)
    raise AssertionError("no folder that the user postgres can reach")


def _children(of: int) -> List[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as stat:
                    if int(stat.read().rpartition(")")[2].split()[1]) == of:
                        found.append(int(name))
            except (OSError, ValueError, IndexError):
                continue
    return found


class Wire:
    """A TCP proxy before a server, whose connections can be cut, and which can swallow everything."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(64)
        self.port = int(self._listener.getsockname()[1])
        self._guard = threading.Lock()
        self._pairs: List[socket.socket] = []
        #: Whether new connections are refused.
        self.is_cut = False
        #: How many bytes have gone through, and after how many the wire cuts itself; None = never.
        self.passed = 0
        self.cut_after: Optional[int] = None
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and accept none until ``mend``."""
        self.is_cut = True
        with self._guard:
            ends, self._pairs = self._pairs, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def mend(self) -> None:
        """Let everything through again."""
        self.cut_after = None
        self.is_cut = False

    def close(self) -> None:
        """End it."""
        self._closed = True
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._guard:
                self._pairs += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while True:
                data = one.recv(1 << 16)
                if not data:
                    break
                self.passed += len(data)
                if self.cut_after is not None and self.passed > self.cut_after:
                    self.cut()
                    return
                other.sendall(data)
        except OSError:
            pass  # cut, or an end is gone
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire_to(server: PostgreSQLServer) -> Iterator[Wire]:
    """A wire to a server for the time of a test."""
    wire = Wire(server.port)
    try:
        yield wire
    finally:
        wire.close()

"""What every ring shares: the mark of each ring, and the check that a test leaves no process behind."""
import os
import signal
import time
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional

import pytest

if TYPE_CHECKING:
    from servers import PostgreSQLServer

#: Rings whose tests start processes.
RINGS_WITH_CHILDREN = ("process", "cli", "faults", "api", "examples")
#: In the names of tests that are made for each database.
SERVERS = ("[oracle-stand-in", "[postgresql")
#: How long what a test started may take to go after the test has ended, in seconds, where other things run as well.
GRACE_S = 20.0


def usual_signals() -> None:
    """Undo what the caller ignores or blocks (nohup, ``&`` in a script, a CI system): children would inherit it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in range(1, signal.NSIG):
        if number in (signal.SIGPIPE, signal.SIGXFSZ):
            continue  # Python itself ignores these
        try:
            ignored = signal.getsignal(number) is signal.SIG_IGN
        except ValueError:
            continue
        if ignored:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def never_too_slow() -> None:
    """Hypothesis takes a machine with other things to do for a test that is wrong."""
    try:
        from hypothesis import HealthCheck, settings
    except ImportError:
        return
    settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("loaded")


def pytest_configure(config: "pytest.Config") -> None:
    """Start from the usual signals, and name the rings as marks, so that ``-m process`` selects one."""
    usual_signals()
    never_too_slow()
    for ring in ("unit", "contract", "simulation", "process", "cli", "api", "faults", "browser"):
        config.addinivalue_line("markers", "%s: the ring tests/%s" % (ring, ring))


def ring_of(path: str) -> str:
    """The ring that a test file belongs to: its folder below ``tests``."""
    inside = os.path.relpath(path, os.path.dirname(os.path.abspath(__file__)))
    return inside.split(os.sep)[0]


def pytest_collection_modifyitems(items: "List[pytest.Item]") -> None:
    """Mark each test with its ring, and as slow what needs a database server, which has to be started for it."""
    for item in items:
        if "postgresql" in getattr(item, "fixturenames", ()) or any(name in item.name for name in SERVERS):
            item.add_marker(pytest.mark.slow)
        ring = ring_of(str(item.fspath))
        if not ring.endswith(".py"):
            item.add_marker(getattr(pytest.mark, ring))


def _stat_fields(pid: int) -> Optional[List[str]]:
    """State and what follows in ``/proc/PID/stat``; None where the process is gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None


def descendants(of: int) -> Dict[int, str]:
    """Every live or zombie process below the given one, with its command line."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat_fields(int(name))
            if fields is not None:
                parents[int(name)] = int(fields[1])
    found: Dict[int, str] = {}
    known = {of}
    grown = True
    while grown:
        new = {pid for pid, parent in parents.items() if parent in known} - known
        known |= new
        grown = bool(new)
    for pid in known - {of}:
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as line:
                found[pid] = line.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
    return found


def marked(mark: str) -> Dict[int, str]:
    """Every process whose environment holds ``TEST_LEFTOVER_MARK=mark``: those that left our tree too."""
    wanted = ("TEST_LEFTOVER_MARK=" + mark).encode()
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open("/proc/%s/environ" % name, "rb") as environ:
                if wanted not in environ.read().split(b"\0"):
                    continue
            with open("/proc/%s/cmdline" % name, "rb") as line:
                found[int(name)] = line.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def no_child_left_behind(request: "pytest.FixtureRequest", monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that starts processes leaves none: neither below us, nor elsewhere with our mark in its environment."""
    if ring_of(str(request.node.fspath)) not in RINGS_WITH_CHILDREN or not os.path.isdir("/proc/self"):
        yield
        return
    mark = "%d.%d" % (os.getpid(), id(request.node))
    monkeypatch.setenv("TEST_LEFTOVER_MARK", mark)
    before = descendants(os.getpid())
    yield
    deadline = time.monotonic() + GRACE_S
    while True:
        left = {pid: line for pid, line in descendants(os.getpid()).items() if pid not in before}
        left.update(marked(mark))
        # The browser of the tests lives for several of them, and starts and ends its helpers when it likes.
        left = {pid: line for pid, line in left.items() if "chrom" not in line.split(" ")[0]}
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    assert not left, "processes left behind: %s" % left


@pytest.fixture(scope="session")
def postgresql() -> "Iterator[PostgreSQLServer]":
    """A PostgreSQL server for all tests of this process; they are not run, and say so, where none can be had."""
    from servers import PostgreSQLServer

    server = PostgreSQLServer.start()
    try:
        yield server
    finally:
        server.remove()

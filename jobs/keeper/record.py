"""The record file of a run: what the keeper started and how it ended, in lines that outlive runner and keeper.

Format 1, plain ASCII. A line is a kind, a token, and ``name=value`` pairs, and ends with `` .``: a line without that
end was torn and tells nothing. Values are percent-encoded; a pair that is missing was empty or unknown::

    executioner-record 1 boot=<boot id> keeper=<pid> keeper_start=<clock ticks since boot> at=<epoch seconds> .
    started TOKEN at=1700000000.123456 mono=5123.123456 .
    process TOKEN pid=4711 pid_start=512345 .
    unstarted TOKEN .
    exited TOKEN wait_status=0 status=SUCCESS at=... started_at=... duration_s=... .
    ended TOKEN status=SUCCESS exit_code=0 ... .
    closed - at=1700000009.000000 .

The very first line is blank, or what the runner said when it gave the run up (``jobs/last_words.py``).

``started`` stands there before the process exists; ``unstarted`` takes it back (the system was short of something,
and it is tried again). ``exited`` stands there before the first process is reaped, so that its status is never known
to a keeper alone; ``ended``, with all that is known when the whole tree is gone, before the runner is told. A first
line is added by each keeper of the run. The keeper holds an ``flock`` on the file as long as it lives: who can take it
knows that no keeper is left. Nothing is synchronised to the disk: after a power cut another boot id tells that the
last lines may be missing.
"""
import errno
import fcntl
import os

from jobs import system
from jobs.keeper import verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Mapping, Optional, Tuple
    # In the order of ENDED_FIELDS.
    Facts = Tuple[str, str, Optional[int], Optional[str], str, str, Optional[float], Optional[float], Optional[float],
                  Optional[float], Optional[int], Tuple[str, ...]]

__all__ = ["ENDED_FIELDS", "RecordBusy", "RecordWriter", "RecordedAttempt", "RecordedRun", "is_keeper_alive", "quoted",
           "read_record", "unquoted"]

FORMAT = b"executioner-record 1"
#: What is known of an ended attempt, in the order in which it travels.
ENDED_FIELDS = ("token", "status", "exit_code", "signal", "reason", "stop_reason", "started_at", "ended_at",
                "duration_s", "cpu_s", "max_rss_bytes", "survivors")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+:/,().")
#: How all but the first and the last of them are written.
_ENDED_FORMATS = (b"status=%s", b"exit_code=%d", b"signal=%s", b"reason=%s", b"stop_reason=%s", b"started_at=%.6f",
                  b"ended_at=%.6f", b"duration_s=%.6f", b"cpu_s=%.6f", b"max_rss_bytes=%d")
_END = b".\n"
#: Reasons repeat: what was quoted last.
_quoted_before: "Dict[str, bytes]" = {}
#: Refused for the moment: the line is kept and tried again.
_SHORTAGES = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EAGAIN, errno.ENOMEM))


class RecordBusy(Exception):
    """Another keeper holds the record."""


def quoted(text: str) -> bytes:
    """The text as the value of a pair: percent-encoded, without blanks."""
    known = _quoted_before.get(text)
    if known is not None:
        return known
    data = text.encode("utf-8", "surrogatepass")
    if _PLAIN.issuperset(data):
        return data
    if len(_quoted_before) > 100:
        _quoted_before.clear()
    known = _quoted_before[text] = b"".join(b"%c" % byte if byte in _PLAIN else b"%%%02X" % byte for byte in data)
    return known


def unquoted(data: bytes) -> str:
    """The text that a value stands for.

    :raises ValueError: where it stands for none
    """
    if b"%" not in data:
        return data.decode("ascii")
    parts = data.split(b"%")
    plain = parts[0] + b"".join(bytes((int(part[:2], 16),)) + part[2:] for part in parts[1:])
    return plain.decode("utf-8", "surrogatepass")


class RecordWriter:
    """Appends to the record file. Lines gather until ``flush``, which writes them in one call.

    :param lock: hold the keeper's lock for as long as this is open
    :raises OSError: where the file cannot be opened
    :raises RecordBusy: where another keeper holds it
    """

    def __init__(self, path: bytes, lock: bool = True) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self.fd = system.open_file(path, flags, 0o600)
        self._pending = bytearray()
        try:
            if lock:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(self.fd).st_size
            if size and os.pread(self.fd, 1, size - 1) != b"\n":
                self._pending += b"\n"
        except BlockingIOError:
            os.close(self.fd)
            raise RecordBusy()
        except OSError:
            os.close(self.fd)
            raise

    def header(self, boot_id: str, pid: int, pid_start: int, at: float) -> None:
        """The line with which each keeper begins."""
        self._pending += b"%s boot=%s keeper=%d keeper_start=%d at=%.6f .\n" % (
            FORMAT, quoted(boot_id), pid, pid_start, at)

    def started(self, token: str, at: float, mono: float) -> None:
        """The attempt is about to be started."""
        self._pending += b"started %s at=%.6f mono=%.6f .\n" % (quoted(token), at, mono)

    def process(self, token: str, pid: int, pid_start: int) -> None:
        """The attempt's process exists."""
        self._pending += b"process %s pid=%d pid_start=%d .\n" % (quoted(token), pid, pid_start)

    def unstarted(self, token: str) -> None:
        """The attempt was not started after all; it may be later."""
        self._pending += b"unstarted %s .\n" % quoted(token)

    def exited(self, token: str, wait_status: int, status: str, stop_reason: str, started_at: float, at: float,
               duration_s: float) -> None:
        """The attempt's first process has ended and is about to be reaped: from then on nobody else can learn how."""
        self._pending += (
            b"exited %s wait_status=%d status=%s stop_reason=%s started_at=%.6f at=%.6f duration_s=%.6f .\n" % (
                quoted(token), wait_status, status.encode("ascii"), quoted(stop_reason), started_at, at, duration_s))

    def ended(self, facts: "Facts") -> None:
        """The attempt is over."""
        line = [b"ended", quoted(facts[0])]
        for form, value in zip(_ENDED_FORMATS, facts[1:]):
            if value is not None and value != "":
                line.append(form % (quoted(value) if isinstance(value, str) else value))
        if facts[-1]:
            line.append(b"survivors=" + quoted("\n".join(facts[-1])))
        line.append(_END)
        self._pending += b" ".join(line)

    def closed(self, at: float) -> None:
        """The keeper is done: nothing of its run is left."""
        self._pending += b"closed - at=%.6f .\n" % at

    def flush(self) -> "Optional[OSError]":
        """Write what has gathered. Where the disk refuses, the error; the rest is kept and comes first next time."""
        while self._pending:
            try:
                written = system.write(self.fd, self._pending)
            except OSError as error:
                if error.errno in _SHORTAGES:
                    return error
                raise
            del self._pending[:written]
        return None

    def close(self) -> None:
        """Close the file and let the lock go."""
        os.close(self.fd)


class RecordedAttempt:
    """What the record tells about one attempt."""

    __slots__ = ("token", "started_at", "started_mono", "pid", "pid_start", "wait_status", "facts", "has_ended",
                 "boot_id")

    def __init__(self, token: str) -> None:
        self.token = token
        #: Epoch seconds; 0 where it never began (a command that could not even be tried).
        self.started_at = 0.0
        #: The same by the monotonic clock of its boot.
        self.started_mono = 0.0
        self.pid: "Optional[int]" = None
        #: Start time of the process in clock ticks since boot.
        self.pid_start: "Optional[int]" = None
        #: As ``wait4`` gave it, where the first process has ended.
        self.wait_status: "Optional[int]" = None
        #: How it ended, in the order of ENDED_FIELDS; None while that is not known. Where the keeper died before it
        #: had told all, what it knew: of the tree below the first process nothing is said then.
        self.facts: "Optional[Facts]" = None
        #: Whether that was all, its tree gone or its survivors named.
        self.has_ended = False
        #: The boot during which it was started.
        self.boot_id = ""


class RecordedRun:
    """What the record tells about a run. Of several keepers, ``keeper_pid`` is the last one's."""

    __slots__ = ("boot_id", "keeper_pid", "keeper_start", "closed", "attempts")

    def __init__(self) -> None:
        self.boot_id = ""
        self.keeper_pid = 0
        self.keeper_start = 0
        self.closed = False
        self.attempts: "Dict[str, RecordedAttempt]" = {}


def read_record(path: str) -> RecordedRun:
    """Read a record file, also while it is being written. What is torn or not understood is passed over.

    :raises OSError: where the file cannot be read
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(fd, "rb") as record_file:
        data = record_file.read()
    run = RecordedRun()
    for line in data.split(b"\n"):
        if line.endswith(b" ."):
            try:
                _absorb(run, line)
            except (ValueError, KeyError, UnicodeDecodeError):
                continue
    return run


def is_keeper_alive(path: str) -> bool:
    """Whether a keeper still holds the record.

    :raises OSError: where the file cannot be opened
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _absorb(run: RecordedRun, line: bytes) -> None:
    words = line.split(b" ")
    if len(words) < 3:
        return
    kind = words[0]
    pairs = {}
    for word in words[2:-1]:
        name, _, value = word.partition(b"=")
        pairs[name.decode("ascii")] = unquoted(value)
    if line.startswith(FORMAT + b" "):
        run.boot_id, run.keeper_pid, run.keeper_start = pairs["boot"], int(pairs["keeper"]), int(pairs["keeper_start"])
        run.closed = False
    elif kind == b"closed":
        run.closed = True
    elif kind == b"unstarted":
        run.attempts.pop(unquoted(words[1]), None)
    elif kind in (b"started", b"process", b"exited", b"ended"):
        token = unquoted(words[1])
        attempt = run.attempts.get(token) or RecordedAttempt(token)
        if kind == b"started":
            attempt.started_at, attempt.started_mono = float(pairs["at"]), float(pairs["mono"])
            attempt.boot_id = run.boot_id
        elif kind == b"process":
            attempt.pid, attempt.pid_start = int(pairs["pid"]), int(pairs["pid_start"])
        elif kind == b"exited":
            attempt.wait_status, attempt.facts = int(pairs["wait_status"]), _facts_of_exit(token, pairs)
        else:
            attempt.facts, attempt.has_ended = _facts(token, pairs), True
        run.attempts[token] = attempt


def _facts_of_exit(token: str, pairs: "Mapping[str, str]") -> "Facts":
    wait_status, status = int(pairs["wait_status"]), pairs["status"]
    stop_reason = pairs.get("stop_reason", "")
    success_codes = (os.WEXITSTATUS(wait_status),) if status == "SUCCESS" else ()
    _, exit_code, ended_by, reason = verdict.judge(wait_status, success_codes, stop_reason)
    return (token, status, exit_code, ended_by, reason, stop_reason, float(pairs["started_at"]), float(pairs["at"]),
            float(pairs["duration_s"]), None, None, ())


def _facts(token: str, pairs: "Mapping[str, str]") -> "Facts":
    def integer(name: str) -> "Optional[int]":
        return int(pairs[name]) if name in pairs else None

    def number(name: str) -> "Optional[float]":
        return float(pairs[name]) if name in pairs else None

    survivors = pairs.get("survivors", "")
    return (token, pairs["status"], integer("exit_code"), pairs.get("signal"), pairs.get("reason", ""),
            pairs.get("stop_reason", ""), number("started_at"), number("ended_at"), number("duration_s"),
            number("cpu_s"), integer("max_rss_bytes"), tuple(survivors.split("\n")) if survivors else ())

"""Locks that the kernel keeps (``flock``): the death of the holder, however violent, frees them.

That a lock file exists means nothing; what stands in it is for messages only. Lock files are never removed by us,
and where another removes one, the lock is taken again on the file that then bears the name.

A lock is bound to its open descriptor, which is never inherited by a program that we start.
"""
import errno
import fcntl
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Callable, Optional, Type

from jobs.digests import sha256_hex
from jobs.exceptions import OverlapError, StorageError
from jobs.models import OverlapPolicy
from jobs.private_files import open_private, open_regular

__all__ = ["FileLock", "LockHolder", "acquire_application_lock", "application_lock_path", "hold_folder",
           "is_folder_held", "is_held", "read_holder"]

_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.1
#: How long ``fail`` and ``skip`` look again, and how often: ``is_held`` takes a lock for some microseconds.
_PROBE_S = 0.06
_PROBE_PAUSE_S = 0.002
_HOLDER_BYTES = 4096


@dataclass
class LockHolder:
    """Who holds a lock, for people: never a basis for a decision."""

    pid: int
    run_id: Optional[int] = None
    boot_id: str = ""
    #: Start time of the process in clock ticks since boot.
    pid_start: int = 0
    #: ISO 8601, UTC.
    started: str = ""

    def describe(self) -> str:
        """``run 42 (pid 4711, since 2026-01-01T02:00:00.000Z)`` as far as it is known."""
        facts = "pid %d" % self.pid + (", since %s" % self.started if self.started else "")
        return "run %d (%s)" % (self.run_id, facts) if self.run_id is not None else "another run (%s)" % facts


class FileLock:
    """An ``flock`` on a file of its own, made with mode 0600 where it does not exist.

    ``with FileLock(path):`` waits for it as long as it takes.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        #: Whether we hold it, and whether together with others.
        self.held = False
        self.shared = False
        self._descriptor = -1

    def acquire(self, shared: bool = False, timeout_s: Optional[float] = None,
                should_stop: Optional[Callable[[], bool]] = None) -> bool:
        """Take the lock; False where it is held by another until the end of the time.

        :param shared: together with other shared holders
        :param timeout_s: seconds to wait; 0 = one try, None = for ever
        :param should_stop: asked at least every tenth of a second while waiting; True ends the wait
        :raises StorageError: where the lock file cannot be used
        """
        if self.held:
            raise StorageError("%s: this lock is already held by this very object" % self.path)
        operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        waits_in_kernel = timeout_s is None and should_stop is None
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause = _FIRST_PAUSE_S
        longest = _PROBE_PAUSE_S if timeout_s is not None and timeout_s <= _PROBE_S else _LONGEST_PAUSE_S
        while True:
            if self._try(operation if waits_in_kernel else operation | fcntl.LOCK_NB):
                self.held = True
                self.shared = shared
                return True
            left = pause if deadline is None else deadline - time.monotonic()
            if left <= 0 or (should_stop is not None and should_stop()):
                self._close()
                return False
            time.sleep(min(pause, left))
            pause = min(pause * 2, longest)

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self.held and not self.shared:
            # Else the next holder would be taken for us until it has written its own name.
            self._write(b"")
        self._close()

    def name_holder(self, holder: LockHolder) -> None:
        """Write into the held lock who holds it. A failure is ignored: it is for messages only."""
        self._write((json.dumps(asdict(holder), sort_keys=True) + "\n").encode("ascii"))

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.release()

    def _try(self, operation: int) -> bool:
        """Lock the file that bears the name; False where another holds it."""
        while True:
            if self._descriptor < 0:
                self._descriptor = open_private(self.path, os.O_RDWR)
            try:
                fcntl.flock(self._descriptor, operation)
            except OSError as error:
                if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                    if self._bears_the_name():
                        return False
                    self._close()
                    continue
                self._close()
                raise StorageError("cannot lock %s: %s" % (self.path, error.strerror or error),
                                   context={"path": self.path, "errno": error.errno}) from None
            except BaseException:
                self._close()
                raise
            if self._bears_the_name():
                return True
            self._close()

    def _bears_the_name(self) -> bool:
        """Whether our descriptor is the file at the path, and not one that was removed or replaced."""
        ours = os.fstat(self._descriptor)
        try:
            named = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)

    def _write(self, content: bytes) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            if content:
                os.pwrite(self._descriptor, content, 0)
        except OSError:
            pass

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self.held = self.shared = False


def is_held(path: str) -> bool:
    """Whether somebody (this process too) holds the lock, shared or not. Changes nothing.

    :raises StorageError: where the lock file is there but cannot be used
    """
    try:
        descriptor = open_regular(path)
    except StorageError as error:
        if error.context.get("errno") == errno.ENOENT:
            return False
        raise
    try:
        # Shared first: it does not disturb shared holders, and an exclusive one is the usual case.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        raise StorageError("cannot lock %s: %s" % (path, error.strerror or error),
                           context={"path": path, "errno": error.errno}) from None
    finally:
        os.close(descriptor)
    return False


def hold_folder(path: str) -> int:
    """Show that this process lives to whoever cannot see it by its pid, until the descriptor is closed.

    :param path: a new folder of ours, which nobody else holds
    :raises OSError: where it cannot be opened
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass  # a file system without locks: then the pid has to do
    return descriptor


def is_folder_held(path: str) -> bool:
    """Whether a living process holds the folder. Changes nothing; False where it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(descriptor)
    return False


def read_holder(path: str) -> Optional[LockHolder]:
    """Who wrote that it holds the lock; None where nothing readable stands there. For messages only."""
    try:
        descriptor = open_regular(path)
    except StorageError:
        return None
    try:
        line = os.pread(descriptor, _HOLDER_BYTES, 0).split(b"\n", 1)[0]
    except OSError:
        return None
    finally:
        os.close(descriptor)
    try:
        content = json.loads(line.decode("ascii"))
        run_id = content["run_id"]
        return LockHolder(pid=int(content["pid"]), run_id=None if run_id is None else int(run_id),
                          boot_id=str(content["boot_id"]), pid_start=int(content["pid_start"]),
                          started=str(content["started"]))
    except (ValueError, TypeError, KeyError):
        return None


def application_lock_path(locks_folder: str, application: str) -> str:
    """The lock file of an application: readable for people, different for every name, whatever it contains."""
    digest = sha256_hex(application.encode("utf-8", "surrogatepass"))[:16]
    readable = re.sub("[^A-Za-z0-9_-]+", "_", application)[:48]
    return os.path.join(locks_folder, "%s-%s.lock" % (readable, digest))


def acquire_application_lock(path: str, policy: str, holder: LockHolder, application: str = "",
                             should_stop: Optional[Callable[[], bool]] = None) -> Optional[FileLock]:
    """Take the lock of an application as its overlap policy says.

    The lock is exclusive, but under ``allow``: there it is shared, and where even that cannot be had the
    lock comes back with ``held`` false and the run goes on all the same.

    :param path: from ``application_lock_path``
    :param policy: an ``OverlapPolicy``
    :param holder: what is written into the lock for others to name
    :param should_stop: ends the wait of policy ``wait``
    :returns: None where nothing is to be run: ``skip`` and another run is there, or the wait was ended
    :raises OverlapError: policy ``fail`` and another run is there
    :raises StorageError: where the lock file cannot be used
    """
    lock = FileLock(path)
    shared = policy == OverlapPolicy.ALLOW
    if policy == OverlapPolicy.WAIT:
        taken = lock.acquire(should_stop=should_stop)
    else:
        taken = lock.acquire(shared=shared, timeout_s=_PROBE_S)
    if taken:
        lock.name_holder(holder)
        return lock
    if shared:
        return lock
    if policy in (OverlapPolicy.SKIP, OverlapPolicy.WAIT):
        return None
    raise _overlap(path, application)


def _overlap(path: str, application: str) -> OverlapError:
    found = _living_holder(path)
    who = found.describe() if found is not None else "another run"
    where = "%s: " % application if application else ""
    return OverlapError("%s%s is still running; wait for it, or set \"overlap\" to wait, skip or allow" % (where, who),
                        context={"lock": path, "run_id": found.run_id if found else None,
                                 "pid": found.pid if found else None, "since": found.started if found else None})


def _living_holder(path: str) -> Optional[LockHolder]:
    """The holder's own entry; a moment is allowed between its taking the lock and its writing into it."""
    for _ in range(20):
        found = read_holder(path)
        if found is not None and _is_alive(found.pid):
            return found
        time.sleep(0.005)
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True

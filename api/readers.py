"""A few connections to the history for all threads, opened when they are first needed and again when the file changed.

Each is read-only, so it can neither write nor checkpoint: a run never waits for us. They are few, since each costs
three descriptors and the server must live with 64.
"""
import os
import threading
import time
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, Optional, Tuple, TypeVar

from api.errors import Refusal
from db.history import History
from jobs.exceptions import DatabaseError, StorageError

__all__ = ["Reader", "ReaderPool"]

_T = TypeVar("_T")
_FileKey = Tuple[int, int]
#: How long a request waits for another one's reader.
_PATIENCE_S = 5.0
_CACHED = 64


class Reader:
    """A connection, and what was computed with it since the last commit of anybody."""

    def __init__(self, history: History, key: _FileKey) -> None:
        self.history = history
        self.key = key
        self._mark: Optional[int] = None
        self._kept: Dict[str, Tuple[float, object]] = {}

    def cached(self, name: str, compute: Callable[[], Tuple[_T, float]]) -> _T:
        """What ``compute`` gave, until anybody commits or its time is over.

        :param compute: gives the value and for how many seconds it may be kept
        """
        mark = self.history.change_mark()
        if mark is None or mark != self._mark or len(self._kept) > _CACHED:
            self._kept.clear()
            self._mark = mark
        found = self._kept.get(name)
        if found is not None and time.monotonic() < found[0]:
            return found[1]  # type: ignore[return-value]
        value, keep_s = compute()
        if mark is not None:
            self._kept[name] = time.monotonic() + keep_s, value
        return value


class ReaderPool:
    """Connections to one history.

    :param path: the SQLite file; it need not exist yet
    :param size: how many connections at once
    """

    def __init__(self, path: str, size: int = 3) -> None:
        self._path = path
        self._idle: List[Reader] = []
        self._places = threading.Semaphore(size)
        self._guard = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[Optional[Reader]]:
        """A reader for one request; None where nothing was ever run.

        :raises Refusal: where all are busy for too long
        :raises StorageError: where the history cannot be read
        """
        if not self._places.acquire(timeout=_PATIENCE_S):
            raise Refusal("busy", "the history is being read by too many", Retry_After="1")
        reader: Optional[Reader] = None
        try:
            reader = self._open()
            yield reader
        except StorageError:
            if reader is not None:
                reader.history.close()
                reader = None
            raise
        finally:
            if reader is not None:
                with self._guard:
                    self._idle.append(reader)
            self._places.release()

    def close(self) -> None:
        """Close what is idle; what is in use closes with its process."""
        with self._guard:
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.history.close()

    def _open(self) -> Optional[Reader]:
        key = self._key()
        while True:
            with self._guard:
                reader = self._idle.pop() if self._idle else None
            if reader is None:
                break
            if self._is_good(reader, key):
                return reader
            reader.history.close()  # the file was restored or moved away, or the server was gone meanwhile
        if key is None:
            return None
        try:
            return Reader(self._connect(), key)
        except DatabaseError as error:
            if error.context.get("cause") == "missing":
                return None
            raise

    def _connect(self) -> History:
        return History.open(self._path, readonly=True)

    def _is_good(self, reader: Reader, key: Optional[_FileKey]) -> bool:
        return reader.key == key

    def _key(self) -> Optional[_FileKey]:
        try:
            found = os.lstat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

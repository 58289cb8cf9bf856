"""Writes log records to a file that several processes share and that anybody may rotate.

Each record is one line and each line goes out in one ``write`` to a descriptor in append mode, so lines of several
processes never mix. Before each write the name is compared with the open file: where it is another (``logrotate``,
or one of us), it is opened anew. Nothing here ever raises: a log that fails must not fail a job.
"""
import os
import stat
from _thread import allocate_lock
from typing import Callable, List, Optional, Sequence

from executioner_logging.record import LEVELS, LINE_BYTES, Record, json_line, text_line
from jobs.exceptions import StorageError
from jobs.locks import FileLock
from jobs.masking import NO_SECRETS, Masker
from jobs.private_files import open_private

__all__ = ["KEPT_FILES", "LogWriter", "MAX_BYTES"]

MAX_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5


class LogWriter:
    """A log file, made with mode 0600 where it does not exist; its folder must exist.

    :param path: the file; rotated ones are ``path.1`` (the newest) to ``path.N``
    :param masker: hides secret values
    :param text: lines for people instead of JSON
    :param level: the least level that is written
    :param max_bytes: size after which the file is rotated; 0 = never
    :param kept_files: how many rotated files are kept, at least 1
    :param report: told once, in one line, when the log cannot be written
    """

    def __init__(self, path: str, masker: Masker = NO_SECRETS, text: bool = False, level: str = "INFO",
                 max_bytes: int = MAX_BYTES, kept_files: int = KEPT_FILES,
                 report: Optional[Callable[[str], None]] = None) -> None:
        self.path = path
        self.masker = masker
        #: Lines that could not be written.
        self.lost = 0
        #: The first thing that went wrong; "" where nothing did.
        self.problem = ""
        self._line = text_line if text else json_line
        self._least = LEVELS.get(level.upper(), LEVELS["INFO"])
        self._max_bytes = max_bytes
        self._kept_files = max(1, kept_files)
        self._report = report
        self._lock = allocate_lock()
        self._descriptor = -1
        #: Lost lines that the log itself does not tell of yet, and whether its last line was cut off by a full disk.
        self._untold = 0
        self._torn = False

    def wants(self, level: str) -> bool:
        """Whether records of this level are written."""
        return LEVELS.get(level, LEVELS["CRITICAL"]) >= self._least

    def write(self, records: Sequence[Record]) -> None:
        """Write records, as few ``write`` calls as may be. Never raises; what is lost is counted."""
        lines = [self._line(record, self.masker) for record in records if self.wants(record.level)]
        if not lines:
            return
        with self._lock:
            gap = bool(self._untold)
            if gap:
                lines.insert(0, self._gap(records[0].at))
            lost = first = 0
            while first < len(lines):
                size = len(lines[first])
                after = first + 1
                while after < len(lines) and size + len(lines[after]) <= LINE_BYTES:
                    size += len(lines[after])
                    after += 1
                written = self._put(lines[first:after], size)
                lost += after - first - written
                if gap and first == 0:
                    if written:
                        self._untold = 0
                    else:
                        lost -= 1
                first = after
            self._untold += lost
            self.lost += lost

    def close(self) -> None:
        """Close the file; a later ``write`` opens it again."""
        with self._lock:
            self._close()

    def _gap(self, at: float) -> bytes:
        """A line that admits what is missing here."""
        return self._line(Record(at, "WARNING", "log_gap", "%d log lines could not be written: %s" % (
            self._untold, self.problem), context={"lost": self._untold}), self.masker)

    def _put(self, lines: List[bytes], size: int) -> int:
        """Write lines at once; how many of them are in the file, whole."""
        data = b"".join(lines)
        written = 0
        try:
            self._make_ready(size)
            if self._torn:
                os.write(self._descriptor, b"\n")
                self._torn = False
            written = os.write(self._descriptor, data)
            while written < len(data):
                # A full disk takes a part first and says so only then.
                written += os.write(self._descriptor, data[written:])
            return len(lines)
        except OSError as error:
            self._complain("cannot write %s: %s" % (self.path, error.strerror or error))
        except StorageError as error:
            self._complain(error.message)
        whole = 0
        while whole < len(lines) and written >= len(lines[whole]):
            written -= len(lines[whole])
            whole += 1
        self._torn = self._torn or written > 0
        return whole

    def _complain(self, problem: str) -> None:
        if self.problem:
            return
        self.problem = problem
        if self._report is not None:
            self._report("the log is not as it should be: " + problem)

    def _make_ready(self, size: int) -> None:
        """Have the file open that bears the name, with room for so many bytes."""
        room = self._room() if self._descriptor >= 0 else None
        if room is None:
            self._reopen()
            room = self._room()
        if self._max_bytes and room is not None and room < size:
            try:
                self._rotate()
            except StorageError as error:
                # A file that grows is better than lines that are lost.
                self._complain(error.message)
            except OSError as error:
                self._complain("cannot rotate %s: %s" % (self.path, error.strerror or error))
            if self._room() is None:
                self._reopen()

    def _reopen(self) -> None:
        self._close()
        self._descriptor = open_private(self.path, os.O_WRONLY | os.O_APPEND)

    def _room(self) -> Optional[int]:
        """Bytes until the open file is full (an empty one never is); None where it does not bear the name any more."""
        try:
            named = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return None
        ours = os.fstat(self._descriptor)
        if (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino) or not stat.S_ISREG(named.st_mode):
            return None
        return self._max_bytes - named.st_size if named.st_size else LINE_BYTES

    def _rotate(self) -> None:
        lock = FileLock(self.path + ".lock")
        if not lock.acquire(timeout_s=0):
            # Another process is at it; this once the file gets longer.
            return
        try:
            if self._room() is None:
                return
            for number in range(self._kept_files - 1, 0, -1):
                try:
                    os.rename("%s.%d" % (self.path, number), "%s.%d" % (self.path, number + 1))
                except FileNotFoundError:
                    continue
            os.rename(self.path, self.path + ".1")
        finally:
            lock.release()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

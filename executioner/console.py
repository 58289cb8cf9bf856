"""Text out: one writer for everything that we say ourselves.

UTF-8 with ``backslashreplace`` whatever the locale (cron's ``LANG=C``), written straight to the descriptor, so that
nothing is left in a buffer of ``sys.stdout`` to fail at exit. Control characters are made safe on a terminal.
"""
import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional

from executioner.background_writer import BackgroundWriter, write_all
from jobs.exceptions import StorageError

if TYPE_CHECKING:
    from jobs.startup import OriginalState

__all__ = ["Console", "Output", "OutputClosed", "OutputError"]

_BUFFER_BYTES = 1 << 16


class OutputClosed(Exception):
    """The reader of our standard output has gone (``| head``)."""


class OutputError(StorageError):
    """Our standard output cannot be written."""


class Output:
    """One of the two streams.

    :param descriptor: where it goes
    :param strict: results matter: an error is raised; what is merely told (stderr) is dropped where it cannot be told
    """

    def __init__(self, descriptor: int, strict: bool) -> None:
        self.descriptor = descriptor
        self.strict = strict
        self.is_terminal = os.isatty(descriptor)
        self._pending: List[bytes] = []
        self._pending_bytes = 0
        self._is_behind = False
        self._is_whole = False
        self._writer: Optional[BackgroundWriter] = None

    def line(self, text: str = "") -> None:
        """One line of ours; control characters in it are made safe on a terminal."""
        self.write(self.safe(text) + "\n")

    def safe(self, text: str) -> str:
        """The text as it may be shown here."""
        if not self.is_terminal:
            return text
        from jobs.terminal_text import safe_text
        return safe_text(text)

    def write(self, text: str) -> None:
        """The text as it is."""
        self.write_bytes(text.encode("utf-8", "backslashreplace"))

    def write_bytes(self, data: bytes) -> None:
        """Bytes as they are; buffered where the stream is strict (results), at once where it tells."""
        self._pending.append(data)
        self._pending_bytes += len(data)
        if not self.strict or self._pending_bytes >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is pending.

        :raises OutputClosed: the reader has gone (strict streams)
        :raises OutputError: it cannot be written (strict streams)
        """
        if not self._pending:
            return
        data = b"".join(self._pending)
        self.discard()
        if self._is_behind:
            if self._writer is None:
                self._writer = BackgroundWriter(self.descriptor)
                self._writer.whole = self._is_whole
            self._writer.write(data)
            return
        try:
            write_all(self.descriptor, data)
        except BrokenPipeError:
            if self.strict:
                raise OutputClosed()
        except OSError as error:
            if self.strict:
                raise OutputError("cannot write to standard output: %s" % error.strerror)

    def write_behind(self, whole: bool = False) -> None:
        """Never wait for the reader from now on: a thread writes.

        :param whole: leave nothing out, however much waits
        """
        self._is_behind, self._is_whole = True, whole
        if self._writer is not None:
            self._writer.whole = whole

    def catch_up(self, timeout_s: float = -1) -> bool:
        """Wait until all is written that was told since ``write_behind``, and then write at once again.

        :param timeout_s: how long to wait; negative: until it is done
        :return: False where the reader did not take it in time: what is told from now on is told to nobody
        """
        writer, self._writer = self._writer, None
        self._is_behind = False
        if writer is None or writer.close(timeout_s):
            return True
        self._is_behind, self._writer = True, writer
        return False

    def discard(self) -> None:
        """Forget what is pending."""
        self._pending = []
        self._pending_bytes = 0


class Console:
    """Standard output for results, standard error for progress and errors."""

    def __init__(self, environ: Optional[Mapping[str, str]] = None) -> None:
        self.environ: Dict[str, str] = dict(os.environ if environ is None else environ)
        #: How this process was started, for the jobs; set before any command begins.
        self.origin: "Optional[OriginalState]" = None
        self.out = Output(1, strict=True)
        self.err = Output(2, strict=False)

    @property
    def is_smart(self) -> bool:
        """Whether standard error is a terminal on which a line can be redrawn."""
        return self.err.is_terminal and self.environ.get("TERM", "dumb") not in ("", "dumb")

    @property
    def colour(self) -> bool:
        """Whether standard error may be coloured."""
        return self.is_smart and not self.environ.get("NO_COLOR")

    @property
    def width(self) -> int:
        """Columns of the terminal on standard error; 80 where it does not say (0x0)."""
        try:
            columns = os.get_terminal_size(self.err.descriptor).columns
        except OSError:
            columns = 0
        return columns if columns > 0 else 80

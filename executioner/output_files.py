"""Showing the output files of jobs: whole, from the N-th last line on, or as they grow; masked on the way.

A file is read in pieces and never held as a whole. What is no UTF-8 goes through unchanged into files and pipes;
on a terminal, where control characters are shown and not obeyed, it is shown as ``\\xNN``.
"""
import codecs
import os
from typing import Optional

from executioner.console import Output
from jobs.exceptions import StorageError
from jobs.hidden import HiddenParts
from jobs.masking import Masker
from jobs.private_files import open_regular

__all__ = ["OutputFile", "tail_offset"]

_PIECE = 1 << 16


class OutputFile:
    """One output file on its way to our standard output.

    :param title: a line that is written before the first piece, and again after another file had its turn; "" = none
    :param raw: also on a terminal control characters go out as they are
    :raises StorageError: where it cannot be opened
    """

    def __init__(self, path: str, out: Output, masker: Masker, title: str = "", raw: bool = False,
                 tail: Optional[int] = None) -> None:
        self._descriptor = open_regular(path)
        self._out = out
        self._title = title
        self._safe = out.is_terminal and not raw
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace" if self._safe else "surrogateescape")
        self._masker = masker.stream()
        self._hidden = HiddenParts(path)
        #: Whether what was written last did not end with a newline.
        self.is_open_line = False
        try:
            self._offset = 0 if tail is None else tail_offset(self._descriptor, tail)
        except OSError as error:
            os.close(self._descriptor)
            raise StorageError("cannot read %s: %s" % (path, error.strerror))

    def has_more(self) -> bool:
        """Whether there is something that was not written yet."""
        return os.fstat(self._descriptor).st_size > self._offset

    def copy(self, is_new_turn: bool = True) -> bool:
        """Write what is there now and was not written yet; whether there was anything.

        :param is_new_turn: another file was written since this one's last piece
        """
        wrote = False
        while True:
            data = os.pread(self._descriptor, _PIECE, self._offset)
            if not data:
                return wrote
            shown = self._hidden.masked(data, self._offset)
            self._offset += len(data)
            if self._title and is_new_turn and not wrote:
                self._out.line(self._title)
            wrote = True
            self._write(self._masker.feed(self._decoder.decode(shown)))

    def finish(self) -> None:
        """Nothing more comes: write what was held back, and close."""
        self._write(self._masker.feed(self._decoder.decode(b"", True)))
        self._write(self._masker.finish())
        os.close(self._descriptor)

    def _write(self, text: str) -> None:
        if text:
            self.is_open_line = not text.endswith("\n")
            self._out.write_bytes(self._out.safe(text).encode("utf-8") if self._safe
                                  else text.encode("utf-8", "surrogateescape"))


def tail_offset(descriptor: int, lines: int) -> int:
    """Where the last so many lines of a file begin; a newline at its very end begins no line."""
    end = os.fstat(descriptor).st_size
    if lines <= 0:
        return end
    if end and os.pread(descriptor, 1, end - 1) == b"\n":
        end -= 1
    while end > 0:
        begin = max(0, end - _PIECE)
        piece = os.pread(descriptor, end - begin, begin)
        at = len(piece)
        while lines:
            at = piece.rfind(b"\n", 0, at)
            if at < 0:
                break
            lines -= 1
        if not lines:
            return begin + at + 1
        end = begin
    return 0

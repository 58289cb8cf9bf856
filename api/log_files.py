"""Pieces of a job's output: where they begin and end in the file, and their text, masked.

Offsets are bytes of the file as the job wrote it. A piece never ends inside a character, nor inside what may become a
secret while the job still writes; ``next`` says where the following one begins.
"""
import os
import stat
import time
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

from api.errors import Refusal
from jobs.hidden import HiddenParts
from jobs.masking import MASK, Masker

__all__ = ["LogPiece", "follow", "open_output", "read_piece"]

_PERIOD_S = 0.3
_HEARTBEAT_S = 15.0
_PIECE = 64 * 1024
#: How far behind the wished begin of a tail a line may begin.
_LINE = 4096


class LogPiece(NamedTuple):
    """A part of an output file."""

    start: int
    next: int
    size: int
    text: str


def open_output(folder: str, path: str) -> int:
    """Open an output file inside the folder of its run; no link on the way is followed.

    :raises Refusal: where it is not there, or no such file
    """
    missing = Refusal("not_found", "the output is not there any more, or not yet")
    inside = os.path.relpath(path, folder) if folder and os.path.isabs(path) else ""
    parts = inside.split(os.sep)
    if not inside or any(part in ("", ".", "..") for part in parts):
        raise missing
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(folder, flags | os.O_DIRECTORY)
        for part in parts:
            above = descriptor
            try:
                descriptor = os.open(part, flags, dir_fd=above)
            finally:
                os.close(above)
    except (OSError, ValueError):
        raise missing
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise missing
    return descriptor


def read_piece(descriptor: int, offset: int, limit: int, masker: Masker, is_over: bool,
               hidden: Optional[HiddenParts] = None) -> LogPiece:
    """A piece of at most ``limit`` bytes.

    :param offset: where it begins; negative = so many bytes before the end, from the next line on
    :param is_over: nothing more will be written
    :param hidden: what the file's run has hidden in it
    """
    size = os.fstat(descriptor).st_size
    is_tail = offset < 0
    start = max(0, size + offset) if is_tail else min(offset, size)
    end = min(size, start + limit)
    around = masker.longest_bytes if masker else 0
    first = max(0, start - around)
    data = os.pread(descriptor, min(size, end + around) - first, first)
    if is_tail and start > 0:
        start = _line_start(data, start - first, end - first) + first
    before, middle = data[:start - first], data[start - first:end - first]
    if end < size or not is_over:
        middle = middle[:_whole_characters(middle)]
    after = data[len(before) + len(middle):]
    head, body, rest = (part.decode("utf-8", "surrogateescape") for part in (before, middle, after))
    if not is_over and end == size and masker:
        held = masker.held_back(head + body)
        if held and not rest:
            body = body[:max(0, len(body) - held)]
            middle = body.encode("utf-8", "surrogateescape")
    intervals = masker.find(head + body + rest)
    if hidden is not None:
        for part in hidden.within(first, first + len(data)):
            intervals.append((_characters(before, middle, after, part[0] - first),
                              _characters(before, middle, after, part[1] - first)))
    text = _masked(head + body + rest, len(head), len(head) + len(body), intervals)
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return LogPiece(start, start + len(middle), size, shown)


def follow(descriptor: int, offset: int, masker: Masker, is_over: Callable[[], bool], admitted: Callable[[], bool],
           wait: Callable[[float], bool], hidden: Optional[HiddenParts] = None) -> Iterator[Tuple[LogPiece, bool]]:
    """Pieces as they are written, each with whether it is the last; one without text now and then."""
    quiet_since = time.monotonic()
    try:
        while admitted():
            over = is_over()  # asked before the file is read: what was written until then is seen
            piece = read_piece(descriptor, offset, _PIECE, masker, over, hidden)
            is_last = over and piece.next >= piece.size
            if piece.text or piece.next > piece.start or is_last or time.monotonic() - quiet_since >= _HEARTBEAT_S:
                yield piece, is_last
                quiet_since = time.monotonic()
            if is_last:
                return
            is_behind = piece.next < piece.size and piece.next > piece.start
            offset = piece.next
            if not wait(0.0 if is_behind else _PERIOD_S):
                return
    finally:
        os.close(descriptor)


def _line_start(data: bytes, start: int, end: int) -> int:
    """The begin of the next line, or at least of the next character."""
    if data[start - 1:start] == b"\n":
        return start
    newline = data.find(b"\n", start, min(end, start + _LINE))
    if newline >= 0 and newline + 1 < end:
        return newline + 1
    for _ in range(3):
        if start < end and data[start] & 0xC0 == 0x80:
            start += 1
    return start


def _whole_characters(data: bytes) -> int:
    """How many bytes there are without a character that is cut at the end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte & 0xF8 == 0xF0 else 1
        return len(data) - back if needed > back else len(data)
    return len(data)


def _characters(before: bytes, middle: bytes, after: bytes, count: int) -> int:
    """How many characters so many bytes of the three are, each of them decoded by itself."""
    characters = 0
    for part in (before, middle, after):
        characters += len(part[:max(0, count)].decode("utf-8", "surrogateescape"))
        count -= len(part)
    return characters


def _masked(text: str, start: int, end: int, intervals: List[Tuple[int, int]]) -> str:
    pieces: List[str] = []
    position = start
    for first, last in sorted(intervals):
        if last <= max(start, position) or first >= end:
            continue
        pieces += [text[position:max(first, position)], MASK]
        position = min(last, end)
    pieces.append(text[position:end])
    return "".join(pieces)

"""The end of an output file, for the record, for mails and for people."""
import os
from typing import List

from jobs.masking import NO_SECRETS, Masker
from jobs.private_files import open_regular

__all__ = ["LINE_MOST", "TAIL_BYTES", "last_lines", "read_tail", "short_lines"]

#: Bytes of a stream's end that are kept with a result.
TAIL_BYTES = 64 * 1024
#: Characters of a line in a summary or a message; a job may write megabytes without a newline.
LINE_MOST = 500


def read_tail(path: str, max_bytes: int = TAIL_BYTES, masker: Masker = NO_SECRETS) -> str:
    """The last ``max_bytes`` bytes of a file as text; what is no UTF-8 becomes U+FFFD.

    Secrets are masked, also one that the beginning of the tail cuts through.

    :raises StorageError: where there is no such regular file (a symbolic link is not followed), or it cannot be read
    """
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        begin = max(0, size - max_bytes)
        before = min(begin, masker.longest_bytes) if masker else 0
        # Up to the size of this moment: a job that writes on must not keep us here.
        data = _read(descriptor, begin - before, size - begin + before)
    finally:
        os.close(descriptor)
    if begin:
        # Never begin inside a character: at most three bytes continue one.
        for _ in range(3):
            if before < len(data) and data[before] & 0xC0 == 0x80:
                before += 1
    head = data[:before].decode("utf-8", "replace")
    return masker.mask_text(head + data[before:].decode("utf-8", "replace"), start=len(head))


def last_lines(text: str, count: int) -> str:
    """The last ``count`` lines of a text; a newline at its very end begins no line."""
    if count <= 0:
        return ""
    position = len(text)
    if text.endswith("\n"):
        position -= 1
    for _ in range(count):
        position = text.rfind("\n", 0, position)
        if position < 0:
            return text
    return text[position + 1:]


def short_lines(text: str, count: int) -> List[str]:
    r"""The last ``count`` lines of a text for people; of one longer than ``LINE_MOST``, the beginning and a remark.

    A control character counts as what a terminal shows for it, ``\xNN``.
    """
    lines = last_lines(text, count).replace("\r\n", "\n").rstrip("\n").split("\n")
    return [_shortened(line) for line in lines]


def _shortened(line: str) -> str:
    from jobs.terminal_text import safe_text
    room = LINE_MOST
    for place, character in enumerate(line):
        room -= len(safe_text(character))
        if room < 0:
            return "%s ... (%d more characters)" % (line[:place], len(line) - place)
    return line


def _read(descriptor: int, offset: int, length: int) -> bytes:
    parts = []
    while length > 0:
        part = os.pread(descriptor, length, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b"".join(parts)

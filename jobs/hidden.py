"""Where secrets stand in the output of a run that is over, so that they stay hidden when nobody knows them any more.

The output itself is as the jobs wrote it. A later reader masks what is secret by then; a value that only that run was
given (by ``--env``, ``--param``, cron's environment, a file that has changed since) it cannot know. So the run, which
knew it, leaves the places behind, in ``masked.json`` beside the output. Neither the values nor hashes of them are kept.
"""
import json
import os
import stat
from bisect import bisect_right
from typing import Dict, List, Sequence, Tuple

from jobs.atomic import write_atomically
from jobs.exceptions import StorageError
from jobs.masking import MASK, Masker, united
from jobs.private_files import open_regular

__all__ = ["INLINE_BYTES", "HiddenParts", "leave_hidden", "output_bytes"]

#: Output of a run that is looked through before the command ends; more of it is another process's work.
INLINE_BYTES = 256 * 1024
_NAME = "masked.json"
_ENDINGS = (".out", ".err")
_PIECE = 1 << 20
#: Places in one file; where there are more, everything after them is hidden.
_MOST_PARTS = 20000
_MOST_BYTES = 64 << 20
_Part = Tuple[int, int]


class HiddenParts:
    """The parts of one output file that are hidden.

    :param path: of the output file; there need be nothing hidden in it
    """

    def __init__(self, path: str) -> None:
        folder, name = os.path.split(path)
        self._parts = _parts_of(os.path.join(folder, _NAME), name)
        self._starts = [first for first, _ in self._parts]

    def within(self, first: int, end: int) -> List[_Part]:
        """The hidden parts that a stretch of the file touches, as offsets in the file."""
        at = max(0, bisect_right(self._starts, first) - 1)
        found: List[_Part] = []
        for part in self._parts[at:]:
            if part[0] >= end:
                break
            if part[1] > first:
                found.append(part)
        return found

    def masked(self, data: bytes, offset: int) -> bytes:
        """What was read at an offset, with a mask at the begin of each hidden part and nothing of it."""
        pieces: List[bytes] = []
        at = offset
        for first, last in self.within(offset, offset + len(data)):
            if first >= offset:
                pieces += [data[at - offset:first - offset], MASK.encode("ascii")]
            at = last
        return b"".join(pieces) + data[at - offset:]


def _parts_of(path: str, name: str) -> List[_Part]:
    try:
        descriptor = open_regular(path)
    except StorageError:
        return []  # mostly there is none: nothing secret was found
    try:
        with open(descriptor, "rb") as stream:
            parts = json.loads(stream.read(_MOST_BYTES).decode("ascii")).get(name, [])
        return [(int(first), int(last)) for first, last in parts]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return []  # not ours: it is replaced as a whole, so ours is never half there


def output_bytes(folder: str) -> int:
    """How much output lies in the folder of a run.

    :raises OSError: where it cannot be read
    """
    return sum(size for _, size in _files(folder))


def leave_hidden(folder: str, masker: Masker) -> None:
    """Look through the output of a run that is over and leave word of where its secrets stand.

    :param folder: the run's
    :param masker: knows its secrets
    :raises StorageError: where that cannot be read or kept
    """
    forms = [form for form in map(_bytes_of, masker.forms) if form]
    found: Dict[str, List[_Part]] = {}
    if forms:
        try:
            for name, size in _files(folder):
                parts = _find(os.path.join(folder, name), size, forms)
                if parts:
                    found[name] = parts
        except OSError as error:
            raise StorageError("cannot look through %s: %s" % (folder, error.strerror or error),
                               context={"path": folder})
    if found:
        write_atomically(os.path.join(folder, _NAME), json.dumps(found, separators=(",", ":")).encode("ascii"))


def _bytes_of(form: str) -> bytes:
    try:
        return form.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b""  # half a character that no bytes stand for, so no output can hold it


def _files(folder: str) -> List[Tuple[str, int]]:
    """Output files with something in them, and their sizes."""
    found: List[Tuple[str, int]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_ENDINGS):
                status = entry.stat(follow_symlinks=False)
                if status.st_size and stat.S_ISREG(status.st_mode):
                    found.append((entry.name, status.st_size))
    return found


def _find(path: str, size: int, forms: Sequence[bytes]) -> List[_Part]:
    overlap = max(map(len, forms)) - 1
    parts: List[_Part] = []
    descriptor = open_regular(path)
    try:
        for offset in range(0, size, _PIECE):
            data = os.pread(descriptor, _PIECE + overlap, offset)
            for form in forms:
                at = data.find(form)
                while 0 <= at < _PIECE:
                    parts.append((offset + at, offset + at + len(form)))
                    at = data.find(form, at + 1)
            parts = united(parts)
            if len(parts) > _MOST_PARTS:
                return parts[:_MOST_PARTS] + [(parts[_MOST_PARTS][0], 1 << 62)]
    finally:
        os.close(descriptor)
    return parts

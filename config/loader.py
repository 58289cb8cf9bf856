"""From a file to a JSON value, and from a path inside that value back to a line and a column.

Reading takes the fast way: the standard library's parser, which knows no positions. Only where something is wrong
does ``config/positions.py`` go through the text a second time to find out where.
"""
import json
import os
import stat
from typing import Callable, Dict, List, Optional, Set, Tuple

from config.kinds import MAX_DIGITS
from config.problems import ERROR, WARNING, Path, Problem

__all__ = ["Document", "MAX_FILE_BYTES", "load", "load_text"]

#: Largest file, in bytes.
MAX_FILE_BYTES = 64 * 1024 * 1024
_CHUNK = 1 << 20


class Document:
    """A configuration as it was read.

    ``value`` is the JSON value, None where the text is not JSON. ``problems`` are those of reading, placed already.
    """

    __slots__ = ("file", "text", "plain", "value", "problems", "said", "looked")

    def __init__(self, file: str) -> None:
        self.file = file
        #: The text as read, without the byte-order mark.
        self.text = ""
        #: The same length, with comments and trailing commas as blanks.
        self.plain = ""
        self.value: object = None
        self.problems: List[Problem] = []
        #: Paths of values that reading has complained about already.
        self.said: Set[Path] = set()
        #: Whether strings and depth have been looked at.
        self.looked = False

    @property
    def is_usable(self) -> bool:
        """Whether there is a value to look at."""
        return self.value is not None or not self.problems

    def add(self, line: int, column: int, code: str, message: str, hint: str = "", path: str = "",
            severity: str = ERROR) -> None:
        """Note a problem of reading."""
        self.problems.append(Problem(self.file, line, column, code, path, severity, message, hint))

    def add_at(self, offset: int, code: str, message: str, hint: str = "", path: str = "") -> None:
        """Note a problem of reading at an offset of the text."""
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        self.add(line, column, code, message, hint, path)


def load(path: str, insecure: Optional[bool] = False) -> Document:
    """Read a configuration; whatever is wrong with it is in the document's ``problems``.

    :param path: the file; it is opened once, and a FIFO or a device never makes us wait
    :param insecure: False refuses a file that others could have written, None warns of it, True accepts it
    """
    document = Document(path)
    data = _read(document, path, insecure)
    if data is not None:
        try:
            _decode(document, data)
        except MemoryError:
            document.value = None
            document.add(0, 0, "E101", "the file does not fit into memory")
    return document


def load_text(text: str, file: str = "") -> Document:
    """The same for a text that is already there."""
    document = Document(file)
    _parse(document, text)
    return document


def _read(document: Document, path: str, insecure: Optional[bool]) -> Optional[bytes]:
    if "\0" in path:
        document.add(0, 0, "E101", "a path cannot hold a NUL character")
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, UnicodeEncodeError) as error:
        document.add(0, 0, "E101", "cannot be read: %s" % (getattr(error, "strerror", None) or error),
                     "standard input is not read: name a file" if path == "-" else "")
        return None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            document.add(0, 0, "E101", "must be a regular file, it is %s" % _file_kind(facts.st_mode))
            return None
        if facts.st_size > MAX_FILE_BYTES:
            document.add(0, 0, "E101", "must be at most 64 MiB, it has %d bytes" % facts.st_size)
            return None
        _look_at_owner(document, facts, insecure)
        chunks: List[bytes] = []
        size = 0
        while size <= MAX_FILE_BYTES:
            chunk = os.read(descriptor, max(_CHUNK, min(facts.st_size + 1, MAX_FILE_BYTES + 1)))
            if not chunk:
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
        document.add(0, 0, "E101", "must be at most 64 MiB")
        return None
    except OSError as error:
        document.add(0, 0, "E101", "cannot be read: %s" % (error.strerror or error))
        return None
    finally:
        os.close(descriptor)


def _file_kind(mode: int) -> str:
    for test, what in ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"),
                       (stat.S_ISBLK, "a device"), (stat.S_ISSOCK, "a socket")):
        if test(mode):
            return what
    return "something else"


def _look_at_owner(document: Document, facts: os.stat_result, insecure: Optional[bool]) -> None:
    """Who may write the file decides what we run: nobody but us and root may."""
    if insecure:
        return
    us = os.geteuid()
    reason = ""
    if facts.st_uid not in (us, 0):
        reason = "it belongs to the user with the number %d, neither to us nor to root" % facts.st_uid
    elif facts.st_mode & stat.S_IWOTH:
        reason = "everybody may write it"
    elif us == 0 and facts.st_mode & stat.S_IWGRP:
        reason = "its group may write it, and we are root"
    if reason:
        hint = "chown and chmod go-w it, or say --insecure-config"
        if insecure is None:
            document.add(0, 0, "W119", "a run would refuse the file: " + reason, hint, severity=WARNING)
        else:
            document.add(0, 0, "E119", "the file is not safe to run: " + reason, hint)


def _decode(document: Document, data: bytes) -> None:
    if data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[:error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1:].decode("utf-8", "replace")) + 1
        hint = "save the file as UTF-8"
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            hint = "it looks like UTF-16; " + hint
        document.add(line, column, "E102", "the text is not UTF-8: byte 0x%02x" % data[error.start], hint)
        return
    _parse(document, text)


class _Lexical:
    """What the standard parser lets pass, and we do not; where it stands is found out later."""

    def __init__(self) -> None:
        self.found = False

    def object(self, pairs: List[Tuple[str, object]]) -> Dict[str, object]:
        """An object; a key that stands twice in it is one too many."""
        value = dict(pairs)
        if len(value) != len(pairs):
            self.found = True
        return value

    def integer(self, digits: str) -> int:
        """A whole number that is not too long to be worked with."""
        if len(digits) > MAX_DIGITS:
            self.found = True
            return 0
        return int(digits)

    def real(self, digits: str) -> float:
        """A number with a fraction that is finite."""
        value = float(digits)
        if value - value != 0:
            self.found = True
            return 0.0
        return value

    def constant(self, word: str) -> float:
        """NaN and the infinities are not JSON."""
        self.found = True
        return 0.0


def _parse(document: Document, text: str) -> None:
    document.text = document.plain = text
    lexical = _Lexical()
    decode: Callable[[str], object] = json.JSONDecoder(
        object_pairs_hook=lexical.object, parse_int=lexical.integer, parse_float=lexical.real,
        parse_constant=lexical.constant).decode
    try:
        try:
            document.value = decode(text)
        except ValueError:
            from config import positions
            lexical.found = False
            document.plain, unfinished = positions.without_comments(text)
            if unfinished is not None:
                document.add_at(unfinished, "E102", "the comment never ends", "close it with */")
                return
            document.value = decode(document.plain)
    except ValueError as error:
        from config import positions
        positions.explain(document, error)
        return
    except RecursionError:
        from config import positions
        positions.find_depth(document)
        return
    if document.value is None:
        # "null" is JSON, but there is nothing to look at; the validator must not take it for an unread file.
        document.add_at(0, "E103", "must be an object, got null")
    elif lexical.found or ("\\" in text and "\\u" in text) or _has_comment_key(text):
        from config import positions
        positions.find_lexical(document, lexical.found)


def _has_comment_key(text: str) -> bool:
    """Whether a string begins with ``_``, as keys do that are comments: the one place for values nobody looks at."""
    if text.count("_") > 100:
        return '"_' in text
    offset = text.find("_")
    while offset >= 0:
        if offset and text[offset - 1] == '"':
            return True
        offset = text.find("_", offset + 1)
    return False

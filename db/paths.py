"""Paths as the history keeps them: the same text in every locale, and the same path again when it is read.

Cron runs with the locale C, in which an old Python takes each byte of a name beyond ASCII for a lone surrogate.
"""
import os
import re

from db.interface import storable

__all__ = ["path_of", "path_text"]

_ESCAPE = "\\udc"
_BYTE = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def path_text(path: str) -> str:
    """The text of a path; bytes that are no UTF-8 stand in it as their ``\\udcXX`` escapes."""
    try:
        path = os.fsencode(path).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        pass  # a name that this locale has no bytes for: it stays as the file said it
    return str(storable(path))


def path_of(text: str) -> str:
    """The path that a text stands for, as the functions of this system take it."""
    if _ESCAPE in text:
        text = _BYTE.sub(lambda match: chr(int(match.group(1), 16)), text)
    try:
        return os.fsdecode(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return text

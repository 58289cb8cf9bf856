"""What SQLite says, as one clear line: which file, what is wrong with it, and what to do.

Python 3.6 tells the kind of a failure by its text alone, so the text decides on every version; SQLite keeps them.
"""
import os
import sqlite3
from typing import Dict, Tuple, Union

from jobs.exceptions import DatabaseError, InternalError

__all__ = ["refusal", "translated"]

#: A part of SQLite's text (lower case): the cause it stands for.
_CAUSES: Tuple[Tuple[str, str], ...] = (
    ("is not a database", "not_a_database"),
    ("file is encrypted", "not_a_database"),
    ("malformed", "malformed"),
    ("unsupported file format", "malformed"),
    ("could not decode to utf-8", "malformed"),
    ("no such table", "malformed"),
    ("no such column", "malformed"),
    ("no such index", "malformed"),
    ("has no column named", "malformed"),
    ("readonly database", "readonly"),
    ("is locked", "locked"),
    ("locking protocol", "locked"),
    ("disk is full", "disk_full"),
    ("unable to open database file", "cannot_open"),
    ("disk i/o error", "io_error"),
    ("constraint", "constraint"),
)
#: What to do about damage that the look at the beginning did not see.
_FOUND_LATE = ("nothing more is written to it: look with `executioner db check`, and restore a backup (`executioner db "
               "restore`) or rebuild it (`executioner db recover --rebuild`)")
#: Less room than this is none: the index of the write-ahead log grows by 32 KiB.
_FULL_BYTES = 65536
#: What is wrong, and what to do about it.
_WORDS: Dict[str, Tuple[str, str]] = {
    "not_a_database": ("it is not a history database",
                       "it was left as it is: move it away, or restore a backup"),
    "missing": ("the database is not there", ""),
    "not_a_file": ("the database is no file", "it was left as it is: move it away, or choose another --home"),
    "malformed": ("the database is damaged",
                  "it was left as it is: restore a backup (`executioner db restore`), or move it away"),
    "readonly": ("the database cannot be written",
                 "give this user the right to write the file and its folder, or choose another --home"),
    "locked": ("another process keeps the database locked", "find it with `fuser`, or try again later"),
    "disk_full": ("the disk is full", "free some space"),
    "cannot_open": ("the database cannot be opened",
                    "check the rights of the file and its folder, and the limit of open files (`ulimit -n`)"),
    "io_error": ("the disk refused", "check the disk, and the limit of the file size (`ulimit -f`)"),
    "network_fs": ("it lies on a network file system, whose locks cannot be trusted",
                   "choose a --home on a local disk, or pass --allow-network-fs"),
    "replaced": ("it was moved away or replaced while this process had it open",
                 "what is not in it yet is not written to the other file: start again"),
    "foreign": ("it is the database of another program",
                "it was left as it is: move it away, or choose another --home"),
}


def refusal(path: str, cause: str, found: str = "", advice: str = "") -> DatabaseError:
    """The error of a cause, in words.

    :param found: what exactly was found, where that says more than the cause
    :param advice: what to do, where the cause's own advice does not fit
    """
    what, usual_advice = _WORDS.get(cause, ("the database refused", ""))
    text = "%s: %s" % (path, what)
    if found:
        text += " (%s)" % found
    advice = advice or usual_advice
    return DatabaseError(_one_line(text + ("; " + advice if advice else "")), context={"path": path, "cause": cause})


def translated(error: Union[sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError, ValueError],
               path: str) -> Union[DatabaseError, InternalError]:
    """The error of ours that an error of the ``sqlite3`` module stands for."""
    text = str(error)
    lowered = text.lower()
    if not isinstance(error, (sqlite3.Error, sqlite3.Warning)):
        return refusal(path, "value", "a value cannot be stored: " + text)
    for part, cause in _CAUSES:
        if part in lowered:
            if cause == "io_error" and _is_full(os.path.dirname(path)):
                cause = "disk_full"
            # What is found while it is in use is found after other rows were written.
            return refusal(path, cause, text, _FOUND_LATE if cause == "malformed" else "")
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return InternalError(_one_line("this is a bug: %s: %s" % (path, text)), context={"path": path})
    return refusal(path, "other", text)


def _is_full(folder: str) -> bool:
    """Whether there is no room on the disk: SQLite has other words for that where its index of the log cannot grow."""
    try:
        found = os.statvfs(folder or ".")
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _FULL_BYTES or (found.f_files > 0 and found.f_favail == 0)


def _one_line(text: str) -> str:
    return " ".join(text.split("\n"))

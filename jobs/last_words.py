"""Why a runner ended its run before its time, where every reader finds it: in the first line of the run's record.

A run that is given up (no descriptor, no process, no room on the disk for ten minutes; a failure of ours) may be
unable to write into the history, and to make any file longer. So the record is made with a line of blanks, which is
written over: that takes no room on the disk and no new file.
"""
import os
from typing import NamedTuple, Optional

from jobs import system
from jobs.keeper.record import quoted, unquoted

__all__ = ["LastWords", "leave_last_words", "make_room", "read_last_words"]

ROOM_BYTES = 1024
_BLANK = b" " * (ROOM_BYTES - 1) + b"\n"
_KIND = b"given_up"


class LastWords(NamedTuple):
    """What a runner said when it gave its run up."""

    #: Epoch seconds.
    at: float
    #: Of the command.
    exit_code: int
    #: One line for a person.
    reason: str


def make_room(path: str) -> None:
    """Make the record of a run, with room for last words; one that is there stays as it is.

    :raises OSError: where it cannot be made
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = system.open_file(path, flags, 0o600)
    try:
        if not os.fstat(descriptor).st_size:
            os.fchmod(descriptor, 0o600)
            try:
                system.write(descriptor, _BLANK)
            except OSError:
                pass  # the run may go on without; that the disk is full others will notice
    finally:
        os.close(descriptor)


def leave_last_words(path: str, words: LastWords) -> bool:
    """Write them into the record, in the room that was made; whether they stand there. Never raises."""
    head = b"%s - at=%.6f exit_code=%d reason=" % (_KIND, words.at, words.exit_code)
    reason = words.reason
    while len(head) + len(quoted(reason)) > ROOM_BYTES - 3:
        reason = reason[:-8]
    line = (head + quoted(reason)).ljust(ROOM_BYTES - 3) + b" .\n"
    try:
        descriptor = system.open_file(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.pread(descriptor, ROOM_BYTES, 0) != _BLANK:
                return False  # a record of an earlier version
            return os.pwrite(descriptor, line, 0) == len(line)
        finally:
            os.close(descriptor)
    except OSError:
        return False


def read_last_words(path: str) -> Optional[LastWords]:
    """What the runner said, None where it said nothing (or the record is not there)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        line = os.pread(descriptor, ROOM_BYTES, 0).partition(b"\n")[0]
    except OSError:
        return None
    finally:
        os.close(descriptor)
    words = line.split()
    if words[:1] != [_KIND] or words[-1] != b".":
        return None
    try:
        pairs = {}
        for word in words[2:-1]:
            name, value = word.split(b"=", 1)
            pairs[name] = value
        return LastWords(float(pairs[b"at"]), int(pairs[b"exit_code"]), unquoted(pairs[b"reason"]))
    except (ValueError, KeyError):
        return None

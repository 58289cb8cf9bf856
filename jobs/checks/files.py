"""The checks that look at files: does one exist, is it empty or old, is a log free of Oracle's errors.

Each takes the context and its declared parameters by name. Paths may be patterns (``*``, ``?``, ``[...]``, ``**``).
"""
import os
import re
import time
from typing import List, Optional, Pattern, Tuple

from jobs.checks.result import CheckContext, CheckResult
from jobs.exceptions import StorageError
from jobs.keeper.verdict import bytes_text
from jobs.private_files import open_readable
from jobs.times import duration_text, utc_text

__all__ = ["check_file_exists", "check_file_newer_than", "check_file_not_empty", "check_no_ora_errors",
           "check_no_ora_or_sp2_errors", "files_of", "first_match"]

_CHUNK_BYTES = 1 << 20
#: Bytes of an error's line that are shown.
_SHOWN_BYTES = 200
_ORA = re.compile(br"ORA-\d{5}")
_ORA_OR_SP2 = re.compile(br"ORA-\d{5}|SP2-\d{4}")
#: One less than the longest of the above: what two chunks may share.
_OVERLAP_BYTES = 8


def check_file_exists(context: CheckContext, path: str) -> CheckResult:
    """Passes where the file (not a folder) exists, or at least one file matches the pattern."""
    name = "check_file_exists"
    files = files_of(context, path)
    if files:
        return CheckResult(name, True, "%s exists" % files[0])
    return CheckResult(name, False, _no_file(context, path))


def check_file_not_empty(context: CheckContext, path: str, min_size: int = 1) -> CheckResult:
    """Passes where the file is there, or files match the pattern, and each has at least so many bytes."""
    name = "check_file_not_empty"
    files = files_of(context, path)
    if not files:
        return CheckResult(name, False, _no_file(context, path))
    for file in files:
        try:
            size = os.stat(file).st_size
        except OSError as error:
            return CheckResult(name, False, _unseen(file, error))
        if size < min_size:
            return CheckResult(name, False, "%s is empty" % file if not size else "%s has %s, fewer than %s" % (
                file, bytes_text(size), bytes_text(min_size)))
    return CheckResult(name, True, "%s not empty" % (
        "%s is" % files[0] if len(files) == 1 else "%d files are" % len(files)))


def check_file_newer_than(context: CheckContext, path: str, than: Optional[str] = None,
                          max_age: Optional[float] = None) -> CheckResult:
    """Passes where the file, or the newest that matches the pattern, was changed after every file of ``than``, or
    within the last ``max_age`` seconds."""
    name = "check_file_newer_than"
    files = files_of(context, path)
    if not files:
        return CheckResult(name, False, _no_file(context, path))
    try:
        newest, changed = _newest(files)
        if than is not None:
            others = files_of(context, than)
            if not others:
                return CheckResult(name, False, _no_file(context, than))
            other, bound = _newest(others)
            return CheckResult(name, changed > bound, "%s (%s) is %s than %s (%s)" % (
                newest, _time(changed), "newer" if changed > bound else "not newer", other, _time(bound)))
    except OSError as error:
        return CheckResult(name, False, _unseen(str(error.filename), error))
    assert max_age is not None
    now = time.time()
    is_new = changed / 1e9 >= now - max_age
    return CheckResult(name, is_new, "%s was changed at %s, which is %s than %s ago" % (
        newest, _time(changed), "less" if is_new else "more", duration_text(max_age)))


def _newest(files: List[str]) -> Tuple[str, int]:
    """The file that was changed last, and when, in nanoseconds."""
    return max(((file, os.stat(file).st_mtime_ns) for file in files), key=lambda one: one[1])


def _time(nanoseconds: int) -> str:
    return utc_text(nanoseconds / 1e9)


def _no_file(context: CheckContext, path: str) -> str:
    full = context.path(path)
    return "%s is a folder, not a file" % full if os.path.isdir(full) else "no file %s" % full


def _unseen(path: str, error: OSError) -> str:
    return "cannot look at %s: %s" % (path, error.strerror or error)


def check_no_ora_errors(context: CheckContext, log_file: str) -> CheckResult:
    """Passes where the log files are there and no line says ``ORA-`` with its five digits."""
    return _check_log("check_no_ora_errors", context, log_file, _ORA)


def check_no_ora_or_sp2_errors(context: CheckContext, log_file: str) -> CheckResult:
    """Passes where the log files are there and no line says ``ORA-nnnnn`` or ``SP2-nnnn`` (SQL*Plus)."""
    return _check_log("check_no_ora_or_sp2_errors", context, log_file, _ORA_OR_SP2)


def _check_log(name: str, context: CheckContext, log_file: str, pattern: Pattern[bytes]) -> CheckResult:
    files = files_of(context, log_file)
    if not files:
        return CheckResult(name, False, "no log file %s" % context.path(log_file))
    for path in files:
        try:
            found = first_match(path, pattern, _OVERLAP_BYTES)
        except StorageError as error:
            return CheckResult(name, False, error.message)
        except OSError as error:
            return CheckResult(name, False, "cannot read %s: %s" % (path, error.strerror or error))
        if found is not None:
            return CheckResult(name, False, "%s:%s" % (path, found))
    shown = files[0] if len(files) == 1 else "%d files" % len(files)
    return CheckResult(name, True, "no error in %s" % shown)


def files_of(context: CheckContext, pattern: str, with_folders: bool = False) -> List[str]:
    """The files that a path or pattern means, sorted. A file whose name is the pattern itself is meant alone.

    :param with_folders: whether folders count as well
    """
    full = context.path(pattern)
    if os.path.isfile(full):
        return [full]
    if with_folders and os.path.exists(full):
        return [full]
    if not any(character in pattern for character in "*?["):
        # Let the reader say what is wrong with it (a device, no permission); a folder is no file.
        return [full] if os.path.exists(full) and not os.path.isdir(full) else []
    import glob

    # The folder is no pattern, whatever characters its name has.
    rooted = pattern if os.path.isabs(pattern) else os.path.join(glob.escape(context.working_dir), pattern)
    return sorted(path for path in glob.glob(rooted, recursive=True) if with_folders or not os.path.isdir(path))


def first_match(path: str, pattern: Pattern[bytes], overlap_bytes: int) -> Optional[str]:
    """``LINE: TEXT`` of the first match in a file of any size; None where there is none.

    :param overlap_bytes: one less than the longest match
    :raises StorageError: where it is no file that can be read
    """
    descriptor = open_readable(path)
    try:
        line = 1
        kept = b""
        while True:
            chunk = os.read(descriptor, _CHUNK_BYTES)
            if not chunk:
                return None
            data = kept + chunk
            match = pattern.search(data)
            if match is not None:
                line += data.count(b"\n", 0, match.start())
                text = data[match.start():match.start() + _SHOWN_BYTES]
                if b"\n" not in text and len(text) < _SHOWN_BYTES:
                    text += os.read(descriptor, _SHOWN_BYTES - len(text))
                return "%d: %s" % (line, text.split(b"\n", 1)[0].decode("utf-8", "replace").rstrip())
            kept = data[-overlap_bytes:] if overlap_bytes else b""
            line += data.count(b"\n", 0, len(data) - len(kept))
    finally:
        os.close(descriptor)

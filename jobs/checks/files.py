"""The checks that look at files: does one exist, is a log free of Oracle's errors.

Each takes the context and its declared parameters by name. Paths may be patterns (``*``, ``?``, ``[...]``, ``**``).
"""
import os
import re
from typing import List, Optional, Pattern

from jobs.checks.result import CheckContext, CheckResult
from jobs.exceptions import StorageError
from jobs.private_files import open_readable

__all__ = ["check_file_exists", "check_no_ora_errors", "check_no_ora_or_sp2_errors"]

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
    files = _files(context, path)
    if files:
        return CheckResult(name, True, "%s exists" % files[0])
    full = context.path(path)
    if os.path.isdir(full):
        return CheckResult(name, False, "%s is a folder, not a file" % full)
    return CheckResult(name, False, "no file %s" % full)


def check_no_ora_errors(context: CheckContext, log_file: str) -> CheckResult:
    """Passes where the log files are there and no line says ``ORA-`` with its five digits."""
    return _check_log("check_no_ora_errors", context, log_file, _ORA)


def check_no_ora_or_sp2_errors(context: CheckContext, log_file: str) -> CheckResult:
    """Passes where the log files are there and no line says ``ORA-nnnnn`` or ``SP2-nnnn`` (SQL*Plus)."""
    return _check_log("check_no_ora_or_sp2_errors", context, log_file, _ORA_OR_SP2)


def _check_log(name: str, context: CheckContext, log_file: str, pattern: Pattern[bytes]) -> CheckResult:
    files = _files(context, log_file)
    if not files:
        return CheckResult(name, False, "no log file %s" % context.path(log_file))
    for path in files:
        try:
            found = _first_error(path, pattern)
        except StorageError as error:
            return CheckResult(name, False, error.message)
        except OSError as error:
            return CheckResult(name, False, "cannot read %s: %s" % (path, error.strerror or error))
        if found is not None:
            return CheckResult(name, False, "%s:%s" % (path, found))
    shown = files[0] if len(files) == 1 else "%d files" % len(files)
    return CheckResult(name, True, "no error in %s" % shown)


def _files(context: CheckContext, pattern: str) -> List[str]:
    """The files that a path or pattern means, sorted. A file whose name is the pattern itself comes first."""
    full = context.path(pattern)
    if os.path.isfile(full):
        return [full]
    if not any(character in pattern for character in "*?["):
        # Let the reader say what is wrong with it (a device, no permission); a folder is no file.
        return [full] if os.path.exists(full) and not os.path.isdir(full) else []
    import glob

    # The folder is no pattern, whatever characters its name has.
    rooted = pattern if os.path.isabs(pattern) else os.path.join(glob.escape(context.working_dir), pattern)
    return sorted(path for path in glob.glob(rooted, recursive=True) if not os.path.isdir(path))


def _first_error(path: str, pattern: Pattern[bytes]) -> Optional[str]:
    """``LINE: TEXT`` of the first error in a file of any size; None where there is none."""
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
            kept = data[-_OVERLAP_BYTES:]
            line += data.count(b"\n", 0, len(data) - len(kept))
    finally:
        os.close(descriptor)

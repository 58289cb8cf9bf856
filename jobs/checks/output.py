"""The checks that look into what the attempt itself wrote: its standard output and its standard error."""
import os
import re
from typing import List, Optional, Tuple

from jobs.checks.files import first_match
from jobs.checks.result import CheckContext, CheckResult
from jobs.exceptions import StorageError

__all__ = ["STREAMS", "check_output_contains", "check_output_lacks"]

#: What ``stream`` may be.
STREAMS = ("stdout", "stderr", "both")


def check_output_contains(context: CheckContext, text: Optional[str] = None, pattern: Optional[str] = None,
                          stream: str = "both") -> CheckResult:
    """Passes where the attempt wrote the text, or a line that the regular expression matches."""
    return _check("check_output_contains", context, text, pattern, stream, True)


def check_output_lacks(context: CheckContext, text: Optional[str] = None, pattern: Optional[str] = None,
                       stream: str = "both") -> CheckResult:
    """Passes where the attempt did not write the text, and no line that the regular expression matches."""
    return _check("check_output_lacks", context, text, pattern, stream, False)


def _check(name: str, context: CheckContext, text: Optional[str], pattern: Optional[str], stream: str,
           is_wanted: bool) -> CheckResult:
    files = [(label, path) for label, path in (("stdout", context.stdout_path), ("stderr", context.stderr_path))
             if stream in (label, "both")]
    if not all(path for _, path in files):
        return CheckResult(name, False, "there is no output of an attempt to look into")
    what = '"%s"' % text if text is not None else "the pattern %s" % pattern
    try:
        for _, path in files:
            os.stat(path)
        if text is not None:
            found = _first_text(files, text)
        else:
            is_found, found = _first_line(files, pattern or "")
            if not is_found and found:
                return CheckResult(name, False, "cannot look for %s: %s" % (what, found))
    except StorageError as error:
        return CheckResult(name, False, error.message)
    except OSError as error:
        return CheckResult(name, False, "cannot read %s: %s" % (error.filename, error.strerror or error))
    where = " or ".join(label for label, _ in files)
    return CheckResult(name, bool(found) == is_wanted, "%s is in %s" % (what, found) if found else
                       "%s is not in %s" % (what, where))


def _first_text(files: List[Tuple[str, str]], text: str) -> str:
    wanted = text.encode("utf-8", "surrogateescape")
    for label, path in files:
        found = first_match(path, re.compile(re.escape(wanted)), len(wanted) - 1)
        if found is not None:
            return "%s:%s" % (label, found)
    return ""


def _first_line(files: List[Tuple[str, str]], pattern: str) -> Tuple[bool, str]:
    # Some expressions take for ever, and here nothing else would go on meanwhile.
    from jobs.checks.apart import run_apart
    return run_apart("search", {"pattern": pattern, "files": files}, "/", {}, isolated=True)

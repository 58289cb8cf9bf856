"""``env_file``: variables of a job from files of ``NAME=value`` lines.

What is understood is what a shell and the usual tools agree on; where they do not, the line is refused and nothing is
guessed. Blank lines and lines that begin with ``#`` say nothing; ``export`` before a name is allowed. A value is

- ``'...'``: as it is, nothing is expanded;
- ``"..."``: with ``${NAME}`` expanded as everywhere; a backslash takes the meaning from a quote, a backslash and ``$``;
- without quotes: to the end of the line or to a ``#`` after a blank, ``${NAME}`` expanded, backslashes as they are.

A value never goes over several lines, and nothing is ever run. Messages never show a value: it may be a secret.
"""
import os
import re
import stat
from typing import Dict, List, Optional

from config.kinds import MAX_TEXT, text_bytes
from config.problems import quoted

__all__ = ["MAX_FILE_BYTES", "EnvFile", "read_env_file"]

#: Largest file, in bytes.
MAX_FILE_BYTES = 1 << 20

_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=[ \t]*")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SINGLE = re.compile(r"'([^']*)'")
_AFTER = re.compile(r"[ \t]*(?:[ \t]#.*)?\Z")
_COMMENT = re.compile(r"(?:^|[ \t]+)#.*\Z")
_ESCAPED = re.compile(r'\\(["\\$`])')


class EnvFile:
    """What a file says; of a name that stands twice, the last line holds.

    ``problems`` are whole sentences that name the file and the line.
    """

    __slots__ = ("path", "expanded", "literal", "problems", "warning")

    def __init__(self, path: str) -> None:
        self.path = path
        #: Values in which ``${NAME}`` stands for a variable.
        self.expanded: Dict[str, str] = {}
        #: Values that are taken as they are.
        self.literal: Dict[str, str] = {}
        self.problems: List[str] = []
        #: Who could have written the file, where that is somebody else.
        self.warning = ""

    def written(self) -> Dict[str, str]:
        """All values, as the file says them."""
        return dict(self.expanded, **self.literal)


def read_env_file(path: str) -> EnvFile:
    """Read a file; what is wrong with it is in ``problems``.

    :param path: absolute; a FIFO or a device never makes us wait
    """
    found = EnvFile(path)
    try:
        data = _read(found, path)
        text = None if data is None else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found.problems.append("%s, line %d: the text is not UTF-8" % (
            quoted(path, None), error.object[:error.start].count(b"\n") + 1))
        return found
    except (OSError, ValueError) as error:
        found.problems.append("%s cannot be read: %s" % (
            quoted(path, None), getattr(error, "strerror", None) or error))
        return found
    for number, line in enumerate((text or "").split("\n"), 1):
        problem = _take(found, line[:-1] if line.endswith("\r") else line)
        if problem:
            found.problems.append("%s, line %d: %s" % (quoted(path, None), number, problem))
    return found


def _read(found: EnvFile, path: str) -> Optional[bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            found.problems.append("%s is no regular file" % quoted(path, None))
            return None
        if facts.st_uid not in (os.geteuid(), 0):
            found.warning = "%s belongs to another user, who decides what the job runs with" % quoted(path, None)
        elif facts.st_mode & stat.S_IWOTH:
            found.warning = "everybody may write %s, and decide what the job runs with" % quoted(path, None)
        data = b""
        while len(data) <= MAX_FILE_BYTES:
            chunk = os.read(descriptor, MAX_FILE_BYTES + 1)
            if not chunk:
                return data
            data += chunk
    finally:
        os.close(descriptor)
    found.problems.append("%s is larger than 1 MiB" % quoted(path, None))
    return None


def _take(found: EnvFile, line: str) -> str:
    """Take one line; why it cannot be taken, "" where it can."""
    line = line.strip(" \t")
    if not line or line[0] == "#":
        return ""
    match = _NAME.match(line)
    if match is None:
        return "must be NAME=value, with a name of letters, digits and _ and no blank before ="
    name, rest = match.group(1), line[match.end():]
    is_literal = False
    if rest[:1] == "'":
        inner = _SINGLE.match(rest)
        if inner is None or not _AFTER.match(rest, inner.end()):
            return "%s: the single quotes must close at the end of the line" % name
        value, is_literal = inner.group(1), True
    elif rest[:1] == '"':
        inner = _DOUBLE.match(rest)
        if inner is None or not _AFTER.match(rest, inner.end()):
            return "%s: the double quotes must close at the end of the line" % name
        raw = inner.group(1)
        bare = _ESCAPED.sub("", raw)
        if _runs(bare):
            return "%s: no command is run here; for the text itself use single quotes" % name
        value = _ESCAPED.sub(r"\1", raw)
        is_literal = "${" not in bare
        if not is_literal and "\\$" in raw:
            return "%s: a value with ${NAME} cannot have \\$ as well" % name
    else:
        value = _COMMENT.sub("", rest).rstrip(" \t")
        if "'" in value or '"' in value:
            return "%s: a quote inside the value; put the whole value in quotes" % name
        if _runs(value):
            return "%s: no command is run here; for the text itself use single quotes" % name
    if "${jobs." in value or not is_literal and ("${params." in value or "${item" in value):
        return "%s: ${jobs...}, ${params...} and ${item} have no place here; env_variables is for them" % name
    if "\0" in value or text_bytes(value) + len(name) + 1 > MAX_TEXT:
        return "%s: must be without NUL and shorter than %d bytes" % (name, MAX_TEXT)
    found.expanded.pop(name, None)
    found.literal.pop(name, None)
    (found.literal if is_literal else found.expanded)[name] = value
    return ""


def _runs(text: str) -> bool:
    return "$(" in text or "`" in text

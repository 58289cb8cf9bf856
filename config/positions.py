"""Lines and columns: the second, slower pass over the text of a configuration, for when something is wrong.

The text has been through the standard parser by then, or is being explained because it did not get through. All
passes are iterative: 100,000 nested brackets are an error with a line, not the end of our stack.
"""
import json
import re
from typing import TYPE_CHECKING, Dict, List, Optional, Set, Tuple

from config.kinds import MAX_DEPTH, MAX_DIGITS
from config.problems import Finding, Path, Problem, path_text, quoted

if TYPE_CHECKING:
    from config.loader import Document

__all__ = ["Places", "explain", "find_depth", "find_lexical", "locate", "placed", "without_comments"]

_STRING = r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
_COMMENT = re.compile(_STRING + r'|//[^\n]*|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/|/\*|"')
_COMMA = re.compile(_STRING + r'|,[ \t\r\n]*(?=[}\]])')
_TOKEN = re.compile(_STRING + r'|[{}\[\],:]|[^\s{}\[\],:"]+')
_BRACKET = re.compile(_STRING + r'|[{}\[\]]')
_NOT_NEWLINE = re.compile(r"[^\n]")
#: What the standard parser says, and what we say.
_SENTENCES = (
    ("Expecting property name", "expected a key in double quotes"),
    ("Expecting value", "expected a value"),
    ("Expecting ',' delimiter", "expected a comma or the end of the list or object"),
    ("Expecting ':' delimiter", "expected a colon after the key"),
    ("Extra data", "expected the end of the file"),
    ("Unterminated string", "the string never ends"),
    ("Invalid control character", "a string must be on one line; write control characters as \\n, \\t or \\u00XX"),
    ("Invalid \\escape", "there is no such escape in a string; write a backslash as \\\\"),
    ("Invalid \\uXXXX escape", "\\u needs four hexadecimal digits"),
    ("Illegal trailing comma", "expected a value, not a comma"),
)

#: Offsets of a value and of its key (of the value again where it stands in a list).
Places = Dict[Path, Tuple[int, int]]


def without_comments(text: str) -> Tuple[str, Optional[int]]:
    """The text with comments and trailing commas as blanks, and where a comment begins that never ends."""
    pieces = []
    end = 0
    for match in _COMMENT.finditer(text):
        token = match.group()
        if token == "/*":
            return text, match.start()
        if token == '"':
            break
        if token[0] == "/":
            pieces.append(text[end:match.start()])
            pieces.append(_NOT_NEWLINE.sub(" ", token))
            end = match.end()
    pieces.append(text[end:])
    text = "".join(pieces)
    pieces = []
    end = 0
    for match in _COMMA.finditer(text):
        if text[match.start()] == "," and _follows_a_value(text, match.start()):
            pieces.append(text[end:match.start()])
            pieces.append(" ")
            end = match.start() + 1
    pieces.append(text[end:])
    return "".join(pieces), None


def _follows_a_value(text: str, offset: int) -> bool:
    offset -= 1
    while offset >= 0 and text[offset] in " \t\r\n":
        offset -= 1
    return offset >= 0 and text[offset] not in "[{,:"


def explain(document: "Document", error: ValueError) -> None:
    """Note in one sentence why a text is not JSON, and where."""
    offset = getattr(error, "pos", 0)
    said = getattr(error, "msg", str(error))
    text = document.plain
    sentence = next((ours for theirs, ours in _SENTENCES if said.startswith(theirs)), said[:1].lower() + said[1:])
    if not text.strip():
        document.add(1, 1, "E102", "the file is empty", "write at least {\"jobs\": [...]}")
        return
    # The parser stands before the blanks in front of what it did not expect.
    if not said.startswith(("Unterminated", "Invalid")):
        while offset < len(text) and text[offset] in " \t\r\n":
            offset += 1
        found = _TOKEN.match(text, offset)
        token = found.group() if found else text[offset:offset + 1]
        sentence += ", found " + (("the end of the file" if not token else token if token[0] == '"' and len(token) < 40
                                   else quoted(token, 40)))
    elif said.startswith("Invalid \\u") and text[offset - 1:offset] == "\\":
        offset -= 1
    document.add_at(offset, "E102", sentence)


def find_depth(document: "Document") -> None:
    """Note where the nesting becomes too deep, in a text that was too deep for the parser."""
    depth = 0
    for match in _BRACKET.finditer(document.plain):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                document.add_at(match.start(), "E112", "lists and objects are nested more than %d deep" % MAX_DEPTH)
                return
        elif token[0] != '"':
            depth -= 1
    document.add(0, 0, "E112", "lists and objects are nested too deeply")


class _Frame:
    """One list or object that the pass is inside of."""

    __slots__ = ("keys", "step", "wanted", "key_offset")

    def __init__(self, keys: Optional[Set[str]], wanted: "Optional[_Wanted]") -> None:
        #: Keys seen so far; None in a list.
        self.keys = keys
        #: The key, or the index, of the value that comes next or that the pass is inside of.
        self.step: object = "" if keys is not None else 0
        self.wanted = wanted
        self.key_offset = -1


class _Wanted:
    """A tree of the paths whose places are wanted."""

    __slots__ = ("below", "path")

    def __init__(self) -> None:
        self.below: Dict[object, "_Wanted"] = {}
        self.path: Optional[Path] = None

    def add(self, path: Path) -> None:
        """One more path."""
        node = self
        for step in path:
            found = node.below.get(step)
            if found is None:
                found = node.below[step] = _Wanted()
            node = found
        node.path = path


def locate(text: str, paths: "Set[Path]") -> Places:
    """Offsets of the values at the given paths, and of their keys, in a text that is JSON.

    Where a key stands twice, the last one counts, as it does for the parser.
    """
    root = _Wanted()
    for path in paths:
        root.add(path)
    places: Places = {}
    stack: List[_Frame] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        first = token[0]
        frame = stack[-1] if stack else None
        if first == ",":
            if frame is not None:
                _next(frame)
        elif first in "]}":
            stack.pop()
        elif first == ":":
            continue
        elif frame is not None and frame.keys is not None and frame.key_offset < 0:
            frame.key_offset = match.start()
            if frame.wanted is not None:
                frame.step = _unescaped(token)
        else:
            wanted: Optional[_Wanted] = root
            if frame is not None:
                wanted = frame.wanted.below.get(frame.step) if frame.wanted is not None else None
            if wanted is not None and wanted.path is not None:
                offset = match.start()
                places[wanted.path] = (offset, frame.key_offset if frame is not None and frame.key_offset >= 0
                                       else offset)
            if first in "[{":
                stack.append(_Frame(set() if first == "{" else None, wanted))
    return places


def _next(frame: _Frame) -> None:
    if frame.keys is None:
        assert isinstance(frame.step, int)
        frame.step += 1
    else:
        frame.key_offset = -1


def _unescaped(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    value = json.loads(token)
    assert isinstance(value, str)
    return value


def find_lexical(document: "Document", everything: bool) -> None:
    """Note what the parser let pass: keys that stand twice, numbers that are none, unusable strings, deep nesting.

    :param everything: whether the parser has seen any of the first two; else only strings and depth are looked at
    """
    document.looked = True
    if not everything and not _suspicious(document.value, MAX_DEPTH):
        return
    stack: List[_Frame] = []
    for match in _TOKEN.finditer(document.plain):
        token = match.group()
        first = token[0]
        frame = stack[-1] if stack else None
        if first == ",":
            if frame is not None:
                _next(frame)
        elif first in "]}":
            stack.pop()
        elif first == ":":
            continue
        elif frame is not None and frame.keys is not None and frame.key_offset < 0:
            key = _unescaped(token)
            frame.key_offset = match.start()
            frame.step = key
            path = _path(stack)
            if key in frame.keys:
                document.add_at(match.start(), "E110", "the key %s stands twice in this object" % quoted(key),
                                "", path_text(path))
            frame.keys.add(key)
            _look_at_string(document, match.start(), token, key, path)
        elif first in "[{":
            if len(stack) >= MAX_DEPTH:
                document.add_at(match.start(), "E112", "lists and objects are nested more than %d deep" % MAX_DEPTH,
                                "", path_text(_path(stack)[:8]))
                document.value = None
                return
            stack.append(_Frame(set() if first == "{" else None, None))
        elif first == '"':
            if "\\u" in token:
                _look_at_string(document, match.start(), token, _unescaped(token), _path(stack))
        else:
            _look_at_number(document, match.start(), token, _path(stack))


def _path(stack: List[_Frame]) -> Path:
    return tuple(frame.step for frame in stack if isinstance(frame.step, (str, int)))


def _look_at_string(document: "Document", offset: int, token: str, value: str, path: Path) -> None:
    if "\\u" not in token:
        return
    if "\0" in value:
        document.add_at(offset, "E113", "a string must not hold a NUL character", "", path_text(path))
        document.said.add(path)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        document.add_at(offset, "E113", "a string must not hold half of a surrogate pair", "", path_text(path))
        document.said.add(path)


def _look_at_number(document: "Document", offset: int, token: str, path: Path) -> None:
    if token in ("NaN", "Infinity", "-Infinity"):
        document.add_at(offset, "E111", "%s is not a number of JSON" % token, "", path_text(path))
        document.said.add(path)
    elif token not in ("true", "false", "null"):
        whole = token.lstrip("-").isdigit()
        if (len(token) > MAX_DIGITS) if whole else (float(token) - float(token) != 0):
            document.add_at(offset, "E111", "the number is too large: %s" % quoted(token, 30), "", path_text(path))
            document.said.add(path)


def _suspicious(value: object, max_depth: int) -> bool:
    """Whether the value is nested too deeply, or a string in it holds what no program can be given."""
    level: List[object] = [value]
    depth = 0
    strings: List[str] = []
    while level:
        below: List[object] = []
        for item in level:
            if isinstance(item, dict):
                strings.extend(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                strings.append(item)
        if any(isinstance(item, (dict, list)) for item in level):
            depth += 1
        level = below
    if depth > max_depth:
        return True
    joined = "\n".join(strings)
    if "\0" in joined:
        return True
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def lines_and_columns(text: str, offsets: List[int]) -> Dict[int, Tuple[int, int]]:
    """Line and column (from 1) of each offset; the offsets must be sorted."""
    found: Dict[int, Tuple[int, int]] = {}
    line = 1
    start = last = 0
    for offset in offsets:
        line += text.count("\n", last, offset)
        newline = text.rfind("\n", last, offset)
        if newline >= 0:
            start = newline + 1
        found[offset] = (line, offset - start + 1)
        last = offset
    return found


def placed(document: "Document", findings: List[Finding]) -> List[Problem]:
    """The findings with line and column, without those about values that reading has complained about.

    Of a document without text (a kept one) nobody knows lines: they are 0.
    """
    if not document.looked:
        # Only a file with problems can be nested deeply: no key takes a value that is.
        find_lexical(document, False)
    wanted: Set[Path] = {finding.place for finding in findings}
    places = locate(document.plain, wanted)
    offsets = sorted({place for pair in places.values() for place in pair})
    lines = lines_and_columns(document.text, offsets)
    problems = []
    for finding in findings:
        if finding.path in document.said and not finding.at_key:
            continue
        offset = places.get(finding.place, (0, 0))[1 if finding.at_key else 0]
        line, column = lines.get(offset, (1, 1)) if document.text else (0, 0)
        problems.append(Problem(document.file, line, column, finding.code, path_text(finding.path), finding.severity,
                                finding.message, finding.hint))
    return problems

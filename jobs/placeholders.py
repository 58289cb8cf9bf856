"""``${params.NAME}``, ``${item}``, ``${jobs.ID.outputs.NAME}`` in commands, variables and paths: data, never code.

In a shell command a value is not pasted into the text: the shell would take what is in it for code, and a file name
such as ``; rm -rf x`` would be run. The place gets a variable of the attempt instead, which the shell expands as data;
inside single quotes, where it does not expand, they are closed for it and opened again. So a value is never code, even
where we see quotes otherwise than the shell does. Only in a here-document without expansion it is pasted, as one line.
"""
import re
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Optional, Tuple, Union

if TYPE_CHECKING:
    from typing import Match

__all__ = ["Lookup", "expand_command", "expand_text", "expand_values", "placeholders",
           "texts_of"]

#: The names that are ours, as against variables of the environment (which have no dot; ``item`` is ours as well).
_PLACEHOLDER = (r"\$\{(params\.[A-Za-z_][A-Za-z0-9_]*|item(?:\.[A-Za-z_][A-Za-z0-9_]*)?"
                r"|jobs\.[^{}$]+\.outputs\.[A-Za-z_][A-Za-z0-9_]*)\}")
#: A here-document, with the word that ends it.
_HERE = r"(?<!<)<<(?!<)-?[ \t]*('[^'\n]+'|\"[^\"\n]+\"|\\?[A-Za-z0-9_.!@%+-]+)"
#: Gives the value of a placeholder's name, None where it is not to be replaced (now).
Lookup = Callable[[str], Optional[str]]

_Command = Union[str, Tuple[str, ...]]


def placeholders(text: str) -> List[str]:
    """The names of all placeholders of a text, in order."""
    return [match.group(1) for match in re.finditer(_PLACEHOLDER, text)] if "${" in text else []


def expand_text(text: str, lookup: Lookup) -> str:
    """The text with the values pasted in: for variables, paths, and words that no shell reads."""
    if "${" not in text:
        return text

    def value(match: "Match[str]") -> str:
        found = lookup(match.group(1))
        return match.group(0) if found is None else found

    return re.sub(_PLACEHOLDER, value, text)


def texts_of(value: object) -> Iterator[str]:
    """The texts of a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)


def expand_values(value: object, expand: Callable[[str], str], but: str = "") -> object:
    """A copy of a JSON value with every text in it expanded, at any depth; keys stay.

    :param but: the key whose text stays as well
    """
    if isinstance(value, str):
        return expand(value)
    if isinstance(value, list):
        return [expand_values(item, expand, but) for item in value]
    if isinstance(value, dict):
        return {name: item if name == but and isinstance(item, str) else expand_values(item, expand, but)
                for name, item in value.items()}
    return value


def expand_command(command: _Command, lookup: Lookup, variable_prefix: str,
                   variable_of: Optional[Callable[[str], str]] = None) -> Tuple[_Command, Dict[str, str]]:
    """The command with its placeholders replaced, and the variables that it needs for that.

    :param command: an argument vector (values are pasted into its words), or text for a shell
    :param variable_prefix: how the variables are called, before a number
    :param variable_of: gives the name of the variable instead, by that of the placeholder
    """
    if isinstance(command, tuple):
        return tuple(expand_text(word, lookup) for word in command), {}
    if "${" not in command:
        return command, {}
    parts: List[str] = []
    variables: Dict[str, str] = {}
    end = 0
    quoting = _Quoting(command)
    for match in re.finditer(_PLACEHOLDER, command):
        value = lookup(match.group(1))
        if value is None:
            continue
        parts.append(command[end:match.start()])
        end = match.end()
        quoting.go_to(match.start())
        delimiter = quoting.literal_until
        if delimiter and "\n" not in value and value.strip("\t") != delimiter:
            parts.append(value)
            continue
        name = variable_of(match.group(1)) if variable_of is not None else \
            "%s%d" % (variable_prefix, len(variables) + 1)
        variables[name] = value
        parts.append("'\"${%s}\"'" % name if quoting.is_single else "${%s}" % name)
    parts.append(command[end:])
    return "".join(parts), variables


class _Quoting:
    """How the shell reads a place of a command (POSIX shell: 2.2 Quoting, 2.3 Token Recognition, 2.7.4)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._index = 0
        #: What is open: single or double quotes, brackets.
        self._open: List[str] = []
        #: Here-documents that begin with the next line, and the one that goes on: its end, and whether it is literal.
        self._announced: List[Tuple[str, bool]] = []
        self._document: Optional[Tuple[str, bool]] = None

    @property
    def is_single(self) -> bool:
        """Whether the place stands in single quotes."""
        return self._document is None and self._open[-1:] == ["'"]

    @property
    def literal_until(self) -> str:
        """The line that ends the here-document without expansion in which the place stands; "" in none."""
        return self._document[0] if self._document is not None and self._document[1] else ""

    def go_to(self, position: int) -> None:
        """Read on to a place behind the one before."""
        while self._index < position:
            if self._document is not None:
                self._read_line(self._document[0], position)
            else:
                self._read(self._text[self._index])

    def _read_line(self, last: str, position: int) -> None:
        """Read a line of a here-document, or what of it stands before the position."""
        end = self._text.find("\n", self._index)
        if end < 0 or end >= position:
            self._index = position
            return
        if self._text[self._index:end].lstrip("\t") == last:
            self._document = self._announced.pop(0) if self._announced else None
        self._index = end + 1

    def _read(self, character: str) -> None:
        self._index += 1
        top = self._open[-1] if self._open else ""
        before = self._text[self._index - 2:self._index - 1] if self._index > 1 else ""
        if top == "'":
            if character == "'":
                self._open.pop()
        elif character == "\\":
            self._index += 1
        elif character == '"' and top == '"' or character == ")" and top == "(":
            self._open.pop()
        elif character == '"' or character == "(" and (top != '"' or before == "$"):
            self._open.append(character)
        elif top == '"':
            return
        elif character == "'":
            self._open.append("'")
        elif character == "#" and before in ("", " ", "\t", "\n", ";", "&", "|", "(", ")"):
            end = self._text.find("\n", self._index)
            self._index = len(self._text) if end < 0 else end
        elif character == "<":
            found = re.compile(_HERE).match(self._text, self._index - 1)
            if found is not None:
                word = found.group(1)
                self._announced.append((word.strip("\\'\""), word[0] in "\\'\""))
                self._index = found.end()
        elif character == "\n" and self._announced:
            self._document = self._announced.pop(0)

"""``${params.NAME}``, ``${item}``, ``${jobs.ID.outputs.NAME}`` in commands, variables and paths: data, never code.

In a shell command a value is not pasted into the text: the shell would take what is in it for code, and a file name
such as ``; rm -rf x`` would be run. The place gets a variable of the attempt instead, which the shell expands as data;
inside single quotes, where it does not expand, the value is pasted with its quotes escaped.
"""
import re
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Optional, Tuple, Union

if TYPE_CHECKING:
    from typing import Match

__all__ = ["PLACEHOLDER", "Lookup", "expand_command", "expand_text", "expand_values", "placeholders",
           "texts_of"]

#: The names that are ours, as against variables of the environment (which have no dot; ``item`` is ours as well).
PLACEHOLDER = re.compile(r"\$\{(params\.[A-Za-z_][A-Za-z0-9_]*|item(?:\.[A-Za-z_][A-Za-z0-9_]*)?"
                         r"|jobs\.[^{}$]+\.outputs\.[A-Za-z_][A-Za-z0-9_]*)\}")
#: Gives the value of a placeholder's name, None where it is not to be replaced (now).
Lookup = Callable[[str], Optional[str]]

_Command = Union[str, Tuple[str, ...]]


def placeholders(text: str) -> List[str]:
    """The names of all placeholders of a text, in order."""
    return [match.group(1) for match in PLACEHOLDER.finditer(text)] if "${" in text else []


def expand_text(text: str, lookup: Lookup) -> str:
    """The text with the values pasted in: for variables, paths, and words that no shell reads."""
    if "${" not in text:
        return text

    def value(match: "Match[str]") -> str:
        found = lookup(match.group(1))
        return match.group(0) if found is None else found

    return PLACEHOLDER.sub(value, text)


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
    for match in PLACEHOLDER.finditer(command):
        value = lookup(match.group(1))
        if value is None:
            continue
        parts.append(command[end:match.start()])
        end = match.end()
        if _in_single_quotes(command, match.start()):
            parts.append(value.replace("'", "'\\''"))
        else:
            name = variable_of(match.group(1)) if variable_of is not None else \
                "%s%d" % (variable_prefix, len(variables) + 1)
            variables[name] = value
            parts.append("${%s}" % name)
    parts.append(command[end:])
    return "".join(parts), variables


def _in_single_quotes(text: str, position: int) -> bool:
    """Whether the shell reads the text at that position literally (POSIX shell, 2.2 Quoting)."""
    quote = ""
    index = 0
    while index < position:
        character = text[index]
        if quote == "'":
            quote = "" if character == "'" else quote
        elif character == "\\":
            index += 1
        elif quote == '"':
            quote = "" if character == '"' else quote
        elif character in "'\"":
            quote = character
        index += 1
    return quote == "'"

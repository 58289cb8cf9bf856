"""Arguments in: a small table-driven parser, so that a command pays only for what it is asked.

Each command describes itself by a ``CommandSpec``; the help text, the parser and the tests of the
documentation all come from it. Global options stand before or after the verb.
"""
from typing import Dict, List, Optional, Sequence, Tuple

from jobs.exceptions import ConfigurationError

__all__ = ["Arguments", "CommandSpec", "DATABASE", "GLOBAL_OPTIONS", "JSON", "Option", "did_you_mean", "parse_command",
           "split_global", "usage_error"]


class Option:
    """One option: its names (``-f --follow``), the name of its value ("" = a switch) and a line of help."""

    __slots__ = ("names", "text", "metavar", "key")

    def __init__(self, names: str, text: str, metavar: str = "") -> None:
        self.names = tuple(names.split())
        self.text = text
        self.metavar = metavar
        self.key = self.names[-1].lstrip("-").replace("-", "_")


class CommandSpec:
    """What a command accepts: its operands as shown in the usage line, how many of them, and its options.

    :param actions: the commands that it consists of, with their lines of help; the first operand names one
    """

    __slots__ = ("operands", "minimum", "maximum", "options", "text", "examples", "actions")

    def __init__(self, operands: str = "", minimum: int = 0, maximum: Optional[int] = 0,
                 options: Sequence[Option] = (), text: str = "",
                 examples: Sequence[Tuple[str, str]] = (), actions: Sequence[Tuple[str, str]] = ()) -> None:
        self.operands = operands
        self.minimum = minimum
        self.maximum = maximum
        self.options = tuple(options)
        self.text = text
        self.examples = tuple(examples)
        self.actions = tuple(actions)


class Arguments:
    """What was said on the command line."""

    __slots__ = ("operands", "_values")

    def __init__(self) -> None:
        self.operands: List[str] = []
        self._values: Dict[str, List[str]] = {}

    def add(self, key: str, value: str) -> None:
        """Note one more value of an option."""
        self._values.setdefault(key, []).append(value)

    def flag(self, key: str) -> bool:
        """Whether the switch was given."""
        return key in self._values

    def one(self, key: str) -> Optional[str]:
        """The option's value; the last one wins."""
        values = self._values.get(key)
        return values[-1] if values else None

    def many(self, key: str) -> List[str]:
        """All values of a repeatable option."""
        return list(self._values.get(key, ()))

    def names(self, key: str) -> List[str]:
        """All values of an option that is repeatable and takes several names with commas between them; a comma in
        brackets belongs to the name of an item."""
        return [name.strip() for value in self.many(key) for name in _split(value) if name.strip()]

    def number(self, key: str, minimum: int, maximum: int) -> Optional[int]:
        """The option's value as a whole number.

        :raises ConfigurationError: where it is none, or out of bounds
        """
        value = self.one(key)
        if value is None:
            return None
        digits = value[1:] if value[:1] == "-" else value
        if not digits or len(digits) > 18 or digits.strip("0123456789"):
            raise usage_error("--%s must be a whole number, found %s" % (key.replace("_", "-"), _quoted(value)))
        number = int(value)
        if not minimum <= number <= maximum:
            raise usage_error("--%s must be from %d to %d, found %s"
                              % (key.replace("_", "-"), minimum, maximum, _quoted(value)))
        return number


def _split(value: str) -> List[str]:
    """The parts between commas that stand outside brackets."""
    parts = [""]
    for piece in value.split(","):
        whole = parts[-1]
        if whole.count("[") > whole.count("]"):
            parts[-1] = whole + "," + piece
        else:
            parts.append(piece)
    return parts


#: Of commands that read a history: for runs whose file names its own.
DATABASE = Option("--database", "the history of a configuration that names its own database path", "FILE")

#: Of commands that say in one document what they did.
JSON = Option("--json", "one JSON document on standard output")

GLOBAL_OPTIONS = (
    Option("--home", "where history, logs and locks are (also EXECUTIONER_HOME)", "DIR"),
    Option("--feature", "switch a module on or off; repeatable", "NAME=on|off"),
    Option("--allow-network-fs", "accept a home on a network file system, with the slower safe mode"),
    Option("--debug", "show the traceback of an error"),
    Option("--version", "print the version"),
    Option("-h --help", "print help, with examples"),
)


def usage_error(message: str, hint: str = "") -> ConfigurationError:
    """A mistake on the command line: one line, and a hint where one is truly known."""
    return ConfigurationError(message, context={"hint": hint} if hint else {})


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """``; did you mean X?`` or nothing."""
    import difflib
    # Two dashes alone make no two options alike.
    names = {name.lstrip("-"): name for name in known}
    matches = difflib.get_close_matches(word.lstrip("-"), list(names), n=1)
    return "; did you mean %s?" % names[matches[0]] if matches else ""


def _quoted(text: str) -> str:
    return '"%s"' % text


def _take(words: Sequence[str], index: int, table: Dict[str, Option], arguments: Arguments, where: str) -> int:
    """Read the option at ``index`` into ``arguments``; the index of the next word."""
    word = words[index]
    name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
    option = table.get(name)
    if option is None:
        from executioner.earlier_words import NOW
        hint = "options of a command stand after it" if not where else "executioner %s --help" % where
        if name in NOW and where in ("", "run"):
            raise usage_error("unknown option %s" % name, "it is now: " + NOW[name])
        raise usage_error("unknown option %s%s" % (name, did_you_mean(name, sorted(table))), hint)
    if not option.metavar:
        if equals:
            raise usage_error("%s takes no value, found %s" % (name, _quoted(value)))
        arguments.add(option.key, "")
        return index + 1
    if equals:
        arguments.add(option.key, value)
        return index + 1
    if index + 1 >= len(words) or words[index + 1].partition("=")[0] in table or words[index + 1] == "--":
        raise usage_error("%s needs a value: %s %s" % (name, name, option.metavar))
    arguments.add(option.key, words[index + 1])
    return index + 2


def _is_back_reference(word: str) -> bool:
    """``-1``: the last run; and a plain ``-``."""
    return word == "-" or (word[1:].isdigit() and len(word) < 10)


def _table(options: Sequence[Option]) -> Dict[str, Option]:
    return {name: option for option in options for name in option.names}


def split_global(words: Sequence[str], arguments: Arguments) -> int:
    """Read the global options that stand before the verb; the index of the verb, or ``len(words)``."""
    table = _table(GLOBAL_OPTIONS)
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index = _take(words, index, table, arguments, "")
    return index


def parse_command(name: str, spec: CommandSpec, words: Sequence[str], arguments: Arguments) -> None:
    """Read the words after the verb: the command's own options, the global ones and the operands.

    :raises ConfigurationError: for anything the command does not know
    """
    table = _table(GLOBAL_OPTIONS + spec.options)
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            arguments.operands.extend(words[index + 1:])
            break
        if word.startswith("-") and not _is_back_reference(word):
            index = _take(words, index, table, arguments, name)
        else:
            arguments.operands.append(word)
            index += 1
    if arguments.flag("help") or arguments.flag("version"):
        return
    count = len(arguments.operands)
    usage = "usage: executioner %s" % " ".join(part for part in (name, spec.operands) if part)
    if count < spec.minimum:
        raise usage_error("%s: %s is missing" % (name, spec.operands.split()[count].strip("[].")), usage)
    if spec.maximum is not None and count > spec.maximum:
        raise usage_error("%s: unexpected argument %s" % (name, _quoted(arguments.operands[spec.maximum])), usage)

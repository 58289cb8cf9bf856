"""What a command becomes: an argument vector where no shell is needed, else ``/bin/sh -c``.

The rule is make's: a string that holds nothing a shell would interpret is split here, which saves half of a job's cost.
Whatever is not surely the same without a shell goes to the shell.
"""
import os
import re
from typing import List, Optional, Tuple

__all__ = ["SHELL_WORDS", "encoded", "needs_shell", "program_on_path", "shell_arguments", "split_simple"]

#: Keywords and builtins of the shells that are /bin/sh somewhere. ``true`` and ``false`` are programs as well, and
#: stand apart.
SHELL_WORDS = frozenset((  # noqa: SIM905
    ". : ! { } [ [[ alias bg bind break builtin caller case cd chdir command compgen complete continue coproc "
    "declare dirs disown do done echo elif else enable esac eval exec exit export fc fg fi for function getopts "
    "hash help history if in integer jobs kill let local logout mapfile newgrp popd print printf pushd pwd read "
    "readarray readonly return select set shift shopt source suspend test then time times trap type typeset "
    "ulimit umask unalias unset until wait whence while").split())
#: Programs that are builtins too, and do the same.
HARMLESS_WORDS = frozenset(("true", "false"))
#: Builtins that are programs too, but not quite the same ones: where no shell is allowed the programs do.
_ALMOST_THE_SAME = frozenset(("echo", "kill", "printf", "pwd", "test"))
_SHELL_WORDS_ALONE = SHELL_WORDS - _ALMOST_THE_SAME

# A word: plain characters, '...' and "..." side by side. Between "..." nothing may stand that a shell looks at there.
# What is beyond ASCII, and no control or blank there, is said by what it is not: a range up to the last character
# takes long to compile.
_WORD = re.compile(r"""(?:[A-Za-z0-9_./:,@%+=\-]+|[^\x00-\xa0]+|'[^']*'|"[^"$`\\!]*")+""")
_PART = re.compile(r"""'([^']*)'|"([^"]*)"|([^'"]+)""")
_BLANKS = re.compile(r"[ \t]+")
_NOTHING = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:#[^\n]*)?\Z")


def split_simple(text: str, shell_allowed: bool = True) -> Optional[List[str]]:
    """The argument vector of a command that needs no shell; None where it needs one.

    :param shell_allowed: False: ``echo`` and a few others are the programs of that name, not the shell's own
    :returns: an empty list where the command says nothing: blanks and comments only
    """
    if _NOTHING.match(text):
        return []
    text = text.strip(" \t\n")
    shell_words = SHELL_WORDS if shell_allowed else _SHELL_WORDS_ALONE
    words: List[str] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            return None
        word = match.group()
        if not words and ("=" in word or word in shell_words):
            return None
        words.append(_unquoted(word) if "'" in word or '"' in word else word)
        if len(words) == 1 and words[0] in shell_words:
            return None
        at = match.end()
        blanks = _BLANKS.match(text, at)
        if blanks is not None:
            at = blanks.end()
        elif at < len(text):
            return None
    return words


def needs_shell(text: str, shell_allowed: bool = True) -> bool:
    """Whether a command has to be run by a shell; ``shell_allowed`` as for ``split_simple``."""
    return split_simple(text, shell_allowed) is None


def _unquoted(word: str) -> str:
    return "".join(single or double or plain for single, double, plain in _PART.findall(word))


def encoded(text: str) -> bytes:
    """Text as the operating system gets it: in the locale's way, which gives back inherited bytes, else as UTF-8.

    :raises ValueError: where it holds NUL or half a character (a lone surrogate)
    """
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ValueError("it holds half a character (a lone surrogate)")


def program_on_path(name: str, path: str) -> Optional[str]:
    """Where a program is found on a ``PATH``; None where it is not.

    :param path: folders, separated by colons; relative ones are passed over
    """
    for folder in path.split(":"):
        candidate = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None


def shell_arguments(command: str) -> Tuple[str, str, str]:
    """The argument vector by which a shell runs the command."""
    # A command that begins like an option is not to be taken for one.
    return ("/bin/sh", "-c", " " + command if command[:1] in ("-", "+") else command)

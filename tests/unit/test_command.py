"""Which commands need a shell, and what the others are split into."""
import os
import random
import subprocess
import time
from typing import List, Optional

import pytest

from jobs.command import SHELL_WORDS, encoded, needs_shell, program_on_path, shell_arguments, split_simple


@pytest.mark.parametrize("text, words", [
    ("/bin/true", ["/bin/true"]),
    ("  ls   -l\t/tmp \n", ["ls", "-l", "/tmp"]),
    ("true", ["true"]),
    ("dd if=a of=b", ["dd", "if=a", "of=b"]),
    ("date +%s", ["date", "+%s"]),
    ("grep 'a b' \"c d\" e'f'\"g\"h", ["grep", "a b", "c d", "efgh"]),
    ("cmd '' \"\"", ["cmd", "", ""]),
    ("cmd '$HOME;&|`' \"it's\"", ["cmd", "$HOME;&|`", "it's"]),
    ("cmd 'a\nb'", ["cmd", "a\nb"]),
    ("schrödinger ☃", ["schrödinger", "☃"]),
    ("", []), ("  \t\n ", []), ("# a comment", []), ("\n# one\n  # two\n", []),
])
def test_simple_commands_are_split(text: str, words: List[str]) -> None:
    """No shell where there is nothing for one to do."""
    assert split_simple(text) == words and not needs_shell(text)


@pytest.mark.parametrize("text", [
    "a; b", "a && b", "a || b", "a | b", "a &", "a > b", "a < b", "(a)", "{ a; }", "a $B", "a `b`", "a \\b", "a *", "a ?", "a [b]",
    "a ~", "a ~/b", "a # b", "a#b", "! a", "a ^ b", "a {b,c}", "a\nb", "A=b c", "A=b", "'A'=b", "if a", "'if' a", "\"cd\" /",
    "cd /tmp", "echo hi", "printf x", "test -f a", "[ -f a ]", ". a", "exec a", "kill 1", "ulimit -n", "a \"$B\"", "a \"\\n\"",
    "a \"`b`\"", "a 'b", "a \"b", "a b\"", "a 'b'c\"", "a\r\nb", "a \x01",
])
def test_all_else_goes_to_the_shell(text: str) -> None:
    """Whatever is not surely the same without one."""
    assert split_simple(text) is None and needs_shell(text)


@pytest.mark.parametrize("text, words", [
    ("echo 'a  b' c", ["echo", "a  b", "c"]), ("printf x", ["printf", "x"]), ("test -f a", ["test", "-f", "a"]), ("pwd", ["pwd"]),
    ("kill 1", ["kill", "1"]), ("cd /", None), ("echo $A", None), ("'read' a", None), ("A=b echo", None),
])
def test_where_no_shell_is_allowed_the_programs_do(text: str, words: Optional[List[str]]) -> None:
    """echo and its like are programs everywhere, too; with a shell they are the shell's own."""
    assert split_simple(text, shell_allowed=False) == words and needs_shell(text, shell_allowed=False) == (words is None)
    assert needs_shell(text)


def test_split_words_are_those_of_the_shell() -> None:
    """The shell itself is asked about random texts of risky characters: what is split here, it splits the same way."""
    rnd = random.Random(20)
    pieces = ["a", "b", "-", "/", " ", "  ", "\t", "'", '"', "=", "%", "ä", "\n", "#", "$", "~", ".", "'x y'", '"p q"', ":", "\\"]
    texts = ["".join(rnd.choice(pieces) for _ in range(rnd.randrange(1, 9))) for _ in range(4000)]
    split = [(text, words) for text, words in ((text, split_simple("x " + text)) for text in texts) if words is not None]
    assert len(split) > 600
    script = "".join("printf '%%s\\0' x %s\nprintf '\\1'\n" % text for text, _ in split)
    done = subprocess.run(["/bin/sh"], input=script.encode(), stdout=subprocess.PIPE, check=True)
    answers = [part.decode() for part in done.stdout.split(b"\1")][:-1]
    for (text, words), answer in zip(split, answers):
        assert answer == "".join(word + "\0" for word in words), repr(text)


def test_hostile_texts_take_no_time() -> None:
    """Nothing backtracks."""
    before = time.process_time()
    for text in ("\n" * 50000 + "x;", "# \n" * 50000 + ";", "a" * 100000 + ";", "'a'" * 50000 + ";", " " * 100000 + ";"):
        assert needs_shell(text)
    assert time.process_time() - before < 5


def test_the_words_of_this_machines_shell_are_known() -> None:
    """Every keyword and builtin of /bin/sh that is no program as well."""
    done = subprocess.run(["/bin/sh", "-c", "type " + " ".join(sorted(SHELL_WORDS))], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL)
    found = [line for line in done.stdout.decode().splitlines() if "shell" in line]
    assert len(found) > 30
    assert {"echo", "printf", "test", "[", "cd", "kill", "pwd", "ulimit"} <= SHELL_WORDS
    assert not {"true", "false", "env", "ls"} & SHELL_WORDS


def test_a_command_that_looks_like_an_option_is_none() -> None:
    """``sh -c -x`` would be an option."""
    for command in ("-x; echo $0", "+x; true"):
        arguments = shell_arguments(command)
        done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert done.returncode == 0
    assert shell_arguments("a; b") == ("/bin/sh", "-c", "a; b")


@pytest.mark.parametrize("text, data", [
    ("abc", b"abc"), ("ä☃", "ä☃".encode()), (b"\xff\xfe".decode("utf-8", "surrogateescape"), b"\xff\xfe"),
    ("a\0b", None), ("\ud800", None), ("\udfff", None),
])
def test_text_for_the_operating_system(text: str, data: Optional[bytes]) -> None:
    """Inherited bytes come back as they were; what cannot be bytes is refused."""
    if data is None:
        with pytest.raises(ValueError):
            encoded(text)
    else:
        assert encoded(text) == data


def test_programs_are_found_on_absolute_folders_only() -> None:
    """A relative folder means another place for each job."""
    assert program_on_path("sh", "/nowhere:/bin") == "/bin/sh"
    assert program_on_path("sh", "bin::.") is None and program_on_path("no-such-program", os.defpath) is None

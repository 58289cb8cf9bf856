"""The parser of the command line."""
from typing import Sequence

import pytest

from executioner.options import Arguments, CommandSpec, Option, parse_command, split_global
from jobs.exceptions import ConfigurationError

SPEC = CommandSpec("CONFIG", 1, 1, (Option("--workers", "", "N"), Option("-q --quiet", ""), Option("--only", "", "JOB"),
                                    Option("--continue-on-error", "")))


def parsed(*words: str) -> Arguments:
    arguments = Arguments()
    parse_command("run", SPEC, words, arguments)
    return arguments


def refused(*words: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parsed(*words)
    assert caught.value.exit_code == 2
    return "%s | %s" % (caught.value.message, caught.value.context.get("hint", ""))


def test_options_and_operands_stand_in_any_order() -> None:
    for words in (("c.json", "--workers", "3", "-q"), ("--workers=3", "--quiet", "c.json"),
                  ("-q", "c.json", "--workers", "3")):
        arguments = parsed(*words)
        assert arguments.operands == ["c.json"]
        assert arguments.number("workers", 1, 10) == 3
        assert arguments.flag("quiet") and not arguments.flag("continue_on_error")


def test_global_options_stand_after_the_verb_too() -> None:
    assert parsed("c.json", "--home", "/h").one("home") == "/h"


def test_global_options_before_the_verb() -> None:
    arguments = Arguments()
    words = ["--home", "/h", "--feature=metrics=off", "run", "c.json"]
    assert split_global(words, arguments) == 3
    assert arguments.one("home") == "/h"
    assert arguments.many("feature") == ["metrics=off"]


def test_an_option_of_a_command_before_the_verb_says_where_it_belongs() -> None:
    with pytest.raises(ConfigurationError) as caught:
        split_global(["--workers", "3", "run"], Arguments())
    assert caught.value.message == "unknown option --workers"
    assert caught.value.context["hint"] == "options of a command stand after it"


def test_repeated_options() -> None:
    arguments = parsed("c", "--only", "a,b", "--only", " c ,,d", "--workers", "1", "--workers", "2")
    assert arguments.names("only") == ["a", "b", "c", "d"]
    assert arguments.number("workers", 1, 10) == 2


def test_two_dashes_end_the_options() -> None:
    assert parsed("--", "--quiet").operands == ["--quiet"]
    assert parsed("-").operands == ["-"]


@pytest.mark.parametrize("words, expected", [
    (("c", "--worker", "3"), "unknown option --worker; did you mean --workers? | executioner run --help"),
    (("c", "-x"), "unknown option -x | executioner run --help"),
    (("c", "--quiet=yes"), '--quiet takes no value, found "yes" | '),
    (("c", "--workers"), "--workers needs a value: --workers N | "),
    (("c", "--workers", "--quiet"), "--workers needs a value: --workers N | "),
    ((), "run: CONFIG is missing | usage: executioner run CONFIG"),
    (("a", "b"), 'run: unexpected argument "b" | usage: executioner run CONFIG'),
])
def test_mistakes_get_one_line(words: Sequence[str], expected: str) -> None:
    assert refused(*words) == expected


@pytest.mark.parametrize("value", ["", "x", "1.5", "0x10", "1e3", "--", "\u0663", "9" * 40, "1_000", " 1"])
def test_what_is_no_number(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed("c", "--workers=" + value).number("workers", 1, 10)
    assert caught.value.message == '--workers must be a whole number, found "%s"' % value


@pytest.mark.parametrize("value", ["0", "-1", "11"])
def test_a_number_out_of_bounds(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed("c", "--workers=" + value).number("workers", 1, 10)
    assert caught.value.message == '--workers must be from 1 to 10, found "%s"' % value


def test_help_needs_no_operands() -> None:
    assert parsed("--help").flag("help")

"""The words before any command: help, version, and mistakes."""
import os
from typing import Sequence

import pytest

from cli_case import Case
from executioner import __version__
from executioner.cli import COMMANDS, load_command
from executioner.options import GLOBAL_OPTIONS


def test_version(case: Case) -> None:
    for words in (("--version",), ("run", "--version"), ("--version", "run", "x")):
        case.run(*words).expect(out="executioner %s\n" % __version__, err="")


def test_help_names_every_command_and_option(case: Case) -> None:
    text = case.run("--help").expect(err="").out
    assert text == case.run("-h").out == case.run("help").out
    for name, summary in COMMANDS:
        assert "\n  %s " % name in text and summary in text
    assert "exit codes: 0 success, 1 a required job failed, 2 usage or configuration, 3 the tool itself failed," in text
    assert "examples:" in text


@pytest.mark.parametrize("name", [name for name, _ in COMMANDS])
def test_help_of_a_command_names_its_options_and_has_examples(case: Case, name: str) -> None:
    spec, _ = load_command(name)
    text = case.run(name, "--help").expect(err="").out
    assert text == case.run("help", name).out
    assert text.startswith("usage: executioner %s [options]" % name)
    for option in spec.options + GLOBAL_OPTIONS:
        assert ", ".join(option.names) in text and option.text in text
    assert "examples:" in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_no_command(case: Case) -> None:
    case.run().expect(2, out="", err="""
        executioner: no command given
          hint: executioner --help lists the commands
        """)


def test_an_unknown_command(case: Case) -> None:
    case.run("validat", "x").expect(2, out="", err="""
        executioner: unknown command validat; did you mean validate?
          hint: executioner --help lists the commands
        """)
    case.run("xyzzy").expect(2, out="", err="""
        executioner: unknown command xyzzy
          hint: executioner --help lists the commands
        """)


def test_words_of_the_earlier_command_line(case: Case) -> None:
    """Whoever comes from there is told what the word is now."""
    case.jobs({"id": "a", "command": "true"})
    case.run("-c", "config.json").expect(2, out="", err="""
        executioner: unknown option -c
          hint: it is now: executioner run FILE
        """)
    case.run("run", "config.json", "--resume-from", "3").expect(2, out="", err="""
        executioner: unknown option --resume-from
          hint: it is now: executioner run FILE --resume RUN
        """)
    case.run("config.json").expect(2, out="", err="""
        executioner: unknown command config.json
          hint: to run that file: executioner run config.json
        """)


def test_standard_input_is_no_configuration(case: Case) -> None:
    """Nothing could be resumed from there."""
    case.run("run", "-", stdin=b"{}").expect(
        2, out="", err="-: error E101 cannot be read: No such file or directory; standard input is not read: name a file\n")


def test_dashes_make_no_options_alike(case: Case) -> None:
    assert "did you mean" not in case.run("run", "c.json", "--wrong").expect(2, out="").err


@pytest.mark.parametrize("words, error", [
    (("--only", ""), "--only: expected JOB,..., found nothing"),
    (("--from", " , "), "--from: expected JOB,..., found nothing"),
    (("--tag="), "--tag: expected TAG,..., found nothing"),
    (("-q", "-v"), "--quiet and --verbose contradict each other"),
    (("--env", "A B=1"), '--env: the name of a variable must be letters, digits and _, not beginning with a digit, found "A B"'),
    (("--env", "\u00e4=1"), '--env: the name of a variable must be letters, digits and _, not beginning with a digit, found "\u00e4"'),
])
def test_options_that_cannot_be_meant(case: Case, words: Sequence[str], error: str) -> None:
    """A script's empty variable does not run everything."""
    case.jobs({"id": "a", "command": "touch ran", "tags": ["x"]})
    words = [words] if isinstance(words, str) else words
    case.run("run", "config.json", *words, env={"PYTHONIOENCODING": "utf-8"}).expect(2, out="", err="executioner: %s\n" % error)
    assert not os.path.exists(case.path("ran"))
    case.run("run", "config.json", "--skip", "").expect(0)


def test_an_unknown_option(case: Case) -> None:
    case.run("run", "c.json", "--paralel").expect(2, out="", err="""
        executioner: unknown option --paralel; did you mean --parallel?
          hint: executioner run --help
        """)
    case.run("--workers", "3", "run").expect(2, out="", err="""
        executioner: unknown option --workers
          hint: options of a command stand after it
        """)


def test_operands(case: Case) -> None:
    case.run("run").expect(2, out="", err="""
        executioner: run: CONFIG is missing
          hint: usage: executioner run CONFIG
        """)
    case.run("show", "1", "2").expect(2, out="", err="""
        executioner: show: unexpected argument "2"
          hint: usage: executioner show RUN
        """)


def test_global_options_stand_before_or_after_the_verb(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"})
    home = case.home
    case.home = case.path("other")
    assert case.run("run", "config.json", "--home", home).code == 0
    case.run("runs").expect(out="", err="no runs in HOME\n")
    case.home = home
    assert len(case.run("runs", "--json").json()) == 1


def test_an_error_in_json_mode_is_a_document(case: Case) -> None:
    result = case.run("run", "--json", "--nonsense").expect(2)
    document = result.json()
    assert document["error"] == "ConfigurationError" and document["error_code"] == "E100"
    assert document["message"] == "unknown option --nonsense"


def test_debug_shows_a_traceback_and_nothing_else_does(case: Case) -> None:
    result = case.run("show", "1", "--debug")
    assert result.code == 2 and "Traceback (most recent call last)" in result.err
    case.run("show", "1").expect(2)


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "C.UTF-8"])
def test_the_locale_changes_nothing(case: Case, locale: str) -> None:
    case.jobs({"id": "a", "command": "echo \u20ac \u65e5\u672c; printf '\\377\\n'", "description": "\u00e9"})
    case.run("run", "config.json", env={"LC_ALL": locale, "PYTHONUTF8": "0"}).expect(0, "", "")
    shown = case.run("logs", "last", "a", "--stdout", env={"LC_ALL": locale, "PYTHONUTF8": "0"}).raw_out
    assert shown == "\u20ac \u65e5\u672c\n".encode("utf-8") + b"\xff\n"


def test_a_reader_that_goes_away_is_no_error(case: Case) -> None:
    import os
    import subprocess
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(case.command("--help"), cwd=case.folder, env=case.environ, stdout=writer,
                          stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_cannot_be_written_is_an_error(case: Case) -> None:
    import subprocess
    with open("/dev/full", "wb") as full:
        done = subprocess.run(case.command("--help"), cwd=case.folder, env=case.environ, stdout=full,
                              stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (
        3, b"executioner: cannot write to standard output: No space left on device\n")

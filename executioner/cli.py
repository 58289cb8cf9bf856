"""The command line: finds the command, runs it, prints an error once and returns the exit code.

Nothing else in the whole tree prints an error or decides about the exit of the process. Start-up matters here: a
command's own module is loaded only when it is asked for, and this one imports next to nothing.
"""
import os
import sys
from importlib import import_module
from typing import Any, Callable, List, Optional, Sequence, Tuple

from executioner import __version__
from executioner.console import Console, OutputClosed
from executioner.failures import one_of_ours
from executioner.options import (GLOBAL_OPTIONS, Arguments, CommandSpec, Option, did_you_mean, parse_command,
                                 split_global, usage_error)
from jobs.exceptions import EXIT_OK, EXIT_SIGNAL, ConfigurationError, ExecutionerError
from jobs.startup import prepare_process

__all__ = ["COMMANDS", "load_action", "load_command", "main"]

#: Every command, with the line that help shows for it; its module is ``executioner.commands.NAME`` (``_`` for ``-``).
COMMANDS: Tuple[Tuple[str, str], ...] = (
    ("run", "run the jobs of a configuration"),
    ("validate", "find every problem of a configuration"),
    ("plan", "show what would run, in which order and why"),
    ("runs", "list the runs of the history"),
    ("show", "show one run and its jobs"),
    ("logs", "show the output of a job"),
    ("report", "write a run as one self-contained page"),
    ("status", "show what runs now and the last run of each application"),
    ("cancel", "stop a run and wait until nothing of it is left"),
    ("hold", "keep jobs of an application from starting"),
    ("release", "let held jobs start again"),
    ("mark-success", "have a resume take jobs as done"),
    ("serve", "serve the HTTP API and the dashboard"),
    ("token", "make, list and revoke tokens of the HTTP API"),
    ("db", "look after the history: status, check, backup, restore, migrate, recover"),
    ("notify", "deliver the messages that wait, or try where they go"),
    ("after", "what a run leaves behind: messages, and taking old runs away"),
    ("schema", "print the JSON Schema of the configuration"),
    ("sample", "print a configuration to start from"),
    ("doctor", "look for what would keep runs from working here"),
)

_SIGINT = 2
_SIGPIPE = 13
#: A longer example has its explanation on a line of its own.
_LONGEST_EXAMPLE = 60


def load_command(name: str) -> Tuple[CommandSpec, Callable[[Arguments, Console], int]]:
    """The command's description and its function.

    :raises ConfigurationError: where there is no such command
    """
    if name not in dict(COMMANDS):
        if os.path.isfile(name):
            raise usage_error("unknown command %s" % name, "to run that file: executioner run %s" % name)
        raise usage_error("unknown command %s%s" % (name, did_you_mean(name, [known for known, _ in COMMANDS])),
                          "executioner --help lists the commands")
    module: Any = import_module("executioner.commands." + name.replace("-", "_"))
    return module.SPEC, module.execute


def load_action(name: str, spec: CommandSpec, action: str) -> Tuple[CommandSpec, Callable[[Arguments, Console], int]]:
    """One of the commands that a command consists of; its module is in the package that ``ACTION_PACKAGE`` names.

    :raises ConfigurationError: where there is no such action
    """
    if action not in dict(spec.actions):
        raise usage_error("unknown command %s %s%s" % (
            name, action, did_you_mean(action, [known for known, _ in spec.actions])),
            "executioner %s --help lists the commands" % name)
    package: str = import_module("executioner.commands." + name).ACTION_PACKAGE
    module: Any = import_module("%s.%s" % (package, action.replace("-", "_")))
    return module.SPEC, module.execute


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command.

    :param argv: the words after the program's name; those of the process where not given
    :return: the exit code
    """
    words = list(sys.argv[1:] if argv is None else argv)
    console = Console()
    arguments = Arguments()
    try:
        console.origin = prepare_process()
        code = _dispatch(words, arguments, console)
        console.out.flush()
        return code
    except OutputClosed:
        return EXIT_SIGNAL + _SIGPIPE
    except KeyboardInterrupt:
        return EXIT_SIGNAL + _SIGINT
    except ExecutionerError as error:
        return _report(error, error, words, arguments, console)
    except Exception as error:  # noqa: BLE001 - the last line of defence: whatever it is becomes one line
        return _report(one_of_ours(error), error, words, arguments, console)


def _dispatch(words: List[str], arguments: Arguments, console: Console) -> int:
    start = split_global(words, arguments)
    verb = words[start] if start < len(words) else ""
    if verb == "help" and start + 1 < len(words):
        arguments.add("help", "")
        verb = words[start + 1]
        start += 1
    if arguments.flag("version"):
        console.out.line("executioner %s" % __version__)
        return EXIT_OK
    if verb in ("", "help"):
        if not verb and not arguments.flag("help"):
            raise usage_error("no command given", "executioner --help lists the commands")
        console.out.write(_general_help())
        return EXIT_OK
    spec, execute = load_command(verb)
    rest = words[start + 1:]
    if spec.actions:
        index = split_global(rest, arguments)
        if index < len(rest):
            spec, execute = load_action(verb, spec, rest[index])
            verb, rest = "%s %s" % (verb, rest[index]), rest[index + 1:]
    parse_command(verb, spec, rest, arguments)
    if arguments.flag("version"):
        console.out.line("executioner %s" % __version__)
        return EXIT_OK
    if arguments.flag("help"):
        console.out.write(_command_help(verb, spec))
        return EXIT_OK
    return execute(arguments, console)


def _report(error: ExecutionerError, cause: BaseException, words: Sequence[str], arguments: Arguments,
            console: Console) -> int:
    """Print the error, once, and keep it in the log; the exit code."""
    problems = error.context.get("problems")  # of a file: told as they are
    try:
        console.out.discard()
        if "--json" in words:
            from executioner.render import json_lines, json_text
            for line in json_lines(problems) if problems is not None else [json_text(error.to_dict())]:
                console.out.line(line)
            console.out.flush()
    except (OutputClosed, ExecutionerError):
        pass  # nobody reads it; the line on standard error and the exit code remain
    if not isinstance(error, ConfigurationError):
        _log(cause, arguments, console)
    if arguments.flag("debug"):
        import traceback
        for line in "".join(traceback.format_exception(type(cause), cause, cause.__traceback__)).splitlines():
            console.err.line(line)
    if problems is not None:
        for line in error.message.split("\n"):
            console.err.line(line)
    else:
        console.err.line("executioner: %s" % error.message)
    hint = error.context.get("hint")
    if hint:
        console.err.line("  hint: %s" % hint)
    return error.exit_code


def _log(error: BaseException, arguments: Arguments, console: Console) -> None:
    """Keep the error with its traceback in the log of the home, where there is one."""
    from executioner.home import locate
    try:
        home = locate(arguments.one("home"), console.environ)
        if not os.path.isdir(home.logs):
            return
        home.check()
        import time

        from executioner_logging.record import record_of_error
        from executioner_logging.writer import LogWriter
        writer = LogWriter(home.log)
        writer.write([record_of_error(error, time.time())])
        writer.close()
    except (ExecutionerError, OSError, ImportError):
        return  # the home may be the very thing that is broken; the error is printed all the same


def _options_help(options: Sequence[Option]) -> str:
    rows = []
    for option in options:
        names = ", ".join(option.names)
        rows.append((names + (" " + option.metavar if option.metavar else ""), option.text))
    width = max(len(left) for left, _ in rows)
    return "".join("  %-*s  %s\n" % (width, left, right) for left, right in rows)


def _examples_help(examples: Sequence[Tuple[str, str]]) -> str:
    width = max([len(left) for left, _ in examples if len(left) <= _LONGEST_EXAMPLE] or [0])
    lines = ["  %-*s  # %s\n" % (width, left, right) if len(left) <= width else "  # %s\n  %s\n" % (right, left)
             for left, right in examples]
    return "\nexamples:\n" + "".join(lines)


def _general_help() -> str:
    width = max(len(name) for name, _ in COMMANDS)
    return ("usage: executioner [options] COMMAND ...\n\n"
            "Runs the jobs of a JSON configuration in the order of their dependencies, and keeps what happened.\n\n"
            "commands:\n" + "".join("  %-*s  %s\n" % (width, name, text) for name, text in COMMANDS)
            + "\noptions, before or after the command:\n" + _options_help(GLOBAL_OPTIONS)
            + _examples_help((("executioner sample > pipeline.json", "a configuration to start from"),
                              ("executioner validate pipeline.json", "every problem, with line and column"),
                              ("executioner run pipeline.json", "run it; silent in cron unless it fails"),
                              ("executioner show last", "what became of it"),
                              ("executioner logs last load", "the output of the job load")))
            + "\nexit codes: 0 success, 1 a required job failed, 2 usage or configuration, 3 the tool itself failed,\n"
              "            75 another run of the application is running, 128+n ended by signal n\n"
              "executioner COMMAND --help shows the options and examples of a command.\n")


def _command_help(name: str, spec: CommandSpec) -> str:
    usage = " ".join(part for part in ("usage: executioner", name, "[options]", spec.operands) if part)
    text = usage + "\n\n" + (spec.text or dict(COMMANDS)[name]) + "\n"
    if spec.actions:
        width = max(len(action) for action, _ in spec.actions)
        text += "\ncommands:\n" + "".join("  %-*s  %s\n" % (width, action, line) for action, line in spec.actions)
    if spec.options:
        text += "\noptions:\n" + _options_help(spec.options)
    text += "\noptions of every command:\n" + _options_help(GLOBAL_OPTIONS)
    if spec.examples:
        text += _examples_help(spec.examples)
    return text

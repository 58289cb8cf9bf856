"""Which checks there are, by name, and what parameters each takes.

The validator asks it what a file may say, the runner what to call.
"""
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from jobs.checks.commands import COMMAND_TIMEOUT_S, check_command
from jobs.checks.files import (check_file_exists, check_file_newer_than, check_file_not_empty, check_no_ora_errors,
                               check_no_ora_or_sp2_errors)
from jobs.checks.machine import PORT_TIMEOUT_S, check_disk_free, check_port_open
from jobs.checks.output import STREAMS, check_output_contains, check_output_lacks
from jobs.checks.parameters import Parameter, is_open
from jobs.checks.result import CheckResult

__all__ = ["BUILT_IN", "CheckDeclaration", "CheckFunction", "Registry"]

#: Called as ``function(context, **params)``.
CheckFunction = Callable[..., CheckResult]


@dataclass
class CheckDeclaration:
    """A check: its name in a configuration, its function, its parameters, one line of help."""

    name: str
    function: CheckFunction
    parameters: Tuple[Parameter, ...]
    help: str
    #: Names of parameters of which exactly one is given.
    one_of: Tuple[str, ...] = ()
    #: Whether it can be asked only after the job.
    only_after: bool = False

    def problems(self, params: Mapping[str, object], is_whole: bool = True) -> List[Tuple[str, str]]:
        """What is wrong with the parameters of a configuration: (name of the parameter, message) each.

        :param is_whole: False lets values pass that have variables in them
        """
        found = []
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in sorted(params):
            if name not in known:
                found.append((name, "%s has no parameter \"%s\"; it takes %s" % (
                    self.name, name, ", ".join(known) or "none")))
        for parameter in self.parameters:
            if parameter.name not in params:
                if parameter.required:
                    found.append((parameter.name, "%s needs the parameter \"%s\" (%s)" % (
                        self.name, parameter.name, parameter.help)))
            elif is_whole or parameter.kind == "command" or not is_open(params[parameter.name]):
                problem = parameter.problem(params[parameter.name])
                if problem:
                    found.append((parameter.name, problem))
        given = [name for name in self.one_of if name in params]
        if self.one_of and len(given) != 1:
            found.append((given[1] if given else self.one_of[0], "%s needs exactly one of the parameters %s" % (
                self.name, ", ".join('"%s"' % name for name in self.one_of))))
        return found

    def values(self, params: Mapping[str, object]) -> Dict[str, object]:
        """Parameters without problems as the function takes them."""
        return {parameter.name: parameter.value(params[parameter.name]) for parameter in self.parameters
                if parameter.name in params}

class Registry:
    """Checks by name."""

    def __init__(self, declarations: Tuple[CheckDeclaration, ...] = ()) -> None:
        self._checks: Dict[str, CheckDeclaration] = {}
        for declaration in declarations:
            self.add(declaration)

    def add(self, declaration: CheckDeclaration) -> None:
        """Add a check, or replace the one of that name."""
        self._checks[declaration.name] = declaration

    def get(self, name: str) -> Optional[CheckDeclaration]:
        """The check of that name; None where there is none."""
        return self._checks.get(name)

    def names(self) -> List[str]:
        """All names, sorted."""
        return sorted(self._checks)

    def copy(self) -> "Registry":
        """A registry of its own with the same checks."""
        return Registry(tuple(self._checks.values()))


_LOG_FILE = (Parameter("log_file", "path", "the log file, or a pattern"),)

_TIMEOUT_MOST_S = 3600.0
_TEXT_OR_PATTERN = (
    Parameter("text", "words", "the text, as it is", False),
    Parameter("pattern", "pattern", "a regular expression, tried on each line", False),
    Parameter("stream", "text", "which stream is looked at; both where it is not given", False, choices=STREAMS))


def _timeout(default_s: float) -> Parameter:
    return Parameter("timeout", "duration", "how long it may take; %g s where it is not given" % default_s, False,
                     0.001, _TIMEOUT_MOST_S)


#: The checks that need no plugin.
BUILT_IN = Registry((
    CheckDeclaration("check_file_exists", check_file_exists,
                     (Parameter("path", "path", "the file, or a pattern"),),
                     "the file exists, or a file matches the pattern"),
    CheckDeclaration("check_file_not_empty", check_file_not_empty,
                     (Parameter("path", "path", "the file, or a pattern"),
                      Parameter("min_size", "size", "fewest bytes; 1 where it is not given", False)),
                     "the file is there and not empty; each that matches the pattern"),
    CheckDeclaration("check_file_newer_than", check_file_newer_than,
                     (Parameter("path", "path", "the file, or a pattern"),
                      Parameter("than", "path", "another file, or a pattern", False),
                      Parameter("max_age", "duration", "how long ago it may have been changed", False)),
                     "the file, or the newest that matches the pattern, is newer than others, or than an age",
                     one_of=("than", "max_age")),
    CheckDeclaration("check_disk_free", check_disk_free,
                     (Parameter("min_free", "share", "room that must be left"),
                      Parameter("path", "path", "where; the job's folder where it is not given", False)),
                     "the file system has room left"),
    CheckDeclaration("check_port_open", check_port_open,
                     (Parameter("port", "integer", "the TCP port", True, 1, 65535),
                      Parameter("host", "words", "the host; localhost where it is not given", False),
                      _timeout(PORT_TIMEOUT_S)),
                     "somebody accepts connections on the port"),
    CheckDeclaration("check_output_contains", check_output_contains, _TEXT_OR_PATTERN,
                     "the attempt wrote the text, or a line that matches", ("text", "pattern"), True),
    CheckDeclaration("check_output_lacks", check_output_lacks, _TEXT_OR_PATTERN,
                     "the attempt did not write the text, nor a line that matches", ("text", "pattern"), True),
    CheckDeclaration("check_command", check_command,
                     (Parameter("command", "command", "text for a shell, or a program with its arguments"),
                      _timeout(COMMAND_TIMEOUT_S)),
                     "the command ends with exit code 0"),
    CheckDeclaration("check_no_ora_errors", check_no_ora_errors, _LOG_FILE,
                     "the log files are there and free of ORA-nnnnn"),
    CheckDeclaration("check_no_ora_or_sp2_errors", check_no_ora_or_sp2_errors, _LOG_FILE,
                     "the log files are there and free of ORA-nnnnn and SP2-nnnn"),
))

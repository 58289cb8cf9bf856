"""From a job to what the keeper needs to run one attempt of it: bytes, argument vectors, limits.

What cannot be given to the operating system (a NUL, half a character, too many bytes) becomes a refusal that the
keeper tells at the attempt's turn, so that one impossible command is one failed job and nothing else.
"""
import os
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple, Union

from jobs.command import HARMLESS_WORDS, encoded, program_on_path, shell_arguments, split_simple
from jobs.keeper import verdict
from jobs.keeper.nursery import AttemptSpec
from jobs.models import Job, Limits
from jobs.ports import AttemptStart
from jobs.run_context import OUTPUT_VARIABLE

if TYPE_CHECKING:
    from jobs.keeper.bounds import Asked

__all__ = ["SpecMaker"]

#: Longer texts are refused by the kernel (MAX_ARG_STRLEN of Linux, less the NUL).
_TEXT_BYTES_MOST = 128 * 1024 - 1


class SpecMaker:
    """Makes specs for the attempts of one run.

    :param environment: what every attempt gets
    """

    def __init__(self, environment: Dict[str, str], allow_shell: bool) -> None:
        self._allow_shell = allow_shell
        self._path = environment.get("PATH", os.defpath)
        self._has_pwd = "PWD" in environment
        self._known_programs: Dict[Tuple[str, str], bool] = {}
        #: The environment as the operating system gets it.
        self.environment: Dict[bytes, bytes] = {}
        self._spoilt = ""
        for name, value in environment.items():
            try:
                self.environment[_variable(name)] = encoded(value)
            except ValueError as error:
                self._spoilt = "variable %s: %s" % (name, error)

    def spec(self, start: AttemptStart) -> AttemptSpec:
        """The spec of an attempt; one that cannot be run is refused in it."""
        job = start.job
        argv: List[bytes] = []
        environment: Dict[bytes, bytes] = {}
        folder = stdin_path = b""
        stdin_text: Optional[bytes] = None
        via_shell = False
        refusal: Optional[Tuple[Optional[int], str]] = None
        what = "variable"
        try:
            for name, value in start.environment.items():
                what = "variable %s" % name
                environment[_variable(name)] = _bounded(encoded(value))
            what = "command"
            words, via_shell = self._words(job.command, start.environment.get("PATH", self._path))
            argv = [_bounded(encoded(word)) for word in words]
            what = "working folder"
            folder = encoded(job.working_dir)
            if self._has_pwd:
                environment.setdefault(b"PWD", folder or b"/")
            what = "standard input"
            stdin_path = encoded(os.path.join(job.working_dir, job.stdin_path)) if job.stdin_path else b""
            stdin_text = job.stdin_text.encode("utf-8", "surrogateescape") if job.stdin_text is not None else None
            if self._spoilt:
                refusal = (None, self._spoilt)
            elif via_shell and not self._allow_shell:
                refusal = (None, "the command needs a shell, and allow_shell is false")
        except ValueError as error:
            refusal = (126 if what == "command" else None, "%s: %s" % (what, error))
        return AttemptSpec(
            start.token, argv, via_shell, refusal, environment, folder, stdin_path, stdin_text, start.stdout_name,
            start.stderr_name, start.timeout_s, start.timeout_reason,
            "%s after %s" % (start.timeout_reason.replace("_", " "), verdict.limit_text(start.timeout_s)),
            job.stop_signal, job.stop_grace_s, tuple(job.success_exit_codes), start.decides_alone,
            job.output_limit_bytes, job.leave_running, _bounds(job, folder, start.environment.get(OUTPUT_VARIABLE, "")))

    def _words(self, command: Union[str, Tuple[str, ...]], path: str) -> Tuple[Sequence[str], bool]:
        """The argument vector of a command, and whether a shell runs it."""
        if not isinstance(command, str):
            return command, False
        words = split_simple(command)
        if words is not None and not (words and words[0] in HARMLESS_WORDS and not self._has(words[0], path)):
            return words, False
        return shell_arguments(command), True

    def _has(self, name: str, path: str) -> bool:
        known = self._known_programs.get((name, path))
        if known is None:
            known = self._known_programs[(name, path)] = program_on_path(name, path) is not None
        return known


def _bounds(job: Job, folder: bytes, outputs_path: str) -> "Optional[Asked]":
    """What the attempt may not pass, as it travels; None for most."""
    if job.limits is None and job.umask is None and job.run_as is None:
        return None
    limits = job.limits or Limits()
    asked = (("cpu_seconds", limits.cpu_seconds), ("memory", limits.memory_bytes), ("open_files", limits.open_files),
             ("file_size", limits.file_size_bytes), ("processes", limits.processes))
    owner = None if job.run_as is None else (job.run_as.uid, job.run_as.gid, job.run_as.groups)
    # Another user can neither enter the folder of the run nor make a file there: it is given one that is open.
    outputs = os.path.basename(outputs_path) if job.outputs and owner is not None else ""
    return {name: value for name, value in asked if value is not None}, limits.nice, job.umask, owner, folder, outputs


def _variable(name: str) -> bytes:
    data = encoded(name)
    if not data or b"=" in data:
        raise ValueError("%r is no name of a variable" % name)
    return data


def _bounded(data: bytes) -> bytes:
    if len(data) > _TEXT_BYTES_MOST:
        raise ValueError("it is too long: %d bytes, %d are allowed" % (len(data), _TEXT_BYTES_MOST))
    return data

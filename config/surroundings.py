"""The rules that look at the machine: variables, folders, programs.

They read the environment that they are given and ask the file system; they change nothing.
"""
import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from config.effective import WITH_REFERENCES, effective, place
from config.folders import folder_problem, resolve_folder
from config.job_environment import env_files_of, job_variables
from config.problems import Path, Report, quoted

if TYPE_CHECKING:
    from config.plugins import Plugins

__all__ = ["Folders", "check"]

_Raw = Dict[str, object]
_Jobs = Sequence[Mapping[str, object]]

#: Keys whose values go out of the machine or are looked at with the caller's variables.
_UPKEEP = frozenset(("notifications", "email_address", "email_on_success", "email_from", "smtp_server", "smtp_port",
                     "smtp_user", "smtp_password"))
#: Characters of a first word that any shell takes as it is.
_WORD_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+-@:,[]{}!")


def check(top: _Raw, jobs: _Jobs, defaults: _Raw, names: Set[str], folder: str, environ: Mapping[str, str],
          overrides: Mapping[str, str], report: Report) -> None:
    """Report variables that go in circles or are not set, folders that cannot be used, programs that are not there."""
    surroundings = _Surroundings(top, defaults, environ, overrides, report)
    folders = surroundings.check_folders(top, folder)
    if top.get("dependency_plugins"):
        from config.plugins import find_plugins
        surroundings.plugins = find_plugins(top["dependency_plugins"], (folders.working_dir, folder),
                                            surroundings.environment.variables, report)
    if not names.isdisjoint(WITH_REFERENCES):
        for index, job in enumerate(jobs):
            surroundings.check_job(job, ("jobs", index), folders)
    if not names.isdisjoint(("limits", "run_as")):
        from config.limits import check_limits
        check_limits(jobs, defaults, report)
    if "command" in names:
        surroundings.check_programs(jobs, names, folders)
        from config import command_policy, visible_secrets
        command_policy.check(top, jobs, defaults, names, surroundings.environment, folders.working_dir, report)
        visible_secrets.check(top, jobs, defaults, surroundings.environment, environ, folders.working_dir, report)


class Folders:
    """The folders of a file, absolute."""

    __slots__ = ("working_dir", "log_dir")

    def __init__(self, working_dir: str, log_dir: str) -> None:
        self.working_dir = working_dir
        #: "" = the home's own.
        self.log_dir = log_dir


class _Surroundings:
    """What the rules of one file share: its environment, and what was asked of the file system already."""

    def __init__(self, top: _Raw, defaults: _Raw, environ: Mapping[str, str], overrides: Mapping[str, str],
                 report: Report) -> None:
        from config.environment import Environment
        self.report = report
        self.defaults = defaults
        self.environment = Environment.of_file(top, environ, overrides)
        for issue in self.environment.issues:
            self._tell(issue.code, ("env_variables", issue.name), issue.message)
        if _UPKEEP.intersection(top):
            variables = dict(environ)
            variables.update(self.environment.variables)
            for name in ("smtp_server", "smtp_user", "smtp_password", "email_from"):
                text = top.get(name)
                if isinstance(text, str):
                    self.report.unset((name,), self._missing(text, variables))
            from config.upkeep import check_upkeep
            check_upkeep(top, variables, report)
        self._folders: Dict[str, Optional[str]] = {}
        self._env_files: Set[str] = set()
        self.plugins: Optional[Plugins] = None

    def _tell(self, code: str, path: Path, message: str) -> None:
        if code[0] == "W":
            self.report.warning(path, code, message)
        else:
            self.report.error(path, code, message)

    @staticmethod
    def _missing(text: str, variables: Mapping[str, str]) -> List[str]:
        from config.environment import expand
        return expand(text, variables)[1]

    @classmethod
    def _missing_but_ours(cls, text: str, variables: Mapping[str, str]) -> List[str]:
        """Those that are not set yet: what begins with EXECUTIONER_ a job gets when it starts."""
        return [name for name in cls._missing(text, variables) if not name.startswith("EXECUTIONER_")]

    def check_folders(self, top: _Raw, folder: str) -> Folders:
        """Report ``working_dir`` and ``log_dir`` of the file where they cannot be used."""
        working_dir, log_dir = folder, ""
        text = top.get("working_dir")
        if isinstance(text, str):
            working_dir = self._folder(text, folder, self.environment.variables, ("working_dir",), False)
        text = top.get("log_dir")
        if isinstance(text, str):
            log_dir = self._folder(text, working_dir, self.environment.variables, ("log_dir",), True)
        for key in ("metrics_textfile", "status_page"):
            text = top.get(key)
            if isinstance(text, str):
                self._check_file(key, text, working_dir)
        return Folders(working_dir, log_dir)

    def _check_file(self, key: str, text: str, working_dir: str) -> None:
        path, missing = resolve_folder(text, working_dir, self.environment.variables)
        self.report.unset((key,), missing)
        problem = folder_problem(os.path.dirname(path), True)
        if problem is None and not os.path.isdir(os.path.dirname(path)):
            problem = "the folder %s does not exist" % quoted(os.path.dirname(path), None)
        if problem is None and os.path.isdir(path):
            problem = "%s is a folder" % quoted(path, None)
        if problem is not None:  # no reason not to run
            self.report.warning((key,), "W105", problem)
        elif key == "metrics_textfile" and not path.endswith(".prom"):
            self.report.warning((key,), "W105", "the node exporter reads only files that end in .prom")

    def _folder(self, text: str, below: str, variables: Mapping[str, str], path: Path, writable: bool) -> str:
        folder, missing = resolve_folder(text, below, variables)
        self.report.unset(path, missing)
        if writable or folder not in self._folders:
            self._folders[folder] = folder_problem(folder, writable)
        problem = self._folders[folder]
        if problem is not None:
            self.report.error(path, "E142", problem)
        return folder

    def check_job(self, job: Mapping[str, object], path: Path, folders: Folders) -> None:
        """Report what is wrong with the variables, the folder, the input and the checks of one job."""
        variables: Mapping[str, str] = self.environment.variables
        if effective(job, self.defaults, "env_file"):
            self._check_env_files(job, path, folders)
        over, issues = job_variables(self.environment, job, self.defaults, folders.working_dir)
        if over:
            variables = dict(variables)
            variables.update(over)
        for issue in issues:
            if issue.layer == "env_file":
                self._tell(issue.code, place(job, "env_file", path), "%s: %s" % (issue.name, issue.message))
            else:
                where = place(job, "env_variables", path) if issue.layer == "job" else ("env_variables",)
                self._tell(issue.code, where + (issue.name,), issue.message)
        text = effective(job, self.defaults, "working_dir")
        if isinstance(text, str) and "${jobs." in text:
            self.report.unset(place(job, "working_dir", path), self._missing(text, variables))
        elif isinstance(text, str):
            self._folder(text, folders.working_dir, variables, place(job, "working_dir", path), False)
        text = effective(job, self.defaults, "stdin")
        if isinstance(text, str):
            self.report.unset(place(job, "stdin", path), self._missing(text, variables))
        for name in ("inputs", "products"):
            texts = effective(job, self.defaults, name)
            for index, text in enumerate(texts if isinstance(texts, list) else ()):
                self.report.unset(place(job, name, path) + (index,), self._missing_but_ours(str(text), variables))
        condition = effective(job, self.defaults, "run_if")
        if isinstance(condition, dict):
            self._check_condition(condition, variables, place(job, "run_if", path))
        for name in ("pre_checks", "post_checks"):
            checks = effective(job, self.defaults, name)
            if checks:
                self._check_checks(checks, variables, place(job, name, path))

    def _check_env_files(self, job: Mapping[str, object], path: Path, folders: Folders) -> None:
        """Report what is wrong with the files of a job; what many jobs share, once."""
        where = place(job, "env_file", path)
        is_list = isinstance(effective(job, self.defaults, "env_file"), list)
        for index, file in enumerate(env_files_of(self.environment, job, self.defaults, folders.working_dir)):
            if file.path not in self._env_files:
                self._env_files.add(file.path)
                here = where + (index,) if is_list else where
                for problem in file.problems:
                    self.report.error(here, "E170", problem)
                if file.warning:
                    self.report.warning(here, "W119", file.warning, "chown and chmod go-w it")

    def _check_condition(self, value: object, variables: Mapping[str, str], path: Path) -> None:
        from config.conditions import texts
        for where, text in texts(value, path):
            self.report.unset(where, self._missing_but_ours(text, variables))

    def _check_checks(self, checks: object, variables: Mapping[str, str], path: Path) -> None:
        from config.checks import check_expanded, check_names, missing_variables
        check_names(checks, path, self.plugins, self.report)
        for name, where in missing_variables(checks, path, variables):
            self.report.unset(where, [name])
        check_expanded(checks, path, variables, self.report)

    def check_programs(self, jobs: _Jobs, names: Set[str], folders: Folders) -> None:
        """Warn of programs that are not found, each once."""
        has_own = not names.isdisjoint(("env_variables", "env_file", "working_dir"))
        search, folder = self.environment.variables.get("PATH", os.defpath), folders.working_dir
        inherited = self.defaults.get("command")
        commands = [job.get("command", inherited) for job in jobs]
        found: Dict[Tuple[str, str, str], bool] = {}
        programs: Dict[object, str] = {}
        missing: Dict[str, List[int]] = {}
        if not has_own and set(map(type, commands)) == {str}:
            # Ten thousand jobs have few programs: most often, none is missing, and no job needs to be looked at.
            if all(_is_there(program, search, folder)
                   for program in set(map(_program, set(commands))) if program):
                return
        for index, command in enumerate(commands):
            once = tuple(map(str, command)) if isinstance(command, list) else command
            if once not in programs:
                programs[once] = _program(command)
            program = programs[once]
            if program:
                if has_own:
                    search, folder = self._entryof(jobs[index], folders)
                    if "${jobs." in folder and "/" in program:
                        continue
                where = (program, search, folder)
                if where not in found:
                    found[where] = _is_there(program, search, folder)
                if not found[where]:
                    missing.setdefault(program, []).append(index)
        for program, users in missing.items():
            more = " (%d more jobs use it)" % (len(users) - 1) if len(users) > 1 else ""
            what = "is not there" if "/" in program else "is not on PATH"
            self.report.warning(place(jobs[users[0]], "command", ("jobs", users[0])), "W101",
                                "the program %s %s%s" % (quoted(program), what, more))

    def _entryof(self, job: Mapping[str, object], folders: Folders) -> Tuple[str, str]:
        variables: Mapping[str, str] = self.environment.variables
        folder = folders.working_dir
        over = job_variables(self.environment, job, self.defaults, folder)[0]
        text = effective(job, self.defaults, "working_dir")
        if isinstance(text, str):
            variables = dict(variables)
            variables.update(over)
            folder = resolve_folder(text, folder, variables)[0]
        return over.get("PATH", variables.get("PATH", os.defpath)), folder


def _program(command: object) -> str:
    """The program that a command begins with; "" where only a shell could tell."""
    if isinstance(command, list):
        return str(command[0]) if command and "${" not in str(command[0]) else ""
    if not isinstance(command, str):
        return ""
    words = command.split(None, 1)
    if not words or not _WORD_CHARACTERS.issuperset(words[0]):
        return ""
    return words[0]


def _is_there(program: str, search: str, folder: str) -> bool:
    """Whether a program can be started, or the word is one of the shell's own."""
    try:
        if "/" in program:
            return os.path.isfile(os.path.join(folder, program))
        for entry in search.split(":"):
            candidate = os.path.join(entry, program)
            if entry[:1] == "/" and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
                return True
    except (ValueError, UnicodeEncodeError):
        return False
    # Only what is not found pays for the rules of the shell.
    from jobs.command import SHELL_WORDS
    return program in SHELL_WORDS

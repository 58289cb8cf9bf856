"""``security_policy``: a look at the words of commands for what is dangerous or was never meant.

It is a lint and no sandbox: a job may do whatever its user may, and a command that hides what it does is not found out.
What is looked at is the text of the file. ``security_level`` says how much counts: each level has the rules of those
below it. ``command_whitelist`` accepts programs, ``command_allowlist_patterns`` whole commands, and ``workspace_paths``
says where a program that is given by its path may lie.
"""
import os
import re
from typing import Dict, Iterator, List, Mapping, NamedTuple, Pattern, Sequence, Set, Tuple

from config.environment import Environment, expand, expand_home
from config.problems import Path, Report, quoted
from config.effective import effective, place
from config.folders import resolve_folder

__all__ = ["LEVELS", "RULES", "Policy", "Rule", "check"]

LEVELS = ("low", "medium", "high")
#: Where the programs of the system lie; ``workspace_paths`` is about others.
_SYSTEM = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
_SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
#: What may stand before a program and is passed over to find it.
_PREFIXES = ("sudo", "doas", "env", "nohup", "exec", "command", "setsid", "if", "while", "then", "do", "else", "!")
_SEPARATOR = r"&&|\|\||[;|&\n(){}`]"
_ASSIGNMENT = r"[A-Za-z_][A-Za-z0-9_]*="
#: What a shell looks at, and a program does not.
_OF_THE_SHELL = r"[;&|()`\n$<>~{}]"
#: Where the name of a program may stand.
_START = (r"(?:^|[;&|({`\n]|\b(?:sudo|doas|env|exec|nohup|then|do|else|xargs)\s)\s*(?:\w+=\S*\s+)*"
          r"(?:/(?:usr/)?s?bin/)?")
_END = r"(?=[\s;&|)\"'`]|$)"
_RECURSIVE = r"rm\s+(?:\S+\s+)*?-(?:-recursive|[a-zA-Z]*[rR][a-zA-Z]*)\s+(?:\S+\s+)*?[\"']?"


class Rule(NamedTuple):
    """Something that a command should not say."""

    name: str
    level: str
    what: str
    #: One of these is in every command that the expression finds: a quick look.
    words: Tuple[str, ...]
    expression: str


RULES = (
    Rule("delete-root", "low", "deletes a folder of the system, or all of a home", ("rm",),
         _START + _RECURSIVE + r"(?:/(?:(?:bin|boot|dev|etc|home|lib|lib64|opt|root|sbin|srv|sys|usr|var)/?)?\*?"
         r"|~/?\*?|\$\{?HOME\}?/?\*?)" + _END),
    Rule("delete-unset", "low", "deletes from the root on where the variable is empty", ("rm",),
         _START + _RECURSIVE + r"\$(?:\w+|\{\w+\})[\"']?/\*?" + _END),
    Rule("write-device", "low", "writes over a disk", ("/dev/",),
         r"(?:\bof=|>\s*)/dev/(?:sd|hd|vd|xvd|nvme|mapper/|disk|dm-)"),
    Rule("make-filesystem", "low", "makes a file system, and what was there is gone", ("mkfs", "mke2fs", "wipefs"),
         _START + r"(?:mkfs(?:\.\w+)?|mke2fs|wipefs)" + _END),
    Rule("fork-bomb", "low", "starts itself until the machine stands still", ("()",),
         r"([^\s;&|(]+)\s*\(\)\s*\{\s*\1\s*\|\s*\1\s*&"),
    Rule("stop-machine", "low", "stops the machine", ("shutdown", "reboot", "halt", "poweroff"),
         _START + r"(?:systemctl\s+)?(?:shutdown|reboot|halt|poweroff)" + _END),
    Rule("run-download", "medium", "runs what it downloads, unseen", ("curl", "wget"),
         r"\b(?:curl|wget)\b[^;&\n]*\|\s*(?:sudo\s+)?(?:/\S*/)?(?:ba|da|k|z)?sh\b"
         r"|\b(?:sh|bash|eval|source)\b[^;\n]*(?:<\(|\$\(|`)\s*(?:curl|wget)\b"),
    Rule("decode-and-run", "medium", "runs what was encoded, so that nobody sees what it is", ("base64",),
         r"\bbase64\s+(?:-d|-D|--decode)\b[^;&\n]*\|\s*(?:/\S*/)?(?:ba|da|k|z)?sh\b"),
    Rule("remote-shell", "medium", "gives a shell to another machine",
         ("/dev/tcp/", "/dev/udp/", "nc", "ncat", "netcat"),
         r"/dev/(?:tcp|udp)/|" + _START + r"(?:nc|ncat|netcat)\s(?:[^;&|\n]*\s)?-\w*[ec]\s"),
    Rule("open-to-all", "medium", "lets everybody write", ("chmod",),
         _START + r"chmod\s+(?:-\S+\s+)*(?:0?[0-7]?[0-7][0-7][2367]|[ug]*[ao][ugoa]*\+\w*w\w*|\+\w*w\w*)" + _END),
    Rule("set-user-id", "medium", "makes a program run as its owner, whoever starts it", ("chmod",),
         _START + r"chmod\s+(?:-\S+\s+)*(?:0?[2467][0-7][0-7][0-7]|[ugoa]*\+\w*s\w*)" + _END),
    Rule("system-files", "medium", "writes files that decide who may do what", ("/etc/",),
         r"(?:>|\btee\s+(?:-a\s+)?)\s*[\"']?/etc/(?:passwd|shadow|sudoers|group|crontab|ssh/|cron\.|ld\.so)"),
    Rule("kill-all", "medium", "ends every process", ("kill",),
         _START + r"kill\s+(?:-\w+\s+(?:--\s+)?|--\s+)-1" + _END),
    Rule("become-another", "high", "runs with the rights of another user", ("sudo", "doas", "su", "pkexec"),
         _START + r"(?:sudo|doas|su|pkexec)" + _END),
    Rule("eval", "high", "runs a text that is known only when it runs", ("eval",), _START + "eval" + _END),
    Rule("delete-recursive", "high", "deletes whole folders", ("rm",), _START + _RECURSIVE),
    Rule("download", "high", "fetches from outside", ("curl", "wget", "scp", "ftp", "sftp"),
         _START + r"(?:curl|wget|scp|s?ftp)" + _END),
    Rule("shared-folder", "high", "uses a folder in which everybody may write", ("tmp/", "/dev/shm/"),  # noqa: S108
         r"(?<![\w.])(?:/var)?/tmp/|/dev/shm/"),
)


class Policy:
    """What a file says about its commands.

    :param top: the keys of the file
    """

    def __init__(self, top: Mapping[str, object], environment: Environment, working_dir: str) -> None:
        level = LEVELS.index(str(top.get("security_level", "medium")))
        self.blocks = top.get("security_policy") in ("block", "strict")
        self.rules = [rule for rule in RULES if LEVELS.index(rule.level) <= level]
        self._programs = _texts(top.get("command_whitelist"))
        self._patterns: List[Pattern[str]] = []
        for pattern in _texts(top.get("command_allowlist_patterns")):
            try:
                self._patterns.append(re.compile(pattern, re.DOTALL))
            except (re.error, OverflowError, RecursionError):
                pass  # which the check of the file tells
        self._variables = environment.variables
        self.workspaces = [os.path.realpath(resolve_folder(path, working_dir, environment.variables)[0])
                           for path in _texts(top.get("workspace_paths"))]
        self._known: Dict[Tuple[str, str], List[Tuple[str, str]]] = {}

    def findings(self, command: object, folder: str) -> List[Tuple[str, str]]:
        """What is wrong with a command: the name of the rule, and what is said of it.

        :param command: a text for a shell, or an argument vector
        :param folder: where it runs, absolute
        """
        words = [str(word) for word in command] if isinstance(command, list) else []
        whole = " ".join(words) if isinstance(command, list) else str(command)
        text = whole
        if words:
            text = " ".join(re.sub(_OF_THE_SHELL, "_", word) for word in words)
            if os.path.basename(words[0]) in _SHELLS and "-c" in words[1:-1]:
                text = words[words.index("-c") + 1]
        once = (("vector " if words else "") + text, folder if self.workspaces else "")
        if once not in self._known:
            self._known[once] = [] if self._is_accepted(whole, text) else list(self._look(text, folder))
        return self._known[once]

    def _is_accepted(self, whole: str, text: str) -> bool:
        if any(pattern.fullmatch(whole) for pattern in self._patterns):
            return True
        programs = list(_programs(text)) if self._programs else []
        return bool(programs) and all(
            program in self._programs or os.path.dirname(program) in _SYSTEM
            and os.path.basename(program) in self._programs for program in programs)

    def _look(self, text: str, folder: str) -> Iterator[Tuple[str, str]]:
        for rule in self.rules:
            if any(word in text for word in rule.words):
                match = re.search(rule.expression, text)
                if match is not None:
                    yield rule.name, "%s, at character %d: rule %s of the level %s" % (
                        rule.what, match.start() + len(match.group()) - len(match.group().lstrip(" ;&|\n")) + 1,
                        rule.name, rule.level)
        for program in _programs(text) if self.workspaces else ():
            path = expand_home(expand(program, self._variables)[0], self._variables)
            if "/" in path:
                real = os.path.realpath(os.path.join(folder, path))
                if os.path.dirname(os.path.normpath(path)) not in _SYSTEM and not any(
                        real.startswith(one.rstrip("/") + "/") for one in self.workspaces):
                    yield "outside-workspace", "the program %s lies outside of workspace_paths" % quoted(program)


def check(top: Mapping[str, object], jobs: Sequence[Mapping[str, object]], defaults: Dict[str, object],
          names: Set[str], environment: Environment, working_dir: str, report: Report) -> None:
    """Report commands of jobs, of their checks and conditions, and of notifications that the policy is about.

    :param top: the keys of the file
    :param names: the keys that any job, or ``defaults``, has
    :param working_dir: of the file, absolute
    """
    policy = Policy(top, environment, working_dir)
    inherited = defaults.get("command")
    commands = [job.get("command", inherited) for job in jobs]
    # Ten thousand jobs have few dangerous words: most often, none needs to be looked at.
    text = "\n".join(set(map(str, commands)))
    words = sorted({word for rule in policy.rules for word in rule.words if word in text})
    near = "|".join(r"\b%s\b" % word if word.isalnum() else re.escape(word) for word in words)
    is_plain = not policy.workspaces and not (words and re.search(near, text))
    asking = [name for name in ("pre_checks", "post_checks", "run_if") if name in names]
    for index, job in enumerate(jobs if asking or not is_plain else ()):
        path: Path = ("jobs", index)
        folder = working_dir
        own = effective(job, defaults, "working_dir")
        if isinstance(own, str) and policy.workspaces:
            folder = resolve_folder(own, working_dir, environment.variables)[0]
        found: List[Tuple[object, Path]] = []
        if not is_plain and (policy.workspaces or re.search(near, str(commands[index]))):
            found.append((commands[index], place(job, "command", path)))
        for name in asking:
            asked = effective(job, defaults, name)
            if asked:
                found += _asked(asked, place(job, name, path))
        for command, where in found:
            _tell(policy, command, folder, where, report)
    notifications = top.get("notifications")
    if notifications:
        for command, where in _asked(notifications, ("notifications",)):
            _tell(policy, command, working_dir, where, report)


def _tell(policy: Policy, command: object, folder: str, where: Path, report: Report) -> None:
    if not isinstance(command, (str, list)):
        return
    for name, message in policy.findings(command, folder):
        hint = ("accept it with workspace_paths, command_whitelist or command_allowlist_patterns"
                if name == "outside-workspace" else
                "accept the program with command_whitelist, or the whole command with command_allowlist_patterns")
        if policy.blocks:
            report.error(where, "E171", message, hint)
        else:
            report.warning(where, "W171", message, hint)


def _asked(value: object, path: Path) -> Iterator[Tuple[object, Path]]:
    """The commands within checks, conditions and destinations, with their places."""
    if isinstance(value, str) and value.startswith("command:"):
        yield value[len("command:"):].strip(), path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _asked(item, path + (index,))
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "command":
                yield item, path + (name,)
            else:
                yield from _asked(item, path + (name,))


def _programs(text: str) -> Iterator[str]:
    """The first word of each command of a text, without assignments and what may stand before a program."""
    for part in re.split(_SEPARATOR, text):
        for word in part.replace('"', "").replace("'", "").split():
            if word not in _PREFIXES and not re.match(_ASSIGNMENT, word) and word not in ("$", "fi", "done"):
                yield word
                break


def _texts(value: object) -> List[str]:
    return [str(item) for item in value] if isinstance(value, list) else []

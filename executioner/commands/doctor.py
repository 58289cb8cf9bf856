"""``doctor``: what would keep runs from working here, and which guarantees this platform gives."""
import os
import sys
from typing import Any, Dict, List, Optional, Tuple

from executioner.console import Console
from executioner.home import Home, locate
from executioner.options import DATABASE, Arguments, CommandSpec, Option
from jobs.exceptions import EXIT_FAILED, EXIT_OK, ExecutionerError

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "[CONFIG]", 0, 1,
    (Option("--health", "only what /health looks at: storage, disk, clock, expectations, stuck runs"),
     DATABASE, Option("--json", "one JSON document on standard output")),
    "Looks for what would keep runs from working here: Python, SQLite, the platform, the home folder, the disk, the\n"
    "history, and which features are on and who said so. Exit 0 where all is well, else 1. Writes nothing.",
    (("executioner doctor", "the machine and the home"),
     ("executioner doctor --health", "for a monitor: exit 1 where something is wrong"),
     ("executioner doctor pipeline.json", "and the features as that file sets them")))

#: SQLite below this lacks the write-ahead log's file format that we rely on.
OLDEST_SQLITE = (3, 7, 17)
#: Free space below which a run would soon fail, in bytes.
LEAST_FREE_BYTES = 64 << 20

OK, WARNING, FAILURE = "ok", "warning", "failure"
_WORDS = {OK: "ok", WARNING: "warn", FAILURE: "FAIL"}


class Finding:
    """One thing that was looked at, what was found, and what to do about it."""

    __slots__ = ("name", "state", "found", "hint")

    def __init__(self, name: str, state: str, found: str, hint: str = "") -> None:
        self.name = name
        self.state = state
        self.found = found
        self.hint = hint

    def fields(self) -> Dict[str, Any]:
        """The finding as ``--json`` shows it."""
        return {"name": self.name, "state": self.state, "found": self.found, "hint": self.hint or None}


def execute(arguments: Arguments, console: Console) -> int:
    """Look at everything and say what was found."""
    if arguments.flag("health"):
        return _health(arguments, console)
    findings = [_python(), _sqlite()] + _platform() + _home(arguments, console)
    features = _features(arguments, console, findings)
    healthy = not any(finding.state == FAILURE for finding in findings)
    if arguments.flag("json"):
        from executioner.render import json_text
        console.out.line(json_text({
            "ok": healthy, "checks": [finding.fields() for finding in findings],
            "features": {name: {"on": on, "source": source} for name, on, source in features}}))
        return EXIT_OK if healthy else EXIT_FAILED
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        console.out.line("%-5s %-*s  %s" % (_WORDS[finding.state], width, finding.name, finding.found))
        if finding.hint:
            console.out.line("%s  hint: %s" % (" " * (width + 6), finding.hint))
    if features:
        console.out.line("features:")
        width = max(len(name) for name, _, _ in features)
        for name, on, source in features:
            console.out.line("  %-*s  %-3s  %s" % (width, name, "on" if on else "off", source))
    return EXIT_OK if healthy else EXIT_FAILED


def _health(arguments: Arguments, console: Console) -> int:
    """The checks of ``/health``, for those without HTTP."""
    import time

    from monitoring.health import check_health
    home = locate(arguments.one("home"), console.environ, arguments.one("database"))
    checks = check_health(home.path, home.history, time.time())
    healthy = all(check.ok for check in checks)
    if arguments.flag("json"):
        from executioner.render import json_text
        console.out.line(json_text({"status": "ok" if healthy else "failing", "checks": [
            {"name": check.name, "ok": check.ok, "found": check.found, "application": check.application or None}
            for check in checks]}))
    else:
        for check in checks:
            console.out.line("%-5s %-8s %s" % (_WORDS[OK if check.ok else FAILURE], check.name, check.found))
    return EXIT_OK if healthy else EXIT_FAILED


def _python() -> Finding:
    import platform
    return Finding("python", OK, "%s %s, %s" % (platform.python_implementation(), platform.python_version(),
                                                sys.executable))


def _sqlite() -> Finding:
    try:
        import sqlite3
    except ImportError as error:
        return Finding("sqlite", FAILURE, "this Python has none: %s" % error,
                       "install Python's sqlite3 module, or use another Python")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        return Finding("sqlite", FAILURE, sqlite3.sqlite_version,
                       "version %d.%d.%d or newer is needed" % OLDEST_SQLITE)
    return Finding("sqlite", OK, sqlite3.sqlite_version)


def _home(arguments: Arguments, console: Console) -> List[Finding]:
    home = locate(arguments.one("home"), console.environ, arguments.one("database"))
    source = "" if home.source == "default" else " (%s)" % home.source
    folder = home.path
    if home.exists():
        try:
            home.check()
        except ExecutionerError as error:
            return [Finding("home", FAILURE, error.message, str(error.context.get("hint", "")))]
        found = Finding("home", OK, home.path + source)
        if not os.access(home.path, os.W_OK | os.X_OK):
            found = Finding("home", FAILURE, "%s cannot be written" % home.path, "name another one with --home")
    else:
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            return [Finding("home", FAILURE, "%s is not there, and cannot be made in %s" % (home.path, folder),
                            "name another one with --home or EXECUTIONER_HOME")]
        found = Finding("home", OK, "%s%s, which the first run makes" % (home.path, source))
    return [found, _free_space(folder), _file_system(folder)] + _history(home)


def _free_space(folder: str) -> Finding:
    try:
        status = os.statvfs(folder)
    except OSError as error:
        return Finding("disk", FAILURE, "%s: %s" % (folder, error.strerror))
    free, inodes = status.f_bavail * status.f_frsize, status.f_favail
    text = "%.1f GiB free" % (free / 2.0 ** 30)
    if free < LEAST_FREE_BYTES or (status.f_files and inodes < 1000):
        return Finding("disk", FAILURE, "%s, %d files free" % (text, inodes), "make room, or name another --home")
    return Finding("disk", OK, text)


def _file_system(folder: str) -> Finding:
    from db.sqlite_file import network_file_system
    network = network_file_system(folder)
    if network is not None:
        return Finding("file system", FAILURE, "%s, over a network" % network,
                       "SQLite and locks need a local disk: name another --home")
    kind = _mounted_kind(os.path.realpath(folder))
    if kind is None:
        return Finding("file system", OK, "unknown kind (no /proc/self/mountinfo)")
    if kind == "tmpfs":
        return Finding("file system", WARNING, "tmpfs: the history does not survive a reboot")
    return Finding("file system", OK, kind)


def _mounted_kind(path: str) -> Optional[str]:
    """The kind of the file system that holds the path; None where the system does not say."""
    best: Tuple[int, str] = (-1, "")
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                left, _, right = line.partition(" - ")
                place = left.split()[4]
                for escaped, character in (("\\040", " "), ("\\011", "\t"), ("\\134", "\\")):
                    place = place.replace(escaped, character)
                if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= best[0]:
                    best = len(place), right.split()[0]
    except (OSError, IndexError):
        return None
    return best[1] or None


def _history(home: Home) -> List[Finding]:
    """Whether the history can be read, and whether runners died without anybody having run since."""
    if not os.path.lexists(home.history):
        return [Finding("history", OK, "none yet")]
    from db.history import History
    from db.truth import is_runner_alive
    try:
        with History.open(home.history, readonly=True) as history:
            newest = history.runs(limit=1)
            dead = [run for run in history.open_runs() if not is_runner_alive(run)]
    except ExecutionerError as error:
        return [Finding("history", FAILURE, error.message)]
    findings = [Finding("history", OK, "newest run: %d" % newest[0].run_id if newest else "no runs yet")]
    for run in dead:
        findings.append(Finding("runner", WARNING, "the runner of run %d of %s died" % (run.run_id, run.application),
                                "the next run of %s closes it; executioner show %d says what is known" % (
                                    run.application, run.run_id)))
    return findings


def _platform() -> List[Finding]:
    """Which guarantees about processes this system can give."""
    from jobs.compat import HAS_POSIX_SPAWN
    from jobs.keeper.processes import has_proc

    system = os.uname()
    findings = [Finding("system", OK, "%s %s, %s" % (system.sysname, system.release, system.machine))]
    if _has_subreaper():
        findings.append(Finding("subreaper", OK, "what a job leaves behind comes back to us"))
    else:
        findings.append(Finding("subreaper", WARNING, "none: a process that leaves its session outlives its job"))
    if os.path.exists("/proc/self/task/%d/children" % os.getpid()):
        findings.append(Finding("children", OK, "listed by the kernel"))
    elif has_proc():
        findings.append(Finding("children", OK, "found by looking through /proc, which is slower"))
    else:
        findings.append(Finding("children", WARNING, "no /proc: only the process group of a job is stopped"))
    if HAS_POSIX_SPAWN:
        how = "os.posix_spawn"
    elif sys.platform.startswith("linux"):
        how = "posix_spawn of the C library"
    else:
        how = "subprocess, which is slower"
    findings.append(Finding("process start", OK, how))
    return findings


def _has_subreaper() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import ctypes
    found = ctypes.c_int()
    get_child_subreaper = 37
    return int(ctypes.CDLL(None).prctl(get_child_subreaper, ctypes.byref(found), 0, 0, 0)) == 0


def _features(arguments: Arguments, console: Console, findings: List[Finding]) -> List[Tuple[str, bool, str]]:
    """Every switch, whether it is on, and who said so; with a file, as that file sets them."""
    from config.features import resolve_features
    from config.problems import Problem, Report
    from executioner.render import count_text

    settings = arguments.many("feature")
    if arguments.operands:
        from config.pipeline import validate_file
        result = validate_file(arguments.operands[0], console.environ, settings)
        features = result.features
        problems: List[Problem] = [problem for problem in result.problems if problem.is_error]
        findings.append(
            Finding("configuration", OK, "%s is valid" % arguments.operands[0]) if result.ok else
            Finding("configuration", FAILURE, "%s: %s" % (arguments.operands[0], count_text(len(problems), "error")),
                    "executioner validate %s" % arguments.operands[0]))
    else:
        problems = []
        features = resolve_features(None, console.environ, settings, Report(), problems)
        findings.extend(Finding("features", FAILURE, str(problem)) for problem in problems)
    return [(name, features.values[name], features.sources[name]) for name in sorted(features.values)]

"""The arrows of the house: who may import whom, what nobody may call, and what a run must not pay for."""
import ast
import functools
import os
import sys
import sysconfig
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple

import pytest

from jobs.keeper import launch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: Folder: the folders of ours that it may import.
ARROWS: Dict[str, Tuple[str, ...]] = {
    "jobs": (),
    "config": ("jobs",),
    "db": ("jobs",),
    "executioner_logging": ("jobs",),
    "monitoring": ("jobs", "db"),
    "api": ("jobs", "config", "db", "executioner_logging", "monitoring"),
    "executioner": ("jobs", "config", "db", "executioner_logging", "monitoring", "api"),
}
#: Besides the standard library: the two backports, and only where versions are asked for.
BACKPORTS = {"typing_extensions": ("jobs/compat.py",), "dataclasses": None}
#: The drivers of servers, each in its adapter alone, and imported when a connection is made.
DRIVERS = {"psycopg2": "db/postgresql_adapter.py", "oracledb": "db/oracle_adapter.py",
           "cx_Oracle": "db/oracle_adapter.py"}
#: What costs too much to be imported by a run of one job, at the top of any module that it loads.
HEAVY = frozenset((
    "argparse", "asyncio", "concurrent", "csv", "ctypes", "datetime", "decimal", "difflib", "email", "ftplib", "html",
    "http", "importlib.metadata", "inspect", "ipaddress", "logging", "multiprocessing", "pathlib", "pickle", "platform",
    "queue", "random", "shutil", "smtplib", "socketserver", "ssl", "statistics", "subprocess", "tarfile", "tempfile",
    "textwrap", "threading", "unittest", "urllib", "uuid", "xml", "zipfile",
))
#: The wall clock is asked for in few places; everything that is measured uses the monotonic one. The keeper, which has
#: no clock to be given, stamps what it records; so do acts on a run; how old a file is is asked by the wall's; the command
#: line shows what time it is.
WALL_CLOCK = ("jobs/exceptions.py", "jobs/system.py", "jobs/keeper/loop.py", "jobs/keeper/nursery.py", "db/acts.py",
              "db/truth.py", "jobs/checks/files.py", "executioner/")


class Import(NamedTuple):
    """One imported module, where, whether importing the file imports it too, and whether anything does but type checkers."""

    module: str
    line: int
    at_top: bool
    at_run: bool


def product_files() -> List[str]:
    """Every Python file of the product, relative to the root."""
    found = []
    for folder in sorted(ARROWS):
        for place, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            found += [os.path.relpath(os.path.join(place, name), ROOT)
                      for name in sorted(names) if name.endswith(".py")]
    return found


@functools.lru_cache(maxsize=None)
def parse(path: str) -> ast.Module:
    """The syntax tree of a file of ours."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        return ast.parse(source.read(), path)


def module_name(path: str) -> str:
    """``jobs/keeper/loop.py`` is ``jobs.keeper.loop``; a package is its ``__init__``."""
    name = path[:-3].replace(os.sep, ".")
    return name[:-len(".__init__")] if name.endswith(".__init__") else name


FILES = product_files()
MODULES = {module_name(path): path for path in FILES}


def _guards_types(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id in ("TYPE_CHECKING", "MYPY")


def imports_of(path: str) -> Iterator[Import]:
    """Everything that a file imports, inside functions and for type checkers too."""

    def walk(node: ast.AST, at_top: bool, at_run: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_top and at_run, at_run)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            inner = [base + "." + alias.name for alias in node.names if base + "." + alias.name in MODULES]
            for name in inner or [base]:
                yield Import(name, node.lineno, at_top and at_run, at_run)
        for field, value in ast.iter_fields(node):
            later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            never = field == "body" and isinstance(node, ast.If) and _guards_types(node.test)
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    for found in walk(child, at_top and not later, at_run and not never):
                        yield found

    return walk(parse(path), True, True)


def standard_library() -> Set[str]:
    """Names of the top-level modules of the standard library."""
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return set(names)
    known = set(sys.builtin_module_names)
    folder = sysconfig.get_paths()["stdlib"]
    for place in (folder, os.path.join(folder, "lib-dynload")):
        known |= {name.split(".")[0] for name in os.listdir(place) if name != "site-packages"}
    return known


def test_the_walk_sees_the_product() -> None:
    assert "jobs.models" in MODULES and "executioner.bootstrap" in MODULES
    assert Import("jobs.exceptions", 8, True, True) in [
        found._replace(line=8) for found in imports_of(MODULES["jobs.models"])]


def test_every_arrow_points_down() -> None:
    wrong = []
    for path in FILES:
        here = path.split(os.sep)[0]
        for found in imports_of(path):
            there = found.module.split(".")[0]
            if there in ARROWS and there != here and there not in ARROWS[here]:
                wrong.append("%s:%d imports %s" % (path, found.line, found.module))
    assert not wrong, "\n".join(wrong)


def test_imports_are_absolute() -> None:
    wrong = ["%s:%d imports %s" % (path, found.line, found.module)
             for path in FILES for found in imports_of(path) if found.module.startswith(".")]
    assert not wrong, "\n".join(wrong)


def test_only_the_standard_library() -> None:
    standard = standard_library()
    wrong = []
    for path in FILES:
        for found in imports_of(path):
            top = found.module.split(".")[0]
            if top in ARROWS or top in standard:
                continue
            places = BACKPORTS.get(top, ())
            if places is None or path.replace(os.sep, "/") in places:
                continue
            if DRIVERS.get(top) == path.replace(os.sep, "/") and not found.at_top:
                continue
            wrong.append("%s:%d imports %s" % (path, found.line, found.module))
    assert not wrong, "\n".join(wrong)


def test_the_keeper_imports_nothing_but_what_is_sent_to_it() -> None:
    sent = {module.__name__ for module in launch._MODULES}
    keeper = {name for name in MODULES if (name + ".").startswith("jobs.keeper.")}
    # What is in its folder is sent, but for the runner's side of it.
    assert keeper - sent == {"jobs.keeper.launch"}
    assert sent - keeper == {"jobs.system"}
    wrong = []
    for path in [MODULES[name] for name in sorted(sent)]:
        for found in imports_of(path):
            ours = found.module.split(".")[0] in ARROWS
            if (ours and found.module not in sent | {"jobs"}) or found.module in BACKPORTS:
                wrong.append("%s:%d imports %s" % (path, found.line, found.module))
    assert not wrong, "\n".join(wrong)


def test_no_circle_among_modules() -> None:
    graph = {name: sorted({found.module for found in imports_of(path) if found.at_run and found.module in MODULES})
             for name, path in MODULES.items()}
    state: Dict[str, int] = {}
    circles: List[str] = []

    def visit(name: str, trail: List[str]) -> None:
        state[name] = 1
        for other in graph[name]:
            if state.get(other) == 1:
                circles.append(" -> ".join(trail[trail.index(other):] + [other]))
            elif other not in state:
                visit(other, trail + [other])
        state[name] = 2

    for name in sorted(graph):
        if name not in state:
            visit(name, [name])
    assert not circles, "\n".join(circles)


def loaded_with(module: str) -> Dict[str, str]:
    """Every module that importing one loads, ours and others, and which of ours wanted it."""
    wanted = {module: "the command line"}
    left = [module]
    while left:
        name = left.pop()
        for found in imports_of(MODULES[name]):
            if not found.at_top:
                continue
            parts = found.module.split(".")
            for end in range(1, len(parts) + 1):
                other = ".".join(parts[:end])
                if other not in wanted:
                    wanted[other] = "%s:%d" % (MODULES[name], found.line)
                    if other in MODULES:
                        left.append(other)
    return wanted


@pytest.mark.parametrize("start", ["executioner.bootstrap", "executioner.cli", "executioner.commands.run"])
def test_a_run_starts_lean(start: str) -> None:
    heavy = ["%s imports %s" % (place, name) for name, place in sorted(loaded_with(start).items()) if name in HEAVY]
    assert not heavy, "\n".join(heavy)


def calls(path: str) -> Iterator[Tuple[str, ast.Call]]:
    """Every call in a file with the dotted name of what is called."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call):
            parts: List[str] = []
            target = node.func
            while isinstance(target, ast.Attribute):
                parts.append(target.attr)
                target = target.value
            if isinstance(target, ast.Name):
                parts.append(target.id)
            yield ".".join(reversed(parts)), node


def test_forbidden_calls() -> None:
    wrong = []
    for path in FILES:
        keeper = path.startswith(os.path.join("jobs", "keeper") + os.sep)
        for name, node in calls(path):
            place = "%s:%d " % (path, node.lineno)
            for keyword in node.keywords:
                if keyword.arg == "preexec_fn":
                    wrong.append(place + "preexec_fn forks with threads about and costs twice")
                if keyword.arg == "shell" and getattr(keyword.value, "value", True) is not False:
                    wrong.append(place + "shell=... hands a string to a shell behind our back")
            if name == "os.umask" and not keeper:
                wrong.append(place + "os.umask is the whole process's; give the mode to os.open")
            loads_modules = name == "exec" and (keeper or path == os.path.join("executioner", "zipped.py"))
            if name in ("os.system", "os.popen", "eval", "exec", "os.execvpe") and not loads_modules:
                wrong.append(place + name)
            if name == "time.time" and not path.replace(os.sep, "/").startswith(WALL_CLOCK):
                wrong.append(place + "time.time: measure by the monotonic clock, ask a Clock for the wall's")
    assert not wrong, "\n".join(wrong)


def test_no_duration_by_the_wall_clock() -> None:
    wrong = []
    for path in FILES:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
                for side in (node.left, node.right):
                    called = getattr(side, "func", None)
                    if isinstance(called, ast.Attribute) and called.attr in ("time", "wall"):
                        wrong.append("%s:%d" % (path, node.lineno))
    assert not wrong, "a clock that jumps makes durations that never were:\n" + "\n".join(wrong)


def test_no_error_is_swallowed_whole() -> None:
    wrong = []
    for path in FILES:
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = getattr(node.type, "id", None)
            silent = all(isinstance(step, (ast.Pass, ast.Continue)) for step in node.body)
            if node.type is None or (caught in ("Exception", "BaseException") and silent):
                wrong.append("%s:%d" % (path, node.lineno))
    assert not wrong, "\n".join(wrong)


def test_library_modules_neither_print_nor_exit() -> None:
    allowed = (os.path.join("executioner", ""), os.path.join("jobs", "keeper", ""))
    wrong = ["%s:%d %s" % (path, node.lineno, name) for path in FILES if not path.startswith(allowed)
             for name, node in calls(path) if name in ("print", "sys.exit", "exit", "quit", "os._exit", "os.abort")]
    assert not wrong, "\n".join(wrong)

"""``dependency_plugins``: the Python files that add checks, and which checks each adds.

A file is read and never run here: what it defines is seen in its syntax tree. A check's name means a function of that
name; a class with ``check()``, by its name, by that in small letters (``TableFilled`` is ``table_filled`` and
``check_table_filled``) or by its attribute ``name``; and the plugin's own name NAME means its function ``check_NAME``,
its ``PLUGIN_CLASS``, its function ``check``, or its only class. ``jobs.checks.child`` finds them so when it runs it.
"""
import ast
import os
import stat
from typing import Dict, Iterator, List, Mapping, Optional, Set, Tuple

from config.environment import expand, expand_home
from config.problems import Path, Report, quoted, shown
from jobs.checks.child import snake_case
from jobs.models import Plugin

__all__ = ["Plugins", "find_plugins"]

#: Largest file of a plugin.
_MOST_BYTES = 4 << 20
_FOLDER = "plugins"
#: A class of this name keeps its checks in a table that is filled when the file is run.
_RESOLVER = "DependencyResolver"
_PLUGIN_CLASS = "PLUGIN_CLASS"


class _Defined:
    """What a file defines at its top."""

    def __init__(self, tree: ast.Module) -> None:
        self.functions: List[str] = []
        self.classes: Dict[str, ast.ClassDef] = {}
        #: Names that are bound in another way: imported, assigned.
        self.others: Set[str] = set()
        #: Whether it has names that only running it tells.
        self.is_open = False
        for node in _statements(tree.body):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.functions.append(node.name)
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    self.is_open = self.is_open or alias.name == "*"
                    self.others.add(alias.asname or alias.name.split(".")[0])
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.others.update(target.id for target in targets if isinstance(target, ast.Name))
        self.is_open = self.is_open or _RESOLVER in self.classes or _RESOLVER in self.others

    def checking_classes(self) -> List[str]:
        """Classes that have a ``check``, or may have inherited one."""
        return [name for name, node in self.classes.items() if name != _RESOLVER and (
            any(getattr(base, "id", "") != "object" for base in node.bases)
            or any(getattr(one, "name", "") == "check" for one in node.body))]


class Plugins:
    """The plugins of one file."""

    def __init__(self) -> None:
        #: Whether all could be read: only then it is known which checks there are not.
        self.is_complete = True
        #: Names of the checks, for people.
        self.names: List[str] = []
        self._by_check: Dict[str, Plugin] = {}
        self._open: Optional[Plugin] = None

    def of(self, check: str) -> Optional[Plugin]:
        """The plugin that adds a check; None where none does."""
        return self._by_check.get(check, self._open)

    def add(self, plugin: Plugin, defined: _Defined) -> bool:
        """Add what a plugin defines; whether its own name means something."""
        classes = defined.checking_classes()
        names = [name for name in defined.functions if name[0] != "_" and name != "check"]
        for name in classes:
            small = snake_case(name)
            names += [name, small, "check_" + small] + list(_own_names(defined.classes[name]))
        is_meant = plugin.name in names or "check_" + plugin.name in names or plugin.name in defined.others or bool(
            {_PLUGIN_CLASS, "check"} & (defined.others | set(defined.functions) | set(classes))) or len(classes) == 1
        own = [plugin.name, "check_" + plugin.name] if is_meant else []
        for name in own + names + sorted(defined.others):
            self._by_check.setdefault(name, plugin)
        self.names += [name for name in own[:1] + names if name not in classes and name not in self.names]
        if defined.is_open and self._open is None:
            self._open = plugin
        return is_meant


def find_plugins(entries: object, folders: Tuple[str, ...], variables: Mapping[str, str], report: Report) -> Plugins:
    """The plugins that a file names; what is wrong with one is reported.

    :param entries: ``dependency_plugins``, found right by its kind
    :param folders: where relative paths begin, the first one first
    """
    found = Plugins()
    taken: Dict[str, int] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        path: Path = ("dependency_plugins", index)
        before = report.error_count
        named = isinstance(entry, dict)
        text = str(entry.get("path", entry.get("name"))) if isinstance(entry, dict) else str(entry)
        name = str(entry.get("name")) if isinstance(entry, dict) else os.path.splitext(os.path.basename(text))[0]
        if name in taken:
            report.error(path, "E160", "the plugin %s stands in the list already, at [%d]" % (
                quoted(name), taken[name]))
        taken.setdefault(name, index)
        expanded, missing = expand(text, variables)
        report.unset(path, missing)
        file = _file_of(expand_home(expanded, variables), folders)
        if file is None:
            report.error(path + ("path",) if named and "path" in entry else path, "E160",
                         "there is no file %s" % quoted(text, None),
                         "it is looked for in %s" % " and ".join(dict.fromkeys(folders)))
            found.is_complete = False
            continue
        defined = _read(file, path, report)
        if defined is not None:
            is_meant = found.add(Plugin(name, file), defined)
            _check_definitions(name, file, defined, named, is_meant, path, report)
        found.is_complete = found.is_complete and report.error_count == before
    return found


def _check_definitions(name: str, file: str, defined: _Defined, is_named: bool, is_meant: bool, path: Path,
                       report: Report) -> None:
    there = [one for one in defined.functions if one[0] != "_"] + defined.checking_classes()
    if not there and not is_meant and not defined.is_open:
        report.error(path, "E160", "%s has neither a function nor a class with check()" % quoted(file, None))
    elif is_named and not is_meant and not defined.is_open:
        report.error(path, "E160", "%s has no class or function %s" % (quoted(file, None), quoted(name)),
                     report.suggestions.hint(name, there) or "it has: " + ", ".join(there[:20]))
    from jobs.checks.registry import BUILT_IN
    for one in defined.functions:
        if BUILT_IN.get(one) is not None:
            report.warning(path, "W107", "its function %s has no effect beside the check that is built in" % one)


def _file_of(text: str, folders: Tuple[str, ...]) -> Optional[str]:
    """The file that a name or path means; None where there is none."""
    names = [text] if text.endswith(".py") else [text + ".py", text]
    if "/" not in text:
        names += [os.path.join(_FOLDER, name) for name in names]
    for folder in folders:
        for name in names:
            path = os.path.normpath(os.path.join(folder, name))
            try:
                if os.path.isfile(path):
                    return path
            except (ValueError, UnicodeEncodeError):
                return None
    return None


def _read(file: str, path: Path, report: Report) -> Optional[_Defined]:
    """What a file defines; what keeps it from being a Python file is reported."""
    import warnings
    where = quoted(file, None)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(descriptor, "rb") as stream:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MOST_BYTES:
                report.error(path, "E160", "%s is no file of at most 4 MiB" % where)
                return None
            data = stream.read(_MOST_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data, file)
            compile(tree, file, "exec", dont_inherit=True)  # finds what is wrong but no matter of grammar
    except OSError as error:
        report.error(path, "E160", "%s cannot be read: %s" % (where, error.strerror or error))
    except SyntaxError as error:
        report.error(path, "E160", "%s is no Python that can be run here: %s%s" % (
            where, error.msg, ", line %d" % error.lineno if error.lineno else ""))
    except (ValueError, RecursionError, MemoryError) as error:
        report.error(path, "E160", "%s is no Python that can be run here: %s" % (where, shown(str(error))))
    else:
        return _Defined(tree)
    return None


def _statements(body: List[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under ``if``, ``try`` and ``with`` too."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            for part in ("body", "orelse", "finalbody"):
                for inner in _statements(getattr(node, part, [])):
                    yield inner
            for handler in getattr(node, "handlers", []):
                for inner in _statements(handler.body):
                    yield inner


def _own_names(node: ast.ClassDef) -> Iterator[str]:
    """The attribute ``name`` of a class, where it is a text."""
    for one in node.body:
        if isinstance(one, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "name"
                                               for target in one.targets):
            try:
                value = ast.literal_eval(one.value)
            except ValueError:
                continue
            if isinstance(value, str):
                yield value

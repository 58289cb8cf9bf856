"""The environment of jobs: which variables of the caller they inherit, and what ``${NAME}`` stands for.

Variables come in layers: inherited, the file's, each ``env_file``, the job's, and ``--env``; the higher layer wins.
``${NAME}`` means the variable NAME as the job sees it, whichever layer it is from; inside NAME's own value it means the
layer below, so ``"PATH": "/opt/x/bin:${PATH}"`` works. A name that nobody sets stays as it is written. What is
inherited and what ``--env`` says is taken as it is. All walks are iterative: chains of variables may be as long as the
file.
"""
import re
from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, List, Mapping, Match, Optional, Sequence, Set, Tuple

from config.kinds import MAX_TEXT, is_comment
from config.problems import nobody_sets

if TYPE_CHECKING:
    from config.env_files import EnvFile

__all__ = ["Environment", "INHERITED_BY_DEFAULT", "Issue", "expand", "expand_home", "inherited", "value_text"]

_REFERENCE = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"

#: Variables that ``inherit_shell_env: "default"`` lets through, besides those that begin with ``LC_``.
INHERITED_BY_DEFAULT = ("PATH", "LD_LIBRARY_PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "TERM", "DISPLAY",
                        "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "JAVA_HOME", "PYTHON_HOME", "NODE_PATH")

#: Layers in whose values nothing is expanded.
_AS_IT_IS = ("--env", "given", "quoted", "inherited")
#: A definition: the name of a variable, and how many definitions of it lie above.
_Node = Tuple[str, int]
_Pairs = FrozenSet[Tuple[str, str]]


class Issue:
    """Something wrong with a variable of one layer (``file``, ``env_file`` or ``job``)."""

    __slots__ = ("code", "layer", "name", "message")

    def __init__(self, code: str, layer: str, name: str, message: str) -> None:
        self.code = code
        self.layer = layer
        self.name = name
        self.message = message


def value_text(value: object) -> str:
    """The text of a variable's value: numbers and booleans as JSON writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def inherited(setting: object, environ: Mapping[str, str]) -> Dict[str, str]:
    """The variables of the caller that a job sees, by the four forms of ``inherit_shell_env``."""
    if setting is False:
        return {}
    if setting == "default":
        return {name: value for name, value in environ.items()
                if name in INHERITED_BY_DEFAULT or name.startswith("LC_")}
    if isinstance(setting, list):
        return {name: environ[name] for name in setting if name in environ}
    return dict(environ)


def expand(text: str, variables: Mapping[str, str]) -> Tuple[str, List[str]]:
    """The text with each ``${NAME}`` replaced, and the names that are not set; those stay as written."""
    if "${" not in text:
        return text, []
    missing: List[str] = []

    def replace(match: Match[str]) -> str:
        value = variables.get(match.group(1))
        if value is None:
            missing.append(match.group(1))
            return match.group()
        return value

    return re.sub(_REFERENCE, replace, text), missing


def expand_home(path: str, variables: Mapping[str, str]) -> str:
    """The path with a leading ``~`` replaced by HOME of the given variables, and ``~user`` by that user's folder."""
    if path[:1] != "~":
        return path
    if (path == "~" or path.startswith("~/")) and variables.get("HOME", "").startswith("/"):
        return variables["HOME"].rstrip("/") + path[1:] or "/"
    import os
    return os.path.expanduser(path)


class Environment:
    """The layers of one file.

    :param setting: ``inherit_shell_env``
    :param environ: the caller's environment
    :param in_file: ``env_variables`` of the file, wrong values left out
    :param overrides: what ``--env`` says
    """

    def __init__(self, setting: object, environ: Mapping[str, str], in_file: Mapping[str, object],
                 overrides: Optional[Mapping[str, str]] = None) -> None:
        self.inherited = inherited(setting, environ)
        self.overrides = dict(overrides or {})
        self.in_file = {name: value_text(value) for name, value in in_file.items() if not is_comment(name)}
        self.issues: List[Issue] = []
        #: What every job sees.
        self.variables = dict(self.inherited)
        self.variables.update(_Resolver(self, {}, {}, {}, ()).resolve(list(self.in_file), self.issues.append))
        self.variables.update(self.overrides)
        self._needed_by: Optional[Dict[str, Set[str]]] = None
        self._jobs: Dict[Tuple[_Pairs, _Pairs, Tuple[str, ...]], Tuple[Dict[str, str], List[Issue]]] = {}
        self._files: Dict[str, EnvFile] = {}

    @classmethod
    def of_file(cls, top: Mapping[str, object], environ: Mapping[str, str],
                overrides: Mapping[str, str]) -> "Environment":
        """The layers of a file, by its keys ``inherit_shell_env`` and ``env_variables``."""
        in_file = top.get("env_variables")
        return cls(top.get("inherit_shell_env", True), environ, in_file if isinstance(in_file, dict) else {}, overrides)

    def of_job(self, in_job: Mapping[str, object],
               given: Optional[Mapping[str, str]] = None,
               files: "Sequence[EnvFile]" = ()) -> Tuple[Dict[str, str], List[Issue]]:
        """The variables of a job that lie over ``variables``, and what is wrong with them.

        These are the job's own, and those of the file that refer to one of them. Equal jobs share the result.

        :param given: variables of this job alone that are taken as they are, as what ``--env`` says
        :param files: what ``read_file`` gave of its ``env_file``; a later one lies over an earlier one
        """
        said = {name: value_text(value) for name, value in in_job.items() if not is_comment(name)}
        key = (frozenset(said.items()), frozenset(given.items() if given else ()), tuple(file.path for file in files))
        found = self._jobs.get(key)
        if found is None:
            issues: List[Issue] = []
            own: Dict[str, str] = {}
            for file in files:
                own.update(file.written())
            own.update(said)
            own.update(given or {})
            # What the file says about variables that do not refer to the job's is known already.
            affected = self._affected_by(own)
            known = {name: self.variables[name] for name in self.in_file if name not in affected and name not in own}
            names = list(own) + [name for name in self.in_file if name in affected and name not in own]
            resolved = _Resolver(self, said, known, given or {}, files).resolve(names, issues.append)
            for name in own:
                if name in self.overrides:
                    resolved[name] = self.overrides[name]
            found = self._jobs[key] = (resolved, issues)
        return found

    def read_file(self, path: str) -> "EnvFile":
        """What an ``env_file`` says. It is read once, so that what is masked is what the jobs get."""
        found = self._files.get(path)
        if found is None:
            from config.env_files import read_env_file
            found = self._files[path] = read_env_file(path)
        return found

    def paths_of_files(self) -> List[str]:
        """The files that were read so far."""
        return list(self._files)

    def problems_of_files(self) -> List[str]:
        """What is wrong with the files that were read so far."""
        return [problem for file in self._files.values() for problem in file.problems]

    def _affected_by(self, names: Mapping[str, str]) -> Set[str]:
        """Variables of the file that refer to one of the names, directly or through others."""
        if self._needed_by is None:
            self._needed_by = {}
            for name, text in self.in_file.items():
                if "${" in text:
                    for other in re.findall(_REFERENCE, text):
                        if other != name:
                            self._needed_by.setdefault(other, set()).add(name)
        affected: Set[str] = set()
        todo = list(names)
        while todo:
            for name in self._needed_by.get(todo.pop(), ()):
                if name not in affected:
                    affected.add(name)
                    todo.append(name)
        return affected


class _Resolver:
    """Works out the values of variables from their layers, each once."""

    def __init__(self, environment: Environment, in_job: Mapping[str, str], known: Mapping[str, str],
                 given: Mapping[str, str], files: "Sequence[EnvFile]") -> None:
        self._layers: List[Tuple[str, Mapping[str, str]]] = [
            ("--env", environment.overrides), ("given", given), ("job", in_job)]
        for file in reversed(files):
            self._layers += (("quoted", file.literal), ("env_file", file.expanded))  # a name is in one of them
        self._layers += (("file", environment.in_file), ("inherited", environment.inherited))
        self._known = known
        self._values: Dict[_Node, str] = {}

    def _definition(self, node: _Node) -> Optional[Tuple[str, str]]:
        """Layer and raw text of a definition; None where there is none."""
        name, above = node
        for layer, variables in self._layers:
            if name in variables:
                if not above:
                    return layer, variables[name]
                above -= 1
        return None

    def resolve(self, names: Sequence[str], tell: Callable[[Issue], None]) -> Dict[str, str]:
        """The values of the given variables."""
        circles: Set[FrozenSet[str]] = set()
        for name in names:
            self._work_out((name, 0), tell, circles)
        return {name: self._values[name, 0] for name in names}

    def _work_out(self, start: _Node, tell: Callable[[Issue], None], circles: Set[FrozenSet[str]]) -> None:
        path: List[_Node] = [start]
        on_path: Set[_Node] = {start}
        while path:
            node = path[-1]
            if node in self._values:
                on_path.discard(path.pop())
                continue
            name = node[0]
            definition = self._definition(node)
            if definition is None:
                raise AssertionError("a variable without a definition: " + name)
            layer, raw = definition
            if layer in _AS_IT_IS or "${" not in raw:
                self._values[node] = raw
                continue
            if layer == "file" and node[1] == 0 and name in self._known:
                self._values[node] = self._known[name]
                continue
            waits = False
            for reference in re.findall(_REFERENCE, raw):
                other = (reference, node[1] + 1 if reference == name else 0)
                if other in self._values or self._definition(other) is None:
                    continue
                if other in on_path:
                    self._tell_circle(path[path.index(other):], tell, circles)
                    # The reference stays as it is written, so that the rest can still be looked at.
                    self._values[other] = self._raw(other)
                    continue
                path.append(other)
                on_path.add(other)
                waits = True
                break
            if not waits and node not in self._values:
                self._values[node] = self._put_together(node, layer, raw, tell)

    def _raw(self, node: _Node) -> str:
        definition = self._definition(node)
        return definition[1] if definition is not None else ""

    def _put_together(self, node: _Node, layer: str, raw: str, tell: Callable[[Issue], None]) -> str:
        name, above = node
        pieces: List[str] = []
        size = end = 0
        for match in re.finditer(_REFERENCE, raw):
            reference = match.group(1)
            value = self._values.get((reference, above + 1 if reference == name else 0))
            if value is None:
                tell(Issue("W104", layer, name, nobody_sets(reference)))
                value = match.group()
            pieces += (raw[end:match.start()], value)
            size += len(value) + match.start() - end
            end = match.end()
            if size > MAX_TEXT:
                break
        pieces.append(raw[end:])
        text = "".join(pieces)
        if size > MAX_TEXT or len(text.encode("utf-8", "surrogatepass")) + len(name) + 1 > MAX_TEXT:
            tell(Issue("E105", layer, name, "becomes longer than %d bytes" % MAX_TEXT))
            return raw
        return text

    def _tell_circle(self, circle: Sequence[_Node], tell: Callable[[Issue], None],
                     circles: Set[FrozenSet[str]]) -> None:
        names = [node[0] for node in circle]
        once = frozenset(names)
        if once in circles:
            return
        circles.add(once)
        first = min(range(len(names)), key=lambda position: names[position])
        names = names[first:] + names[:first]
        layer = "file"
        name = names[0]
        for one in names:
            definition = self._definition((one, 0))
            if definition is not None and definition[0] in ("job", "env_file"):
                layer, name = definition[0], one
                break
        shown = names if len(names) <= 20 else names[:20] + ["\u2026"]
        tell(Issue("E131", layer, name, "variables refer to each other in a circle: "
                   + " -> ".join(shown + names[:1])))

"""The checks of a configuration: their names, and their parameters once variables are in them."""
from typing import TYPE_CHECKING, Dict, Iterator, List, Mapping, Optional, Tuple

from config.environment import expand, expand_home
from config.kinds import is_comment
from config.problems import Path, Report, shown
from jobs.checks.parameters import is_open
from jobs.checks.registry import BUILT_IN
from jobs.placeholders import expand_values

if TYPE_CHECKING:
    from config.plugins import Plugins

__all__ = ["check_expanded", "check_names", "expanded_params", "missing_variables", "named"]

_Raw = Dict[str, object]


def named(checks: object, path: Path) -> Iterator[Tuple[str, _Raw, Path]]:
    """The checks of a list that are such: name, parameters without comments, place."""
    for index, item in enumerate(checks if isinstance(checks, list) else ()):
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str):
            params = item.get("params", {})
            yield name, {key: value for key, value in params.items() if not is_comment(key)} if isinstance(
                params, dict) else {}, path + (index,)


def check_names(checks: object, path: Path, plugins: "Optional[Plugins]", report: Report) -> None:
    """Report checks that there are not.

    :param plugins: the plugins of the file; None where it names none
    """
    if plugins is not None and not plugins.is_complete:
        return
    for name, _, here in named(checks, path):
        if BUILT_IN.get(name) is None and (plugins is None or plugins.of(name) is None):
            known = BUILT_IN.names() + (sorted(plugins.names) if plugins is not None else [])
            report.error(here + ("name",), "E140", "there is no check %s" % shown(name),
                         report.suggestions.hint(name, known) or "there are: " + ", ".join(known))


def missing_variables(checks: object, path: Path, variables: Mapping[str, str]) -> Iterator[Tuple[str, Path]]:
    """Variables in parameters that nobody sets, with their places."""
    found: List[str] = []

    def look(text: str) -> str:
        # What each attempt is given is not known before it starts.
        found.extend(one for one in expand(text, variables)[1] if not one.startswith("EXECUTIONER_"))
        return text

    for name, params, here in named(checks, path):
        for key, value in params.items():
            if not _is_shell_text(name, key, value):
                found.clear()
                expand_values(value, look)
                for one in found:
                    yield one, here + ("params", key)


def check_expanded(checks: object, path: Path, variables: Mapping[str, str], report: Report) -> None:
    """Report parameters that turn out wrong with the variables in them."""
    for name, params, here in named(checks, path):
        declaration = BUILT_IN.get(name)
        if declaration is not None and "${" in repr(params):
            whole = expanded_params(name, params, variables)
            for key, message in declaration.problems(whole, is_whole=False):
                if is_open(params.get(key)) and not declaration.problems(params, is_whole=False):
                    report.error(here + ("params", key), "E141", message)


def expanded_params(name: str, params: _Raw, variables: Mapping[str, str]) -> _Raw:
    """The parameters of a check with variables in their places."""
    declaration = BUILT_IN.get(name)
    kinds = {one.name: one.kind for one in declaration.parameters} if declaration is not None else {}
    found: _Raw = {}
    escaped: Optional[Dict[str, str]] = None
    for key, value in params.items():
        kind = kinds.get(key)
        if _is_shell_text(name, key, value):
            found[key] = value
        elif kind == "pattern" and is_open(value):
            import re
            # What a variable holds is data, no part of the expression.
            escaped = {one: re.escape(text) for one, text in variables.items()} if escaped is None else escaped
            found[key] = expand(str(value), escaped)[0]
        else:
            found[key] = expand_values(value, lambda text: expand(text, variables)[0])
            if kind == "path":
                found[key] = expand_home(str(found[key]), variables)
    return found


def _is_shell_text(name: str, key: str, value: object) -> bool:
    """Whether a shell reads the value: it expands variables itself, and takes what is in them for data."""
    return isinstance(value, str) and key == "command" and BUILT_IN.get(name) is not None

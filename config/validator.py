"""Every problem of a configuration in one pass, found on the raw values.

A list of jobs is first looked at column by column (all ids, all commands, ...), which is quick and answers only
whether everything is in order; ten thousand jobs take a few hundredths of a second. Where something is not, each job
is gone through by itself, and every problem is told. Both ways ask the same kinds (``config/kinds.py``). What needs
several values at once stands in ``config/rules.py``.
"""
from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, Iterator, List, Mapping, Optional, Set, Tuple

from config import rules
from config.effective import effective, has_references
from config.kinds import ID_CHARACTERS, Checks, Kind, Variables, check_keys, is_comment
from config.problems import Path, Report, kind_of, quoted, shown
from config.schema import DEFAULT_OF_JOB_KEY, DEFAULTS, DEPENDENCY, FILE, JOB, MAX_JOBS

if TYPE_CHECKING:
    from config.expansion import Expansion
    from config.globbing import Globbing
    from config.inner import Family

__all__ = ["Jobs", "check_configuration", "check_job", "check_jobs"]

_Raw = Dict[str, object]
_ID_BYTES = "".join(sorted(ID_CHARACTERS)).encode("ascii")
_distinct: Callable[[List[object]], FrozenSet[object]] = frozenset


class Jobs:
    """The jobs of a file without what is wrong with them, and what was learnt on the way."""

    __slots__ = ("usable", "names", "has_conditions", "may_refer", "told")

    def __init__(self, usable: List[_Raw], names: Set[str], has_conditions: bool) -> None:
        self.usable = usable
        #: The keys that any of them, or ``defaults``, has.
        self.names = names
        #: Whether a dependency is more than an id.
        self.has_conditions = has_conditions
        #: Whether there may be a reference (``${``) in what they say.
        self.may_refer = True
        #: What jobs of inner configurations tell others, by their ids.
        self.told: Dict[str, List[str]] = {}


def check_configuration(value: object, folder: str, environ: Mapping[str, str], overrides: Mapping[str, str],
                        report: Report, params: Optional[Mapping[str, str]] = None,
                        inherited_params: Optional[Mapping[str, str]] = None,
                        family: "Optional[Family]" = None, is_kept: bool = False) -> "Optional[Expansion]":
    """Report everything that is wrong with a configuration; the jobs that are made of it, where any are made.

    :param value: what the file holds
    :param folder: the file's own folder, absolute
    :param environ: the caller's environment
    :param overrides: variables given with ``--env``
    :param params: values given with ``--param``
    :param inherited_params: values that were given to the run that is resumed
    :param family: the files that belong together, where jobs run other configurations
    :param is_kept: the history kept it, with the items as they were
    """
    if not isinstance(value, dict):
        report.error((), "E103", "must be an object, got %s" % kind_of(value))
        return None
    check_keys(value, FILE.by_name, (), report, _of_a_job)
    top: _Raw = {}
    for name, item in value.items():
        key = FILE.by_name.get(name)
        if key is not None and name != "jobs":
            _keep(top, name, item, key.kind, (name,), report)
    defaults = top.get("defaults", {})
    assert isinstance(defaults, dict)
    jobs = value.get("jobs")
    checked = Jobs([], set(defaults), False)
    if "jobs" not in value:
        report.error((), "E107", 'the key "jobs" is required')
    elif not isinstance(jobs, list):
        report.error(("jobs",), "E103", "must be a list of jobs, got %s" % shown(jobs))
    elif not jobs:
        report.error(("jobs",), "E105", "must have at least one job")
    elif len(jobs) > MAX_JOBS:
        report.error(("jobs",), "E105", "must have at most %d jobs, got %d" % (MAX_JOBS, len(jobs)))
    else:
        checked = check_jobs(jobs, defaults, report)
        checked.may_refer = has_references(top, checked.usable, defaults, checked.names, "${")
    if "parameters" in top or "parameters" not in value and (params or _refers_to_parameters(top, checked, defaults)):
        from config.parameters import Parameters
        parameters = Parameters(top.get("parameters"), params or {}, inherited_params or {}, report,
                                ("for_each",) if is_kept else (), list(map(str, _list_of(top, "secrets"))))
        parameters.check_references(top)
        parameters.check_references(checked.usable, ("jobs",))
        top = parameters.put_in_object(top)
        checked = Jobs([parameters.put_in_object(job) for job in checked.usable], checked.names, checked.has_conditions)
        defaults = parameters.put_in_object(defaults)
        overrides = dict(overrides, **parameters.variables())
    expansion = _expanded(top, checked, defaults, folder, environ, overrides, report, family is not None)
    if expansion is not None:
        checked = Jobs(expansion.jobs, checked.names, checked.has_conditions)
        places = expansion.places(report)
        if family is not None:
            from config import inner
            inner.check_keys_beside(jobs if isinstance(jobs, list) else [], report)
            inner.check(expansion, defaults, folder, environ, inner.Given(params or {}, inherited_params or {}), places,
                        family, check_configuration)
            checked.told = expansion.told
        report = places
    rules.check(top, checked.usable, defaults, checked.names, checked.has_conditions, report)
    if checked.may_refer and has_references(top, checked.usable, defaults, checked.names, "${jobs."):
        from config import references
        references.check(top, checked.usable, defaults, checked.told, report)
    from config import surroundings
    surroundings.check(top, checked.usable, defaults, checked.names, folder, environ, overrides, report)
    return expansion


def _expanded(top: _Raw, checked: Jobs, defaults: _Raw, folder: str, environ: Mapping[str, str],
              overrides: Mapping[str, str], report: Report, is_needed: bool) -> "Optional[Expansion]":
    """The jobs with one for each item, where there are items; what is wrong with items is reported.

    :param is_needed: make them in any case
    """
    refers = checked.may_refer and has_references(top, checked.usable, defaults, checked.names, "${item")
    if not refers and "for_each" not in checked.names and not is_needed:
        return None
    from config import expansion
    expansion.warn_of_items(checked.usable, defaults, environ, report)
    if "for_each" not in checked.names and not is_needed:
        return None
    globbing: "List[Globbing]" = []

    def match(job: Mapping[str, object], path: Path, patterns: List[str]) -> Optional[List[str]]:
        if not globbing:
            from config.globbing import Globbing
            globbing.append(Globbing(top, defaults, folder, environ, overrides, report))
        return globbing[0].match(job, path, patterns)

    found = expansion.expand(checked.usable, defaults, report, match)
    found.top, found.overrides = top, overrides
    return found


def _list_of(top: _Raw, name: str) -> List[object]:
    value = top.get(name)
    return value if isinstance(value, list) else []


def _refers_to_parameters(top: _Raw, checked: Jobs, defaults: _Raw) -> bool:
    """Whether a file without parameters refers to one."""
    if checked.may_refer and has_references(top, checked.usable, defaults, checked.names, "${params."):
        return True
    return "run_if" in checked.names and any("'param': " in repr(effective(job, defaults, "run_if"))
                                             for job in checked.usable)


def check_jobs(jobs: List[object], defaults: _Raw, report: Report, quick: bool = True) -> Jobs:
    """Report what is wrong with the jobs and their graph; the jobs without what is wrong.

    :param quick: False goes through each job whether or not a quick look finds anything
    """
    found = _if_clean(jobs, defaults) if quick else None
    if found is None:
        usable = [check_job(job, ("jobs", index), defaults, report) for index, job in enumerate(jobs)]
        found = Jobs(usable, set(defaults).union(*usable), True)
        rules.check_graph(usable, defaults, report)
    return found


def _of_a_job(name: str) -> str:
    """The hint for a key of jobs that stands at the top."""
    if name in DEFAULT_OF_JOB_KEY:
        return 'it is a key of a job; for all jobs there is "%s"' % DEFAULT_OF_JOB_KEY[name]
    if name in DEFAULTS.by_name:
        return 'it is a key of a job; for all jobs it stands in "defaults"'
    return "it is a key of a job" if name in JOB.by_name else ""


def _of_the_file(name: str) -> str:
    """The hint for a key of the file that stands in a job."""
    of_a_job = [key for key, default in DEFAULT_OF_JOB_KEY.items() if default == name]
    if of_a_job:
        return "did you mean %s?" % quoted(of_a_job[0])
    return "it is a key of the file, beside jobs" if name in FILE.by_name else ""


def check_job(job: object, path: Path, defaults: Mapping[str, object], report: Report) -> _Raw:
    """Report what is wrong with one job by itself; the job without what is wrong."""
    good: _Raw = {}
    if not isinstance(job, dict):
        report.error(path, "E103", "must be an object, got %s" % shown(job))
        return good
    check_keys(job, JOB.by_name, path, report, _of_the_file)
    for name, item in job.items():
        key = JOB.by_name.get(name)
        if key is not None:
            _keep(good, name, item, key.kind, path + (name,), report)
    for key in JOB:
        if key.required and key.name not in job and key.name not in defaults and not (
                key.name == "command" and "config" in job):
            report.error(path, "E107", 'the key "%s" is required' % key.name)
    return good


def _keep(good: _Raw, name: str, item: object, kind: Kind, path: Path, report: Report) -> None:
    """Check one value; put it, or what is right of it, among the good ones."""
    before = report.error_count
    kind.check(item, path, report)
    if report.error_count == before:
        good[name] = item
    elif isinstance(item, list) and name == "dependencies":
        # The others are still looked at, so that all is told in one pass; None keeps their numbers.
        good[name] = [one if _is_dependency(one) else None for one in item]
    elif isinstance(item, list) and isinstance(kind, Checks):
        good[name] = [one if isinstance(one, dict) else None for one in item]
    elif isinstance(item, dict) and name == "defaults":
        good[name] = {one: value for one, value in item.items()
                      if one in DEFAULTS.by_name and DEFAULTS.by_name[one].kind.is_clean(value)}
    elif isinstance(item, dict) and isinstance(kind, Variables):
        good[name] = {one: value for one, value in item.items() if kind.is_clean({one: value})}


def _is_dependency(item: object) -> bool:
    if isinstance(item, dict):
        return all(key.kind.is_clean(item[key.name]) if key.name in item else not key.required for key in DEPENDENCY)
    return isinstance(item, str)


def _if_clean(jobs: List[object], defaults: Mapping[str, object]) -> Optional[Jobs]:
    """The jobs, where nothing is wrong with any of them and with their graph; else None."""
    if set(map(type, jobs)) != {dict}:
        return None
    raw: List[_Raw] = jobs  # type: ignore[assignment]
    names: Set[str] = set().union(*raw)
    known = JOB.by_name
    columns = names.difference(("id", "dependencies"))
    try:
        ids = [job["id"] for job in raw]
        if "command" not in defaults:
            columns.discard("command")
            if not _is_clean_column(known["command"].kind, [job["command"] for job in raw]):
                return None
    except KeyError:
        return None
    if not _are_clean_ids(ids):
        return None
    for name in columns:
        if name in known:
            if not _is_clean_column(known[name].kind, [job[name] for job in raw if name in job]):
                return None
        elif not is_comment(name):
            return None
    names.update(defaults)
    has_conditions = False
    if "dependencies" in names:
        inherited = defaults.get("dependencies", [])
        clean, has_conditions = _look_at_graph(ids, [job.get("dependencies", inherited) for job in raw])
        if not clean:
            return None
    return Jobs(raw, names, has_conditions)


def _are_clean_ids(ids: List[object]) -> bool:
    if set(map(type, ids)) != {str}:
        return False
    words: List[str] = ids  # type: ignore[assignment]
    distinct = set(words)
    return (len(distinct) == len(words) and "." not in distinct and ".." not in distinct
            and min(map(len, words)) > 0 and max(map(len, words)) <= 128
            and not "".join(words).encode("utf-8", "surrogatepass").translate(None, _ID_BYTES))


def _is_clean_column(kind: Kind, values: List[object]) -> bool:
    types = set(map(type, values))
    # 1, 1.0 and true are equal, and must not hide behind each other.
    if len(types) == 1 and types <= {str, int, float, bool}:
        return all(map(kind.is_clean, set(values)))
    return all(map(kind.is_clean, values))


def _look_at_graph(ids: List[object], dependencies: List[object]) -> Tuple[bool, bool]:
    """Whether all dependencies exist, none is named twice, and there is no cycle; and whether any is an object."""
    if set(map(type, dependencies)) != {list}:
        return False, False
    lists: List[List[object]] = dependencies  # type: ignore[assignment]
    try:
        return _is_acyclic(ids, lists), False
    except TypeError:
        pass  # some are objects, which no dictionary takes as a key
    kind = JOB.by_name["dependencies"].kind
    if not all(map(kind.is_clean, lists)):
        return False, True
    plain = [[item["job"] if isinstance(item, dict) else item for item in items] for items in lists]
    return _is_acyclic(ids, plain), True


def _is_acyclic(ids: List[object], lists: List[List[object]]) -> bool:
    """A walk in depth; it ends early where it finds a name that no job has, a name twice in a list, or a cycle."""
    if sum(map(len, map(_distinct, lists))) != sum(map(len, lists)):
        return False
    if _stand_in_order(ids, lists):
        return True
    # A job leaves ``waiting`` when it is entered: to meet it again before it is done means a cycle.
    waiting = dict(zip(ids, lists))
    done: Set[object] = set()
    path: List[object] = []
    steps: List[Iterator[object]] = []
    try:
        while waiting:
            node, needed = waiting.popitem()
            step = iter(needed)
            while True:
                for other in step:
                    if other not in done:
                        path.append(node)
                        steps.append(step)
                        step = iter(waiting.pop(other))
                        node = other
                        break
                else:
                    done.add(node)
                    if not path:
                        break
                    node = path.pop()
                    step = steps.pop()
    except KeyError:
        return False
    return True


def _stand_in_order(ids: List[object], lists: List[List[object]]) -> bool:
    """Whether each job stands behind all that it waits for, as in most files: then there is no cycle."""
    before: Set[object] = set()
    for job_id, needed in zip(ids, lists):
        if needed and not before.issuperset(needed):
            return False
        before.add(job_id)
    return True

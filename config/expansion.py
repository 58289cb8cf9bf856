"""From jobs with ``for_each`` to one job for each item: a step between validation and building. Pure.

What is made are raw jobs as a file could hold them, so the rules and the builder know nothing of items; only what
``${item}`` stands for goes beside (``MadeJob.variables``). What a ``glob`` finds is asked for once and takes its place
in the configuration that the history keeps: a resume runs what was planned.
"""
import re
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from config.items import MAX_ITEMS, Item, count_of, glob_patterns, items_of, label_of, labels_of, values_of
from config.kinds import is_comment
from config.made_jobs import MadeJob
from config.placing import Placing
from config.problems import Path, Report, quoted
from config.references import has_reference
from config.effective import dependency_of, effective, place
from config.schema import MAX_JOBS
from config.texts import texts
from jobs.group_ids import groups_of, members_by_group
from jobs.placeholders import expand_values

__all__ = ["Expansion", "Matcher", "OriginalPlaces", "expand", "warn_of_items"]

_Raw = Dict[str, object]
#: Finds what the patterns of a ``glob`` match, for the job at a place of the file; None where that was an error.
Matcher = Callable[[Mapping[str, object], Path, List[str]], Optional[List[str]]]

#: How the variables begin that hold the values of an item.
PREFIX = "EXECUTIONER_ITEM"
#: How many problems of the same kind are told of one place, where each item has one.
TOLD_MOST = 3
_REFERENCE = re.compile(r"\$\{item(\.[^{}$]*)?\}")
#: The item in the brackets of another id: there its label stands.
_IN_ID = re.compile(r"\[\$\{(item(?:\.[A-Za-z_][A-Za-z0-9_]*)?)\}\]")
_IN_OUTPUT = re.compile(r"(\$\{jobs\.[^{}$]*)\[\$\{(item(?:\.[A-Za-z_][A-Za-z0-9_]*)?)\}\]")
_AS_SHELL_VARIABLE = re.compile(r"(?<![A-Za-z0-9_{])item(?![A-Za-z0-9_])")
#: Keys of a job in which the item has no place.
_NO_PLACE = ("id", "for_each", "tags", "pool", "outputs")


class Expansion:
    """The jobs that were made of those of a file."""

    def __init__(self) -> None:
        self.jobs: List[_Raw] = []
        #: For each of them: the place of the job of the file that it was made of.
        self.origins: List[int] = []
        #: The items of the jobs of the file, by place.
        self.items: Dict[int, List[Item]] = {}
        #: The keys of the file with parameters in their places, and the variables that lie over all others.
        self.top: Mapping[str, object] = {}
        self.overrides: Mapping[str, str] = {}
        #: What the configurations hold that jobs run, by the place of the job among ``jobs``; and how many jobs in all.
        self.inner: "Dict[int, Expansion]" = {}
        self.count = 0
        #: What inner jobs tell others, by their ids.
        self.told: Dict[str, List[str]] = {}
        #: Of an inner configuration: its file, absolute; what that holds; the environment that its jobs inherit.
        self.file = ""
        self.value: object = None
        self.environ: Mapping[str, str] = {}

    def add(self, job: _Raw, origin: int) -> None:
        """One more job."""
        self.jobs.append(job)
        self.origins.append(origin)

    def kept_jobs(self, top: Mapping[str, object]) -> Optional[List[object]]:
        """The jobs of the file as the history keeps them, None where that is as they are: a ``for_each`` whose items
        its own words do not say (a pattern, a parameter) becomes the list of them.

        :param top: what the file holds
        """
        jobs, defaults = top.get("jobs"), top.get("defaults", {})
        assert isinstance(jobs, list) and isinstance(defaults, dict)
        kept: List[object] = []
        for index, job in enumerate(jobs):
            words = repr(effective(job, defaults, "for_each")) if index in self.items else ""
            kept.append(dict(job, for_each=self.items[index]) if "'glob': " in words or "${" in words else job)
        return kept if any(one is not job for one, job in zip(kept, jobs)) else None

    def places(self, report: Report) -> "OriginalPlaces":
        """The report for what is wrong with these jobs."""
        return OriginalPlaces(report, self.origins)


class OriginalPlaces(Report):
    """Tells what is wrong with made jobs at the places of those that they were made of, a few times each."""

    def __init__(self, report: Report, origins: Sequence[int]) -> None:
        super().__init__()
        self.suggestions = report.suggestions
        self.strict = report.strict
        self._report = report
        self._origins = origins
        self._told: Dict[Tuple[Path, str], Set[str]] = {}

    def error(self, path: Path, code: str, message: str, hint: str = "", at_key: bool = False,
              place: Optional[Path] = None) -> None:
        """Note an error at its original place."""
        self.error_count += 1
        if self._is_new(self._original(path), code, message):
            self._report.error(self._original(path), code, message, hint, at_key,
                               None if place is None else self._original(place))

    def warning(self, path: Path, code: str, message: str, hint: str = "", at_key: bool = False) -> None:
        """Note a warning at its original place."""
        if self._is_new(self._original(path), code, message):
            self._report.warning(self._original(path), code, message, hint, at_key)

    def _original(self, path: Path) -> Path:
        if path[:1] == ("jobs",) and len(path) > 1 and isinstance(path[1], int):
            return path[:1] + (self._origins[path[1]],) + path[2:]
        return path

    def _is_new(self, path: Path, code: str, message: str) -> bool:
        if path[:1] != ("jobs",):
            return True
        told = self._told.setdefault((path, code), set())
        if message in told or len(told) > TOLD_MOST:
            return False
        told.add(message)
        if len(told) > TOLD_MOST:
            self._report.warning(path, "W110", "the same of more items")
            return False
        return True


def expand(jobs: Sequence[_Raw], defaults: Mapping[str, object], report: Report, match: Matcher) -> Expansion:
    """Make the jobs of all items.

    :param jobs: the jobs of the file, without what is wrong with them
    :param match: finds what a ``glob`` matches
    """
    expansion = Expansion()
    for index, job in enumerate(jobs):
        source = effective(job, defaults, "for_each")
        items = None if source is None else _items(job, ("jobs", index), source, defaults, report, match)
        if items is None:
            expansion.add(job, index)
            continue
        _check_references(job, ("jobs", index), defaults, items, report)
        if len(expansion.jobs) + len(items) > MAX_JOBS:
            report.error(("jobs", index), "E152", "with its %d items there are more than %d jobs in all"
                         % (len(items), MAX_JOBS))
            return expansion
        expansion.items[index] = items
        for made in _made(job, defaults, items):
            expansion.add(made, index)
    _resolve_dependencies(expansion, defaults, report)
    expansion.count = len(expansion.jobs)
    return expansion


def _items(job: _Raw, path: Path, source: object, defaults: Mapping[str, object], report: Report,
           match: Matcher) -> Optional[List[Item]]:
    """The items of a job; None where they could not be found."""
    where = place(job, "for_each", path)

    def without_glob(value: object, at: Path) -> object:
        patterns = glob_patterns(value)
        if patterns is None:
            return value
        found = match(job, at + ("glob",), patterns)
        if found is None:
            raise _NotFound
        if not found:
            report.warning(at + ("glob",), "W108", "nothing matches %s, so the job would be SKIPPED"
                           % ", ".join(map(quoted, patterns)))
        return found

    try:
        source = without_glob(source, where)
        if isinstance(source, dict) and any(glob_patterns(axis) is not None for axis in source.values()):
            source = {name: without_glob(value, where + (name,)) for name, value in source.items()
                      if not is_comment(name)}
    except _NotFound:
        return None
    count = count_of(source)
    if not count and source is effective(job, defaults, "for_each"):
        report.warning(where, "W108", "there is no item, so the job would be SKIPPED")
    if count > MAX_ITEMS:
        report.error(where, "E152", "makes %d jobs, %d are allowed" % (count, MAX_ITEMS))
        return None
    items = items_of(source)
    for item in items:
        for text in values_of(item).values():
            if has_reference(text):
                report.error(where, "E152", "an item cannot be what a job tells, which is known only later: %s"
                             % quoted(text))
                return None
    return items


class _NotFound(Exception):
    """A glob could not be looked at, and that was told."""


def _made(job: _Raw, defaults: Mapping[str, object], items: List[Item]) -> Iterator[MadeJob]:
    """The jobs for the items; one that has nothing to do, where there are none."""
    inherited = {name: value for name, value in defaults.items() if name not in job}
    with_item = {name: value for name, value in list(inherited.items()) + list(job.items())
                 if name not in _NO_PLACE and "${item" in repr(value)}
    without = {name: value for name, value in job.items() if name not in with_item and name != "for_each"}
    if not items:
        nothing = MadeJob(without)
        nothing.setdefault("command", with_item.get("command", "true"))
        nothing.nothing_to_do = "for_each has no items"
        if "dependencies" in with_item:
            dependencies = with_item["dependencies"]
            assert isinstance(dependencies, list)
            nothing["dependencies"] = [one for one in dependencies if "${item" not in repr(one)]
        yield nothing
        return
    for item, label in zip(items, labels_of(items)):
        made = MadeJob(without)
        made["id"] = "%s[%s]" % (job.get("id"), label)
        values = values_of(item)
        made.variables = {_variable(name): text for name, text in values.items()}
        placing = Placing(values.get, _variable)

        def with_label(text: str, values: Mapping[str, str] = values, label: str = label) -> str:
            return _with_label(text, values, label)

        for name, value in with_item.items():
            value = expand_values(value, with_label)
            made[name] = _dependencies(value, values, label) if name == "dependencies" else placing.put_in(value, name)
        yield made


def _variable(name: str) -> str:
    return PREFIX + name[len("item"):].replace(".", "_")


def _label(name: str, values: Mapping[str, str], own: str) -> str:
    return own if name == "item" else label_of(values.get(name, ""))


def _with_label(text: str, values: Mapping[str, str], label: str) -> str:
    """The text with labels in the brackets of references to outputs."""
    while "[${item" in text and _IN_OUTPUT.search(text):
        text = _IN_OUTPUT.sub(lambda found: "%s[%s]" % (found.group(1), _label(found.group(2), values, label)), text)
    return text


def _dependencies(value: object, values: Mapping[str, str], label: str) -> object:
    """Dependencies with labels in their brackets."""
    def one(text: str) -> str:
        return _IN_ID.sub(lambda found: "[%s]" % _label(found.group(1), values, label), text)

    assert isinstance(value, list)
    return [one(item) if isinstance(item, str) else dict(item, job=one(str(item.get("job"))))
            if isinstance(item, dict) else item for item in value]


# What is said about items

def _check_references(job: _Raw, path: Path, defaults: Mapping[str, object], items: List[Item],
                      report: Report) -> None:
    """Report references to values that not every item has, and those in places where none is put in."""
    names: Optional[Set[str]] = None
    if items and isinstance(items[0], dict):
        names = set(items[0])
        for item in items:
            names.intersection_update(item)
    for key in set(job).union(defaults):
        if is_comment(key) or key == "for_each":
            continue
        for where, text in texts(effective(job, defaults, key), place(job, key, path), "${item"):
            if key in _NO_PLACE:
                report.error(where, "E153", "the item has no place here",
                             "it can stand in commands, variables, paths, checks, run_if and dependencies")
            elif items:
                _check_text(text, where, names, key == "dependencies", report)


def _check_text(text: str, where: Path, names: Optional[Set[str]], is_id: bool, report: Report) -> None:
    plain = _IN_OUTPUT.sub("", text)
    rest = _IN_ID.sub("", plain) if is_id else plain
    if is_id and "${item" in rest:
        report.error(where, "E153", "here the item can stand in brackets only: id[${item}]")
    for found in _REFERENCE.finditer(text):
        name = (found.group(1) or "")[1:]
        if not found.group(1):
            if names is not None and _REFERENCE.search(rest) and "${item}" in rest:
                report.error(where, "E153", "the items have several values", "write ${item.NAME}, with one of: %s"
                             % ", ".join(sorted(names)))
        elif names is None:
            report.error(where, "E153", "the items have no values with names", "write ${item}")
        elif name not in names:
            report.error(where, "E153", "not every item has a value %s" % quoted(name),
                         report.suggestions.hint(name, sorted(names)) or "all have: %s" % ", ".join(sorted(names)))


def warn_of_items(jobs: Sequence[_Raw], defaults: Mapping[str, object], environ: Mapping[str, str],
                  report: Report) -> None:
    """Warn of ``${item}`` in jobs that have no items, unless it is a variable that the command itself sets."""
    if "item" in environ:
        return
    for index, job in enumerate(jobs):
        if effective(job, defaults, "for_each") is None:
            for where, text in texts(effective(job, defaults, "command"), ("jobs", index, "command"), "${item"):
                if _REFERENCE.search(text) and not _AS_SHELL_VARIABLE.search(_REFERENCE.sub("", text)):
                    report.warning(where if "command" in job else ("defaults",) + where[2:], "W109",
                                   "the job has no for_each, so ${item} stands for nothing")


# Who waits for whom

def _resolve_dependencies(expansion: Expansion, defaults: Mapping[str, object], report: Report) -> None:
    """Give dependencies on one item its right id; report those on items that there are not."""
    ids = [str(job.get("id")) for job in expansion.jobs]
    known = set(ids)
    groups = members_by_group(ids)
    here = OriginalPlaces(report, expansion.origins)
    answers: Dict[str, str] = {}

    def resolved(other: str, path: Path) -> str:
        if other in known or other in groups or "[" not in other:
            return other
        if other not in answers:
            head = next((group for group in groups_of(other) if other[len(group)] == "/"), other)
            base, _, text = head.partition("[")
            answers[other] = head if head in known else "%s[%s]" % (base, label_of(text[:-1]))
            if answers[other] in known:
                answers[other] += other[len(head):]
                known.add(answers[other])
        if answers[other] not in known:
            members = groups.get(other.partition("[")[0], [])
            here.error(path, "E121", "no job has the id %s" % quoted(other),
                       report.suggestions.hint(other, members) if len(members) < 1000 else "")
        return answers[other]

    for position, job in enumerate(expansion.jobs):
        items = effective(job, defaults, "dependencies")
        if not isinstance(items, list) or "[" not in repr(items)[1:]:
            continue
        good: List[object] = []
        seen: Set[Tuple[str, str]] = set()
        for number, item in enumerate(items):
            found = dependency_of(item)
            if found is not None:
                other = resolved(found[0], place(job, "dependencies", ("jobs", position)) + (number,))
                if (other, found[1]) not in seen:
                    seen.add((other, found[1]))
                    good.append(other if isinstance(item, str) else {"job": other, "when": found[1]})
        if good != items:
            if not isinstance(job, MadeJob):
                job = MadeJob(job)
                expansion.jobs[position] = job
            job["dependencies"] = good

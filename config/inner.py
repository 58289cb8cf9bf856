"""``config`` of a job: another configuration is run as one job, and its jobs stand in this run as ``outer/inner``.

It is as if the outer job called the command with that file: the inner jobs have the environment that a job of the
outer file would have, and over it what their own file says; paths are relative to their own file. What a run has only
once (how many jobs run at once, where results go, who hears of it) the file says that is run, and no inner one.
"""
import os
import re
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from config.environment import Environment, expand, expand_home
from config.expansion import Expansion
from config.job_environment import job_variables
from config.kinds import is_comment
from config.loader import Document, load
from config.made_jobs import MadeJob, nothing_to_do
from config.positions import placed
from config.problems import Path, Problem, Report, quoted
from config.effective import dependencies_of, effective, place
from config.schema import FILE, MAX_JOBS
from config.folders import working_dir_of
from jobs.group_ids import groups_of, members_by_group
from jobs.placeholders import expand_values

__all__ = ["CONTENTS", "Family", "Given", "KeptContent", "Look", "check", "check_keys_beside", "flattened",
           "kept_contents", "kept_entries"]

_Raw = Dict[str, object]
#: ``config.validator.check_configuration``, which asks here what inner files hold.
Look = Callable[[object, str, Mapping[str, str], Mapping[str, str], Report, Optional[Mapping[str, str]],
                 Optional[Mapping[str, str]], "Optional[Family]", bool], Optional[Expansion]]

#: The key of a kept configuration under which the inner ones stand; in a file it would be a comment.
CONTENTS = "_configurations"
#: How deeply files may run each other.
MAX_DEPTH = 8
#: Longest id of an inner job, in characters.
MAX_ID = 400
#: Keys that may stand beside ``config``.
_BESIDE = ("id", "config", "description", "dependencies", "join", "for_each", "env_variables", "env_file", "tags")
#: Keys of a file that hold for its own jobs, or say nothing about the run.
_OF_THE_JOBS = frozenset((
    "working_dir", "env_variables", "inherit_shell_env", "defaults", "parameters", "allow_shell", "pools", "jobs",
    "secrets", "application_name", "name", "$schema", "security_policy", "security_level", "command_whitelist",
    "command_allowlist_patterns", "workspace_paths", "dependency_plugins"))
#: Keys that hold for inner files as well where the outer file blocks commands.
_POLICY = ("security_policy", "security_level", "command_whitelist", "command_allowlist_patterns", "workspace_paths")
#: Keys that a file may have to be run by itself as well, and that the file decides that is run.
_OF_THE_RUN = ("parallel", "max_workers", "continue_on_error")
_OUTPUT = re.compile(r"\$\{jobs\.([^{}$]+)\.outputs\.")


class KeptContent(NamedTuple):
    """An inner configuration as the history kept it."""

    file: str
    value: object


class Given(NamedTuple):
    """What ``--param`` says, and what it said of the run that is resumed."""

    params: Mapping[str, str]
    inherited: Mapping[str, str]


class Family:
    """The files of one run: the one that is run, and those that its jobs run.

    :param file: the file, as the user names it
    :param insecure: as for ``config.loader.load``
    :param kept: inner configurations by the ids of the jobs that run them; they are taken instead of files
    """

    def __init__(self, file: str, insecure: Optional[bool] = False,
                 kept: Optional[Mapping[str, KeptContent]] = None) -> None:
        self.file = file
        #: What is wrong with inner files, placed.
        self.problems: List[Problem] = []
        #: Files from the one that is run to the one that is looked at, and the beginning of its jobs' ids.
        self.above: Tuple[str, ...] = (os.path.realpath(file),)
        self.prefix = ""
        self._insecure = insecure
        self._kept = kept
        self._read: Dict[str, Document] = {}
        self._said: Set[str] = set()

    @property
    def is_kept(self) -> bool:
        """Whether the history kept them."""
        return self._kept is not None

    def below(self, file: str, path: str, prefix: str) -> "Family":
        """The same family, seen from an inner file."""
        family = Family.__new__(Family)
        family.__dict__.update(self.__dict__)
        family.file, family.above, family.prefix = file, self.above + (os.path.realpath(path),), prefix
        return family

    def kept_file(self, job_id: str) -> str:
        """The file that a kept job ran; "" where files are read."""
        return self._kept[job_id].file if self._kept is not None and job_id in self._kept else ""

    def read(self, job_id: str, path: str, shown: str) -> Document:
        """The configuration that a job runs."""
        if self._kept is not None and job_id in self._kept:
            document = Document(shown)
            document.value = self._kept[job_id].value
            document.looked = True
            return document
        if path not in self._read:
            self._read[path] = load(path, self._insecure)
            self._read[path].file = shown
            for problem in self._read[path].problems:
                problem.file = shown
        return self._read[path]

    def tell(self, problems: Sequence[Problem]) -> None:
        """Note what is wrong with an inner file, each once."""
        for problem in problems:
            if str(problem) not in self._said:
                self._said.add(str(problem))
                self.problems.append(problem)


def check_keys_beside(jobs: Sequence[object], report: Report) -> None:
    """Report what a job says that runs a configuration, and that only the jobs of that can say."""
    for index, job in enumerate(jobs):
        if isinstance(job, dict) and "config" in job:
            for name in job:
                if name not in _BESIDE and not is_comment(name):
                    report.error(("jobs", index, name), "E156", "does not go with config",
                                 "a job has either" if name == "command" else "the jobs of that file can say it",
                                 at_key=True)
            own = job.get("env_variables")
            for name, value in own.items() if isinstance(own, dict) else ():
                if isinstance(value, str) and "${jobs." in value:
                    report.error(("jobs", index, "env_variables", name), "E125",
                                 "what another job tells has no place here: it is not known yet when the file is read")


def check(expansion: Expansion, defaults: Mapping[str, object], folder: str, environ: Mapping[str, str],
          given: Given, report: Report, family: Family, look: Look) -> None:
    """Look at the configurations that jobs run; what is wrong with them is told by ``family``.

    :param expansion: the jobs of the outer file; gets what their inner files hold
    :param folder: the outer file's own folder
    :param environ: the caller's environment
    :param report: for what is wrong with the outer file, at the places of the made jobs
    :param look: the check of a whole file, which all this is a part of
    """
    environment = Environment.of_file(expansion.top, environ, expansion.overrides)
    working_dir = working_dir_of(expansion.top, folder, environment.variables)
    count = len(expansion.jobs)
    for position, job in enumerate(expansion.jobs):
        text = job.get("config")
        if not isinstance(text, str) or nothing_to_do(job):
            continue
        where: Path = ("jobs", position, "config")
        variables = dict(environment.variables)
        variables.update(job_variables(environment, job, defaults, working_dir)[0])
        job_id = family.prefix + str(job.get("id"))
        text = expand_home(expand(text, variables)[0], variables)
        path = family.kept_file(job_id) or os.path.normpath(os.path.join(folder, text))
        if _is_too_deep(path, where, report, family):
            continue
        shown = text if os.path.isabs(text) else os.path.join(os.path.dirname(family.file), text)
        document = family.read(job_id, path, shown)
        if document.value is None and document.problems and document.problems[0].line == 0:
            report.error(where, "E157", "cannot run %s: %s" % (quoted(text, None), document.problems[0].message))
            continue
        found = _inner(document, path, variables, expansion, given, report.strict,
                       family.below(shown, path, job_id + "/"), look)
        if found is not None:
            expansion.inner[position] = found
            count += found.count
            _check_pools(expansion.top.get("pools"), found.top.get("pools"), where, report)
            _check_gate(job, defaults, found, where, report)
            _check_ids(job, found, where, report)
        if count > MAX_JOBS:
            report.error(where, "E105", "with the jobs of this file there are more than %d in all" % MAX_JOBS)
            return
    expansion.count = count
    _check_names(expansion, defaults, report)


def _is_too_deep(path: str, where: Path, report: Report, family: Family) -> bool:
    real = os.path.realpath(path)
    if real in family.above:
        circle = family.above[family.above.index(real):] + (real,)
        report.error(where, "E157", "files run each other in a circle: " + " -> ".join(map(os.path.basename, circle)))
    elif len(family.above) > MAX_DEPTH:
        report.error(where, "E157", "files run each other more than %d deep" % MAX_DEPTH)
    else:
        return False
    return True


def _inner(document: Document, path: str, environ: Mapping[str, str], outer: Expansion, given: Given, strict: bool,
           family: Family, look: Look) -> Optional[Expansion]:
    """What an inner file holds; None where that is no good."""
    report = Report()
    report.strict = strict
    value = document.value
    found: Optional[Expansion] = None
    if isinstance(value, dict):
        for name in value:
            if name in FILE.by_name and name not in _OF_THE_JOBS and not name.startswith("default_"):
                if name in _OF_THE_RUN:
                    report.warning((name,), "W107", "has no effect in a file that a job of another one runs",
                                   at_key=True)
                else:
                    report.error((name,), "E156", "belongs to a run, and a job of another file runs this one",
                                 "take it out, or say it in the file that is run", at_key=True)
        # What the file forbids that is run, no inner one allows.
        value = dict(value)
        if outer.top.get("allow_shell") is False:
            value["allow_shell"] = False
        if outer.top.get("security_policy") in ("block", "strict"):
            for name in _POLICY:
                value.pop(name, None)
                if name in outer.top:
                    value[name] = outer.top[name]
        secrets = outer.top.get("secrets")
        if isinstance(secrets, list) and isinstance(value.get("secrets", []), list):
            value["secrets"] = secrets + value.get("secrets", [])
    if value is not None:
        declared = value.get("parameters") if isinstance(value, dict) else None
        names = set(declared) if isinstance(declared, dict) else set()
        own = {name: text for name, text in outer.overrides.items() if not name.startswith("EXECUTIONER_PARAM_")}
        found = look(
            value, os.path.dirname(path), environ, own, report,
            {name: text for name, text in given.params.items() if name in names},
            {name: text for name, text in given.inherited.items() if name in names}, family, family.is_kept)
    family.tell(sorted(placed(document, report.findings) + document.problems,
                       key=lambda problem: (problem.line, problem.column, problem.code, problem.path)))
    if found is None or report.error_count or any(problem.is_error for problem in document.problems):
        return None
    found.file, found.value, found.environ = path, document.value, dict(environ)
    return found


def _check_pools(pools: object, inner: object, where: Path, report: Report) -> None:
    if isinstance(pools, dict) and isinstance(inner, dict):
        for name, slots in inner.items():
            if not is_comment(name) and pools.get(name, slots) != slots:
                report.error(where, "E126", "the pool %s has %s slots there and %s here" % (
                    quoted(name), slots, pools[name]))


def _check_gate(job: _Raw, defaults: Mapping[str, object], inner: Expansion, where: Path, report: Report) -> None:
    """Report jobs that would start although what the whole configuration waits for was not met."""
    if not effective(job, defaults, "dependencies"):
        return
    outer_join = effective(job, defaults, "join") not in (None, "all")
    for one in flattened(inner):
        own_join = effective(one, {}, "join") not in (None, "all")
        if _waits_for_done(one) and (outer_join or own_join):
            report.error(where, "E156", 'the job %s of the file asks for "done", which does not go with join, since '
                         "this job waits for others" % quoted(str(one["id"])))


def _check_ids(job: _Raw, inner: Expansion, where: Path, report: Report) -> None:
    for one in flattened(inner):
        job_id = "%s/%s" % (job.get("id"), one["id"])
        if len(job_id) > MAX_ID:
            report.error(where, "E156", "the id %s is longer than %d characters" % (quoted(job_id), MAX_ID))
            return


def _waits_for_done(job: Mapping[str, object]) -> bool:
    return any(when == "done" for _, _, when in dependencies_of(job, {}))


def _check_names(expansion: Expansion, defaults: Mapping[str, object], report: Report) -> None:
    """Report dependencies on inner jobs that there are not; note what inner jobs tell others."""
    known: Set[str] = set()
    for position, inner in expansion.inner.items():
        for one in flattened(inner, "%s/" % expansion.jobs[position].get("id")):
            known.add(str(one["id"]))
            outputs = one.get("outputs")
            expansion.told[str(one["id"])] = [str(name) for name in outputs] if isinstance(outputs, list) else []
    if len(expansion.inner) < sum(1 for job in expansion.jobs if "config" in job and not nothing_to_do(job)):
        return  # not all of them are known
    groups = members_by_group(known)
    for position, job in enumerate(expansion.jobs):
        for number, other, _ in dependencies_of(job, defaults):
            if "/" in other and other not in known and other not in groups and any(
                    other[len(group)] == "/" for group in groups_of(other)):
                path = place(job, "dependencies", ("jobs", position)) + (number,)
                report.error(path, "E121", "no job has the id %s" % quoted(other),
                             report.suggestions.hint(other, sorted(known)) if len(known) < 1000 else "")


# One list of all jobs

def flattened(expansion: Expansion, prefix: str = "", outer: Optional[MadeJob] = None) -> Iterator[MadeJob]:
    """All jobs, inner ones in the places of those that run them, with their ids and dependencies in the whole run.

    :param prefix: the beginning of the ids of these jobs
    :param outer: the job that runs them, as it stands in the whole run
    """
    defaults = expansion.top.get("defaults", {})
    assert isinstance(defaults, dict)
    gate = outer.get("dependencies") if outer is not None else None
    gate = gate if isinstance(gate, list) else []
    for position, job in enumerate(expansion.jobs):
        made = _in_the_whole(job, defaults, prefix)
        made.home = expansion if outer is not None or prefix else None
        needed = made["dependencies"]
        assert isinstance(needed, list)
        own = [when for _, _, when in dependencies_of(made, {})]
        if outer is not None:
            made.cleanup = outer.cleanup or bool(own) and set(own) <= {"failure", "done"}
            made["tags"] = _tags(effective(job, defaults, "tags"), outer.get("tags"))
        elif position in expansion.inner:
            made.cleanup = bool(own) and set(own) <= {"failure", "done"}
        if not needed:
            made["dependencies"] = gate
            if gate and outer is not None:
                made["join"] = outer.get("join", "all")
        elif "done" in own:
            # Where the whole configuration is not to run, its first jobs are done without having been.
            made["dependencies"] = needed + gate
        inner = expansion.inner.get(position)
        if inner is None:
            yield made
        else:
            made["tags"] = _tags(effective(job, defaults, "tags"), made.get("tags"))
            yield from flattened(inner, "%s/" % made["id"], made)


def _tags(own: object, more: object) -> List[object]:
    tags = list(own) if isinstance(own, list) else []
    return tags + [tag for tag in (more if isinstance(more, list) else ()) if tag not in tags]


def _in_the_whole(job: _Raw, defaults: Mapping[str, object], prefix: str) -> MadeJob:
    """A copy of a job with the ids that it has, and refers to, in the whole run."""
    dependencies: List[object] = [{"job": prefix + other, "when": when}
                                  for _, other, when in dependencies_of(job, defaults)]
    made = (job if isinstance(job, MadeJob) else MadeJob(job)).renamed("%s%s" % (prefix, job.get("id")), dependencies)
    join = effective(job, defaults, "join")
    if join is not None:
        made["join"] = join
    if prefix:
        for name in set(made).union(defaults) - {"id", "dependencies", "for_each"}:
            value = effective(made, defaults, name)
            if "${jobs." in repr(value):
                made[name] = expand_values(value, lambda text: _OUTPUT.sub(
                    lambda found: "${jobs.%s%s.outputs." % (prefix, found.group(1)), text))
    return made


# In the history

def kept_entries(expansion: Expansion, prefix: str = "") -> List[_Raw]:
    """The inner configurations as the history keeps them, each with the jobs that run it."""
    entries: Dict[Tuple[str, int], _Raw] = {}
    below: List[_Raw] = []
    for position, inner in expansion.inner.items():
        job_id = "%s%s" % (prefix, expansion.jobs[position].get("id"))
        assert isinstance(inner.value, dict)
        jobs = inner.kept_jobs(inner.value)
        content = inner.value if jobs is None else dict(inner.value, jobs=jobs)
        entry = entries.setdefault((inner.file, id(content)), {"file": inner.file, "for": [], "content": content})
        users = entry["for"]
        assert isinstance(users, list)
        users.append(job_id)
        below += kept_entries(inner, job_id + "/")
    return list(entries.values()) + below


def kept_contents(top: Mapping[str, object]) -> Dict[str, KeptContent]:
    """The inner configurations of a kept one, by the ids of the jobs that run them."""
    found: Dict[str, KeptContent] = {}
    entries = top.get(CONTENTS)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("for"), list):
            for job_id in entry["for"]:
                found[str(job_id)] = KeptContent(str(entry.get("file")), entry.get("content"))
    return found

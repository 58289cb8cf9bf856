"""The rules that need more than one value: the graph, pools, limits that contradict each other.

All work on values whose kinds were found right (wrong ones are left out), so one mistake does not hide another.
"""
from typing import Dict, List, Mapping, Sequence, Set, Tuple

from config.effective import dependencies_of, effective, place
from config.kinds import Duration, is_comment
from config.problems import Path, Report, quoted, shown

__all__ = ["check", "check_exit_codes", "check_graph", "check_join", "check_own_dependencies", "check_products"]

_Raw = Dict[str, object]
_Jobs = Sequence[Mapping[str, object]]

#: Ids that a message about a cycle names.
_NAMED = 20
_SQLITE = "sqlite"


def check(top: _Raw, jobs: _Jobs, defaults: _Raw, names: Set[str], has_conditions: bool, report: Report) -> None:
    """Report what is wrong between the values of a whole file.

    :param top: the keys of the file
    :param jobs: the jobs, at their places in the file
    :param defaults: ``defaults`` of the file
    :param names: the keys that any of the jobs, or ``defaults``, has
    :param has_conditions: whether a dependency is more than an id
    """
    _check_top(top, report)
    if "join" in names:
        for index, job in enumerate(jobs):
            check_join(job, defaults, ("jobs", index), report)
    if "skip_exit_codes" in names:
        for index, job in enumerate(jobs):
            check_exit_codes(job, defaults, ("jobs", index), report)
    if "pool" in names or "pool_slots" in names:
        _check_pools(top.get("pools", {}), jobs, defaults, report)
    if "inputs" in names or "products" in names:
        for index, job in enumerate(jobs):
            check_products(job, defaults, ("jobs", index), report)
    if has_conditions:
        _check_never_run(jobs, defaults, report)
    if "run_timeout" in top:
        _check_timeouts(top, jobs, defaults, names, report)
    if top.get("allow_shell") is False:
        from config import shell_free
        shell_free.check(top, jobs, defaults, names, report)


# The graph

def check_graph(jobs: _Jobs, defaults: Mapping[str, object], report: Report) -> None:
    """Report ids and dependencies that stand twice or name nothing, and cycles."""
    places: Dict[str, int] = {}
    for index, job in enumerate(jobs):
        job_id = job.get("id")
        if isinstance(job_id, str):
            if job_id in places:
                report.error(("jobs", index, "id"), "E120", "the id %s is taken by jobs[%d] already" % (
                    quoted(job_id), places[job_id]))
            else:
                places[job_id] = index
    known = list(places)
    arrows: List[List[int]] = []
    for index, job in enumerate(jobs):
        needed: List[int] = []
        for number, other, _ in check_own_dependencies(job, defaults, ("jobs", index), report):
            plain = other if other in places else _makes_jobs(other, places, jobs, defaults)
            if plain:
                needed.append(places[plain])
            else:
                path = place(job, "dependencies", ("jobs", index)) + (number,)
                report.error(path, "E121", "no job has the id %s" % quoted(other),
                             report.suggestions.hint(other, known))
        arrows.append(needed)
    from config.cycles import find_cycles
    for cycle in find_cycles(arrows):
        ids = [str(jobs[position]["id"]) for position in cycle]
        if len(ids) > _NAMED:
            ids[_NAMED - 1:-1] = ["\u2026 (%d more)" % (len(ids) - _NAMED)]
        report.error(("jobs",), "E130", "dependency cycle: " + " -> ".join(ids + ids[:1]), place=("jobs", cycle[0]))


def _makes_jobs(made: str, places: Mapping[str, int], jobs: _Jobs, defaults: Mapping[str, object]) -> str:
    """The id of the job of the file of which one with such an id is made; "" where none is."""
    from jobs.group_ids import groups_of
    plain = (groups_of(made) or [""])[0]
    job = jobs[places[plain]] if plain in places else {}
    if made[len(plain):len(plain) + 1] == "/":
        return plain if "config" in job else ""
    return plain if effective(job, defaults, "for_each") is not None else ""


def check_own_dependencies(job: Mapping[str, object], defaults: Mapping[str, object], path: Path,
                           report: Report) -> List[Tuple[int, str, str]]:
    """Report a job that depends on itself or twice on another; the dependencies that are left."""
    good: List[Tuple[int, str, str]] = []
    seen: Dict[str, int] = {}
    for number, other, when in dependencies_of(job, defaults):
        here = place(job, "dependencies", path) + (number,)
        if other == job.get("id") or other.startswith((str(job.get("id")) + "[", str(job.get("id")) + "/")):
            report.error(here, "E122", "the job %s depends on itself" % quoted(str(job.get("id"))))
        elif other in seen:
            report.error(here, "E123", "the dependency %s stands twice in the list" % quoted(other))
        else:
            seen[other] = number
            good.append((number, other, when))
    return good


def check_join(job: Mapping[str, object], defaults: Mapping[str, object], path: Path, report: Report) -> None:
    """Report a job that waits for more dependencies than it has."""
    join = effective(job, defaults, "join")
    if isinstance(join, (int, float)):
        count = len({other for _, other, _ in dependencies_of(job, defaults)})
        if join > count:
            report.error(place(job, "join", path), "E124",
                         "must be at most the number of dependencies, got %s of %d" % (shown(join), count))


def check_exit_codes(job: Mapping[str, object], defaults: Mapping[str, object], path: Path, report: Report) -> None:
    """Report exit codes that are to mean two things."""
    skip, success = effective(job, defaults, "skip_exit_codes"), effective(job, defaults, "success_exit_codes")
    if isinstance(skip, list):
        for index, code in enumerate(skip):
            if code in (success if isinstance(success, list) else (0,)):
                report.error(place(job, "skip_exit_codes", path) + (index,), "E127",
                             "the exit code %s stands in success_exit_codes as well" % shown(code)
                             if isinstance(success, list) else "the exit code 0 means success",
                             "" if isinstance(success, list) else "success_exit_codes says otherwise where it has to")


def check_products(job: Mapping[str, object], defaults: Mapping[str, object], path: Path, report: Report) -> None:
    """Warn of inputs without products, and of products without inputs: such a job always runs."""
    inputs, products = effective(job, defaults, "inputs"), effective(job, defaults, "products")
    for name, value, other, missing in (("inputs", inputs, "products", products),
                                        ("products", products, "inputs", inputs)):
        if value and not missing:
            report.warning(place(job, name, path), "W107", "without %s the job is never up to date: it always runs"
                           % other, at_key=True)


def _check_pools(pools: object, jobs: _Jobs, defaults: Mapping[str, object], report: Report) -> None:
    """Report pools that there are not, and jobs that need more slots than there are."""
    assert isinstance(pools, dict)
    known = [name for name in pools if name[:1] != "_"]
    for index, job in enumerate(jobs):
        path: Path = ("jobs", index)
        name, slots = effective(job, defaults, "pool"), effective(job, defaults, "pool_slots")
        if not isinstance(name, str):
            if "pool_slots" in job:
                report.warning(path + ("pool_slots",), "W107", "has no effect without pool", at_key=True)
        elif name not in known:
            report.error(place(job, "pool", path), "E126", "there is no pool %s" % quoted(name),
                         report.suggestions.hint(name, known) or (
                             "there are: " + ", ".join(known[:_NAMED]) if known else
                             'the file says which there are: "pools": {%s: 1}' % quoted(name)))
        elif isinstance(slots, (int, float)) and isinstance(pools[name], (int, float)) and slots > pools[name]:
            report.error(place(job, "pool_slots", path), "E126", "must be at most %s, which is all that the pool %s "
                         "has, got %s" % (shown(pools[name]), quoted(name), shown(slots)))


def _check_never_run(jobs: _Jobs, defaults: Mapping[str, object], report: Report) -> None:
    """Warn of jobs that ask for the failure of one job and for the success of another that needs the first."""
    suspects = [(index, job) for index, job in enumerate(jobs)
                if any(when == "failure" for _, _, when in dependencies_of(job, defaults))]
    if not suspects:
        return
    by_id = {str(job.get("id")): job for job in jobs}
    for index, job in suspects[:1000]:
        if effective(job, defaults, "join") not in (None, "all"):
            continue
        wanted = list(dependencies_of(job, defaults))
        failing = {other for _, other, when in wanted if when == "failure"}
        needed = _needed_successes([other for _, other, when in wanted if when == "success"], by_id, defaults)
        for both in sorted(failing & needed):
            if effective(by_id.get(both, {}), defaults, "allow_failure") is not True:
                report.warning(place(job, "dependencies", ("jobs", index)), "W102",
                               "the job can never run: it waits for %s to fail, and for a job that needs %s to succeed"
                               % (quoted(both), quoted(both)))


def _needed_successes(starts: List[str], by_id: Mapping[str, Mapping[str, object]],
                      defaults: Mapping[str, object]) -> Set[str]:
    """Every job that must succeed before the given ones can."""
    needed = set()
    todo = list(starts)
    seen = set(starts)
    while todo:
        job = by_id.get(todo.pop())
        if job is None or effective(job, defaults, "join") not in (None, "all"):
            continue
        for _, other, when in dependencies_of(job, defaults):
            if when == "success":
                needed.add(other)
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
    return needed


# Limits

def _check_timeouts(top: _Raw, jobs: _Jobs, defaults: _Raw, names: Set[str], report: Report) -> None:
    whole = Duration.seconds(top["run_timeout"])
    if whole is None:
        return

    def compare(value: object, path: Path) -> None:
        seconds = Duration.seconds(value)
        if seconds is not None and whole is not None and seconds > whole:
            report.warning(path, "W103", "is longer than run_timeout (%s > %s)" % (
                shown(value), shown(top["run_timeout"])))

    if "default_timeout" in top:
        compare(top["default_timeout"], ("default_timeout",))
    for name in ("timeout", "total_timeout"):
        if name in names:
            if name in defaults:
                compare(defaults[name], ("defaults", name))
            for index, job in enumerate(jobs):
                if name in job:
                    compare(job[name], ("jobs", index, name))


# The keys of the file

def _check_top(top: _Raw, report: Report) -> None:
    if "name" in top and "application_name" in top and top["name"] != top["application_name"]:
        report.warning(("name",), "W107", "has no effect beside application_name")
    patterns = top.get("command_allowlist_patterns")
    if isinstance(patterns, list):
        _check_patterns(patterns, report)
    _check_database(top.get("database"), report)


def _check_patterns(patterns: List[object], report: Report) -> None:
    import re
    for index, pattern in enumerate(patterns):
        try:
            re.compile(str(pattern))
        except (re.error, OverflowError, RecursionError) as error:
            report.error(("command_allowlist_patterns", index), "E114", "is no regular expression: %s" % error)


def _check_database(database: object, report: Report) -> None:
    path: Path = ("database",)
    if isinstance(database, str):
        kind = database.partition(":")[0]
        if kind == _SQLITE:
            if ":" in database and not database.startswith("sqlite:///"):
                report.error(path, "E106", "must be sqlite:///FILE, got %s" % shown(database))
            return
        from jobs.exceptions import ConfigurationError
        from jobs.server_place import parse_place
        try:
            parse_place(database)
        except ConfigurationError as error:
            # What was written is not repeated: it may hold a password.
            report.error(path, "E155", error.message, str(error.context.get("hint", "")))
    elif isinstance(database, dict):
        from jobs.server_place import SERVER_KINDS, place_of, problem_of
        declared = database.get("type", _SQLITE)
        if declared in SERVER_KINDS:
            problem = problem_of(place_of(database, str(declared)))
            if problem is not None:
                report.error(path + ((problem[0],) if problem[0] in database else ()), "E155", problem[1])
        elif declared == _SQLITE:
            for key in sorted(database):
                if key not in ("type", "path") and not is_comment(key):
                    report.error(path + (key,), "E155", "is for a server, and the type is sqlite",
                                 'add "type": "postgresql"')

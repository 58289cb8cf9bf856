"""From raw values that were found right to the pipeline that is run: defaults filled in, variables expanded.

What equal jobs share (retry policies, environments, dependencies, checks) is made once, so that ten thousand jobs
stay small. Nothing here reports problems: a value that gets this far is right.
"""
import os
from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, List, Mapping, Optional, Tuple, TypeVar, Union

from config.environment import Environment, expand, expand_home
from config.features import Features
from config.job_environment import job_variables
from config.kinds import Duration, Signal, is_comment
from config.limits import OUTPUT_LIMIT_BYTES, umask_of
from config.loader import Document
from config.made_jobs import is_cleanup, nothing_to_do
from config.problems import Report
from config.rules import dependency_of
from config.schema import DEFAULT_OF_JOB_KEY, FILE, JOB
from config.secrecy import masked_text, secret_names, secret_values
from config.surroundings import resolve_folder, working_dir_of
from config.upkeep_builder import deadline_of, mail_server_of, retention_of, rules_of
from jobs.exceptions import ConfigurationError
from jobs.models import Check, Dependency, Job, JobStatus, Pipeline, Plugin, RetryPolicy

if TYPE_CHECKING:
    from config.expansion import Expansion
    from config.pipeline import Overrides
    from config.plugins import Plugins
    from jobs.models import Limits
    from jobs.server_place import ServerPlace

__all__ = ["JobBuilder", "application_name", "build", "processors"]

_Raw = Dict[str, object]
_Value = TypeVar("_Value")
_RETRY_KEYS = ("max_retries", "retry_delay", "retry_backoff", "retry_jitter", "max_retry_time", "retry_on_status",
               "retry_on_exit_codes", "never_retry_on_exit_codes")


def build(document: Document, path: str, environ: Mapping[str, str], overrides: "Overrides",
          features: Features, expansion: "Optional[Expansion]" = None) -> Pipeline:
    """The pipeline of a document in which no error was found.

    :param path: the file, absolute
    :param environ: the caller's environment
    :param overrides: what the command line says over the file
    :param expansion: the jobs that were made of those of the file, where any were made
    """
    top = document.value
    assert isinstance(top, dict)
    if expansion is not None:
        document = _kept(document, expansion)
    given = overrides.env
    if _object(top, "parameters"):
        from config.parameters import Parameters
        parameters = Parameters(top["parameters"], overrides.params, overrides.inherited_params, Report())
        top = parameters.put_in_object(top)
        given = dict(given, **parameters.variables())
    if expansion is not None:
        top = dict(top, jobs=expansion.jobs)
    environment = Environment.of_file(top, environ, given)
    variables = environment.variables
    folder = os.path.dirname(path)
    working_dir = working_dir_of(top, folder, variables)
    log_dir = resolve_folder(str(top["log_dir"]), working_dir, variables)[0] if "log_dir" in top else ""
    secrets = secret_values(top, environment, environ, working_dir)
    builder = JobBuilder(top, environment, working_dir, folder)  # when every env_file was read
    names = secret_names(top)
    all_pools = _object(top, "pools")
    if expansion is not None and expansion.inner:
        from config.inner_builder import build_whole
        whole = build_whole(expansion, builder, variables)
        jobs, seen, inner_paths = whole.jobs, whole.environment, tuple(sorted(whole.paths))
        secrets = tuple(sorted(whole.secrets.union(secrets)))
        names = names.union(whole.secret_names)
        env_files = whole.env_files.union(environment.paths_of_files())
        all_pools = dict(whole.pools, **all_pools)
    else:
        jobs, seen, inner_paths = builder.build(), variables, ()
        env_files = set(environment.paths_of_files())
    if overrides.force:
        for job in jobs:
            job.inputs = ()  # so nothing tells that it is up to date
    text, digest = masked_text(document, secrets, names)
    parallel, workers = _workers(top, overrides)
    run_timeout, expect = top.get("run_timeout"), top.get("expect")
    textfile, status_page = top.get("metrics_textfile"), top.get("status_page")
    outside = dict(environ)
    outside.update(variables)
    pools = {name: _integer(slots) for name, slots in all_pools.items() if not is_comment(name)}
    return Pipeline(
        application=application_name(top, path), jobs=jobs, config_path=path, inner_paths=inner_paths,
        config_text=text, config_hash=digest,
        working_dir=working_dir, log_dir=log_dir, parallel=parallel, max_workers=workers,
        continue_on_error=overrides.continue_on_error or top.get("continue_on_error", False) is True,
        run_timeout_s=None if run_timeout is None else _seconds(run_timeout),
        overlap=str(top.get("overlap", FILE.by_name["overlap"].default)),
        on_orphan=str(top.get("on_orphan", "adopt")), on_runner_death=str(top.get("on_runner_death", "finish")),
        pools={name: pools[name] for name in pools if any(job.pool == name for job in jobs)} if pools else pools,
        allow_shell=top.get("allow_shell", True) is True, environment=seen, secret_values=secrets,
        secret_names=tuple(sorted(names)), env_files=tuple(sorted(env_files)),
        features=dict(features.values), database_path=_database_path(top.get("database"), working_dir, variables),
        server=_server(top.get("database")),
        notifications=rules_of(top, outside), mail_server=mail_server_of(top, outside),
        expect_s=None if expect is None else _seconds(expect), retention=retention_of(top.get("retention")),
        metrics_textfile=resolve_folder(str(textfile), working_dir, variables)[0] if textfile else "",
        status_page=resolve_folder(str(status_page), working_dir, variables)[0] if status_page else "")


def _kept(document: Document, expansion: "Expansion") -> Document:
    """The document as the history keeps it."""
    assert isinstance(document.value, dict)
    jobs = expansion.kept_jobs(document.value)
    if jobs is None and not expansion.inner:
        return document
    import json
    kept = Document(document.file)
    kept.value = dict(document.value, jobs=document.value["jobs"] if jobs is None else jobs)
    if expansion.inner:
        from config.inner import CONTENTS, kept_entries
        kept.value[CONTENTS] = kept_entries(expansion)
    kept.text = json.dumps(kept.value, indent=1, ensure_ascii=False)
    return kept


def application_name(top: Mapping[str, object], path: str) -> str:
    """Who the run belongs to: what the file says, else the file's name without its ending."""
    for key in ("application_name", "name"):
        name = top.get(key)
        if isinstance(name, str):
            return name
    stem = os.path.splitext(os.path.basename(path))[0]
    text = "".join(one if one.isprintable() else "_" for one in stem.encode("utf-8", "replace").decode("utf-8"))
    return text or "executioner"


def processors() -> int:
    """How many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _workers(top: Mapping[str, object], overrides: "Overrides") -> Tuple[bool, int]:
    """Whether jobs run at the same time, and how many."""
    parallel = top.get("parallel", False) is True
    workers = _integer(top["max_workers"]) if "max_workers" in top else None
    if overrides.parallel:
        parallel = True
    if overrides.workers is not None:
        workers = overrides.workers
        parallel = workers > 1
    if overrides.sequential:
        parallel = False
    if not parallel:
        return False, 1
    return True, processors() if workers is None else workers


def _database_path(database: object, working_dir: str, variables: Mapping[str, str]) -> str:
    text = ""
    if isinstance(database, dict):
        text = str(database.get("path", ""))
    elif isinstance(database, str) and database.startswith("sqlite:///"):
        text = database[len("sqlite:///"):]
    return resolve_folder(text, working_dir, variables)[0] if text else ""


def _server(database: object) -> "Optional[ServerPlace]":
    """The server that ended runs are copied to; None where there is none."""
    kind = database.get("type") if isinstance(database, dict) else None
    if isinstance(database, str) and not database.startswith("sqlite"):
        from jobs.server_place import parse_place
        return parse_place(database)
    if isinstance(database, dict) and kind not in (None, "sqlite"):
        from jobs.server_place import place_of
        return place_of(database, str(kind))
    return None


def _object(top: Mapping[str, object], name: str) -> _Raw:
    value = top.get(name, {})
    assert isinstance(value, dict)
    return value


def _list(value: object) -> List[object]:
    assert isinstance(value, list)
    return value


def _integer(value: object) -> int:
    assert isinstance(value, (int, float))
    return int(value)


def _number(value: object) -> float:
    assert isinstance(value, (int, float))
    return float(value)


def _seconds(value: object) -> float:
    seconds = Duration.seconds(value)
    assert seconds is not None
    return seconds


def _codes(value: object) -> FrozenSet[int]:
    return frozenset(_integer(code) for code in _list(value))


def _words(value: object) -> Tuple[str, ...]:
    return tuple(map(str, _list(value)))


def _path(text: str, below: str, variables: Mapping[str, str]) -> str:
    """An absolute path. One that begins with what another job tells is made absolute once that is known."""
    if text.startswith("${jobs.") or below.startswith("${jobs."):
        return expand_home(expand(text, variables)[0], variables)
    return resolve_folder(text, below, variables)[0]


class JobBuilder:
    """Makes the jobs of one file, whose ``env_file``s were all read for ``environment``.

    :param top: the keys of the file
    :param working_dir: its folder, absolute
    """

    def __init__(self, top: _Raw, environment: Environment, working_dir: str, folder: str) -> None:
        self._top = top
        self._environment = environment
        self._working_dir = working_dir
        self._defaults = _object(top, "defaults")
        self._allow_shell = top.get("allow_shell", True) is True
        #: What holds where neither the job nor ``defaults`` says anything.
        self._base: _Raw = {key.name: key.default for key in JOB}
        for name, key in DEFAULT_OF_JOB_KEY.items():
            self._base[name] = top.get(key, FILE.by_name[key].default)
        self._made: Dict[Tuple[str, str], object] = {}
        self._nothing: Dict[str, str] = {}
        self._dependencies: Dict[Tuple[str, str], Dependency] = {}
        self._plugins: Optional[Plugins] = None
        if top.get("dependency_plugins"):
            from config.plugins import find_plugins
            self._plugins = find_plugins(top["dependency_plugins"], (working_dir, folder), environment.variables,
                                         Report())
        problems = environment.problems_of_files()
        if problems:  # it was right when the file was looked at, and has changed since
            raise ConfigurationError("env_file: " + problems[0], "E170")

    def build(self) -> List[Job]:
        """All jobs, in the order of the file."""
        return [self.job(_as_object(raw)) for raw in _list(self._top["jobs"])]

    def job(self, raw: _Raw) -> Job:
        """One job."""
        said = raw
        if self._defaults:
            said = dict(self._defaults)
            said.update(raw)
        variables: Mapping[str, str] = self._environment.variables
        over = job_variables(self._environment, raw, self._defaults, self._working_dir)[0] or self._nothing
        if over:
            variables = dict(variables)
            variables.update(over)
        owner = None
        if "run_as" in said:
            from config.limits_builder import identity_of, required_owner
            owner = self._once("run_as", said, required_owner)
            over = identity_of(owner, _object(self._top, "env_variables"), over)
        working_dir = self._working_dir
        if "working_dir" in said:
            working_dir = _path(str(said["working_dir"]), working_dir, variables)
        dependencies = tuple(self._dependency(item) for item in _list(said.get("dependencies", ())
                                                                      or []))
        limits, output_limit = self._once("limits", said, _bounds) if "limits" in said else (None, OUTPUT_LIMIT_BYTES)
        stdin_path, stdin_text = self._stdin(said.get("stdin"), working_dir, variables)
        total_timeout = said.get("total_timeout")
        return Job(
            id=str(raw["id"]),
            command=self._command(said["command"]),
            description=str(said.get("description", "")),
            dependencies=dependencies,
            join=_join(said.get("join"), len(dependencies)),
            timeout_s=self._once("timeout", said, _seconds),
            total_timeout_s=None if total_timeout is None else _seconds(total_timeout),
            stop_signal=self._once("stop_signal", said, _signal),
            stop_grace_s=self._once("stop_grace", said, _seconds),
            environment=over,
            working_dir=working_dir,
            stdin_path=stdin_path,
            stdin_text=stdin_text,
            retry=self._retry(said),
            success_exit_codes=self._once("success_exit_codes", said, _codes),
            skip_exit_codes=self._once("skip_exit_codes", said, _codes),
            condition=self._condition(said.get("run_if"), variables),
            outputs=self._once("outputs", said, _words),
            inputs=self._paths(said, "inputs", variables),
            products=self._paths(said, "products", variables),
            pool=str(said.get("pool", "")),
            pool_slots=_integer(said.get("pool_slots", 1)),
            allow_failure=said.get("allow_failure", False) is True,
            rerun_if_lost=said.get("rerun_if_lost", False) is True,
            leave_running=said.get("leave_running", False) is True,
            deadline=deadline_of(said["deadline"]) if "deadline" in said else None,
            runbook=str(said.get("runbook", "")),
            limits=limits, output_limit_bytes=output_limit, umask=umask_of(said.get("umask")), run_as=owner,
            nothing_to_do=nothing_to_do(raw),
            cleanup=is_cleanup(raw),
            priority=_integer(said.get("priority", 0)),
            tags=tuple(map(str, _list(said["tags"]))) if "tags" in said else (),
            pre_checks=self._checks(said, "pre_checks", variables),
            post_checks=self._checks(said, "post_checks", variables))

    def _once(self, name: str, said: Mapping[str, object], make: Callable[[object], _Value]) -> _Value:
        """The value of a key, made once for all jobs that say the same."""
        raw = said[name] if name in said else self._base[name]
        key = (name, repr(raw))
        if key not in self._made:
            self._made[key] = make(raw)
        value: _Value = self._made[key]  # type: ignore[assignment]
        return value

    def _dependency(self, item: object) -> Dependency:
        found = dependency_of(item)
        assert found is not None
        if found not in self._dependencies:
            self._dependencies[found] = Dependency(*found)
        return self._dependencies[found]

    def _stdin(self, stdin: object, working_dir: str, variables: Mapping[str, str]) -> Tuple[str, Optional[str]]:
        if isinstance(stdin, dict):
            return "", str(stdin["text"])
        if isinstance(stdin, str):
            return _path(stdin, working_dir, variables), None
        return "", None

    def _retry(self, said: Mapping[str, object]) -> RetryPolicy:
        """The retry policy; a job that says only which exit codes are tried again means just those."""
        given = tuple((name, repr(said[name])) for name in _RETRY_KEYS if name in said)
        key = ("retry", repr(given))
        found = self._made.get(key)
        if not isinstance(found, RetryPolicy):
            found = self._made[key] = self._new_retry(said)
        return found

    def _new_retry(self, said: Mapping[str, object]) -> RetryPolicy:
        def value(name: str) -> object:
            return said[name] if name in said else self._base[name]

        statuses = frozenset(str(status) for status in _list(value("retry_on_status")))
        if "retry_on_exit_codes" in said and "retry_on_status" not in said:
            statuses -= {JobStatus.FAILED}
        codes = _codes(value("retry_on_exit_codes"))
        never = _codes(value("never_retry_on_exit_codes"))
        if "retry_on_exit_codes" in said and "never_retry_on_exit_codes" not in said:
            never -= codes
        delay = value("retry_delay")
        return RetryPolicy(
            max_retries=_integer(value("max_retries")),
            delays_s=tuple(map(_seconds, delay)) if isinstance(delay, list) else (_seconds(delay),),
            backoff=_number(value("retry_backoff")), jitter=_number(value("retry_jitter")),
            max_retry_time_s=_seconds(value("max_retry_time")), on_status=statuses, on_exit_codes=codes,
            never_on_exit_codes=never)

    def _checks(self, said: Mapping[str, object], name: str, variables: Mapping[str, str]) -> Tuple[Check, ...]:
        if not said.get(name):
            return ()
        from config.checks import expanded_params, named
        made = [(check, expanded_params(check, params, variables)) for check, params, _ in named(said[name], ())]
        if not self._allow_shell:
            from config.shell_free import parameters_without_shell
            made = [(check, parameters_without_shell(check, params)) for check, params in made]
        return tuple(Check(check, params, self._plugin(check)) for check, params in made)

    def _command(self, value: object) -> Union[str, Tuple[str, ...]]:
        if isinstance(value, list):
            return tuple(map(str, value))
        if self._allow_shell:
            return str(value)
        from jobs.command import split_simple
        return tuple(split_simple(str(value), shell_allowed=False) or ()) or str(value)

    def _condition(self, value: object, variables: Mapping[str, str]) -> Optional[_Raw]:
        if not isinstance(value, dict):
            return None
        from config.conditions import expanded
        condition = expanded(value, variables)
        if self._allow_shell:
            return condition
        from config.shell_free import condition_without_shell
        return condition_without_shell(condition)

    def _paths(self, said: Mapping[str, object], name: str, variables: Mapping[str, str]) -> Tuple[str, ...]:
        """Paths or patterns, relative to the job's folder."""
        return tuple(expand_home(expand(str(text), variables)[0], variables) for text in _list(said.get(name, [])))

    def _plugin(self, check: str) -> Optional[Plugin]:
        """The plugin that adds a check; None where it is built in."""
        if self._plugins is None:
            return None
        from jobs.checks.registry import BUILT_IN
        return None if BUILT_IN.get(check) is not None else self._plugins.of(check)


def _bounds(value: object) -> "Tuple[Optional[Limits], int]":
    from config.limits_builder import limits_of, output_limit_of  # few jobs have any
    return limits_of(value), output_limit_of(value)


def _as_object(value: object) -> _Raw:
    assert isinstance(value, dict)
    return value


def _signal(value: object) -> int:
    if value == "TERM":
        return 15
    number = Signal.number(value)
    assert number is not None
    return number


def _join(value: object, dependencies: int) -> Optional[int]:
    """How many dependencies must be met; None = all of them."""
    if value == "any":
        return 1 if dependencies else None
    if isinstance(value, (int, float)):
        return int(value)
    return None

"""From the raw values of a job to the job that is run: defaults filled in, variables expanded.

What equal jobs share (retry policies, environments, dependencies, checks) is made once, so that ten thousand jobs
stay small. Nothing here reports problems: a value that gets this far is right.
"""
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Tuple, TypeVar, Union

from config.effective import dependency_of
from config.environment import Environment, expand, expand_home
from config.folders import resolve_folder
from config.job_environment import job_variables
from config.kinds import Signal
from config.limits import OUTPUT_LIMIT_BYTES, umask_of
from config.made_jobs import is_cleanup, nothing_to_do
from config.problems import Report
from config.schema import DEFAULT_OF_JOB_KEY, FILE, JOB
from config.upkeep_builder import deadline_of
from config.values import codes, integer, listed, number, object_at, seconds, words
from jobs.exceptions import ConfigurationError
from jobs.models import Check, Dependency, Job, JobStatus, Plugin, RetryPolicy

if TYPE_CHECKING:
    from config.plugins import Plugins
    from jobs.models import Limits

__all__ = ["JobBuilder"]

_Raw = Dict[str, object]
_Value = TypeVar("_Value")
_RETRY_KEYS = ("max_retries", "retry_delay", "retry_backoff", "retry_jitter", "max_retry_time", "retry_on_status",
               "retry_on_exit_codes", "never_retry_on_exit_codes")


class JobBuilder:
    """Makes the jobs of one file, whose ``env_file``s were all read for ``environment``.

    :param top: the keys of the file
    :param working_dir: its folder, absolute
    """

    def __init__(self, top: _Raw, environment: Environment, working_dir: str, folder: str) -> None:
        self._top = top
        self._environment = environment
        self._working_dir = working_dir
        self._defaults = object_at(top, "defaults")
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
        return [self.job(_as_object(raw)) for raw in listed(self._top["jobs"])]

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
            over = identity_of(owner, object_at(self._top, "env_variables"), over)
        working_dir = self._working_dir
        if "working_dir" in said:
            working_dir = _path(str(said["working_dir"]), working_dir, variables)
        dependencies = tuple(self._dependency(item) for item in listed(said.get("dependencies", ())
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
            timeout_s=self._once("timeout", said, seconds),
            total_timeout_s=None if total_timeout is None else seconds(total_timeout),
            stop_signal=self._once("stop_signal", said, _signal),
            stop_grace_s=self._once("stop_grace", said, seconds),
            environment=over,
            working_dir=working_dir,
            stdin_path=stdin_path,
            stdin_text=stdin_text,
            retry=self._retry(said),
            success_exit_codes=self._once("success_exit_codes", said, codes),
            skip_exit_codes=self._once("skip_exit_codes", said, codes),
            condition=self._condition(said.get("run_if"), variables),
            outputs=self._once("outputs", said, words),
            inputs=self._paths(said, "inputs", variables),
            products=self._paths(said, "products", variables),
            pool=str(said.get("pool", "")),
            pool_slots=integer(said.get("pool_slots", 1)),
            allow_failure=said.get("allow_failure", False) is True,
            rerun_if_lost=said.get("rerun_if_lost", False) is True,
            leave_running=said.get("leave_running", False) is True,
            deadline=deadline_of(said["deadline"]) if "deadline" in said else None,
            runbook=str(said.get("runbook", "")),
            limits=limits, output_limit_bytes=output_limit, umask=umask_of(said.get("umask")), run_as=owner,
            nothing_to_do=nothing_to_do(raw),
            cleanup=is_cleanup(raw),
            priority=integer(said.get("priority", 0)),
            tags=tuple(map(str, listed(said["tags"]))) if "tags" in said else (),
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

        statuses = frozenset(str(status) for status in listed(value("retry_on_status")))
        if "retry_on_exit_codes" in said and "retry_on_status" not in said:
            statuses -= {JobStatus.FAILED}
        again = codes(value("retry_on_exit_codes"))
        never = codes(value("never_retry_on_exit_codes"))
        if "retry_on_exit_codes" in said and "never_retry_on_exit_codes" not in said:
            never -= again
        delay = value("retry_delay")
        return RetryPolicy(
            max_retries=integer(value("max_retries")),
            delays_s=tuple(map(seconds, delay)) if isinstance(delay, list) else (seconds(delay),),
            backoff=number(value("retry_backoff")), jitter=number(value("retry_jitter")),
            max_retry_time_s=seconds(value("max_retry_time")), on_status=statuses, on_exit_codes=again,
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
        return tuple(expand_home(expand(str(text), variables)[0], variables) for text in listed(said.get(name, [])))

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


def _path(text: str, below: str, variables: Mapping[str, str]) -> str:
    """An absolute path. One that begins with what another job tells is made absolute once that is known."""
    if text.startswith("${jobs.") or below.startswith("${jobs."):
        return expand_home(expand(text, variables)[0], variables)
    return resolve_folder(text, below, variables)[0]

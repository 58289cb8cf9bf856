"""One job by itself, by the same rules as the whole file: for programs that make or edit jobs."""
from typing import Dict, List, Union

from config.kinds import is_comment
from config.kinds import MAX_DEPTH
from config.problems import ERROR, Path, Report, path_text
from config.rules import check_exit_codes, check_join, check_own_dependencies
from config.validator import check_job
from jobs.compat import TypedDict

__all__ = ["JobConfig", "validate_job_config"]

_Duration = Union[int, float, str]

#: A job as a file gives it. Every key but ``id`` and ``command`` may be missing.
JobConfig = TypedDict("JobConfig", {
    "id": str,
    "command": Union[str, List[str]],
    "description": str,
    "dependencies": List[Union[str, Dict[str, str]]],
    "join": Union[str, int],
    "timeout": _Duration,
    "total_timeout": _Duration,
    "stop_signal": Union[str, int],
    "stop_grace": _Duration,
    "env_variables": Dict[str, Union[str, int, float, bool]],
    "env_file": Union[str, List[str]],
    "working_dir": str,
    "max_retries": int,
    "retry_delay": Union[_Duration, List[_Duration]],
    "retry_backoff": float,
    "retry_jitter": float,
    "max_retry_time": _Duration,
    "retry_on_status": List[str],
    "retry_on_exit_codes": List[int],
    "never_retry_on_exit_codes": List[int],
    "success_exit_codes": List[int],
    "skip_exit_codes": List[int],
    "allow_failure": bool,
    "rerun_if_lost": bool,
    "leave_running": bool,
    "run_if": Dict[str, object],
    "pre_checks": List[Dict[str, object]],
    "post_checks": List[Dict[str, object]],
    "priority": int,
    "pool": str,
    "pool_slots": int,
    "outputs": List[str],
    "inputs": List[str],
    "products": List[str],
    "limits": Dict[str, _Duration],
    "umask": str,
    "run_as": str,
    "stdin": Union[str, Dict[str, str]],
    "tags": List[str],
    "deadline": _Duration,
    "runbook": str,
    "config": str,
    "for_each": Union[List[object], Dict[str, object]],
}, total=False)


def validate_job_config(job: object) -> List[str]:
    """Everything that is wrong with one job, a sentence each; an empty list where nothing is.

    What only a whole file can tell is left out: whether dependencies exist, cycles, and checks of plugins. So is the
    machine: folders and programs. A missing ``timeout`` is no error, since the file's default holds.

    :param job: a ``JobConfig``, right or wrong
    """
    report = Report()
    path: Path = ("jobs", 0)
    good = check_job(_as_json(job, MAX_DEPTH), path, {}, report)
    check_own_dependencies(good, {}, path, report)
    check_join(good, {}, path, report)
    check_exit_codes(good, {}, path, report)
    for name in ("pre_checks", "post_checks"):
        if good.get(name):
            from config.checks import check_names
            check_names(good[name], path + (name,), None, report)
    if "config" in good:
        from config.inner import check_keys_beside
        check_keys_beside([good], report)
    own = good.get("env_variables")
    if isinstance(own, dict) and own:
        from config.environment import Environment
        environment = Environment(False, {}, {name: value for name, value in own.items() if not is_comment(name)})
        for issue in environment.issues:
            if issue.code[0] == "E":
                report.error(path + ("env_variables", issue.name), issue.code, issue.message)
    found = []
    for finding in report.findings:
        if finding.severity == ERROR:
            where = path_text(finding.path[len(path):]) or "job"
            found.append("%s %s: %s%s" % (finding.code, where, finding.message,
                                          "; " + finding.hint if finding.hint else ""))
    return found


def _as_json(value: object, depth: int) -> object:
    """A value of Python as a file would give it: keys are strings, tuples are lists. What lies too deep is null."""
    if depth < 0:
        return None
    if isinstance(value, dict):
        return {str(key): _as_json(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item, depth - 1) for item in value]
    return value

"""What settling a dead run must know of a job and cannot ask its configuration for: kept as text with its row."""
import json
from typing import Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from jobs.models import Check, Job, Plugin

__all__ = ["Recovery", "recovery_of", "recovery_text"]

#: Built-in checks that run something which sees the job's variables.
_WITH_VARIABLES = ("check_command",)


class Recovery(NamedTuple):
    """Of a job whose runner died."""

    #: Whether processes that it left behind are to live.
    leave_running: bool = False
    #: The checks that decide whether its last attempt was a success; None where they may not be kept.
    post_checks: Optional[Tuple[Check, ...]] = ()
    working_dir: str = ""
    skip_exit_codes: FrozenSet[int] = frozenset()
    #: Names of what it tells others.
    outputs: Tuple[str, ...] = ()
    #: Variables that its checks need, over those that everybody has.
    environment: Mapping[str, str] = {}


def recovery_text(job: Job, secret_values: Sequence[str], environment: Mapping[str, str] = {},
                  environ: Mapping[str, str] = {}) -> Optional[str]:
    """The text to keep; None where there is nothing to know. Checks that hold a secret, or need one, are not kept.

    :param environment: the variables that every job of the run sees
    :param environ: those that everybody has, which need not be kept
    """
    if not (job.post_checks or job.leave_running or job.skip_exit_codes or job.outputs):
        return None
    kept: Dict[str, object] = {}
    if job.leave_running:
        kept["leave_running"] = True
    if job.skip_exit_codes:
        kept["skip_exit_codes"] = sorted(job.skip_exit_codes)
    if job.outputs:
        kept["outputs"] = list(job.outputs)
    if job.post_checks:
        variables: Dict[str, str] = {}
        if any(check.plugin is not None or check.name in _WITH_VARIABLES for check in job.post_checks):
            variables = {name: value for name, value in environment.items() if environ.get(name) != value}
            variables.update(job.environment)
        checks = [_as_list(check) for check in job.post_checks]
        hidden = any(value in json.dumps([checks, variables], ensure_ascii=False) for value in secret_values)
        kept["post_checks"] = None if hidden else checks
        kept["working_dir"] = job.working_dir
        if variables and not hidden:
            kept["environment"] = variables
    return json.dumps(kept, sort_keys=True)


def _as_list(check: Check) -> List[object]:
    plugin: List[object] = [] if check.plugin is None else [check.plugin.name, check.plugin.path]
    return [check.name, check.params, *plugin]


def _check(name: str, params: Dict[str, object], *plugin: str) -> Check:
    return Check(name, params, Plugin(*plugin) if plugin else None)


def recovery_of(text: Optional[str]) -> Recovery:
    """What was kept."""
    if not text:
        return Recovery()
    kept = json.loads(text)
    checks = kept.get("post_checks", [])
    return Recovery(bool(kept.get("leave_running")),
                    None if checks is None else tuple(_check(*one) for one in checks),
                    str(kept.get("working_dir", "")), frozenset(kept.get("skip_exit_codes", ())),
                    tuple(kept.get("outputs", ())), kept.get("environment", {}))

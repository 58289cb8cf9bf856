"""What settling a dead run must know of a job and cannot ask its configuration for: kept as text with its row."""
import json
from typing import Dict, FrozenSet, NamedTuple, Optional, Sequence, Tuple

from jobs.models import Check, Job

__all__ = ["Recovery", "recovery_of", "recovery_text"]


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


def recovery_text(job: Job, secret_values: Sequence[str]) -> Optional[str]:
    """The text to keep; None where there is nothing to know. Checks that hold a secret are not kept."""
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
        checks = [[check.name, check.params] for check in job.post_checks]
        hidden = any(value in json.dumps(checks, ensure_ascii=False) for value in secret_values)
        kept["post_checks"] = None if hidden else checks
        kept["working_dir"] = job.working_dir
    return json.dumps(kept, sort_keys=True)


def recovery_of(text: Optional[str]) -> Recovery:
    """What was kept."""
    if not text:
        return Recovery()
    kept = json.loads(text)
    checks = kept.get("post_checks", [])
    return Recovery(bool(kept.get("leave_running")),
                    None if checks is None else tuple(Check(name, params) for name, params in checks),
                    str(kept.get("working_dir", "")), frozenset(kept.get("skip_exit_codes", ())),
                    tuple(kept.get("outputs", ())))

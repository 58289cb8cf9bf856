"""From what the kernel or the keeper's record says to an ``AttemptOutcome``. Pure."""
from typing import Collection, Optional, Tuple

from jobs.keeper import verdict
from jobs.models import AttemptOutcome, JobStatus

__all__ = ["Facts", "apply_skip_codes", "lost_outcome", "outcome_from_facts", "outcome_of"]

#: What the keeper tells and records of an end, in the order of ``jobs.keeper.record.ENDED_FIELDS``.
Facts = Tuple[str, str, Optional[int], Optional[str], str, str, Optional[float], Optional[float], Optional[float],
              Optional[float], Optional[int], Tuple[str, ...]]


def outcome_from_facts(facts: Facts) -> AttemptOutcome:
    """The outcome of an attempt as the keeper told it, or as its record has it."""
    (_, status, exit_code, ended_by, reason, stop_reason, started_at, ended_at, duration_s, cpu_s, max_rss_bytes,
     survivors) = facts
    return AttemptOutcome(status, exit_code, ended_by, reason, stop_reason, started_at, ended_at, duration_s, cpu_s,
                          max_rss_bytes, survivors)


def outcome_of(wait_status: Optional[int], success_codes: Collection[int], stop_reason: str = "", stop_text: str = "",
               via_shell: bool = False, refusal: Optional[Tuple[Optional[int], str]] = None) -> AttemptOutcome:
    """How an attempt ended; see ``jobs.keeper.verdict.judge`` for the parameters."""
    status, exit_code, ended_by, reason = verdict.judge(
        wait_status, success_codes, stop_reason, stop_text, via_shell, refusal)
    return AttemptOutcome(status, exit_code, ended_by, reason, stop_reason)


def apply_skip_codes(outcome: AttemptOutcome, skip_exit_codes: Collection[int]) -> None:
    """Turn an exit code by which the job said that there was nothing to do into a SKIPPED."""
    if (skip_exit_codes and outcome.exit_code in skip_exit_codes and outcome.status == JobStatus.FAILED
            and not outcome.stop_reason):
        outcome.status = JobStatus.SKIPPED
        outcome.reason = "it had nothing to do (exit code %d)" % (outcome.exit_code or 0)


def lost_outcome(reason: str, started_at: Optional[float] = None) -> AttemptOutcome:
    """The outcome of an attempt of which nobody can say how it ended."""
    return AttemptOutcome(JobStatus.LOST, reason=reason, started_at=started_at)

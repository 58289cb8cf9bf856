"""What programs see of runs and jobs: the same objects in every ``--json`` and over HTTP. Tested as an interface.

Times are ISO 8601 in UTC, durations seconds; what is not known is null.
"""
from typing import Dict, Optional

from jobs.records import JobRecord, RunRecord
from jobs.times import utc_text

__all__ = ["job_fields", "rounded", "run_fields", "utc_or_none"]


def run_fields(run: RunRecord) -> Dict[str, object]:
    """A run as ``runs --json`` shows it."""
    return {"run_id": run.run_id, "application": run.application, "status": run.status, "exit_code": run.exit_code,
            "config": run.config_path, "started": utc_or_none(run.started_at), "ended": utc_or_none(run.ended_at),
            "duration": rounded(run.duration_s)}


def job_fields(job: JobRecord) -> Dict[str, object]:
    """A job as ``show --json`` shows it."""
    return {"job_id": job.job_id, "status": job.status, "reason": job.reason, "exit_code": job.exit_code,
            "signal": job.signal, "attempts": job.attempts, "started": utc_or_none(job.started_at),
            "ended": utc_or_none(job.ended_at), "duration": rounded(job.duration_s),
            "cpu_seconds": rounded(job.cpu_s), "max_rss": job.max_rss_bytes, "stdout_path": job.stdout_path,
            "stderr_path": job.stderr_path}


def utc_or_none(epoch_s: Optional[float]) -> Optional[str]:
    """Epoch seconds as text; None stays None."""
    return None if epoch_s is None else utc_text(epoch_s)


def rounded(seconds: Optional[float]) -> Optional[float]:
    """Seconds to the microsecond; None stays None."""
    return None if seconds is None else round(seconds, 6)

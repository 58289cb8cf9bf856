"""Records as the API shows them: the fields of ``--json``, and what else the pages need."""
from typing import Dict, List, Optional

from jobs.records import AttemptRecord, EventRecord, JobRecord, RunRecord
from jobs.shapes import job_fields, rounded, run_fields, utc_or_none

__all__ = ["attempt_document", "event_document", "job_document", "run_document", "short_run"]


def run_document(run: RunRecord, counts: Optional[Dict[str, int]] = None) -> Dict[str, object]:
    """A run without its jobs."""
    document = run_fields(run)
    document.update(reason=run.reason, parent_run_id=run.parent_run_id, job_count=run.job_count, host=run.host,
                    user=run.user, run_uuid=run.run_uuid, config_hash=run.config_hash, options=run.options)
    if counts is not None:
        document["counts"] = counts
    return document


def short_run(run: RunRecord) -> Dict[str, object]:
    """A run in a strip of results."""
    return {"run_id": run.run_id, "status": run.status, "started": utc_or_none(run.started_at),
            "duration": rounded(run.duration_s)}


def job_document(job: JobRecord, held: Optional[EventRecord] = None, mark: Optional[EventRecord] = None
                 ) -> Dict[str, object]:
    """A job of a run."""
    document = job_fields(job)
    document.update(position=job.position, description=job.description, allow_failure=job.allow_failure,
                    waited=rounded(job.waited_s),
                    held=None if held is None else {"who": held.who, "why": held.why},
                    marked=None if mark is None else {"who": mark.who, "why": mark.why})
    return document


def attempt_document(attempt: AttemptRecord) -> Dict[str, object]:
    """An attempt of a job."""
    survivors: List[str] = list(attempt.survivors)
    return {"job_id": attempt.job_id, "position": attempt.position, "attempt": attempt.attempt,
            "status": attempt.status, "ready": utc_or_none(attempt.ready_at),
            "intended": utc_or_none(attempt.intended_at), "waited": rounded(attempt.waited_s),
            "started": utc_or_none(attempt.started_at), "ended": utc_or_none(attempt.ended_at),
            "duration": rounded(attempt.duration_s), "exit_code": attempt.exit_code, "signal": attempt.signal,
            "reason": attempt.reason, "stop_reason": attempt.stop_reason, "cpu_seconds": rounded(attempt.cpu_s),
            "max_rss": attempt.max_rss_bytes, "pid": attempt.pid, "survivors": survivors}


def event_document(event: EventRecord) -> Dict[str, object]:
    """Something that was done or noticed."""
    return {"event_id": event.event_id, "at": utc_or_none(event.at), "kind": event.kind, "run_id": event.run_id,
            "application": event.application, "job_id": event.job_id, "who": event.who, "why": event.why,
            "details": event.details}

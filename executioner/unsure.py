"""Jobs whose products are not to be trusted: they are as new as they are because an attempt broke off in the middle."""
from typing import Dict

from db.history import History
from jobs.models import JobStatus, Pipeline

__all__ = ["unsure_jobs"]

_TRUSTED = (JobStatus.SUCCESS, JobStatus.SKIPPED)


def unsure_jobs(history: History, pipeline: Pipeline) -> Dict[str, str]:
    """Why jobs with inputs and products run whatever the files say, by id: their last attempt was no success."""
    job_ids = {job.id for job in pipeline.jobs if job.may_be_up_to_date}
    if not job_ids:
        return {}
    return {job_id: "its last attempt, in run %d, ended %s" % (run_id, status)
            for job_id, (run_id, status) in history.last_tries(pipeline.application, job_ids).items()
            if status not in _TRUSTED}

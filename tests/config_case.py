"""What the tests of pipelines ask of them."""
from typing import Dict, List

from jobs.models import Job, Pipeline

__all__ = ["by_id", "needs"]


def by_id(made: Pipeline) -> Dict[str, Job]:
    """The jobs by their ids, each another one."""
    assert len({job.id for job in made.jobs}) == len(made.jobs)
    return {job.id: job for job in made.jobs}


def needs(job: Job) -> List[str]:
    """What a job waits for."""
    return [dependency.job if dependency.when == "success" else dependency.job + ":" + dependency.when
            for dependency in job.dependencies]

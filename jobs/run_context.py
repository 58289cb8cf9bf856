"""What the attempts of one run have in common: its number, its folder, the variables that each job sees."""
from dataclasses import dataclass
from typing import Dict, Tuple

from jobs.exceptions import InternalError
from jobs.models import Pipeline
from jobs.times import utc_text

__all__ = ["OUTPUT_VARIABLE", "RunContext", "attempt_token", "attempt_variables", "position_and_attempt",
           "run_environment", "run_variables"]


@dataclass(eq=False, repr=False)
class RunContext:
    """One run of a pipeline."""

    run_id: int
    run_uuid: str
    #: Epoch seconds.
    started_at: float
    #: Absolute path of the folder that holds the output files of this run.
    output_dir: str

    def __post_init__(self) -> None:
        if self.run_id < 0 or not self.run_uuid or "." in self.run_uuid:
            raise InternalError("impossible run: id %r, uuid %r" % (self.run_id, self.run_uuid))


def attempt_token(run: RunContext, position: int, attempt: int) -> str:
    """The name of an attempt that no other attempt of any run has; carried by its processes as a mark."""
    return "%s.%d.%d" % (run.run_uuid, position, attempt)


def position_and_attempt(token: str) -> Tuple[int, int]:
    """What ``attempt_token`` was made of."""
    _, position, attempt = token.split(".")
    return int(position), int(attempt)


def run_environment(pipeline: Pipeline, run: RunContext) -> Dict[str, str]:
    """The variables that every job of the run sees."""
    environment = dict(pipeline.environment)
    environment.update(run_variables(run.run_id, pipeline.application, run.output_dir, run.started_at))
    return environment


def run_variables(run_id: int, application: str, output_dir: str, started_at: float) -> Dict[str, str]:
    """What we tell every job of a run in variables.

    :param started_at: epoch seconds
    """
    return {"EXECUTIONER_RUN_ID": str(run_id), "EXECUTIONER_APPLICATION": application,
            "EXECUTIONER_LOG_DIR": output_dir, "EXECUTIONER_RUN_STARTED": utc_text(started_at)}


#: Names the file in which a job tells others.
OUTPUT_VARIABLE = "EXECUTIONER_OUTPUT"


def attempt_variables(job_id: str, attempt: int, outputs_path: str) -> Dict[str, str]:
    """What we tell an attempt in variables."""
    return {"EXECUTIONER_JOB_ID": job_id, "EXECUTIONER_ATTEMPT": str(attempt), OUTPUT_VARIABLE: outputs_path}

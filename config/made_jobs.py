"""A raw job that no file holds: made for an item of ``for_each``. What it knows beyond the keys of a job."""
from typing import Dict, Mapping

__all__ = ["MadeJob", "made_variables", "nothing_to_do"]


class MadeJob(Dict[str, object]):
    """A raw job that was made for an item, or for want of any."""

    #: The variables that hold the item's values, which are taken as they are.
    variables: Mapping[str, str] = {}
    #: Why there is nothing to run; "" = there is.
    nothing_to_do = ""


def made_variables(job: Mapping[str, object]) -> Mapping[str, str]:
    """The variables that hold the values of the item that a raw job was made for."""
    return job.variables if isinstance(job, MadeJob) else {}


def nothing_to_do(job: Mapping[str, object]) -> str:
    """Why there is nothing to run for a raw job; "" where there is."""
    return job.nothing_to_do if isinstance(job, MadeJob) else ""

"""A raw job that no file holds: made for an item of ``for_each``, or taken from a configuration that a job runs."""
from typing import TYPE_CHECKING, Dict, Mapping, Optional

if TYPE_CHECKING:
    from config.expansion import Expansion

__all__ = ["MadeJob", "is_cleanup", "made_variables", "nothing_to_do"]


class MadeJob(Dict[str, object]):
    """A raw job, and what is known of it beyond the keys of a job."""

    #: The variables that hold the values of its item, which are taken as they are.
    variables: Mapping[str, str] = {}
    #: Why there is nothing to run; "" = there is.
    nothing_to_do = ""
    #: The configuration that it stands in, where that is not the one that is run.
    home: "Optional[Expansion]" = None
    #: Whether it runs even after a failure stopped the start of others; None = its own dependencies say so.
    cleanup: Optional[bool] = None

    def renamed(self, job_id: str, dependencies: object) -> "MadeJob":
        """The same job under another id, with other dependencies."""
        made = MadeJob(self, id=job_id, dependencies=dependencies)
        made.__dict__.update(self.__dict__)
        return made


def made_variables(job: Mapping[str, object]) -> Mapping[str, str]:
    """The variables that hold the values of the item that a raw job was made for."""
    return job.variables if isinstance(job, MadeJob) else {}


def nothing_to_do(job: Mapping[str, object]) -> str:
    """Why there is nothing to run for a raw job; "" where there is."""
    return job.nothing_to_do if isinstance(job, MadeJob) else ""


def is_cleanup(job: Mapping[str, object]) -> Optional[bool]:
    """Whether a raw job runs even after a failure stopped the start of others; None = its dependencies say so."""
    return job.cleanup if isinstance(job, MadeJob) else None

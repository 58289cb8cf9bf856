"""A run as it is about to be made: what is run, and what is decided beforehand."""
from typing import Dict, List, Mapping, NamedTuple, Optional

from jobs.events import JobEnded
from jobs.graph import Graph
from jobs.models import Pipeline
from jobs.scheduler import Given

__all__ = ["Prepared", "settled_events"]


class Prepared(NamedTuple):
    """A run as it is about to be made."""

    pipeline: Pipeline
    graph: Graph
    #: Jobs that are decided before anything starts, by position.
    given: Dict[int, Given]
    parent_run_id: Optional[int] = None
    #: What jobs that are kept told others, by id.
    outputs: Mapping[str, Dict[str, str]] = {}


def settled_events(graph: Graph, given: Dict[int, Given], at: float) -> List[JobEnded]:
    """The jobs that are decided before anything starts, as they stand in the commit that makes the run."""
    return [JobEnded(position, graph.ids[position], one.status, one.reason, 0, at)
            for position, one in sorted(given.items())]

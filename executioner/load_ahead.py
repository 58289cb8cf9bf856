"""Loading what the end of a run needs while its first jobs run, so that nobody waits for it when they have ended."""
from importlib import import_module
from typing import List, Sequence

from jobs.events import Event, RunStarted
from jobs.models import Pipeline

__all__ = ["LoadAhead", "needed_at_the_end"]


def needed_at_the_end(pipeline: Pipeline) -> List[str]:
    """The modules that the end of every run of this pipeline needs."""
    names = ["executioner.aftermath", "executioner.ourselves", "db.destinations"]
    if pipeline.features.get("metrics", True):
        names.append("monitoring.figures")
    if pipeline.features.get("history_retention", True):
        names.append("executioner.retention")
    return names


class LoadAhead:
    """An observer that loads modules once it is told that the run has started: the first jobs are on their way then."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def tell(self, events: Sequence[Event]) -> None:
        """Load them, at the right moment."""
        if self._names and any(type(event) is RunStarted for event in events):
            for name in self._names:
                import_module(name)
            self._names = ()

"""The arrows of a run: from the configuration that it kept, so also of one whose file has changed or is gone."""
from collections import OrderedDict
from typing import Dict, List, Tuple

from config.loader import load_text
from jobs.models import When

__all__ = ["Arrows", "arrows_of", "GraphCache"]

#: For each job id: what it waits for, and what that must have come to.
Arrows = Dict[str, List[Tuple[str, str]]]
_KEPT = 16


def arrows_of(text: str) -> Arrows:
    """The dependencies of each job of a configuration; empty where the text is none."""
    document = load_text(text, "")
    top = document.value
    jobs = top.get("jobs") if isinstance(top, dict) else None
    if not isinstance(jobs, list):
        return {}
    defaults = top.get("defaults") if isinstance(top, dict) else None
    usual = defaults.get("dependencies") if isinstance(defaults, dict) else None
    arrows: Arrows = {}
    for job in jobs:
        if isinstance(job, dict) and isinstance(job.get("id"), str):
            arrows[str(job["id"])] = _arrows(job.get("dependencies", usual))
    return arrows


def _arrows(value: object) -> List[Tuple[str, str]]:
    found: List[Tuple[str, str]] = []
    for one in value if isinstance(value, list) else ():
        if isinstance(one, str):
            found.append((one, When.SUCCESS))
        elif isinstance(one, dict) and isinstance(one.get("job"), str):
            found.append((str(one["job"]), str(one.get("when", When.SUCCESS))))
    return found


class GraphCache:
    """The arrows of the configurations that were asked for last, by their hash."""

    def __init__(self) -> None:
        self._kept: "OrderedDict[str, Arrows]" = OrderedDict()

    def get(self, config_hash: str, text: str) -> Arrows:
        """The arrows of a configuration."""
        found = self._kept.get(config_hash)
        if found is None:
            found = arrows_of(text)
            self._kept[config_hash] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

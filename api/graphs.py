"""The arrows of a run: from the configuration that it kept, so also of one whose file has changed or is gone."""
from collections import OrderedDict
from typing import Dict, List, Tuple

from config.expansion import expand
from config.loader import load_text
from config.problems import Report
from config.rules import dependencies_of
from jobs.group_ids import members_by_group

__all__ = ["Arrows", "MAX_ARROWS", "arrows_of", "GraphCache"]

#: For each job id: what it waits for, and what that must have come to.
Arrows = Dict[str, List[Tuple[str, str]]]
#: Most arrows that are told: ten thousand jobs that wait for ten thousand others would be a hundred million.
MAX_ARROWS = 100000
_KEPT = 16


def arrows_of(text: str) -> Arrows:
    """The dependencies of each job of a configuration; empty where the text is none.

    One on a group is one on each of its members; where that would be more than ``MAX_ARROWS``, it is left out.
    """
    top = load_text(text, "").value
    jobs = top.get("jobs") if isinstance(top, dict) else None
    if not isinstance(top, dict) or not isinstance(jobs, list):
        return {}
    defaults = top.get("defaults")
    if not isinstance(defaults, dict):
        defaults = {}
    made = expand([job if isinstance(job, dict) else {} for job in jobs], defaults, Report(),
                  lambda job, path, patterns: []).jobs
    members = members_by_group(str(job.get("id")) for job in made)
    arrows: Arrows = {}
    count = 0
    for job in made:
        found: List[Tuple[str, str]] = []
        for _, other, when in dependencies_of(job, defaults):
            others = members.get(other, [other])
            count += len(others)
            if count <= MAX_ARROWS or len(others) == 1:
                found += [(one, when) for one in others]
        arrows[str(job.get("id"))] = found
    return arrows


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

"""The arrows of a run: from the configuration that it kept, so also of one whose file has changed or is gone."""
from collections import OrderedDict
from typing import Dict, List, Tuple

from config.expansion import Expansion, expand
from config.inner import KeptContent, flattened, kept_contents
from config.loader import load_text
from config.problems import Report
from config.effective import dependencies_of
from jobs.group_ids import members_by_group

__all__ = ["Arrows", "MAX_ARROWS", "arrows_of", "GraphCache"]

#: For each job id: what it waits for, and what that must have come to.
Arrows = Dict[str, List[Tuple[str, str]]]
#: From so many arrows on, one to the first member stands for those to all of a group: ten thousand jobs that wait for
#: ten thousand others would be a hundred million.
MAX_ARROWS = 20000
_KEPT = 16


def arrows_of(text: str) -> Arrows:
    """The dependencies of each job of a configuration; empty where the text is none.

    One on a group is one on each of its members; where there would be more than ``MAX_ARROWS``, on the first.
    """
    top = load_text(text, "").value
    jobs = top.get("jobs") if isinstance(top, dict) else None
    if not isinstance(top, dict) or not isinstance(jobs, list):
        return {}
    made = list(flattened(_expanded(top, jobs, kept_contents(top), "")))
    members = members_by_group(str(job.get("id")) for job in made)
    arrows: Arrows = {}
    count = 0
    for job in made:
        found: List[Tuple[str, str]] = []
        for _, other, when in dependencies_of(job, {}):
            others = members.get(other, [other])
            if count + len(others) > MAX_ARROWS:
                others = others[:1]
            count += len(others)
            found += [(one, when) for one in others]
        arrows[str(job.get("id"))] = found
    return arrows


def _expanded(top: Dict[str, object], jobs: List[object], contents: Dict[str, KeptContent], prefix: str) -> Expansion:
    """The jobs of a kept configuration and of the inner ones."""
    defaults = top.get("defaults")
    if not isinstance(defaults, dict):
        defaults = {}
    found = expand([job if isinstance(job, dict) else {} for job in jobs], defaults, Report(),
                   lambda job, path, patterns: [])
    found.top = dict(top, defaults=defaults)
    for position, job in enumerate(found.jobs):
        job_id = "%s%s" % (prefix, job.get("id"))
        content = contents[job_id].value if "config" in job and job_id in contents else None
        inner = content.get("jobs") if isinstance(content, dict) else None
        if isinstance(content, dict) and isinstance(inner, list):
            found.inner[position] = _expanded(content, inner, contents, job_id + "/")
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

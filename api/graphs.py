"""Arrows and runbooks of a run: from the configuration that it kept, so also where the file has changed or is gone."""
from collections import OrderedDict
from typing import Dict, List, Tuple

from config.effective import dependencies_of, effective
from config.expansion import Expansion, expand
from config.inner import KeptContent, flattened, kept_contents
from config.loader import load_text
from config.made_jobs import MadeJob
from config.problems import Report
from jobs.group_ids import members_by_group

__all__ = ["Arrows", "MAX_ARROWS", "arrows_of", "GraphCache", "runbooks_of"]

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
    made, _ = _made_of(text)
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


def runbooks_of(text: str) -> Dict[str, str]:
    """The runbook of each job of a configuration that has one; empty where the text is no configuration."""
    if '"runbook"' not in text:
        return {}
    found = {}
    made, defaults = _made_of(text)
    for job in made:
        own = job.home.top.get("defaults") if job.home is not None else defaults
        runbook = effective(job, own if isinstance(own, dict) else {}, "runbook")
        if isinstance(runbook, str) and runbook:
            found[str(job.get("id"))] = runbook
    return found


def _made_of(text: str) -> Tuple[List[MadeJob], Dict[str, object]]:
    """The jobs that are made of a kept configuration, with their ids in the whole run, and the file's ``defaults``."""
    top = load_text(text, "").value
    jobs = top.get("jobs") if isinstance(top, dict) else None
    if not isinstance(top, dict) or not isinstance(jobs, list):
        return [], {}
    expansion = _expanded(top, jobs, kept_contents(top), "")
    defaults = expansion.top.get("defaults")
    return list(flattened(expansion)), defaults if isinstance(defaults, dict) else {}


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

"""Ids that mean several jobs: ``load`` means every ``load[item]``, ``night`` every ``night/job``. Pure.

What a job was made from stands in its id: ``night[east]/load[a]`` is one of ``night``, of ``night[east]`` and of
``night[east]/load``. So no list of members has to be kept anywhere, and a history knows them as well.
"""
import re
from typing import Dict, Iterable, List, Mapping, Optional, TypeVar

__all__ = ["about", "groups_of", "in_shell", "is_inside", "members_by_group", "named"]

_Value = TypeVar("_Value")

_PLAIN = r"[A-Za-z0-9_.:/-]+\Z"
_STEP = r"\[[^\]]*\]|/"


def groups_of(job_id: str) -> List[str]:
    """The ids that mean this job among others, the widest first."""
    if "[" not in job_id and "/" not in job_id:
        return []
    return [job_id[:step.start()] for step in re.finditer(_STEP, job_id)]


def is_inside(job_id: str, group: str) -> bool:
    """Whether a member of a group is a job of a configuration that the group runs, not just one of its items."""
    return any(step.group() == "/" for step in re.finditer(_STEP, job_id[len(group):]))


def members_by_group(job_ids: Iterable[str]) -> Dict[str, List[str]]:
    """For each id that means several jobs: their ids, in order."""
    members: Dict[str, List[str]] = {}
    for job_id in job_ids:
        for group in groups_of(job_id):
            members.setdefault(group, []).append(job_id)
    return members


def named(wanted: str, known: Iterable[str]) -> List[str]:
    """The jobs that an id means: the one that has it, or the members of the group; empty where there is neither."""
    known = list(known)
    if wanted in known:
        return [wanted]
    return [job_id for job_id in known if wanted in groups_of(job_id)]


def about(job_id: str, said: Mapping[str, _Value]) -> Optional[_Value]:
    """What is said of a job by its id, or by the narrowest id that means it among others; None where nothing is."""
    if job_id in said or not said:
        return said.get(job_id)
    return next((said[group] for group in reversed(groups_of(job_id)) if group in said), None)


def in_shell(job_id: str) -> str:
    """The id as one types it in a shell; no id holds a single quote."""
    return job_id if re.match(_PLAIN, job_id) else "'%s'" % job_id

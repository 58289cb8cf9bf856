"""How many slots of the pools are taken, by the locks that the kernel knows: nobody who wants a slot is disturbed."""
import json
import os
from typing import Dict, List, NamedTuple, Set

from db.history import History
from jobs.pools import slot_paths

__all__ = ["MOST_POOLS", "PoolUse", "pool_uses"]

#: More pools are not looked at.
MOST_POOLS = 100
_LOCKS = "/proc/locks"


class PoolUse(NamedTuple):
    """A pool that a run which goes on may use."""

    name: str
    slots: int
    taken: int


def pool_uses(history: History, folder: str) -> List[PoolUse]:
    """The pools of the files of all runs that have not ended, by name. Nothing is known of other runs' pools.

    :param folder: where the locks of the home are
    :raises DatabaseError: where the history cannot be read
    """
    sizes: Dict[str, int] = {}
    for digest in sorted({run.config_hash for run in history.open_runs()}):
        text = history.configuration(digest)
        top = json.loads(text) if text else None
        pools = top.get("pools") if isinstance(top, dict) else None
        for name, size in pools.items() if isinstance(pools, dict) else ():
            if isinstance(size, int) and not name.startswith("_"):
                sizes[name] = max(size, sizes.get(name, 0))
    if not sizes:
        return []
    locked = _locked_inodes()
    return [PoolUse(name, sizes[name], sum(1 for path in slot_paths(folder, name, sizes[name])
                                           if _inode(path) in locked)) for name in sorted(sizes)[:MOST_POOLS]]


def _locked_inodes() -> Set[int]:
    found: Set[int] = set()
    try:
        with open(_LOCKS, encoding="ascii", errors="replace") as lines:
            for line in lines:
                words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 08:01:131073 0 EOF
                if len(words) >= 6 and words[1] == "FLOCK":
                    found.add(int(words[5].rpartition(":")[2]))
    except (OSError, ValueError):
        pass  # not a Linux, or another one: then no slot is known to be taken
    return found


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return -1  # no run has used it yet

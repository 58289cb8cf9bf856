"""Cycles among dependencies, each as a path that a person can follow. Pure and iterative.

Positions stand for jobs; ``dependencies[a]`` are those that ``a`` waits for.
"""
from collections import deque
from typing import Deque, Dict, List, Sequence, Set, Tuple

__all__ = ["MAX_CYCLES", "find_cycles"]

#: Most cycles that are told; a graph may have more of them than atoms.
MAX_CYCLES = 100


def find_cycles(dependencies: Sequence[Sequence[int]]) -> List[List[int]]:
    """Cycles in the order of depending: ``[a, b]`` reads: a depends on b, and b on a.

    Every arrow that lies on a cycle lies on one of those told (up to ``MAX_CYCLES``), and none is told twice. Each
    begins with the job that stands first in the file.
    """
    cycles: List[List[int]] = []
    for part in _parts(dependencies):
        inside = set(part)
        covered: Set[Tuple[int, int]] = set()
        for start in sorted(part):
            for other in dependencies[start]:
                if other not in inside or (start, other) in covered:
                    continue
                cycle = [start] + _shortest(dependencies, inside, other, start)
                covered.update(zip(cycle, cycle[1:] + cycle[:1]))
                first = cycle.index(min(cycle))
                cycles.append(cycle[first:] + cycle[:first])
                if len(cycles) >= MAX_CYCLES:
                    return sorted(cycles)
    return sorted(cycles)


def _shortest(dependencies: Sequence[Sequence[int]], inside: Set[int], start: int, end: int) -> List[int]:
    """The shortest way from start to the last step before end, inside one part."""
    came_from: Dict[int, int] = {start: -1}
    todo: Deque[int] = deque((start,))
    while todo:
        node = todo.popleft()
        for other in dependencies[node]:
            if other == end:
                way = [node]
                while came_from[way[-1]] >= 0:
                    way.append(came_from[way[-1]])
                way.reverse()
                return way
            if other in inside and other not in came_from:
                came_from[other] = node
                todo.append(other)
    raise AssertionError("a part that is not strongly connected")


def _parts(dependencies: Sequence[Sequence[int]]) -> List[List[int]]:
    """The strongly connected parts of more than one job (Tarjan 1972, with a stack of our own)."""
    index: Dict[int, int] = {}
    low: Dict[int, int] = {}
    waiting: List[int] = []
    is_waiting: Set[int] = set()
    parts: List[List[int]] = []
    for root in range(len(dependencies)):
        if root in index:
            continue
        work: List[Tuple[int, int]] = [(root, 0)]
        while work:
            node, step = work.pop()
            if step == 0:
                index[node] = low[node] = len(index)
                waiting.append(node)
                is_waiting.add(node)
            needed = dependencies[node]
            while step < len(needed):
                other = needed[step]
                step += 1
                if other not in index:
                    work.append((node, step))
                    work.append((other, 0))
                    break
                if other in is_waiting:
                    low[node] = min(low[node], index[other])
            else:
                if low[node] == index[node]:
                    part = [waiting.pop()]
                    while part[-1] != node:
                        part.append(waiting.pop())
                    is_waiting.difference_update(part)
                    if len(part) > 1:
                        parts.append(part)
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
    return parts

"""Cycles: each once, as a path, and found however long."""
import random
from typing import List, Set, Tuple

import pytest

from config.cycles import MAX_CYCLES, find_cycles


@pytest.mark.parametrize("dependencies, expected", [
    ([], []),
    ([[], [0], [1]], []),
    ([[1], [0]], [[0, 1]]),
    ([[1], [2], [0]], [[0, 1, 2]]),
    ([[2], [0], [1]], [[0, 2, 1]]),
    ([[1], [0], [3], [2]], [[0, 1], [2, 3]]),
    ([[1, 2], [0], [0]], [[0, 1], [0, 2]]),
    ([[1, 2], [2], [0]], [[0, 1, 2], [0, 2]]),
    ([[1], [2], [1], [0]], [[1, 2]]),
])
def test_cycles(dependencies: List[List[int]], expected: List[List[int]]) -> None:
    assert find_cycles(dependencies) == expected


def test_a_ring_of_a_hundred_thousand() -> None:
    count = 100000
    assert find_cycles([[(i + 1) % count] for i in range(count)]) == [list(range(count))]


def test_a_knot_is_cut_short() -> None:
    assert len(find_cycles([[j for j in range(60) if j != i] for i in range(60)])) == MAX_CYCLES


def reachable(dependencies: List[List[int]], start: int) -> Set[int]:
    """Everything that can be reached from the dependencies of a job."""
    seen: Set[int] = set()
    todo = list(dependencies[start])
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += dependencies[node]
    return seen


@pytest.mark.parametrize("seed", range(200))
def test_every_arrow_on_a_cycle_is_told(seed: int) -> None:
    rnd = random.Random(seed)
    count = rnd.randint(2, 12)
    dependencies = [sorted({rnd.randrange(count) for _ in range(rnd.randint(0, 2))} - {i}) for i in range(count)]
    cycles = find_cycles(dependencies)
    told: Set[Tuple[int, int]] = set()
    for cycle in cycles:
        assert len(set(cycle)) == len(cycle) and cycle[0] == min(cycle)
        for a, b in zip(cycle, cycle[1:] + cycle[:1]):
            assert b in dependencies[a]
            told.add((a, b))
    assert len(set(map(tuple, cycles))) == len(cycles)
    expected = {(a, b) for a in range(count) for b in dependencies[a] if a in reachable(dependencies, b) or a == b}
    assert told == expected

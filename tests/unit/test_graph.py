"""Order, paths, cycles and selections of a graph."""
import pytest

from jobs.exceptions import ConfigurationError, DependencyError
from jobs.graph import Graph, find_cycles, select
from jobs.models import Dependency, Job

DIAMOND = [("load", "extract"), ("extract",), ("report", "load", "clean"), ("clean", "extract"), ("alone",)]


def jobs_of(rows, **tags):
    return [Job(id=row[0], command="true", dependencies=tuple(Dependency(need) for need in row[1:]),
                tags=tuple(tags.get(row[0], ()))) for row in rows]


def test_order_levels_and_critical_path():
    graph = Graph(jobs_of(DIAMOND))
    order = [graph.ids[p] for p in graph.order]
    assert order.index("extract") < order.index("load") < order.index("report")
    assert [[graph.ids[p] for p in level] for level in graph.levels()] == [
        ["extract", "alone"], ["load", "clean"], ["report"]]
    assert [graph.ids[p] for p in graph.critical_path()] == ["extract", "load", "report"]
    graph.weigh({"clean": 100.0}, 1.0)
    assert [graph.ids[p] for p in graph.critical_path()] == ["extract", "clean", "report"]


def test_a_missing_dependency_and_a_cycle_are_named():
    with pytest.raises(DependencyError, match="job a: no job has the id 'nope'"):
        Graph(jobs_of([("a", "nope")]))
    with pytest.raises(DependencyError, match="dependency cycle: a -> c -> b -> a|dependency cycle: a -> b -> c -> a"):
        Graph(jobs_of([("a", "c"), ("b", "a"), ("c", "b"), ("d", "a")]))


def test_each_cycle_is_found_once_and_in_the_order_of_running():
    assert find_cycles([[1], [0], [0], [4], [3]]) == [[0, 1], [3, 4]]
    assert find_cycles([[2], [0], [1]]) == [[0, 1, 2]]
    assert find_cycles([[0]]) == [[0]]
    assert find_cycles([[], [0], [0, 1]]) == []


def test_a_chain_of_100000_needs_no_recursion():
    count = 100000
    assert find_cycles([[n - 1] if n else [count - 1] for n in range(count)])[0][:2] == [0, 1]


def chosen(rows, **options):
    tags = options.pop("tags_of", {})
    jobs = jobs_of(rows, **tags)
    graph = Graph(jobs)
    selection = select(jobs, graph, **options)
    return sorted(graph.ids[p] for p in selection.chosen), sorted(graph.ids[p] for p in selection.skipped)


@pytest.mark.parametrize("options, expected", (
    ({}, ["alone", "clean", "extract", "load", "report"]),
    ({"only": ["load", "alone"]}, ["alone", "load"]),
    ({"start_from": ["load"]}, ["load", "report"]),
    ({"until": ["load"]}, ["extract", "load"]),
    ({"start_from": ["load"], "until": ["report"]}, ["load", "report"]),
    ({"downstream_of": ["extract"]}, ["clean", "load", "report"]),
    ({"tags": ["night"], "tags_of": {"load": ["night"], "alone": ["night", "x"]}}, ["alone", "load"]),
))
def test_selections(options, expected):
    assert chosen(DIAMOND, **options)[0] == expected


def test_skip_is_taken_out_and_counted():
    assert chosen(DIAMOND, skip=["clean"]) == (["alone", "extract", "load", "report"], ["clean"])


@pytest.mark.parametrize("options, message", (
    ({"only": ["laod"]}, r'--only: no job has the id "laod" \(did you mean "load"\?\)'),
    ({"tags": ["x"]}, '--tag: no job has the tag "x"'),
    ({"only": ["load"], "skip": ["load"]}, "nothing to run"),
))
def test_bad_selections(options, message):
    with pytest.raises(ConfigurationError, match=message):
        chosen(DIAMOND, **options)

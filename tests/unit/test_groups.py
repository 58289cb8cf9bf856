"""Ids that mean several jobs: who belongs to them, and what waiting for them means."""
import itertools
import random

import pytest

from executioner.aftermath import watched_jobs
from jobs.attempts import file_stem
from jobs.exceptions import DependencyError
from jobs.graph import Graph, select
from jobs.group_ids import about, groups_of, in_shell, is_inside, members_by_group, named
from jobs.models import Deadline
from jobs.scheduler import Given
from monitoring.deadlines import Watched, expected_ends
from scheduler_case import Play, job


def test_groups_of_ids():
    assert groups_of("a") == []
    assert groups_of("a[x/y]") == ["a"]
    assert groups_of("n[e/1]/l[a,b]") == ["n", "n[e/1]", "n[e/1]/l"]
    assert groups_of("a/b/c") == ["a", "a/b"]
    assert is_inside("a/b", "a") and is_inside("a[x]/b", "a") and not is_inside("a[x/y]", "a")
    assert not is_inside("a/b[x]", "a/b")
    assert members_by_group(["a[1]", "b", "a[2]", "c/d"]) == {"a": ["a[1]", "a[2]"], "c": ["c/d"]}
    assert named("a", ["a[1]", "b"]) == ["a[1]"] and named("b", ["b", "b[x]"]) == ["b"] and named("x", ["a"]) == []
    said = {"a": 1, "a[x]/c": 2}
    assert [about(one, said) for one in ("a", "a[x]", "a[x]/b", "a[x]/c", "a[x]/c[y]", "b")] == [1, 1, 1, 2, 2, None]


def ids(graph, positions):
    return [graph.ids[position] for position in positions]


def test_the_graph_of_groups():
    jobs = [job("a[1]"), job("a[2]"), job("b[1]", "a"), job("b[2]", "a"), job("c", "b"), job("d", "a[1]")]
    graph = Graph(jobs)
    assert graph.groups == ["a", "b"]
    assert ids(graph, graph.order) == ["a[1]", "a[2]", "d", "b[1]", "b[2]", "c"]
    assert [ids(graph, level) for level in graph.levels()] == [["a[1]", "a[2]"], ["b[1]", "b[2]", "d"], ["c"]]
    assert ids(graph, graph.critical_path()) == ["a[1]", "b[1]", "c"]
    assert sorted(ids(graph, graph.downstream([1]))) == ["a[2]", "b[1]", "b[2]", "c"]
    assert sorted(ids(graph, graph.upstream([4]))) == ["a[1]", "a[2]", "b[1]", "b[2]", "c"]
    graph.weigh({"a[2]": 9.0}, 1.0)
    assert ids(graph, graph.critical_path()) == ["a[2]", "b[1]", "c"]
    with pytest.raises(DependencyError, match="job x: no job has the id 'c'"):
        Graph([job("a[1]"), job("x", "c")])
    with pytest.raises(DependencyError, match=r"dependency cycle: a\[1\] -> b -> a\[1\]"):
        Graph([job("a[1]", "b"), job("a[2]"), job("b", "a")])


def test_groups_can_be_selected():
    jobs = [job("a[1]"), job("a[2]"), job("b", "a"), job("c")]
    graph = Graph(jobs)
    assert sorted(ids(graph, select(jobs, graph, only=["a"]).chosen)) == ["a[1]", "a[2]"]
    assert sorted(ids(graph, select(jobs, graph, start_from=["a"]).chosen)) == ["a[1]", "a[2]", "b"]
    assert sorted(ids(graph, select(jobs, graph, until=["b"], skip=["a[1]"]).chosen)) == ["a[2]", "b"]
    assert sorted(ids(graph, select(jobs, graph, skip=["a"]).chosen)) == ["b", "c"]


def test_many_by_many_are_few_arrows():
    jobs = [job("a[%d]" % n) for n in range(3000)] + [job("b[%d]" % n, "a") for n in range(3000)]
    graph = Graph(jobs)
    assert sum(map(len, graph.dependencies)) == 6000
    play = Play(*jobs, slots=10000)
    for name in play.ready():
        play.end(name, "ok")
    assert len(play.ready()) == 3000


def test_success_waits_for_all_of_them():
    play = Play(job("a[1]"), job("a[2]"), job("b", "a"))
    assert play.ready() == ["a[1]", "a[2]"]
    play.end("a[1]", "ok")
    assert play.ready() == []
    play.end("a[2]", "ok")
    assert play.ready() == ["b"]


@pytest.mark.parametrize("first, second, expected", [
    ("ok", "fail", "BLOCKED"), ("fail", "ok", "BLOCKED"), ("lost", "ok", "BLOCKED"), ("fail", "fail", "BLOCKED")])
def test_one_failure_blocks(first, second, expected):
    play = Play(job("a[1]"), job("a[2]"), job("b", "a"), continue_on_error=True)
    play.ready()
    play.end("a[1]", first)
    play.end("a[2]", second)
    assert play.finals["b"] == expected
    blamed = "a[1]" if first != "ok" else "a[2]"
    assert [one.reason for one in play.scheduler.take_finished() if one.position == 2] == [
        "needs %s, which ended %s" % (blamed, play.finals[blamed])]


def test_a_failure_of_any_is_a_failure_of_the_group():
    for ends, expected in ((("ok", "ok"), "SKIPPED"), (("fail", "ok"), None), (("ok", "fail"), None), (("fail",) * 2, None)):
        play = Play(job("a[1]"), job("a[2]"), job("alarm", "a:failure"), continue_on_error=True)
        play.ready()
        for name, how in zip(("a[1]", "a[2]"), ends):
            assert play.ready() == []
            play.end(name, how)
        assert play.finals.get("alarm") == expected
        assert play.ready() == ([] if expected else ["alarm"])


@pytest.mark.parametrize("when", ["success", "failure", "done", "skipped"])
@pytest.mark.parametrize("end", ["ok", "fail", "timeout", "lost", "blocked", "skipped", "cancelled"])
@pytest.mark.parametrize("name", ["one", "one[x]", "one/x"])
def test_a_group_of_one_means_what_a_plain_job_means(name, end, when):
    """However it ends: a failure that is asked for is not met by what was only BLOCKED."""
    given = {"blocked": "BLOCKED", "skipped": "SKIPPED", "cancelled": "CANCELLED"}
    finals = []
    for one in ("one", name):
        play = Play(job(one), job("after", "one:" + when), continue_on_error=True,
                    given={0: Given(given[end], "so it is")} if end in given else None)
        ready = play.ready()
        if end not in given:
            play.end(one, end)
            ready = play.ready()
        finals.append((ready, play.finals.get("after")))
    assert finals[0] == finals[1]
    if (end, when) == ("blocked", "failure"):
        assert finals[0] == ([], "SKIPPED")


def test_join_counts_a_group_once():
    play = Play(job("a[1]"), job("a[2]"), job("b"), job("c", "a", "b", join=1), job("d", "a", "b", join=2))
    play.ready()
    play.end("a[1]", "ok")
    assert play.ready() == []
    play.end("a[2]", "ok")
    assert play.ready() == ["c"]
    play.end("b", "ok")
    assert play.ready() == ["d"]


def test_a_forgiven_failure_inside_a_configuration_is_none_of_it():
    for name, alarm in (("a[1]", None), ("a/x", "SKIPPED")):
        play = Play(job(name, allow_failure=True), job("b", "a"), job("alarm", "a:failure"))
        play.ready()
        play.end(name, "fail")
        assert play.finals.get("alarm") == alarm
        assert "b" in play.ready()


def test_what_is_not_selected_counts_as_met():
    left_out = Given("SKIPPED", "not selected", True)
    play = Play(job("a[1]"), job("a[2]"), job("b", "a"), job("c", "a:failure"), given={0: left_out, 1: left_out})
    assert play.ready() == ["b", "c"]
    play = Play(job("a[1]"), job("a[2]"), job("b", "a"), job("c", "a:failure"), given={0: left_out})
    assert play.ready() == ["a[2]"]
    play.end("a[2]", "ok")
    assert play.ready() == ["b"] and play.finals["c"] == "SKIPPED"


def test_skipped_means_all_of_them():
    skipped = Given("SKIPPED", "skipped by --skip")
    play = Play(job("a[1]"), job("a[2]"), job("b", "a:skipped"), given={0: skipped, 1: skipped})
    assert play.ready() == ["b"]
    play = Play(job("a[1]"), job("a[2]"), job("b", "a:skipped"), given={0: skipped})
    play.ready()
    play.end("a[2]", "ok")
    assert play.finals["b"] == "SKIPPED"


def test_nothing_to_do_ends_at_its_turn():
    play = Play(job("x"), job("a", "x", nothing_to_do="for_each has no items"), job("b", "a"))
    assert play.ready() == ["x"] and "a" not in play.finals
    play.end("x", "ok")
    assert play.finals["a"] == "SKIPPED" and play.ready() == ["b"]
    play = Play(job("a", nothing_to_do="for_each has no items"), job("b", "a"))
    assert play.finals == {"a": "SKIPPED"} and play.ready() == ["b"]
    play = Play(job("x"), job("a", "x", nothing_to_do="nothing"), job("b", "a"))
    play.ready()
    play.end("x", "fail")
    assert play.finals == {"x": "FAILED", "a": "BLOCKED", "b": "BLOCKED"}


def random_jobs(random_, expanded):
    """Layers of groups; each waits for some groups before it, whole or by each member."""
    jobs, layers = [], []
    for layer in range(5):
        members = ["g%d[%d]" % (layer, number) for number in range(random_.randint(1, 4))]
        wanted = [(other, random_.choice(["success", "success", "done"]))
                  for other in range(layer) if random_.random() < 0.6]
        for name in members:
            needs = ["%s:%s" % (one, when) for other, when in wanted
                     for one in (layers[other] if expanded else ["g%d" % other])]
            jobs.append(job(name, *needs, allow_failure=random_.random() < 0.2))
        layers.append(members)
    return jobs


@pytest.mark.parametrize("seed", range(60))
def test_a_group_means_what_all_its_members_mean(seed):
    finals = []
    for expanded in (False, True):
        play = Play(*random_jobs(random.Random(seed), expanded), continue_on_error=seed % 2 == 0, slots=2)
        how = random.Random(seed + 1)
        ends = {one.id: how.choice(["ok", "ok", "ok", "fail", "lost", "timeout"]) for one in play.jobs}
        for _ in itertools.count():
            ready = play.ready()
            running = [one.id for p, one in enumerate(play.jobs) if play.scheduler.is_in_flight(p)]
            if not running:
                assert not ready
                break
            play.end(running[0], ends[running[0]])
        assert play.scheduler.is_over
        finals.append((play.finals, play.scheduler.verdict()))
    assert finals[0] == finals[1]


def test_a_deadline_behind_a_group():
    jobs = [job("x"), job("a[1]", "x"), job("a[2]"), job("b", "a", deadline=Deadline(after_s=60.0)), job("c")]
    watched = [Watched(str(one[0]), tuple(one[1]), 160.0 if one[2] else None) for one in watched_jobs(jobs)]
    assert {one.job_id: one.needs for one in watched} == {"a": ("a[1]", "a[2]"), "x": (), "a[1]": ("x",), "a[2]": (), "b": ("a",)}
    ends = expected_ends(watched, {}, {"x": 5.0, "a[1]": 10.0, "a[2]": 40.0, "b": 3.0}, 100.0)
    assert ends["b"].end_at == 143.0 and ends["a"].end_at == 140.0
    assert ends["b"].why == ("a[2] has not begun and usually takes 40 s", "b has not begun and usually takes 3.0 s")


def test_ids_as_they_are_typed():
    assert [in_shell(one) for one in ("a.b:c-d", "n/a", "a[x]", "n[a b]/c")] == ["a.b:c-d", "n/a", "'a[x]'", "'n[a b]/c'"]


def test_files_of_made_jobs():
    assert file_stem("a.b-1") == "a.b-1"
    assert file_stem("a[x/y z]") == "a[x%2Fy%20z]"
    long = [file_stem("a[%s%d]" % ("\u00e9" * 60, number)) for number in range(100)]
    assert len(set(long)) == 100 and max(map(len, long)) < 200

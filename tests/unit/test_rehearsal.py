"""Rehearsals: what would run, by the engine itself."""
from executioner.rehearsal import rehearse
from jobs.graph import Graph
from jobs.models import Check, Dependency, Job, Pipeline


def test_checks_before_and_after_a_job_count_as_passed():
    jobs = [Job(id="a", command="true", pre_checks=(Check("check_file_exists", {"path": "/x"}),)),
            Job(id="b", command="true", dependencies=(Dependency("a"),), post_checks=(Check("check_command", {}),))]
    found = rehearse(Pipeline(application="x", jobs=jobs), Graph(jobs), {}, {"a": 2.0, "b": 3.0})
    assert [(step.position, step.starts_s) for step in found.steps] == [(0, 0.0), (1, 2.0)]
    assert found.left_out == {}
    assert found.duration_s == 5.0

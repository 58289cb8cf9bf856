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


def test_jobs_of_a_pool_take_turns():
    jobs = [Job(id=name, command="true", pool="tape", pool_slots=slots)
            for name, slots in (("a", 2), ("b", 1), ("c", 1), ("d", 2))] + [Job(id="free", command="true")]
    pipeline = Pipeline(application="x", jobs=jobs, parallel=True, max_workers=8, pools={"tape": 2})
    hour = 3600.0
    found = rehearse(pipeline, Graph(jobs), {}, {"a": hour, "b": hour, "c": hour, "d": hour, "free": hour})
    assert {jobs[step.position].id: step.starts_s for step in found.steps} == {
        "a": 0.0, "b": hour, "c": hour, "d": 2 * hour, "free": 0.0}
    assert found.duration_s == 3 * hour

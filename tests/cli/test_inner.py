"""``config`` of a job with the real command: its jobs in this run, what waits for it, and what a resume runs."""
import json
import os
import time
from typing import Any, Dict, List

import pytest

from cli_case import Case, Result


def statuses(result: Result) -> Dict[str, str]:
    """The status of every job."""
    return {job["job_id"]: job["status"] for job in result.json()["jobs"]}


def lines(case: Case) -> List[str]:
    """What ran, in order."""
    with open(case.path("ran"), encoding="utf-8") as file:
        return file.read().splitlines()


def says(text: str, **more: Any) -> Dict[str, Any]:
    """A job that writes down that it ran."""
    return dict({"id": text, "command": "echo %s >> %s" % (text, "$RAN")}, **more)


def files(case: Case, inner: List[Dict[str, Any]], *outer: Dict[str, Any], **top: Any) -> Case:
    """An outer file, whose job ``n`` runs an inner one in a folder below."""
    os.makedirs(case.path("in"), exist_ok=True)
    case.config({"application_name": "inner", "jobs": inner}, os.path.join("in", "i.json"))
    return case.jobs(*outer, env_variables={"RAN": case.path("ran")}, **top)


def test_its_jobs_are_jobs_of_this_run(case: Case) -> None:
    files(case, [says("a"), says("b", dependencies=["a"])], says("pre"), {"id": "n", "config": "in/i.json", "dependencies": ["pre"]},
          says("post", dependencies=["n"]))
    result = case.run("run", "config.json", "--json").expect(0)
    assert statuses(result) == {"pre": "SUCCESS", "n/a": "SUCCESS", "n/b": "SUCCESS", "post": "SUCCESS"}
    assert lines(case) == ["pre", "a", "b", "post"]
    assert result.json()["application"] == "app"
    assert [run["application"] for run in case.run("runs", "--json").expect(0).json()] == ["app"]
    plan = case.run("plan", "config.json", "--json").expect(0).json()
    assert [(job["job_id"], [needed["job"] for needed in job["needs"]]) for job in plan["jobs"]] == [
        ("pre", []), ("n/a", ["pre"]), ("n/b", ["n/a"]), ("post", ["n"])]
    assert "n/b" in case.run("show", "1").expect(0).out
    case.run("logs", "1", "n/b").expect(0)
    # The inner file alone.
    os.unlink(case.path("ran"))
    case.run("run", "in/i.json", env={"RAN": case.path("ran")}).expect(0)
    assert lines(case) == ["a", "b"]


def test_a_failure_inside_blocks_what_waits_and_a_resume_runs_the_rest(case: Case) -> None:
    inner = [says("a"), {"id": "b", "command": "echo b >> $RAN; test -e ../good", "dependencies": ["a"]}, says("c", dependencies=["b"]),
             says("told", dependencies=[{"job": "b", "when": "failure"}])]
    files(case, inner, {"id": "n", "config": "in/i.json"}, says("post", dependencies=["n"]),
          says("alarm", dependencies=[{"job": "n", "when": "failure"}]), says("always", dependencies=[{"job": "n", "when": "done"}]))
    result = case.run("run", "config.json", "--json").expect(1)
    assert statuses(result) == {"n/a": "SUCCESS", "n/b": "FAILED", "n/c": "BLOCKED", "n/told": "SUCCESS", "post": "BLOCKED",
                                "alarm": "SUCCESS", "always": "SUCCESS"}
    assert "needs n/b, which ended FAILED" in result.raw_out.decode()
    # The inner file is another one meanwhile, then gone: what was planned is what is run.
    case.file("good", "").config({"jobs": [says("other")]}, os.path.join("in", "i.json"))
    result = case.run("run", "config.json", "--resume", "last", "--dry-run", "--json").expect(0)
    assert [job["job_id"] for job in result.json()["jobs"] if job["status"] == "PENDING"] == ["n/b", "n/c", "post"]
    result = case.run("run", "config.json", "--resume", "last", "--json").expect(0)
    assert statuses(result)["post"] == "SUCCESS" and "the configuration that job n runs was changed" in result.err
    assert lines(case)[-3:] == ["b", "c", "post"]
    result = case.run("run", "config.json", "--json").expect(0)
    assert statuses(result) == {"n/other": "SUCCESS", "post": "SUCCESS", "alarm": "SKIPPED", "always": "SUCCESS"}


def test_nothing_inside_starts_where_what_it_waits_for_failed(case: Case) -> None:
    files(case, [says("a"), says("clean", dependencies=[{"job": "a", "when": "done"}]), says("b", dependencies=["clean"])],
          {"id": "pre", "command": "false"}, {"id": "n", "config": "in/i.json", "dependencies": ["pre"]}, continue_on_error=True)
    result = case.run("run", "config.json", "--json").expect(1)
    assert statuses(result) == {"pre": "FAILED", "n/a": "BLOCKED", "n/clean": "BLOCKED", "n/b": "BLOCKED"}
    assert not os.path.exists(case.path("ran"))


def test_a_configuration_cleans_up_after_a_failure(case: Case) -> None:
    files(case, [says("a"), says("b", dependencies=["a"])], {"id": "load", "command": "false"}, says("other"),
          {"id": "recover", "config": "in/i.json", "dependencies": [{"job": "load", "when": "failure"}]})
    result = case.run("run", "config.json", "--json").expect(1)
    assert statuses(result) == {"load": "FAILED", "other": "CANCELLED", "recover/a": "SUCCESS", "recover/b": "SUCCESS"}
    assert lines(case) == ["a", "b"]


def test_one_run_of_a_file_for_each_item(case: Case) -> None:
    files(case, [{"id": "a", "command": "echo \"$REGION ${EXECUTIONER_ITEM}\" >> $RAN; test \"$REGION\" != 'so uth' || test -e ../good"},
                 says("b", dependencies=["a"])],
          {"id": "n", "config": "in/i.json", "for_each": ["north", "so uth"], "env_variables": {"REGION": "${item}"}},
          says("post", dependencies=["n"]), says("one", dependencies=["n[north]"]), continue_on_error=True)
    result = case.run("run", "config.json", "--json").expect(1)
    assert statuses(result) == {"n[north]/a": "SUCCESS", "n[north]/b": "SUCCESS", "n[so uth]/a": "FAILED", "n[so uth]/b": "BLOCKED",
                                "post": "BLOCKED", "one": "SUCCESS"}
    case.file("good", "")
    assert set(statuses(case.run("run", "config.json", "--resume", "last", "--json").expect(0)).values()) == {"SUCCESS"}
    assert lines(case) == ["north north", "so uth so uth", "b", "one", "so uth so uth", "b", "post"]


@pytest.mark.slow
def test_the_outer_id_in_options_and_acts(case: Case) -> None:
    files(case, [says("a"), says("b", dependencies=["a"])], says("pre"), {"id": "n", "config": "in/i.json", "dependencies": ["pre"]},
          says("post", dependencies=["n"]))

    def ran(*words: str) -> List[str]:
        if os.path.exists(case.path("ran")):
            os.unlink(case.path("ran"))
        case.run("run", "config.json", *words).expect(0)
        return lines(case)

    assert ran("--only", "n") == ["a", "b"]
    assert ran("--only", "n/b,post") == ["b", "post"]
    assert ran("--from", "n/b") == ["b", "post"]
    assert ran("--until", "n") == ["pre", "a", "b"]
    assert ran("--skip", "n") == ["pre", "post"]
    case.run("hold", "app", "n").expect(0, "n of app is held\n")
    assert statuses(case.run("run", "config.json", "--json").expect(1)) == {"pre": "SUCCESS", "n/a": "BLOCKED", "n/b": "BLOCKED", "post": "BLOCKED"}
    case.run("release", "app", "n").expect(0)
    case.run("mark-success", "6", "n", "--because", "by hand").expect(0)
    result = case.run("run", "config.json", "--resume", "6", "--json").expect(0)
    assert [job["attempts"] for job in result.json()["jobs"]] == [0, 0, 0, 1]


def test_secrets_of_an_inner_file(case: Case) -> None:
    job: Dict[str, Any] = {"id": "a", "command": "test \"$API_TOKEN\" = good-secret-value && test -e ../good",
                           "env_variables": {"API_TOKEN": "good-secret-value"}}
    files(case, [job], {"id": "n", "config": "in/i.json"})
    case.run("run", "config.json").expect(1)
    for name in os.listdir(case.home):
        if os.path.isfile(os.path.join(case.home, name)):
            with open(os.path.join(case.home, name), "rb") as file:
                assert b"good-secret-value" not in file.read(), name
    # A change that makes the kept configuration needed: its secret comes from the file, where it still is.
    case.file("good", "").config({"jobs": [dict(job, env_variables={"API_TOKEN": "another-value"})]}, os.path.join("in", "i.json"))
    told = case.run("run", "config.json", "--resume", "last").expect(2).err
    assert "DIR/in/i.json: error E144 jobs[0].command: the secret value that was here is not in the file any more" in told
    case.config({"jobs": [dict(job, description="another one")]}, os.path.join("in", "i.json"))
    case.run("run", "config.json", "--resume", "last").expect(0)


def test_a_runner_that_dies_inside(case: Case) -> None:
    files(case, [{"id": "a", "command": "echo a >> $RAN; until test -e ../good; do sleep 0.05; done"}, says("b", dependencies=["a"])],
          {"id": "n", "config": "in/i.json"}, says("post", dependencies=["n"]))
    with case.background("run", "config.json") as process:
        deadline = time.monotonic() + 60
        while not os.path.exists(case.path("ran")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    os.unlink(case.path("in", "i.json"))
    case.file("in/i.json", json.dumps({"jobs": [says("other")]})).file("good", "")
    result = case.run("run", "config.json", "--resume", "last", "--json").expect(0)
    assert statuses(result) == {"n/a": "SUCCESS", "n/b": "SUCCESS", "post": "SUCCESS"}
    assert lines(case) == ["a", "b", "post"]


def test_problems_are_those_of_the_inner_file(case: Case) -> None:
    files(case, [{"id": "a", "command": "true", "timeout": 0}], {"id": "n", "config": "in/i.json"})
    for command in ("validate", "plan", "run"):
        result = case.run(command, "config.json").expect(2)
        assert "in/i.json:1:82: error E104 jobs[0].timeout: must be a positive duration, got 0" in result.out + result.err
    found = case.run("validate", "config.json", "--json").expect(2).json()
    assert [(one["file"], one["line"], one["code"]) for one in found] == [("in/i.json", 1, "E104")]
    assert not os.path.exists(case.home)


def test_defaults_of_the_outer_file_reach_the_inner_jobs_as_variables_of_the_outer_job(case: Case) -> None:
    """With the outer file's values in place of ``${...}``; nothing else of them does."""
    case.config({"jobs": [{"id": "j", "command": "echo A=$A p=${EXECUTIONER_PARAM_p}; sleep 0.6"}]}, "inner.json")
    case.config({"application_name": "app", "env_variables": {"B": "bee"}, "parameters": {"p": {"default": "par"}},
                 "defaults": {"env_variables": {"A": "${B}-${params.p}"}, "timeout": 0.5},
                 "jobs": [{"id": "in", "config": "inner.json"}]})
    case.run("run", "config.json").expect(0)
    assert b"A=bee-par p=par" in case.run("logs", "last", "in/j").raw_out

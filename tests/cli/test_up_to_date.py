"""``inputs`` and ``products``: jobs that need not run, with the real command."""
import json
import os
import subprocess
import time
from typing import Any, Dict, List

import pytest
from cli_case import Case

JOIN = {"id": "join", "command": "echo ran >> log; cat in/*.csv > out.txt", "inputs": ["in/*.csv", "head.txt"], "products": ["out.txt"]}


def by_id(document: Dict[str, Any]) -> Dict[str, Dict[str, Any]]:
    """Each job of the document."""
    return {job["job_id"]: job for job in document["jobs"]}


def touch(case: Case, name: str, age_s: float) -> None:
    """Make a file, or change when it was changed."""
    path = case.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.isdir(path):
        with open(path, "a"):
            pass
    at = time.time() - age_s
    os.utime(path, (at, at))


def logged(case: Case, level: str) -> List[str]:
    """Messages of the log."""
    with open(os.path.join(case.home, "logs", "executioner.jsonl")) as file:
        return [record["message"] for record in map(json.loads, file) if record["level"] == level]


@pytest.fixture
def files(case: Case) -> Case:
    """A case with two inputs and a header, an hour old."""
    for name in ("in/a.csv", "in/b.csv", "head.txt"):
        touch(case, name, 3600)
    return case


def run(case: Case, *words: str, code: int = 0) -> Dict[str, Any]:
    """The only job after a run."""
    job, = case.run("run", "config.json", "--json", *words).expect(code).json()["jobs"]
    assert isinstance(job, dict)
    return job


def test_a_job_runs_only_where_something_is_newer(files: Case) -> None:
    files.jobs(JOIN)
    assert run(files)["status"] == "SUCCESS"  # there is no product
    skipped = run(files)
    assert (skipped["status"], skipped["attempts"]) == ("SKIPPED", 0)
    assert skipped["reason"] == "up to date: %s is no older than its 3 inputs" % files.path("out.txt")
    assert run(files, "--force")["status"] == "SUCCESS"
    for name in ("in/a.csv", "in/c.csv", "head.txt"):  # a changed one, a new one, one without a pattern
        touch(files, "out.txt", 100)
        assert run(files)["status"] == "SKIPPED"
        touch(files, name, 50)
        assert run(files)["status"] == "SUCCESS"
        touch(files, "out.txt", 40)
        assert run(files)["status"] == "SKIPPED"
        touch(files, name, 3600)
    touch(files, "in/a.csv", 0)
    os.utime(files.path("out.txt"), ns=(os.stat(files.path("in/a.csv")).st_mtime_ns,) * 2)
    assert run(files)["status"] == "SKIPPED"  # as old is not older
    os.unlink(files.path("head.txt"))
    assert run(files)["status"] == "SUCCESS"
    with open(files.path("log")) as log:
        assert len(log.readlines()) == 6
    info = logged(files, "INFO")
    assert "join: it is not up to date: there is no %s, its product" % files.path("out.txt") in info
    assert "join: it is not up to date: there is no %s, its input" % files.path("head.txt") in info
    assert "join: it is not up to date: its input %s is newer than its product %s" % (
        files.path("in/a.csv"), files.path("out.txt")) in info


@pytest.mark.slow
def test_an_attempt_that_broke_off_leaves_nothing_to_be_trusted(files: Case) -> None:
    files.jobs(dict(JOIN, command="echo half > out.txt; test -e good"))
    assert run(files, code=1)["status"] == "FAILED"
    # The product is newer than all inputs, and wrong.
    assert run(files, code=1)["status"] == "FAILED"
    assert "join: it is not up to date: its last attempt, in run 1, ended FAILED" in logged(files, "INFO")
    assert "join: it is not up to date: its last attempt" not in files.run("plan", "config.json").expect(0).out
    files.file("good", "")
    resumed, = files.run("run", "config.json", "--resume", "last", "--json").expect(0).json()["jobs"]
    assert resumed["status"] == "SUCCESS"
    assert run(files)["status"] == "SKIPPED"
    os.unlink(files.path("good"))
    touch(files, "in/a.csv", -5)
    assert run(files, code=1)["status"] == "FAILED"
    files.run("mark-success", "last", "join", "--because", "made by hand").expect(0)
    touch(files, "out.txt", -10)
    assert run(files)["status"] == "SKIPPED"


def test_a_killed_runner_and_its_job_leave_nothing_to_be_trusted(files: Case) -> None:
    files.jobs(dict(JOIN, command="echo half > out.txt; echo $$ > pid; test -e good || exec sleep 300"), on_runner_death="kill")
    with files.background("run", "config.json", stderr=subprocess.DEVNULL) as runner:
        deadline = time.monotonic() + 60
        while not os.path.exists(files.path("pid")):
            assert time.monotonic() < deadline and runner.poll() is None
            time.sleep(0.01)
        runner.kill()
    files.file("good", "")
    assert run(files)["status"] == "SUCCESS"
    assert run(files)["status"] == "SKIPPED"


def test_it_is_looked_at_when_the_job_is_ready(files: Case) -> None:
    files.jobs({"id": "make", "command": "sleep 0.05; touch in/a.csv"},
               dict(JOIN, dependencies=["make"], pre_checks=[{"name": "check_file_exists", "params": {"path": "never"}}]),
               {"id": "late", "command": "true", "dependencies": ["join"], "inputs": ["out.txt"], "products": ["late.txt"]})
    touch(files, "out.txt", 0)
    document = files.run("run", "config.json", "--json").expect(1).json()
    assert by_id(document)["join"]["reason"] == "check_file_exists: no file %s" % files.path("never")
    touch(files, "out.txt", -5)  # up to date now, and nobody knows whether it is after make
    plan = files.run("plan", "config.json", "--json").expect(0).json()
    assert [job["job_id"] for job in plan["jobs"]] == ["make", "join", "late"]
    assert plan["jobs"][1]["why"] == "needs make; may be up to date by then"
    # Where nothing runs before it, pre-checks are not asked of what need not run.
    touch(files, "out.txt", 0)
    document = files.run("run", "config.json", "--only", "join", "--json").expect(0).json()
    assert by_id(document)["join"]["status"] == "SKIPPED"


def test_what_depends_on_it_goes_on(files: Case) -> None:
    touch(files, "out.txt", 0)
    files.jobs(JOIN, {"id": "after", "command": "touch after", "dependencies": ["join"]},
               {"id": "skipped", "command": "touch skipped", "dependencies": [{"job": "join", "when": "skipped"}]})
    files.run("run", "config.json").expect(0, "", "")
    assert os.path.exists(files.path("after")) and os.path.exists(files.path("skipped"))


def test_plan_and_dry_run_show_it(files: Case) -> None:
    touch(files, "out.txt", 0)
    files.jobs(JOIN, {"id": "after", "command": "touch after", "dependencies": ["join"]})
    reason = "up to date: %s is no older than its 3 inputs" % files.path("out.txt")
    for words in (("plan", "config.json"), ("run", "config.json", "--dry-run")):
        shown = files.run(*words).expect(0)
        assert reason in shown.raw_out.decode(), shown.out
        assert reason not in files.run(*words + ("--force",)).expect(0).raw_out.decode()
    assert not os.path.exists(files.path("after"))


def test_a_product_that_was_not_made_is_a_warning(files: Case) -> None:
    files.jobs(dict(JOIN, command="true", products=["out.txt", "more/*.txt"], outputs=["n"],
                    post_checks=[{"name": "check_output_lacks", "params": {"text": "x"}}]),
               {"id": "only", "command": "true", "products": ["only.txt"]},
               {"id": "told", "command": "echo n=1 > $EXECUTIONER_OUTPUT; touch told", "products": ["told"], "outputs": ["n"]},
               {"id": "uses", "command": "test ${jobs.told.outputs.n} = 1", "dependencies": ["told"]}, continue_on_error=True)
    jobs = by_id(files.run("run", "config.json", "--json").expect(1).json())
    assert {name: job["status"] for name, job in jobs.items()} == {
        "join": "FAILED", "only": "SUCCESS", "told": "SUCCESS", "uses": "SUCCESS"}
    assert "did not write its output n" in jobs["join"]["reason"]
    warnings = logged(files, "WARNING")
    assert "only: it succeeded, but its products are not there: %s" % files.path("only.txt") in warnings
    assert "join: it succeeded, but its products are not there: %s, %s" % (files.path("out.txt"), files.path("more/*.txt")) in warnings
    assert not [line for line in warnings if line.startswith("told")]


def test_variables_references_folders_and_resume(files: Case) -> None:
    os.mkdir(files.path("made"))
    touch(files, "made/x.txt", 0)
    files.jobs({"id": "tell", "command": "echo name=x > $EXECUTIONER_OUTPUT", "outputs": ["name"]},
               {"id": "a", "command": "exit 3", "dependencies": ["tell"], "working_dir": "made", "env_variables": {"E": ".txt"},
                "inputs": ["../${WHERE}/?.csv", "../in"], "products": ["${jobs.tell.outputs.name}${E}"]},
               {"id": "b", "command": "test -e good", "dependencies": ["a"]}, env_variables={"WHERE": "in"})
    touch(files, "in", 3600)
    document = by_id(files.run("run", "config.json", "--json").expect(1).json())
    assert document["a"]["status"] == "SKIPPED" and document["b"]["status"] == "FAILED"
    files.file("good", "")
    document = by_id(files.run("run", "config.json", "--resume", "last", "--json").expect(0).json())
    assert document["a"]["status"] == "SKIPPED" and document["b"]["status"] == "SUCCESS"
    touch(files, "in", -5)  # the folder itself
    assert by_id(files.run("run", "config.json", "--json").expect(1).json())["a"]["exit_code"] == 3


def test_force_holds_in_a_resume(files: Case) -> None:
    touch(files, "out.txt", 0)
    files.jobs({"id": "first", "command": "test -e good"}, dict(JOIN, dependencies=["first"]))
    files.run("run", "config.json", "--force").expect(1)
    files.file("good", "")
    assert by_id(files.run("run", "config.json", "--resume", "last", "--json").expect(0).json())["join"]["status"] == "SUCCESS"


@pytest.mark.parametrize("job, line", [
    ({"inputs": "x"}, "error E103 jobs[0].inputs: must be a list of paths, got \"x\""),
    ({"inputs": [""], "products": ["x"]}, "error E105 jobs[0].inputs[0]: must not be empty"),
    ({"inputs": ["x"], "products": [5]}, "error E103 jobs[0].products[0]: must be a path, got 5"),
    ({"inputs": ["x"]}, "warning W107 jobs[0].inputs: without products the job is never up to date: it always runs"),
    ({"products": ["x"]}, "warning W107 jobs[0].products: without inputs the job is never up to date: it always runs"),
    ({"inputs": ["x"], "products": []}, "warning W107 jobs[0].inputs: without products"),
    ({"inputs": ["${NOPE}"], "products": ["x"]}, "warning W104 jobs[0].inputs[0]: nobody sets NOPE"),
    ({"inputs": ["${jobs.b.outputs.x}"], "products": ["x"]}, "error E125 jobs[0].inputs[0]: no job has the id"),
    ({"input": ["x"]}, 'error E108 jobs[0].input: unknown key; did you mean "inputs"?'),
])
def test_bad_values(case: Case, job: Dict[str, Any], line: str) -> None:
    case.jobs(dict(job, id="a", command="true"))
    done = case.run("validate", "config.json").expect(2 if line.startswith("error") else 0)
    assert line in done.out + done.err, done.out + done.err

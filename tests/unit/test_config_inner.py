"""``config`` of a job: what is said of bad inner files, and what the jobs of good ones become."""
# ruff: noqa: E501  (expected lines stay whole)
import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from api.graphs import arrows_of
from config_case import by_id, needs
from config.inner import kept_contents
from config.pipeline import Overrides, load_pipeline, validate_file
from config.stored import changes, load_stored
from config.validator_v2 import validate_job_config
from jobs.models import Job, Pipeline

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}


@pytest.fixture
def files(tmp_path: Path) -> "Files":
    """A folder for files that run each other."""
    return Files(tmp_path)


class Files:
    """Files that run each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: object) -> "Files":
        """One file; a list is its jobs."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"jobs": content} if isinstance(content, list) else content
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return self

    def problems(self, name: str = "o.json", **params: str) -> List[str]:
        """What is said of a file, without the folder."""
        found = validate_file(str(self.folder / name), ENVIRON, params=params).problems
        return [str(problem).replace(str(self.folder) + "/", "") for problem in found]

    def pipeline(self, name: str = "o.json", **overrides: Any) -> Pipeline:
        """The pipeline of a good file."""
        loaded = load_pipeline(str(self.folder / name), dict(ENVIRON, **overrides.pop("environ", {})), Overrides(**overrides))
        assert loaded.pipeline is not None, [str(one) for one in loaded.problems]
        return loaded.pipeline


def test_problems_of_inner_files_have_their_own_places(files: Files) -> None:
    files.write("o.json", '{"jobs": [\n{"id": "a", "config": "in/i.json"},\n{"id": "b", "config": "in/i.json", "dependencies": ["c"]}]}')
    files.write("in/i.json", '{"jobs": [{"id": "x",\n"command": "true", "timeout": -1},\n{"id": "y", "command": "true", "dependencies": ["z"]}]}')
    assert files.problems() == [
        'o.json:3:53: error E121 jobs[1].dependencies[0]: no job has the id "c"',
        'in/i.json:2:31: error E104 jobs[0].timeout: must be a positive duration, got -1',
        'in/i.json:3:49: error E121 jobs[1].dependencies[0]: no job has the id "z"']
    files.write("in/i.json", '{"jobs": [\n{]}')
    assert files.problems()[1:] == ['in/i.json:2:2: error E102 expected a key in double quotes, found "]"']
    files.write("in/i.json", '["x"]')
    assert files.problems()[1:] == ['in/i.json:1:1: error E103 must be an object, got a list']
    for content, line in (("null", "in/i.json:1:1: error E103 must be an object, got null"), ('"x"', "in/i.json:1:1: error E103 must be an object, got a string"),
                          ("{}", 'in/i.json:1:1: error E107 the key "jobs" is required'),
                          ('{"jobs": 5}', "in/i.json:1:10: error E103 jobs: must be a list of jobs, got 5"),
                          ('{"jobs": [5]}', "in/i.json:1:11: error E103 jobs[0]: must be an object, got 5"),
                          ('{"jobs": [{"id": "x", "config": 5}]}', "in/i.json:1:33: error E103 jobs[0].config: must be a path, got 5"),
                          ("", 'in/i.json:1:1: error E102 the file is empty; write at least {"jobs": [...]}')):
        assert files.write("in/i.json", content).problems()[1:] == [line]
    os.unlink(str(files.folder / "in" / "i.json"))
    os.mkfifo(str(files.folder / "in" / "i.json"))
    assert files.problems()[0] == 'o.json:2:23: error E157 jobs[0].config: cannot run "in/i.json": must be a regular file, it is a pipe'
    os.unlink(str(files.folder / "in" / "i.json"))
    assert files.problems()[0] == 'o.json:2:23: error E157 jobs[0].config: cannot run "in/i.json": cannot be read: No such file or directory'


def test_circles_and_depth(files: Files) -> None:
    files.write("o.json", [{"id": "a", "config": "./o.json"}])
    assert files.problems() == ['o.json:1:33: error E157 jobs[0].config: files run each other in a circle: o.json -> o.json']
    files.write("o.json", [{"id": "a", "config": "b.json"}]).write("b.json", [{"id": "a", "config": "c.json"}])
    files.write("c.json", [{"id": "a", "config": "link.json"}])
    os.symlink("b.json", str(files.folder / "link.json"))
    assert files.problems() == ['c.json:1:33: error E157 jobs[0].config: files run each other in a circle: b.json -> c.json -> b.json']
    for number in range(12):
        files.write("d%d.json" % number, [{"id": "a", "config": "d%d.json" % (number + 1)}])
    assert files.problems("d0.json") == ['d8.json:1:33: error E157 jobs[0].config: files run each other more than 8 deep']
    files.write("d8.json", [{"id": "a", "command": "true"}])
    assert [job.id for job in files.pipeline("d0.json").jobs] == ["/".join("a" * 9)]
    # The same file twice, side by side, is no circle.
    files.write("o.json", [{"id": "a", "config": "i.json"}, {"id": "b", "config": "i.json"}]).write("i.json", [{"id": "x", "command": "true"}])
    assert files.problems() == []


BESIDE = ["timeout", "max_retries", "working_dir", "stdin", "run_if", "pre_checks", "outputs", "pool", "allow_failure", "priority", "success_exit_codes"]
VALUES: Dict[str, object] = {"timeout": 5, "max_retries": 1, "working_dir": "/", "stdin": "x", "run_if": {"env": "X"}, "pre_checks": [],
                             "outputs": [], "pool": "p", "allow_failure": True, "priority": 1, "success_exit_codes": [0]}


@pytest.mark.parametrize("key", BESIDE)
def test_keys_that_do_not_go_with_config(files: Files, key: str) -> None:
    files.write("o.json", {"pools": {"p": 1}, "jobs": [{"id": "a", "config": "i.json", key: VALUES[key]}]}).write("i.json", [{"id": "x", "command": "true"}])
    assert [line.partition("error ")[2] for line in files.problems() if "error" in line] == [
        "E156 jobs[0].%s: does not go with config; the jobs of that file can say it" % key]


def test_command_and_config(files: Files) -> None:
    files.write("i.json", [{"id": "x", "command": "true"}])
    files.write("o.json", [{"id": "a", "config": "i.json", "command": "true"}, {"id": "b"}])
    assert files.problems() == ['o.json:1:43: error E156 jobs[0].command: does not go with config; a job has either',
                                'o.json:1:63: error E107 jobs[1]: the key "command" is required']
    files.write("o.json", {"defaults": {"config": "i.json"}, "jobs": [{"id": "a", "command": "true"}]})
    assert "E108 defaults.config: unknown key" in files.problems()[0]
    files.write("o.json", {"defaults": {"command": "false", "timeout": 7}, "jobs": [{"id": "a", "config": "i.json"}]})
    assert [(job.command, job.timeout_s) for job in files.pipeline().jobs] == [("true", 10800.0)]


RUN_KEYS: Dict[str, object] = {
    "run_timeout": 5, "overlap": "wait", "log_dir": "x", "database": "sqlite", "notifications": [], "retention": {}, "expect": 5,
    "email_address": "x@example.com", "smtp_port": 25, "features": {}, "on_orphan": "kill", "metrics_textfile": "x.prom",
    "status_page": "x.html"}


@pytest.mark.parametrize("key", sorted(RUN_KEYS))
def test_keys_of_a_run(files: Files, key: str) -> None:
    files.write("o.json", [{"id": "a", "config": "i.json"}]).write("i.json", {key: RUN_KEYS[key], "jobs": [{"id": "x", "command": "true"}]})
    errors = [line for line in files.problems() if ": error " in line]
    assert errors == ["i.json:1:2: error E156 %s: belongs to a run, and a job of another file runs this one; take it out, or say it in the "
                      "file that is run" % key]


def test_keys_that_the_outer_file_decides(files: Files) -> None:
    files.write("o.json", [{"id": "a", "config": "i.json"}])
    files.write("i.json", {"parallel": True, "max_workers": 3, "application_name": "i", "$schema": "x", "jobs": [{"id": "x", "command": "true"}]})
    assert [line.partition("warning ")[2] for line in files.problems()] == [
        "W107 %s: has no effect in a file that a job of another one runs" % key for key in ("parallel", "max_workers")]
    assert files.pipeline().application == "o" and not files.pipeline().parallel


def test_the_graph(files: Files) -> None:
    files.write("o.json", [{"id": "pre", "command": "true"}, {"id": "pre2", "command": "true"},
                           {"id": "n", "config": "i.json", "dependencies": ["pre", {"job": "pre2", "when": "done"}], "join": 1, "tags": ["t"]},
                           {"id": "post", "command": "true", "dependencies": ["n"]}, {"id": "mid", "command": "true", "dependencies": ["n/b"]}])
    files.write("i.json", [{"id": "a", "command": "true", "tags": ["u"]}, {"id": "a2", "command": "true", "join": "any"},
                           {"id": "b", "command": "true", "dependencies": ["a", "a2"], "join": "any"}])
    made = by_id(files.pipeline())
    assert list(made) == ["pre", "pre2", "n/a", "n/a2", "n/b", "post", "mid"]
    assert needs(made["n/a"]) == needs(made["n/a2"]) == ["pre", "pre2:done"]
    assert made["n/a"].join == made["n/a2"].join == 1 and made["n/b"].join == 1
    assert needs(made["n/b"]) == ["n/a", "n/a2"] and needs(made["post"]) == ["n"] and needs(made["mid"]) == ["n/b"]
    assert made["n/a"].tags == ("u", "t") and made["n/b"].tags == ("t",)


def test_nothing_inside_runs_where_the_outer_job_must_not(files: Files) -> None:
    files.write("o.json", [{"id": "pre", "command": "true"}, {"id": "n", "config": "i.json", "dependencies": ["pre"]}])
    files.write("i.json", [{"id": "a", "command": "true"}, {"id": "clean", "command": "true", "dependencies": [{"job": "a", "when": "done"}]},
                           {"id": "alarm", "command": "true", "dependencies": [{"job": "a", "when": "failure"}]}])
    made = by_id(files.pipeline())
    assert needs(made["n/clean"]) == ["n/a:done", "pre"] and needs(made["n/alarm"]) == ["n/a:failure"]
    assert made["n/clean"].is_cleanup and made["n/alarm"].is_cleanup and not made["n/a"].is_cleanup
    files.write("i.json", [{"id": "a", "command": "true"}, {"id": "b", "command": "true"},
                           {"id": "c", "command": "true", "dependencies": [{"job": "a", "when": "done"}, "b"], "join": 1}])
    assert files.problems() == ['o.json:1:67: error E156 jobs[1].config: the job "c" of the file asks for "done", which does not go with join, '
                                'since this job waits for others']


def test_a_configuration_that_cleans_up(files: Files) -> None:
    files.write("o.json", [{"id": "pre", "command": "true"}, {"id": "n", "config": "i.json", "dependencies": [{"job": "pre", "when": "failure"}]}])
    files.write("i.json", [{"id": "a", "command": "true"}, {"id": "b", "config": "j.json", "dependencies": ["a"]}]).write("j.json", [{"id": "c", "command": "true"}])
    assert {job.id: job.is_cleanup for job in files.pipeline().jobs} == {"pre": False, "n/a": True, "n/b/c": True}


def test_items_and_files(files: Files) -> None:
    files.write("o.json", [{"id": "n", "config": "i_${item}.json", "for_each": ["x", "y"], "env_variables": {"R": "<${item}>"}},
                           {"id": "p", "command": "echo ${jobs.n[x]/a.outputs.o}", "dependencies": ["n[x]", "n[y]/b"]}])
    for name in "xy":
        files.write("i_%s.json" % name, [{"id": "a", "command": "true", "outputs": ["o"]},
                                         {"id": "b", "for_each": ["1", "2"], "command": "echo ${item} ${jobs.a.outputs.o}", "dependencies": ["a"]}])
    made = by_id(files.pipeline())
    assert list(made) == ["n[x]/a", "n[x]/b[1]", "n[x]/b[2]", "n[y]/a", "n[y]/b[1]", "n[y]/b[2]", "p"]
    assert made["n[x]/b[1]"].command == "echo ${EXECUTIONER_ITEM} ${jobs.n[x]/a.outputs.o}"
    assert made["n[y]/b[2]"].environment["EXECUTIONER_ITEM"] == "2" and made["n[y]/a"].environment["EXECUTIONER_ITEM"] == "y"
    assert made["n[y]/a"].environment["R"] == "<y>"
    files.write("o.json", [{"id": "n", "config": "i_x.json"}, {"id": "p", "command": "echo ${jobs.n/a.outputs.q}", "dependencies": ["n"]},
                           {"id": "q", "command": "true", "dependencies": ["n/c"]}, {"id": "r", "command": "echo ${jobs.n.outputs.o}", "dependencies": ["n"]},
                           {"id": "s", "command": "echo ${jobs.n/a.outputs.o}"}])
    assert [line.partition("error ")[2] for line in files.problems()] == [
        'E125 jobs[1].command: the job "n/a" does not declare the output "q"; did you mean "o"?'.replace('did you mean "o"?', 'it declares "outputs": ["o"]'),
        'E121 jobs[2].dependencies[0]: no job has the id "n/c"; did you mean "n/a"?',
        'E125 jobs[3].command: the job "n" does not declare the output "o"; it declares "outputs": []',
        'E125 jobs[4].command: the job does not depend on "n/a", so it cannot know what that tells; name it in dependencies']


def seen(made: Pipeline, job: Job) -> Dict[str, str]:
    """All variables of a job."""
    return dict(made.environment, **job.environment)


def test_environment_folders_and_defaults(files: Files) -> None:
    files.write("o.json", {"env_variables": {"A": "outer", "B": "outer", "HOST": "h"}, "inherit_shell_env": ["PATH", "HOME"], "defaults": {"timeout": 7},
                           "jobs": [{"id": "o", "command": "true"}, {"id": "n", "config": "in/i.json", "env_variables": {"C": "${A}-c", "D": "job"}},
                                    {"id": "m", "config": "in/j.json"}]})
    files.write("in/i.json", {"env_variables": {"B": "inner ${C}", "D": "inner"}, "defaults": {"timeout": 9}, "default_max_retries": 3,
                              "jobs": [{"id": "a", "command": "true", "stdin": "x.txt"}]})
    files.write("in/j.json", {"inherit_shell_env": False, "working_dir": "..", "jobs": [{"id": "a", "command": "/bin/true"}]})
    made = files.pipeline(environ={"SHELL": "/bin/sh"})
    jobs = by_id(made)
    assert seen(made, jobs["o"]) == {"PATH": "/usr/bin:/bin", "HOME": "/root", "A": "outer", "B": "outer", "HOST": "h"}
    assert seen(made, jobs["n/a"]) == {"PATH": "/usr/bin:/bin", "HOME": "/root", "A": "outer", "B": "inner outer-c", "C": "outer-c", "D": "inner", "HOST": "h"}
    assert seen(made, jobs["m/a"]) == {}
    assert jobs["n/a"].working_dir == str(files.folder / "in") and jobs["n/a"].stdin_path == str(files.folder / "in" / "x.txt")
    assert jobs["m/a"].working_dir == jobs["o"].working_dir == str(files.folder)
    assert (jobs["o"].timeout_s, jobs["n/a"].timeout_s, jobs["n/a"].retry.max_retries) == (7.0, 9.0, 3)
    made = files.pipeline(environ={"PWD": "/elsewhere"})
    assert [seen(made, job).get("PWD") for job in made.jobs] == [None, None, None]
    files.write("o.json", [{"id": "o", "command": "true"}, {"id": "n", "config": "in/j.json"}, {"id": "m", "config": "in/i.json"}])
    made = files.pipeline(environ={"PWD": "/elsewhere"})
    assert [seen(made, job).get("PWD") for job in made.jobs] == [str(files.folder), None, str(files.folder / "in")]
    made = files.pipeline(env={"B": "given"})
    assert [seen(made, job)["B"] for job in made.jobs] == ["given"] * 3


def test_parameters(files: Files) -> None:
    files.write("o.json", {"parameters": {"p": {"default": "outer"}}, "jobs": [{"id": "o", "command": ["${params.p}"]}, {"id": "n", "config": "i.json"}]})
    files.write("i.json", {"parameters": {"p": {"default": "inner", "choices": ["inner", "x"]}, "q": {"default": "q"}},
                           "jobs": [{"id": "a", "command": ["${params.p}", "${params.q}"]}]})
    assert [job.command for job in files.pipeline().jobs] == [("outer",), ("inner", "q")]
    assert [job.command for job in files.pipeline(params={"p": "x"}).jobs] == [("x",), ("x", "q")]
    assert 'i.json:1:22: error E149 parameters.p: --param p: must be one of "inner", "x", got "y"' in files.problems(p="y")
    files.write("i.json", {"parameters": {"r": {"required": True}}, "jobs": [{"id": "a", "command": ["${params.r}"]}]})
    assert [line.partition("error ")[2] for line in files.problems()][-1] == "E149 parameters.r: a value is required; give it with --param r=VALUE"


def test_pools_and_shells(files: Files) -> None:
    files.write("o.json", {"pools": {"db": 2}, "allow_shell": False, "jobs": [{"id": "n", "config": "i.json"}]})
    files.write("i.json", {"pools": {"db": 2, "net": 3}, "jobs": [{"id": "a", "command": ["true"], "pool": "net"}]})
    assert files.pipeline().pools == {"net": 3}
    files.write("i.json", {"pools": {"db": 1}, "jobs": [{"id": "a", "command": "true | true"}]})
    assert [line.partition("error ")[2][:60] for line in files.problems()] == ["E150 jobs[0].command: the command needs a shell, and allow_s"]
    files.write("i.json", {"pools": {"db": 1}, "jobs": [{"id": "a", "command": "true"}]})
    assert [line.partition("error ")[2] for line in files.problems()] == ['E126 jobs[0].config: the pool "db" has 1 slots there and 2 here']


def test_what_is_kept_is_what_is_run_again(files: Files) -> None:
    (files.folder / "in").mkdir()
    (files.folder / "in" / "a.csv").touch()
    files.write("o.json", [{"id": "n", "config": "in/i.json", "for_each": ["1", "2"]}, {"id": "m", "config": "in/j.json"}])
    files.write("in/i.json", [{"id": "x", "command": "cat ${item}", "for_each": {"glob": "*.csv"}}, {"id": "y", "config": "j.json", "dependencies": ["x"]}])
    files.write("in/j.json", [{"id": "z", "command": "echo $DB_PASSWORD", "env_variables": {"DB_PASSWORD": "hunter2-secret"}}])
    made = files.pipeline()
    assert "hunter2-secret" in made.secret_values and "hunter2-secret" not in made.config_text
    contents = kept_contents(json.loads(made.config_text))
    assert sorted(contents) == ["m", "n[1]", "n[1]/y", "n[2]", "n[2]/y"]
    assert contents["n[1]"].file == str(files.folder / "in" / "i.json")
    assert {job: [other for other, _ in pairs] for job, pairs in arrows_of(made.config_text).items()} == {
        "n[1]/x[a.csv]": [], "n[1]/y/z": ["n[1]/x[a.csv]"], "n[2]/x[a.csv]": [], "n[2]/y/z": ["n[2]/x[a.csv]"], "m/z": []}
    # The files change, and one goes; the secret is still there.
    (files.folder / "in" / "b.csv").touch()
    files.write("o.json", [{"id": "n", "config": "in/k.json"}, {"id": "m", "config": "in/j.json"}])
    files.write("in/i.json", [{"id": "other", "command": "true"}])
    again = load_stored(made.config_text, str(files.folder / "o.json"), ENVIRON, Overrides())
    assert again.pipeline is not None, [str(problem) for problem in again.problems]
    assert again.pipeline.jobs == made.jobs and again.pipeline.environment == made.environment
    assert again.pipeline.jobs[-1].environment["DB_PASSWORD"] == "hunter2-secret"
    os.unlink(str(files.folder / "in" / "j.json"))
    again = load_stored(made.config_text, str(files.folder / "o.json"), ENVIRON, Overrides())
    assert again.pipeline is None and {problem.code for problem in again.problems} == {"E144"}


def test_what_has_changed(files: Files) -> None:
    files.write("o.json", [{"id": "n", "config": "i.json"}]).write("i.json", [{"id": "x", "command": "true"}])
    before = files.pipeline().config_text
    assert changes(before, files.pipeline().config_text) == []
    after = files.write("i.json", [{"id": "x", "command": "false"}]).pipeline().config_text
    assert changes(before, after) == ["the configuration that job n runs was changed"]


def test_too_many_and_too_long(files: Files) -> None:
    files.write("o.json", [{"id": "n", "config": "i.json", "for_each": {"range": 11}}])
    files.write("i.json", [{"id": "x", "command": "true", "for_each": {"range": 10000}}])
    assert files.problems() == ['o.json:1:33: error E105 jobs[0].config: with the jobs of this file there are more than 100000 in all']
    for number in range(4):
        files.write("l%d.json" % number, [{"id": "x" * 120, "config": "l%d.json" % (number + 1)}])
    files.write("l4.json", [{"id": "x", "command": "true"}])
    assert "is longer than 400 characters" in files.problems("l0.json")[-1]


def test_a_file_that_others_could_have_written(files: Files) -> None:
    files.write("o.json", [{"id": "n", "config": "i.json"}, {"id": "m", "command": "true", "dependencies": ["n/y"]}]).write("i.json", [{"id": "x", "command": "true"}])
    os.chmod(str(files.folder / "i.json"), 0o666)
    assert files.problems() == [
        'o.json:1:92: error E121 jobs[1].dependencies[0]: no job has the id "n/y"; did you mean "n/x"?',
        "i.json: warning W119 a run would refuse the file: everybody may write it; chown and chmod go-w it, or say --insecure-config"]
    files.write("o.json", [{"id": "n", "config": "i.json"}])
    loaded = load_pipeline(str(files.folder / "o.json"), ENVIRON)
    assert [problem.code for problem in loaded.problems] == ["E119"] and loaded.pipeline is None
    assert [job.id for job in files.pipeline(insecure_config=True).jobs] == ["n/x"]


def test_one_job_by_itself() -> None:
    assert validate_job_config({"id": "a", "config": "i.json", "dependencies": ["b[x]"], "for_each": ["x"]}) == []
    assert validate_job_config({"id": "a", "config": "i.json", "command": "true"}) == ["E156 command: does not go with config; a job has either"]
    assert validate_job_config({"id": "a"}) == ['E107 job: the key "command" is required']
    assert validate_job_config({"id": "a", "command": "x", "for_each": 5})[0].startswith("E103 for_each: must be a list")

"""``skip_exit_codes``, ``run_if``, ``outputs`` and ``pools``: bad values with the whole line, and what good ones become."""
# ruff: noqa: E501  (expected lines stay whole)
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import pytest

from config.pipeline import load_pipeline, validate_file
from config.validator_v2 import validate_job_config
from jobs.models import Pipeline

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}


def lines(folder: Path, value: object) -> List[str]:
    """What is printed of a file, without its place."""
    path = folder / "c.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return [re.sub(r"^\S+:\d+:\d+: ", "", str(problem)) for problem in validate_file(str(path), ENVIRON).problems]


def build(folder: Path, value: object, environ: Optional[Mapping[str, str]] = None) -> Pipeline:
    """The pipeline of a good file."""
    path = folder / "c.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    result = load_pipeline(str(path), environ or ENVIRON)
    assert result.pipeline is not None, "\n".join(map(str, result.problems))
    return result.pipeline


def one(job: Dict[str, Any], **top: Any) -> Dict[str, Any]:
    """A file with one job."""
    return dict(top, jobs=[dict({"id": "a", "command": "true"}, **job)])


NO_SHELL = "the command needs a shell, and allow_shell is false; "


def test_no_shell_for_conditions_checks_and_messages(tmp_path: Path) -> None:
    """allow_shell: false holds for every command of a file, not only those of jobs."""
    value = one({"run_if": {"all": [{"command": "test -f a"}, {"not": {"command": "test -f a && true"}}]},
                 "pre_checks": [{"name": "check_command", "params": {"command": "df | grep x"}}],
                 "post_checks": [{"name": "check_command", "params": {"command": ["df", "|"]}}]}, allow_shell=False,
                notifications=[{"on": "failure", "to": ["command:cat > told", "command:${HOME}/tell 'a b'", "mailto:a@example.org"]}])
    assert lines(tmp_path, value) == [
        "error E150 notifications[0].to[0]: %sput it into a script" % NO_SHELL,
        "error E150 jobs[0].run_if.all[1].not.command: %swrite it as a list: the program and its arguments" % NO_SHELL,
        "error E150 jobs[0].pre_checks[0].params.command: %swrite it as a list: the program and its arguments" % NO_SHELL]
    value["allow_shell"] = True
    assert lines(tmp_path, value) == []


def test_commands_become_arguments_where_no_shell_is_allowed(tmp_path: Path) -> None:
    """echo is a program then, and nobody downstream can give the text to a shell."""
    value = one({"command": "echo 'a  b' $", "run_if": {"any": [{"command": "test -f '${HOME}'"}, {"not": {"command": "# no"}}]},
                 "pre_checks": [{"name": "check_command", "params": {"command": "test -d /"}}]})
    job = build(tmp_path, value).jobs[0]
    assert (job.command, job.condition) == ("echo 'a  b' $", {"any": [{"command": "test -f '${HOME}'"}, {"not": {"command": "# no"}}]})
    value["jobs"][0]["command"] = "echo 'a  b'"
    job = build(tmp_path, dict(value, allow_shell=False)).jobs[0]
    assert job.command == ("echo", "a  b")
    assert job.condition == {"any": [{"command": ["test", "-f", "${HOME}"]}, {"not": {"command": ["true"]}}]}
    assert job.pre_checks[0].params == {"command": ["test", "-d", "/"]}
    assert build(tmp_path, dict(one({"command": " "}), allow_shell=False)).jobs[0].command == " "


def nested(depth: int) -> Dict[str, Any]:
    """A condition in so many others."""
    condition: Dict[str, Any] = {"env": "HOME"}
    for _ in range(depth):
        condition = {"not": condition}
    return condition


CONDITIONS = "env, param, file_exists, command, weekday, day_of_month, all, any, not"


@pytest.mark.parametrize("job, expected", [
    ({"skip_exit_codes": [256]}, ["error E105 jobs[0].skip_exit_codes[0]: must be from 0 to 255, got 256"]),
    ({"skip_exit_codes": 3}, ["error E103 jobs[0].skip_exit_codes: must be a list of exit codes, got 3"]),
    ({"skip_exit_codes": [3, 0]}, ["error E127 jobs[0].skip_exit_codes[1]: the exit code 0 means success; success_exit_codes says otherwise where it has to"]),
    ({"skip_exit_codes": [3], "success_exit_codes": [0, 3]}, ["error E127 jobs[0].skip_exit_codes[0]: the exit code 3 stands in success_exit_codes as well"]),
    ({"skip_exit_codes": [0], "success_exit_codes": [3]}, []),
    ({"run_if": "x"}, ['error E103 jobs[0].run_if: must be an object such as {"file_exists": ...}, got "x"']),
    ({"run_if": {}}, ["error E147 jobs[0].run_if: must have exactly one of %s, found none" % CONDITIONS]),
    ({"run_if": {"env": "A", "not": {"env": "B"}}}, ["error E147 jobs[0].run_if: must have exactly one of %s, found env, not" % CONDITIONS]),
    ({"run_if": {"env": "HOME", "equal": 1}}, ["error E147 jobs[0].run_if.equal: does not go with env"]),
    ({"run_if": {"env": "HOME", "equals": []}}, ["error E147 jobs[0].run_if.equals: must be a string, a number, true or false, got []"]),
    ({"run_if": {"env": "HOME", "equals": "x", "matches": "x"}}, ["error E147 jobs[0].run_if.matches: does not go with equals"]),
    ({"run_if": {"env": "HOME", "matches": "("}}, ["error E114 jobs[0].run_if.matches: is no regular expression: missing ), unterminated subpattern at position 0"]),
    ({"run_if": {"env": "HOME", "matches": 5}}, ["error E147 jobs[0].run_if.matches: must be a regular expression, as a string, got 5"]),
    ({"run_if": {"file_exists": ""}}, ["error E147 jobs[0].run_if.file_exists: must be a string that is not empty, got \"\""]),
    ({"run_if": {"file_exists": "x\0"}}, ["error E113 jobs[0].run_if.file_exists: a string must not hold a NUL character"]),
    ({"run_if": {"command": [""]}}, ["error E147 jobs[0].run_if.command: must be a command: a string, or a list of strings, got [\"\"]"]),
    ({"run_if": {"weekday": ["mon", "fry"]}}, ["error E147 jobs[0].run_if.weekday: must be a day or a list of days: mon, tue, wed, thu, fri, sat, sun, got [\"mon\", \"fry\"]"]),
    ({"run_if": {"day_of_month": 0}}, ["error E147 jobs[0].run_if.day_of_month: must be days from 1 to 31, or from -1 (the last) to -31, got 0"]),
    ({"run_if": {"any": []}}, ["error E147 jobs[0].run_if.any: must be a list of conditions, one or more, got []"]),
    ({"run_if": {"all": [{"env": "HOME"}, {"not": 5}]}}, ['error E147 jobs[0].run_if.all[1].not: must be an object such as {"file_exists": PATH}, got 5']),
    ({"run_if": {"any": [{"file_exists": "${NONE}/x"}]}}, ["warning W104 jobs[0].run_if.any[0].file_exists: nobody sets NONE, so ${NONE} stays as it is"]),
    ({"run_if": {"command": "test -n \"${NONE}\""}}, []),
    ({"run_if": {"env": "HOME", "equals": 5, "_why": "${NONE}"}}, []),
    ({"run_if": {"weekday": ["Monday", "TUE"]}}, []),
    ({"outputs": "rows"}, ['error E103 jobs[0].outputs: must be a list of names, got "rows"']),
    ({"outputs": ["rows", "rows"]}, ['error E105 jobs[0].outputs[1]: the name "rows" stands twice in the list']),
    ({"outputs": ["1x"]}, ['error E105 jobs[0].outputs[0]: must be letters, digits and _, not beginning with a digit, at most 128 characters, got "1x"']),
    ({"outputs": ["a-b"]}, ['error E105 jobs[0].outputs[0]: must be letters, digits and _, not beginning with a digit, at most 128 characters, got "a-b"']),
    ({"pool": "db"}, ['error E126 jobs[0].pool: there is no pool "db"; the file says which there are: "pools": {"db": 1}']),
    ({"pool": "a b"}, ['error E109 jobs[0].pool: must consist of letters, digits and _ . : - (and not be . or ..), got "a b"']),
    ({"pool_slots": 2}, ["warning W107 jobs[0].pool_slots: has no effect without pool"]),
    ({"pool_slots": 0}, ["error E105 jobs[0].pool_slots: must be from 1 to 200, got 0"]),
])
def test_bad_keys_of_a_job(tmp_path: Path, job: Dict[str, Any], expected: List[str]) -> None:
    assert lines(tmp_path, one(job)) == expected


def test_conditions_have_a_depth(tmp_path: Path) -> None:
    assert lines(tmp_path, one({"run_if": nested(16)})) == []
    assert lines(tmp_path, one({"run_if": nested(17)}))[0].endswith(
        "is nested too deeply: conditions may stand in each other 16 times")


@pytest.mark.parametrize("pools, job, expected", [
    ({"database": 2}, {"pool": "databse"}, ['error E126 jobs[0].pool: there is no pool "databse"; did you mean "database"?']),
    ({"x": 2, "y": 1}, {"pool": "database"}, ['error E126 jobs[0].pool: there is no pool "database"; there are: x, y']),
    ({"db": 2}, {"pool": "db", "pool_slots": 3}, ['error E126 jobs[0].pool_slots: must be at most 2, which is all that the pool "db" has, got 3']),
    ({"db": 0}, {}, ["error E105 pools.db: must be from 1 to 200, got 0"]),
    ({"db": 201}, {}, ["error E105 pools.db: must be from 1 to 200, got 201"]),
    ({"db": "2"}, {}, ['error E103 pools.db: must be a whole number, got "2"']),
    ({"a b": 1}, {}, ['error E109 pools["a b"]: the name of a pool must consist of letters, digits and _ . : -, got "a b"']),
    (["db"], {}, ["error E103 pools: must be an object of numbers, got a list"]),
    ({"db": 2, "_db": "comment"}, {"pool": "db", "pool_slots": 2}, []),
])
def test_bad_pools(tmp_path: Path, pools: Any, job: Dict[str, Any], expected: List[str]) -> None:
    assert lines(tmp_path, one(job, pools=pools)) == expected


def test_what_defaults_say_is_told_there(tmp_path: Path) -> None:
    assert lines(tmp_path, one({}, pools={"db": 1}, defaults={"pool": "d", "skip_exit_codes": [0]})) == [
        'error E126 defaults.pool: there is no pool "d"; did you mean "db"?',
        "error E127 defaults.skip_exit_codes[0]: the exit code 0 means success; success_exit_codes says otherwise where it has to"]


TELLER = {"id": "count", "command": "true", "outputs": ["rows", "day"]}
MIDDLE = {"id": "check", "command": "true", "dependencies": ["count"]}


@pytest.mark.parametrize("job, expected", [
    ({"command": "echo ${jobs.count.outputs.rows}", "dependencies": ["count"]}, []),
    ({"command": ["echo", "${jobs.count.outputs.rows}"], "dependencies": ["check"]}, []),
    ({"env_variables": {"R": "${jobs.count.outputs.rows}"}, "dependencies": ["check"]}, []),
    ({"working_dir": "${jobs.count.outputs.day}", "dependencies": ["count"]}, []),
    ({"working_dir": "${jobs.count.outputs.day}", "command": "./x", "dependencies": ["count"]}, []),
    ({"stdin": {"text": "${jobs.count.outputs.rows}"}, "dependencies": [{"job": "count", "when": "done"}]}, []),
    ({"command": "echo ${jobs.count.outputs.rows}"}, ['error E125 jobs[2].command: the job does not depend on "count", so it cannot know what that tells; name it in dependencies']),
    ({"command": "echo ${jobs.count.outputs.row}", "dependencies": ["count"]}, ['error E125 jobs[2].command: the job "count" does not declare the output "row"; did you mean "rows"?']),
    ({"command": "echo ${jobs.check.outputs.x}", "dependencies": ["check"]}, ['error E125 jobs[2].command: the job "check" does not declare the output "x"; it declares "outputs": []']),
    ({"command": "echo ${jobs.cuont.outputs.rows}", "dependencies": ["count"]}, ['error E125 jobs[2].command: no job has the id "cuont"; did you mean "count"?']),
    ({"command": ["echo", "${jobs.count.rows}"], "dependencies": ["count"]}, ["error E125 jobs[2].command[1]: refers to nothing: ${jobs.count.rows}; write ${jobs.ID.outputs.NAME}"]),
    ({"env_variables": {"A": "${jobs.count.outputs.x}"}, "dependencies": ["count"]}, ['error E125 jobs[2].env_variables.A: the job "count" does not declare the output "x"; it declares "outputs": ["rows", "day"]']),
    ({"run_if": {"file_exists": "${jobs.count.outputs.day}"}, "dependencies": ["count"]}, ["error E125 jobs[2].run_if.file_exists: what another job tells has no place here; it can stand in command, env_variables, working_dir, stdin, inputs, products, pre_checks, post_checks"]),
    ({"outputs": ["mine"], "command": "echo ${jobs.a.outputs.mine}"}, ['error E125 jobs[2].command: the job does not depend on "a", so it cannot know what that tells; name it in dependencies']),
])
def test_references_to_outputs(tmp_path: Path, job: Dict[str, Any], expected: List[str]) -> None:
    found = lines(tmp_path, {"jobs": [TELLER, MIDDLE, dict({"id": "a", "command": "true"}, **job)]})
    assert found == expected


def test_references_where_nothing_is_told_yet(tmp_path: Path) -> None:
    found = lines(tmp_path, {"env_variables": {"A": "${jobs.count.outputs.rows}"}, "defaults": {"command": "echo ${jobs.b.outputs.x}"},
                             "jobs": [TELLER, {"id": "z"}]})
    assert found == ["error E125 env_variables.A: what a job tells is known only in a job that depends on it",
                     'error E125 defaults.command: no job has the id "b"']


def test_what_good_values_become(tmp_path: Path) -> None:
    pipeline = build(tmp_path, one({
        "skip_exit_codes": [3, 4.0], "outputs": ["rows"], "pool": "db", "pool_slots": 2.0, "env_variables": {"D": "x.y"},
        "run_if": {"any": [{"file_exists": "~/${D}", "_": 1}, {"env": "D", "matches": "^${D}$"}, {"command": "test ${D}"},
                           {"command": ["test", "${D}"]}, {"not": {"env": "D", "equals": 5}}, {"day_of_month": [1]}]}},
        pools={"db": 2, "unused": 7, "_": "x"}))
    job = pipeline.jobs[0]
    assert (job.skip_exit_codes, job.outputs, job.pool, job.pool_slots) == ({3, 4}, ("rows",), "db", 2)
    assert pipeline.pools == {"db": 2}
    assert job.condition == {"any": [
        {"file_exists": "/root/x.y"}, {"env": "D", "matches": r"^x\.y$"}, {"command": "test ${D}"}, {"command": ["test", "x.y"]},
        {"not": {"env": "D", "equals": 5}}, {"day_of_month": [1]}]}


def test_paths_that_begin_with_what_another_job_tells_wait_for_it(tmp_path: Path) -> None:
    text = "${jobs.count.outputs.day}"
    jobs = build(tmp_path, {"jobs": [TELLER, {"id": "a", "command": "true", "dependencies": ["count"], "working_dir": text, "stdin": text + "/in"},
                                     {"id": "b", "command": "true", "dependencies": ["count"], "stdin": "in/" + text}]}).jobs
    assert (jobs[1].working_dir, jobs[1].stdin_path) == (text, text + "/in")
    assert jobs[2].stdin_path == str(tmp_path / "in" / text)


def test_one_job_by_itself() -> None:
    assert validate_job_config({"id": "a", "command": "x", "skip_exit_codes": [0], "run_if": {"env": ""}}) == [
        "E147 run_if.env: must be a string that is not empty, got \"\"",
        "E127 skip_exit_codes[0]: the exit code 0 means success; success_exit_codes says otherwise where it has to"]

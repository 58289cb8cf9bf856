"""``parameters``: bad declarations, bad values and bad references with the whole line, and what good ones become."""
# ruff: noqa: E501  (expected lines stay whole)
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from config.pipeline import Overrides, load_pipeline, validate_file
from jobs.models import Check, Pipeline

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}


def lines(folder: Path, value: object, params: Optional[Dict[str, str]] = None) -> List[str]:
    """What is printed of a file, without its place."""
    path = folder / "c.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    found = validate_file(str(path), ENVIRON, params=params).problems
    return [re.sub(r"^\S+:\d+:\d+: ", "", str(problem)) for problem in found]


def build(folder: Path, value: object, params: Optional[Dict[str, str]] = None, inherited: Optional[Dict[str, str]] = None) -> Pipeline:
    """The pipeline of a good file."""
    path = folder / "c.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    result = load_pipeline(str(path), ENVIRON, Overrides(params=params, inherited_params=inherited))
    assert result.pipeline is not None, "\n".join(map(str, result.problems))
    return result.pipeline


def declared(declaration: object, **job: Any) -> Dict[str, Any]:
    """A file with one parameter ``p`` and one job."""
    return {"parameters": {"p": declaration}, "jobs": [dict({"id": "a", "command": "true"}, **job)]}


@pytest.mark.parametrize("declaration, expected", [
    ({}, []),
    ({"type": "integer", "default": 5, "choices": [5, 6.0]}, []),
    ("x", ['error E103 parameters.p: must be an object, got "x"']),
    ({"type": "int"}, ['error E106 parameters.p.type: must be "string" or "integer" or "number" or "boolean", got "int"; did you mean "integer"?']),
    ({"typ": "string"}, ['error E108 parameters.p.typ: unknown key; did you mean "type"?']),
    ({"type": "integer", "default": "5"}, ['error E148 parameters.p.default: must be of the type integer, got "5"']),
    ({"type": "integer", "default": 5.5}, ["error E148 parameters.p.default: must be of the type integer, got 5.5"]),
    ({"type": "boolean", "default": 1}, ["error E148 parameters.p.default: must be of the type boolean, got 1"]),
    ({"choices": ["a", 1]}, ["error E148 parameters.p.choices[1]: must be of the type string, got 1"]),
    ({"choices": []}, ["error E105 parameters.p.choices: must not be empty"]),
    ({"choices": ["a"], "default": "b"}, ['error E148 parameters.p.default: must be one of "a"']),
    ({"pattern": "[a-z]+", "default": "ab1"}, ['error E148 parameters.p.default: must match the pattern "[a-z]+"']),
    ({"pattern": "["}, ["error E114 parameters.p.pattern: is no regular expression: unterminated character set at position 0"]),
    ({"type": "number", "pattern": "1.*"}, ["error E148 parameters.p.pattern: goes with strings only, and the type is number"]),
    ({"required": True, "default": "x"}, ["error E148 parameters.p.default: does not go with required: it could never hold"]),
    ({"required": True}, ["error E149 parameters.p: a value is required; give it with --param p=VALUE"]),
])
def test_declarations(tmp_path: Path, declaration: object, expected: List[str]) -> None:
    assert lines(tmp_path, declared(declaration)) == expected


def test_names(tmp_path: Path) -> None:
    assert lines(tmp_path, {"parameters": {"a-b": {}, "_why": 5}, "jobs": [{"id": "a", "command": "echo ${params.x}"}]}) == [
        'error E105 parameters.a-b: a name must be letters, digits and _, beginning with a letter, at most 100 characters, got "a-b"']


@pytest.mark.parametrize("declaration, given, expected", [
    ({"type": "integer"}, "5", None), ({"type": "integer"}, "-05", None), ({"type": "number"}, "1.5e3", None),
    ({"type": "boolean"}, "true", None), ({"required": True}, "", None), ({"choices": ["a"]}, "a", None),
    ({"type": "integer", "choices": [5.0]}, "05", None), ({"type": "number", "choices": [1.5]}, "1.50", None),
    ({"pattern": "(?i)north|south"}, "SOUTH", None),
    ({"type": "integer"}, "five", '--param p: must be a whole number, got "five"'),
    ({"type": "integer"}, "5.0", '--param p: must be a whole number, got "5.0"'),
    ({"type": "number"}, "nan", '--param p: must be a number, got "nan"'),
    ({"type": "boolean"}, "yes", '--param p: must be true or false, got "yes"'),
    ({"choices": ["a", "b"]}, "c", '--param p: must be one of "a", "b", got "c"'),
    ({"pattern": "[a-z]+"}, "x; rm", '--param p: must match the pattern "[a-z]+", got "x; rm"'),
    ({"pattern": "[a-z]+"}, "x\n", '--param p: must match the pattern "[a-z]+", got "x\\n"'),
])
def test_values(tmp_path: Path, declaration: object, given: str, expected: Optional[str]) -> None:
    assert lines(tmp_path, declared(declaration), {"p": given}) == (
        ["error E149 parameters.p: " + expected] if expected else [])


def test_values_of_parameters_that_there_are_not(tmp_path: Path) -> None:
    assert lines(tmp_path, declared({}), {"q": "x"}) == ['error E149 parameters: --param: there is no parameter "q"; there are: p']
    assert lines(tmp_path, {"jobs": [{"id": "a", "command": "true"}]}, {"q": "x"}) == [
        'error E149 --param: there is no parameter "q"; the file declares none']


def test_a_secret_value_is_not_shown(tmp_path: Path) -> None:
    value = {"parameters": {"db_password": {"pattern": "[0-9]+"}}, "jobs": [{"id": "a", "command": "true"}]}
    assert lines(tmp_path, value, {"db_password": "hush-hush"}) == [
        'error E149 parameters.db_password: --param db_password: must match the pattern "[0-9]+"']
    assert build(tmp_path, value, {"db_password": "12345678"}).secret_values == ("12345678",)


@pytest.mark.parametrize("job, expected", [
    ({"command": "echo ${params.x}"}, ['error E149 jobs[0].command: there is no parameter "x"; there are: p']),
    ({"command": ["echo", "${params.q}"]}, ['error E149 jobs[0].command[1]: there is no parameter "q"; there are: p']),
    ({"env_variables": {"name": "${params.}"}}, ['error E149 jobs[0].env_variables.name: there is no parameter ""; there are: p']),
    ({"description": "${params.p}"}, ["error E149 jobs[0].description: the value of a parameter has no place here; it can stand in commands, environment, paths, checks and run_if"]),
    ({"run_if": {"any": [{"param": "q"}]}}, ['error E149 jobs[0].run_if.any[0].param: there is no parameter "q"; there are: p']),
    ({"run_if": {"param": "p", "equals": "x"}, "env_variables": {"name": "${params.p}"}}, []),
    ({"_comment": "${params.x}"}, []),
])
def test_references(tmp_path: Path, job: Dict[str, Any], expected: List[str]) -> None:
    assert lines(tmp_path, declared({}, **job)) == expected


@pytest.mark.parametrize("job", [{"command": "echo ${params.x}"}, {"env_variables": {"A": "${params.x}"}},
                                 {"run_if": {"param": "x"}}])
def test_references_without_parameters(tmp_path: Path, job: Dict[str, Any]) -> None:
    found = lines(tmp_path, {"jobs": [dict({"id": "a", "command": "true"}, **job)]})
    assert len(found) == 1 and 'there is no parameter "x"; the file declares none' in found[0]


def test_values_are_data(tmp_path: Path) -> None:
    evil = "$(x) ${HOME} 'q'"
    pipeline = build(tmp_path, {
        "parameters": {"p": {}, "n": {"type": "integer", "default": 7.0}}, "env_variables": {"TOP": "<${params.p}>"},
        "jobs": [{"id": "a", "command": "echo ${params.p} '${params.p}' ${params.n}", "env_variables": {"E": "${params.p}${TOP}", "text": "${params.p}"},
                  "pre_checks": [{"name": "check_file_exists", "params": {"path": "/x/${params.p}"}}], "stdin": {"text": "${params.p}"},
                  "run_if": {"all": [{"param": "p", "equals": "a"}, {"not": {"file_exists": "${params.n}"}}]}},
                 {"id": "b", "command": ["echo", "${params.p}"]}]}, {"p": evil})
    first, second = pipeline.jobs
    assert pipeline.environment["EXECUTIONER_PARAM_p"] == evil and pipeline.environment["TOP"] == "<%s>" % evil
    assert first.command == "echo ${EXECUTIONER_PARAM_p} ''\"${EXECUTIONER_PARAM_p}\"'' ${EXECUTIONER_PARAM_n}"
    assert first.environment == {"E": evil + "<%s>" % evil, "text": evil} and first.stdin_text == evil
    assert first.pre_checks == (Check("check_file_exists", {"path": "/x/" + evil}),)
    assert first.condition == {"all": [{"param": "p", "equals": "a"}, {"not": {"file_exists": "7"}}]}
    assert second.command == ("echo", evil)
    assert "${params.p}" in pipeline.config_text and evil not in pipeline.config_text


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    value = declared({"default": "none"}, working_dir="${params.p}")
    assert lines(tmp_path, value) == ['error E142 jobs[0].working_dir: the folder "%s" does not exist' % (tmp_path / "none")]
    assert build(tmp_path, value, {"p": "here"}).jobs[0].working_dir == str(tmp_path / "here")


def test_what_is_inherited_gives_way(tmp_path: Path) -> None:
    value = {"parameters": {"a": {}, "b": {"default": "file"}, "c": {}}, "jobs": [{"id": "a", "command": "true"}]}
    found = build(tmp_path, value, {"a": "new"}, {"a": "old", "b": "old", "gone": "x"}).environment
    assert (found["EXECUTIONER_PARAM_a"], found["EXECUTIONER_PARAM_b"], found["EXECUTIONER_PARAM_c"]) == ("new", "old", "")

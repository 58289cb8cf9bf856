"""Every rule with a file that breaks it: the whole line is compared, place included."""
# ruff: noqa: E501  (expected lines stay whole)
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import pytest

from config.features import FEATURES
from config.pipeline import ValidationResult, validate_file
from config.problems import CODES, Report, Suggestions, path_text, quoted
from config.validator import check_jobs
from config.validator_v2 import validate_job_config

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}

Validate = Callable[..., ValidationResult]


@pytest.fixture
def validate(tmp_path: Path) -> Validate:
    """Write a file, validate it."""
    def run(text: str, environ: Optional[Mapping[str, str]] = None, features: Sequence[str] = (),
            keep: bool = False) -> ValidationResult:
        path = tmp_path / "c.json"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return validate_file(str(path), ENVIRON if environ is None else environ, features, keep)
    return run


def lines(result: ValidationResult) -> List[str]:
    """What is printed, without the folder."""
    return [re.sub(r"^\S*c\.json", "c.json", str(problem)) for problem in result.problems]


def file_with(job: str = "", top: str = "") -> str:
    """A file with one job ``a`` whose further keys stand on line 4, and further keys of the file on line 2."""
    return '{\n%s\n"jobs": [{"id": "a", "command": "true"%s}]}' % (top + "," if top else "", ",\n" + job if job else "")


def test_a_good_file(validate: Validate) -> None:
    result = validate(file_with())
    assert result.ok and result.problems == [] and result.document is None
    result = validate(file_with(), keep=True)
    assert result.document == {"jobs": [{"id": "a", "command": "true"}]}
    assert validate('{"jobs": [{"id": "a", "command": ""}]}').problems == []


BAD_JOB_KEYS = [
    ('"timeout": -5', '4:12: error E104 jobs[0].timeout: must be a positive duration, got -5'),
    ('"timeout": 0', '4:12: error E104 jobs[0].timeout: must be a positive duration, got 0'),
    ('"timeout": "0s"', '4:12: error E104 jobs[0].timeout: must be a positive duration, got "0s"'),
    ('"timeout": "soon"', '4:12: error E104 jobs[0].timeout: must be a positive duration, got "soon"; write seconds, '
     'or text such as "90s", "15m", "1h30m" or "2d"'),
    ('"timeout": true', '4:12: error E103 jobs[0].timeout: must be a duration, got true'),
    ('"timeout": null', '4:12: error E103 jobs[0].timeout: must be a duration, got null'),
    ('"timeout": "3651d"', '4:12: error E104 jobs[0].timeout: must be at most 10 years, got "3651d"'),
    ('"timeout": 315360001', '4:12: error E104 jobs[0].timeout: must be at most 10 years, got 315360001'),
    ('"total_timeout": 0', '4:18: error E104 jobs[0].total_timeout: must be a positive duration, got 0'),
    ('"stop_grace": -1', '4:15: error E104 jobs[0].stop_grace: must be a duration of 0 or more, got -1'),
    ('"stop_signal": "TREM"', '4:16: error E117 jobs[0].stop_signal: must be a signal such as "TERM", "SIGINT" or 15, '
     'got "TREM"'),
    ('"stop_signal": 0', '4:16: error E117 jobs[0].stop_signal: must be a signal such as "TERM", "SIGINT" or 15, got 0'),
    ('"stop_signal": 99', '4:16: error E117 jobs[0].stop_signal: must be a signal such as "TERM", "SIGINT" or 15, '
     'got 99'),
    ('"max_retries": -1', '4:16: error E105 jobs[0].max_retries: must be from 0 to 1000000, got -1'),
    ('"max_retries": 1.5', '4:16: error E103 jobs[0].max_retries: must be a whole number, got 1.5'),
    ('"max_retries": "2"', '4:16: error E103 jobs[0].max_retries: must be a whole number, got "2"'),
    ('"retry_delay": [1, -1]', '4:20: error E104 jobs[0].retry_delay[1]: must be a duration of 0 or more, got -1'),
    ('"retry_delay": []', '4:16: error E105 jobs[0].retry_delay: must not be empty'),
    ('"retry_backoff": 0.5', '4:18: error E105 jobs[0].retry_backoff: must be from 1 to 1000000, got 0.5'),
    ('"retry_jitter": 2', '4:17: error E105 jobs[0].retry_jitter: must be from 0 to 1, got 2'),
    ('"retry_on_status": ["failed"]', '4:21: error E106 jobs[0].retry_on_status[0]: must be "ERROR" or "FAILED" or '
     '"TIMEOUT", got "failed"'),
    ('"retry_on_exit_codes": [256]', '4:25: error E105 jobs[0].retry_on_exit_codes[0]: must be from 0 to 255, got 256'),
    ('"retry_on_exit_codes": 1', '4:24: error E103 jobs[0].retry_on_exit_codes: must be a list of exit codes, got 1'),
    ('"never_retry_on_exit_codes": [-1]',
     '4:31: error E105 jobs[0].never_retry_on_exit_codes[0]: must be from 0 to 255, got -1'),
    ('"success_exit_codes": []', '4:23: error E105 jobs[0].success_exit_codes: must not be empty'),
    ('"success_exit_codes": [true]',
     '4:24: error E103 jobs[0].success_exit_codes[0]: must be a whole number, got true'),
    ('"allow_failure": "yes"', '4:18: error E103 jobs[0].allow_failure: must be true or false, got "yes"'),
    ('"priority": 1e10', '4:13: error E105 jobs[0].priority: must be from -1000000000 to 1000000000, got 10000000000.0'),
    ('"join": "most"', '4:9: error E106 jobs[0].join: must be "all" or "any", got "most"'),
    ('"join": 1', '4:9: error E124 jobs[0].join: must be at most the number of dependencies, got 1 of 0'),
    ('"join": 0', '4:9: error E105 jobs[0].join: must be from 1 to 100000, got 0'),
    ('"tags": "x"', '4:9: error E103 jobs[0].tags: must be a list of strings, got "x"'),
    ('"tags": [""]', '4:10: error E105 jobs[0].tags[0]: must not be empty'),
    ('"description": 5', '4:16: error E103 jobs[0].description: must be a string, got 5'),
    ('"stdin": 5', '4:10: error E103 jobs[0].stdin: must be a path or an object such as {"text": ...}, got 5'),
    ('"stdin": {"text": "y", "txt": "x"}', '4:24: error E108 jobs[0].stdin.txt: unknown key; did you mean "text"?'),
    ('"dependencies": "b"', '4:17: error E103 jobs[0].dependencies: must be a list of job ids, got "b"'),
    ('"dependencies": ["b"]', '4:18: error E121 jobs[0].dependencies[0]: no job has the id "b"'),
    ('"dependencies": [5]', '4:18: error E103 jobs[0].dependencies[0]: must be a string or an object, got 5'),
    ('"dependencies": ["a"]', '4:18: error E122 jobs[0].dependencies[0]: the job "a" depends on itself'),
    ('"dependencies": [{"when": "done"}]', '4:18: error E107 jobs[0].dependencies[0]: the key "job" is required'),
    ('"dependencies": [{"job": "b", "when": "fail"}]', '4:39: error E106 jobs[0].dependencies[0].when: must be "success" '
     'or "failure" or "done" or "skipped", got "fail"; did you mean "failure"?'),
    ('"env_variables": ["A"]', '4:18: error E103 jobs[0].env_variables: must be an object of strings, got a list'),
    ('"env_variables": {"A": [1]}', '4:24: error E103 jobs[0].env_variables.A: must be a string, a number, true or false, got a list'),
    ('"env_variables": {"A": null}', '4:24: error E103 jobs[0].env_variables.A: must be a string, a number, true or false, got null'),
    ('"env_variables": {"A=B": "x"}', '4:19: error E118 jobs[0].env_variables["A=B"]: the name of a variable must be '
     'letters, digits and _, not beginning with a digit, got "A=B"'),
    ('"env_variables": {"": "x"}', '4:19: error E118 jobs[0].env_variables[""]: the name of a variable must be '
     'letters, digits and _, not beginning with a digit, got ""'),
    ('"env_variables": {"A": "${B}", "B": "${A}"}',
     '4:24: error E131 jobs[0].env_variables.A: variables refer to each other in a circle: A -> B -> A'),
    ('"env_variables": {"A": "${B}"}', '4:24: warning W104 jobs[0].env_variables.A: nobody sets B, so ${B} stays as it is'),
    ('"working_dir": "/none"', '4:16: error E142 jobs[0].working_dir: the folder "/none" does not exist'),
    ('"working_dir": "/etc/passwd"', '4:16: error E142 jobs[0].working_dir: "/etc/passwd" is no folder'),
    ('"working_dir": ""', '4:16: error E105 jobs[0].working_dir: must not be empty'),
    ('"pre_checks": {}', '4:15: error E103 jobs[0].pre_checks: must be a list of checks, got an object'),
    ('"pre_checks": ["x"]', '4:16: error E103 jobs[0].pre_checks[0]: must be an object such as {"name": ..., "params": '
     '{...}}, got "x"'),
    ('"pre_checks": [{}]', '4:16: error E107 jobs[0].pre_checks[0]: the key "name" is required'),
    ('"post_checks": [{"name": "check_file_exits"}]', '4:26: error E140 jobs[0].post_checks[0].name: there is no check '
     '"check_file_exits"; did you mean "check_file_exists"?'),
    ('"post_checks": [{"name": "check_file_exists"}]', '4:17: error E141 jobs[0].post_checks[0]: check_file_exists needs '
     'the parameter "path" (the file, or a pattern)'),
    ('"post_checks": [{"name": "check_file_exists", "params": {"path": "x", "y": 1}}]',
     '4:76: error E141 jobs[0].post_checks[0].params.y: check_file_exists has no parameter "y"; it takes path'),
    ('"post_checks": [{"name": "check_file_exists", "params": {"path": 5}}]',
     '4:66: error E141 jobs[0].post_checks[0].params.path: must be a path, got 5'),
    ('"post_checks": [{"name": "check_file_exists", "params": {"path": "${X}"}}]',
     '4:66: warning W104 jobs[0].post_checks[0].params.path: nobody sets X, so ${X} stays as it is'),
    ('"timout": 5', '4:1: error E108 jobs[0].timout: unknown key; did you mean "timeout"?'),
    ('"executor": "slurm"', '4:1: error E108 jobs[0].executor: unknown key'),
    ('"default_timeout": 5', '4:1: error E108 jobs[0].default_timeout: unknown key; did you mean "timeout"?'),
    ('"parallel": true', '4:1: error E108 jobs[0].parallel: unknown key; it is a key of the file, beside jobs'),
]


@pytest.mark.parametrize("text, expected", BAD_JOB_KEYS)
def test_bad_keys_of_a_job(validate: Validate, text: str, expected: str) -> None:
    assert lines(validate(file_with(text))) == ["c.json:" + expected]


BAD_TOP_KEYS = [
    ('"application_name": ""', '2:21: error E105 application_name: must not be empty'),
    ('"application_name": "a\\nb"', '2:21: error E105 application_name: must be one line without control characters, '
     'got "a\\nb"'),
    ('"name": 5', '2:9: error E103 name: must be a string, got 5'),
    ('"application_name": "x", "name": "y"', '2:34: warning W107 name: has no effect beside application_name'),
    ('"parallel": 1', '2:13: error E103 parallel: must be true or false, got 1'),
    ('"max_workers": 0', '2:16: error E105 max_workers: must be from 1 to 100000, got 0'),
    ('"overlap": "no"', '2:12: error E106 overlap: must be "fail" or "skip" or "wait" or "allow", got "no"'),
    ('"run_timeout": "1x"', '2:16: error E104 run_timeout: must be a positive duration, got "1x"; write seconds, or '
     'text such as "90s", "15m", "1h30m" or "2d"'),
    ('"default_timeout": 0', '2:20: error E104 default_timeout: must be a positive duration, got 0'),
    ('"default_retry_jitter": 1.1', '2:25: error E105 default_retry_jitter: must be from 0 to 1, got 1.1'),
    ('"inherit_shell_env": "all"', '2:22: error E106 inherit_shell_env: must be "default", got "all"'),
    ('"inherit_shell_env": 1', '2:22: error E103 inherit_shell_env: must be true or false or "default" or a list of '
     'names, got 1'),
    ('"inherit_shell_env": ["A=B"]', '2:23: error E118 inherit_shell_env[0]: must be the name of a variable, without '
     '"=", got "A=B"'),
    ('"env_variables": {"A": "${B}", "B": "${C}", "C": "x${B}"}',
     '2:37: error E131 env_variables.B: variables refer to each other in a circle: B -> C -> B'),
    ('"defaults": {"id": "x"}', '2:14: error E108 defaults.id: unknown key'),
    ('"defaults": {"timeout": 0}', '2:25: error E104 defaults.timeout: must be a positive duration, got 0'),
    ('"defaults": {"working_dir": "/none"}', '2:29: error E142 defaults.working_dir: the folder "/none" does not exist'),
    ('"defaults": {"dependencies": ["b"]}', '2:31: error E121 defaults.dependencies[0]: no job has the id "b"'),
    ('"working_dir": "/none/x"', '2:16: error E142 working_dir: the folder "/none/x" does not exist'),
    ('"log_dir": "/dev/null/x"', '2:12: error E142 log_dir: the folder "/dev/null/x" does not exist and cannot be made '
     'in "/dev/null"'),
    ('"log_dir": "/etc/passwd"', '2:12: error E142 log_dir: "/etc/passwd" is no folder'),
    ('"features": {"zebra": true}', '2:14: error E143 features.zebra: no feature has the name "zebra"; there are: '
     + ", ".join(sorted(FEATURES))),
    ('"features": {"strict_validation": "off"}', '2:35: error E103 features.strict_validation: must be true or false, '
     'got "off"'),
    ('"dependency_plugins": [5]', '2:24: error E103 dependency_plugins[0]: must be a string or an object, got 5'),
    ('"dependency_plugins": [{"path": "x"}]', '2:24: error E107 dependency_plugins[0]: the key "name" is required'),
    ('"dependency_plugins": []', None),
    ('"security_policy": "block"', None),
    ('"security_policy": "warn", "security_level": "high", "command_whitelist": ["x"], "workspace_paths": ["/x"]', None),
    ('"command_allowlist_patterns": ["("]', '2:32: error E114 command_allowlist_patterns[0]: is no regular expression: '
     'missing ), unterminated subpattern at position 0'),
    ('"database": {"type": "oracle", "host": "h", "user": "u", "name": "s"}', None),
    ('"database": {"type": "oracle", "name": "s"}', '2:13: error E155 database: the host of the server is missing'),
    ('"database": {"type": "oracle", "host": "h", "user": "u", "name": "s", "sslmode": "require"}',
     '2:82: error E155 database.sslmode: sslmode is for postgresql'),
    ('"database": "oracle://u@x/s"', None),
    ('"database": "oracle://x/s"', '2:13: error E155 database: the user is missing'),
    ('"database": {"type": "sqlite", "path": "x.db"}', None),
    ('"database": "sqlite:///x.db"', None),
    ('"database": "sqlite:x.db"', '2:13: error E106 database: must be sqlite:///FILE, got "sqlite:x.db"'),
    ('"email_address": "a", "smtp_port": 70000', '2:36: error E105 smtp_port: must be from 1 to 65535, got 70000'),
    ('"email_address": ["a", 5]', '2:24: error E103 email_address[1]: must be a string, got 5'),
    ('"email_address": "a@b.c, d@e.f", "smtp_server": "x", "email_on_success": true', None),
    ('"smtp_password": 123456', '2:18: error E103 smtp_password: must be a string, got a number'),
    ('"_anything": [{"x": {}}], "$schema": "x"', None),
    ('"secrets": ["A"]', None),
    ('"secrets": ["A=B"]', '2:13: error E118 secrets[0]: must be the name of a variable, without "=", got "A=B"'),
    ('"secrets": "A"', '2:12: error E103 secrets: must be a list of names, got "A"'),
    ('"job": []', '2:1: error E108 job: unknown key; did you mean "jobs"?'),
    ('"timeout": 5', '2:1: error E108 timeout: unknown key; it is a key of a job; for all jobs there is "default_timeout"'),
    ('"umask": "077"', '2:1: error E108 umask: unknown key; it is a key of a job; for all jobs it stands in "defaults"'),
    ('"id": "x"', '2:1: error E108 id: unknown key; it is a key of a job'),
]


@pytest.mark.parametrize("text, expected", BAD_TOP_KEYS)
def test_bad_keys_of_a_file(validate: Validate, text: str, expected: Optional[str]) -> None:
    found = lines(validate(file_with(top=text)))
    assert found == (["c.json:" + expected] if expected else [])


@pytest.mark.parametrize("text, expected", [
    ("[]", "1:1: error E103 must be an object, got a list"),
    ("5", "1:1: error E103 must be an object, got a number"),
    ("null", "1:1: error E103 must be an object, got null"),
    ("{}", '1:1: error E107 the key "jobs" is required'),
    ('{"jobs": {}}', "1:10: error E103 jobs: must be a list of jobs, got an object"),
    ('{"jobs": []}', "1:10: error E105 jobs: must have at least one job"),
    ('{"jobs": [5]}', "1:11: error E103 jobs[0]: must be an object, got 5"),
    ('{"jobs": [{"id": "a"}]}', '1:11: error E107 jobs[0]: the key "command" is required'),
    ('{"jobs": [{"command": ""}]}', '1:11: error E107 jobs[0]: the key "id" is required'),
    ('{"jobs": [{"id": "", "command": ""}]}', "1:18: error E109 jobs[0].id: must not be empty"),
    ('{"jobs": [{"id": "..", "command": ""}]}', '1:18: error E109 jobs[0].id: must consist of letters, digits and '
     '_ . : - (and not be . or ..), got ".."'),
    ('{"jobs": [{"id": "a/b", "command": ""}]}', '1:18: error E109 jobs[0].id: must consist of letters, digits and '
     '_ . : - (and not be . or ..), got "a/b"'),
    ('{"jobs": [{"id": "\u00e9", "command": ""}]}', '1:18: error E109 jobs[0].id: must consist of letters, digits and '
     '_ . : - (and not be . or ..), got "\u00e9"'),
    ('{"jobs": [{"id": "%s", "command": ""}]}' % ("x" * 129), "1:18: error E109 jobs[0].id: must be at most 128 "
     "characters, got 129"),
    ('{"jobs": [{"id": "a", "command": []}]}', "1:34: error E105 jobs[0].command: must not be empty"),
    ('{"jobs": [{"id": "a", "command": [""]}]}', "1:35: error E105 jobs[0].command[0]: must be a program, got an empty "
     "string"),
    ('{"jobs": [{"id": "a", "command": ["true", 5]}]}', "1:43: error E103 jobs[0].command[1]: must be a string, got 5"),
    ('{"jobs": [{"id": "a", "command": "%s"}]}' % (" " * 131072), "1:34: error E105 jobs[0].command: must be at most "
     "131071 bytes, got 131072"),
    ('{"jobs": [{"id": "a", "command": "%s"}]}' % (" " * 131071), None),
    ('{"defaults": {"command": "true"}, "jobs": [{"id": "a"}]}', None),
    ('{"jobs": [{"id": "a", "command": ""}, {"id": "b", "command": ""}, {"id": "a", "command": ""}]}',
     '1:74: error E120 jobs[2].id: the id "a" is taken by jobs[0] already'),
    ('{"jobs": [{"id": "a", "command": "", "dependencies": ["b", {"job": "b", "when": "done"}]}, '
     '{"id": "b", "command": ""}]}',
     '1:60: error E123 jobs[0].dependencies[1]: the dependency "b" stands twice in the list'),
    ('{"jobs": [{"id": "a", "command": "", "dependencies": ["b", "c"], "join": 3}, {"id": "b", "command": ""}, '
     '{"id": "c", "command": ""}]}',
     "1:74: error E124 jobs[0].join: must be at most the number of dependencies, got 3 of 2"),
    ('{"jobs": [{"id": "a", "command": "", "dependencies": ["b", "c"], "join": 2}, {"id": "b", "command": ""}, '
     '{"id": "c", "command": ""}]}', None),
])
def test_whole_files(validate: Validate, text: str, expected: Optional[str]) -> None:
    assert lines(validate(text)) == (["c.json:" + expected] if expected else [])


def test_the_example_of_the_reference(validate: Validate) -> None:
    text = json.dumps({"jobs": [
        {"id": "load", "command": "true", "dependencies": ["transform"]},
        {"id": "transform", "command": "true", "dependencies": ["clean"]},
        {"id": "clean", "command": "true", "dependencies": ["load"], "timeout": -5},
        {"id": "extract", "command": "true"},
        {"id": "report", "command": "true", "dependencies": ["extrct"]}]}, indent=2)
    assert lines(validate(text)) == [
        "c.json:3:5: error E130 jobs: dependency cycle: load -> transform -> clean -> load",
        "c.json:23:18: error E104 jobs[2].timeout: must be a positive duration, got -5",
        'c.json:33:9: error E121 jobs[4].dependencies[0]: no job has the id "extrct"; did you mean "extract"?',
    ]


def test_all_is_told_in_one_pass(validate: Validate) -> None:
    """One mistake does not hide another: not in the same list, not the graph, not the variables."""
    text = """{
  "parallel": "yes", "env_variables": {"A": "${B}", "B": "${A}", "9": "", "OK": "x"},
  "jobs": [
    {"id": "a", "command": 5, "dependencies": ["nope", 7, "b"], "timeout": "x"},
    {"id": "b", "command": "true", "dependencies": ["a"], "env_variables": {"X": [], "Y": "${Y2}"}},
    {"id": "b", "command": "true", "colour": 1, "colour": 2}
  ]
}"""
    assert [line.split(": ")[0] + " " + line.split(" ")[2] for line in lines(validate(text))] == [
        "c.json:2:15 E103", "c.json:2:45 E131", "c.json:2:66 E118", "c.json:4:5 E130", "c.json:4:28 E103",
        "c.json:4:48 E121", "c.json:4:56 E103", "c.json:4:76 E104", "c.json:5:82 E103", "c.json:5:91 W104",
        "c.json:6:12 E120", "c.json:6:36 E108", "c.json:6:49 E108", "c.json:6:49 E110"][:11] + [
        "c.json:6:49 E108", "c.json:6:49 E110"]


def test_two_cycles(validate: Validate) -> None:
    def job(name: str, *needed: str) -> Dict[str, object]:
        return {"id": name, "command": "true", "dependencies": [{"job": one, "when": "done"} for one in needed]}
    jobs = [job("a", "b"), job("b", "a"), job("c", "e"), job("d", "c"), job("e", "d", "a")]
    assert [line.split(" jobs: ")[1] for line in lines(validate(json.dumps({"jobs": jobs})))] == [
        "dependency cycle: a -> b -> a", "dependency cycle: c -> e -> d -> c"]


def test_a_long_cycle_is_shortened(validate: Validate) -> None:
    count = 30000
    jobs = [{"id": "j%d" % i, "command": "true", "dependencies": ["j%d" % ((i + 1) % count)]} for i in range(count)]
    found = lines(validate(json.dumps({"jobs": jobs})))
    assert len(found) == 1
    assert "j0 -> j1 -> " in found[0] and "(29980 more) -> j29999 -> j0" in found[0]


def test_a_job_that_can_never_run(validate: Validate) -> None:
    def file(when: str, **more: object) -> str:
        return json.dumps({"jobs": [
            dict({"id": "a", "command": "true"}, **more), {"id": "b", "command": "true", "dependencies": ["a"]},
            {"id": "c", "command": "true", "dependencies": ["b"]},
            {"id": "d", "command": "true", "dependencies": ["c", {"job": "a", "when": when}]}]})
    assert lines(validate(file("done"))) == []
    assert lines(validate(file("failure", allow_failure=True))) == []
    found = lines(validate(file("failure")))
    assert len(found) == 1 and "warning W102 jobs[3].dependencies: the job can never run" in found[0]


def test_timeouts_beyond_the_run(validate: Validate) -> None:
    text = json.dumps({"run_timeout": "1h", "default_timeout": 7200, "defaults": {"total_timeout": "2h"}, "jobs": [
        {"id": "a", "command": "true", "timeout": "61m"}, {"id": "b", "command": "true", "timeout": 3600}]})
    assert [line.split("warning ")[1] for line in lines(validate(text))] == [
        'W103 default_timeout: is longer than run_timeout (7200 > "1h")',
        'W103 defaults.total_timeout: is longer than run_timeout ("2h" > "1h")',
        'W103 jobs[0].timeout: is longer than run_timeout ("61m" > "1h")']
    assert lines(validate(file_with(top='"run_timeout": 5'))) == [], "the built-in default is nobody's mistake"


def test_folders_that_this_user_may_not_use(tmp_path: Path) -> None:
    """Root may use any folder, so another user looks."""
    code = """
import os, sys, tempfile
sys.path.insert(0, %r)
from config.folders import folder_problem
place = tempfile.mkdtemp(dir="/tmp")
os.chmod(place, 0o755)
for name, mode in (("closed", 0o600), ("readable", 0o555), ("open", 0o777)):
    os.mkdir(os.path.join(place, name))
    os.chmod(os.path.join(place, name), mode)
mine = os.fork()
if not mine:
    if os.geteuid() == 0:
        os.setuid(65534)
    for name in ("closed", "readable", "readable/new", "open", "open/new/newer"):
        for writable in (False, True):
            problem = folder_problem(os.path.join(place, name), writable)
            print(name, writable, problem and problem.split('" ')[1].split(" in ")[0])
    sys.stdout.flush()
    os._exit(0)
os.waitpid(mine, 0)
for name in ("closed", "readable", "open"):
    os.rmdir(os.path.join(place, name))
os.rmdir(place)
""" % str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().splitlines() == [
        "closed False cannot be entered", "closed True cannot be entered",
        "readable False None", "readable True cannot be written",
        "readable/new False does not exist", "readable/new True does not exist and cannot be made",
        "open False None", "open True None", "open/new/newer False does not exist", "open/new/newer True None"]


def test_commands_that_need_a_shell(validate: Validate) -> None:
    text = json.dumps({"allow_shell": False, "jobs": [
        {"id": "a", "command": "true | cat"}, {"id": "b", "command": ["true", "|", "cat"]},
        {"id": "c", "command": "echo 'a | b'"}, {"id": "d", "command": "cd /"}, {"id": "e", "command": "echo $HOME"}]})
    assert [line.split("error ")[1].split(":")[0] for line in lines(validate(text))] == [
        "E150 jobs[0].command", "E150 jobs[3].command", "E150 jobs[4].command"]


def test_programs_that_are_not_there(validate: Validate, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    own = tmp_path / "own" / "mytool"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    (tmp_path / "plain").write_text("")
    jobs = [
        {"id": "a", "command": "nosuchprogram --x | cat"}, {"id": "b", "command": ["nosuchprogram"]},
        {"id": "c", "command": "for i in 1 2; do true; done"}, {"id": "d", "command": "X=1 nosuch"},
        {"id": "e", "command": "./missing.sh"}, {"id": "f", "command": "./own/mytool"},
        {"id": "g", "command": "mytool", "env_variables": {"PATH": "%s/own:${PATH}" % tmp_path}},
        {"id": "h", "command": "./mytool", "working_dir": "own"}, {"id": "i", "command": "mytool"},
        {"id": "j", "command": "cd / && ls"}, {"id": "k", "command": "$TOOL x"}, {"id": "l", "command": "# nothing"}]
    assert [line.split("warning ")[1] for line in lines(validate(json.dumps({"jobs": jobs})))] == [
        'W101 jobs[0].command: the program "nosuchprogram" is not on PATH (1 more jobs use it)',
        'W101 jobs[4].command: the program "./missing.sh" is not there',
        'W101 jobs[8].command: the program "mytool" is not on PATH']
    assert lines(validate(file_with(), environ={"PATH": "/none"}))[0].endswith('the program "true" is not on PATH')
    assert not lines(validate(file_with(top='"inherit_shell_env": false'), environ={"PATH": "/none"}))


def test_unknown_keys_without_strict_validation(validate: Validate) -> None:
    text = file_with('"timout": 5, "dependencies": [{"job": "a", "wen": "x"}]', '"colour": 1, "features": {"new_validation": false}')
    assert [line.split(": ")[1] for line in lines(validate(text))] == [
        "warning W106 colour", "warning W106 jobs[0].timout", "error E122 jobs[0].dependencies[0]",
        "warning W106 jobs[0].dependencies[0].wen"]
    result = validate(file_with('"timout": 5'), features=["strict_validation=off"])
    assert result.ok and [problem.code for problem in result.problems] == ["W106"]
    assert validate(file_with('"timeout": 0'), features=["strict_validation=off"]).ok is False


def test_values_that_reading_refused_are_told_once(validate: Validate) -> None:
    assert lines(validate(file_with('"timeout": NaN, "timeout": 5'))) == [
        "c.json:4:12: error E111 jobs[0].timeout: NaN is not a number of JSON",
        'c.json:4:17: error E110 jobs[0].timeout: the key "timeout" stands twice in this object']


def test_deep_values_are_told(validate: Validate) -> None:
    deep = "[" * 70 + "]" * 70
    assert "E112" in " ".join(lines(validate(file_with('"tags": ' + deep))))
    assert "E112" in " ".join(lines(validate(file_with('"_c": ' + deep))))


def test_secrets_are_not_shown(validate: Validate) -> None:
    text = file_with('"env_variables": {"DB_PASSWORD": ["hunter2hunter2"], "API_KEY": "${hunter3}"}',
                     '"smtp_password": 424242, "env_variables": {"TOKEN": "hunter4\\u0000"}')
    shown = "\n".join(lines(validate(text)))
    assert "E103" in shown and "E113" in shown
    for secret in ("hunter2", "424242", "hunter4"):
        assert secret not in shown


def test_the_same_as_json(validate: Validate) -> None:
    problem = validate(file_with('"timeout": -5')).problems[0]
    assert dict(problem.to_dict(), file="c.json") == {
        "file": "c.json", "line": 4, "column": 12, "code": "E104", "path": "jobs[0].timeout", "severity": "error",
        "message": "must be a positive duration, got -5", "hint": ""}
    assert list(problem.to_dict()) == ["file", "line", "column", "code", "path", "severity", "message", "hint"]


def test_the_file_is_named_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(validate_file("none.json").problems[0]) == (
        "none.json: error E101 cannot be read: No such file or directory")
    (tmp_path / "x.json").write_text('{"jobs": [{"id": "a", "command": "true", "stdin": 1}]}')
    assert str(validate_file("x.json").problems[0]).startswith("x.json:1:51: error E103 ")


# The quick look and the thorough one

def random_jobs(rnd: random.Random) -> List[object]:
    """A few jobs, sometimes with something wrong."""
    jobs: List[object] = []
    for index in range(rnd.randint(1, 6)):
        job: Dict[str, object] = {"id": "j%d" % index, "command": rnd.choice(["true", "", ["true", "x"]])}
        for name, values in CHOICES:
            if rnd.random() < 0.15:
                job[name] = rnd.choice(values)
        if rnd.random() < 0.6:
            job["dependencies"] = [rnd.choice(["j%d" % rnd.randrange(6), {"job": "j%d" % rnd.randrange(6)}])
                                   for _ in range(rnd.randint(0, 2))]
        if rnd.random() < 0.05:
            del job[rnd.choice(list(job))]
        jobs.append(5 if rnd.random() < 0.01 else job)
    return jobs


CHOICES: Sequence[Tuple[str, Sequence[object]]] = (
    ("id", ["x", "x", "a b", 1, "."]), ("timeout", [1, True, 0, "1m", "x", 1.0]), ("max_retries", [0, 1, True, -1]),
    ("tags", [["a"], [1], "a"]), ("env_variables", [{"A": 1}, {"A": None}, {}]), ("_x", [1, {}]), ("foo", [1]),
    ("retry_on_exit_codes", [[1], [True], [999]]), ("dependencies", [["j0", "j0"], 5, [5], [["j0"]], [{"job": "j0", "x": 1}]]),
    ("priority", [1, 1.5, "1"]), ("join", ["all", "any"]), ("allow_failure", [True, 1]), ("stdin", ["x", {"text": ""}, {}]),
)


@pytest.mark.parametrize("seed", range(40))
def test_the_quick_look_agrees_with_the_thorough_one(seed: int) -> None:
    rnd = random.Random(seed)
    for _ in range(50):
        jobs = random_jobs(rnd)
        defaults: Dict[str, object] = rnd.choice([{}, {}, {"command": "x"}, {"dependencies": ["j0"]}])
        thorough, quick = Report(), Report()
        check_jobs(jobs, defaults, thorough, quick=False)
        checked = check_jobs(jobs, defaults, quick)
        assert [(one.code, one.path) for one in quick.findings] == [(one.code, one.path) for one in thorough.findings]
        if not thorough.findings:
            assert checked.usable is jobs, "nothing is wrong, and yet every job was gone through: %r" % jobs


def test_equal_values_do_not_hide_behind_each_other() -> None:
    """1, 1.0 and true are equal to Python; only one of them is no duration."""
    jobs: List[object] = [{"id": "a", "command": "", "timeout": 1}, {"id": "b", "command": "", "timeout": True},
                          {"id": "c", "command": "", "timeout": 1.0}]
    report = Report()
    check_jobs(jobs, {}, report)
    assert [(one.code, one.path) for one in report.findings] == [("E103", ("jobs", 1, "timeout"))]


# One job by itself

def test_one_job_by_itself() -> None:
    assert validate_job_config({"id": "a", "command": "true"}) == []
    assert validate_job_config({"id": "a", "command": ["true"], "dependencies": ["b"], "timeout": "1h"}) == []
    assert validate_job_config({}) == ['E107 job: the key "id" is required', 'E107 job: the key "command" is required']
    assert validate_job_config(None) == ["E103 job: must be an object, got null"]
    assert validate_job_config({"id": "a", "command": "x", "timeout": -1, "dependencies": ["a", "b", "b"], "join": 5,
                                "env_variables": {"A": "${B}", "B": "${A}", "C": "${D}"}, "tymeout": 1}) == [
        'E108 tymeout: unknown key; did you mean "timeout"?',
        "E104 timeout: must be a positive duration, got -1",
        'E122 dependencies[0]: the job "a" depends on itself',
        'E123 dependencies[2]: the dependency "b" stands twice in the list',
        "E124 join: must be at most the number of dependencies, got 5 of 2",
        "E131 env_variables.A: variables refer to each other in a circle: A -> B -> A"]


def test_one_job_with_values_that_json_cannot_hold() -> None:
    assert validate_job_config({"id": "a", "command": "x\0"}) == ["E113 command: must not hold a NUL character"]
    assert validate_job_config({"id": "a", "command": "\ud800"}) == [
        "E113 command: must not hold half of a surrogate pair"]
    assert validate_job_config({"id": "a", "command": "x", "timeout": float("nan")})[0].startswith("E104")
    assert validate_job_config({"id": "a", "command": "x", "timeout": float("inf")})[0].startswith("E104")
    assert validate_job_config({"id": "a", "command": "x", "retry_backoff": float("nan")})[0].startswith("E105")
    assert validate_job_config({"id": "a", "command": "x", "priority": float("inf")})
    assert validate_job_config({"id": "a", "command": "x", "stop_signal": float("nan")})
    assert validate_job_config({5: 6, "id": "a", "command": ("x", "y")}) == ["E108 5: unknown key"]
    assert validate_job_config({"id": "a", "command": "x", "env_variables": {5: "x"}})[0].startswith("E118")
    assert validate_job_config({"id": "a", "command": "x", "tags": {1, 2}}) == [
        "E103 tags: must be a list of strings, got a set"]
    endless: List[object] = []
    endless.append(endless)
    assert validate_job_config({"id": "a", "command": "x", "tags": endless})


# Problems

def test_every_code_is_explained_in_one_line() -> None:
    for code, text in CODES.items():
        assert re.match(r"[EW]1\d\d\Z", code) and text and "\n" not in text and not text.endswith(".")


def test_every_code_is_tested() -> None:
    """Each code stands in an expectation of some test."""
    tests = Path(__file__).resolve().parents[1]
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(tests.glob("*/test_*.py")))
    assert [code for code in CODES if text.count(code) == 0] == []


def test_texts_of_paths_and_values() -> None:
    assert path_text(()) == ""
    assert path_text(("jobs", 2, "env_variables", "A B", "", "x\n", "ok-1")) == (
        'jobs[2].env_variables["A B"][""]["x\\n"].ok-1')
    assert quoted("\ud800\x1b") == '"\\\\ud800\\u001b"'
    assert len(quoted("x" * 1000)) == 62


def test_suggestions_have_a_limit() -> None:
    suggestions = Suggestions()
    known = ["job-%d" % i for i in range(50000)]
    hints = [suggestions.hint("jab-%d" % i, known) for i in range(10)]
    assert hints[0] and not hints[-1]

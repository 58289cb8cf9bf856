"""Every kind of bad file gets clear lines and exit code 2: nothing is started, nothing is written."""
import json
import os
import sys
from typing import List, Optional, Union

import pytest

from cli_case import Case

JOB = {"id": "a", "command": "true"}


def refused(case: Case, *lines: str) -> None:
    """``validate`` and ``run`` say the same, exit 2, and leave nothing behind."""
    before = sorted(os.listdir(case.folder))
    text = "".join(line + "\n" for line in lines)
    validate, run, plan, *documents = case.run_each(
        ("validate", "config.json"), ("run", "config.json"), ("plan", "config.json"),
        ("validate", "--json", "config.json"), ("run", "--json", "config.json"))
    validate.expect(2, out=text, err="")
    run.expect(2, out="", err=text)
    plan.expect(2, out="", err=text)
    for document in documents:
        problems = document.expect(2).json()
        assert len(problems) == len(lines)
        for problem in problems:
            assert sorted(problem) == ["code", "column", "file", "hint", "line", "message", "path", "severity"]
    assert sorted(os.listdir(case.folder)) == before, "something was written"


def test_no_file(case: Case) -> None:
    refused(case, "config.json: error E101 cannot be read: No such file or directory")


def test_a_folder(case: Case) -> None:
    os.mkdir(case.path("config.json"))
    refused(case, "config.json: error E101 must be a regular file, it is a folder")


def test_a_fifo_is_not_waited_for(case: Case) -> None:
    os.mkfifo(case.path("config.json"))
    refused(case, "config.json: error E101 must be a regular file, it is a pipe")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(case: Case) -> None:
    case.config({"jobs": [JOB]})
    os.chmod(case.path("config.json"), 0)
    refused(case, "config.json: error E101 cannot be read: Permission denied")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_file_that_another_user_cannot_read(case: Case) -> None:
    case.config({"jobs": [JOB]})
    os.chmod(case.path("config.json"), 0o600)
    folder = case.folder
    while folder != "/" and not os.stat(folder).st_mode & 0o001:
        os.chmod(folder, os.stat(folder).st_mode | 0o055)
        folder = os.path.dirname(folder)

    def become_nobody() -> None:
        os.setgid(65534)
        os.setuid(65534)

    for python in (sys.executable, "/usr/bin/python3"):
        try:
            case.python = python
            result = case.run("validate", "config.json", preexec=become_nobody)
            break
        except PermissionError:
            continue
    else:
        pytest.skip("no Python that another user may run")
    result.expect(2, out="config.json: error E101 cannot be read: Permission denied\n", err="")


@pytest.mark.parametrize("content, lines", [
    (b"\xff\xfe{\x00}\x00", ["config.json:1:1: error E102 the text is not UTF-8: byte 0xff; "
                             "it looks like UTF-16; save the file as UTF-8"]),
    (b'{"jobs": [{"id": "caf\xe9"}]}', ["config.json:1:22: error E102 the text is not UTF-8: byte 0xe9; "
                                        "save the file as UTF-8"]),
    ("", None), ("{", None), ("[1, 2", None), ('{"jobs": [}', None), ("no json at all", None), ("\0", None),
    ("[" * 100000, None), ('{"jobs":' * 100000, None),
    ('{"jobs": [{"id": "a", "command": "true", "timeout": NaN}]}', None),
    ('{"jobs": [{"id": "a", "command": "true", "timeout": Infinity}]}', None),
    ('{"jobs": [{"id": "a", "command": "true", "timeout": -Infinity}]}', None),
    ('{"jobs": [{"id": "a", "command": "true", "timeout": 1e999}]}', None),
    ('{"jobs": [{"id": "a", "id": "b", "command": "true"}]}', None),
    ('{"jobs": [{"id": "a", "command": "echo \\u0000"}]}', None),
    ('{"jobs": [{"id": "a", "command": "echo \\ud800"}]}', None),
    ("null", None), ("[]", None), ("3", None), ('"text"', None),
], ids=lambda value: str(value)[:20] if isinstance(value, (str, bytes)) else "")
def test_what_is_no_configuration(case: Case, content: Union[str, bytes], lines: Optional[List[str]]) -> None:
    case.config(content)
    if lines is None:
        lines = case.run("validate", "config.json").expect(2, err="").out.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("config.json:") and ": error E1" in lines[0]
    refused(case, *lines)


@pytest.mark.parametrize("jobs, expected", [
    ([], "E105 jobs: must have at least one job"),
    ([JOB, JOB], "E120 jobs[1].id: "),
    ([dict(JOB, timeout=-5)], "E104 jobs[0].timeout: must be a positive duration, got -5"),
    ([dict(JOB, timeout=0)], "E104 jobs[0].timeout: "),
    ([dict(JOB, timeout="soon")], "E104 jobs[0].timeout: "),
    ([dict(JOB, dependencies=["extrct"]), dict(JOB, id="extract")],
     'E121 jobs[0].dependencies[0]: no job has the id "extrct"; did you mean "extract"?'),
    ([dict(JOB, dependencies=["b"]), dict(JOB, id="b", dependencies=["a"])], "E130 jobs: dependency cycle: "),
    ([dict(JOB, dependencies=["a"])], "E122 jobs[0].dependencies[0]: "),
    ([dict(JOB, working_dir="/no/such/folder")], "E142 jobs[0].working_dir: "),
    ([dict(JOB, comand="x")], 'E108 jobs[0].comand: '),
    ([{"command": "true"}], 'E107 jobs[0]: the key "id" is required'),
    ([{"id": "a"}], 'E107 jobs[0]: the key "command" is required'),
    ([dict(JOB, id="a/b")], "E109 jobs[0].id: "),
    ([dict(JOB, id="..")], "E109 jobs[0].id: "),
    ([dict(JOB, max_retries=True)], "E103 jobs[0].max_retries: "),
    ([7], "E103 jobs[0]: must be an object, got 7"),
], ids=lambda value: value[:12] if isinstance(value, str) else "")
def test_a_wrong_value(case: Case, jobs: List[object], expected: str) -> None:
    case.config(json.dumps({"jobs": jobs}, indent=1))
    line = case.run("validate", "config.json").expect(2, err="").out
    assert "error " + expected in line and line.count("\n") == 1
    place = line.split(":")
    assert int(place[1]) > 1 and int(place[2]) >= 1
    refused(case, line.rstrip("\n"))


def test_every_problem_in_one_pass(case: Case) -> None:
    case.config('{\n "jobs": [\n  {"id": "a", "command": 3},\n  {"id": "a", "command": "true", "timeout": -1}\n ]\n}')
    lines = case.run("validate", "config.json").expect(2).out.splitlines()
    assert [line.split(" error ")[1].split(" ")[0] for line in lines] == ["E103", "E120", "E104"]
    assert [line.split(":")[1] for line in lines] == ["3", "4", "4"]


def test_several_files(case: Case) -> None:
    case.config({"jobs": [JOB]}, "good.json").config({"jobs": []}, "bad.json")
    case.run("validate", "good.json", "bad.json").expect(2, err="", out="""
        bad.json:1:10: error E105 jobs: must have at least one job
        good.json: valid
        """)
    case.run("validate", "good.json").expect(0, "good.json: valid\n", "")
    case.run("validate", "--quiet", "good.json").expect(0, "", "")
    assert case.run("validate", "--json", "good.json").expect(0, err="").json() == []


def test_warnings_do_not_stop_a_run(case: Case) -> None:
    case.jobs({"id": "a", "command": "true", "timeout": 600}, run_timeout=60)
    result = case.run("validate", "config.json").expect(0, err="")
    assert "config.json: valid\n" in result.out and "warning W103" in result.out
    case.run("run", "config.json").expect(0, "", "")
    with open(case.path("home", "logs", "executioner.jsonl")) as log:
        lines = [json.loads(line) for line in log]
    assert any(line["event"] == "configuration" and "W103" in line["message"] for line in lines)


def test_a_wrong_feature(case: Case) -> None:
    case.config({"jobs": [JOB]})
    for words in (("--feature", "metrix=on"), ("--feature=strict_validation=maybe",)):
        result = case.run("run", "config.json", *words).expect(2, out="")
        assert result.err.startswith("--feature: error E143 ")
    result = case.run("validate", "config.json", env={"EXECUTIONER_FEATURES": "nonsense=off"}).expect(2)
    assert result.out.startswith('EXECUTIONER_FEATURES: error E143 nonsense: no feature has the name "nonsense"')


def test_a_file_that_others_could_have_written(case: Case) -> None:
    case.config({"jobs": [JOB]})
    os.chmod(case.path("config.json"), 0o666)
    assert "E119" in case.run("run", "config.json").expect(2, out="").err
    assert "W119" in case.run("validate", "config.json").expect(0).out
    case.run("run", "config.json", "--insecure-config").expect(0, "", "")


@pytest.mark.parametrize("words, message", [
    (["--workers", "0"], '--workers must be from 1 to 100000, found "0"'),
    (["--workers", "many"], '--workers must be a whole number, found "many"'),
    (["--workers", "2", "--sequential"], "--sequential and --workers 2 contradict each other"),
    (["--parallel", "--sequential"], "--sequential and --parallel contradict each other"),
    (["--env", "x"], '--env: expected NAME=VALUE, found "x"'),
    (["--env", "=x"], '--env: expected NAME=VALUE, found "=x"'),
    (["--only", "b"], '--only: no job has the id "b"'),
    (["--skip", "a"], "nothing to run: the options select no job"),
    (["--tag", "x"], '--tag: no job has the tag "x"'),
    (["--log-format", "jsn"], '--log-format must be json or text, found "jsn"; did you mean json?'),
])
def test_a_wrong_option(case: Case, words: List[str], message: str) -> None:
    case.config({"jobs": [dict(JOB, id="alpha" if words == ["--only", "b"] else "a")]})
    case.run("run", "config.json", *words).expect(2, out="", err="executioner: %s\n" % message)
    assert not os.path.exists(case.home)

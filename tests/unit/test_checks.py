"""The built-in checks besides those of files and logs: what passes, what fails, what the reason says, bad parameters."""
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from config.pipeline import load_pipeline, validate_file
from jobs.checks.registry import BUILT_IN
from jobs.checks.result import CheckContext, CheckResult
from jobs.checks.runner import run_check, time_limit_s
from jobs.models import Check
from servers import free_port

ENVIRON = {"PATH": os.environ["PATH"], "PORT": "70000", "GOOD_PORT": "5432", "DOTS": "a.b", "HOME": "/root"}


def ask(folder: Path, name: str, **params: object) -> CheckResult:
    context = CheckContext(str(folder), {"PATH": os.environ["PATH"], "WORD": "it's $HOME"}, str(folder / "out"),
                           str(folder / "err"))
    answer = run_check(Check(name, dict(params)), context)
    assert answer.name == name
    answer.reason = answer.reason.replace(str(folder), "DIR")
    return answer


def test_not_empty(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(b"x" * 10)
    (tmp_path / "empty").write_bytes(b"")
    assert ask(tmp_path, "check_file_not_empty", path="full") == CheckResult("check_file_not_empty", True, "DIR/full is not empty")
    assert ask(tmp_path, "check_file_not_empty", path="empty").reason == "DIR/empty is empty"
    assert ask(tmp_path, "check_file_not_empty", path="none").reason == "no file DIR/none"
    assert ask(tmp_path, "check_file_not_empty", path=".").reason == "DIR/. is a folder, not a file"
    assert ask(tmp_path, "check_file_not_empty", path="full", min_size=10).passed
    assert ask(tmp_path, "check_file_not_empty", path="full", min_size="1K").reason == (
        "DIR/full has 10 bytes, fewer than 1.0 KiB")
    assert not ask(tmp_path, "check_file_not_empty", path="*").passed
    os.unlink(str(tmp_path / "empty"))
    (tmp_path / "more").write_bytes(b"x")
    assert ask(tmp_path, "check_file_not_empty", path="*").reason == "2 files are not empty"


def test_newer_than(tmp_path: Path) -> None:
    def make(name: str, at: float) -> None:
        (tmp_path / name).write_bytes(b"")
        os.utime(str(tmp_path / name), (at, at))

    now = time.time()
    make("old", now - 7200)
    make("same", now - 7200)
    make("new", now - 60)
    newer: Callable[..., CheckResult] = lambda **params: ask(tmp_path, "check_file_newer_than", **params)  # noqa: E731
    assert newer(path="new", than="old").passed and not newer(path="old", than="new").passed
    assert not newer(path="same", than="old").passed
    assert newer(path="*", than="old").passed and not newer(path="new", than="*").passed
    assert newer(path="new", max_age="5m").passed and newer(path="old", max_age=7300).passed
    late = newer(path="old", max_age="1h")
    assert not late.passed and late.reason.startswith("DIR/old was changed at 20") and "more than 1 h 00 min" in late.reason
    assert newer(path="none", max_age=1).reason == "no file DIR/none"
    assert newer(path="new", than="none").reason == "no file DIR/none"
    make("future", now + 7200)
    assert newer(path="future", max_age=1).passed


def test_disk_free(tmp_path: Path) -> None:
    assert ask(tmp_path, "check_disk_free", min_free=1).passed
    assert ask(tmp_path, "check_disk_free", min_free="0%", path="/").passed
    full = ask(tmp_path, "check_disk_free", min_free="900000T")
    assert not full.passed and full.reason.startswith("DIR has ") and "at least 900000.0 TiB is asked for" in full.reason
    assert not ask(tmp_path, "check_disk_free", min_free="100%", path="/").passed
    assert ask(tmp_path, "check_disk_free", min_free=1, path="none").reason == "cannot look at DIR/none: No such file or directory"


def test_port_open(tmp_path: Path) -> None:
    with socket.socket() as listener:
        port = free_port()
        listener.bind(("127.0.0.1", port))
        listener.listen(1)
        assert ask(tmp_path, "check_port_open", port=port, host="127.0.0.1") == CheckResult(
            "check_port_open", True, "127.0.0.1:%d is open" % port)
        assert ask(tmp_path, "check_port_open", port=str(port)).passed
    assert ask(tmp_path, "check_port_open", port=port, host="127.0.0.1").reason == "127.0.0.1:%d: Connection refused" % port
    assert "host is not known" in ask(tmp_path, "check_port_open", port=1, host="no.such.host.invalid").reason
    assert not ask(tmp_path, "check_port_open", port=1, host="." * 300).passed


def test_output(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"one\ntwo rows\n\xff loaded 42 rows\n")
    (tmp_path / "err").write_bytes(b"x" * (1 << 20) + b"\nWARN: slow\n")
    contains: Callable[..., CheckResult] = lambda **params: ask(tmp_path, "check_output_contains", **params)  # noqa: E731
    lacks: Callable[..., CheckResult] = lambda **params: ask(tmp_path, "check_output_lacks", **params)  # noqa: E731
    assert contains(text="two") == CheckResult("check_output_contains", True, '"two" is in stdout:2: two rows')
    assert contains(text="WARN").reason == '"WARN" is in stderr:2: WARN: slow'
    assert contains(text="WARN", stream="stdout").reason == '"WARN" is not in stdout'
    assert contains(text=".", stream="stdout") == CheckResult("check_output_contains", False, '"." is not in stdout')
    assert contains(pattern="loaded [0-9]+ rows$").reason == (
        "the pattern loaded [0-9]+ rows$ is in stdout:3: \ufffd loaded 42 rows")
    assert contains(pattern="^loaded").reason == "the pattern ^loaded is not in stdout or stderr"
    assert lacks(text="ERROR") == CheckResult("check_output_lacks", True, '"ERROR" is not in stdout or stderr')
    assert lacks(text="WARN") == CheckResult("check_output_lacks", False, '"WARN" is in stderr:2: WARN: slow')
    assert lacks(text="WARN", stream="stdout").passed and not lacks(pattern="(?i)warn", stream="stderr").passed
    assert lacks(pattern="^x{5}$").passed
    os.unlink(str(tmp_path / "err"))
    assert lacks(text="WARN").reason == "cannot read DIR/err: No such file or directory"
    assert lacks(pattern="WARN").reason == "cannot read DIR/err: No such file or directory"
    assert not run_check(Check("check_output_lacks", {"text": "x"}), CheckContext("/")).passed


def test_an_expression_that_takes_for_ever_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from jobs.checks import apart
    (tmp_path / "out").write_bytes(b"a" * 60 + b"!\n")
    (tmp_path / "err").write_bytes(b"")
    monkeypatch.setattr(apart.run_apart, "__defaults__", (1.0, False))
    answers: List[CheckResult] = []
    worker = threading.Thread(target=lambda: answers.append(ask(tmp_path, "check_output_contains", pattern="(a+)+$")))
    worker.start()
    turns = 0
    while worker.is_alive():
        time.sleep(0.01)
        turns += 1
    assert turns > 2, "other threads stood still"
    assert answers[0].reason == "cannot look for the pattern (a+)+$: did not end within 1 s"


def test_command(tmp_path: Path) -> None:
    command: Callable[..., CheckResult] = lambda **params: ask(tmp_path, "check_command", **params)  # noqa: E731
    assert command(command="test \"$WORD\" = \"it's \\$HOME\"").passed
    assert command(command=["sh", "-c", "test -d ."]).passed
    assert command(command="echo first >&2; echo 'no table  orders' >&2; exit 3").reason == "exit code 3: no table orders"
    assert command(command="kill -9 $$").reason == "ended by SIGKILL"
    assert command(command="sleep 60", timeout="0.2s").reason == "did not end within 0.2 s"
    assert command(command=["no-such-program"]).reason.startswith("cannot be run: No such file")
    # Neither a stream that others hold nor one that is flooded holds it up.
    assert command(command="sleep 60 & exit 0").passed
    assert command(command="head -c 3000000 /dev/zero >&2; exit 0").passed
    assert command(command="exec 2>&-; exit 4").reason == "exit code 4"


def test_no_check_is_given_up_before_its_own_timeout() -> None:
    assert time_limit_s(Check("check_file_exists", {"path": "x"}), 60.0) == 60.0
    assert time_limit_s(Check("check_command", {"command": "x", "timeout": "5m"}), 60.0) == 310.0
    assert time_limit_s(Check("check_command", {"command": "x", "timeout": 1}), 60.0) == 60.0


GOOD: List[Dict[str, Any]] = [
    {"name": "check_file_not_empty", "params": {"path": "x", "min_size": "10MiB"}},
    {"name": "check_file_newer_than", "params": {"path": "x", "than": "y"}},
    {"name": "check_file_newer_than", "params": {"path": "x", "max_age": "1h30m"}},
    {"name": "check_disk_free", "params": {"min_free": "10%"}},
    {"name": "check_disk_free", "params": {"min_free": 5.0, "path": "/"}},
    {"name": "check_port_open", "params": {"port": 5432.0, "host": "db", "timeout": "3s"}},
    {"name": "check_port_open", "params": {"port": "${GOOD_PORT}"}},
    {"name": "check_port_open", "params": {"port": "${EXECUTIONER_PARAM_X}", "_why": []}},
    {"name": "check_output_contains", "params": {"text": "x", "stream": "stderr"}},
    {"name": "check_output_lacks", "params": {"pattern": "ERR|FATAL"}},
    {"name": "check_command", "params": {"command": "true", "timeout": 90}},
    {"name": "check_command", "params": {"command": ["true", ""]}},
]
BAD = [
    ({"name": "check_file_not_empty", "params": {"path": "x", "min_size": -1}}, "params.min_size: must be a size such as"),
    ({"name": "check_file_not_empty", "params": {"path": "x", "minsize": 1}}, 'it takes path, min_size; did you mean "min_size"?'),
    ({"name": "check_file_newer_than", "params": {"path": "x"}}, 'needs exactly one of the parameters "than", "max_age"'),
    ({"name": "check_file_newer_than", "params": {"path": "x", "than": "y", "max_age": 1}}, "params.max_age: check_file_newer_than needs exactly one"),
    ({"name": "check_file_newer_than", "params": {"path": "x", "max_age": "soon"}}, "params.max_age: must be a duration"),
    ({"name": "check_disk_free", "params": {}}, 'needs the parameter "min_free"'),
    ({"name": "check_disk_free", "params": {"min_free": "101%"}}, "params.min_free: must be a size such as"),
    ({"name": "check_disk_free", "params": {"min_free": True}}, "params.min_free: must be a size such as"),
    ({"name": "check_port_open", "params": {"port": 0}}, "params.port: must be a whole number, from 1 to 65535, got 0"),
    ({"name": "check_port_open", "params": {"port": "${PORT}"}}, "params.port: must be a whole number, from 1 to 65535, got \"70000\""),
    ({"name": "check_port_open", "params": {"port": 80.5}}, "params.port: must be a whole number"),
    ({"name": "check_port_open", "params": {"port": 80, "timeout": 7200}}, "params.timeout: must be a duration"),
    ({"name": "check_output_contains", "params": {"text": ""}}, "params.text: must be a string that is not empty"),
    ({"name": "check_output_contains", "params": {"pattern": "("}}, "params.pattern: must be a regular expression"),
    ({"name": "check_output_lacks", "params": {"text": "x", "stream": "out"}}, 'params.stream: must be "stdout" or "stderr" or "both"'),
    ({"name": "check_command", "params": {"command": " "}}, "params.command: must be a command"),
    ({"name": "check_command", "params": {"command": []}}, "params.command: must be a command"),
    ({"name": "check_command", "params": {"command": "true", "timeout": 0}}, "params.timeout: must be a duration"),
    ({"name": "check_comand"}, 'there is no check "check_comand"; did you mean "check_command"?'),
    ({"name": "zebra"}, 'there is no check "zebra"; there are: check_command, check_disk_free'),
]


def write(folder: Path, **job: object) -> str:
    import json
    path = folder / "c.json"
    path.write_text(json.dumps({"jobs": [dict(job, id="a", command="true")]}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("check", GOOD, ids=str)
def test_good_parameters(check: Dict[str, Any], tmp_path: Path) -> None:
    assert [str(one) for one in validate_file(write(tmp_path, post_checks=[check]), ENVIRON).problems] == []


@pytest.mark.parametrize("check, message", BAD, ids=str)
def test_bad_parameters(check: Dict[str, Any], message: str, tmp_path: Path) -> None:
    problems = [str(one) for one in validate_file(write(tmp_path, post_checks=[check]), ENVIRON).problems]
    assert len(problems) == 1 and message in problems[0], problems


@pytest.mark.parametrize("name", ["check_output_contains", "check_output_lacks"])
def test_before_the_job_there_is_no_output(name: str, tmp_path: Path) -> None:
    problems = [str(one) for one in validate_file(write(tmp_path, pre_checks=[
        {"name": name, "params": {"text": "x"}}, {"name": "nope"}]), ENVIRON).problems]
    assert len(problems) == 2 and "error E154 jobs[0].pre_checks[0].name: %s looks at what the job wrote" % name in problems[0]
    assert "E140" in problems[1]


def test_the_schema_says_the_same() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="not run: jsonschema is not installed")
    if not hasattr(jsonschema, "Draft202012Validator"):
        pytest.skip("not run: jsonschema is too old for draft 2020-12 (Python %d.%d)" % sys.version_info[:2])
    from config.json_schema import json_schema
    schema = jsonschema.Draft202012Validator(json_schema())
    for check in GOOD:
        assert not list(schema.iter_errors({"jobs": [{"id": "a", "command": "true", "post_checks": [check]}]})), check
    for check, message in BAD:
        if "E140" not in message and "there is no" not in message and "PORT" not in str(check) and "'('" not in str(check):
            assert list(schema.iter_errors({"jobs": [{"id": "a", "command": "true", "post_checks": [check]}]})), check


def test_variables_in_parameters_are_data(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    loaded = load_pipeline(write(tmp_path, working_dir="sub", env_variables={"X": "$(id)", "N": "7"}, post_checks=[
        {"name": "check_command", "params": {"command": "echo ${X}", "timeout": "${N}"}},
        {"name": "check_command", "params": {"command": ["echo", "${X}"]}},
        {"name": "check_output_contains", "params": {"pattern": "^${DOTS}$"}},
        {"name": "check_output_contains", "params": {"text": "~/${DOTS}"}},
        {"name": "check_file_exists", "params": {"path": "~/${DOTS}"}}]), ENVIRON)
    assert loaded.pipeline is not None, loaded.problems
    assert [check.params for check in loaded.pipeline.jobs[0].post_checks] == [
        {"command": "echo ${X}", "timeout": "7"}, {"command": ["echo", "$(id)"]}, {"pattern": "^a\\.b$"},
        {"text": "~/a.b"}, {"path": "/root/a.b"}]


def test_all_are_declared_in_full() -> None:
    for name in BUILT_IN.names():
        declaration = BUILT_IN.get(name)
        assert declaration is not None and declaration.help
        assert set(declaration.one_of) <= {one.name for one in declaration.parameters}
        assert all(one.help and one.what for one in declaration.parameters)

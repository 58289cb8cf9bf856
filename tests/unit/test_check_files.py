"""The checks of files: what passes, what fails, and what the reason says."""
import os
from pathlib import Path

import pytest

from jobs.checks import files
from jobs.checks.parameters import Parameter
from jobs.checks.registry import BUILT_IN, CheckDeclaration
from jobs.checks.result import CheckContext, CheckResult
from jobs.checks.runner import run_check
from jobs.models import Check


def ask(folder: Path, name: str, **params: object) -> CheckResult:
    return run_check(Check(name, dict(params)), CheckContext(str(folder)))


def test_a_file_exists(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert ask(tmp_path, "check_file_exists", path="data.csv").passed
    assert ask(Path("/"), "check_file_exists", path=str(tmp_path / "data.csv")).passed
    assert ask(tmp_path, "check_file_exists", path="*.csv").passed
    assert ask(tmp_path, "check_file_exists", path="no.csv") == CheckResult(
        "check_file_exists", False, "no file %s/no.csv" % tmp_path)
    assert ask(tmp_path, "check_file_exists", path="folder") == CheckResult(
        "check_file_exists", False, "%s/folder is a folder, not a file" % tmp_path)
    assert not ask(tmp_path, "check_file_exists", path="dangling").passed
    assert not ask(tmp_path, "check_file_exists", path="fold*").passed
    assert not ask(tmp_path, "check_file_exists", path="*.txt").passed


def test_a_device_exists() -> None:
    assert ask(Path("/dev"), "check_file_exists", path="null").passed


@pytest.mark.parametrize("name,text,reason", [
    ("check_no_ora_errors", b"ok\nORA-1234\nSP2-0310: unable\n", ""),
    ("check_no_ora_errors", b"", ""),
    ("check_no_ora_errors", b"ok\n  ERROR: ORA-00942: no such table\r\nmore", "2: ORA-00942: no such table"),
    ("check_no_ora_errors", b"ORA-00001", "1: ORA-00001"),
    ("check_no_ora_or_sp2_errors", b"\n\nSP2-0310: unable to open file\n", "3: SP2-0310: unable to open file"),
    ("check_no_ora_or_sp2_errors", b"\xff\xfe\0bin\nxORA-12154\xff\n", "2: ORA-12154\ufffd"),
    ("check_no_ora_or_sp2_errors", b"SP2-123 ORA-123\n", ""),
])
def test_errors_of_oracle(tmp_path: Path, name: str, text: bytes, reason: str) -> None:
    (tmp_path / "run.log").write_bytes(text)
    answer = ask(tmp_path, name, log_file="run.log")
    assert answer.passed == (not reason)
    assert answer.reason == ("%s/run.log:%s" % (tmp_path, reason) if reason else "no error in %s/run.log" % tmp_path)


@pytest.mark.parametrize("name", ["check_no_ora_errors", "check_no_ora_or_sp2_errors"])
def test_no_log_is_a_failure(tmp_path: Path, name: str) -> None:
    (tmp_path / "logs").mkdir()
    for pattern in ("run.log", "*.log", "logs", "log?"):
        assert ask(tmp_path, name, log_file=pattern) == CheckResult(
            name, False, "no log file %s/%s" % (tmp_path, pattern))


def test_every_file_of_a_pattern_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.log").write_bytes(b"fine\n")
    assert ask(tmp_path, "check_no_ora_errors", log_file="a/*.log").passed
    (tmp_path / "a" / "2.log").write_bytes(b"fine\nORA-00600: internal\n")
    for pattern in ("a/*.log", "**/*.log", str(tmp_path / "a" / "?.log")):
        assert ask(tmp_path, "check_no_ora_errors", log_file=pattern).reason == \
            "%s/a/2.log:2: ORA-00600: internal" % tmp_path
    assert ask(tmp_path, "check_no_ora_errors", log_file="a/1*").reason == "no error in %s/a/1.log" % tmp_path


def test_characters_of_patterns_in_names(tmp_path: Path) -> None:
    folder = tmp_path / "job[1]*"
    folder.mkdir()
    (folder / "x[1].log").write_bytes(b"ORA-00001: bad\n")
    (folder / "x1.log").write_bytes(b"fine\n")
    assert not ask(folder, "check_no_ora_errors", log_file="x[1].log").passed
    assert not ask(folder, "check_no_ora_errors", log_file="*.log").passed
    os.unlink(str(folder / "x[1].log"))
    assert ask(folder, "check_no_ora_errors", log_file="x[1].log").passed


@pytest.mark.parametrize("before", range(files._CHUNK_BYTES - 12, files._CHUNK_BYTES + 2))
def test_an_error_that_two_chunks_share(tmp_path: Path, before: int) -> None:
    line = b"x" * 6 + b"\n"
    text = (line * (before // 7 + 1))[:before]
    (tmp_path / "run.log").write_bytes(text + b"ORA-12345: deadlock\n" + line * 3)
    assert ask(tmp_path, "check_no_ora_errors", log_file="run.log").reason == "%s/run.log:%d: ORA-12345: deadlock" % (
        tmp_path, text.count(b"\n") + 1)


def test_one_line_of_many_chunks_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_bytes(b"a\n" + b"x" * (3 << 20) + b"ORA-12345: " + b"y" * (1 << 20))
    assert ask(tmp_path, "check_no_ora_errors", log_file="run.log").reason == "%s/run.log:2: ORA-12345: %s" % (
        tmp_path, "y" * 189)


def test_what_cannot_be_read_fails_with_its_reason(tmp_path: Path) -> None:
    os.mkfifo(str(tmp_path / "fifo"))
    answer = ask(tmp_path, "check_no_ora_errors", log_file="fifo")
    assert not answer.passed and "%s/fifo: expected a regular file" % tmp_path in answer.reason
    if os.geteuid() != 0:
        (tmp_path / "closed").write_bytes(b"")
        os.chmod(str(tmp_path / "closed"), 0)
        assert ask(tmp_path, "check_no_ora_errors", log_file="closed").reason == \
            "cannot open %s/closed: Permission denied" % tmp_path


def test_parameters_are_declared_and_checked() -> None:
    assert BUILT_IN.names() == [
        "check_command", "check_disk_free", "check_file_exists", "check_file_newer_than", "check_file_not_empty",
        "check_no_ora_errors", "check_no_ora_or_sp2_errors", "check_output_contains", "check_output_lacks",
        "check_port_open"]
    check = BUILT_IN.get("check_file_exists")
    assert check is not None
    assert check.problems({"path": "a"}) == []
    assert check.problems({}) == [("path", 'check_file_exists needs the parameter "path" (the file, or a pattern)')]
    assert check.problems({"path": 5}) == [("path", "must be a path, got 5")]
    assert check.problems({"path": ""}) == [("path", 'must be a path, got ""')]
    assert check.problems({"path": "a\0b"}) == [("path", 'must be a path, got "a\\u0000b"')]
    assert check.problems({"path": "a", "pth": 1}) == [
        ("pth", 'check_file_exists has no parameter "pth"; it takes path')]
    assert BUILT_IN.get("check_nothing") is None


def test_kinds_of_parameters() -> None:
    def accepts(kind: str, value: object) -> bool:
        check = CheckDeclaration("c", files.check_file_exists, (Parameter("p", kind, "h"),), "h")
        return not check.problems({"p": value})

    assert [value for value in ("a", "", 1, 1.5, True, None, []) if accepts("text", value)] == ["a", ""]
    assert [value for value in ("a", 1, 1.5, None) if accepts("integer", value)] == [1]
    assert not accepts("integer", True)
    optional = CheckDeclaration("c", files.check_file_exists, (Parameter("p", "text", "h", required=False),), "h")
    assert optional.problems({}) == []


def test_a_registry_of_ones_own() -> None:
    mine = BUILT_IN.copy()
    mine.add(CheckDeclaration("mine", lambda context: CheckResult("mine", True), (), "always"))
    assert "mine" in mine.names() and "mine" not in BUILT_IN.names()
    assert run_check(Check("mine"), CheckContext("/"), mine).passed


def test_a_check_that_raises_or_does_not_exist_fails() -> None:
    def broken(context: CheckContext) -> CheckResult:
        raise KeyError("boom")

    mine = BUILT_IN.copy()
    mine.add(CheckDeclaration("broken", broken, (), "never"))
    assert run_check(Check("broken"), CheckContext("/"), mine) == CheckResult(
        "broken", False, "the check raised KeyError: 'boom'", is_known=False)
    answer = run_check(Check("none"), CheckContext("/"), mine)
    assert answer.reason.startswith("no such check; there are broken, check_")
    assert run_check(Check("check_file_exists"), CheckContext("/"), mine).reason.startswith(
        'check_file_exists needs the parameter "path"')

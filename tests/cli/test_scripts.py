"""The scripts behind ``make`` and ``.ci/run``: counting stays true, and a machine without venv gets a clear line."""
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]

REPORT = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest">
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><failure message="no">text</failure></testcase>
<testcase classname="a" name="three"><skipped message="not run: no root"/></testcase>
<testcase classname="a" name="four"/>
<testcase classname="a" name="four"><error message="left behind">text</error></testcase>
<testcase classname="b" name="one"/>
</testsuite></testsuites>
"""


def call(script: str, *words: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a script of ``scripts/``."""
    return subprocess.run([sys.executable, str(ROOT / "scripts" / script)] + list(words), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=100)


def test_counts_are_added_up(tmp_path: Path) -> None:
    report = tmp_path / "one.xml"
    report.write_text(REPORT)
    done = call("count_tests.py", "--passed", "3", str(report), str(report))
    assert done.stdout == b"7 passed, 4 failed, 2 skipped\n" and done.returncode == 1
    done = call("count_tests.py", "--passed", "3")
    assert done.stdout == b"3 passed, 0 failed, 0 skipped\n" and done.returncode == 0


def test_a_missing_report_is_a_failure_and_nothing_is_no_success(tmp_path: Path) -> None:
    done = call("count_tests.py", "--passed", "3", str(tmp_path / "none.xml"))
    assert done.stdout == b"3 passed, 1 failed, 0 skipped\n" and done.returncode == 1
    (tmp_path / "torn.xml").write_text(REPORT[:200])
    done = call("count_tests.py", str(tmp_path / "torn.xml"))
    assert done.stdout == b"0 passed, 1 failed, 0 skipped\n" and done.returncode == 1
    assert call("count_tests.py").returncode == 1


def test_interpreters_are_found() -> None:
    lines = call("interpreters.py").stdout.decode().splitlines()
    assert lines and all(re.match(r"3\.\d+ /", line) for line in lines)
    newest = call("interpreters.py", "newest").stdout.decode().strip()
    assert lines[-1].split(" ", 1)[1] == newest
    assert call("interpreters.py", "3.0", "3.1").returncode == 1


def stand_in(folder: Path, cases: List[str]) -> str:
    """A Python without venv: a shell script that does what the cases say and passes everything else on."""
    path = folder / "python3"
    path.write_text("#!/bin/sh\ncase \"$*\" in\n%s\nesac\nexec '%s' \"$@\"\n" % ("\n".join(cases), sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_without_venv_the_interpreters_own_pytest_does(tmp_path: Path) -> None:
    python = stand_in(tmp_path, ["'-m venv'*) echo 'ensurepip is not available'; exit 1 ;;"])
    done = call("dev_env.py", str(tmp_path / "env"), "--python", python)
    assert done.returncode == 0 and done.stdout.decode() == python + "\n"
    assert done.stderr.decode().startswith("dev_env: no environment could be made, so the tests run with the pytest of")
    assert "ensurepip is not available" in done.stderr.decode()


def test_without_venv_and_pytest_a_line_says_what_to_do(tmp_path: Path) -> None:
    python = stand_in(tmp_path, ["'-m venv'*) echo 'ensurepip is not available'; exit 1 ;;",
                                 "'-c import pytest') exit 1 ;;"])
    done = call("dev_env.py", str(tmp_path / "env"), "--python", python)
    assert done.returncode == 1 and done.stdout == b""
    told = done.stderr.decode()
    assert "Install python3-venv (Debian) or pytest" in told and "Traceback" not in told
    assert not os.path.exists(str(tmp_path / "env"))


def test_the_readme_begins_with_two_commands() -> None:
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("```sh\n")[1].split("```")[0]
    commands = block.splitlines()
    assert len(commands) == 2
    assert commands[0].startswith("python3 -m executioner run ") and commands[1] == "make test"


@pytest.mark.skipif(not any(os.access(os.path.join(folder, "make"), os.X_OK)
                            for folder in os.environ["PATH"].split(os.pathsep)), reason="not run: no make")
def test_make_test_gives_pytest_the_plugins_options() -> None:
    # ``echo -n 2`` would keep the -n for itself.
    told = subprocess.check_output(["make", "-n", "test"], cwd=str(ROOT)).decode()
    options = re.search(r"printf '%s ' '([^']*)'", told)
    assert options is not None and options.group(1) == "-n 2 --timeout 120"
    assert subprocess.check_output(["sh", "-c", options.group(0)]).split() == [b"-n", b"2", b"--timeout", b"120"]

"""Homes whose names are not plain: what is kept in them is found again, in the locale of cron too."""
import json
import os
import signal
import subprocess
import sys
from typing import Dict, List

import pytest

from cli_case import ROOT, Case
from killing import wait_for_file, wait_until

NAMES = [b"with blank", "j\u00fcrgen".encode("utf-8"), b"no-utf8-\xff\xe4", b"line\nbreak"]


@pytest.fixture(params=NAMES, ids=["blank", "umlaut", "bytes", "line break"])
def home(request: "pytest.FixtureRequest", case: Case) -> bytes:
    """The name of a home that is not there yet."""
    folder: bytes = os.fsencode(case.folder) + b"/" + request.param
    return folder + b"/home"


def command(home: bytes, *words: str) -> List[bytes]:
    """The command line."""
    return [os.fsencode(sys.executable), b"-m", b"executioner", b"--home", home] + list(map(os.fsencode, words))


def environment() -> Dict[str, str]:
    """That of a job of cron."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": ROOT, "LC_ALL": "C"}


def output(case: Case, home: bytes, *words: str, code: int = 0) -> bytes:
    """What a command prints."""
    process = subprocess.Popen(command(home, *words), cwd=case.folder, env=environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=90)
    assert process.returncode == code, (out, err)
    return out


def test_output_and_resume(case: Case, home: bytes) -> None:
    case.jobs({"id": "a", "command": "echo one"}, {"id": "b", "command": "test -e there && echo two"})
    output(case, home, "run", "config.json", code=1)
    assert output(case, home, "logs", "1", "a", "--stdout") == b"one\n"
    case.file("there", "")
    output(case, home, "run", "config.json", "--resume", "last")
    assert output(case, home, "logs", "2", "b", "--stdout") == b"two\n"


@pytest.mark.needs_linux
def test_what_ended_after_its_runner_is_found(case: Case, home: bytes) -> None:
    case.jobs({"id": "a", "command": "touch began; while [ ! -e go ]; do sleep 0.02; done; echo done"})
    with open(os.devnull, "wb") as nothing:
        runner = subprocess.Popen(command(home, "run", "config.json"), cwd=case.folder, env=environment(),
                                  stdout=nothing, stderr=nothing)
    wait_for_file(case, "began")
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    case.file("go", "")

    def status() -> str:
        document = json.loads(output(case, home, "show", "1", "--json").decode("utf-8"))
        return str(document["jobs"][0]["status"])

    wait_until(lambda: status() != "RUNNING", "the end of the job")
    assert status() == "SUCCESS"
    output(case, home, "db", "recover")
    assert output(case, home, "logs", "1", "a", "--stdout") == b"done\n"

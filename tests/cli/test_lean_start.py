"""What a run of one job costs is what it imports: nothing heavy, and no more processor time than a bound."""
import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import List, Set

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Too dear for a run of one job. sqlite3 needs datetime, dataclasses needs inspect: those are paid for already.
HEAVY = {"argparse", "asyncio", "concurrent", "csv", "decimal", "difflib", "email", "html", "http", "ipaddress", "logging",
         "multiprocessing", "pathlib", "pickle", "platform", "queue", "random", "shutil", "smtplib", "socketserver",
         "ssl", "statistics", "subprocess", "tarfile", "tempfile", "textwrap", "unittest", "urllib", "uuid", "xml",
         "zipfile"}
#: Processor time of runner, keeper and job together, in starts of Python that load what no run does without: the best of a
#: few runs. 3.4 on Python 3.13, 4.7 on 3.6; what a heavy import adds is 0.5 to 1.5 each.
MOST_STARTS = 7.0


#: What a run that asks for nothing special does without; and what only running needs, so that validating does.
RARE = {"config.expansion", "config.inner", "config.parameters", "config.positions", "config.references", "db.outbox",
        "db.truth", "executioner.progress", "executioner.render", "executioner.summary", "jobs.checks.registry",
        "jobs.reconcile", "jobs.records", "jobs.server_place", "monitoring.notifications"}
FOR_RUNS = {"ctypes", "dataclasses", "datetime", "db", "inspect", "jobs.engine", "jobs.models", "monitoring", "sqlite3"}


@pytest.fixture
def one_job(tmp_path: Path) -> Path:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"application_name": "lean", "jobs": [{"id": "one", "command": "true"}]}))
    return path


def loaded_by(*words: str) -> Set[str]:
    """The modules that a command loads, besides those of the bare interpreter."""
    code = ("import sys; sys.argv = %r; sys.path.insert(0, %r); "
            "from executioner.bootstrap import main; code = main(); print([code, sorted(sys.modules)])"
            % (["executioner"] + list(words), str(ROOT)))
    command = [sys.executable, "-c", code] if sys.version_info < (3, 7) else [sys.executable, "-I", "-S", "-c", code]
    before = subprocess.check_output(command[:-1] + ["import sys; print(sorted(sys.modules))"])
    last_line = subprocess.check_output(command).decode().splitlines()[-1]
    exit_code, modules = ast.literal_eval(last_line)
    assert exit_code == 0
    return set(modules) - set(ast.literal_eval(before.decode()))


def test_a_run_imports_nothing_heavy(one_job: Path, tmp_path: Path) -> None:
    loaded = loaded_by("--home", str(tmp_path / "home"), "run", str(one_job))
    assert "jobs.engine" in loaded
    assert sorted(loaded & (HEAVY | RARE)) == []


def test_validating_imports_less(one_job: Path) -> None:
    loaded = loaded_by("validate", str(one_job))
    assert "config.validator" in loaded
    if sys.version_info < (3, 7):
        loaded -= {"dataclasses", "inspect"}  # the first thing asked there is whether the package is installed
    assert sorted(loaded & (HEAVY | RARE | FOR_RUNS)) == []


@pytest.mark.slow
def test_a_run_costs_little(one_job: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "executioner"), "--home", str(tmp_path / "home"), "run", str(one_job)]
    bare = [sys.executable, "-I", "-c", "import dataclasses, json, sqlite3"]
    costs = [(cost_s(command), cost_s(bare)) for _ in range(7)]
    assert min(run for run, _ in costs) < MOST_STARTS * min(start for _, start in costs), costs


def cost_s(command: List[str]) -> float:
    """Processor time of a command and of what it waits for."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = status
    assert status == 0
    return used.ru_utime + used.ru_stime

"""From a zip file, as the single-file command is one: the keeper comes up, and another one after the file is gone."""
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from executor_case import runner_environment

ROOT = Path(__file__).resolve().parent.parent.parent
CODE = """
import os, signal, sys
import executor_case
from pathlib import Path
import jobs.keeper.launch
assert ".zip" in jobs.keeper.launch.__file__, jobs.keeper.launch.__file__
case = executor_case.Case(Path(sys.argv[1]))
first = case.run("echo one")
os.unlink(sys.argv[2])
os.kill(case.executor.keeper_pid, signal.SIGKILL)
second = case.run("echo two")
print(first.status, second.status, case.close())
"""


@pytest.mark.needs_linux
def test_two_keepers_of_one_zip(tmp_path: Path) -> None:
    """The code is kept in memory; the file may be replaced during the run."""
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(str(archive), "w") as packed:
        for path in sorted((ROOT / "jobs").rglob("*.py")):
            packed.write(str(path), str(path.relative_to(ROOT)))
        packed.write(str(ROOT / "tests" / "executor_case.py"), "executor_case.py")
    (tmp_path / "work").mkdir()
    environment = dict(runner_environment(), PYTHONPATH=str(archive))
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path / "work"), str(archive)], env=environment,
                          cwd=str(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.stdout.decode().split("\n")[0] == "SUCCESS SUCCESS []", done.stderr.decode()
    assert json.dumps(os.listdir(str(tmp_path / "work" / "output"))).count(".out") == 2

"""What the tests of the examples share: a copy of one example that is run with the real command."""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict

__all__ = ["EXAMPLES", "Example", "attempts", "statuses", "wait_for_text"]

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


class Example:
    """A copy of one example, so that the checkout stays as it is."""

    def __init__(self, name: str, folder: Path) -> None:
        shutil.copytree(str(EXAMPLES / name), str(folder / name), ignore=shutil.ignore_patterns("work"))
        self.folder = folder / name
        self.work = self.folder / "work"
        self.file = self.folder / (name + ".json")
        self.home = folder / "home"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()

    def call(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        """One command, from a folder that has nothing to do with the example."""
        python = os.path.dirname(sys.executable)
        environment = dict(os.environ, PYTHONPATH=str(ROOT), PATH=python + os.pathsep + os.environ["PATH"])
        return subprocess.run([sys.executable, "-m", "executioner", "--home", str(self.home)] + list(words),
                              cwd=str(self.elsewhere), env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)

    def run(self, code: int, *words: str) -> Dict[str, Any]:
        """Run the example; the document that ``--json`` gives."""
        done = self.call("run", str(self.file), "--json", *words)
        assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
        document = json.loads(done.stdout.decode())
        assert isinstance(document, dict) and document["exit_code"] == code
        return document

    def output(self, document: Dict[str, Any], job: str, stream: str = "stdout") -> str:
        """What the last attempt of a job wrote."""
        path = [entry[stream + "_path"] for entry in document["jobs"] if entry["job_id"] == job][0]
        return Path(path).read_text(encoding="utf-8")


def statuses(document: Dict[str, Any]) -> Dict[str, str]:
    """The status of every job."""
    return {job["job_id"]: job["status"] for job in document["jobs"]}


def attempts(document: Dict[str, Any]) -> Dict[str, int]:
    """How many attempts every job had."""
    return {job["job_id"]: job["attempts"] for job in document["jobs"]}


def wait_for_text(path: Path, words: str = "\n") -> str:
    """What is in a file once the words are."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if path.exists() and words in path.read_text(encoding="utf-8"):
            return path.read_text(encoding="utf-8")
        time.sleep(0.02)
    raise AssertionError("%s: waited in vain" % path)

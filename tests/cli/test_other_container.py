"""A home that is shared with a container: there the runner has another pid than it has here."""
import shutil
import signal
import subprocess
import time

import pytest

from cli_case import Case
from killing import rows, wait_for_file, wait_until

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.call(NAMESPACE + ["true"], stderr=subprocess.DEVNULL):
        pytest.skip("not run: no process namespace can be made here")


def test_a_runner_of_another_container_is_alive_and_cannot_be_told(case: Case) -> None:
    """Nothing of its run is taken for dead, nobody closes it, and who wants to stop it learns where that is done."""
    case.jobs({"id": "a", "command": "touch begun; while [ ! -e go ]; do sleep 0.05; done"},
              {"id": "b", "command": "true", "dependencies": ["a"]})
    inside = subprocess.Popen(NAMESPACE + case.command("run", "config.json"), cwd=case.folder, env=case.environ)
    try:
        wait_for_file(case, "begun")
        wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"), "the start is recorded")
        shown = case.run("show", "last", "--json").expect(0).json()
        assert shown["status"] == "RUNNING"
        assert [job["status"] for job in shown["jobs"]] == ["RUNNING", "PENDING"]
        case.run("db", "recover").expect(0, out="run 1 of app: its runner is alive\n", err="")
        for words in (("cancel", "1"), ("hold", "app", "b")):
            case.run(*words).expect(2, err="""
                executioner: run 1 cannot be reached from here: its runner is process 1 of another container
                  hint: give the command in that container
                """)
        case.run("release", "app", "b")
        case.run("run", "config.json").expect(75)
    finally:
        case.file("go", "")
        assert inside.wait(60) == 0
    assert [job["status"] for job in case.run("show", "last", "--json").json()["jobs"]] == ["SUCCESS", "SUCCESS"]


def test_a_runner_that_died_with_its_container_is_dead(case: Case) -> None:
    """The kernel's lock goes with it."""
    case.jobs({"id": "a", "command": "touch begun; sleep 100"})
    inside = subprocess.Popen(NAMESPACE + case.command("run", "config.json"), cwd=case.folder, env=case.environ)
    wait_for_file(case, "begun")
    inside.send_signal(signal.SIGKILL)
    inside.wait(60)
    deadline = time.monotonic() + 60
    while case.run("show", "last", "--json").json()["status"] != "LOST":
        assert time.monotonic() < deadline
    case.run("db", "recover").expect(0, out="run 1 of app: LOST\n", err="")

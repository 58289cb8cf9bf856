"""A runner that was killed: the reading commands tell the truth at once, and the next run closes what it left."""
import os
import signal
import subprocess
import time
from typing import Callable, List

from cli_case import Case

JOBS = ({"id": "first", "command": "true"},
        {"id": "long", "command": "echo begun; touch started; while [ ! -e stop ]; do sleep 0.02; done; echo done",
         "dependencies": ["first"]},
        {"id": "last", "command": "true", "dependencies": ["long"]})


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def killed_runner(case: Case) -> None:
    """Start the jobs and kill the runner with -9 while the second runs."""
    case.jobs(*JOBS)
    with case.background("run", "config.json") as runner:
        wait_until(lambda: os.path.exists(case.path("started")), "the job starts")
        runner.send_signal(signal.SIGKILL)


def statuses(case: Case, run: str) -> List[str]:
    return [job["status"] for job in case.run("show", run, "--json").expect(0, err="").json()["jobs"]]


def test_the_job_goes_on_and_its_result_is_known(case: Case) -> None:
    killed_runner(case)
    try:
        assert statuses(case, "1") == ["SUCCESS", "RUNNING", "CANCELLED"]
        assert case.run("runs", "--json").json()[0]["status"] == "RUNNING"
        assert case.run("status", "--json").json()["running"][0]["run_id"] == 1
    finally:
        case.file("stop", "")
    wait_until(lambda: case.run("runs", "--json").json()[0]["status"] != "RUNNING", "the keeper ends")
    assert statuses(case, "1") == ["SUCCESS", "SUCCESS", "CANCELLED"]
    run = case.run("show", "1", "--json").json()
    assert (run["status"], run["exit_code"]) == ("LOST", 1)
    assert case.run("status", "--json").json()["last"]["app"]["status"] == "LOST"
    case.run("logs", "1", "long", "--stdout").expect(0, out="begun\ndone\n", err="")
    assert "the runner of run 1 of app died" in case.run("doctor").expect(0).out


def test_follow_ends_although_the_runner_died(case: Case) -> None:
    killed_runner(case)
    with case.background("logs", "1", "long", "--stdout", "-f", stdout=subprocess.PIPE) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"begun\n"
        case.file("stop", "")
        assert follower.stdout.read() == b"done\n"
        assert follower.wait() == 0


def test_the_next_run_waits_for_what_still_runs_and_closes_the_dead_run(case: Case) -> None:
    killed_runner(case)
    with case.background("run", "config.json", stderr=subprocess.PIPE) as following:
        assert following.stderr is not None
        assert following.stderr.readline() == b"executioner: run 1 died, and jobs of it still run: waiting for them\n"
        assert len(case.run("runs", "--json").json()) == 1, "it did not wait"
        case.file("stop", "")
        assert (following.stderr.read(), following.wait()) == (b"", 0)
    assert statuses(case, "1") == ["SUCCESS", "SUCCESS", "CANCELLED"]
    assert statuses(case, "2") == ["SUCCESS", "SUCCESS", "SUCCESS"]
    assert [run["status"] for run in case.run("runs", "--json").json()] == ["SUCCESS", "LOST"]

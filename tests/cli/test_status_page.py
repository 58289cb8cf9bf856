"""``status_page``: a page that each run keeps current, beside the run and never in its way."""
import json
import os
import re
import signal
import subprocess
import time
from typing import Any, Callable, Dict

import pytest

from cli_case import Case

PATIENCE_S = 60.0


def page_of(case: Case) -> Dict[str, Any]:
    """What the page knows; nothing where there is none yet."""
    try:
        with open(case.path("page.html"), encoding="utf-8") as stream:
            found = re.search(r'id="data">(.*?)</script>', stream.read(), re.DOTALL)
    except FileNotFoundError:
        return {}
    assert found is not None  # never half a page
    document: Dict[str, Any] = json.loads(found.group(1))
    return document


def refresh_of(case: Case) -> str:
    """After how many seconds a browser loads the page again."""
    with open(case.path("page.html"), encoding="utf-8") as stream:
        found = re.search('<meta http-equiv="refresh" content="([0-9]+)">', stream.read())
    assert found is not None
    return found.group(1)


def statuses(case: Case) -> Dict[str, str]:
    return {job["job_id"]: job["status"] for job in page_of(case).get("jobs", ())}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_the_page_is_there_when_the_command_has_ended(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo the-secret-word"}, {"id": "b", "command": "echo the-secret-word; exit 3"},
              status_page="page.html", env_variables={"MY_PASSWORD": "the-secret-word"}, continue_on_error=True)
    case.run("run", "config.json").expect(code=1)
    wait_for(lambda: page_of(case).get("run", {}).get("status") == "FAILED")
    document = page_of(case)
    assert document["run"]["run_id"] == 1 and statuses(case) == {"a": "SUCCESS", "b": "FAILED"}
    assert document["failures"][0]["stdout"] == "***\n"
    assert os.stat(case.path("page.html")).st_mode & 0o777 == 0o644
    with open(case.path("page.html"), encoding="utf-8") as stream:
        text = stream.read()
    assert refresh_of(case) == "60" and "the-secret-word" not in text
    assert not [name for name in os.listdir(case.path(".")) if name.endswith(".tmp")]
    case.jobs({"id": "a", "command": "true"}, status_page="page.html")
    case.run("run", "config.json").expect(code=0, err="")
    wait_for(lambda: page_of(case)["run"]["run_id"] == 2 and page_of(case)["run"]["status"] == "SUCCESS")


@pytest.mark.slow
def test_the_page_follows_a_run_and_a_killed_one(case: Case) -> None:
    case.jobs({"id": "first", "command": "while ! test -e go; do sleep 0.05; done"},
              {"id": "second", "command": "while ! test -e end; do sleep 0.05; done", "dependencies": ["first"]},
              status_page="page.html", on_runner_death="kill")
    runner = subprocess.Popen(case.command("run", "config.json"), cwd=case.folder, env=case.environ)
    try:
        wait_for(lambda: statuses(case).get("first") == "RUNNING")
        case.file("go", "")
        wait_for(lambda: statuses(case) == {"first": "SUCCESS", "second": "RUNNING"})
        assert refresh_of(case) == "5"
    finally:
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()
    wait_for(lambda: refresh_of(case) == "60")  # whoever writes it ends then
    assert page_of(case)["run"]["status"] != "RUNNING"


def test_a_page_that_cannot_be_written_fails_nothing(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}, status_page="/none/page.html")
    case.run("run", "config.json").expect(code=0, err="")

    def told() -> bool:
        with open(os.path.join(case.home, "logs", "executioner.jsonl"), encoding="utf-8") as lines:
            return any("status_page: cannot write /none/page.html" in line for line in lines)

    wait_for(told)

"""Runs that are started, cancelled, resumed, held and marked over HTTP: by the same acts as on the command line."""
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any, Callable, Iterator, Tuple
from urllib.parse import quote

import pytest

from api_case import PATIENCE_S, ROOT, ApiCase
from servers import free_port


class Site(ApiCase):
    """A home whose server starts real runs."""

    def __init__(self, folder: str) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("EXECUTIONER_")}
        environ["PYTHONPATH"] = ROOT
        self.folder, self.environ = folder, environ
        self.words = [sys.executable, os.path.join(ROOT, "executioner"), "--home", os.path.join(folder, "home")]
        super().__init__(folder, environ=environ, command=self.words)

    def close(self) -> None:
        """End the server, and wait for the runs that it started."""
        super().close()
        wait_for(self.server.tend, lambda left: left == 0)

    def run(self, jobs: "list[dict[str, Any]]", code: int = 0, **top: Any) -> str:
        """Write a configuration of the application ``app`` and run it once; its path."""
        path = os.path.join(self.folder, "app.json")
        with open(path, "w") as out:
            json.dump(dict(top, application_name="app", jobs=jobs), out)
        os.chmod(path, 0o600)
        done = subprocess.run(self.words + ["run", path, "--quiet"], env=self.environ, stderr=subprocess.PIPE)
        assert done.returncode == code, done.stderr
        return path

    def wait(self, run_id: int, *statuses: str) -> Any:
        """The run, once it has one of these statuses."""
        return wait_for(lambda: self.get("/api/v1/runs/%d" % run_id).json(), lambda run: run["status"] in statuses)


def wait_for(look: Callable[[], Any], is_it: Callable[[Any], bool]) -> Any:
    """Look until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        seen = look()
        if is_it(seen):
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.02)


@pytest.fixture
def site(folder: str) -> Iterator[Site]:
    """A server that starts real runs."""
    case = Site(folder)
    yield case
    case.close()


def test_start(site: Site) -> None:
    site.run([{"id": "a", "command": "true"}])
    reply = site.post("/api/v1/applications/app/runs", {"why": "once more"})
    assert reply.status == 201 and reply.json() == {"application": "app", "run_id": 2}
    assert site.wait(2, "SUCCESS")["exit_code"] == 0
    events = wait_for(lambda: site.get("/api/v1/runs/2/journal").json()["events"], bool)
    assert [(event["kind"], event["who"], event["why"]) for event in events] == [
        ("start", "operator (token)", "once more")]
    assert site.post("/api/v1/applications/nope/runs").status == 404


def test_start_what_is_running(site: Site) -> None:
    mark = os.path.join(site.folder, "go")
    site.run([{"id": "a", "command": "while test -e %s; do sleep 0.02; done" % mark}])
    open(mark, "w").close()
    assert site.post("/api/v1/applications/app/runs").status == 201
    reply = site.post("/api/v1/applications/app/runs")
    assert reply.status == 409 and "run 2" in reply.json()["message"]
    os.unlink(mark)
    site.wait(2, "SUCCESS")


def test_start_a_file_that_is_no_good_any_more(site: Site) -> None:
    path = site.run([{"id": "a", "command": "true"}])
    with open(path, "w") as out:
        out.write("{")
    reply = site.post("/api/v1/applications/app/runs")
    assert reply.status == 409 and "app.json" in reply.json()["message"]


def test_cancel(site: Site) -> None:
    mark = os.path.join(site.folder, "go")
    site.run([{"id": "a", "command": "while test -e %s; do sleep 0.02; done" % mark}])
    open(mark, "w").close()
    site.post("/api/v1/applications/app/runs")
    wait_for(lambda: site.get("/api/v1/runs/2/jobs").json()["jobs"][0]["status"], lambda status: status == "RUNNING")
    assert site.post("/api/v1/runs/2/cancel", {"why": "wrong day"}, token=site.reader).status == 403
    assert site.post("/api/v1/runs/2/cancel", {"why": "wrong day"}).status == 202
    run = site.wait(2, "CANCELLED", "FAILED", "SUCCESS")
    assert run["status"] == "CANCELLED" and run["exit_code"] == 143
    assert "operator (token): wrong day" in run["reason"]
    assert site.post("/api/v1/runs/2/cancel").status == 409


def test_resume(site: Site) -> None:
    mark = os.path.join(site.folder, "mended")
    site.run([{"id": "a", "command": "true"}, {"id": "b", "command": "test -e " + mark, "dependencies": ["a"]}], code=1)
    open(mark, "w").close()
    reply = site.post("/api/v1/runs/1/resume")
    assert reply.status == 201
    run = site.wait(reply.json()["run_id"], "SUCCESS")
    assert run["parent_run_id"] == 1
    jobs = site.get("/api/v1/runs/2/jobs").json()["jobs"]
    assert [(job["job_id"], job["attempts"]) for job in jobs] == [("a", 0), ("b", 1)]
    assert site.post("/api/v1/runs/2/resume").status == 409
    assert site.post("/api/v1/runs/9/resume").status == 404


def test_mark_and_resume(site: Site) -> None:
    site.run([{"id": "a", "command": "false"}, {"id": "b", "command": "true", "dependencies": ["a"]}], code=1)
    assert site.post("/api/v1/runs/1/marks", {"jobs": ["nope"]}).status == 404
    assert site.post("/api/v1/runs/1/marks", {"jobs": ["a"], "why": "by hand"}).json() == {"run_id": 1, "marked": ["a"]}
    assert site.post("/api/v1/runs/1/marks", {}).status == 400
    site.post("/api/v1/runs/1/resume")
    site.wait(2, "SUCCESS")


def test_hold_and_release(site: Site) -> None:
    site.run([{"id": "a", "command": "true"}])
    assert site.post("/api/v1/applications/app/jobs/x/hold").status == 404
    assert site.post("/api/v1/applications/app/jobs/a/hold", {"why": "later"}).json()["held"] == ["a"]
    assert site.get("/api/v1/runs/1/jobs/a").json()["held"] == {"who": "operator (token)", "why": "later"}
    assert site.post("/api/v1/applications/app/jobs/a/release").json()["held"] == []
    assert site.post("/api/v1/applications/app/jobs/a/release").status == 409


def test_jobs_of_items(site: Site) -> None:
    site.run([{"id": "a", "for_each": ["x y", "in/é.csv", "?&=#"], "command": "echo out ${item}; test ${#EXECUTIONER_ITEM} -ne 4"},
              {"id": "b", "command": "true", "dependencies": ["a"]}], code=1, continue_on_error=True)
    names = [job["job_id"] for job in site.get("/api/v1/runs/1/jobs").json()["jobs"]]
    assert names[:2] == ["a[x y]", "a[in/é.csv]"] and len(names) == 4
    for name, text in zip(names, ("x y", "in/é.csv", "?&=#")):
        where = "/api/v1/runs/1/jobs/" + quote(name, safe="")
        assert site.get(where).json()["job_id"] == name
        assert site.get(where + "/attempts/1/output/stdout").body.decode("utf-8") == "out %s\n" % text
        assert site.post("/api/v1/applications/app/jobs/%s/hold" % quote(name, safe="")).json()["held"] == [name]
        site.post("/api/v1/applications/app/jobs/%s/release" % quote(name, safe=""))
    assert site.get("/api/v1/runs/1/graph").json()["dependencies"] == {
        "b": [{"job": name, "when": "success"} for name in names[:3]]}
    assert site.post("/api/v1/applications/app/jobs/a/hold", {"why": "later"}).json()["held"] == ["a"]
    assert site.get("/api/v1/runs/1/jobs/" + quote(names[0], safe="")).json()["held"]["why"] == "later"
    assert site.post("/api/v1/applications/app/jobs/a/release").json()["held"] == []
    failed = [job["job_id"] for job in site.get("/api/v1/runs/1/jobs?status=FAILED").json()["jobs"]]
    assert failed == [names[2]]
    assert site.post("/api/v1/runs/1/marks", {"jobs": ["a"], "why": "by hand"}).json()["marked"] == failed
    site.post("/api/v1/runs/1/resume")
    site.wait(2, "SUCCESS")


def test_run_with_a_server_beside_it(site: Site) -> None:
    runner, answers, mark = serving(site)
    os.unlink(mark)
    assert runner.wait(PATIENCE_S) == 0
    wait_for(answers, lambda seen: not seen)


def serving(site: Site) -> "Tuple[subprocess.Popen[bytes], Callable[[], bool], str]":
    """A run with a server beside it that answers, whether that still does, and the file that the run goes on with."""
    port = free_port()
    mark = os.path.join(site.folder, "go")
    path = site.run([{"id": "a", "command": "while test -e %s; do sleep 0.02; done" % mark}])
    open(mark, "w").close()
    runner = subprocess.Popen(site.words + ["run", path, "--serve", "127.0.0.1:%d" % port], env=site.environ)

    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    wait_for(answers, bool)
    return runner, answers, mark


def test_a_server_beside_a_run_dies_with_it(site: Site) -> None:
    runner, answers, mark = serving(site)
    runner.kill()
    runner.wait()
    wait_for(answers, lambda seen: not seen)
    os.unlink(mark)
    site.wait(2, "SUCCESS", "FAILED", "LOST")

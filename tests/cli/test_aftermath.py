"""What follows a run, with the real command: messages, late jobs, old runs, metrics, health; and that nobody waits."""
import json
import os
import signal
import subprocess
import time
from typing import Any, Callable, Dict, List

import pytest

from cli_case import Case
from receivers import HttpReceiver, SmtpReceiver

PATIENCE_S = 60.0


def wait_for(condition: Callable[[], Any]) -> Any:
    """What a condition gives once it gives anything."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def messages(case: Case) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = case.run("notify", "--list", "--json").json()
    return found


def settled(case: Case, count: int) -> Callable[[], Any]:
    """Whether so many messages are done with."""
    def look() -> Any:
        found = messages(case)
        return found if len([one for one in found if one["status"] != "WAITING"]) >= count else None
    return look


def notes(case: Case, event: str) -> List[Dict[str, Any]]:
    """Lines of the log about an event."""
    with open(os.path.join(case.home, "logs", "executioner.jsonl"), encoding="utf-8") as lines:
        return [one for one in map(json.loads, lines) if one["event"] == event]


@pytest.mark.slow
def test_a_failure_is_mailed_and_posted(case: Case) -> None:
    with SmtpReceiver() as smtp, HttpReceiver((503,)) as http:
        case.jobs({"id": "a", "command": "echo the pass is $DB_PASSWORD >&2; exit 3", "runbook": "call Ann"},
                  {"id": "b", "command": "true", "dependencies": ["a"]},
                  env_variables={"DB_PASSWORD": "hunter22"}, email_address="ops@example.com",
                  smtp_server="127.0.0.1", smtp_port=smtp.port,
                  notifications=[{"on": "failure", "to": http.url + "/x", "secret": "${SIGN}"}])
        case.run("run", "config.json", env={"SIGN": "signing-key"}).expect(code=1)
        found = wait_for(settled(case, 2))
        assert sorted((one["status"], one["cause"], one["attempts"]) for one in found) == [
            ("SENT", "failure: a", 1), ("SENT", "failure: a", 2)]
        text = smtp.mails[0].data.decode()
        assert "Subject: [executioner] app FAILED: a exit 3" in text and "call Ann" in text
        assert "| the pass is ***" in text and "hunter22" not in text
        assert "--resume 1" in text.replace("=\r\n", "").replace("=3D", "=")
        assert len(http.requests) == 2 and http.requests[0][2] != b""
        ids = {json.loads(body.decode())["id"] for _, _, body in http.requests}
        assert len(ids) == 1 and b"hunter22" not in http.requests[0][2]
    stored = b"".join(open(os.path.join(case.home, name), "rb").read() for name in ("history.db", "history.db-wal")
                      if os.path.exists(os.path.join(case.home, name)))
    assert b"signing-key" not in stored and b"hunter22" not in stored


def test_nobody_waits_for_a_server_that_hangs(case: Case) -> None:
    import socket
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        case.jobs({"id": "a", "command": "exit 3"},
                  notifications=[{"on": "failure", "to": "http://127.0.0.1:%d/" % silent.getsockname()[1]}])
        # communicate() returns when all who hold its pipes have gone: cron waits just so.
        case.run("run", "config.json").expect(code=1)
        waiting = followers(case)
        silent.accept()[0].close()
        for pid in waiting:
            os.kill(pid, signal.SIGKILL)
        assert waiting, "the run has waited for the server"
    assert [one["status"] for one in messages(case)] == ["WAITING"]


def followers(case: Case) -> List[int]:
    """The processes that a run of this home left behind."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % int(name), "rb") as line:
                words = line.read().split(b"\0")
        except (ValueError, OSError):
            continue
        if b"after" in words and case.home.encode() in words:
            found.append(int(name))
    return found


def test_what_is_left_is_delivered_by_the_next(case: Case) -> None:
    rules = [{"on": "failure", "to": "command:cat > got; test -e works"}]
    case.jobs({"id": "a", "command": "test -e fine"}, notifications=rules)
    case.run("run", "config.json").expect(code=1)
    wait_for(lambda: os.path.exists(case.path("got")))
    for pid in wait_for(lambda: followers(case)):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not followers(case))
    assert messages(case)[0]["status"] == "WAITING"
    result = case.run("notify", "config.json").expect(code=1)
    assert "waiting" in result.out and "the command ended with 1" in result.out
    case.file("works", "").file("fine", "")
    case.run("run", "config.json").expect(code=0)
    wait_for(settled(case, 1))
    case.run("notify", "config.json").expect(code=0, out="nothing waits\n")


def test_a_run_that_was_killed_is_told_of(case: Case) -> None:
    case.jobs({"id": "a", "command": "test -e second || { touch started; sleep 60; }"}, on_runner_death="kill",
              notifications=[{"on": ["lost", "failure"], "to": "command:cat > got"}])
    process = subprocess.Popen(case.command("run", "config.json"), cwd=case.folder, env=case.environ)
    wait_for(lambda: os.path.exists(case.path("started")))
    process.kill()
    process.wait()
    case.file("second", "")
    case.run("run", "config.json").expect(code=0)
    found = wait_for(settled(case, 1))
    assert found[-1]["run_id"] == 1 and found[-1]["status"] == "SENT"


def test_off_means_off(case: Case) -> None:
    case.jobs({"id": "a", "command": "exit 3"}, notifications=[{"on": "failure", "to": "command:touch got"}],
              retention={"runs": 1}, features={"notifications": False, "metrics": False, "history_retention": False})
    for _ in range(3):
        case.run("run", "config.json").expect(code=1)
        assert not followers(case)
    assert messages(case) == [] and not os.path.exists(case.path("got"))
    assert not [name for name in os.listdir(case.home) if name.startswith("metrics") or name.endswith(".prom")]
    assert len(case.run("runs", "--json").json()) == 3


@pytest.mark.slow
def test_a_job_that_will_be_late_is_told_before(case: Case) -> None:
    slow = {"id": "slow", "command": "sleep ${HOW_LONG}", "deadline": "6s"}
    case.jobs({"id": "first", "command": "sleep 0.5"}, dict(slow, dependencies=["first"]),
              notifications=[{"on": "late", "to": "command:cat > late"}])
    case.run("run", "config.json", "--env", "HOW_LONG=1").expect(code=0)
    assert messages(case) == []
    wait_for(lambda: not followers(case))
    case.jobs({"id": "first", "command": "until test -e late; do sleep 0.05; done"}, dict(slow, dependencies=["first"]),
              notifications=[{"on": "late", "to": "command:cat > late"}])
    case.run("run", "config.json", "--env", "HOW_LONG=1").expect(code=0)
    found = wait_for(settled(case, 1))
    assert [(one["status"], one["cause"]) for one in found] == [("SENT", "late: slow")]
    with open(case.path("late"), encoding="utf-8") as stream:
        text = stream.read()
    assert "slow of app (run 2) is expected to be late" in text and "first has run for" in text
    assert len(notes(case, "job_late")) == 1
    wait_for(lambda: not followers(case))


def test_old_runs_go_after_a_run(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}, retention={"runs": 2})
    for _ in range(4):
        case.run("run", "config.json").expect(code=0)
        wait_for(lambda: not followers(case))
    assert [run["run_id"] for run in case.run("runs", "--json").json()] == [4, 3]
    assert sorted(name for name in os.listdir(os.path.join(case.home, "logs")) if name.isdigit()) == ["3", "4"]
    assert len(os.listdir(os.path.join(case.home, "records"))) == 2


def test_the_metrics_of_a_run(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}, {"id": "b", "command": "exit 3"}, metrics_textfile="copy.prom",
              continue_on_error=True)
    case.run("run", "config.json").expect(code=1)
    with open(case.path("copy.prom"), encoding="utf-8") as stream:
        text = stream.read()
    assert 'executioner_runs_total{application="app",status="failed"} 1' in text
    assert 'executioner_job_last_success{application="app",job="a"} 1' in text
    assert 'executioner_job_last_success{application="app",job="b"} 0' in text
    assert os.stat(case.path("copy.prom")).st_mode & 0o777 == 0o644
    with open(os.path.join(case.home, "metrics.json"), encoding="utf-8") as stream:
        assert sorted(json.load(stream)["jobs"]["app"]) == ["", "a", "b"]


def test_the_figures_of_a_run_that_goes_on(case: Case) -> None:
    hold = {"id": "a", "command": "touch began; while test ! -e go; do sleep 0.05; done", "pool": "db"}
    case.config({"application_name": "holder", "pools": {"db": 2, "_": 1}, "jobs": [hold, {"id": "b", "command": "true"}]})
    case.config({"application_name": "other", "jobs": [{"id": "x", "command": "true"}]}, "other.json")

    def figures() -> str:
        case.run("run", "other.json").expect(code=0)
        with open(os.path.join(case.home, "executioner.prom"), encoding="utf-8") as stream:
            return stream.read()

    with case.background("run", "config.json"):
        try:
            wait_for(lambda: os.path.exists(case.path("began")))
            text = wait_for(lambda: [found for found in (figures(),) if 'jobs_running{application="holder"} 1' in found])[0]
        finally:
            case.file("go", "")
    assert 'executioner_jobs_waiting{application="holder"} 1' in text
    assert 'executioner_pool_slots{pool="db"} 2' in text and 'executioner_pool_slots_taken{pool="db"} 1' in text
    assert "pool" not in figures() and 'executioner_jobs_running{application="holder"}' not in figures()


def test_a_textfile_that_cannot_be_written_fails_nothing(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}, metrics_textfile="/none/copy.prom")
    case.run("run", "config.json").expect(code=0, err="")
    assert "/none/copy.prom" in notes(case, "aftermath")[0]["message"]


def test_doctor_health(case: Case) -> None:
    case.jobs({"id": "a", "command": "test -e fine"}, expect="1s")
    case.run("run", "config.json").expect(code=1)
    time.sleep(1.1)  # older than what is expected: there is nothing else to wait for
    result = case.run("doctor", "--health", "--json").expect(code=1)
    checks = {check["name"]: check for check in result.json()["checks"]}
    assert result.json()["status"] == "failing" and checks["expect"]["application"] == "app"
    assert [name for name, check in checks.items() if not check["ok"]] == ["expect"]
    case.file("fine", "").jobs({"id": "a", "command": "test -e fine"}, expect="1h")
    case.run("run", "config.json").expect(code=0)
    assert "ok    expect   app succeeded" in case.run("doctor", "--health").expect(code=0).out


def test_notify_test(case: Case) -> None:
    with HttpReceiver((404,)) as http:
        case.jobs({"id": "a", "command": "true"}, notifications=[
            {"on": "failure", "to": ["command:cat > got", http.url + "/key"]}])
        result = case.run("notify", "config.json", "--test").expect(code=1)
    lines = result.raw_out.decode().splitlines()
    assert lines[0] == "ok    command:..." and lines[1].startswith("FAIL  http://127.0.0.1:") and "404" in lines[1]
    assert "/key" not in result.raw_out.decode()
    with open(case.path("got"), encoding="utf-8") as stream:
        assert "This is a test of the notifications of app" in stream.read()
    assert not os.path.exists(os.path.join(case.home, "history.db"))


@pytest.mark.parametrize("words, code", [(("notify",), 2), (("notify", "config.json"), 2), (("after", "x"), 2),
                                         (("after", "1"), 2)])
def test_misuse(case: Case, words: Any, code: int) -> None:
    case.jobs({"id": "a", "command": "true"})
    assert case.run(*words, stdin=b"").expect(code=code).err.startswith("executioner: ")

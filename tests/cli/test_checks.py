"""Checks before and after a job, with the real command."""
import os
import signal
import subprocess
import time
from typing import Any, Dict

import pytest

from cli_case import Case


def by_id(document: Dict[str, Any]) -> Dict[str, Dict[str, Any]]:
    """Each job of the document."""
    return {job["job_id"]: job for job in document["jobs"]}


def check(name: str, **params: object) -> Dict[str, object]:
    """A check as a file has it."""
    return {"name": name, "params": params}


def test_checks_see_the_attempt(case: Case) -> None:
    case.file("table", "rows\n")
    case.jobs(
        {"id": "good", "command": "echo $MODE loaded; echo careful >&2", "env_variables": {"MODE": "it's $(full)"},
         "pre_checks": [check("check_command", command="test \"$MODE\" = \"it's \\$(full)\" && test -s table"),
                        check("check_disk_free", min_free="1K"), check("check_file_not_empty", path="tab*")],
         "post_checks": [check("check_output_contains", text="it's $(full) loaded", stream="stdout"),
                         check("check_output_contains", text="${MODE}"),
                         check("check_output_lacks", pattern="^(ERROR|FATAL)"),
                         check("check_file_exists", path="${EXECUTIONER_LOG_DIR}/good.1.out"),
                         check("check_command", command=["test", "${EXECUTIONER_JOB_ID}", "=", "good"])]},
        {"id": "bad", "command": "echo x; echo 'ERROR: no table' >&2", "max_retries": 1, "retry_delay": 0,
         "post_checks": [check("check_output_lacks", text="ERROR"),
                         check("check_command", command="echo \"row $EXECUTIONER_ATTEMPT\" >&2; exit 7")]},
        {"id": "before", "command": "touch started", "pre_checks": [check("check_file_newer_than", path="table", max_age="0.001s")]},
        continue_on_error=True)
    jobs = by_id(case.run("run", "config.json", "--json").expect(1).json())
    assert jobs["good"]["status"] == "SUCCESS", jobs["good"]
    assert jobs["bad"]["status"] == "FAILED" and jobs["bad"]["attempts"] == 2
    assert jobs["bad"]["reason"] == ('check_output_lacks: "ERROR" is in stderr:1: ERROR: no table; '
                                     "check_command: exit code 7: row 2 (attempt 2)")
    assert jobs["before"]["status"] == "FAILED" and "check_file_newer_than: %s was changed at" % case.path("table") in (
        jobs["before"]["reason"])
    assert not os.path.exists(case.path("started"))


def test_what_others_told_is_data_in_checks(case: Case) -> None:
    case.jobs(
        {"id": "tell", "command": "{ echo file=out.csv; echo 'evil=$(touch hacked)'; } > $EXECUTIONER_OUTPUT",
         "outputs": ["file", "evil"]},
        {"id": "use", "command": "touch out.csv", "dependencies": ["tell"], "env_variables": {"F": "${jobs.tell.outputs.file}"},
         "post_checks": [check("check_file_exists", path="${F}"),
                         check("check_file_exists", path="${jobs.tell.outputs.file}"),
                         check("check_command", command="test ${jobs.tell.outputs.file} = out.csv && echo \"${jobs.tell.outputs.evil}\""),
                         check("check_command", command=["test", "-f", "${jobs.tell.outputs.file}"])]})
    jobs = by_id(case.run("run", "config.json", "--json").expect(0).json())
    assert jobs["use"]["status"] == "SUCCESS" and not os.path.exists(case.path("hacked"))


def test_a_check_that_waits_holds_up_no_other_job_and_ends_with_the_run(case: Case) -> None:
    case.jobs({"id": "slow", "command": "true", "post_checks": [
        check("check_command", command="echo $$ > pid; exec sleep 300", timeout="10m")]},
              {"id": "quick", "command": "touch quick"}, parallel=True, max_workers=2)
    with case.background("run", "config.json", stderr=subprocess.PIPE) as runner:
        deadline = time.monotonic() + 60
        while not (os.path.exists(case.path("quick")) and os.path.exists(case.path("pid")) and os.path.getsize(case.path("pid"))):
            assert time.monotonic() < deadline and runner.poll() is None
            time.sleep(0.01)
        with open(case.path("pid")) as file:
            pid = int(file.read())
        os.kill(pid, 0)
        os.kill(pid, signal.SIGKILL)
        assert runner.wait() == 1
    assert "check_command: ended by SIGKILL" in case.run("show", "last").out


def test_checks_that_a_dead_runner_did_not_come_to(case: Case) -> None:
    case.jobs(
        {"id": "tell", "command": "echo word=done > $EXECUTIONER_OUTPUT", "outputs": ["word"]},
        {"id": "a", "command": "echo done; touch ran; while ! test -e go; do sleep 0.02; done", "dependencies": ["tell"],
         "env_variables": {"WORD": "done"},
         "post_checks": [check("check_output_contains", text="${jobs.tell.outputs.word}"),
                         check("check_command", command="test \"$WORD$EXECUTIONER_JOB_ID\" = donea && touch checked")]})
    with case.background("run", "config.json", stderr=subprocess.DEVNULL) as runner:
        wait_for(case, runner, "ran")
        runner.kill()
    case.file("go", "")
    # The checks of the dead run are made when it is settled; a run that succeeded has nothing to resume.
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert os.path.exists(case.path("checked"))
    assert by_id(case.run("show", "1", "--json").json())["a"]["status"] == "SUCCESS"


PLUGIN = '''
import os
def check_rows(table, least=1):
    print("noise")
    rows = len(open(table).read().split())
    return rows >= least, "%d rows in %s, job %s" % (rows, table, os.environ["EXECUTIONER_JOB_ID"])

class Broken:
    def check(self):
        raise LookupError("no such table")
'''


def test_checks_of_plugins(case: Case) -> None:
    case.file("site.py", PLUGIN).file("orders", "1 2 3")
    case.jobs({"id": "good", "command": "true", "pre_checks": [check("check_rows", table="${T}")],
               "post_checks": [check("check_rows", table="orders", least=3)]},
              {"id": "few", "command": "true", "post_checks": [check("check_rows", table="orders", least=4)]},
              {"id": "broken", "command": "true", "pre_checks": [check("broken")]},
              {"id": "wrong", "command": "true", "pre_checks": [check("check_rows")]},
              dependency_plugins=["site"], env_variables={"T": "orders"}, continue_on_error=True)
    done = case.run("run", "config.json", "--json").expect(1)
    jobs = by_id(done.json())
    assert "noise" not in done.out + done.err
    assert jobs["good"]["status"] == "SUCCESS", jobs["good"]
    assert jobs["few"]["reason"] == "check_rows: 3 rows in orders, job few (plugin site)"
    assert jobs["broken"]["reason"] == "broken: the plugin raised LookupError: no such table (site.py, line 10) (plugin site)"
    assert jobs["wrong"]["reason"] == 'check_rows: it needs the parameter "table" (plugin site)'


def test_a_plugin_that_is_missing_starts_nothing(case: Case) -> None:
    case.jobs({"id": "a", "command": "touch ran"}, dependency_plugins=["site"])
    done = case.run("run", "config.json").expect(2)
    assert 'E160 dependency_plugins[0]: there is no file "site"; it is looked for in DIR' in done.err
    assert not os.path.exists(case.path("ran"))


@pytest.mark.slow
def test_checks_of_plugins_after_the_death_of_the_runner(case: Case) -> None:
    case.file("site.py", PLUGIN).file("orders", "1 2 3")
    case.jobs({"id": "a", "command": "touch ran; while ! test -e go; do sleep 0.02; done",
               "post_checks": [check("check_rows", table="orders", least=9)]}, dependency_plugins=["site"])
    with case.background("run", "config.json", stderr=subprocess.DEVNULL) as runner:
        wait_for(case, runner, "ran")
        runner.kill()
    case.file("go", "")
    case.run("run", "config.json", "--resume", "last", "--quiet").expect(1)
    job = by_id(case.run("show", "1", "--json").json())["a"]
    assert job["status"] == "FAILED" and "check_rows: 3 rows in orders, job a (plugin site)" in job["reason"]


@pytest.mark.slow
def test_a_run_that_is_cancelled_waits_for_no_check(case: Case) -> None:
    case.jobs({"id": "a", "command": "true", "post_checks": [check("check_command", command="echo $$ > pid; exec sleep 3000", timeout="1h")]})
    with case.background("run", "config.json", stderr=subprocess.DEVNULL) as runner:
        wait_for(case, runner, "pid")
        runner.send_signal(signal.SIGTERM)
        assert runner.wait() in (1, 143)
    assert "check_command: given up, since the run is to stop" in case.run("show", "last").out
    with open(case.path("pid")) as file:
        pid = int(file.read())
    deadline = time.monotonic() + 60
    while os.path.exists("/proc/%d" % pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_answer_is_missed_while_another_is_taken(case: Case) -> None:
    there = {"name": "check_file_exists", "params": {"path": "config.json"}}
    case.jobs(*[{"id": "j%d" % number, "command": "true", "run_if": {"file_exists": "config.json"}, "inputs": ["config.json"],
                 "products": ["none"], "pre_checks": [there], "post_checks": [there]} for number in range(40)],
              parallel=True, max_workers=2)
    case.run("run", "config.json").expect(0, "", "")


def test_what_a_settling_check_finds_shows_no_secret(case: Case) -> None:
    case.environ["API_TOKEN"] = "hunter2hunter2"
    case.jobs({"id": "a", "command": "touch ran; echo key $API_TOKEN; while ! test -e go; do sleep 0.02; done",
               "post_checks": [check("check_output_lacks", text="key")]})
    with case.background("run", "config.json", stderr=subprocess.DEVNULL) as runner:
        wait_for(case, runner, "ran")
        runner.kill()
    case.file("go", "")
    case.run("run", "config.json", "--resume", "last", "--quiet").expect(1)
    job = by_id(case.run("show", "1", "--json").json())["a"]
    assert '"key" is in stdout:1: key ***' in job["reason"]


def wait_for(case: Case, runner: "subprocess.Popen[bytes]", name: str) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 60
    while not os.path.exists(case.path(name)):
        assert time.monotonic() < deadline and runner.poll() is None
        time.sleep(0.01)

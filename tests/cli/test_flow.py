"""What jobs tell each other, whether they run at all, and pools, with the real command."""
import os
import subprocess
from typing import Any, Dict

import pytest
from cli_case import Case


def statuses(document: Dict[str, Any]) -> Dict[str, str]:
    """Status of each job."""
    return {job["job_id"]: job["status"] for job in document["jobs"]}


def test_skip_codes_and_conditions(case: Case) -> None:
    case.file("there", "")
    case.jobs(
        {"id": "nothing", "command": "exit 3", "skip_exit_codes": [3], "max_retries": 2, "retry_on_exit_codes": [3]},
        {"id": "after", "command": "echo ran > after", "dependencies": ["nothing"]},
        {"id": "here", "command": "true", "run_if": {"all": [{"file_exists": "${F}"}, {"env": "F", "equals": "there"}]}},
        {"id": "absent", "command": "echo ran > absent", "run_if": {"file_exists": "${F}.no"}},
        {"id": "not", "command": "true", "run_if": {"not": {"command": "test -e \"${F}\""}}},
        env_variables={"F": "there"})
    document = case.run("run", "config.json", "--json").expect(0).json()
    assert statuses(document) == {"nothing": "SKIPPED", "after": "SUCCESS", "here": "SUCCESS", "absent": "SKIPPED",
                                  "not": "SKIPPED"}
    reasons = {job["job_id"]: job["reason"] for job in document["jobs"]}
    assert reasons["nothing"] == "it had nothing to do (exit code 3)"
    assert reasons["absent"] == "run_if does not hold: %s does not exist" % case.path("there.no")
    assert os.path.exists(case.path("after")) and not os.path.exists(case.path("absent"))


def test_outputs_are_data(case: Case) -> None:
    os.mkdir(case.path("to here"))
    case.file("to here/in.txt", "input\n")
    evil = "$(touch hacked); `touch hacked` \"'"
    case.file("evil", evil)
    case.jobs(
        {"id": "tell", "command": "{ echo rows=7; echo dir='to here'; echo \"evil=$(cat evil)\"; } > \"$EXECUTIONER_OUTPUT\"",
         "outputs": ["rows", "dir", "evil"]},
        {"id": "between", "command": "true", "dependencies": ["tell"]},
        {"id": "shell", "command": "printf %s \"${jobs.tell.outputs.evil}\" > shell.txt", "dependencies": ["between"]},
        {"id": "argv", "command": ["sh", "-c", "cat; printf '%s %s' \"$1\" \"$R\" > argv.txt", "-", "${jobs.tell.outputs.evil}"],
         "dependencies": ["tell"], "env_variables": {"R": "<${jobs.tell.outputs.rows}>"},
         "working_dir": "${jobs.tell.outputs.dir}", "stdin": "in.txt",
         "post_checks": [{"name": "check_file_exists", "params": {"path": "argv.txt"}}]})
    document = case.run("run", "config.json", "--json").expect(0).json()
    assert set(statuses(document).values()) == {"SUCCESS"}
    with open(case.path("shell.txt")) as file:
        assert file.read() == evil
    with open(case.path("to here", "argv.txt")) as file:
        assert file.read() == evil + " <7>"
    assert not os.path.exists(case.path("hacked")) and not os.path.exists(case.path("to here", "hacked"))
    with open([job["stdout_path"] for job in document["jobs"] if job["job_id"] == "argv"][0]) as file:
        assert file.read() == "input\n"


def test_an_output_that_is_not_written_fails_its_job(case: Case) -> None:
    case.jobs({"id": "tell", "command": "true", "outputs": ["rows"]},
              {"id": "use", "command": "echo ${jobs.tell.outputs.rows}", "dependencies": ["tell"]})
    document = case.run("run", "config.json", "--json").expect(1).json()
    assert statuses(document) == {"tell": "FAILED", "use": "BLOCKED"}


UNTOLD = "${jobs.tell.outputs.rows}"


@pytest.mark.parametrize("key, value", [
    ("command", "echo %s" % UNTOLD), ("command", "echo '%s'" % UNTOLD), ("command", ["echo", UNTOLD]),
    ("env_variables", {"R": "<%s>" % UNTOLD}), ("working_dir", UNTOLD), ("stdin", UNTOLD), ("stdin", {"text": UNTOLD}),
    ("pre_checks", [{"name": "check_file_exists", "params": {"path": UNTOLD}}]),
    ("post_checks", [{"name": "check_command", "params": {"command": ["test", UNTOLD]}}])])
def test_what_nobody_told_is_an_error_of_the_attempt(case: Case, key: str, value: object) -> None:
    case.jobs({"id": "tell", "command": "exit 3", "skip_exit_codes": [3], "outputs": ["rows"]},
              dict({"id": "use", "command": "touch ran", "dependencies": ["tell"], "max_retries": 3, "retry_delay": 60}, **{key: value}),
              {"id": "after", "command": "true", "dependencies": ["use"]},
              {"id": "alarm", "command": "touch alarm", "dependencies": [{"job": "use", "when": "failure"}]},
              {"id": "more", "command": "touch more"}, parallel=True, max_workers=1)
    document = case.run("run", "config.json", "--json").expect(1).json()
    assert statuses(document) == {"tell": "SKIPPED", "use": "ERROR", "after": "BLOCKED", "alarm": "SUCCESS",
                                  "more": statuses(document)["more"]}
    use = {job["job_id"]: job for job in document["jobs"]}["use"]
    assert use["reason"] == "its %s refers to %s, which tell did not tell: it ended SKIPPED" % (key, UNTOLD)
    assert use["attempts"] == 1 and use["exit_code"] is None
    assert not os.path.exists(case.path("ran")) and os.path.exists(case.path("alarm"))
    case.run("plan", "config.json").expect(0)
    case.run("db", "check").expect(0)
    assert "its %s refers to" % key in case.run("show", "last").out


def test_what_nobody_told_does_not_matter_where_the_condition_says_no(case: Case) -> None:
    case.jobs({"id": "tell", "command": "true", "outputs": ["rows"], "run_if": {"env": "MODE", "equals": "full"}},
              {"id": "use", "command": "echo %s" % UNTOLD, "dependencies": ["tell"], "run_if": {"env": "MODE", "equals": "full"},
               "pre_checks": [{"name": "check_file_exists", "params": {"path": UNTOLD}}]},
              {"id": "same", "command": "echo %s" % UNTOLD, "dependencies": ["tell"],
               "run_if": {"not": {"env": "MODE", "equals": "full"}}}, continue_on_error=True)
    document = case.run("run", "config.json", "--json").expect(1).json()
    assert statuses(document) == {"tell": "SKIPPED", "use": "SKIPPED", "same": "ERROR"}


def test_reasons_of_checks_show_no_secret(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo the key is $API_TOKEN", "post_checks": [
        {"name": "check_output_lacks", "params": {"text": "key"}},
        {"name": "check_command", "params": {"command": "echo refused: $API_TOKEN >&2; exit 1"}}]},
              env_variables={"API_TOKEN": "hunter2hunter2"})
    done = case.run("run", "config.json", "--json").expect(1)
    assert "refused: ***" in done.out and "hunter2" not in done.out + done.err
    for name in os.listdir(case.home):
        if name.startswith("history"):
            with open(os.path.join(case.home, name), "rb") as file:
                assert b"hunter2" not in file.read()


def test_a_pool_is_shared_by_the_jobs_of_a_run_and_by_runs(case: Case) -> None:
    # Each job counts how many are in the pool with it.
    count = "mkdir in.$$ && ls -d in.* | wc -l >> counts; sleep 0.15; rmdir in.$$"
    jobs = [{"id": "j%d" % number, "command": count, "pool": "db"} for number in range(3)]
    for name in ("one", "two"):
        case.config({"application_name": name, "parallel": True, "max_workers": 3, "pools": {"db": 1}, "jobs": jobs},
                    name + ".json")
    with case.background("run", "one.json", stderr=subprocess.PIPE) as first, \
            case.background("run", "two.json", stderr=subprocess.PIPE) as second:
        assert first.wait() == 0 and second.wait() == 0
    with open(case.path("counts")) as file:
        assert [line.strip() for line in file] == ["1"] * 6


def test_both_slots_of_a_pool_are_used(case: Case) -> None:
    wait = "touch %s; for i in $(seq 600); do test -e %s && exit 0; sleep 0.05; done; exit 1"
    case.jobs({"id": "a", "command": wait % ("a", "b"), "pool": "db"}, {"id": "b", "command": wait % ("b", "a"), "pool": "db"},
              {"id": "whole", "command": "true", "pool": "db", "pool_slots": 2},
              parallel=True, max_workers=3, pools={"db": 2})
    case.run("run", "config.json").expect(0)


def test_bad_values_start_nothing(case: Case) -> None:
    case.jobs({"id": "a", "command": "touch started"}, {"id": "b", "command": "true", "pool": "db", "run_if": {"fil_exists": "x"}})
    case.run("run", "config.json").expect(2)
    case.run("validate", "config.json").expect(2)
    assert not os.path.exists(case.path("started")) and not os.path.exists(case.home)

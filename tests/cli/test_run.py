"""``run`` without a terminal: silent where all goes well, one summary where it does not, and true exit codes."""
import json
import os
import stat

import pytest

from cli_case import Case

OK = {"id": "extract", "command": "echo rows"}
FAIL = {"id": "load", "command": "echo connecting; echo 'no such table' >&2; exit 3", "dependencies": ["extract"]}
REPORT = {"id": "report", "command": "true", "dependencies": ["load"]}


def test_a_good_run_says_nothing(case: Case) -> None:
    case.jobs(OK).run("run", "config.json").expect(0, out="", err="")


def test_a_failure_gets_one_summary(case: Case) -> None:
    case.jobs(OK, dict(FAIL, description="loads the rows", runbook="ask the owner\nof the table"), REPORT)
    case.run("run", "config.json").expect(1, out="", err="""
        run 1 of app FAILED (exit 1): 1 of 3 jobs failed, 1 blocked
          1 ok, 1 failed, 1 blocked in T s
          config   DIR/config.json
          started  TIME
          host     HOST

        FAIL   load  exit 3, T s
          loads the rows
          runbook: ask the owner
                   of the table
          last lines of its error output (HOME/logs/1/load.1.err):
          | no such table
          more: EXECUTIONER --home HOME logs 1 load

        blocked, 1 job:
          report  needs load, which ended FAILED

        output of all jobs: HOME/logs/1
        all of the run:     EXECUTIONER --home HOME show 1
        to go on with it:   EXECUTIONER --home HOME run DIR/config.json --resume 1
        """)


def test_the_summary_shows_standard_output_where_there_is_no_error_output(case: Case) -> None:
    case.jobs({"id": "a", "command": "for i in 1 2 3; do echo line $i; done; exit 4"})
    text = case.run("run", "config.json").expect(1, out="").err
    assert "  last lines of its output (HOME/logs/1/a.1.out):\n  | line 1\n  | line 2\n  | line 3\n" in text


def test_the_summary_is_bounded(case: Case) -> None:
    jobs = [{"id": "job%d" % number, "command": "i=0; while [ $i -lt 50 ]; do echo $i >&2; i=$((i+1)); done; exit 1"}
            for number in range(30)]
    case.jobs(*jobs, continue_on_error=True, parallel=True, max_workers=8)
    text = case.run("run", "config.json").expect(1, out="").err
    assert text.count("FAIL ") == 20 and "\nand 10 jobs more failed\n" in text
    assert text.count("  | 49\n") == 20 and "  | 29\n" not in text
    assert len(text.splitlines()) < 520


def test_the_summary_masks_secrets_and_shows_control_characters(case: Case) -> None:
    case.jobs({"id": "a", "description": "uses hunter2hunter2",
               "command": "printf 'pw=%s \\033[31mred\\033]0;title\\007\\n' \"$DB_PASSWORD\" >&2; exit 1"})
    text = case.run("run", "config.json", env={"DB_PASSWORD": "hunter2hunter2"}).expect(1, out="").err
    assert "  | pw=*** \\x1b[31mred\\x1b]0;title\\x07\n" in text
    assert "hunter2" not in text


def test_the_first_words_of_the_summary_and_of_the_log_are_the_run(case: Case) -> None:
    case.jobs(dict(OK, command="exit 1"))
    assert case.run("run", "config.json").expect(1).err.startswith("run 1 of app ")
    with open(case.path("home", "logs", "executioner.jsonl")) as log:
        first = json.loads(log.readline())
    assert first["event"] == "run_started" and first["run_id"] == 1 and first["message"].startswith("run 1 ")


def test_json_is_one_document_and_standard_output_has_nothing_else(case: Case) -> None:
    document = case.jobs(OK).run("run", "config.json", "--json").expect(0, err="").json()
    assert sorted(document) == sorted(("run_id", "application", "status", "exit_code", "config", "started", "ended",
                                       "duration", "jobs"))
    assert (document["run_id"], document["application"], document["status"], document["exit_code"],
            document["config"]) == (1, "app", "SUCCESS", 0, case.path("config.json"))
    job = document["jobs"][0]
    assert sorted(job) == sorted(("job_id", "status", "reason", "exit_code", "signal", "attempts", "started", "ended",
                                  "duration", "cpu_seconds", "max_rss", "stdout_path", "stderr_path"))
    assert (job["job_id"], job["status"], job["exit_code"], job["signal"], job["attempts"]) == (
        "extract", "SUCCESS", 0, None, 1)
    with open(job["stdout_path"]) as output:
        assert output.read() == "rows\n"
    assert 0 <= job["duration"] <= document["duration"] + 1 and job["max_rss"] > 0
    assert document["started"] <= job["started"] <= job["ended"] <= document["ended"]
    assert case.run("show", "1", "--json").json() == document


def test_json_of_a_failure(case: Case) -> None:
    result = case.jobs({"id": "a", "command": "kill -9 $$"}).run("run", "config.json", "--json").expect(1)
    document = result.json()
    assert (document["status"], document["exit_code"]) == ("FAILED", 1)
    assert (document["jobs"][0]["exit_code"], document["jobs"][0]["signal"]) == (None, "SIGKILL")
    assert result.err.startswith("run 1 of app FAILED")


def test_json_to_a_reader_that_has_gone_keeps_the_exit_code(case: Case) -> None:
    import subprocess
    case.jobs({"id": "a", "command": "exit 1"})
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(case.command("run", "config.json", "--json"), cwd=case.folder, env=case.environ,
                          stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 1 and done.stderr.startswith(b"run 1 of app FAILED")


def test_a_missing_program_is_an_error_of_that_job(case: Case) -> None:
    case.jobs({"id": "a", "command": "no-such-program-x"}, {"id": "b", "command": ["./not-there", "x"]},
              {"id": "c", "command": "true"}, continue_on_error=True)
    result = case.run("run", "config.json", "--json").expect(1)
    jobs = {job["job_id"]: job for job in result.json()["jobs"]}
    assert [(jobs[name]["status"], jobs[name]["exit_code"]) for name in "abc"] == [
        ("ERROR", 127), ("ERROR", 127), ("SUCCESS", 0)]
    assert "ERROR  a  program not found: no-such-program-x" in result.err


def test_without_continue_on_error_the_rest_is_cancelled(case: Case) -> None:
    case.jobs({"id": "a", "command": "exit 1"}, {"id": "b", "command": "true"})
    statuses = {job["job_id"]: job["status"] for job in case.run("run", "config.json", "--json").json()["jobs"]}
    assert statuses == {"a": "FAILED", "b": "CANCELLED"}
    case.run("run", "config.json", "--continue-on-error").expect(1)
    statuses = {job["job_id"]: job["status"] for job in case.run("show", "2", "--json").json()["jobs"]}
    assert statuses == {"a": "FAILED", "b": "SUCCESS"}


def test_quiet_and_verbose(case: Case) -> None:
    case.jobs(OK)
    case.run("run", "config.json", "--quiet").expect(0, "", "")
    text = case.run("run", "config.json", "--verbose").expect(0, out="").err
    assert text == ("run 2 of app: 1 job, 1 at once\n"
                    "start  extract  pid N\n"
                    "ok     extract  T s\n"
                    "run 2: 1 ok in T s\n")


def test_variables_of_the_command_line(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo \"$X-$Y\"", "env_variables": {"Y": "file"}}, env_variables={"X": "file"})
    case.run("run", "config.json", "--env", "X=one=1", "--env", "Y=two").expect(0, "", "")
    case.run("logs", "last", "a", "--stdout").expect(0, out="one=1-two\n", err="")


def test_workers_make_it_parallel(case: Case) -> None:
    meet = ("mkdir {0}; i=0; while [ ! -d {1} ]; do i=$((i+1)); [ $i -gt 400 ] && exit 9; sleep 0.02; done")
    case.jobs({"id": "a", "command": meet.format("here-a", "here-b")},
              {"id": "b", "command": meet.format("here-b", "here-a")})
    case.run("run", "config.json", "--workers", "2").expect(0, "", "")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777])
def test_where_things_are_kept_and_with_which_modes(case: Case, umask: int) -> None:
    case.jobs(OK, {"id": "tell", "command": "echo N=1 >> $EXECUTIONER_OUTPUT", "outputs": ["N"]},
              {"id": "read", "command": "cat", "stdin": {"text": "in"}})
    case.run("run", "config.json", preexec=lambda: os.umask(umask)).expect(0, "", "")
    found = {}
    for folder, _, names in os.walk(case.home):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
        for name in names:
            found[os.path.relpath(os.path.join(folder, name), case.home)] = stat.S_IMODE(
                os.stat(os.path.join(folder, name)).st_mode)
    assert set(found.values()) == {0o600}, found
    for name in ("history.db", "logs/executioner.jsonl", "logs/1/extract.1.out", "logs/1/extract.1.err", "logs/1/tell.1.outputs"):
        assert name in found


def test_a_log_dir_of_its_own_never_collides(case: Case) -> None:
    case.jobs(OK, log_dir="output")
    first, second = [], []
    for home, folders in (("home", first), ("home2", second)):
        case.home = case.path(home)
        case.run("run", "config.json").expect(0, "", "")
        folders += sorted(os.listdir(case.path("output")))
    assert len(second) == 2 and first[0] in second
    assert all(name.startswith("1-") and len(name) == 8 for name in second)


def test_a_folder_that_is_there_is_not_used_again(case: Case) -> None:
    case.jobs(OK)
    os.makedirs(case.path("home", "logs", "1"), 0o700)
    os.chmod(case.home, 0o700)
    os.chmod(case.path("home", "logs"), 0o700)
    path = case.run("run", "config.json", "--json").expect(0).json()["jobs"][0]["stdout_path"]
    assert os.path.dirname(path).startswith(case.path("home", "logs", "1-"))
    assert os.listdir(case.path("home", "logs", "1")) == []


@pytest.mark.parametrize("switch", ["--log-format=text", "--feature=structured_logging=off"])
def test_a_log_for_people(case: Case, switch: str) -> None:
    case.jobs(OK).run("run", "config.json", switch).expect(0, "", "")
    with open(case.path("home", "logs", "executioner.jsonl")) as log:
        assert " INFO     run 1  run 1 of app started: 1 job, 1 at once" in log.readline()


def test_a_log_that_cannot_be_written_is_told_and_fails_nothing(case: Case) -> None:
    os.makedirs(case.path("home", "logs", "executioner.jsonl"), 0o700)
    os.chmod(case.home, 0o700)
    os.chmod(case.path("home", "logs"), 0o700)
    result = case.jobs(OK).run("run", "config.json").expect(0, out="")
    assert result.err.startswith("executioner: the log is not as it should be: ") and result.err.count("\n") == 1


def test_a_line_without_end_is_shown_short(case: Case) -> None:
    case.jobs({"id": "a", "command": "head -c 40000 /dev/zero; exit 3"})
    result = case.run("run", "config.json").expect(code=1)
    shown = [line for line in (result.out + result.err).split("\n") if "  | " in line]
    # Of its end, 16 KiB are looked at.
    assert [len(line) < 600 for line in shown] == [True] and "(16259 more characters)" in shown[0]

"""``logs``: the output of jobs, whole, by its end, or as it grows."""
import os
import subprocess
import time

import pytest

from cli_case import Case


@pytest.fixture
def done(case: Case) -> Case:
    """A case with a run of two jobs; the second has two attempts."""
    case.jobs({"id": "a", "command": "echo one; echo two; printf three; echo bad >&2"},
              {"id": "b", "command": "echo try $EXECUTIONER_ATTEMPT; test -e second || { touch second; exit 1; }",
               "max_retries": 1, "retry_delay": 0, "dependencies": ["a"]},
              {"id": "c", "command": "true", "dependencies": [{"job": "a", "when": "failure"}]})
    case.run("run", "config.json").expect(0)
    return case


def test_all_jobs(done: Case) -> None:
    done.run("logs", "last").expect(0, err="", out="""
        ==> a, attempt 1, stdout <==
        one
        two
        three
        ==> a, attempt 1, stderr <==
        bad
        ==> b, attempt 2, stdout <==
        try 2
        """)


def test_one_job_and_one_stream_is_just_the_file(done: Case) -> None:
    done.run("logs", "last", "a", "--stdout").expect(0, out="one\ntwo\nthree", err="")
    done.run("logs", "last", "a", "--stderr").expect(0, out="bad\n", err="")
    done.run("logs", "last", "a", "--stdout", "--tail", "2").expect(0, out="two\nthree", err="")
    done.run("logs", "last", "a", "--stdout", "--tail", "0").expect(0, out="", err="")
    done.run("logs", "last", "b", "--stdout", "--attempt", "1").expect(0, out="try 1\n", err="")


def test_what_has_no_output_says_why(done: Case) -> None:
    done.run("logs", "last", "c").expect(0, out="", err="c was not started: SKIPPED, not needed: a ended SUCCESS\n")
    done.run("logs", "last", "b", "--attempt", "7").expect(0, out="", err="b has no attempt 7 in run 1\n")
    done.run("logs", "last", "aa").expect(2, out="", err='executioner: run 1 has no job "aa"; did you mean a?\n')


def test_output_that_is_gone(done: Case) -> None:
    os.unlink(done.path("home", "logs", "1", "a.1.out"))
    done.run("logs", "last", "a", "--stdout").expect(
        1, out="", err="executioner: cannot open HOME/logs/1/a.1.out: No such file or directory\n")
    os.symlink("/etc/passwd", done.path("home", "logs", "1", "a.1.out"))
    result = done.run("logs", "last", "a", "--stdout").expect(1, out="")
    assert "symbolic link" in result.err


def test_as_json(done: Case) -> None:
    files = done.run("logs", "last", "b", "--stdout", "--json").expect(0, err="").json()
    assert files == [{"job_id": "b", "attempt": 2, "status": "SUCCESS", "stream": "stdout",
                      "path": done.path("home", "logs", "1", "b.2.out")}]


def test_secrets_are_masked_and_the_rest_is_left_as_it_is(case: Case) -> None:
    secret = "s3cret-value"
    case.jobs({"id": "a", "command": "head -c 65530 /dev/zero | tr '\\0' x; printf '%s|\\377\\000\\033[1m' $DB_TOKEN"})
    case.run("run", "config.json", env={"DB_TOKEN": secret}).expect(0)
    shown = case.run("logs", "last", "a", "--stdout", env={"DB_TOKEN": secret}).expect(0).raw_out
    assert shown == b"x" * 65530 + b"***|\xff\x00\x1b[1m"
    with open(case.path("home", "logs", "1", "a.1.out"), "rb") as raw:
        assert secret.encode() in raw.read()


def test_a_secret_of_the_configuration_is_masked(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo $DB_PASSWORD"}, env_variables={"DB_PASSWORD": "123456789"})
    case.run("run", "config.json").expect(0)
    case.run("logs", "last", "a", "--stdout").expect(0, out="***\n", err="")


def wait_for(case: Case, name: str) -> None:
    deadline = time.monotonic() + 60
    while not os.path.exists(case.path(name)):
        assert time.monotonic() < deadline, name
        time.sleep(0.01)


def test_follow_until_the_job_ends(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo begin; touch started; while [ ! -e stop ]; do sleep 0.02; done; printf end"},
              {"id": "b", "command": "while [ ! -e stop-b ]; do sleep 0.02; done", "dependencies": ["a"]})
    with case.background("run", "config.json") as runner:
        try:
            wait_for(case, "started")
            with case.background("logs", "last", "a", "--stdout", "-f", stdout=subprocess.PIPE) as follower:
                assert follower.stdout is not None
                assert follower.stdout.readline() == b"begin\n"
                case.file("stop", "")
                assert follower.stdout.read() == b"end"
                assert follower.wait() == 0
                assert runner.poll() is None, "it followed the run instead of the job"
        finally:
            case.file("stop", "").file("stop-b", "")
        assert runner.wait() == 0


def test_follow_a_whole_run(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo from a; touch started; while [ ! -e stop ]; do sleep 0.02; done"},
              {"id": "b", "command": "echo from b; echo again; exit 1", "dependencies": ["a"], "max_retries": 1,
               "retry_delay": 0})
    with case.background("run", "config.json", stderr=subprocess.DEVNULL):
        try:
            wait_for(case, "started")
            with case.background("logs", "last", "-f", stdout=subprocess.PIPE) as follower:
                assert follower.stdout is not None
                assert follower.stdout.readline() == b"==> a, attempt 1, stdout <==\n"
                assert follower.stdout.readline() == b"from a\n"
                case.file("stop", "")
                assert follower.stdout.read() == (b"==> b, attempt 1, stdout <==\nfrom b\nagain\n"
                                                  b"==> b, attempt 2, stdout <==\nfrom b\nagain\n")
                assert follower.wait() == 0
        finally:
            case.file("stop", "")


def test_following_what_is_over_just_shows_it(done: Case) -> None:
    done.run("logs", "last", "a", "--stdout", "-f").expect(0, out="one\ntwo\nthree", err="")
    done.run("logs", "last", "c", "-f").expect(
        0, out="", err="c was not started: SKIPPED, not needed: a ended SUCCESS\n")

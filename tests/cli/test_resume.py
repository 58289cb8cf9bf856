"""``run --resume``: what succeeded is kept, the rest runs, and the plan says so first."""
import os
from typing import Any, Dict, List

import pytest

from cli_case import Case
from killing import LONG, begin, rows, statuses, wait_for_file, wait_until

A = {"id": "a", "command": "echo a >> ran"}
#: Fails until there is a file ``mended``.
B = {"id": "b", "command": "echo b >> ran; [ -e mended ]", "dependencies": ["a"]}
C = {"id": "c", "command": "echo c >> ran", "dependencies": ["b"]}
D = {"id": "d", "command": "echo d >> ran", "dependencies": ["a"]}


def ran(case: Case) -> List[str]:
    """The jobs that were started since the last call, in order."""
    try:
        with open(case.path("ran")) as ledger:
            found = ledger.read().split()
    except FileNotFoundError:
        return []
    os.unlink(case.path("ran"))
    return found


def failed(case: Case, *jobs: Dict[str, Any], **top: Any) -> Case:
    """A run 1 in which ``b`` has failed."""
    case.jobs(*(jobs or (A, B, C)), **top).run("run", "config.json").expect(1)
    ran(case)
    return case


def test_what_succeeded_is_kept_and_the_plan_says_so(case: Case) -> None:
    failed(case).file("mended", "").run("run", "config.json", "--resume", "last").expect(0, out="", err="""
        resume of run 1 (app): 2 to run, 1 kept, 0 left out
          run   b  (FAILED: exit code 1)
          run   c  (BLOCKED: needs b, which ended FAILED)
          keep  a  (kept from run 1)
        """)
    assert ran(case) == ["b", "c"]
    document = case.run("show", "2", "--json").expect(0).json()
    assert [(job["job_id"], job["status"], job["attempts"]) for job in document["jobs"]] == [
        ("a", "SUCCESS", 0), ("b", "SUCCESS", 1), ("c", "SUCCESS", 1)]
    assert document["jobs"][0]["reason"] == "kept from run 1"
    assert rows(case, "SELECT run_id, parent_run_id FROM runs") == [(1, None), (2, 1)]
    assert "resumes  run 1" in case.run("show", "2").expect(0).out


def test_a_run_that_succeeded_has_nothing_to_resume(case: Case) -> None:
    case.jobs(A).run("run", "config.json").expect(0)
    case.run("run", "config.json", "--resume", "1").expect(
        0, out="", err="executioner: run 1 succeeded; there is nothing to resume\n")
    case.run("run", "config.json", "--resume", "1", "--quiet").expect(0, out="", err="")
    document = case.run("run", "config.json", "--resume", "last", "--json").expect(0).json()
    assert (document["run_id"], document["status"]) == (None, "SUCCESS")
    assert ran(case) == ["a"] and len(rows(case, "SELECT 1 FROM runs")) == 1


def test_a_chain_of_resumes_never_starts_a_success_again(case: Case) -> None:
    jobs = [{"id": name, "command": "echo %s >> ran; [ -e mended-%s ]" % (name, name),
             "dependencies": [chr(ord(name) - 1)] if name > "a" else []} for name in "abcd"]
    case.jobs(*jobs).run("run", "config.json").expect(1)
    for number, name in enumerate("abcd", 2):
        case.file("mended-" + name, "").run("run", "config.json", "--resume", "last").expect(0 if name == "d" else 1)
        assert rows(case, "SELECT parent_run_id FROM runs WHERE run_id = %d" % number) == [(number - 1,)]
    assert ran(case) == list("aabbccdd")
    reasons = [job["reason"] for job in case.run("show", "last", "--json").json()["jobs"]]
    assert reasons == ["kept from run 2", "kept from run 3", "kept from run 4", "exit code 0"]


def test_a_success_is_kept_though_the_run_between_did_not_have_the_job(case: Case) -> None:
    failed(case)
    case.jobs(dict(B, dependencies=[])).run("run", "config.json", "--resume", "1", "--with-current-config").expect(1)
    case.file("mended", "").jobs(A, B, C)
    case.run("run", "config.json", "--resume", "2", "--with-current-config").expect(0)
    assert ran(case) == ["b", "b", "c"]
    assert case.run("show", "3", "--json").json()["jobs"][0]["reason"] == "kept from run 1"


def test_failed_only_leaves_the_rest_for_another_resume(case: Case) -> None:
    failed(case).file("mended", "").run("run", "config.json", "--resume", "1", "--failed-only").expect(0, out="", err="""
        resume of run 1 (app): 1 to run, 1 kept, 1 left out
          run   b  (FAILED: exit code 1)
          keep  a  (kept from run 1)
          out   c  (left out of this resume)
        """)
    assert ran(case) == ["b"]
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert ran(case) == ["c"], "what was left out runs, what is done does not"
    assert "nothing to resume" in case.run("run", "config.json", "--resume", "last").expect(0).err
    case.run("run", "config.json", "--failed-only").expect(
        2, out="", err="executioner: --failed-only goes with --resume\n")


@pytest.mark.parametrize("words, expected", [
    (["--only", "c"], ["c"]), (["--until", "b"], ["b"]), (["--from", "b", "--skip", "c"], ["b"]),
    (["--downstream-of", "b"], ["c"])])
def test_a_selection_takes_a_part_of_the_rest(case: Case, words: List[str], expected: List[str]) -> None:
    failed(case).file("mended", "").run("run", "config.json", "--resume", "1", *words).expect(0)
    assert ran(case) == expected
    if "--skip" not in words:
        case.run("run", "config.json", "--resume", "2").expect(0)
        assert ran(case) == [job for job in ("b", "c") if job not in expected]


def test_what_was_not_selected_in_the_first_run_stays_out(case: Case) -> None:
    case.jobs(A, B, C, D).run("run", "config.json", "--only", "b").expect(1)
    case.file("mended", "").run("run", "config.json", "--resume", "1").expect(0)
    assert ran(case) == ["b", "b"]


def test_an_unknown_job_of_a_selection(case: Case) -> None:
    text = failed(case).run("run", "config.json", "--resume", "1", "--only", "bb").expect(2).err
    assert '"bb"' in text and len(rows(case, "SELECT 1 FROM runs")) == 1
    assert ran(case) == []


def test_a_dry_run_shows_the_plan_and_writes_nothing(case: Case) -> None:
    before = failed(case).run("runs", "--json").out
    case.run("run", "config.json", "--resume", "last", "--dry-run").expect(0, out="""
        dry run of app: 2 jobs, 1 at once; nothing was started
        ORDER  JOB  COMMAND
            1  b    echo b >> ran; [ -e mended ]
            2  c    echo c >> ran
        """, err="""
        resume of run 1 (app): 2 to run, 1 kept, 0 left out
          run   b  (FAILED: exit code 1)
          run   c  (BLOCKED: needs b, which ended FAILED)
          keep  a  (kept from run 1)
        """)
    assert ran(case) == [] and case.run("runs", "--json").out == before


def test_the_configuration_of_the_parent_is_used_and_what_changed_is_said(case: Case) -> None:
    failed(case)
    case.jobs(A, dict(B, command="echo new-b >> ran"), dict(C, timeout=5), D)
    case.file("mended", "").run("run", "config.json", "--resume", "1").expect(0, out="", err="""
        resume of run 1 (app): 2 to run, 1 kept, 0 left out
          run   b  (FAILED: exit code 1)
          run   c  (BLOCKED: needs b, which ended FAILED)
          keep  a  (kept from run 1)
        the file has changed since; the configuration of run 1 is used (--with-current-config takes the current one):
          job b: command changed
          job c: timeout changed
          job d was added
        """)
    assert ran(case) == ["b", "c"]
    assert sorted(statuses(case)) == ["a", "b", "c"]


def test_the_current_configuration_is_used_where_it_is_asked_for(case: Case) -> None:
    failed(case)
    case.jobs(dict(A, command="echo new-a >> ran"), dict(B, command="echo new-b >> ran"), D)
    case.run("run", "config.json", "--resume", "1", "--with-current-config").expect(0, out="", err="""
        resume of run 1 (app): 2 to run, 1 kept, 0 left out
          run   b  (FAILED: exit code 1)
          run   d  (new)
          keep  a  (kept from run 1)
        the file has changed since; the current one is used:
          job a: command changed
          job b: command changed
          job c was removed
          job d was added
        """)
    assert sorted(ran(case)) == ["d", "new-b"]


def test_the_file_must_be_there(case: Case) -> None:
    failed(case)
    os.unlink(case.path("config.json"))
    assert "config.json" in case.run("run", "config.json", "--resume", "1").expect(2, out="").err


def test_secrets_are_taken_from_the_current_file(case: Case) -> None:
    secret = {"id": "s", "command": "echo $DB_PASSWORD > seen; [ -e mended ]", "env_variables": {"DB_PASSWORD": "tiger-42"}}
    failed(case, secret)
    assert "tiger-42" not in str(rows(case, "SELECT config_text FROM configurations"))
    # Another timeout, so that the kept configuration is used; and the password is another one by now.
    case.jobs(dict(secret, timeout=9, env_variables={"DB_PASSWORD": "lion-4711"})).file("mended", "")
    case.run("run", "config.json", "--resume", "1").expect(0)
    with open(case.path("seen")) as seen:
        assert seen.read() == "lion-4711\n"
    history = open(case.path("home", "history.db"), "rb").read()
    assert b"lion-4711" not in history and b"tiger-42" not in history


def test_a_secret_that_is_not_there_any_more_is_refused(case: Case) -> None:
    failed(case, {"id": "s", "command": "false", "env_variables": {"DB_PASSWORD": "tiger-42"}})
    case.jobs({"id": "s", "command": "false"}).run("run", "config.json", "--resume", "1").expect(2, out="", err="""
        config.json: error E144 jobs[0].env_variables.DB_PASSWORD: the secret value that was here is not in the file any more; put it back, or take the file as it is with --with-current-config
        """)
    assert len(rows(case, "SELECT 1 FROM runs")) == 1
    case.run("run", "config.json", "--resume", "1", "--with-current-config").expect(1)


def test_values_of_env_must_be_given_again(case: Case) -> None:
    case.jobs({"id": "s", "command": "echo $WHICH >> seen; [ \"$WHICH\" = two ]"})
    case.run("run", "config.json", "--env", "WHICH=one", "--env", "OTHER=x").expect(1)
    case.run("run", "config.json", "--resume", "1", "--env", "WHICH=two").expect(
        2, out="", err="executioner: run 1 was given --env OTHER, whose values are not kept: give them again\n")
    case.run("run", "config.json", "--resume", "1", "--env", "WHICH=two", "--env", "OTHER=x").expect(0)
    assert open(case.path("seen")).read() == "one\ntwo\n"


def test_runs_that_cannot_be_resumed_so(case: Case) -> None:
    case.jobs(A).run("run", "config.json", "--resume", "last").expect(
        2, out="", err="executioner: no run last: there are no runs of app\n")
    case.config({"application_name": "other", "jobs": [{"id": "x", "command": "false"}]}, "other.json")
    case.run("run", "other.json").expect(1)
    case.run("run", "config.json", "--resume", "1").expect(
        2, out="", err="executioner: run 1 is one of other, this file is of app\n")
    case.run("run", "config.json", "--resume", "7").expect(2, out="")
    case.run("run", "config.json", "--resume", "last", "--rerun-lost", "x").expect(2, out="")
    assert ran(case) == []


def test_a_run_that_still_runs_cannot_be_resumed(case: Case) -> None:
    case.jobs({"id": "long", "command": LONG}, overlap="allow")
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        case.run("run", "config.json", "--resume", "1").expect(2, out="", err="executioner: run 1 still runs\n")
        case.file("go", "")
        assert runner.wait() == 0


def test_mark_success_is_honoured_by_a_resume(case: Case) -> None:
    failed(case)
    case.run("mark-success", "1", "b").expect(2, out="")
    case.run("mark-success", "1", "b", "--because", "loaded by hand").expect(
        0, out="b of run 1 is marked as success\n", err="")
    document = case.run("show", "1", "--json").json()
    assert document["jobs"][1]["status"] == "FAILED", "the status stays"
    assert "marked as success by" in document["jobs"][1]["reason"] and "loaded by hand" in document["jobs"][1]["reason"]
    case.run("run", "config.json", "--resume", "1").expect(0)
    assert ran(case) == ["c"]
    assert statuses(case) == {"a": "SUCCESS", "b": "SUCCESS", "c": "SUCCESS"}
    assert case.run("show", "2", "--json").json()["jobs"][1]["reason"].startswith("marked as success in run 1 by ")


def test_mark_success_says_what_cannot_be_marked(case: Case) -> None:
    failed(case)
    case.run("mark-success", "1", "a", "--because", "x").expect(
        2, out="", err="executioner: job a of run 1 is a SUCCESS already\n")
    case.run("mark-success", "1", "bb", "--because", "x").expect(2, out="")
    case.run("mark-success", "1", "b", "bb", "--because", "x").expect(2, out="")
    assert rows(case, "SELECT 1 FROM events WHERE kind = 'mark_success'") == [], "all or nothing"
    case.run("mark-success", "9", "a", "--because", "x").expect(2, out="")


def test_mark_success_waits_for_no_running_run(case: Case) -> None:
    case.jobs({"id": "long", "command": LONG})
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        case.run("mark-success", "1", "long", "--because", "x").expect(
            2, out="", err="executioner: run 1 still runs; cancel it or wait for its end first\n")
        case.file("go", "")
        assert runner.wait() == 0


def test_a_cancelled_run_goes_on_where_it_was(case: Case) -> None:
    case.jobs({"id": "first", "command": "echo first >> ran"},
              {"id": "long", "command": LONG + "; echo long >> ran", "dependencies": ["first"]},
              {"id": "last", "command": "echo last >> ran", "dependencies": ["long"]})
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        assert runner.kill(2) == 130
    assert statuses(case) == {"first": "SUCCESS", "long": "CANCELLED", "last": "CANCELLED"}
    case.file("go", "").run("run", "config.json", "--resume", "last").expect(0)
    assert ran(case) == ["first", "long", "last"]


def test_what_is_run_is_decided_under_the_lock(case: Case) -> None:
    """A resume that waits for the run that it resumes sees how that one ended."""
    case.jobs({"id": "long", "command": LONG}, {"id": "after", "command": "echo after >> ran; [ -e mended ]",
                                               "dependencies": ["long"]})
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        with begin(case, "run", "config.json", "--wait", "--resume", "last") as waiting:
            case.file("go", "")
            assert runner.wait() == 1
            case.file("mended", "")
            wait_until(lambda: waiting.process.poll() is not None)
    assert ran(case)[0] == "after" and open(case.path("done")).read() == "long\n"

"""Real ``kill -9`` of the runner, the keeper, or both, while jobs run: what is shown is true, and the way back is safe."""
import hashlib
import os
import signal
import sqlite3
import time
from typing import Any, Dict, List, Tuple

import pytest

from cli_case import Case
from killing import LONG, Background, begin, is_alive, kill, rows, statuses, wait_for_file, wait_until

FIRST = {"id": "first", "command": "echo first >> ran"}
JOB = {"id": "long", "command": LONG, "dependencies": ["first"]}
LAST = {"id": "last", "command": "echo last >> ran", "dependencies": ["long"]}


def lines(case: Case, name: str) -> List[str]:
    """The lines of a file of the test."""
    try:
        with open(case.path(name)) as stream:
            return stream.read().splitlines()
    except FileNotFoundError:
        return []


def killed(case: Case, *jobs: Dict[str, Any], **top: Any) -> None:
    """A run 1 whose runner was killed while ``long`` ran."""
    case.jobs(*(jobs or (FIRST, JOB, LAST)), **top)
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"), "the start is recorded")
        assert runner.kill() == -signal.SIGKILL


def both_killed(case: Case, *jobs: Dict[str, Any], **top: Any) -> int:
    """A run 1 whose runner and keeper were killed while ``long`` ran; the pid of ``long``."""
    case.jobs(*(jobs or (FIRST, JOB, LAST)), **top)
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"), "the start is recorded")
        runner.kill_both()
    return int(rows(case, "SELECT pid FROM attempts WHERE status = 'RUNNING'")[0][0])


def is_over(case: Case, run: int = 1) -> bool:
    return bool(case.run("show", str(run), "--json").json()["status"] != "RUNNING")


def stored(case: Case, run: int = 1) -> Dict[str, str]:
    """Job id to status as it stands in the file, whatever readers make of it."""
    return dict(rows(case, "SELECT job_id, status FROM jobs WHERE run_id = %d" % run))


def content(case: Case) -> Tuple[str, str]:
    """The bytes of the history: readers change nothing."""
    found = []
    for name in ("history.db", "history.db-wal"):
        with open(case.path("home", name), "rb") as stream:
            found.append(hashlib.sha256(stream.read()).hexdigest())
    return found[0], found[1]


# ---- the runner alone --------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_readers_tell_the_truth_and_write_nothing(case: Case) -> None:
    killed(case)
    before = content(case)
    assert statuses(case, 1) == {"first": "SUCCESS", "long": "RUNNING", "last": "CANCELLED"}
    assert [run["run_id"] for run in case.run("status", "--json").json()["running"]] == [1]
    assert case.run("runs", "--status", "RUNNING", "--json").json()[0]["run_id"] == 1
    case.file("go", "")
    wait_until(lambda: is_over(case))
    assert statuses(case, 1) == {"first": "SUCCESS", "long": "SUCCESS", "last": "CANCELLED"}
    document = case.run("show", "1", "--json").json()
    assert (document["status"], document["exit_code"]) == ("LOST", 1)
    assert document["jobs"][1]["exit_code"] == 0 and document["jobs"][1]["duration"] > 0
    assert case.run("status", "--json").json()["running"] == []
    assert case.run("runs", "--status", "LOST", "--json").json()[0]["run_id"] == 1
    assert case.run("runs", "--status", "RUNNING", "--json").json() == []
    assert content(case) == before
    assert stored(case) == {"first": "SUCCESS", "long": "PENDING", "last": "PENDING"}


def test_a_resume_adopts_what_still_runs_and_runs_only_the_rest(case: Case) -> None:
    killed(case)
    with begin(case, "run", "config.json", "--resume", "last") as resumed:
        wait_until(lambda: "waiting for them" in "".join(lines(case, "err")))
        assert len(rows(case, "SELECT 1 FROM runs")) == 1, "it has begun before the orphans had ended"
        case.file("go", "")
        assert resumed.wait() == 0
    assert lines(case, "ran") == ["first", "last"] and lines(case, "begun") == lines(case, "done") == ["long"]
    assert stored(case) == {"first": "SUCCESS", "long": "SUCCESS", "last": "CANCELLED"}
    assert statuses(case, 2) == {"first": "SUCCESS", "long": "SUCCESS", "last": "SUCCESS"}
    assert rows(case, "SELECT status, exit_code FROM runs ORDER BY run_id") == [("LOST", 1), ("SUCCESS", 0)]


@pytest.mark.slow
def test_all_jobs_of_a_dead_run_may_turn_out_well(case: Case) -> None:
    killed(case, dict(JOB, dependencies=[]))
    case.file("go", "")
    wait_until(lambda: is_over(case))
    assert case.run("show", "1", "--json").json()["status"] == "SUCCESS"
    case.run("run", "config.json", "--resume", "last").expect(
        0, out="", err="executioner: run 1 succeeded; there is nothing to resume\n")
    assert rows(case, "SELECT status, exit_code FROM runs") == [("SUCCESS", 0)]
    assert lines(case, "begun") == ["long"]


@pytest.mark.slow
def test_on_orphan_kill_stops_what_still_runs(case: Case) -> None:
    polite = "trap 'echo stopped > stopped; exit 0' TERM; echo x > begun; while [ ! -e go ]; do sleep 0.02; done"
    killed(case, {"id": "long", "command": polite}, LAST, on_orphan="kill")
    case.file("go-later", "")
    with begin(case, "run", "config.json", "--resume", "last") as resumed:
        wait_for_file(case, "stopped")
        case.file("go", "")  # for the resume's own attempt
        assert resumed.wait() == 0
    assert stored(case) == {"long": "CANCELLED", "last": "CANCELLED"}
    assert statuses(case, 2) == {"long": "SUCCESS", "last": "SUCCESS"}


@pytest.mark.slow
def test_on_orphan_fail_refuses_while_something_runs(case: Case) -> None:
    killed(case, on_orphan="fail")
    case.run("run", "config.json").expect(75, out="", err=(
        "executioner: run 1 died, and jobs of it still run; wait for them, or `executioner cancel 1`\n"))
    assert stored(case)["long"] == "PENDING" and len(rows(case, "SELECT 1 FROM runs")) == 1
    case.file("go", "")
    wait_until(lambda: is_over(case))
    case.run("run", "config.json").expect(0)
    assert lines(case, "done") == ["long", "long"]


@pytest.mark.slow
def test_on_runner_death_kill_ends_the_jobs_with_the_runner(case: Case) -> None:
    killed(case, on_runner_death="kill")
    wait_until(lambda: is_over(case))
    assert statuses(case, 1)["long"] == "CANCELLED"
    case.file("go", "").run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "begun") == ["long", "long"] and lines(case, "done") == ["long"]
    assert lines(case, "ran") == ["first", "last"]


def test_a_timeout_fires_although_the_runner_is_dead(case: Case) -> None:
    killed(case, dict(JOB, dependencies=[], timeout=1.0))
    wait_until(lambda: is_over(case))
    job = case.run("show", "1", "--json").json()["jobs"][0]
    assert (job["status"], job["attempts"]) == ("TIMEOUT", 1) and 1.0 <= job["duration"] < 30.0
    assert case.run("show", "1", "--json").json()["status"] == "FAILED"


def test_a_retry_that_did_not_come_is_said(case: Case) -> None:
    case.jobs({"id": "flaky", "command": "echo x >> ran; [ -e mended ]", "max_retries": 3, "retry_delay": 60})
    with begin(case, "run", "config.json") as runner:
        wait_until(lambda: rows(case, "SELECT 1 FROM events WHERE kind = 'retry'"))
        runner.kill()
    job = case.run("show", "1", "--json").json()["jobs"][0]
    assert (job["status"], job["exit_code"]) == ("FAILED", 1)
    assert job["reason"] == "exit code 1; the runner died before its next attempt"
    case.file("mended", "").run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "ran") == ["x", "x"]


@pytest.mark.parametrize("produces, status", [("echo x > made", "SUCCESS"), (":", "FAILED")])
@pytest.mark.slow
def test_checks_that_the_dead_runner_did_not_make_are_made(case: Case, produces: str, status: str) -> None:
    check = {"name": "check_file_exists", "params": {"path": case.path("made")}}
    killed(case, {"id": "long", "command": LONG + "; " + produces, "post_checks": [check]},
           {"id": "after", "command": "echo after >> ran", "dependencies": ["long"]})
    case.file("go", "")
    wait_until(lambda: is_over(case))
    # Readers make no checks, and so do not claim a success.
    assert statuses(case, 1)["long"] == "LOST"
    case.run("run", "config.json", "--resume", "last").expect(0 if status == "SUCCESS" else 1)
    assert stored(case)["long"] == status
    assert lines(case, "begun") == ["long"] if status == "SUCCESS" else ["long", "long"]


@pytest.mark.slow
def test_an_intent_that_never_began_is_run_by_a_resume(case: Case) -> None:
    """One slot, and the second job handed over ahead: it must neither start after the runner's death nor be forgotten."""
    killed(case, dict(JOB, dependencies=[]), {"id": "next", "command": "echo next >> ran"}, parallel=True, max_workers=1)
    case.file("go", "")
    wait_until(lambda: is_over(case))
    assert statuses(case, 1) == {"long": "SUCCESS", "next": "CANCELLED"} and lines(case, "ran") == []
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "ran") == ["next"] and lines(case, "begun") == ["long"]


@pytest.mark.slow
def test_a_record_that_was_removed_says_nothing(case: Case) -> None:
    """Not that nothing began: what was about to start may have run."""
    both_killed(case)
    os.unlink(case.path("home", "records", os.listdir(case.path("home", "records"))[0]))
    assert statuses(case, 1) == {"first": "SUCCESS", "long": "LOST", "last": "CANCELLED"}
    case.run("run", "config.json", "--resume", "last").expect(1)
    assert lines(case, "begun") == ["long"]


@pytest.mark.slow
def test_several_dead_runs_are_all_closed_first(case: Case) -> None:
    killed(case, overlap="allow")
    case.jobs({"id": "other", "command": LONG}, overlap="allow")
    with begin(case, "run", "config.json", env={}) as second:
        wait_until(lambda: "other" in lines(case, "begun") or "waiting" in "".join(lines(case, "err")))
        case.file("go", "")
        assert second.wait() == 0
    assert stored(case, 1)["long"] == "SUCCESS"


def test_a_daemon_left_by_a_job_blocks_nothing(case: Case) -> None:
    case.jobs({"id": "serve", "command": "setsid sh -c 'echo $$ > daemon; while [ ! -e go ]; do sleep 0.05; done' &",
               "leave_running": True})
    case.run("run", "config.json").expect(0)
    wait_for_file(case, "daemon")
    try:
        case.run("run", "config.json").expect(0)
        assert is_alive(int(lines(case, "daemon")[0]))
    finally:
        case.file("go", "")


# ---- the keeper alone --------------------------------------------------------------------------------------------------

def test_the_keeper_is_killed_and_the_run_goes_on(case: Case) -> None:
    case.jobs(FIRST, JOB, LAST)
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        kill(runner.keeper())
        wait_until(lambda: statuses(case) == {"first": "SUCCESS", "long": "RUNNING", "last": "PENDING"})
        case.file("go", "")
        assert runner.wait() == 0
    assert statuses(case) == {"first": "SUCCESS", "long": "SUCCESS", "last": "SUCCESS"}
    assert lines(case, "ran") == ["first", "last"] and lines(case, "begun") == ["long"]


@pytest.mark.slow
def test_the_keeper_is_killed_and_then_the_runner(case: Case) -> None:
    """The jobs were the runner's own by then: nobody reaps them any more, and that is what is said."""
    case.jobs(FIRST, JOB, LAST)
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        kill(runner.keeper())
        wait_until(lambda: any("the keeper" in row[0] for row in rows(
            case, "SELECT why FROM events WHERE kind = 'notice'")), "the notice is recorded")
        runner.kill()
    wait_until(lambda: statuses(case)["long"] == "LOST")
    case.file("go", "").run("run", "config.json", "--resume", "last", "--rerun-lost", "long").expect(0)
    assert lines(case, "begun") == ["long", "long"]


# ---- both --------------------------------------------------------------------------------------------------------------

def test_both_killed_is_lost_and_survivors_are_ended(case: Case) -> None:
    leader = both_killed(case)
    before = content(case)
    assert is_alive(leader)
    assert statuses(case, 1) == {"first": "SUCCESS", "long": "LOST", "last": "CANCELLED"}
    assert case.run("show", "1", "--json").json()["status"] == "LOST"
    assert is_alive(leader) and content(case) == before, "a reader must not act"
    text = case.run("run", "config.json", "--resume", "last").expect(1, out="").err
    assert not is_alive(leader), "a survivor of the dead run is there beside the resume"
    assert "nobody knows how it ended in run 1; decide with `executioner mark-success 1 long --because WHY` or `--rerun-lost long`" in text
    assert lines(case, "begun") == ["long"] and lines(case, "ran") == ["first"], "what is LOST was run again unasked"
    assert statuses(case, 2) == {"first": "SUCCESS", "long": "LOST", "last": "BLOCKED"}


@pytest.mark.slow
def test_the_operator_may_have_a_lost_job_run_again(case: Case) -> None:
    both_killed(case)
    case.file("go", "")
    case.run("run", "config.json", "--resume", "1", "--rerun-lost", "first").expect(2, out="")
    case.run("run", "config.json", "--resume", "1", "--rerun-lost", "long").expect(0)
    assert lines(case, "begun") == ["long", "long"] and lines(case, "ran") == ["first", "last"]


@pytest.mark.slow
def test_a_lost_job_is_decided_later_in_the_chain(case: Case) -> None:
    both_killed(case)
    case.run("run", "config.json", "--resume", "1").expect(1)
    case.file("go", "")
    case.run("run", "config.json", "--resume", "2", "--rerun-lost", "long").expect(0)
    assert lines(case, "begun") == ["long", "long"] and lines(case, "ran") == ["first", "last"]


def test_a_job_may_say_that_it_may_be_run_again(case: Case) -> None:
    both_killed(case, FIRST, dict(JOB, rerun_if_lost=True), LAST)
    case.file("go", "").run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "begun") == ["long", "long"] and lines(case, "ran") == ["first", "last"]


@pytest.mark.slow
def test_a_lost_job_may_be_marked_as_done(case: Case) -> None:
    both_killed(case)
    case.run("mark-success", "1", "long", "--because", "its table is complete").expect(0)
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "begun") == ["long"] and lines(case, "ran") == ["first", "last"]


@pytest.mark.slow
def test_a_mark_counts_for_every_later_resume_until_the_job_is_tried_again(case: Case) -> None:
    both_killed(case)
    text = case.run("run", "config.json", "--resume", "1").expect(1).err
    assert "resume of run 1 (app): 0 to run, 1 kept, 2 left out\n" in text
    assert "  out   last  (needs long, which ended LOST)\n" in text
    # As the message of the second run says: the mark is on the first one.
    assert "`executioner mark-success 1 long --because WHY`" in case.run("show", "2").expect(0).out
    case.run("mark-success", "1", "long", "--because", "its table is complete").expect(0)
    case.run("run", "config.json", "--resume", "2").expect(0)
    assert lines(case, "begun") == ["long"] and lines(case, "ran") == ["first", "last"]


@pytest.mark.slow
def test_what_may_be_left_running_is_spared(case: Case) -> None:
    leader = both_killed(case, dict(JOB, dependencies=[], leave_running=True))
    try:
        case.jobs(FIRST).run("run", "config.json").expect(0)
        assert is_alive(leader)
    finally:
        case.file("go", "")
        wait_until(lambda: not is_alive(leader))


# ---- the machine -------------------------------------------------------------------------------------------------------

def reboot(case: Case) -> None:
    """Have the dead run look as after a reboot: everything that names its boot names another one."""
    connection = sqlite3.connect(case.path("home", "history.db"), isolation_level=None)
    connection.execute("UPDATE runs SET boot_id = '00000000-0000-0000-0000-000000000000' WHERE status = 'RUNNING'")
    connection.close()


@pytest.mark.slow
def test_after_a_reboot_what_ran_is_lost_and_what_is_recorded_counts(case: Case) -> None:
    leader = both_killed(case, FIRST, JOB, LAST)
    os.kill(leader, signal.SIGKILL)
    reboot(case)
    document = case.run("show", "1", "--json").expect(0).json()
    assert [job["status"] for job in document["jobs"]] == ["SUCCESS", "LOST", "CANCELLED"]
    assert document["jobs"][1]["reason"] == "the machine went down; nobody knows how it ended"
    case.file("go", "").run("run", "config.json", "--resume", "last", "--rerun-lost", "long").expect(0)
    assert lines(case, "ran") == ["first", "last"] and lines(case, "begun") == ["long", "long"]


@pytest.mark.slow
def test_after_a_reboot_a_result_in_the_record_is_imported(case: Case) -> None:
    killed(case)
    case.file("go", "")
    wait_until(lambda: is_over(case))
    reboot(case)
    assert statuses(case, 1) == {"first": "SUCCESS", "long": "SUCCESS", "last": "CANCELLED"}
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "begun") == ["long"] and lines(case, "ran") == ["first", "last"]


@pytest.mark.slow
def test_a_record_that_is_gone_with_the_machine(case: Case) -> None:
    """Its last lines, or all of it, may have been lost in a power cut: nothing may be taken as never begun then."""
    killed(case)
    case.file("go", "")
    wait_until(lambda: is_over(case))
    reboot(case)
    os.unlink(case.path("home", "records", os.listdir(case.path("home", "records"))[0]))
    assert statuses(case, 1)["long"] == "LOST"
    case.run("run", "config.json", "--resume", "last").expect(1)
    assert lines(case, "begun") == ["long"]


# ---- settling is itself safe to kill -------------------------------------------------------------------------------------

@pytest.mark.slow
def test_a_resume_that_is_killed_again_and_again(case: Case) -> None:
    killed(case)
    case.file("go", "")
    for delay_s in (0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2):
        with begin(case, "run", "config.json", "--resume", "last") as resumed:
            time.sleep(delay_s)
            resumed.kill()
    wait_until(lambda: not case.run("status", "--json").json()["running"])
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "begun") == ["long"] and lines(case, "ran") == ["first", "last"]
    assert rows(case, "SELECT count(*) FROM runs WHERE status = 'RUNNING'") == [(0,)]
    assert rows(case, "PRAGMA integrity_check") == [("ok",)]


def test_two_that_settle_at_once(case: Case) -> None:
    both_killed(case, overlap="allow")
    case.file("go", "")
    backgrounds: List[Background] = []
    with begin(case, "run", "config.json", "--resume", "1", "--rerun-lost", "long") as one:
        with begin(case, "cancel", "1") as two:
            backgrounds += [one, two]
            assert [background.wait() for background in backgrounds] == [0, 0]
    assert stored(case) == {"first": "SUCCESS", "long": "LOST", "last": "CANCELLED"}

"""The verdicts on a run whose runner is gone: one row for each line of the table."""
import pytest

from jobs.events import AttemptEnded, JobEnded, RunEnded
from jobs.models import AttemptOutcome, JobStatus
from jobs.reconcile import OpenAttempt, OpenJob, Recorded, reconcile

TOKEN = "u.0.1"
WELL = AttemptOutcome(JobStatus.SUCCESS, 0, reason="exit code 0", started_at=5.0, ended_at=6.0, duration_s=1.0)
BADLY = AttemptOutcome(JobStatus.FAILED, 3, reason="exit code 3", started_at=5.0, ended_at=6.0, duration_s=1.0)


def judge(record, keeper_alive=False, boot="now", **options):
    job = OpenJob(0, "a", OpenAttempt(TOKEN, 1, "now"), **options)
    return reconcile(7, [job], record, keeper_alive, boot, [], [], 99.0)


@pytest.mark.parametrize("record, keeper_alive, boot, status, run_status", (
    ({TOKEN: Recorded(outcome=WELL)}, False, "now", "SUCCESS", "SUCCESS"),
    ({TOKEN: Recorded(outcome=WELL)}, True, "now", "SUCCESS", "SUCCESS"),
    ({TOKEN: Recorded(outcome=WELL)}, False, "later", "SUCCESS", "SUCCESS"),
    ({TOKEN: Recorded(outcome=BADLY)}, False, "now", "FAILED", "FAILED"),
    ({TOKEN: Recorded(pid=4)}, True, "now", "RUNNING", None),
    ({}, False, "now", "CANCELLED", "LOST"),
    ({TOKEN: Recorded(pid=4)}, False, "now", "LOST", "LOST"),
    ({TOKEN: Recorded(pid=4)}, False, "later", "LOST", "LOST"),
    ({}, False, "later", "LOST", "LOST"),
))
def test_each_row_of_the_table(record, keeper_alive, boot, status, run_status):
    truth = judge(record, keeper_alive, boot)
    assert truth.statuses == {0: status}
    assert [event.status for event in truth.events if isinstance(event, RunEnded)] == ([run_status] if run_status else [])
    assert (truth.running == [0]) is (status == "RUNNING")
    if status != "RUNNING":
        assert truth.reasons[0]
        assert [type(event) for event in truth.events] == [AttemptEnded, JobEnded, RunEnded]


def test_an_attempt_that_may_have_begun_is_not_taken_as_never_begun():
    job = OpenJob(0, "a", OpenAttempt(TOKEN, 1, "now", may_have_begun=True))
    assert reconcile(7, [job], {}, False, "now", [], [], 99.0).statuses == {0: "LOST"}


def test_a_success_whose_checks_were_not_made_is_nobodys_success():
    assert judge({TOKEN: Recorded(outcome=WELL)}, is_checked=False).statuses == {0: "LOST"}
    failed = judge({TOKEN: Recorded(outcome=WELL)}, check_failure="check_x: no file")
    assert failed.statuses == {0: "FAILED"} and failed.reasons == {0: "check_x: no file"}


def test_a_job_that_waited_for_its_dependencies_never_began():
    truth = reconcile(7, [OpenJob(0, "a"), OpenJob(1, "b", last_outcome=BADLY, attempts=1)], {}, False, "now", [], [], 9.0)
    assert truth.statuses == {0: "CANCELLED", 1: "FAILED"}
    assert truth.reasons == {0: "the runner died before its start",
                             1: "exit code 3; the runner died before its next attempt"}


@pytest.mark.parametrize("closed, forgiven, status", (
    (["SUCCESS"], [False], "SUCCESS"), (["FAILED"], [False], "FAILED"), (["FAILED"], [True], "SUCCESS"),
    (["LOST"], [True], "LOST"),
))
def test_the_run_is_what_all_its_jobs_say(closed, forgiven, status):
    job = OpenJob(0, "a", OpenAttempt(TOKEN, 1, "now"))
    truth = reconcile(7, [job], {TOKEN: Recorded(outcome=WELL)}, False, "now", closed, forgiven, 99.0)
    assert truth.events[-1].status == status
    assert truth.events[-1].exit_code == (0 if status == "SUCCESS" else 1)

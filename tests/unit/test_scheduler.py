"""Histories of events through the real scheduler: what is started, and what becomes of each job."""
import pytest

from jobs.exceptions import InternalError
from jobs.models import Check, JobStatus, RetryPolicy, StopReason
from jobs.scheduler import CHECKED, EVENTS, STATE_NAMES, STATES, TABLE, Given
from scheduler_case import Play, job


def test_every_cell_of_the_table_is_filled_and_the_impossible_names_both():
    assert len(TABLE) == len(STATES) and all(len(row) == len(EVENTS) for row in TABLE)
    play = Play(job("a"))
    with pytest.raises(InternalError, match="this is a bug: job a got DUE in state QUEUED"):
        play.scheduler._handle(0, 7)
    assert STATE_NAMES[play.scheduler.state[0]] == "QUEUED"


def test_a_job_starts_when_what_it_needs_has_succeeded():
    play = Play(job("a"), job("b", "a"), job("c", "a", "b"))
    assert play.ready() == ["a"]
    assert play.ready() == []
    play.end("a", "ok")
    assert play.ready() == ["b"]
    play.end("b", "ok")
    assert play.ready() == ["c"]
    play.end("c", "ok")
    assert play.scheduler.is_over and play.scheduler.verdict() == ("SUCCESS", "")


def test_the_first_failure_stops_new_jobs_and_what_runs_finishes():
    play = Play(job("bad"), job("runs"), job("after", "bad"), job("far", "after"), job("idle", "runs"), slots=2)
    assert play.ready() == ["bad", "runs"]
    play.end("bad", "fail")
    assert play.ready() == []
    assert play.finals == {"bad": "FAILED", "after": "BLOCKED", "far": "BLOCKED"}
    play.end("runs", "ok")
    assert play.finals["idle"] == "CANCELLED" and play.finals["runs"] == "SUCCESS"
    assert play.scheduler.verdict()[0] == "FAILED"


def test_continue_on_error_runs_what_does_not_depend_on_the_failure():
    play = Play(job("bad"), job("after", "bad"), job("other"), slots=1, continue_on_error=True)
    assert play.ready() == ["bad"]
    play.end("bad", "fail")
    assert play.ready() == ["other"]


def test_clean_up_runs_after_a_failure_and_never_turns_the_run_green():
    play = Play(job("bad"), job("next", "bad"), job("clean", "next:done"), job("alarm", "bad:failure"), slots=1)
    play.ready()
    play.end("bad", "timeout")
    assert play.ready() == ["clean"]
    play.end("clean", "ok")
    assert play.ready() == ["alarm"]
    play.end("alarm", "ok")
    assert play.finals == {"bad": "TIMEOUT", "next": "BLOCKED", "clean": "SUCCESS", "alarm": "SUCCESS"}
    assert play.scheduler.verdict()[0] == "FAILED"


def test_a_job_is_ready_since_what_it_needs_was_settled_and_since_its_retry_was_due():
    play = Play(job("a", retry=RetryPolicy(1, (10.0,), jitter=0.0)), job("b", "a"), job("c"), slots=1)
    since = play.scheduler.ready_since
    assert play.ready() == ["a"]
    play.now = 105.0
    play.end("a", "fail")
    assert play.ready() == ["c"]
    play.tick(10.5)  # noticed half a second late
    assert list(since) == [115.0, 0.0, 100.0]
    play.now = 120.0
    play.end("c", "ok")
    assert play.ready() == ["a"]
    play.scheduler.at(121.0)
    play.scheduler.withdrawn(0)
    assert play.ready() == ["a"] and since[0] == 115.0  # it has been ready all the time
    play.now = 130.0
    play.end("a", "ok")
    assert play.ready() == ["b"] and since[1] == 130.0


def test_a_job_without_dependencies_is_no_clean_up():
    play = Play(job("bad"), job("free"), slots=1)
    play.ready()
    play.end("bad", "fail")
    assert play.finals["free"] == "CANCELLED"


def test_a_wish_for_a_failure_that_did_not_come_is_skipped_and_fails_nothing():
    play = Play(job("good"), job("alarm", "good:failure"), job("then", "alarm"))
    play.ready()
    play.end("good", "ok")
    assert play.finals == {"good": "SUCCESS", "alarm": "SKIPPED"}
    assert play.ready() == ["then"]
    play.end("then", "ok")
    assert play.scheduler.verdict()[0] == "SUCCESS"


@pytest.mark.parametrize("order", (("ok", "fail"), ("fail", "ok")))
def test_the_verdict_does_not_depend_on_who_ends_first(order):
    play = Play(job("a"), job("b"), job("c", "a:failure", "b"), continue_on_error=True)
    play.ready()
    for name, how in zip("ab" if order[0] == "ok" else "ba", order):
        play.end(name, how)
    assert play.finals["c"] == "BLOCKED"


def test_join_any_starts_at_the_first_and_join_count_at_the_count():
    play = Play(job("a"), job("b"), job("c"), job("one", "a", "b", "c", join=1), job("two", "a", "b", "c", join=2),
                continue_on_error=True)
    play.ready()
    play.end("a", "fail")
    assert play.ready() == []
    play.end("b", "ok")
    assert play.ready() == ["one"]
    play.end("c", "fail")
    assert play.finals["two"] == "BLOCKED"


def test_allow_failure_stops_nobody_and_fails_nothing():
    play = Play(job("soft", allow_failure=True), job("next", "soft"), slots=1)
    play.ready()
    play.end("soft", "fail")
    assert play.ready() == ["next"]
    play.end("next", "ok")
    assert play.scheduler.verdict()[0] == "SUCCESS"


def test_retries_wait_grow_and_end():
    play = Play(job("a", retry=RetryPolicy(max_retries=2, delays_s=(10.0,), backoff=2.0, jitter=0.0)))
    play.ready()
    play.end("a", "fail")
    assert [(r.attempt, r.delay_s) for r in play.scheduler.take_retries()] == [(2, 10.0)]
    play.tick(9.9)
    assert play.ready() == []
    play.tick(0.1)
    assert play.ready() == ["a"]
    play.end("a", "fail")
    assert [(r.attempt, r.delay_s) for r in play.scheduler.take_retries()] == [(3, 20.0)]
    play.tick(20)
    play.ready()
    play.end("a", "fail")
    assert play.finals == {"a": "FAILED"}
    assert play.scheduler.take_finished()[0].attempts == 3


@pytest.mark.parametrize("policy, how, again", (
    (RetryPolicy(max_retries=1), "fail", True),
    (RetryPolicy(max_retries=1), "error", False),                     # 127 is never tried again
    (RetryPolicy(max_retries=1, never_on_exit_codes=frozenset()), "error", True),
    (RetryPolicy(max_retries=1, on_status=frozenset(("TIMEOUT",)), on_exit_codes=frozenset((7,))), "fail", False),
    (RetryPolicy(max_retries=1, on_status=frozenset(), on_exit_codes=frozenset((1,))), "fail", True),
    (RetryPolicy(max_retries=1, on_status=frozenset(), on_exit_codes=frozenset((1,))), "timeout", False),
    (RetryPolicy(max_retries=1), "lost", False),
    (RetryPolicy(max_retries=0), "fail", False),
))
def test_which_attempts_are_tried_again(policy, how, again):
    play = Play(job("a", retry=policy))
    play.ready()
    play.end("a", how)
    assert (play.finals == {}) is again


def test_max_retry_time_and_total_timeout_end_the_retrying():
    policy = RetryPolicy(max_retries=9, delays_s=(50.0,), backoff=1.0, jitter=0.0, max_retry_time_s=80.0)
    play = Play(job("a", retry=policy))
    play.ready()
    play.end("a", "fail")
    play.tick(50)
    play.ready()
    play.end("a", "fail")
    assert play.finals == {"a": "FAILED"}
    play = Play(job("a", retry=policy, total_timeout_s=40.0))
    play.ready()
    assert play.scheduler.attempt_limit(0, play.now) == (40.0, StopReason.TOTAL_TIMEOUT)
    play.end("a", "fail")
    assert play.finals == {"a": "TIMEOUT"}


def test_a_job_between_attempts_finishes_after_a_failure():
    retry = RetryPolicy(max_retries=1, delays_s=(5.0,), jitter=0.0)
    play = Play(job("again", retry=retry), job("bad"), slots=2)
    play.ready()
    play.end("again", "fail")
    play.end("bad", "fail")
    play.tick(5)
    assert play.ready() == ["again"]


def test_a_stop_cancels_what_has_not_started_and_leaves_the_rest_to_the_engine():
    play = Play(job("runs"), job("waits", "runs"), job("clean", "runs:done"), slots=1)
    play.ready()
    play.scheduler.started(0, play.now)
    play.scheduler.stop(StopReason.CANCEL, "the run was stopped by SIGINT")
    assert play.finals == {"waits": "CANCELLED", "clean": "CANCELLED"}
    assert play.scheduler.is_running(0)
    play.end("runs", "cancelled")
    assert play.scheduler.verdict() == ("CANCELLED", "the run was stopped by SIGINT")


def test_a_stop_that_cancels_nothing_leaves_a_success():
    play = Play(job("a"))
    play.ready()
    play.scheduler.started(0, play.now)
    play.scheduler.stop(StopReason.CANCEL, "stopped")
    play.end("a", "ok")
    assert play.scheduler.verdict()[0] == "SUCCESS"


def test_the_run_timeout_is_a_failure():
    play = Play(job("a"), job("b", "a"), run_timeout_s=60.0)
    play.ready()
    assert play.scheduler.next_timer() == 160.0
    play.scheduler.started(0, play.now)
    play.tick(60)
    assert play.scheduler.stop_kind == StopReason.RUN_TIMEOUT
    play.end("a", "timeout")
    assert play.finals == {"a": "TIMEOUT", "b": "CANCELLED"}
    assert play.scheduler.verdict() == ("FAILED", "the run passed its run_timeout of 60 s")


def test_checks_hold_the_slot_and_decide():
    play = Play(job("a", pre_checks=(Check("x"),), post_checks=(Check("y"),)), job("b"), slots=1)
    assert play.ready(64) == ["a"]
    assert play.scheduler.has_prechecks_to_make(0)
    assert play.ready(64) == []
    play.scheduler.checked(0, True, "", play.now, 0.5)
    assert play.scheduler.is_dispatched(0)
    play.end("a", "ok")
    assert play.scheduler.in_postcheck(0) and play.finals == {}
    play.scheduler.checked(0, False, "y: ORA-00600", play.now, 0.5)
    assert play.finals["a"] == "FAILED"


def test_a_failed_precheck_fails_the_job_without_an_attempt():
    play = Play(job("a", pre_checks=(Check("x"),), retry=RetryPolicy(max_retries=3)))
    play.ready()
    play.scheduler.checked(0, False, "x: no file", play.now, 0.5)
    finished = play.scheduler.take_finished()[0]
    assert (finished.status, finished.attempts, finished.reason) == ("FAILED", 0, "x: no file")


def test_ahead_never_passes_what_could_become_ready():
    play = Play(job("first"), job("urgent", "first", priority=5), job("later"), job("last"), slots=1)
    assert play.ready(64) == ["first"]
    play.end("first", "ok")
    assert play.ready(64) == ["urgent", "later", "last"]


def test_withdrawn_jobs_wait_again_or_are_cancelled_after_a_failure():
    play = Play(job("a"), job("b"), job("clean", "c:done"), job("c"), slots=1)
    assert play.ready(2)[:2] == ["c", "a"]
    play.scheduler.withdrawn(play.position("a"))
    assert play.scheduler.visible_status(play.position("a")) == "QUEUED"
    assert "a" in play.ready(2)
    play.end("c", "fail")
    play.scheduler.withdrawn(play.position("a"))
    assert play.finals["a"] == "CANCELLED"


def test_jobs_decided_beforehand():
    given = {0: Given(JobStatus.SKIPPED, "not selected", True), 1: Given(JobStatus.SKIPPED, "skipped by --skip")}
    play = Play(job("a"), job("b"), job("x", "a:failure"), job("y", "b"), job("z", "b:failure"), given=given)
    assert sorted(play.ready()) == ["x", "y"]
    assert play.finals["z"] == "SKIPPED"


def test_a_late_check_of_a_cancelled_job_changes_nothing():
    play = Play(job("a", pre_checks=(Check("x"),)))
    play.ready()
    play.scheduler.stop(StopReason.CANCEL, "stopped")
    assert play.finals == {"a": "CANCELLED"}
    play.scheduler.checked(0, True, "", play.now, 0.5)
    assert play.finals == {"a": "CANCELLED"} and CHECKED == 3


def test_a_held_job_waits_for_its_release():
    play = Play(job("a"), job("b"), slots=1)
    play.scheduler.hold({0: "alice: not tonight"})
    assert play.ready() == ["b"]
    play.tick(1)
    assert play.finals == {}
    play.scheduler.hold({})
    play.end("b", "ok")
    assert play.ready() == ["a"]


def test_a_job_that_is_held_at_the_end_of_all_else_is_blocked():
    play = Play(job("a"), job("after", "a"), job("b"), slots=1)
    play.scheduler.hold({0: "alice: not tonight"})
    assert play.ready() == ["b"]
    play.end("b", "ok")
    assert play.ready() == []
    play.tick(1)
    assert play.finals == {"a": "BLOCKED", "after": "BLOCKED", "b": "SUCCESS"}
    assert play.scheduler.take_finished()[1].reason == "held by alice: not tonight"
    assert play.scheduler.verdict()[0] == "FAILED"


def test_a_failure_of_a_parent_run_does_not_stop_its_resume():
    given = {0: Given(JobStatus.LOST, "nobody knows how it ended in run 1")}
    play = Play(job("lost"), job("after", "lost"), job("other"), given=given)
    assert play.finals == {"lost": "LOST", "after": "BLOCKED"}
    assert play.ready() == ["other"]


def test_a_job_waits_for_its_pool_and_lets_others_pass():
    play = Play(job("a", pool="db"), job("b", pool="db"), job("c"), slots=8)
    free = [1]

    def admit(position):
        free[0] -= 1
        return free[0] >= 0

    taken = [play.jobs[p].id for p in play.scheduler.take_ready(0, admit)]
    assert taken == ["a", "c"] and play.scheduler.waiting_pools() == ["db"]
    assert play.scheduler.take_ready(0, admit) == []
    play.end("a", "ok")
    free[0] = 1
    play.scheduler.offer_pool("db", 1)
    assert [play.jobs[p].id for p in play.scheduler.take_ready(0, admit)] == ["b"]
    assert play.scheduler.waiting_pools() == []


def test_a_job_that_waits_for_its_pool_is_cancelled_by_a_failure():
    play = Play(job("bad"), job("b", pool="db"), job("clean", "b:done"), slots=8)
    assert [play.jobs[p].id for p in play.scheduler.take_ready(0, lambda position: False)] == ["bad"]
    play.end("bad", "fail")
    assert play.finals["b"] == "CANCELLED"
    assert play.ready() == ["clean"]


def test_an_unneeded_job_is_skipped_and_satisfies_what_follows():
    play = Play(job("a", condition={"env": "X"}), job("b", "a"))
    play.ready()
    assert play.scheduler.has_prechecks_to_make(0)
    play.scheduler.unneeded(0, "run_if does not hold: X is not set")
    assert play.finals == {"a": "SKIPPED"}
    assert play.ready() == ["b"]

"""Who hears of what: the rules against histories of runs, the outbox, and the texts that people get."""
import json
from typing import Any, List, Optional, Sequence

import pytest

from db.history import EventKind, History
from db.outbox import MessageStatus, Outbox
from db_samples import ended, intended, job_ended, new_run, pipeline, places, started, whole_job
from jobs.events import RunEnded
from jobs.masking import Masker
from jobs.models import JobStatus, MailServer, NotificationRule, RunStatus
from jobs.records import RunRecord
from monitoring.courier import GIVE_UP_AFTER_S, Courier
from monitoring.message import Facts
from monitoring.notifications import decide_about, destination_shown, is_wanted, route_of

FACTS = Facts("executioner", Masker(["s3cr3t-value"]), {"job0": "https://wiki/job0\ncall Ann"})


class Stage:
    """A history in which runs end as a test wants it."""

    def __init__(self, history: History, folder: str) -> None:
        self.history = history
        self.folder = folder
        self.number = 0

    def run(self, status: str, failed: Sequence[int] = (), lost: Sequence[int] = (), at: float = 1020.0, count: int = 3,
            may_fail: Sequence[int] = ()) -> RunRecord:
        """A run of three jobs, recorded as one whose file has rules."""
        self.number += 1
        built = pipeline("nightly", count)
        for position in may_fail:
            built.jobs[position].allow_failure = True
        built.notifications = (NotificationRule(("failure",), "command:x"),)
        run_id = self.history.create_run(new_run(self.number), built, places)
        events: List[Any] = []
        for position in range(count):
            if position in failed or position in lost:
                how = JobStatus.LOST if position in lost else JobStatus.FAILED
                events += [intended(run_id, position), started(run_id, position),
                           ended(run_id, position, status=how, exit_code=3 if how == JobStatus.FAILED else None),
                           job_ended(position, how, "exit code 3", exit_code=3 if how == JobStatus.FAILED else None)]
            else:
                events += whole_job(run_id, position)
        events.append(RunEnded(run_id, status, 0 if status == RunStatus.SUCCESS else 1, "", at))
        self.history.journal(run_id).commit(events)
        found = self.history.run(run_id, with_jobs=False)
        assert found is not None
        return found

    def told(self, run: RunRecord, *rules: NotificationRule, at: float = 2000.0) -> List[str]:
        """The causes of what was decided to be sent now."""
        ids = decide_about(self.history, run, rules, FACTS, at)
        by_id = {one.notification_id: one for one in Outbox(self.history).recent(100)}
        return [by_id[one].cause for one in ids]


@pytest.fixture
def stage(tmp_path: Any) -> Any:
    with History.open(str(tmp_path / "history.db")) as history:
        yield Stage(history, str(tmp_path))


def rule(*on: str, to: str = "mailto:a@x", every: float = 0.0, subject: str = "") -> NotificationRule:
    return NotificationRule(on, to, every, subject)


def test_each_word(stage: Stage) -> None:
    ok = stage.run(RunStatus.SUCCESS)
    assert stage.told(ok, rule("success"), rule("failure"), rule("recovery"), rule("always", to="mailto:b")) == [
        "success", "success"]
    bad = stage.run(RunStatus.FAILED, failed=(0, 2))
    assert stage.told(bad, rule("success"), rule("failure"), rule("lost", to="mailto:c"), rule("always", to="mailto:b")) == [
        "failure: job0, job2", "failed"]
    stage.told(stage.run(RunStatus.CANCELLED))
    back = stage.run(RunStatus.SUCCESS)
    assert stage.told(back, rule("recovery"), rule("success", to="mailto:b")) == ["recovery", "success"]
    assert stage.told(stage.run(RunStatus.SUCCESS), rule("recovery")) == []


def test_lost(stage: Stage) -> None:
    lost = stage.run(RunStatus.LOST, lost=(1,))
    assert stage.told(lost, rule("failure"), rule("lost", to="mailto:b"), rule("failure", "lost", to="mailto:c")) == [
        "failure: job1", "lost: job1", "lost: job1"]


def test_a_job_that_may_fail_is_not_counted_as_failed(stage: Stage) -> None:
    stage.told(stage.run(RunStatus.FAILED, failed=(0, 1), may_fail=(1,)), rule("failure"))
    body = json.loads(Outbox(stage.history).recent(1)[0].message)["body"]
    assert "FAILED (exit 1), 1 of 3 jobs failed; 1 that may fail did\n" in body, body
    assert stage.told(stage.run(RunStatus.SUCCESS, failed=(1,), may_fail=(1,)), rule("recovery")) == ["recovery"]
    message = json.loads(Outbox(stage.history).recent(1)[0].message)
    assert message["subject"] == "[executioner] nightly recovered (alpha)" and message["payload"]["jobs"] == []
    assert message["body"].startswith("run 2 of nightly on alpha: SUCCESS (exit 0), 3 jobs; 1 that may fail did\n"
                                      "run 1 before it was FAILED\n"), message["body"]


def test_many_that_may_fail_hide_nobody_who_may_not(stage: Stage) -> None:
    run = stage.run(RunStatus.FAILED, failed=range(260), may_fail=[one for one in range(250)], count=261)
    assert stage.told(run, rule("failure")) == ["failure: job250, job251, job252, job253, job254 and 5 more"]
    body = json.loads(Outbox(stage.history).recent(1)[0].message)["body"]
    assert "10 of 261 jobs failed; 250 that may fail did" in body and "job249" not in body and "more failed" not in body


def test_cancelled_is_no_failure(stage: Stage) -> None:
    run = stage.run(RunStatus.CANCELLED)
    assert not is_wanted(stage.history, run, [rule("failure", "success", "recovery", "lost")])
    assert stage.told(run, rule("always")) == ["cancelled"]


def test_it_is_decided_once(stage: Stage) -> None:
    run = stage.run(RunStatus.FAILED, failed=(0,))
    outbox = Outbox(stage.history)
    assert [one.run_id for one in outbox.untold_runs("nightly")] == [run.run_id]
    assert stage.told(run, rule("failure")) and not stage.told(run, rule("failure"))
    assert outbox.untold_runs("nightly") == [] and len(outbox.waiting("nightly")) == 1


def test_a_run_without_rules_is_nobodys(stage: Stage) -> None:
    from db_samples import finished_run
    finished_run(stage.history, 900, "other", status=RunStatus.FAILED)
    assert Outbox(stage.history).untold_runs("other") == []


def test_at_most_one_per_cause_and_time(stage: Stage) -> None:
    every = rule("failure", every=600.0)
    assert stage.told(stage.run(RunStatus.FAILED, failed=(0,)), every, at=1000.0)
    assert not stage.told(stage.run(RunStatus.FAILED, failed=(0,)), every, at=1300.0)
    assert not stage.told(stage.run(RunStatus.FAILED, failed=(0,)), every, at=1599.0)
    # Another job is another cause, and the time counts from what was sent.
    assert stage.told(stage.run(RunStatus.FAILED, failed=(1,)), every, at=1350.0) == ["failure: job1"]
    assert stage.told(stage.run(RunStatus.FAILED, failed=(0,)), every, at=1601.0)
    newest = Outbox(stage.history).recent(1)[0]
    assert "2 more about the same were kept back" in json.loads(newest.message)["body"]
    assert [one.status for one in Outbox(stage.history).recent(10)].count(MessageStatus.SUPPRESSED) == 2


def test_retries_are_told_once_for_each_job(stage: Stage) -> None:
    run = stage.run(RunStatus.SUCCESS)
    for _ in range(2):
        stage.history.add_event(EventKind.RETRY, 1000.0, run.run_id, job_id="job1", why="exit code 1")
    assert is_wanted(stage.history, run, [rule("retry")])
    assert stage.told(run, rule("retry")) == ["retry: job1"]


def test_what_a_person_reads(stage: Stage, tmp_path: Any) -> None:
    stage.told(stage.run(RunStatus.SUCCESS))
    run = stage.run(RunStatus.FAILED, failed=(0,))
    decide_about(stage.history, run, [rule("failure", subject="{application} {status} {jobs} {run_id} {host} {cause}"),
                                      rule("failure", to="mailto:b")], FACTS, 2000.0)
    newest = [json.loads(one.message) for one in Outbox(stage.history).recent(2)]
    assert newest[1]["subject"] == "nightly FAILED job0 2 alpha failure"
    assert newest[0]["subject"] == "[executioner] nightly FAILED: job0 exit 3 (alpha)"
    body = newest[0]["body"]
    for words in ("run 2 of nightly on alpha: FAILED (exit 1), 1 of 3 jobs failed", "job0  exit 3, 2.0 s (usually 2.0 s)",
                  "does 0", "last success: run 1", "runbook: https://wiki/job0", "call Ann",
                  "all of it: executioner logs 2 job0", "go on         executioner run /etc/jobs/nightly.json --resume 2",
                  "last success  run 1, "):
        assert words in body, body
    payload = newest[0]["payload"]
    assert (payload["status"], payload["exit_code"], payload["jobs"][0]["job_id"]) == ("FAILED", 1, "job0")
    assert payload["resume"] == "executioner run /etc/jobs/nightly.json --resume 2"


def test_the_last_lines_are_masked_and_harmless(stage: Stage, monkeypatch: Any) -> None:
    import db_samples
    monkeypatch.setattr(db_samples, "places", lambda run_id: db_samples.RunPlaces(stage.folder, ""))
    run = stage.run(RunStatus.FAILED, failed=(0,))
    with open(stage.folder + "/job0.1.err", "wb") as stream:
        stream.write(b"first\n" * 100 + b"password is s3cr3t-value\n\x1b[31mred\xff\n")
    jobs = stage.history.jobs(run.run_id)
    jobs[0].stderr_path = stage.folder + "/job0.1.err"
    from monitoring.message import _output
    path, shown = _output(jobs[0], FACTS.masker)
    assert path and len(shown) == 20 and shown[-2] == "password is ***"
    from monitoring.message import _message
    message = _message("a s3cr3t-value\nb", ["x \x1b[31m s3cr3t-value"], run, "failure", FACTS, {"k": ["s3cr3t-value"]})
    assert message.subject == "a *** b" and message.body == "x \\x1b[31m ***\n"
    assert "s3cr3t" not in json.dumps(message._asdict())


@pytest.mark.parametrize("to, shown", [
    ("mailto:a@x,b@x", "mailto:a@x,b@x"), ("https://u:p@h.example:8/T0/key?x=1", "https://h.example:8/..."),
    ("http://h", "http://h"), ("command:mail -s x secret", "command:..."), ("${NOBODY}", "${NOBODY}:...")])
def test_a_destination_is_shown_without_its_key(to: str, shown: str) -> None:
    assert destination_shown(to) == shown


def test_the_route_holds_no_secret() -> None:
    assert route_of(rule("failure", to="https://h/key")) != route_of(rule("failure", to="https://h/other"))
    assert "key" not in route_of(rule("failure", to="https://h/key"))


class Told:
    """Hears of deliveries."""

    def __init__(self) -> None:
        self.seen: List[Any] = []

    def __call__(self, delivery: Any) -> None:
        self.seen.append((delivery.status, delivery.problem))


def courier(stage: Stage, rules: Sequence[NotificationRule], now: float = 2000.0,
            waits: Optional[List[float]] = None) -> Courier:
    return Courier(stage.history, "nightly", rules, MailServer(), lambda: now,
                   (waits if waits is not None else []).append)


def test_a_command_gets_the_message(stage: Stage, tmp_path: Any) -> None:
    told = Told()
    target = tmp_path / "got"
    to = rule("failure", to='command:{ cat; echo "$EXECUTIONER_NOTIFY_EVENT $EXECUTIONER_NOTIFY_RUN_ID"; } > %s' % target)
    stage.told(stage.run(RunStatus.FAILED, failed=(0,)), to)
    assert courier(stage, [to]).work(told, ()) == 0 and told.seen == [(MessageStatus.SENT, "")]
    text = target.read_text()
    assert "1 of 3 jobs failed" in text and text.endswith("failure 1\n")


def test_a_command_without_a_shell(stage: Stage, tmp_path: Any) -> None:
    """Where none is allowed: what needs one is not delivered, and says why."""
    told, target = Told(), tmp_path / "got"
    plain, shell = rule("failure", to="command:touch '%s'" % target), rule("failure", to="command:touch a; touch b")
    stage.told(stage.run(RunStatus.FAILED, failed=(0,)), plain, shell)
    one = Courier(stage.history, "nightly", [plain, shell], MailServer(), lambda: 2000.0, lambda _: None, allow_shell=False)
    assert one.work(told, ()) == 1 and target.exists()
    assert told.seen == [(MessageStatus.SENT, ""), (MessageStatus.WAITING, "the command needs a shell, and allow_shell is false")]


def test_it_is_tried_again_and_left_for_the_next(stage: Stage) -> None:
    told, waits = Told(), []  # type: Told, List[float]
    to = rule("failure", to="command:echo no luck; exit 3")
    stage.told(stage.run(RunStatus.FAILED, failed=(0,)), to)
    assert courier(stage, [to], waits=waits).work(told, (1.0, 2.0)) == 1
    assert waits == [1.0, 2.0] and told.seen == [
        (MessageStatus.WAITING, "the command ended with 3: no luck")] * 3
    assert Outbox(stage.history).waiting("nightly")[0].attempts == 3
    assert courier(stage, [to], now=2001.0 + GIVE_UP_AFTER_S).work(told, ()) == 0
    assert Outbox(stage.history).recent(1)[0].status == MessageStatus.FAILED


def test_what_never_will_arrive_is_given_up_at_once(stage: Stage) -> None:
    told = Told()
    gone, unset = rule("failure"), rule("failure", to="${NOBODY}")
    stage.told(stage.run(RunStatus.FAILED, failed=(0,)), gone, unset)
    assert courier(stage, [unset]).work(told, (1.0,)) == 0
    assert [one[0] for one in told.seen] == [MessageStatus.FAILED] * 2
    assert "no rule of the file" in told.seen[0][1] and "a variable that nobody sets" in told.seen[1][1]
    from db.figures import totals
    assert [(one.label, one.value) for one in totals(stage.history) if one.name == "notifications"] == [("FAILED", 2.0)]

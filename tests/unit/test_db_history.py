"""The history on a real file: what is written comes back, and what must not be written never is."""
import ast
import inspect
import os
import sqlite3
import stat
import sys
from typing import Iterator, List

import db_samples as sample
import pytest

from db.history import EventKind, History, _build
from jobs.events import Notice, RetryScheduled, RunEnded, RunStarted, RunStopping
from jobs.exceptions import ConfigurationError, DatabaseError, InternalError
from jobs.models import FINAL_STATUSES, Job, JobStatus, Pipeline, RunStatus
from jobs.ports import Journal


@pytest.fixture
def path(tmp_path: object) -> str:
    return "%s/history.db" % tmp_path


#: What these look at is SQLite's own.
SQLITE_ONLY = ("trace(", "sqlite3.", "PRAGMA", "sqlite_master")


def pytest_generate_tests(metafunc: "pytest.Metafunc") -> None:
    """What is said of a history holds on every database: only what looks at a file is for SQLite alone."""
    if "history" in metafunc.fixturenames:
        text = inspect.getsource(metafunc.function)
        for_file = "path" in metafunc.fixturenames or any(word in text for word in SQLITE_ONLY)
        metafunc.parametrize("history", ["sqlite"] if for_file else ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def history(request: "pytest.FixtureRequest") -> Iterator[History]:
    if request.param == "sqlite":
        opened = History.open(request.getfixturevalue("path"))
    else:
        place = request.getfixturevalue("postgresql").place()
        from db.postgresql_adapter import PostgreSQLAdapter
        opened = History(PostgreSQLAdapter(place))
        _build(opened.database)
    with opened:
        yield opened


def trace(history: History, statements: List[str]) -> sqlite3.Connection:
    """Note every statement from now on."""
    connection: sqlite3.Connection = history._database._connection  # type: ignore[attr-defined]
    # A method of a list is not hashable, which 3.6 asks for.
    connection.set_trace_callback(lambda text: statements.append(text))
    return connection


# ---- the file ------------------------------------------------------------------------------------------------------


def test_a_new_history_is_private_and_complete(path: str) -> None:
    before = os.umask(0)
    try:
        History.open(path).close()
    finally:
        os.umask(before)
    assert sample.names(os.path.dirname(path)) == ["history.db", "history.lock"]
    for name in (path, path[:-3] + ".lock"):
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o600


def test_the_files_beside_it_are_private_too(history: History, path: str) -> None:
    sample.finished_run(history, 1)
    assert sample.names(os.path.dirname(path)) == ["history.db", "history.db-shm", "history.db-wal", "history.lock"]
    for name in sample.names(os.path.dirname(path)):
        assert stat.S_IMODE(os.stat(os.path.join(os.path.dirname(path), name)).st_mode) == 0o600, name


def test_its_settings(path: str) -> None:
    with History.open(path) as history:
        database = history._database
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1),
                              ("busy_timeout", 30000), ("journal_size_limit", 16 << 20),
                              ("wal_autocheckpoint", 1000), ("application_id", 0x45584543)):
            assert database.fetchone("PRAGMA " + pragma) == (value,), pragma


def test_the_home_keeps_its_uuid(path: str) -> None:
    with History.open(path) as history:
        uuid = history.home_uuid()
    with History.open(path, readonly=True) as history:
        assert history.home_uuid() == uuid
    assert len(uuid) == 36 and uuid[14] == "4" and uuid[19] in "89ab"
    with History.open(path + ".other") as other:
        assert other.home_uuid() != uuid


def test_a_path_of_any_bytes(tmp_path: object) -> None:
    folder = os.fsdecode(os.fsencode(str(tmp_path)) + b"/a b%20?x=1#\xff\xc3\xa9'\"")
    os.mkdir(folder)
    with History.open(folder + "/history.db") as history:
        run_id = sample.finished_run(history, 1)
    with History.open(folder + "/history.db", readonly=True) as history:
        assert history.run(run_id) is not None
    assert sample.names(folder)[:1] == ["history.db"]


def test_a_clean_close_leaves_an_empty_log(path: str) -> None:
    with History.open(path) as history:
        sample.finished_run(history, 1)
        assert os.path.getsize(path + "-wal") > 0
    assert not os.path.exists(path + "-wal")


def test_a_close_beside_a_reader_leaves_it_its_view(path: str) -> None:
    history = History.open(path)
    run_id = sample.finished_run(history, 1)
    reader = History.open(path, readonly=True)
    assert reader.run(run_id) is not None
    history.close()
    assert reader.run(run_id) is not None
    reader.close()


def test_an_old_sqlite_would_understand_the_schema_and_every_statement() -> None:
    import db.history
    import db.migrations.m0001_history
    found = []
    for module in (db.history, db.migrations.m0001_history):
        with open(module.__file__, encoding="utf-8") as source:
            for node in ast.walk(ast.parse(source.read())):
                text = getattr(node, "s", None) if sys.version_info < (3, 8) else getattr(node, "value", None)
                starts = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "WHERE")
                if isinstance(text, str) and text.startswith(starts):
                    found.append(text)
    assert len(found) > 30
    for word in ("ON CONFLICT", "RETURNING", "STRICT", "WITHOUT ROWID", "OVER (", "WITH ", "JSON", "GENERATED",
                 "FILTER", "NULLS ", " TRUE", " FALSE", "INSERT OR", "REPLACE", "WHERE NOT NULL"):
        assert not [text for text in found if word in text], word
    assert not [text for text in found if text.startswith("CREATE INDEX") and "WHERE" in text]


# ---- a run from its first row to its last --------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_made(history: History) -> None:
    run_id = history.create_run(sample.new_run(7), sample.pipeline(text='{"a": 1}'), sample.places)
    run = history.run(run_id)
    assert run is not None
    assert (run.run_id, run.application, run.status, run.exit_code, run.reason) == (1, "nightly", "RUNNING", None, "")
    assert (run.started_at, run.ended_at, run.duration_s) == (1007.0, None, None)
    assert (run.run_uuid, run.parent_run_id) == ("%032x" % 7, None)
    assert (run.options, run.host, run.user) == ({"workers": 2}, "alpha", "ops")
    assert (run.boot_id, run.runner_pid, run.runner_start) == ("boot-1", 4711, 99)
    assert (run.log_dir, run.record_path) == ("/logs/nightly/1", "/home/records/1")
    assert (run.config_path, run.job_count) == ("/etc/jobs/nightly.json", 3)
    assert history.configuration(run.config_hash) == '{"a": 1}'
    assert [(job.position, job.job_id, job.status, job.attempts, job.description, job.stdout_path)
            for job in run.jobs] == [(n, "job%d" % n, "PENDING", 0, "does %d" % n, None) for n in range(3)]


def test_without_a_place_the_paths_stay_empty(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    history.journal(run_id).commit([sample.intended(run_id, 0)])
    run = history.run(run_id)
    assert run is not None and (run.log_dir, run.record_path) == ("", "")
    assert run.jobs[0].stdout_path == "/logs/nightly/1/job0.1.out"


def test_a_configuration_is_kept_once(history: History) -> None:
    for number in range(3):
        history.create_run(sample.new_run(number), sample.pipeline(text="same"))
    history.create_run(sample.new_run(9), sample.pipeline(text="other"))
    assert history._database.fetchone("SELECT count(*) FROM configurations") == (2,)
    assert history.configuration("unknown") is None


def test_a_run_that_cannot_be_made_leaves_nothing(history: History) -> None:
    with pytest.raises(InternalError):
        history.create_run(sample.new_run(settled=[sample.job_ended(99)]), sample.pipeline(text="a"))
    with pytest.raises(DatabaseError):
        history.create_run(sample.new_run(parent_run_id=55), sample.pipeline(text="a"))

    def place(run_id: int) -> None:
        raise KeyError(run_id)

    with pytest.raises(KeyError):
        history.create_run(sample.new_run(), sample.pipeline(text="a"), place)  # type: ignore[arg-type]
    for table in ("runs", "jobs", "configurations"):
        assert history._database.fetchone("SELECT count(*) FROM " + table) == (0,)


def test_jobs_that_are_settled_before_the_start(history: History) -> None:
    parent = sample.finished_run(history, 1)
    kept = sample.job_ended(1, reason="kept from run %d" % parent, attempts=0, started_at=None, duration_s=None)
    left_out = sample.job_ended(2, JobStatus.SKIPPED, "left out", attempts=0, exit_code=None)
    run_id = history.create_run(sample.new_run(2, parent_run_id=parent, settled=[kept, left_out]), sample.pipeline())
    assert [(job.status, job.reason, job.attempts) for job in history.jobs(run_id)] == [
        ("PENDING", "", 0), ("SUCCESS", "kept from run 1", 0), ("SKIPPED", "left out", 0)]
    assert [run.run_id for run in history.chain(run_id)] == [run_id, parent]
    assert history.chain(999) == []


def test_the_journal_is_what_the_engine_wants(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    journal: Journal = history.journal(run_id)
    assert journal.flushed()
    journal.commit([])
    journal.commit([RunStarted(run_id, "u", "nightly", "", 3, 1, 1.0)])
    with history._database.transaction():
        assert not journal.flushed()
    with pytest.raises(DatabaseError) as caught:
        history.journal(12345)
    assert caught.value.context["cause"] == "missing"


def test_what_is_not_to_be_kept_opens_no_transaction(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    statements: List[str] = []
    trace(history, statements)
    history.journal(run_id).commit([RunStarted(run_id, "u", "nightly", "", 3, 1, 1.0)])
    assert not [text for text in statements if not text.startswith("SELECT")]


def test_the_start_and_the_end_of_an_attempt_in_one_batch_are_one_update(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    history.journal(run_id).commit([sample.intended(run_id, 0)])
    statements: List[str] = []
    trace(history, statements)
    history.journal(run_id).commit(sample.whole_job(run_id, 0)[1:])
    assert len([text for text in statements if text.startswith("UPDATE attempts")]) == 1
    attempt, = history.attempts(run_id)
    assert (attempt.pid, attempt.pid_start, attempt.status) == (5000, 700, "SUCCESS")


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_an_attempt_from_intent_to_end(history: History, batches: int) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline(), sample.places)
    journal = history.journal(run_id)
    events = sample.whole_job(run_id, 1)
    for start in range(0, 4, 4 // batches):
        journal.commit(events[start:start + 4 // batches])
    attempt, = history.attempts(run_id)
    assert attempt == history.attempts(run_id, "job1")[0] == history.attempts(run_id, 1)[0]
    assert history.attempts(run_id, 0) == history.attempts(run_id, "job2") == []
    assert (attempt.position, attempt.job_id, attempt.attempt) == (1, "job1", 1)
    assert (attempt.token, attempt.status, attempt.exit_code, attempt.signal) == (
        "run-1.1.1", "SUCCESS", 0, None)
    assert (attempt.pid, attempt.pid_start) == (5001, 701)
    assert (attempt.intended_at, attempt.started_at, attempt.ended_at) == (1010.0, 1011.5, 1013.5)
    assert (attempt.duration_s, attempt.cpu_s, attempt.max_rss_bytes, attempt.survivors) == (2.0, 0.25, 4096, ())
    assert (attempt.stdout_path, attempt.stderr_path) == ("/logs/nightly/1/job1.1.out", "/logs/nightly/1/job1.1.err")
    job = history.jobs(run_id)[1]
    assert (job.status, job.exit_code, job.attempts, job.duration_s) == ("SUCCESS", 0, 1, 2.0)
    assert (job.started_at, job.ended_at, job.cpu_s, job.max_rss_bytes) == (1011.5, 1013.5, 0.25, 4096)
    assert (job.stdout_path, job.stderr_path) == (attempt.stdout_path, attempt.stderr_path)


def test_paths_inside_the_runs_folder_are_kept_short_and_others_whole(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline(), sample.places)
    event = sample.intended(run_id, 0)
    event.stderr_path = "/logs/nightly/10/elsewhere"
    history.journal(run_id).commit([event])
    assert history._database.fetchone("SELECT stdout_path, stderr_path FROM attempts") == (
        "job0.1.out", "/logs/nightly/10/elsewhere")
    attempt, = history.attempts(run_id)
    assert (attempt.stdout_path, attempt.stderr_path) == ("/logs/nightly/1/job0.1.out", "/logs/nightly/10/elsewhere")


def test_where_a_job_is_while_it_lives(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline(), sample.places)
    journal = history.journal(run_id)

    def now() -> tuple:
        job = history.jobs(run_id)[0]
        return job.status, job.attempts, job.reason, job.started_at, job.stdout_path

    assert now() == ("PENDING", 0, "", None, None)
    journal.commit([sample.intended(run_id, 0)])
    assert now() == ("QUEUED", 1, "", None, "/logs/nightly/1/job0.1.out")
    journal.commit([sample.started(run_id, 0)])
    assert now() == ("RUNNING", 1, "", 1011.0, "/logs/nightly/1/job0.1.out")
    journal.commit([sample.ended(run_id, 0, status=JobStatus.FAILED, exit_code=1),
                    RetryScheduled(0, "job0", 2, 30.0, "exit code 1; again in 30 s", 1013.5)])
    assert now() == ("RETRYING", 1, "exit code 1; again in 30 s", 1011.5, "/logs/nightly/1/job0.1.out")
    assert history.jobs(run_id, (JobStatus.RETRYING,))[0].reason == "exit code 1; again in 30 s"
    journal.commit([sample.intended(run_id, 0, 2), sample.started(run_id, 0, 2, 1050.0)])
    assert now() == ("RUNNING", 2, "", 1050.0, "/logs/nightly/1/job0.2.out")
    journal.commit([sample.ended(run_id, 0, 2), sample.job_ended(0, attempts=2)])
    assert now() == ("SUCCESS", 2, "", 1011.5, "/logs/nightly/1/job0.2.out")
    assert history._database.fetchone("SELECT status FROM jobs WHERE position = 1") == ("PENDING",)


def test_how_an_attempt_failed_is_kept(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    history.journal(run_id).commit([
        sample.intended(run_id, 0),
        sample.ended(run_id, 0, status=JobStatus.TIMEOUT, exit_code=None, signal="SIGKILL", reason="took too long",
                     stop_reason="timeout", survivors=("77 sleep", "78 ünïcode")),
        sample.job_ended(0, JobStatus.TIMEOUT, "took too long", exit_code=None, signal="SIGKILL")])
    attempt, = history.attempts(run_id)
    assert (attempt.status, attempt.exit_code, attempt.signal) == ("TIMEOUT", None, "SIGKILL")
    assert (attempt.reason, attempt.stop_reason) == ("took too long", "timeout")
    assert attempt.survivors == ("77 sleep", "78 ünïcode")
    assert attempt.pid is None
    job = history.jobs(run_id)[0]
    assert (job.status, job.reason, job.exit_code, job.signal) == ("TIMEOUT", "took too long", None, "SIGKILL")


def test_the_end_of_a_run(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    history.journal(run_id).commit([sample.run_ended(run_id, RunStatus.FAILED, 1, "job1 failed")])
    run = history.run(run_id)
    assert run is not None
    assert (run.status, run.exit_code, run.reason) == ("FAILED", 1, "job1 failed")
    assert (run.ended_at, run.duration_s) == (1020.0, 19.0)


# ---- what must never be written ------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", sorted(FINAL_STATUSES))
def test_a_final_status_is_never_overwritten(history: History, first: str) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    journal = history.journal(run_id)
    journal.commit([sample.job_ended(0, first, "the truth")])
    with pytest.raises(InternalError):
        journal.commit([sample.job_ended(1), sample.job_ended(0, JobStatus.FAILED, "a lie")])
    with pytest.raises(InternalError):
        journal.commit([sample.job_ended(2), sample.job_ended(2)])
    assert [(job.status, job.reason) for job in history.jobs(run_id)] == [
        (first, "the truth"), ("PENDING", ""), ("PENDING", "")]
    assert journal.flushed()


def test_a_job_never_ends_as_something_that_is_not_final(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    with pytest.raises(InternalError):
        history.journal(run_id).commit([sample.job_ended(0, JobStatus.RUNNING)])


def test_a_run_ends_once_and_by_its_own_event(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    other = history.create_run(sample.new_run(2), sample.pipeline())
    with pytest.raises(InternalError):
        history.journal(run_id).commit([sample.run_ended(other)])
    history.journal(run_id).commit([sample.run_ended(run_id)])
    with pytest.raises(InternalError):
        history.journal(run_id).commit([sample.run_ended(run_id, RunStatus.FAILED, 1)])
    assert [run.status for run in history.runs()] == ["RUNNING", "SUCCESS"]


def test_an_attempt_is_intended_once(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    journal = history.journal(run_id)
    journal.commit([sample.intended(run_id, 0)])
    for wrong in (sample.intended(run_id, 0), sample.intended(run_id, 99)):
        with pytest.raises(InternalError):
            journal.commit([sample.intended(run_id, 1), wrong])
    assert len(history.attempts(run_id)) == 1


@pytest.mark.parametrize("make", [sample.started, sample.ended])
def test_an_attempt_that_was_never_intended_is_a_bug(history: History, make: object) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    journal = history.journal(run_id)
    journal.commit([sample.intended(run_id, 0)])
    stranger = make(run_id, 0)  # type: ignore[operator]
    stranger.token = "of another run"
    for wrong in (stranger, make(run_id, 1), make(run_id, 0, 2)):  # type: ignore[operator]
        with pytest.raises(InternalError):
            journal.commit([wrong])
    assert [attempt.status for attempt in history.attempts(run_id)] == ["QUEUED"]


def test_a_result_that_comes_twice_counts_once(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    journal = history.journal(run_id)
    journal.commit([sample.intended(run_id, 0), sample.intended(run_id, 1)])
    journal.commit([sample.ended(run_id, 0)])
    journal.commit([sample.ended(run_id, 0, status=JobStatus.FAILED, exit_code=1), sample.ended(run_id, 1),
                    sample.started(run_id, 0, at=2000.0)])
    assert [(attempt.status, attempt.exit_code, attempt.started_at) for attempt in history.attempts(run_id)] == [
        ("SUCCESS", 0, 1011.5), ("SUCCESS", 0, 1011.5)]


def test_a_commit_is_all_or_nothing_and_can_be_tried_again(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    journal = history.journal(run_id)
    events = sample.whole_job(run_id, 0) + [Notice("INFO", "hello", 1.0)]
    with pytest.raises(InternalError):
        journal.commit(events + [sample.job_ended(0)])
    assert history.attempts(run_id) == [] and history.events(run_id) == []
    journal.commit(events)
    assert history.jobs(run_id)[0].status == "SUCCESS"


def test_an_unknown_event_is_a_bug(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    with pytest.raises(InternalError):
        history.journal(run_id).commit(["what is this"])  # type: ignore[list-item]


def test_only_reading_writes_nothing(path: str) -> None:
    with History.open(path) as history:
        run_id = sample.finished_run(history, 1)
    with History.open(path, readonly=True) as reader:
        with pytest.raises(InternalError):
            reader.create_run(sample.new_run(2), sample.pipeline())
        with pytest.raises(InternalError):
            reader.journal(run_id).commit([Notice("INFO", "x", 1.0)])
        with pytest.raises(DatabaseError) as caught:
            reader._database.execute("DELETE FROM runs")
        assert caught.value.context["cause"] == "readonly"


# ---- strange values ------------------------------------------------------------------------------------------------


def test_no_value_is_too_strange(history: History) -> None:
    strange = b"/data/\xff".decode("utf-8", "surrogateescape") + "\0\ud800 ü'\";--\n"
    nul = "\\x00" if history.database.dialect == "postgresql" else "\0"  # it has no room for one
    shown = "/data/\\udcff%s\\ud800 ü'\";--\n" % nul
    # A byte of a name comes back as it was; no name has half a character.
    path = os.fsdecode(b"/data/\xff" + ("%s\\ud800 ü'\";--\n" % nul).encode("utf-8"))
    pipeline = Pipeline(strange, [Job("a", "true", description=strange)], config_path=strange, config_text=strange,
                        config_hash="hash")
    new = sample.new_run(options={"env": strange, "n": 1 << 90}, host=strange, user=strange, runner_pid=1 << 90,
                         runner_start=-(1 << 90))
    run_id = history.create_run(new, pipeline, lambda run_id: sample.RunPlaces(strange, strange))
    run = history.last_run(strange)
    assert run is not None
    assert (run.application, run.host, run.user) == (shown,) * 3
    assert (run.config_path, run.log_dir) == (path,) * 2
    assert run.options == {"env": strange, "n": 1 << 90}
    assert (run.runner_pid, run.runner_start) == ((1 << 63) - 1, -(1 << 63))
    assert history.configuration("hash") == shown
    intent = sample.intended(run_id, 0)
    intent.stdout_path = intent.stderr_path = strange
    start = sample.started(run_id, 0)
    start.pid, start.pid_start = 1 << 70, 1 << 70
    end = sample.ended(run_id, 0, reason=strange, exit_code=1 << 70, max_rss_bytes=1 << 70, survivors=(strange,),
                       duration_s=float("inf"), cpu_s=float("nan"))
    job = sample.job_ended(0, reason=strange, exit_code=-(1 << 70), max_rss_bytes=1 << 70)
    history.journal(run_id).commit([
        intent, start, RetryScheduled(0, "a", 2, float("inf"), strange, 1.0), end, job,
        Notice("INFO", strange, 1.0, strange, strange, ((strange, strange),)), RunStopping(strange, 1.0),
        RunEnded(run_id, "FAILED", 1 << 70, strange, 1.0)])
    run = history.run(run_id)
    assert run is not None and (run.reason, run.exit_code) == (shown, (1 << 63) - 1)
    assert (run.jobs[0].reason, run.jobs[0].exit_code) == (shown, -(1 << 63))
    assert history.attempts(run_id)[0].survivors == (strange,)
    assert [event.why for event in history.events(run_id)] == [shown] * 3
    history.add_event(EventKind.HOLD, 1.0, application=strange, job_id=strange, who=strange, why=strange,
                      details={strange: strange})
    assert history.application_events(strange)[0].who == shown
    assert history.applications() == [shown]
    with pytest.raises(ConfigurationError):
        history.resolve("\ud800")


# ---- reading -------------------------------------------------------------------------------------------------------


def test_pages_of_runs(history: History) -> None:
    for number in range(10):
        sample.finished_run(history, number, "even" if number % 2 == 0 else "odd", 1,
                            RunStatus.FAILED if number % 5 == 0 else RunStatus.SUCCESS)
    ids = [run.run_id for run in history.runs(limit=4)]
    assert ids == [10, 9, 8, 7]
    assert [run.run_id for run in history.runs(limit=4, before=7)] == [6, 5, 4, 3]
    assert [run.run_id for run in history.runs(limit=4, before=1)] == []
    assert [run.run_id for run in history.runs("odd")] == [10, 8, 6, 4, 2]
    assert [run.run_id for run in history.runs("odd", limit=2, before=8)] == [6, 4]
    assert [run.run_id for run in history.runs(status="FAILED")] == [6, 1]
    assert [run.run_id for run in history.runs("even", "FAILED")] == [1]
    assert history.runs("none") == history.runs(limit=0) == history.runs(limit=-1) == []
    assert all(run.jobs == [] for run in history.runs())


def test_the_last_runs_of_an_application(history: History) -> None:
    assert history.last_run("nightly") is history.last_finished("nightly") is history.last_success("nightly") is None
    sample.finished_run(history, 1)
    sample.finished_run(history, 2, status=RunStatus.FAILED)
    history.create_run(sample.new_run(3), sample.pipeline())
    sample.finished_run(history, 4, "other")
    for found, run_id in ((history.last_run("nightly"), 3), (history.last_finished("nightly"), 2),
                          (history.last_success("nightly"), 1), (history.last_finished("nightly", before=2), 1)):
        assert found is not None and found.run_id == run_id
    assert history.last_finished("nightly", before=1) is None
    assert history.applications() == ["nightly", "other"]


def test_open_runs(history: History) -> None:
    first = history.create_run(sample.new_run(1), sample.pipeline("a"))
    sample.finished_run(history, 2, "a")
    third = history.create_run(sample.new_run(3), sample.pipeline("b"))
    assert [run.run_id for run in history.open_runs()] == [first, third]
    assert [run.run_id for run in history.open_runs("b")] == [third]
    assert history.open_runs("c") == []


def test_finding_the_run_that_is_meant(history: History) -> None:
    with pytest.raises(ConfigurationError) as caught:
        history.resolve("last")
    assert caught.value.message == "no run last: there are no runs"
    for number, application in enumerate(["a", "b", "a", "42"], 1):
        sample.finished_run(history, number, application, 1)
    for text, application, run_id in (("last", None, 4), ("-1", None, 4), ("-4", None, 1), ("2", None, 2),
                                      (" 2 ", None, 2), ("last", "a", 3), ("-2", "a", 1), ("b", None, 2),
                                      ("a", None, 3)):
        assert history.resolve(text, application) == run_id, text
    for text, application, message in (
            ("-5", None, "no run -5: there are only 4 runs"), ("-3", "a", "no run -3: there are only 2 runs of a"),
            ("last", "z", "no run last: there are no runs of z"), ("42", None, "no run 42: the newest is 4"),
            ("7", "z", "no run 7: there are no runs of z")):
        with pytest.raises(ConfigurationError) as caught:
            history.resolve(text, application)
        assert caught.value.message == message
    for text in ("", "-", "-0", "--1", "0x1", "1.0", "١", "9" * 40, "-" + "9" * 40, "lastly", "a\nb"):
        with pytest.raises(ConfigurationError):
            history.resolve(text)


def test_jobs_of_a_run_in_pages(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline(jobs=6))
    journal = history.journal(run_id)
    for attempt in (1, 2, 3):
        journal.commit([sample.intended(run_id, 1, attempt), sample.ended(run_id, 1, attempt, JobStatus.FAILED, 1)])
    journal.commit([sample.job_ended(1, JobStatus.FAILED, "exit code 1", 3), sample.job_ended(4, JobStatus.BLOCKED),
                    sample.job_ended(5, JobStatus.FAILED), sample.intended(run_id, 3)])

    def found(*more: object, **named: object) -> List[int]:
        return [job.position for job in history.jobs(run_id, *more, **named)]  # type: ignore[arg-type]

    assert found() == [0, 1, 2, 3, 4, 5]
    assert found(limit=2) == [0, 1] and found(limit=2, after=1) == [2, 3] and found(after=4) == [5]
    assert found(("FAILED",)) == [1, 5] and found(("FAILED",), limit=1) == [1]
    assert found(("FAILED",), limit=1, after=1) == [5] and found(("FAILED",), limit=0) == []
    assert found(("FAILED", "BLOCKED"), limit=2) == [1, 4]
    assert found(("QUEUED",)) == [3] and found(("PENDING", "FAILED"), limit=2) == [0, 1]
    assert found(("LOST",), limit=5) == []
    assert history.jobs(run_id)[1].stdout_path == "/logs/nightly/1/job1.3.out"
    assert history.job_counts(run_id) == {"BLOCKED": 1, "FAILED": 2, "PENDING": 3}
    assert history.run(999) is None and history.jobs(999) == [] and history.job_counts(999) == {}


def test_what_was_done_and_noticed(history: History) -> None:
    run_id = history.create_run(sample.new_run(), sample.pipeline())
    history.journal(run_id).commit([
        RetryScheduled(1, "job1", 2, 30.5, "exit code 1", 1001.0),
        Notice("WARNING", "a process outlived the run", 1002.0, "job2", "E200", (("pid", "77"),)),
        RunStopping("stopped by SIGTERM", 1003.0)])
    cancel = history.add_event(EventKind.CANCEL, 1004.0, run_id, who="ada", why="wrong day")
    history.add_event(EventKind.HOLD, 1005.0, application="nightly", job_id="job1", who="ada", why="disk",
                      details={"a": [1]})
    found = history.events(run_id)
    assert [(event.kind, event.at, event.job_id, event.who, event.why, event.details) for event in found] == [
        ("retry", 1001.0, "job1", "", "exit code 1", {"attempt": 2, "delay_s": 30.5}),
        ("notice", 1002.0, "job2", "", "a process outlived the run",
         {"level": "WARNING", "error_code": "E200", "context": {"pid": "77"}}),
        ("stopping", 1003.0, None, "", "stopped by SIGTERM", {}),
        ("cancel", 1004.0, None, "ada", "wrong day", {})]
    assert all(event.run_id == run_id and event.application == "" for event in found)
    assert [event.event_id for event in history.events(run_id, EventKind.CANCEL)] == [cancel]
    assert [event.kind for event in history.events(run_id, after=found[1].event_id)] == ["stopping", "cancel"]
    assert [event.kind for event in history.events(run_id, limit=1)] == ["retry"]
    held, = history.application_events("nightly")
    assert (held.kind, held.run_id, held.application, held.job_id, held.details) == (
        "hold", None, "nightly", "job1", {"a": [1]})
    assert history.application_events("nightly", EventKind.RELEASE) == []
    with pytest.raises(DatabaseError):
        history.add_event(EventKind.CANCEL, 1.0, 999)


def test_how_long_jobs_usually_take(history: History) -> None:
    assert history.usual_durations("nightly") == {}
    for number, duration_s in enumerate([1.0, 9.0, 2.0, 4.0]):
        run_id = history.create_run(sample.new_run(number), sample.pipeline())
        history.journal(run_id).commit([
            sample.job_ended(0, duration_s=duration_s), sample.job_ended(1, JobStatus.FAILED, duration_s=50.0),
            sample.job_ended(2, attempts=0, duration_s=0.0)])
    assert history.usual_durations("nightly") == {"job0": 3.0}


def test_usual_durations_come_from_the_newest_runs(history: History) -> None:
    for number in range(30):
        run_id = history.create_run(sample.new_run(number), sample.pipeline(jobs=1))
        history.journal(run_id).commit([sample.job_ended(0, duration_s=100.0 if number < 10 else 1.0)])
    assert history.usual_durations("nightly") == {"job0": 1.0}


def test_ids_are_never_given_twice(history: History) -> None:
    sample.finished_run(history, 1)
    second = sample.finished_run(history, 2)
    history._database.execute("DELETE FROM runs WHERE run_id = ?", (second,))
    assert sample.finished_run(history, 3) == second + 1


def test_everything_of_a_run_goes_with_it(history: History) -> None:
    run_id = sample.finished_run(history, 1)
    child = history.create_run(sample.new_run(2, parent_run_id=run_id), sample.pipeline())
    history.journal(child).commit([RetryScheduled(0, "job0", 2, 1.0, "x", 1.0), sample.intended(child, 0)])
    history._database.execute("INSERT INTO outputs VALUES (?, 0, 'a', 'b')", (child,))
    history._database.execute("INSERT INTO metrics (run_id, name, value, at) VALUES (?, 'a', 1.0, 1.0)", (child,))
    history._database.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
    run = history.run(child)
    assert run is not None and run.parent_run_id is None
    history._database.execute("DELETE FROM runs WHERE run_id = ?", (child,))
    for table in ("runs", "jobs", "attempts", "outputs", "events", "metrics"):
        assert history._database.fetchone("SELECT count(*) FROM " + table) == (0,), table


# ---- no reader looks at everything ---------------------------------------------------------------------------------


def test_every_query_uses_an_index(history: History) -> None:
    for number in range(40):
        sample.finished_run(history, number, "app%d" % (number % 3))
    live = history.create_run(sample.new_run(99), sample.pipeline("app0"))
    history.journal(live).commit([sample.intended(live, 0), sample.ended(live, 0), sample.intended(live, 1),
                                  RetryScheduled(0, "job0", 2, 1.0, "x", 1.0)])
    history.add_event(EventKind.HOLD, 1.0, application="app0")
    statements: List[str] = []
    connection = trace(history, statements)
    history.runs()
    history.runs(before=30)
    history.runs("app0", before=30)
    history.runs(status="SUCCESS", before=30)
    history.runs("app0", "SUCCESS", before=30)
    history.run(live)
    history.last_run("app0")
    history.last_finished("app0")
    history.last_success("app0")
    history.open_runs()
    history.open_runs("app0")
    history.chain(live)
    history.resolve("last")
    history.resolve("-3", "app1")
    history.resolve("5")
    history.resolve("app2")
    history.applications()
    history.configuration("x")
    history.jobs(live, ("FAILED",), limit=3)
    history.jobs(live, ("RUNNING",))
    history.jobs(live, limit=2, after=0)
    history.job_counts(live)
    history.attempts(live)
    history.attempts(live, 0)
    history.attempts(live, "job0")
    history.usual_durations("app0")
    history.events(live)
    history.events(live, EventKind.RETRY, after=1)
    history.application_events("app0")
    history.application_events("app0", EventKind.HOLD)
    history.home_uuid()
    history.journal(live).commit(sample.whole_job(live, 2) + [sample.started(live, 1), sample.run_ended(live)])
    connection.set_trace_callback(None)
    queries = sorted({text for text in statements if text.lstrip().startswith(("SELECT", "UPDATE"))})
    assert len(queries) > 30
    for query in queries:
        plan = [row[-1] for row in connection.execute("EXPLAIN QUERY PLAN " + query)]
        assert plan
        for step in plan:
            # Counting the jobs of one run by status is sorted, of one run.
            assert not step.startswith("SCAN") and "B-TREE FOR ORDER" not in step, (query, plan)


def test_other_programs_can_read_it(path: str) -> None:
    with History.open(path) as history:
        sample.finished_run(history, 1)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT application, status FROM runs").fetchall() == [("nightly", "SUCCESS")]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.mark.slow
def test_every_mark_of_a_large_run_is_known(history: History) -> None:
    run_id = history.create_run(sample.new_run(1), sample.pipeline(), sample.places)
    for number in range(1100):
        history.add_event(EventKind.MARK_SUCCESS, 1.0, run_id, job_id="x[%d]" % number, who="me", why="by hand")
    assert len(history.marks(run_id)) == 1100

"""What is copied to a server is there as it was, whatever server it is; and ``History`` reads it there."""
import os
from typing import Any, Dict, Iterator, List, Tuple

import db_samples as sample
import oracle_stand_in
import pytest

from db.central import migrate_central, open_central, origins
from db.copying import _EVENT, _PARTS, _RUN, Copier
from db.destinations import add_to_destination, destinations
from db.export import export_lines
from db.history import EventKind, History
from db.migrations.dialects import statements_of
from jobs.events import Event, OutputsKept, RetryScheduled
from jobs.exceptions import DatabaseError
from jobs.models import Job, JobStatus, Pipeline, RunStatus
from jobs.server_place import ServerPlace
from oracle_stand_in import oracle_place

Rows = List[Tuple[Any, ...]]
TABLES = ("attempts", "jobs", "outputs", "events", "runs", "configurations", "meta", "executioner_lock",
          "schema_version")
STRANGE = ["", " ", "   ", "a ", " a", "ü € \U0001f600", "it's \"so\"; -- & :1 ? %s", "line\nand\r\nline", "x" * 3999,
           "ü" * 5000, "\\udcff", "NULL"]


@pytest.fixture(params=["oracle", "oracle-stand-in", "postgresql"])
def place(request: "pytest.FixtureRequest", monkeypatch: pytest.MonkeyPatch) -> ServerPlace:
    """A server without tables."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql").place()  # type: ignore[no-any-return]
    if request.param == "oracle-stand-in":
        reason = oracle_stand_in.why_not()
        if reason:
            pytest.skip(reason)
        oracle_stand_in.install(monkeypatch, "copy_%s" % os.urandom(8).hex())
        return ServerPlace("oracle", "nowhere", name="service", user="jobs")
    dsn = os.environ.get("EXECUTIONER_TEST_ORACLE_DSN")
    if not dsn:
        pytest.skip("not run: EXECUTIONER_TEST_ORACLE_DSN names no Oracle server")
    found, password = oracle_place(dsn)
    monkeypatch.setenv("ORACLE_TEST_PASSWORD", password)
    found = found._replace(password_env="ORACLE_TEST_PASSWORD")
    from db.oracle_adapter import OracleAdapter
    database = OracleAdapter(found, password)
    for table in TABLES:
        if database.has_table(table):
            database.execute("DROP TABLE %s CASCADE CONSTRAINTS" % table)
    database.close()
    return found


@pytest.fixture
def history(tmp_path: object) -> Iterator[History]:
    with History.open("%s/history.db" % tmp_path) as opened:
        yield opened


def central(place: ServerPlace, readonly: bool = False) -> History:
    """The history on the server, its tables made."""
    if not readonly:
        migrate_central(place, os.environ)
    return open_central(place, os.environ, readonly)


def strange_run(history: History, number: int, place: ServerPlace) -> int:
    """A run whose every text is a strange one."""
    jobs = [Job("job%d" % position, "true", description=text) for position, text in enumerate(STRANGE)]
    pipeline = Pipeline("app ü", jobs, config_path="/etc/ü.json", config_text="{\"x\": \"%s\"}" % ("y" * 9000),
                        config_hash="f" * 64)
    run_id = history.create_run(sample.new_run(number, host="hôst", options={"a": STRANGE}), pipeline, sample.places)
    with history.database.transaction():
        add_to_destination(history.database, run_id, str(place))
    events: List[Event] = []
    for position, text in enumerate(STRANGE):
        events += [sample.intended(run_id, position), sample.started(run_id, position),
                   sample.ended(run_id, position, 1, JobStatus.FAILED, 3, reason=text),
                   RetryScheduled(position, "job%d" % position, 2, 0.1, text, 1012.125),
                   sample.intended(run_id, position, 2), sample.started(run_id, position, 2),
                   sample.ended(run_id, position, 2, duration_s=1 / 3, max_rss_bytes=(1 << 63) - 1),
                   OutputsKept(position, "job%d" % position, {"name": text or "-", "other": "v"}, 1013.5),
                   sample.job_ended(position, JobStatus.SUCCESS, text, 2)]
    history.journal(run_id).commit(events + [sample.run_ended(run_id)])
    return run_id


def fill(history: History, place: ServerPlace) -> None:
    """Some runs that wait, one that goes on, and one that belongs nowhere."""
    sample.finished_run(history, 1)
    parent = strange_run(history, 2, place)
    for number in range(3, 8):
        run_id = history.create_run(sample.new_run(number, parent_run_id=parent), sample.pipeline(), sample.places)
        with history.database.transaction():
            add_to_destination(history.database, run_id, str(place))
        if number < 7:
            events: List[Event] = []
            for position in range(3):
                events += sample.whole_job(run_id, position)
            history.journal(run_id).commit(events + [sample.run_ended(run_id, RunStatus.SUCCESS)])
    history.add_event(EventKind.HOLD, 1500.25, application="nightly", job_id="job1", who="me", why="")
    history.add_event(EventKind.MARK_SUCCESS, 1600.5, parent, job_id="job1", who="me", why=" ", details={"x": 1})


def copy(history: History, target: History) -> None:
    """Copy what waits."""
    Copier(history, target, destinations(history.database)[-1].destination_id, lambda: 5000.5).work()


def home_rows(history: History) -> Dict[str, Rows]:
    """What should be on the server."""
    database = history.database
    ended = "WHERE r.destination IS NOT NULL AND r.status <> 'RUNNING'"
    found = {"runs": database.fetchall("SELECT r.run_id, p.run_uuid, %s FROM runs r LEFT JOIN runs p "
                                       "ON p.run_id = r.parent_run_id %s" % (_with("r", _RUN), ended)),
             "events": database.fetchall(
                 "SELECT t.event_id, r.run_uuid, %s FROM events t LEFT JOIN runs r ON r.run_id = t.run_id "
                 "WHERE t.run_id IS NULL OR t.run_id IN (SELECT r.run_id FROM runs r %s)" % (_with("t", _EVENT), ended))}
    for table, names in _PARTS:
        found[table] = database.fetchall("SELECT r.run_uuid, %s FROM %s t JOIN runs r ON r.run_id = t.run_id %s" % (
            _with("t", names), table, ended))
    return found


def server_rows(target: History) -> Dict[str, Rows]:
    """What is there."""
    database = target.database
    found = {"runs": database.fetchall("SELECT r.home_run_id, p.run_uuid, %s FROM runs r LEFT JOIN runs p "
                                       "ON p.run_id = r.parent_run_id" % _with("r", _RUN)),
             "events": database.fetchall("SELECT t.home_event_id, r.run_uuid, %s FROM events t LEFT JOIN runs r "
                                         "ON r.run_id = t.run_id" % _with("t", _EVENT))}
    for table, names in _PARTS:
        found[table] = database.fetchall("SELECT r.run_uuid, %s FROM %s t JOIN runs r ON r.run_id = t.run_id" % (
            _with("t", names), table))
    return found


def _with(alias: str, names: Tuple[str, ...]) -> str:
    return ", ".join("%s.%s" % (alias, name) for name in names)


def assert_same(history: History, target: History) -> None:
    expected, found = home_rows(history), server_rows(target)
    for table in expected:
        assert sorted(found[table], key=repr) == sorted(expected[table], key=repr), table


def test_every_row_is_there_as_it_was_and_once(history: History, place: ServerPlace) -> None:
    fill(history, place)
    with central(place) as target:
        copy(history, target)
        assert_same(history, target)
        history.database.execute("UPDATE runs SET uncopied = 1 WHERE destination IS NOT NULL")
        history.database.execute("UPDATE destinations SET events_up_to = 0")
        copy(history, target)
        assert_same(history, target)


def test_a_batch_that_breaks_off_leaves_nothing(history: History, place: ServerPlace) -> None:
    fill(history, place)
    with central(place) as target:
        database = target.database
        insert, broken = database.executemany, []

        def cut(sql: str, rows: Any) -> int:
            if "INTO attempts" in sql and not broken:
                broken.append(sql)
                raise DatabaseError("cut off", context={"cause": "unreachable"})
            return insert(sql, rows)

        database.executemany = cut  # type: ignore[assignment]
        with pytest.raises(DatabaseError):
            copy(history, target)
        assert server_rows(target)["runs"] == [] and broken
        copy(history, target)
        assert_same(history, target)


def test_it_is_read_like_any_history(history: History, place: ServerPlace) -> None:
    fill(history, place)
    with central(place) as target:
        copy(history, target)
    with central(place, readonly=True) as there:
        runs = there.runs()
        assert [run.run_uuid for run in runs] == [run.run_uuid for run in history.runs() if run.run_id in range(2, 7)]
        assert there.runs(limit=0) == [] and len(there.runs(limit=2)) == 2
        assert [run.run_id for run in there.runs(before=runs[2].run_id)] == [run.run_id for run in runs[3:]]
        assert there.applications() == ["app ü", "nightly"]
        assert {run.application for run in there.runs("nightly", RunStatus.SUCCESS)} == {"nightly"}
        assert there.last_finished("nightly") == runs[0]
        oldest = there.run(runs[-1].run_id)
        local = history.run(2)
        assert oldest is not None and local is not None
        assert [job.reason for job in oldest.jobs] == [job.reason for job in local.jobs] == STRANGE
        assert oldest.jobs == local.jobs and oldest.options == local.options
        assert there.jobs(oldest.run_id, [JobStatus.SUCCESS], limit=3, after=2) == history.jobs(
            2, [JobStatus.SUCCESS], limit=3, after=2)
        assert there.attempts(oldest.run_id, "job3") == history.attempts(2, "job3")
        assert there.outputs(oldest.run_id) == history.outputs(2)
        assert there.configuration(oldest.config_hash) == history.configuration(oldest.config_hash)
        assert [event.why for event in there.events(oldest.run_id)] == [event.why for event in history.events(2)]
        assert sorted(there.holds("nightly")) == ["job1"]
        assert there.job_counts(oldest.run_id) == history.job_counts(2)
        assert there.usual_durations("nightly") == history.usual_durations("nightly")
        assert there.resolve("last") == runs[0].run_id and there.resolve("app ü") == oldest.run_id
        origin = origins(there, [oldest.run_id])[oldest.run_id]
        assert origin == (history.home_uuid(), "hôst", 2)


def test_nothing_was_copied_yet(place: ServerPlace) -> None:
    with pytest.raises(DatabaseError) as caught:
        open_central(place, os.environ, readonly=True)
    assert caught.value.context["cause"] == "missing"
    assert migrate_central(place, os.environ, dry_run=True)[0] == 0
    migrate_central(place, os.environ)
    assert migrate_central(place, os.environ)[1] == []
    with open_central(place, os.environ, readonly=True) as there:
        assert there.runs() == [] and there.home_uuid()


def test_the_script_of_an_export_makes_the_same(history: History, place: ServerPlace) -> None:
    if place.kind != "oracle":
        pytest.skip("not run: there is no export for this database")
    fill(history, place)
    history.database.execute("UPDATE runs SET destination = 1 WHERE destination IS NULL")
    from db.central import connect
    database = connect(place, os.environ)
    for _ in range(2):  # it may be run again
        for statement in statements_of("\n".join(export_lines(history, with_schema=not database.has_table("runs")))):
            if not statement.startswith(("SET ", "WHENEVER ", "COMMIT", "EXIT")):
                database.execute(statement)
        target = History(database)
        expected, found = home_rows(history), server_rows(target)
        for table in expected:
            assert sorted(found[table], key=repr) == sorted(expected[table], key=repr), table
    database.close()
    with open_central(place, os.environ) as target:  # the schema is the one that migrations make
        history.database.execute("UPDATE runs SET uncopied = 1 WHERE destination IS NOT NULL")
        copy(history, target)
        assert_same(history, target)

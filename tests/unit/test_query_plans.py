"""However many runs there are, what commands and pages ask for is found by an index: the plans say so."""
import sqlite3
from typing import Callable, Iterator, List

import db_samples as sample
import pytest

from db.destinations import add_to_destination, destinations, is_anything_waiting, waiting_runs
from db.figures import application_figures, job_figures, last_job_success
from db.history import History
from db.keeping import oldest_start
from db.outbox import Outbox
from jobs.models import JobStatus, RunStatus

#: Tables that grow with every run.
LARGE = ("runs", "jobs", "attempts", "outputs", "events", "notifications")

READS: List[Callable[[History], object]] = [
    lambda history: history.runs(), lambda history: history.runs(before=3), lambda history: history.runs("nightly"),
    lambda history: history.runs(status=RunStatus.FAILED),
    lambda history: history.runs("nightly", RunStatus.SUCCESS, before=9), lambda history: history.run(2),
    lambda history: history.last_run("nightly"), lambda history: history.last_finished("nightly"),
    lambda history: history.open_runs(), lambda history: history.open_runs("nightly"),
    lambda history: history.chain(3), lambda history: history.resolve("last"), lambda history: history.resolve("nightly"),
    lambda history: history.applications(), lambda history: history.jobs(2, limit=2, after=0),
    lambda history: history.jobs(2, [JobStatus.SUCCESS], limit=2), lambda history: history.jobs(2, [JobStatus.PENDING]),
    lambda history: history.jobs(2, [JobStatus.RUNNING], limit=2), lambda history: history.job_counts(2),
    lambda history: history.attempts(2), lambda history: history.attempts(2, "job1"),
    lambda history: history.attempts(2, 1), lambda history: history.usual_durations("nightly"),
    lambda history: history.events(2), lambda history: history.events(2, "retry", after=1),
    lambda history: history.application_events("nightly"), lambda history: history.outputs(2),
    lambda history: history.holds("nightly"), lambda history: history.marks(2),
    lambda history: application_figures(history, "nightly"), lambda history: job_figures(history, 2),
    lambda history: last_job_success(history, "nightly", "job1", 3), lambda history: oldest_start(history, "nightly"),
    lambda history: Outbox(history).untold_runs("nightly"), lambda history: Outbox(history).waiting("nightly"),
    lambda history: destinations(history.database), lambda history: is_anything_waiting(history.database),
    lambda history: waiting_runs(history.database, 1, 5),
]


@pytest.fixture
def history(tmp_path: object) -> Iterator[History]:
    with History.open("%s/history.db" % tmp_path) as opened:
        for number in range(1, 6):
            sample.finished_run(opened, number)
        with opened.database.transaction():
            add_to_destination(opened.database, 5, "postgresql://h/d")
        yield opened


def traced(history: History, read: Callable[[History], object]) -> List[str]:
    """The statements that a read makes, with their values."""
    connection: sqlite3.Connection = history.database._connection  # type: ignore[attr-defined]
    found: List[str] = []
    connection.set_trace_callback(lambda text: found.append(text))
    try:
        read(history)
    finally:
        connection.set_trace_callback(None)
    return [text for text in found if text.startswith("SELECT")]


@pytest.mark.parametrize("number", range(len(READS)))
def test_no_large_table_is_read_from_end_to_end(history: History, number: int) -> None:
    statements = traced(history, READS[number])
    assert statements
    connection: sqlite3.Connection = history.database._connection  # type: ignore[attr-defined]
    for statement in statements:
        steps = [str(row[3]) for row in connection.execute("EXPLAIN QUERY PLAN " + statement)]
        for step in steps:
            words = step.replace("SCAN TABLE", "SCAN").split()
            assert words[0] != "SCAN" or words[1] not in LARGE + ("r", "j", "a", "o"), (statement, steps)


def test_the_plan_of_a_bad_query_is_told(history: History) -> None:
    connection: sqlite3.Connection = history.database._connection  # type: ignore[attr-defined]
    steps = [str(row[3]) for row in connection.execute("EXPLAIN QUERY PLAN SELECT * FROM runs WHERE host = 'x'")]
    assert steps[0].replace("SCAN TABLE", "SCAN").split()[:2] == ["SCAN", "runs"]


def test_a_page_of_jobs_reads_no_more_than_the_page(history: History) -> None:
    run_id = history.create_run(sample.new_run(9), sample.pipeline("large", 5000), sample.places)
    asked = traced(history, lambda it: it.jobs(run_id, limit=10, after=100))
    connection: sqlite3.Connection = history.database._connection  # type: ignore[attr-defined]
    assert [len(connection.execute(text).fetchall()) for text in asked] == [10]
    asked = traced(history, lambda it: it.jobs(run_id, [JobStatus.PENDING], limit=10, after=100))
    assert sum(len(connection.execute(text).fetchall()) for text in asked) <= 1011


@pytest.mark.parametrize("statuses", [[JobStatus.PENDING], [JobStatus.RUNNING, JobStatus.SUCCESS], [JobStatus.QUEUED],
                                      [JobStatus.SUCCESS], [JobStatus.RUNNING, JobStatus.PENDING]])
def test_pages_by_status_are_those_of_the_whole(history: History, statuses: List[str]) -> None:
    run_id = history.create_run(sample.new_run(9), sample.pipeline("large", 2500), sample.places)
    events = []
    for position in range(0, 2500, 3):
        events += sample.whole_job(run_id, position)
    for position in range(1, 2500, 7):
        if position % 3:
            events += [sample.intended(run_id, position)] + ([sample.started(run_id, position)] if position % 2 else [])
    history.journal(run_id).commit(events)
    whole = [job for job in history.jobs(run_id) if job.status in statuses]
    assert len(whole) > 100 and history.jobs(run_id, statuses) == whole
    paged: List[object] = []
    after = -1
    while True:
        page = history.jobs(run_id, statuses, limit=97, after=after)
        paged += page
        if len(page) < 97:
            break
        after = page[-1].position
    assert paged == whole
    assert history.jobs(run_id, statuses, limit=0) == []

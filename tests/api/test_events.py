"""The stream of a run: everything at first, then what changes, and after a break what was missed."""
import os
from typing import Any, Dict

from api_case import ApiCase, Events
from db_samples import ended, intended, job_ended, new_run, pipeline, places, run_ended, started, whole_job
from jobs.keeper.processes import boot_id, start_time

PATH = "/api/v1/runs/1/events"


def live(api: ApiCase, jobs: int = 3) -> None:
    """Run 1, whose runner is this process."""
    with api.history() as history:
        history.create_run(new_run(1, boot_id=boot_id(), runner_pid=os.getpid(), runner_start=start_time(os.getpid())),
                           pipeline(jobs=jobs), places)


def commit(api: ApiCase, *events: Any) -> None:
    """The runner makes something durable."""
    with api.history() as history:
        history.journal(1).commit(list(events))


def statuses(data: Dict[str, Any]) -> Dict[str, str]:
    """Status by job of one message."""
    return {job["job_id"]: job["status"] for job in data["jobs"]}


def test_a_run_to_its_end(api: ApiCase) -> None:
    live(api)
    stream = Events(api, PATH)
    assert stream.reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in stream.reply.headers
    name, data = stream.next()
    assert name == "changes" and data["all"] is True
    assert statuses(data) == {"job0": "PENDING", "job1": "PENDING", "job2": "PENDING"}
    commit(api, intended(1, 1), started(1, 1))
    name, data = stream.next()
    assert data["all"] is False and statuses(data) == {"job1": "RUNNING"}
    assert data["run"]["counts"] == {"PENDING": 2, "RUNNING": 1}
    commit(api, ended(1, 1), job_ended(1))
    assert statuses(stream.next()[1]) == {"job1": "SUCCESS"}
    commit(api, *(whole_job(1, 0) + whole_job(1, 2) + [run_ended(1)]))
    data = stream.next()[1]
    assert statuses(data) == {"job0": "SUCCESS", "job2": "SUCCESS"} and data["run"]["status"] == "SUCCESS"
    assert stream.next() == ("end", {"run_id": 1})
    assert stream.next() is None
    stream.close()


def test_after_a_break_what_was_missed(api: ApiCase) -> None:
    live(api)
    stays = Events(api, PATH)
    stays.next()
    breaks = Events(api, PATH)
    breaks.next()
    breaks.close()
    commit(api, intended(1, 2), started(1, 2))
    assert statuses(stays.next()[1]) == {"job2": "RUNNING"}
    again = Events(api, PATH, breaks.last_id)
    name, data = again.next()
    assert data["all"] is False and statuses(data) == {"job2": "RUNNING"}
    other = Events(api, PATH, "ffffffffffff-1")
    assert other.next()[1]["all"] is True
    for stream in (stays, again, other):
        stream.close()


def test_nobody_watched_meanwhile(api: ApiCase) -> None:
    live(api)
    first = Events(api, PATH)
    first.next()
    first.close()
    commit(api, *whole_job(1, 0))
    again = Events(api, PATH, first.last_id)
    name, data = again.next()
    assert statuses(data)["job0"] == "SUCCESS"
    again.close()


def test_a_runner_that_dies_without_a_word(api: ApiCase) -> None:
    live(api)
    commit(api, intended(1, 0), started(1, 0))
    stream = Events(api, PATH)
    assert statuses(stream.next()[1])["job0"] == "RUNNING"
    with api.history() as history:
        history.database.execute("UPDATE runs SET runner_pid = 999999999")
    name, data = stream.next()
    assert data["run"]["status"] == "LOST" and statuses(data)["job0"] == "LOST"
    assert stream.next()[0] == "end"
    stream.close()


def test_a_large_run_comes_in_pieces_and_only_the_last_has_an_id(api: ApiCase) -> None:
    live(api, jobs=1200)
    stream = Events(api, PATH)
    sizes, ids = [], []
    while sum(sizes) < 1200:
        name, data = stream.next()
        sizes.append(len(data["jobs"]))
        ids.append(stream.last_id)
    assert sizes == [500, 500, 200]
    assert ids[:2] == ["", ""] and ids[2]
    stream.close()


def test_head_of_a_stream_ends(api: ApiCase) -> None:
    live(api)
    assert api.request("HEAD", PATH).status == 200

"""What the reading routes answer, against a real history."""
import json
from typing import Any, Dict

import pytest

from api_case import ApiCase
from db.history import EventKind
from db_samples import (ended, finished_run, intended, job_ended, new_run, pipeline, places, run_ended, started,
                        whole_job)
from jobs.models import JobStatus, RunStatus


@pytest.fixture
def filled(api: ApiCase) -> ApiCase:
    """Runs 1 to 6 of nightly, 7 of weekly (failed), 8 of nightly whose runner is gone."""
    with api.history() as history:
        for number in range(1, 7):
            finished_run(history, number)
        run_id = history.create_run(new_run(7), pipeline("weekly", 2, '{"a": 1}'), places)
        history.journal(run_id).commit(whole_job(run_id, 0) + [
            intended(run_id, 1), started(run_id, 1), ended(run_id, 1, status=JobStatus.FAILED, exit_code=3, reason="exit code 3"),
            job_ended(1, JobStatus.FAILED, "exit code 3", exit_code=3), run_ended(run_id, RunStatus.FAILED, 1, "1 of 2 jobs failed")])
        run_id = history.create_run(new_run(8), pipeline(), places)
        history.journal(run_id).commit(whole_job(run_id, 0) + [intended(run_id, 1), started(run_id, 1)])
    return api


def test_nothing_was_ever_run(api: ApiCase) -> None:
    assert api.get("/status").json() == {"running": [], "last": {}, "queue": 0, "pools": {}}
    assert api.get("/api/v1/applications").json() == {"applications": [], "next": None}
    assert api.get("/api/v1/runs").json() == {"runs": [], "next": None}
    for path in ("/api/v1/runs/1", "/api/v1/runs/1/jobs", "/api/v1/runs/1/events", "/api/v1/applications/x"):
        assert api.get(path).status == 404
    assert api.get("/metrics").status == 200


def test_the_run_is_as_the_command_shows_it(filled: ApiCase) -> None:
    run = filled.get("/api/v1/runs/7").json()
    assert {key: run[key] for key in ("run_id", "application", "status", "exit_code", "config", "started", "ended",
                                      "duration", "reason", "counts")} == {
        "run_id": 7, "application": "weekly", "status": "FAILED", "exit_code": 1, "config": "/etc/jobs/weekly.json",
        "started": "1970-01-01T00:16:47.000Z", "ended": "1970-01-01T00:17:00.000Z", "duration": 13.0,
        "reason": "1 of 2 jobs failed", "counts": {"FAILED": 1, "SUCCESS": 1}}


def test_a_dead_run_is_never_shown_as_running(filled: ApiCase) -> None:
    assert filled.get("/api/v1/runs/8").json()["status"] == "LOST"
    assert filled.get("/api/v1/runs?limit=1").json()["runs"][0]["status"] == "LOST"
    assert filled.get("/api/v1/applications/nightly").json()["last"]["status"] == "LOST"
    jobs = filled.get("/api/v1/runs/8/jobs").json()["jobs"]
    assert [job["status"] for job in jobs] == ["SUCCESS", "LOST", "CANCELLED"]
    attempts = filled.get("/api/v1/runs/8/attempts").json()["attempts"]
    assert [attempt["status"] for attempt in attempts] == ["SUCCESS", "LOST"]
    assert filled.get("/api/v1/runs/8/jobs/job1").json()["tries"][0]["status"] == "LOST"
    state = filled.get("/status").json()
    assert state["running"] == [] and state["last"]["nightly"]["status"] == "LOST"


def test_pages_of_runs(filled: ApiCase) -> None:
    seen, before = [], ""
    while True:
        page = filled.get("/api/v1/runs?limit=3" + before).json()
        seen += [run["run_id"] for run in page["runs"]]
        if page["next"] is None:
            break
        before = "&before=%d" % page["next"]
    assert seen == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("query, expected", [
    ("application=weekly", [7]), ("status=SUCCESS&limit=2", [6, 5]), ("status=SUCCESS&application=weekly", []),
    ("since=1970-01-01T00:16:46Z", [8, 7, 6]), ("until=1970-01-01T00:16:42Z", [2, 1]),
    ("since=1970-01-01T00:16:42Z&until=1970-01-01T00:16:43.500Z", [3, 2]), ("until=1970-01-01T00:16:40Z", []),
    ("until=2020-01-01T00:00:00Z&limit=1", [8]), ("application=nope", []),
    ("since=1969-12-31T23:59:59Z&limit=1", [8]), ("until=2026-02-31T00:00:00Z&limit=1", [8]),
])
def test_filters(filled: ApiCase, query: str, expected: "list[int]") -> None:
    assert [run["run_id"] for run in filled.get("/api/v1/runs?" + query).json()["runs"]] == expected


def test_pages_of_jobs_and_attempts(filled: ApiCase) -> None:
    for path, key in (("jobs", "jobs"), ("attempts", "attempts")):
        first = filled.get("/api/v1/runs/1/%s?limit=2" % path).json()
        assert [one["job_id"] for one in first[key]] == ["job0", "job1"] and first["next"] == 1
        last = filled.get("/api/v1/runs/1/%s?limit=2&after=1" % path).json()
        assert [one["job_id"] for one in last[key]] == ["job2"] and last["next"] is None
    assert [job["job_id"] for job in filled.get("/api/v1/runs/7/jobs?status=FAILED").json()["jobs"]] == ["job1"]


def test_applications(filled: ApiCase) -> None:
    page = filled.get("/api/v1/applications?runs=3").json()
    assert [(one["application"], [run["run_id"] for run in one["runs"]]) for one in page["applications"]] == [
        ("nightly", [8, 6, 5]), ("weekly", [7])]
    assert filled.get("/api/v1/applications?limit=1").json()["next"] == "nightly"
    assert filled.get("/api/v1/applications?after=nightly").json()["applications"][0]["application"] == "weekly"


def test_names_with_everything_in_them(api: ApiCase) -> None:
    name = "a/b ?&=%\"<script>'\u00e4\u202e"
    with api.history() as history:
        finished_run(history, 1, name)
    from urllib.parse import quote
    reply = api.get("/api/v1/applications/" + quote(name, safe=""))
    assert reply.status == 200 and reply.json()["application"] == name
    assert reply.headers["content-type"] == "application/json"


def test_compare(filled: ApiCase) -> None:
    document = filled.get("/api/v1/runs/1/compare/7").json()
    assert document["left"]["run_id"] == 1 and document["right"]["run_id"] == 7
    assert document["same_configuration"] is False
    assert [(one["job_id"], (one["left"] or {}).get("status"), (one["right"] or {}).get("status"))
            for one in document["jobs"]] == [("job0", "SUCCESS", "SUCCESS"), ("job1", "SUCCESS", "FAILED"),
                                             ("job2", "SUCCESS", None)]
    assert filled.get("/api/v1/runs/1/compare/7?limit=2").json()["next"] == 2


def test_graph_and_configuration(api: ApiCase) -> None:
    text = json.dumps({"jobs": [{"id": "a"}, {"id": "b", "dependencies": ["a"]},
                                {"id": "c", "dependencies": [{"job": "b", "when": "failure"}, 7]}]})
    with api.history() as history:
        history.create_run(new_run(1), pipeline(text=text), places)
        history.create_run(new_run(2), pipeline(text="no json"), places)
    assert api.get("/api/v1/runs/1/graph").json()["dependencies"] == {
        "b": [{"job": "a", "when": "success"}], "c": [{"job": "b", "when": "failure"}]}
    assert api.get("/api/v1/runs/2/graph").json()["dependencies"] == {}
    reply = api.get("/api/v1/runs/1/configuration")
    assert reply.body.decode() == text and reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_what_was_done(filled: ApiCase) -> None:
    with filled.history() as history:
        history.add_event(EventKind.MARK_SUCCESS, 5.0, 7, job_id="job1", who="bob@x", why="looked at it")
        history.add_event(EventKind.HOLD, 6.0, application="nightly", job_id="job2", who="al", why="later")
    events = filled.get("/api/v1/runs/7/journal").json()["events"]
    assert [(event["kind"], event["who"], event["why"]) for event in events] == [
        ("mark_success", "bob@x", "looked at it")]
    assert filled.get("/api/v1/runs/7/jobs/job1").json()["marked"] == {"who": "bob@x", "why": "looked at it"}
    assert filled.get("/api/v1/runs/1/jobs/job2").json()["held"] == {"who": "al", "why": "later"}
    assert filled.get("/api/v1/applications").json()["applications"][0]["held"] == ["job2"]


def test_answers_are_new_after_each_commit(filled: ApiCase) -> None:
    assert filled.get("/status").json()["last"]["weekly"]["run_id"] == 7
    with filled.history() as history:
        finished_run(history, 9, "weekly")
    assert filled.get("/status").json()["last"]["weekly"]["run_id"] == 9
    assert filled.get("/api/v1/applications").json()["applications"][1]["runs"][0]["run_id"] == 9


def test_a_history_that_was_put_in_its_place_is_seen(filled: ApiCase) -> None:
    import os
    filled.get("/api/v1/runs")
    for name in ("history.db", "history.db-wal", "history.db-shm"):
        if os.path.exists(os.path.join(filled.home, name)):
            os.rename(os.path.join(filled.home, name), os.path.join(filled.home, "old-" + name))
    assert filled.get("/api/v1/runs").json()["runs"] == []
    with filled.history() as history:
        finished_run(history, 1, "new")
    assert [run["application"] for run in filled.get("/api/v1/runs").json()["runs"]] == ["new"]


def test_a_damaged_history_is_said(filled: ApiCase) -> None:
    import os
    os.unlink(filled.history_path)
    with open(filled.history_path, "w") as out:
        out.write("this is no database, and it is long enough to be looked at" * 20)
    reply = filled.get("/api/v1/runs")
    assert reply.status == 503
    assert reply.json()["code"] == "storage" and reply.json()["error_code"] == "E410"


def test_metrics_in_both_forms(filled: ApiCase) -> None:
    text = filled.get("/metrics")
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE executioner_runs_total counter" in text.body
    for reply in (filled.get("/metrics?format=json"), filled.get("/metrics", headers={"Accept": "application/json"})):
        assert reply.headers["content-type"] == "application/json" and reply.json()


def test_secrets_of_file_and_environment(folder: str) -> None:
    import os
    config = os.path.join(folder, "secret.json")
    with open(config, "w") as out:
        json.dump({"env_variables": {"DB_PASSWORD": "hunter2hunter2"}, "jobs": [{"id": "a", "command": "true"}]}, out)
    os.chmod(config, 0o600)
    case = ApiCase(folder, environ={"API_TOKEN": "from-the-environment"})
    try:
        with case.history() as history:
            made = pipeline()
            made.config_path = config
            made.jobs[0].description = "uses hunter2hunter2 and from-the-environment"
            history.create_run(new_run(1), made, places)
        for path in ("/api/v1/runs/1/jobs", "/api/v1/runs/1/jobs/job0"):
            body = case.get(path).body.decode()
            assert "uses *** and ***" in body and "hunter2" not in body
    finally:
        case.close()


def test_secrets_of_a_file_that_another_runs(folder: str) -> None:
    import os

    def write(name: str, content: Dict[str, Any]) -> str:
        path = os.path.join(folder, name)
        with open(path, "w") as out:
            json.dump(content, out)
        os.chmod(path, 0o600)
        return path

    def inner(secret: str) -> str:
        return write("inner.json", {"jobs": [{"id": "a", "command": "true", "env_variables": {"DB_PASSWORD": secret}}]})

    outer = write("outer.json", {"jobs": [{"id": "n", "config": "inner.json"}]})
    inner("first-secret")
    case = ApiCase(folder)
    try:
        with case.history() as history:
            made = pipeline()
            made.config_path = outer
            made.jobs[0].description = "uses first-secret and another-secret"
            history.create_run(new_run(1), made, places)
        assert case.get("/api/v1/runs/1/jobs/job0").json()["description"] == "uses *** and another-secret"
        inner("another-secret")
        assert case.get("/api/v1/runs/1/jobs/job0").json()["description"] == "uses *** and ***"
    finally:
        case.close()


def test_a_page_is_quick_with_many_runs(api: ApiCase) -> None:
    import time
    with api.history() as history:
        finished_run(history, 1, "nightly", jobs=1)
        rows = [(number, "%032x" % number) for number in range(2, 20001)]
        with history.database.transaction():
            columns = [row[1] for row in history.database.fetchall("PRAGMA table_info(runs)")]
            others = ", ".join(name for name in columns if name not in ("run_id", "run_uuid"))
            history.database.executemany("INSERT INTO runs (run_id, run_uuid, %s) SELECT ?, ?, %s FROM runs "
                                         "WHERE run_id = 1" % (others, others), rows)
    api.get("/api/v1/runs")
    for path in ("/api/v1/runs?limit=50", "/api/v1/runs?limit=50&application=nightly&status=SUCCESS&before=9000",
                 "/api/v1/applications", "/status"):
        took = []
        for _ in range(3):
            began = time.process_time()  # the server is a thread of ours
            assert api.get(path).status == 200
            took.append(time.process_time() - began)
        assert min(took) < 0.25, path


def document(reply: Any) -> Dict[str, Any]:
    """The reply's object."""
    found = reply.json()
    assert isinstance(found, dict)
    return found

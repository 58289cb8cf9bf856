"""``plan``, ``run --dry-run`` and the options that take a part of the graph."""
import os
from typing import List

import pytest

from cli_case import Case

JOBS = [
    {"id": "extract", "command": "true", "tags": ["daily"]},
    {"id": "clean", "command": ["rm", "-f", "a file"], "dependencies": ["extract"]},
    {"id": "load", "command": "true", "dependencies": ["clean"], "tags": ["daily", "db"]},
    {"id": "report", "command": "true", "dependencies": ["load"], "priority": 5},
    {"id": "alert", "command": "true", "dependencies": [{"job": "load", "when": "failure"}]},
    {"id": "other", "command": "true"},
]


def test_a_dry_run_shows_the_order_and_writes_nothing(case: Case) -> None:
    case.jobs(*JOBS)
    before = os.listdir(case.folder)
    case.run("run", "config.json", "--dry-run").expect(0, err="", out="""
        dry run of app: 5 jobs, 1 at once; nothing was started
        ORDER  JOB      COMMAND
            1  extract  true
            2  clean    rm -f 'a file'
            3  load     true
            4  report   true
            5  other    true
            -  alert    not needed: load ended SUCCESS
        """)
    assert os.listdir(case.folder) == before


def test_a_dry_run_masks_secrets(case: Case) -> None:
    case.jobs({"id": "a", "command": "psql --password=${DB_PASSWORD}"}, env_variables={"DB_PASSWORD": "hunter2hunter2"})
    assert "hunter2" not in case.run("run", "config.json", "--dry-run").expect(0).out


def test_a_dry_run_as_json(case: Case) -> None:
    document = case.jobs(*JOBS).run("run", "config.json", "--dry-run", "--json").expect(0, err="").json()
    assert (document["run_id"], document["status"], document["exit_code"]) == (None, None, 0)
    assert [job["job_id"] for job in document["jobs"]] == ["extract", "clean", "load", "report", "other", "alert"]
    assert [job["status"] for job in document["jobs"]] == ["PENDING"] * 5 + ["SKIPPED"]
    assert not os.path.exists(case.home)


@pytest.mark.parametrize("words, expected", [
    (["--only", "load"], ["load"]),
    (["--only", "load,extract"], ["extract", "load"]),
    (["--only", "load", "--only", "extract"], ["extract", "load"]),
    (["--from", "load"], ["load", "report"]),
    (["--until", "load"], ["extract", "clean", "load"]),
    (["--from", "clean", "--until", "load"], ["clean", "load"]),
    (["--skip", "clean"], ["extract", "load", "report", "other"]),
    (["--tag", "daily"], ["extract", "load"]),
    (["--tag", "db", "--tag", "daily", "--skip", "extract"], ["load"]),
])
def test_a_part_of_the_graph(case: Case, words: List[str], expected: List[str]) -> None:
    case.jobs(*JOBS)
    document = case.run("run", "config.json", "--dry-run", "--json", *words).expect(0).json()
    assert [job["job_id"] for job in document["jobs"] if job["status"] == "PENDING"] == expected
    document = case.run("run", "config.json", "--json", *words).expect(0).json()
    assert [job["job_id"] for job in document["jobs"] if job["status"] == "SUCCESS"] == expected
    assert {job["status"] for job in document["jobs"]} <= {"SUCCESS", "SKIPPED"}


def test_an_unknown_job_or_tag(case: Case) -> None:
    case.jobs(*JOBS)
    for option in ("--only", "--from", "--until", "--skip"):
        case.run("run", "config.json", option, "lod").expect(
            2, out="", err='executioner: %s: no job has the id "lod" (did you mean "load"?)\n' % option)
    case.run("run", "config.json", "--tag", "dayly").expect(
        2, out="", err='executioner: --tag: no job has the tag "dayly" (did you mean "daily"?)\n')


def test_a_plan_without_history(case: Case) -> None:
    case.jobs(*JOBS, parallel=True, max_workers=2)
    case.run("plan", "config.json").expect(0, err="", out="""
        plan of app: 5 jobs in 4 levels, 2 at once
        critical path: extract -> clean -> load -> report

        ORDER  LEVEL  JOB      STARTS AFTER  TAKES  WHY THEN
            1      1  extract             -      -  needs nothing
            2      1  other               -      -  needs nothing
            3      2  clean               -      -  needs extract
            4      3  load                -      -  needs clean
            5      4  report              -      -  needs load; priority 5

        not run where all goes well:
          alert  not needed: load ended SUCCESS
        """)
    assert not os.path.exists(case.home)


def test_a_plan_with_history(case: Case) -> None:
    case.jobs({"id": "slow", "command": "sleep 0.4"}, {"id": "quick", "command": "true"},
              {"id": "last", "command": "true", "dependencies": ["slow", "quick"]}, parallel=True, max_workers=2)
    document = case.run("plan", "config.json", "--json").expect(0, err="").json()
    assert document["expected_duration"] is None and document["jobs"][0]["duration"] is None
    case.run("run", "config.json").expect(0)
    document = case.run("plan", "config.json", "--json").expect(0, err="").json()
    assert sorted(document) == ["application", "config", "critical_path", "expected_duration", "jobs", "max_workers",
                                "not_run"]
    assert document["critical_path"] == ["slow", "last"] and document["max_workers"] == 2
    assert 0.4 <= document["expected_duration"] < 60
    jobs = {job["job_id"]: job for job in document["jobs"]}
    assert jobs["last"]["starts_after"] >= 0.4 > jobs["quick"]["starts_after"]
    assert jobs["last"]["needs"] == [{"job": "slow", "when": "success"}, {"job": "quick", "when": "success"}]
    assert sorted(jobs["last"]) == ["duration", "job_id", "level", "needs", "order", "starts_after", "why"]
    text = case.run("plan", "config.json", "--skip", "quick").expect(0, err="").out
    assert text.startswith("plan of app: 2 jobs in 2 levels, 2 at once\nexpected time: T s by the history\n"
                           "critical path: slow -> last (T s)\n")
    assert "  quick  skipped by --skip\n" in text

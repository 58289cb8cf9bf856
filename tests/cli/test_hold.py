"""``hold`` and ``release``: a job that is not to start, in the run that is there and in later ones."""
import os
from typing import List

import pytest

from cli_case import Case
from killing import LONG, begin, rows, statuses, wait_for_file, wait_until

FIRST = {"id": "first", "command": LONG}
LOAD = {"id": "load", "command": "echo load >> ran", "dependencies": ["first"]}
MAIL = {"id": "mail", "command": "echo mail >> ran", "dependencies": ["load"]}
OTHER = {"id": "other", "command": "touch other; while [ ! -e go-other ]; do sleep 0.02; done"}


def ran(case: Case) -> List[str]:
    try:
        with open(case.path("ran")) as ledger:
            return ledger.read().split()
    except FileNotFoundError:
        return []


def known(case: Case) -> Case:
    """An application with one run that went well."""
    case.file("go", "").jobs(FIRST, LOAD, MAIL).run("run", "config.json").expect(0)
    for name in ("go", "ran", "begun", "done"):
        os.unlink(case.path(name))
    return case


def test_a_held_job_is_blocked_where_nothing_else_goes_on(case: Case) -> None:
    known(case).run("hold", "app", "load", "--because", "disk is being swapped").expect(
        0, out="load of app is held\n", err="")
    case.file("go", "").run("run", "config.json").expect(1)
    assert statuses(case) == {"first": "SUCCESS", "load": "BLOCKED", "mail": "BLOCKED"} and ran(case) == []
    reason = case.run("show", "last", "--json").json()["jobs"][1]["reason"]
    assert reason.startswith("held by ") and reason.endswith("disk is being swapped")
    case.run("release", "app", "load").expect(0, out="load of app is released\n", err="")
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert ran(case) == ["load", "mail"]


def test_a_job_is_held_during_a_run_and_released(case: Case) -> None:
    case.jobs(FIRST, LOAD, MAIL, OTHER, parallel=True, max_workers=4)
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        wait_for_file(case, "other")
        case.run("hold", "app", "load").expect(0)
        case.file("go", "")
        wait_until(lambda: statuses(case)["first"] == "SUCCESS")
        assert statuses(case)["load"] in ("PENDING", "QUEUED") and ran(case) == []
        case.run("release", "app", "load").expect(0)
        wait_until(lambda: ran(case) == ["load", "mail"])
        case.file("go-other", "")
        assert runner.wait() == 0
    assert set(statuses(case).values()) == {"SUCCESS"}


def test_a_held_job_waits_as_long_as_anything_else_runs(case: Case) -> None:
    case.jobs(FIRST, LOAD, OTHER, parallel=True, max_workers=4)
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        case.run("hold", "app", "load", "--because", "not now").expect(0)
        case.file("go", "").file("go-other", "")
        assert runner.wait() == 1
    assert statuses(case) == {"first": "SUCCESS", "load": "BLOCKED", "other": "SUCCESS"} and ran(case) == []


def test_a_running_job_is_not_touched_by_a_hold(case: Case) -> None:
    case.jobs(FIRST)
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        case.run("hold", "app", "first").expect(0)
        case.file("go", "")
        assert runner.wait() == 0


def test_a_resume_of_a_held_job_is_blocked_again(case: Case) -> None:
    known(case).run("hold", "app", "load").expect(0)
    case.file("go", "").run("run", "config.json").expect(1)
    case.run("run", "config.json", "--resume", "last").expect(1)
    assert statuses(case) == {"first": "SUCCESS", "load": "BLOCKED", "mail": "BLOCKED"} and ran(case) == []


def test_the_plan_of_a_resume_says_who_holds_a_job(case: Case) -> None:
    case.jobs({"id": "a", "command": "test -e go"}, {"id": "b", "command": "true", "for_each": ["x"], "dependencies": ["a"]})
    case.run("run", "config.json").expect(1)
    case.run("hold", "app", "b", "--because", "the disk").expect(0)
    told = case.file("go", "").run("run", "config.json", "--resume", "last").expect(1).err
    assert "  run   b[x]  (BLOCKED: needs a, which ended FAILED; held by " in told and "it waits for executioner release)" in told
    assert "; held by" not in told.split("  run   a  ")[1].split("\n")[0]


def test_a_hold_is_of_one_application(case: Case) -> None:
    known(case).run("hold", "app", "load").expect(0)
    case.config({"application_name": "two", "jobs": [{"id": "load", "command": "echo two >> ran"}]}, "two.json")
    case.run("run", "two.json").expect(0)
    assert ran(case) == ["two"]


@pytest.mark.slow
def test_several_jobs_and_mistakes(case: Case) -> None:
    known(case).run("hold", "app", "load", "mail").expect(0, out="load of app is held\nmail of app is held\n")
    case.run("hold", "ap", "load").expect(2, out="", err="executioner: no application ap has run here (did you mean \"app\"?)\n")
    text = case.run("hold", "app", "lod").expect(2, out="").err
    assert text.startswith('executioner: the last run of app (1) has no job "lod"') and "load" in text
    text = case.run("release", "app", "first").expect(2, out="").err
    assert text == "executioner: first of app is not held; held are: load, mail\n"
    case.run("release", "app", "mail", "load").expect(0)
    case.run("release", "app", "load").expect(2, err="executioner: load of app is not held\n")


def test_an_unknown_job_among_several_holds_none(case: Case) -> None:
    known(case).run("hold", "app", "load", "lod").expect(2, out="")
    assert rows(case, "SELECT 1 FROM events WHERE kind = 'hold'") == []


def test_who_and_why_are_recorded(case: Case) -> None:
    known(case).run("hold", "app", "load", "--because", "swap").expect(0)
    (application, job, who, why), = rows(case, "SELECT application, job_id, who, why FROM events WHERE kind = 'hold'")
    assert (application, job, why) == ("app", "load", "swap") and "@" in who

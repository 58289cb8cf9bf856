"""What only a past run knew to be secret stays hidden in its output, whoever shows it later."""
import json
import os
import shutil
import time

import pytest

from api_case import ApiCase
from cli_case import Case

SECRET = "tok-abcdef123456"
OTHER = "pw ü/987654"
FILE = {"application_name": "app", "parameters": {"api_password": {"type": "string"}}, "jobs": [
    {"id": "a", "command": "echo before; echo it=$API_TOKEN,; printf %s \"$PW\"; echo; echo after; exit 3",
     "env_variables": {"PW": "${params.api_password}"}}]}


def run(case: Case) -> str:
    """A run with two secrets that nothing knows afterwards; the folder of its output."""
    case.config(FILE).run("run", "config.json", "--env", "API_TOKEN=" + SECRET, "--param", "api_password=" + OTHER).expect(1)
    return case.path("home", "logs", "1")


def test_logs_and_report_hide_it(case: Case) -> None:
    folder = run(case)
    stars = "***", "***"
    assert case.run("logs", "1", "a", "--stdout").expect(0).out == "before\nit=%s,\n%s\nafter\n" % stars
    assert case.run("logs", "1", "a", "--stdout", "--tail", "2").expect(0).out == "%s\nafter\n" % stars[1]
    case.run("report", "1", "-o", "page.html").expect(0)
    page = open(case.path("page.html"), encoding="utf-8").read()
    assert "it=***," in page and SECRET not in page and "987654" not in page
    # The output is the job's own, and what is left behind says where and not what.
    raw = open(os.path.join(folder, "a.1.out"), encoding="utf-8").read()
    assert raw == "before\nit=%s,\n%s\nafter\n" % (SECRET, OTHER)
    left = os.path.join(folder, "masked.json")
    assert json.load(open(left)) == {"a.1.out": [[10, 26], [28, 40]]} and os.stat(left).st_mode & 0o777 == 0o600


def test_a_run_without_secrets_in_its_output_leaves_nothing(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo hello"}).run("run", "config.json", "--env", "API_TOKEN=" + SECRET).expect(0)
    assert "masked.json" not in os.listdir(case.path("home", "logs", "1"))


@pytest.mark.parametrize("damage", ["", "[]", "{\"a.1.out\": 3}", "{\"a.1.out\": [[1]]}", "{", "\xff"])
def test_a_damaged_file_is_no_error(case: Case, damage: str) -> None:
    with open(os.path.join(run(case), "masked.json"), "w", encoding="latin-1") as out:
        out.write(damage)
    assert "after\n" in case.run("logs", "1", "a").expect(0).out


def test_much_output_is_looked_through_by_another_process(case: Case) -> None:
    text = "x" * 3000
    case.config({"application_name": "app", "jobs": [{"id": "a", "command": [
        "sh", "-c", "i=0; while [ $i -lt 400 ]; do printf '%s%s\\n' \"$API_TOKEN\" \"$0\"; i=$((i+1)); done", text]}]})
    case.run("run", "config.json", "--env", "API_TOKEN=" + SECRET).expect(0)
    left = case.path("home", "logs", "1", "masked.json")
    wait_until(lambda: os.path.exists(left))
    assert len(json.load(open(left))["a.1.out"]) == 400
    out = case.run("logs", "1", "a", "--stdout").expect(0).out
    assert SECRET not in out and out.count("***x") == 400


def test_the_api_hides_it(case: Case, tmp_path: "os.PathLike[str]") -> None:
    run(case)
    api = ApiCase(str(tmp_path))
    try:
        shutil.copy(case.path("home", "history.db"), api.history_path)
        path = "/api/v1/runs/1/jobs/a/attempts/1/output/stdout"
        for query in ("", "?offset=-30", "?offset=12&limit=16", "?follow=true"):
            body = api.get(path + query).body.decode("utf-8")
            assert "***" in body and "abcdef" not in body and "987654" not in body, query
    finally:
        api.close()


def wait_until(condition: "object") -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)

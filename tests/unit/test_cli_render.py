"""Records into text and JSON."""
import json
from typing import Optional

import pytest

from executioner.render import (count_text, counts_line, how_it_ended, job_fields, json_lines, run_fields,
                                run_json_lines, table, time_text)
from jobs.records import JobRecord, RunRecord


@pytest.mark.parametrize("status, reason, exit_code, attempts, duration_s, expected", [
    ("SUCCESS", "", 0, 1, 1.23, "1.2 s"),
    ("SUCCESS", "", 0, 3, 1.23, "1.2 s after 3 tries"),
    ("SUCCESS", "kept from run 7", None, 0, None, "kept from run 7"),
    ("FAILED", "exit code 3", 3, 1, 8.0, "exit 3, 8.0 s"),
    ("FAILED", "exit code 3 (attempt 2)", 3, 2, 8.0, "exit 3 after 2 tries, 8.0 s"),
    ("FAILED", "check_file_exists: no file /x\n", 0, 1, 0.5, "check_file_exists: no file /x, 0.5 s"),
    ("TIMEOUT", "took longer than 5 s", None, 1, 5.0, "took longer than 5 s, 5.0 s"),
    ("BLOCKED", "needs a, which ended FAILED", None, 0, None, "needs a, which ended FAILED"),
    ("CANCELLED", "", None, 0, None, "cancelled"),
])
def test_how_a_job_ended(status: str, reason: str, exit_code: Optional[int], attempts: int, duration_s: Optional[float],
                         expected: str) -> None:
    assert how_it_ended(status, reason, exit_code, attempts, duration_s) == expected


def test_the_json_of_a_run_is_the_documented_interface() -> None:
    run = RunRecord(7, "app", "FAILED", 1, "/c.json", 0.0, 1.5, jobs=[])
    job = JobRecord("a", "FAILED", "exit code 3", 3, None, 2, 0.25, 1.25, 1.0, 0.5, 1 << 20, "/o", "/e")
    expected = {"run_id": 7, "application": "app", "status": "FAILED", "exit_code": 1, "config": "/c.json",
                "started": "1970-01-01T00:00:00.000Z", "ended": "1970-01-01T00:00:01.500Z", "duration": 1.5}
    assert run_fields(run) == expected
    text = "\n".join(run_json_lines(run_fields(run), [job_fields(job), job_fields(job)]))
    document = json.loads(text)
    assert list(document) == list(expected) + ["jobs"]
    assert document["jobs"][0] == {
        "job_id": "a", "status": "FAILED", "reason": "exit code 3", "exit_code": 3, "signal": None, "attempts": 2,
        "started": "1970-01-01T00:00:00.250Z", "ended": "1970-01-01T00:00:01.250Z", "duration": 1.0,
        "cpu_seconds": 0.5, "max_rss": 1 << 20, "stdout_path": "/o", "stderr_path": "/e"}
    assert json.loads("\n".join(run_json_lines(expected, [])))["jobs"] == []


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_list_is_one_document(count: int) -> None:
    items = [{"n": number, "text": "\u202e\x1b"} for number in range(count)]
    lines = list(json_lines(items))
    assert json.loads("\n".join(lines)) == items
    assert all(ord(character) < 128 for line in lines for character in line)


def test_times_and_counts() -> None:
    assert time_text(None) == "-"
    assert time_text(86399.9996) == "1970-01-02T00:00:00Z"
    assert (count_text(1, "job"), count_text(0, "job")) == ("1 job", "0 jobs")
    assert counts_line({"FAILED": 1, "SUCCESS": 12, "SKIPPED": 0, "BLOCKED": 2}) == "12 ok, 1 failed, 2 blocked"


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert table(("RUN", "APP", ""), (("1", "a", ""), ("100", "long name", "x")), right=(0,)) == [
        "RUN  APP", "  1  a", "100  long name  x"]
    assert table(("A",), ()) == ["A"]

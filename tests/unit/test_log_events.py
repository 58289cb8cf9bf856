"""Every event of a run becomes one documented record."""
import json
import os
import re
from pathlib import Path
from typing import Dict, List, Set

from executioner_logging import events as log_events
from executioner_logging.events import EVENTS, OTHER_EVENTS, EventLog
from executioner_logging.record import FIELDS, LINE_BYTES
from executioner_logging.writer import LogWriter
from jobs.events import (AttemptEnded, AttemptIntended, AttemptStarted, Event, JobEnded, Notice, OutputsKept,
                         RetryScheduled, RunEnded, RunStarted, RunStopping)
from jobs.exceptions import ERROR_CODES
from jobs.masking import NO_SECRETS, Masker
from jobs.models import FINAL_STATUSES, RUN_STATUSES, AttemptOutcome, JobStatus, RunStatus

AT = 1767225600.0
DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "logs.md"
FAILED = AttemptOutcome(JobStatus.FAILED, exit_code=3, reason="exit code 3", started_at=AT, ended_at=AT + 2,
                        duration_s=2.0, cpu_s=0.5, max_rss_bytes=4096, survivors=("12 sh",), stop_reason="cancel",
                        signal="SIGTERM")
RUN: List[Event] = [
    RunStarted(42, "u-u", "nightly", "/etc/nightly.json", 2, 1, AT),
    AttemptIntended(0, "load", 1, "t1", "/logs/1.out", "/logs/1.err", AT),
    AttemptStarted(0, "load", 1, "t1", 4711, 99, AT),
    AttemptEnded(0, "load", 1, "t1", FAILED, AT + 2),
    OutputsKept(0, "load", {"rows": "41", "day": "monday"}, AT + 2),
    RetryScheduled(0, "load", 2, 30.0, "exit code 3", AT + 2),
    JobEnded(0, "load", JobStatus.FAILED, "exit code 3", 2, AT + 40, 3, "SIGTERM", AT, 40.0, 0.5, 4096),
    RunStopping("load failed", AT + 40),
    JobEnded(1, "report", JobStatus.BLOCKED, "needs load", 0, AT + 40),
    Notice("warning", "a keeper was replaced", AT + 41, "load", "E900", (("pid", "12"),)),
    RunEnded(42, RunStatus.FAILED, 1, "load failed", AT + 42),
]


def told(tmp_path: Path, events: List[Event], level: str = "DEBUG",
         masker: Masker = NO_SECRETS) -> List[Dict[str, object]]:
    path = tmp_path / "executioner.jsonl"
    log = EventLog(LogWriter(str(path), masker, level=level))
    log.tell(events)
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.unlink()
    return found


def test_a_run(tmp_path: Path) -> None:
    records = told(tmp_path, RUN)
    assert [(record["level"], record["event"], record["message"]) for record in records] == [
        ("INFO", "run_started", "run 42 of nightly started: 2 jobs, 1 at once"),
        ("DEBUG", "attempt_intended", "load: attempt 1 is about to start"),
        ("DEBUG", "attempt_started", "load: attempt 1 started (pid 4711)"),
        ("WARNING", "attempt_ended", "load: attempt 1 FAILED after 2.0 s: exit code 3"),
        ("INFO", "outputs_kept", "load: told day, rows"),
        ("WARNING", "retry_scheduled", "load: attempt 2 in 30 s: exit code 3"),
        ("ERROR", "job_ended", "load: FAILED after 40 s: exit code 3"),
        ("WARNING", "run_stopping", "no new job starts: load failed"),
        ("WARNING", "job_ended", "report: BLOCKED: needs load"),
        ("WARNING", "notice", "a keeper was replaced"),
        ("ERROR", "run_ended", "run 42 ended: FAILED, exit code 1: load failed"),
    ]
    assert all(record["run_id"] == 42 and record["application"] == "nightly" for record in records)
    assert [record.get("job_id") for record in records] == [
        None, "load", "load", "load", "load", "load", "load", None, "report", "load", None]
    assert [record.get("attempt") for record in records] == [None, 1, 1, 1, None, 2, None, None, None, None, None]
    assert [record.get("error_code") for record in records] == [
        None, None, None, "E200", None, None, "E200", None, None, "E900", None]
    assert records[3]["context"] == {
        "status": "FAILED", "exit_code": 3, "signal": "SIGTERM", "stop_reason": "cancel", "duration": 2.0,
        "cpu_seconds": 0.5, "max_rss": 4096, "survivors": ["12 sh"], "stdout_path": "/logs/1.out",
        "stderr_path": "/logs/1.err"}
    assert records[3]["timestamp"] == "2026-01-01T00:00:02.000Z"


def test_a_success_is_quiet_and_leaves_nothing_in_memory(tmp_path: Path) -> None:
    log = EventLog(LogWriter(str(tmp_path / "log")))
    log.tell([RunStarted(1, "u", "a", "/c", 1, 1, AT), AttemptIntended(0, "j", 1, "t", "o", "e", AT),
              AttemptStarted(0, "j", 1, "t", 5, 5, AT),
              AttemptEnded(0, "j", 1, "t", AttemptOutcome(JobStatus.SUCCESS, 0, duration_s=0.25), AT),
              JobEnded(0, "j", JobStatus.SUCCESS, "", 1, AT, 0, duration_s=0.25),
              RunEnded(1, RunStatus.SUCCESS, 0, "", AT)])
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [record["level"] for record in records] == ["INFO"] * 3
    assert records[0]["message"] == "run 1 of a started: 1 job, 1 at once"
    assert records[1]["context"] == {"status": "SUCCESS", "attempts": 1, "exit_code": 0, "duration": 0.25}
    assert records[2]["message"] == "run 1 ended: SUCCESS, exit code 0"
    assert log._outputs == {}


def test_levels_and_codes_of_every_status(tmp_path: Path) -> None:
    quiet = {JobStatus.SUCCESS, JobStatus.SKIPPED}
    failures = {"FAILED": "E200", "ERROR": "E200", "LOST": "E200", "TIMEOUT": "E210"}
    for status in sorted(FINAL_STATUSES):
        attempt, job = told(tmp_path, [AttemptEnded(0, "j", 1, "t", AttemptOutcome(status), AT),
                                       JobEnded(0, "j", status, "", 1, AT)])
        # A success at the first attempt is told once, by the job's end.
        assert attempt["level"] == ("DEBUG" if status == JobStatus.SUCCESS else "INFO" if status in quiet else "WARNING")
        assert job["level"] == ("INFO" if status in quiet else "ERROR" if status in failures else "WARNING")
        assert attempt.get("error_code") == job.get("error_code") == failures.get(status)
    for status in sorted(RUN_STATUSES):
        ended, = told(tmp_path, [RunEnded(1, status, 0, "", AT)])
        assert ended["level"] == {"SUCCESS": "INFO", "CANCELLED": "WARNING"}.get(status, "ERROR")


def test_secrets_do_not_pass(tmp_path: Path) -> None:
    records = told(tmp_path, [Notice("INFO", "hunter22", AT, context=(("a", "hunter22"),))],
                   masker=Masker(["hunter22"]))
    assert records[0]["message"] == "***" and records[0]["context"] == {"a": "***"}


def test_events_of_one_turn_share_one_write(tmp_path: Path) -> None:
    sizes = []

    class Counting(LogWriter):
        def _put(self, lines: List[bytes], size: int) -> int:
            sizes.append(sum(map(len, lines)))
            assert sizes[-1] == size
            return super()._put(lines, size)

    log = EventLog(Counting(str(tmp_path / "log")))
    log.tell(RUN)
    assert len(sizes) == 1
    log.tell([AttemptStarted(0, "load", 1, "t", 1, 1, AT)] * 1000)
    assert len(sizes) > 2 and max(sizes) <= LINE_BYTES and min(sizes[1:-1]) > LINE_BYTES // 2
    assert len((tmp_path / "log").read_text().splitlines()) == 9 + 1000


def table(heading: str) -> Dict[str, List[str]]:
    """The rows of the table under a heading of the document, by the name in their first cell."""
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## %s\n" % heading)[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in rows}


def names(cell: str) -> Set[str]:
    return set(re.findall("`([a-z_]+)`", cell))


def test_the_document_names_every_field_and_event(tmp_path: Path) -> None:
    assert tuple(table("Fields")) == FIELDS
    events = table("Events")
    assert tuple(events) == EVENTS + OTHER_EVENTS
    assert {record["event"] for record in told(tmp_path, RUN)} == set(EVENTS)


def test_the_document_says_what_each_event_carries(tmp_path: Path) -> None:
    events = table("Events")
    carried: Dict[str, Set[str]] = {}
    levels: Dict[str, Set[str]] = {}
    statuses = [JobEnded(0, "j", status, "", 1, AT) for status in sorted(FINAL_STATUSES)]
    for record in told(tmp_path, RUN + list(statuses)):
        event = str(record["event"])
        context = record.get("context", {})
        assert isinstance(context, dict)
        carried.setdefault(event, set()).update(context)
        levels.setdefault(event, set()).add(str(record["level"]))
    for event, (level, _, context) in events.items():
        if event in EVENTS and event != "notice":
            assert names(context) == carried.get(event, set()), event
            assert levels[event] <= set(re.findall("[A-Z]{4,}", level)), event


def test_events_that_the_command_writes_are_documented() -> None:
    source = (DOCUMENT.parent.parent / "executioner" / "wiring.py").read_text(encoding="utf-8")
    written = set(re.findall(r'_note\("[A-Z]+", "([a-z_]+)"', source))
    assert written and written <= set(OTHER_EVENTS) | {"notice"}


def test_codes_in_the_document_exist() -> None:
    for code in re.findall(r"`(E\d{3})`", DOCUMENT.read_text(encoding="utf-8")):
        assert code in ERROR_CODES


def test_every_kind_of_event_has_a_shape() -> None:
    assert set(log_events._SHAPES) == set(Event.__args__)  # type: ignore[attr-defined]
    assert os.path.exists(str(DOCUMENT))

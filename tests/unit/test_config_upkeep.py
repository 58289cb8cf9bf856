"""Notifications with their short form, retention, deadlines, expectations: good values arrive, bad ones are told."""
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from config.pipeline import LoadResult, load_pipeline
from config.schema import NOTIFY_ON
from config.upkeep import Size, destination_problem
from jobs import models
from jobs.models import Deadline, MailServer, NotificationRule, Pipeline, Retention

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root", "HOOK": "https://hooks.example.com/T0/secret-path",
           "PW": "mail-password", "KEY": "signing-key"}
Load = Callable[..., LoadResult]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a file with one job and load it."""
    def run(job: Optional[Dict[str, Any]] = None, **top: Any) -> LoadResult:
        path = tmp_path / "c.json"
        path.write_text(json.dumps(dict(top, jobs=[dict({"id": "a", "command": "true"}, **(job or {}))])),
                        encoding="utf-8")
        return load_pipeline(str(path), ENVIRON)
    return run


def pipeline(result: LoadResult) -> Pipeline:
    """The pipeline of a file in which nothing is wrong."""
    assert result.pipeline is not None and not result.problems, "\n".join(map(str, result.problems))
    return result.pipeline


def test_the_words_are_those_of_the_models() -> None:
    assert NOTIFY_ON == models.NOTIFY_ON


def test_what_holds_where_nothing_is_said(load: Load) -> None:
    found = pipeline(load())
    assert (found.notifications, found.expect_s, found.metrics_textfile, found.status_page) == ((), None, "", "")
    assert found.retention == Retention(1000, 90 * 86400.0, 10 << 30) and found.mail_server == MailServer()
    assert (found.jobs[0].deadline, found.jobs[0].runbook) == (None, "")


def test_every_key_arrives(load: Load, tmp_path: Path) -> None:
    found = pipeline(load(
        {"deadline": "06:30", "runbook": "call Ann"}, expect="26h", metrics_textfile="m.prom", status_page="s.html",
        retention={"runs": 5, "days": 1.5, "bytes": "2 GiB"}, email_from="batch@x.org", smtp_server="mail.x.org",
        smtp_port=587, smtp_user="u", smtp_password="${PW}", notifications=[
            {"on": "failure", "to": ["mailto:a@x.org, b@x.org", "${HOOK}"], "every": "1h", "subject": "{status} {jobs}"},
            {"on": ["late", "always"], "to": "command:logger", "_": "comment"},
            {"on": "success", "to": "http://h:8080/x", "secret": "${KEY}"}]))
    assert found.notifications == (
        NotificationRule(("failure",), "mailto:a@x.org, b@x.org", 3600.0, "{status} {jobs}"),
        NotificationRule(("failure",), "https://hooks.example.com/T0/secret-path", 3600.0, "{status} {jobs}"),
        NotificationRule(("late", "always"), "command:logger"),
        NotificationRule(("success",), "http://h:8080/x", secret="signing-key"))
    assert found.mail_server == MailServer("mail.x.org", 587, "u", "mail-password", "batch@x.org")
    assert found.retention == Retention(5, 1.5 * 86400, 2 << 30) and found.expect_s == 26 * 3600
    assert found.metrics_textfile == str(tmp_path / "m.prom") and found.status_page == str(tmp_path / "s.html")
    assert found.jobs[0].deadline == Deadline(clock_minutes=390) and found.jobs[0].runbook == "call Ann"
    assert set(found.secret_values) == {"/T0/secret-path", "mail-password", "signing-key"}


@pytest.mark.parametrize("value, expected", [
    ("00:00", Deadline(clock_minutes=0)), ("23:59", Deadline(clock_minutes=1439)), ("90m", Deadline(after_s=5400.0)),
    (30, Deadline(after_s=30.0))])
def test_deadlines(load: Load, value: object, expected: Deadline) -> None:
    assert pipeline(load({"deadline": value})).jobs[0].deadline == expected
    assert pipeline(load(defaults={"deadline": value})).jobs[0].deadline == expected


@pytest.mark.parametrize("top, expected", [
    ({"email_address": "a@x.org, root"}, [NotificationRule(("failure",), "mailto:a@x.org,root")]),
    ({"email_address": ["a@x.org"], "email_on_success": True},
     [NotificationRule(("failure", "success"), "mailto:a@x.org")]),
    ({"email_address": "a@x.org", "email_on_failure": False}, []),
    ({"email_address": ""}, []),
])
def test_the_short_form(load: Load, top: Dict[str, Any], expected: List[NotificationRule]) -> None:
    assert list(pipeline(load(**top)).notifications) == expected


def test_secrets_are_kept_out_of_the_kept_text(load: Load) -> None:
    found = pipeline(load(notifications=[{"on": "failure", "to": "https://h/x", "secret": "very-secret"}]))
    assert "very-secret" not in found.config_text and "very-secret" in found.secret_values


RULE = {"on": "failure", "to": "mailto:a@x.org"}
BAD: List[Tuple[Dict[str, Any], str]] = [
    ({"notifications": {}}, "E103 notifications: must be a list of rules, got"),
    ({"notifications": [dict(RULE, on="fail")]}, 'E106 notifications[0].on: must be "failure" or'),
    ({"notifications": [dict(RULE, on=[])]}, "E105 notifications[0].on: must not be empty"),
    ({"notifications": [{"on": "failure"}]}, 'E107 notifications[0]: the key "to" is required'),
    ({"notifications": [{"to": "mailto:a@x.org"}]}, 'E107 notifications[0]: the key "on" is required'),
    ({"notifications": [dict(RULE, to="slack:x")]}, "E145 notifications[0].to: must begin with mailto:, https://, http:// "
     'or command:, got "slack:x"'),
    ({"notifications": [dict(RULE, to=["mailto:a@x.org", "mailto:"])]}, "E145 notifications[0].to[1]: names no mail"),
    ({"notifications": [dict(RULE, to="mailto:a b@x.org")]}, 'E145 notifications[0].to: "a b@x.org" is no mail address'),
    ({"notifications": [dict(RULE, to="${PW}")]}, "E145 notifications[0].to: must begin with mailto:"),
    ({"notifications": [dict(RULE, to="https://")]}, "E145 notifications[0].to: is no web address"),
    ({"notifications": [dict(RULE, to="command: ")]}, "E145 notifications[0].to: names no command"),
    ({"notifications": [dict(RULE, subject="{job}")]}, "E146 notifications[0].subject: {job} stands for nothing; did you "
     'mean "jobs"?'),
    ({"notifications": [dict(RULE, every=-1)]}, "E104 notifications[0].every: must be a duration of 0 or more, got -1"),
    ({"notifications": [dict(RULE, evry=1)]}, 'E108 notifications[0].evry: unknown key; did you mean "every"?'),
    ({"email_address": "a@@"}, "E145 email_address: \"a@@\" is no mail address"),
    ({"retention": {"runs": 0}}, "E105 retention.runs: must be from 1 to 1000000000, got 0"),
    ({"retention": {"days": 0}}, "E105 retention.days: must be from 0.001 to 36500, got 0"),
    ({"retention": {"bytes": "10X"}}, 'E105 retention.bytes: must be a size from 0 to 1 EiB, got "10X"; write bytes'),
    ({"retention": {"bytes": -1}}, "E105 retention.bytes: must be a size from 0 to 1 EiB, got -1"),
    ({"expect": 0}, "E104 expect: must be a positive duration, got 0"),
    ({"expect": True}, "E103 expect: must be a duration, got true"),
]


@pytest.mark.parametrize("top, expected", BAD)
def test_bad_values(load: Load, top: Dict[str, Any], expected: str) -> None:
    result = load(**top)
    assert result.pipeline is None
    assert [one for one in map(str, result.problems) if expected in one], "\n".join(map(str, result.problems))


@pytest.mark.parametrize("value, expected", [
    ("24:00", 'E104 jobs[0].deadline: must be a time of day from "00:00" to "23:59", got "24:00"'),
    (0, "E104 jobs[0].deadline: must be a positive duration, got 0"),
    ("soon", 'E104 jobs[0].deadline: must be a positive duration, got "soon"'),
    ([], "E103 jobs[0].deadline: must be a time of day"),
])
def test_bad_deadlines(load: Load, value: object, expected: str) -> None:
    assert expected in "\n".join(map(str, load({"deadline": value}).problems))


@pytest.mark.parametrize("top, expected", [
    ({"notifications": [dict(RULE, to="${NOBODY}")]}, "W104 notifications[0].to: nobody sets NOBODY"),
    ({"notifications": [dict(RULE, secret="s3cr3t")]}, "W107 notifications[0].secret: has no effect"),
    ({"notifications": [{"on": "late", "to": "https://x", "secret": "${NOBODY}"}]}, "W104 notifications[0].secret"),
    ({"smtp_server": "mail"}, "W107 smtp_server: has no effect: nobody is to get mail (email_address)"),
    ({"email_address": "a", "smtp_password": "p4ssw0rd"}, "W107 smtp_password: has no effect without smtp_user"),
    ({"metrics_textfile": "/none/x.prom"}, 'W105 metrics_textfile: the folder "/none" does not exist'),
    ({"status_page": "/none/x.html"}, 'W105 status_page: the folder "/none" does not exist'),
    ({"metrics_textfile": "x.txt"}, "W105 metrics_textfile: the node exporter reads only files that end in .prom"),
])
def test_warnings(load: Load, top: Dict[str, Any], expected: str) -> None:
    result = load(**top)
    assert result.pipeline is not None
    assert [one for one in map(str, result.problems) if expected in one], "\n".join(map(str, result.problems))


@pytest.mark.parametrize("value, expected", [
    (5, 5), ("5", 5), ("1K", 1024), ("1.5 KiB", 1536), ("2MB", 2 << 20), ("1T", 1 << 40), ("x", None), ("-1", None),
    ("", None), ("1 X", None), ("1KK", None)])
def test_sizes(value: object, expected: Optional[int]) -> None:
    assert Size.size_bytes(value) == expected


def test_destinations() -> None:
    for good in ("mailto:a", "https://h", "http://h:1/x?y=z", "command:x"):
        assert destination_problem(good) is None
    for bad in ("", "mailto:a@x\r\nBcc: b@x", "https://a b", "https:///x", "http://h/\nx", "ftp://x"):
        assert destination_problem(bad) is not None

"""The names that are promised to those who import us: they exist, and do what they say."""
import dataclasses
import inspect
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

import config
import jobs.models
from db.interface import DatabaseInterface
from db.sqlite_adapter import SQLiteAdapter
from executioner_logging.structured import StructuredFormatter
from jobs.exceptions import (APIError, ConfigurationError, DependencyError, ExecutionerError, JobExecutionError,
                             JobTimeoutError, NotificationError, SecurityError, StorageError)
from jobs.models import JobResult, JobStatus

ROOT = Path(__file__).resolve().parents[2]


def test_an_error_carries_its_facts() -> None:
    error = ExecutionerError("the disk of /data is full", "E499", {"path": "/data", "free": 0})
    assert str(error) == error.message == "the disk of /data is full"
    assert error.error_code == "E499" and error.context == {"path": "/data", "free": 0}
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", error.timestamp)
    found = json.loads(json.dumps(error.to_dict()))
    assert found == {"error": "ExecutionerError", "error_code": "E499", "message": "the disk of /data is full",
                     "context": {"path": "/data", "free": 0}, "timestamp": error.timestamp}


@pytest.mark.parametrize("kind", [ConfigurationError, JobExecutionError, DependencyError, StorageError, SecurityError,
                                  JobTimeoutError, NotificationError, APIError])
def test_each_error_has_a_code_of_its_own(kind: "type") -> None:
    error = kind("what")
    assert isinstance(error, ExecutionerError)
    assert error.error_code == kind.default_code != ExecutionerError.default_code
    assert error.context == {}
    with pytest.raises(ExecutionerError):
        raise error


def test_structured_formatter_writes_one_object_a_line() -> None:
    formatter = StructuredFormatter()
    record = logging.LogRecord("some.logger", logging.WARNING, __file__, 1, "two\nlines of %s", ("text",), None)
    line = formatter.format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found["level"] == "WARNING" and found["message"] == "two\nlines of text" and found["logger"] == "some.logger"
    assert found["timestamp"].endswith("Z")


def test_validate_job_config_gives_messages() -> None:
    from config.validator_v2 import validate_job_config
    good: Dict[str, Any] = {"id": "load", "command": "true"}
    assert validate_job_config(good) == []
    assert validate_job_config(dict(good, timeout=5)) == []
    messages = validate_job_config(dict(good, timeout=-5))
    assert len(messages) == 1 and "timeout" in messages[0] and "-5" in messages[0]
    messages = validate_job_config({"id": "no spaces allowed"})
    assert len(messages) == 2 and all(isinstance(message, str) for message in messages)
    assert any("command" in message for message in messages)


def test_features_are_switches() -> None:
    assert isinstance(config.FEATURES, dict) and config.FEATURES
    assert all(isinstance(name, str) and isinstance(on, bool) for name, on in config.FEATURES.items())


def test_job_result_decides_by_its_status() -> None:
    assert dataclasses.is_dataclass(JobResult)
    names = [field.name for field in dataclasses.fields(JobResult)]
    assert set(names) >= {"job_id", "status", "exit_code", "stdout", "stderr", "duration"}
    assert JobResult("a", JobStatus.SUCCESS, 3).is_success()
    assert not JobResult("a", JobStatus.FAILED, 0).is_success()
    with pytest.raises(ExecutionerError):
        JobResult("a", "FINE")
    for duration, attempts in ((-1.0, 0), (float("nan"), 0), (1.0, -1)):
        with pytest.raises(ExecutionerError):
            JobResult("a", JobStatus.SUCCESS, duration=duration, attempts=attempts)


def test_every_data_model_is_a_dataclass() -> None:
    constants = {"JobStatus", "RunStatus", "When", "OverlapPolicy", "StopReason"}
    models = [kind for name, kind in inspect.getmembers(jobs.models, inspect.isclass)
              if kind.__module__ == "jobs.models" and name not in constants]
    assert len(models) >= 8
    assert [kind.__name__ for kind in models if not dataclasses.is_dataclass(kind)] == []


def test_job_config_is_a_typed_dictionary() -> None:
    from config.validator_v2 import JobConfig
    assert set(JobConfig.__annotations__) >= {"id", "command", "dependencies", "timeout", "max_retries"}
    if sys.version_info >= (3, 8):
        assert JobConfig.__mro__[1] is dict


def test_database_interface_is_abstract() -> None:
    assert inspect.isabstract(DatabaseInterface)
    assert {"execute", "fetchone", "fetchall", "transaction", "close"} <= DatabaseInterface.__abstractmethods__
    with pytest.raises(TypeError):
        DatabaseInterface()  # type: ignore[abstract]


def test_sqlite_adapter_is_a_database(tmp_path: Path) -> None:
    path = str(tmp_path / "some.db")

    def build(database: DatabaseInterface) -> None:
        database.execute("CREATE TABLE schema_version (version INTEGER)")
        database.execute("CREATE TABLE t (a INTEGER, b TEXT)")

    SQLiteAdapter.create(path, build)
    database = SQLiteAdapter(path)
    assert isinstance(database, DatabaseInterface)
    with database.transaction():
        database.execute("INSERT INTO t VALUES (?, ?)", (1, "it's"))
    assert database.fetchone("SELECT b FROM t WHERE a = ?", (1,)) == ("it's",)
    with pytest.raises(ZeroDivisionError):
        with database.transaction():
            database.execute("DELETE FROM t")
            1 / 0
    assert database.fetchall("SELECT a, b FROM t") == [(1, "it's")]
    database.close()


def test_the_papers_are_there() -> None:
    names: List[str] = ["README.md", "TESTING.md", "CHANGELOG.md", "requirements.txt", "setup.py", "Makefile",
                        "docs/errors.md", ".ci/run"]
    assert [name for name in names if not (ROOT / name).is_file()] == []

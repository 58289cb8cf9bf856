"""Records of ``logging`` in our shape."""
import json
import logging
import re
import sys
from typing import Dict

from executioner_logging.structured import StructuredFormatter
from jobs.exceptions import StorageError
from jobs.masking import Masker


def formatted(formatter: StructuredFormatter, *args: object, **more: object) -> Dict[str, object]:
    extra = more.pop("extra", None)
    logger = logging.getLogger("test.structured")
    record = logger.makeRecord(logger.name, logging.WARNING, "file.py", 1, "used %d of %d", args or (1, 2),
                               more.get("exc_info"), extra=extra)  # type: ignore[arg-type]
    line = formatter.format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_a_plain_record() -> None:
    found = formatted(StructuredFormatter())
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", str(found.pop("timestamp")))
    assert found == {"level": "WARNING", "logger": "test.structured", "event": "log", "message": "used 1 of 2"}


def test_extra_fills_fields_and_context() -> None:
    found = formatted(StructuredFormatter("app", 7), extra={
        "event": "disk", "run_id": 42, "job_id": "load", "attempt": 3, "error_code": "E1", "free": 5,
        "context": {"a": 1}})
    found.pop("timestamp")
    assert found == {"level": "WARNING", "logger": "test.structured", "event": "disk", "message": "used 1 of 2",
                     "run_id": 42, "job_id": "load", "attempt": 3, "application": "app", "error_code": "E1",
                     "context": {"free": 5, "a": 1}}
    found = formatted(StructuredFormatter("app", 7), extra={"application": "other", "run_id": "not a number"})
    assert (found["application"], found["run_id"]) == ("other", 7)


def test_an_exception_of_ours_brings_code_and_facts_and_secrets_are_masked() -> None:
    try:
        raise StorageError("hunter22 refused", context={"path": "/hunter22"})
    except StorageError:
        found = formatted(StructuredFormatter(masker=Masker(["hunter22"])), exc_info=sys.exc_info())
    assert found["error_code"] == "E400" and found["context"] == {"path": "/***"}
    exception = found["exception"]
    assert isinstance(exception, dict)
    assert exception["type"] == "StorageError" and exception["message"] == "*** refused"
    assert "Traceback" in exception["traceback"] and "hunter22" not in json.dumps(found)


def test_it_works_as_the_formatter_of_a_handler(capsys) -> None:  # type: ignore[no-untyped-def]
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(StructuredFormatter("app"))
    logger = logging.getLogger("test.handler")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        try:
            raise ValueError("bad")
        except ValueError:
            logger.exception("it failed: \udcff", stack_info=True)
    finally:
        logger.removeHandler(handler)
    found = json.loads(capsys.readouterr().out)
    assert found["exception"]["type"] == "ValueError" and "Stack" in found["context"]["stack"]
    assert found["message"] == "it failed: \udcff"


def test_the_path_of_a_run_does_without_logging() -> None:
    import os
    import subprocess
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = ("import sys; sys.path.insert(0, %r)\n"
            "import executioner_logging.events, jobs.locks, jobs.tails, jobs.atomic, jobs.checks.runner\n"
            "print([name for name in ('logging', 'threading', 'subprocess', 'hashlib', 'base64', 'urllib', 'traceback',"
            " 'glob', 'jobs.checks.registry') if name in sys.modules])" % root)
    assert subprocess.check_output([sys.executable, "-I", "-c", code]).strip() == b"[]"

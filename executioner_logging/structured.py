"""``StructuredFormatter``: the records of Python's ``logging`` in the same shape as our own.

For programs that embed Executioner, and for the API. A run itself does without ``logging``, whose import
alone would cost it a fifth of its time.
"""
import logging
from typing import Dict, Optional

from executioner_logging.record import Record, exception_fields, json_line
from jobs.exceptions import ExecutionerError
from jobs.masking import NO_SECRETS, Masker

__all__ = ["StructuredFormatter"]

#: Attributes that every record of ``logging`` has: whatever else stands in one came by ``extra=``.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS = frozenset(("event", "run_id", "job_id", "attempt", "application", "error_code", "context"))


class StructuredFormatter(logging.Formatter):
    """One JSON object a line, with the documented fields.

    ``extra={"run_id": 42, "event": "..."}`` fills the fields of those names; every other name in ``extra`` goes
    into ``context``. An ``ExecutionerError`` in ``exc_info`` brings its code and its facts.

    :param application: for records that name none
    :param run_id: for records that name none
    :param masker: hides secret values
    """

    def __init__(self, application: str = "", run_id: Optional[int] = None, masker: Masker = NO_SECRETS) -> None:
        super().__init__()
        self._application = application
        self._run_id = run_id
        self._masker = masker

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON, without its newline."""
        given = vars(record)
        context: Dict[str, object] = {name: value for name, value in given.items()
                                      if name not in _OWN and name not in _OURS}
        error_code = _text(given, "error_code")
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ExecutionerError):
            error_code = error_code or error.error_code
            context.update(error.context)
        if isinstance(given.get("context"), dict):
            context.update(given["context"])
        exception = exception_fields(error) if error is not None else None
        if exception is None and record.exc_text:
            # Formatted elsewhere, by a process that could not send the exception itself.
            exception = {"traceback": record.exc_text}
        if record.stack_info:
            context["stack"] = record.stack_info
        run_id = _number(given, "run_id")
        line = json_line(Record(
            record.created, record.levelname, _text(given, "event") or "log", record.getMessage(),
            run_id=self._run_id if run_id is None else run_id, job_id=_text(given, "job_id"),
            attempt=_number(given, "attempt"), application=_text(given, "application") or self._application,
            logger=record.name, error_code=error_code, context=context, exception=exception), self._masker)
        return line.decode("utf-8").rstrip("\n")


def _text(given: Dict[str, object], name: str) -> Optional[str]:
    value = given.get(name)
    return None if value is None else str(value)


def _number(given: Dict[str, object], name: str) -> Optional[int]:
    value = given.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None

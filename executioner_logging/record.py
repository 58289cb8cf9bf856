"""The shape of a log record, as JSON and as text, for our own writer and for ``logging`` alike.

``docs/logs.md`` documents the fields. A field that does not apply is left out; ``FIELDS`` is their order.
"""
import math
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import Dict, Mapping, Optional

from jobs.exceptions import ExecutionerError
from jobs.masking import NO_SECRETS, Masker
from jobs.terminal_text import safe_text
from jobs.times import utc_text

__all__ = ["FIELDS", "LEVELS", "LINE_BYTES", "Record", "exception_fields", "json_line", "record_of_error", "text_line"]

#: Names and weights of the levels, as in ``logging``.
LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
FIELDS = ("timestamp", "level", "logger", "event", "message", "run_id", "job_id", "attempt", "application",
          "error_code", "context", "exception", "truncated")
#: The longest line, its newline included: what one ``write`` to a file puts there in one piece.
LINE_BYTES = 64 * 1024

_DEEPEST = 20
_LARGEST_INTEGER = 1 << 63
#: Characters left of each string of a line that is too long, tried in this order.
_SHORTENED = (8192, 1024, 128)
_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(eq=False, repr=False)
class Record:
    """One thing that happened, ready to be written. ``at`` is epoch seconds (UTC)."""

    at: float
    level: str
    event: str
    message: str
    run_id: Optional[int] = None
    job_id: Optional[str] = None
    attempt: Optional[int] = None
    application: str = ""
    logger: str = "executioner"
    error_code: Optional[str] = None
    context: Mapping[str, object] = field(default_factory=dict)
    #: ``type``, ``message`` and ``traceback``, from ``exception_fields``.
    exception: Optional[Mapping[str, object]] = None


def record_of_error(error: BaseException, at: float, event: str = "error", run_id: Optional[int] = None,
                    application: str = "") -> Record:
    """An error as a record, with its code, its facts and its traceback."""
    code = None
    context: Mapping[str, object] = {}
    if isinstance(error, ExecutionerError):
        code, context = error.error_code, error.context
    return Record(at, "ERROR", event, str(error) or type(error).__name__, run_id=run_id, application=application,
                  error_code=code, context=context, exception=exception_fields(error))


def exception_fields(error: BaseException) -> Dict[str, object]:
    """The field ``exception``: type, message, and the traceback as one text."""
    # Imported here: a run that goes well has no traceback.
    import traceback

    return {"type": type(error).__name__, "message": str(error),
            "traceback": "".join(traceback.format_exception(type(error), error, error.__traceback__))}


def json_line(record: Record, masker: Masker = NO_SECRETS) -> bytes:
    """The record as one line of JSON, UTF-8, with its newline; at most ``LINE_BYTES``.

    Secrets are masked before anything is serialised. A lone surrogate becomes its JSON escape. Where the line would
    be too long, its long strings are cut, and ``truncated`` says how many bytes the whole line had.
    """
    fields = _fields(record, masker)
    line = _encode(fields).encode("utf-8", "backslashreplace")
    if len(line) < LINE_BYTES:
        return line + b"\n"
    whole = len(line) + 1
    for limit in _SHORTENED:
        shorter = {name: _shorten(value, limit) for name, value in fields.items()}
        shorter["truncated"] = whole
        line = _encode(shorter).encode("utf-8", "backslashreplace")
        if len(line) < LINE_BYTES:
            return line + b"\n"
    for name in ("context", "exception"):
        shorter.pop(name, None)
    return _encode(shorter).encode("utf-8", "backslashreplace") + b"\n"


def text_line(record: Record, masker: Masker = NO_SECRETS) -> bytes:
    """The record as a line for people, UTF-8, with its newline; at most ``LINE_BYTES``.

    What the message or a traceback has in further lines is indented, so that no text of others can pass for a record
    of ours; control characters are shown, not sent.
    """
    fields = _fields(record, masker)
    run = "run %s  " % fields["run_id"] if "run_id" in fields else ""
    code = " [%s]" % fields["error_code"] if "error_code" in fields else ""
    parts = ["%s %-8s %s%s%s" % (fields["timestamp"], fields["level"], run, fields["message"], code)]
    context = fields.get("context")
    if isinstance(context, dict):
        parts.append("  " + " ".join("%s=%s" % (key, value if isinstance(value, (int, float)) else _encode(value))
                                     for key, value in context.items()))
    exception = fields.get("exception")
    if isinstance(exception, dict):
        parts.append("\n" + str(exception.get("traceback") or exception).rstrip("\n"))
    text = safe_text("".join(parts)).replace("\n", "\n    ")
    line = text.encode("utf-8", "backslashreplace")
    if len(line) < LINE_BYTES:
        return line + b"\n"
    mark = b" ... (truncated, %d bytes)\n" % (len(line) + 1)
    return line[:LINE_BYTES - len(mark)].decode("utf-8", "ignore").encode("utf-8") + mark


def _fields(record: Record, masker: Masker) -> Dict[str, object]:
    """The record's fields, masked, JSON-able, in their order, without those that do not apply."""
    fields: Dict[str, object] = {"timestamp": utc_text(record.at), "level": record.level, "logger": record.logger,
                                 "event": record.event, "message": record.message}
    if record.run_id is not None:
        fields["run_id"] = record.run_id
    if record.job_id is not None:
        fields["job_id"] = record.job_id
    if record.attempt is not None:
        fields["attempt"] = record.attempt
    if record.application:
        fields["application"] = record.application
    if record.error_code is not None:
        fields["error_code"] = record.error_code
    if record.context:
        fields["context"] = _plain(record.context)
    if record.exception:
        fields["exception"] = _plain(record.exception)
    if masker and masker.may_stand_in(_encode(fields)):
        for name in ("message", "job_id", "application", "context", "exception"):
            if name in fields:
                fields[name] = masker.mask_value(fields[name])
    return fields


def _plain(value: object, depth: int = 0) -> object:
    """A copy made of what JSON knows, whatever it was, so that masking sees every string and nothing fails."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        # Larger ones are no numbers to most readers, and newer Pythons refuse to write those of 4,300 digits.
        return int(value) if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else hex(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    if depth >= _DEEPEST:
        return "..."
    if isinstance(value, (dict, Mapping)):  # asked in this order, since a Mapping takes long to tell
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, depth + 1) for item in value]
    return _text(value)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - the code of others; an object that cannot say its name costs no record
        return "<%s>" % type(value).__name__


def _shorten(value: object, limit: int) -> object:
    """A copy in which no string has more than about ``limit`` characters and no collection more than 64 items."""
    if isinstance(value, str):
        if len(value) <= limit:
            return value
        return "%s... (%d more characters)" % (value[:limit], len(value) - limit)
    if isinstance(value, dict):
        return {str(_shorten(key, limit)): _shorten(item, limit) for key, item in list(value.items())[:64]}
    if isinstance(value, list):
        return [_shorten(item, limit) for item in value[:64]]
    return value

"""The shape of a record: valid JSON whatever was put in, masked, never too long, and safe to read as text."""
import enum
import json
from typing import Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executioner_logging.record import FIELDS, LINE_BYTES, Record, json_line, record_of_error, text_line
from jobs.exceptions import StorageError
from jobs.masking import NO_SECRETS, Masker

AT = 1767225600.1234
FULL = Record(AT, "ERROR", "job_ended", "load: FAILED", run_id=42, job_id="load", attempt=2, application="nightly",
              error_code="E200", context={"exit_code": 3}, exception={"type": "X"})


def parsed(record: Record, masker: Masker = NO_SECRETS) -> Dict[str, object]:
    line = json_line(record, masker)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and len(line) <= LINE_BYTES
    found = json.loads(line.decode("utf-8"))
    assert isinstance(found, dict)
    assert [name for name in FIELDS if name in found] == list(found)
    return found


def test_all_fields() -> None:
    assert json_line(FULL) == (
        b'{"timestamp":"2026-01-01T00:00:00.123Z","level":"ERROR","logger":"executioner","event":"job_ended",'
        b'"message":"load: FAILED","run_id":42,"job_id":"load","attempt":2,"application":"nightly",'
        b'"error_code":"E200","context":{"exit_code":3},"exception":{"type":"X"}}\n')


def test_what_does_not_apply_is_left_out() -> None:
    assert list(parsed(Record(AT, "INFO", "notice", "hello"))) == ["timestamp", "level", "logger", "event", "message"]


class Colour(enum.IntEnum):
    RED = 1


class Nameless:
    def __str__(self) -> str:
        raise ValueError("no name")


@pytest.mark.parametrize("value,shown", [
    (float("nan"), "nan"), (float("inf"), "inf"),
    pytest.param(10 ** 5000, hex(10 ** 5000), id="huge"), (-(1 << 63), -(1 << 63)),
    (1 << 63, "0x8000000000000000"), (b"by\xfftes", "by\ufffdtes"), ({1: {2, 2}}, {"1": [2]}), ((1, "a"), [1, "a"]),
    ({None: None}, {"None": None}), (Colour.RED, 1), (Nameless(), "<Nameless>"), (True, True),
    (StorageError("full"), "full")])
def test_whatever_stands_in_the_context(value: object, shown: object) -> None:
    assert parsed(Record(AT, "INFO", "notice", "", context={"x": value}))["context"] == {"x": shown}


def test_a_circle_in_the_context_ends() -> None:
    circle: Dict[str, object] = {}
    circle["again"] = circle
    assert '"again":"..."' in json_line(Record(AT, "INFO", "notice", "", context=circle)).decode()


def test_surrogates_and_line_ends_stay_inside_the_line() -> None:
    found = parsed(Record(AT, "INFO", "notice", "a\nb\r\x1b[0m\udcff\u2028ä"))
    assert found["message"] == "a\nb\r\x1b[0m\udcff\u2028ä"


def test_secrets_are_masked_in_every_field_that_can_hold_one() -> None:
    secret = 'hunter"22'
    record = Record(AT, "INFO", "notice", "m " + secret, job_id="j" + secret, application="a" + secret,
                    context={"k" + secret: [secret, Nameless(), {"x": secret.encode()}]},
                    exception={"traceback": "t " + secret})
    found = parsed(record, Masker([secret]))
    assert found["message"] == "m ***" and found["job_id"] == "j***" and found["application"] == "a***"
    assert found["context"] == {"k***": ["***", "<Nameless>", {"x": "***"}]}
    assert found["exception"] == {"traceback": "t ***"}
    assert b"hunter" not in text_line(record, Masker([secret]))


def test_a_secret_that_is_the_name_of_a_field_does_not_break_the_shape() -> None:
    names = ["message", "WARNING", "timestamp"]
    found = parsed(Record(AT, "WARNING", "notice", " ".join(names)), Masker(names))
    assert found["level"] == "WARNING" and found["message"] == "*** *** ***"


@pytest.mark.parametrize("record", [
    Record(AT, "INFO", "notice", "x" * 100000),
    Record(AT, "INFO", "notice", "ä\x00" * 100000),
    Record(AT, "INFO", "notice", "short", context={"list": ["y" * 100] * 10000}),
    Record(AT, "INFO", "notice", "short", context={str(number) * 50: "y" for number in range(10000)}),
    Record(AT, "INFO", "notice", "short", exception={"traceback": "\n" * 100000}),
    Record(AT, "INFO", "notice", "short", context={"a": [["z" * 1000] * 100] * 100},
           exception={"b": [[["z" * 200] * 64] * 64]}),
])
def test_a_line_that_is_too_long_says_so(record: Record) -> None:
    found = parsed(record)
    whole = found.pop("truncated")
    assert isinstance(whole, int) and whole > LINE_BYTES
    assert str(found["message"])[:5] == record.message[:5]
    assert len(text_line(record)) <= LINE_BYTES
    text_line(record).decode("utf-8")


def test_a_line_that_just_fits_is_whole() -> None:
    bare = len(json_line(Record(AT, "INFO", "notice", "")))
    assert "truncated" not in parsed(Record(AT, "INFO", "notice", "x" * (LINE_BYTES - bare)))
    assert parsed(Record(AT, "INFO", "notice", "x" * (LINE_BYTES - bare + 1)))["truncated"] == LINE_BYTES + 1


def test_as_text() -> None:
    assert text_line(FULL) == (b'2026-01-01T00:00:00.123Z ERROR    run 42  load: FAILED [E200]  exit_code=3\n'
                               b"    {'type': 'X'}\n")
    assert text_line(Record(AT, "INFO", "notice", "ä\udcff", context={"path": "a b", "n": None})) == \
        '2026-01-01T00:00:00.123Z INFO     ä\\udcff  path="a b" n=null\n'.encode()


def test_no_text_of_others_can_pass_for_a_line_of_ours() -> None:
    forged = text_line(Record(AT, "INFO", "notice", "x\n2026-01-01T00:00:00.123Z ERROR forged\x1b[2J\r"))
    first, second, rest = forged.split(b"\n")
    assert second.startswith(b"    2026") and second.endswith(b"\\x1b[2J\\x0d") and rest == b""


def test_an_error_brings_its_code_its_facts_and_its_traceback() -> None:
    try:
        raise StorageError("disk full", context={"path": "/x"})
    except StorageError as error:
        record = record_of_error(error, AT, run_id=1)
    found = parsed(record)
    assert (found["error_code"], found["context"], found["message"]) == ("E400", {"path": "/x"}, "disk full")
    exception = found["exception"]
    assert isinstance(exception, dict)
    assert exception["type"] == "StorageError" and "test_log_record.py" in exception["traceback"]
    assert text_line(record).decode().count("\n    ") >= 2
    try:
        raise KeyError
    except KeyError as error:
        assert record_of_error(error, AT).message == "KeyError"


_json = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
                     lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
                     max_leaves=10)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.dictionaries(st.text(), _json, max_size=4), st.text(min_size=6, max_size=8))
@pytest.mark.slow
def test_any_record_is_one_line_of_json_and_one_of_text(message: str, context: Dict[str, object], secret: str) -> None:
    record = Record(AT, "INFO", "notice", message + secret, context=context)
    found = parsed(record, Masker([secret]))
    assert secret not in str(found["message"]).replace("***", "")
    assert text_line(record, Masker([secret])).endswith(b"\n")

"""Reading a configuration: whatever is wrong with a file is one clear problem with line and column."""
import os
from pathlib import Path
from typing import List, Optional, Tuple

import pytest

from config.loader import MAX_FILE_BYTES, Document, load, load_text
from config.positions import lines_and_columns, locate, without_comments


def told(document: Document) -> List[Tuple[int, int, str]]:
    """Line, column and code of each problem."""
    return [(problem.line, problem.column, problem.code) for problem in document.problems]


@pytest.mark.parametrize("text, expected", [
    ('{"a": 1}', {"a": 1}),
    ('{"a": 1,}', {"a": 1}),
    ('{"a": [1, 2, ], }', {"a": [1, 2]}),
    ('// first\n{"a": /* in between */ 1 // last\n}', {"a": 1}),
    ('{"a": "// no comment", "b": "/* nor this */", "c": ",]"}',
     {"a": "// no comment", "b": "/* nor this */", "c": ",]"}),
    ('{"a": "x\\"// y", /* , */ "b": [1, /* ] */ ]}', {"a": 'x"// y', "b": [1]}),
    ('/** stars **/ {"a": 1 /***/}', {"a": 1}),
    ('[1, // c\n 2, // d\n]', [1, 2]),
    ('{"a": 1e3, "b": -0.5, "c": 123456789012345678}', {"a": 1000.0, "b": -0.5, "c": 123456789012345678}),
    ('{"_a": [[[1]]], "b": "\\u00e9\\ud83d\\ude00"}', {"_a": [[[1]]], "b": "\u00e9\U0001f600"}),
])
def test_what_is_read(text: str, expected: object) -> None:
    document = load_text(text)
    assert document.value == expected
    assert not document.problems


@pytest.mark.parametrize("text, line, column, part", [
    ("", 1, 1, "the file is empty"),
    (" \n ", 1, 1, "the file is empty"),
    ("// nothing but this\n", 1, 1, "the file is empty"),
    ('{"a": }', 1, 7, 'expected a value, found "}"'),
    ('{"a": 1\n "b": 2}', 2, 2, 'expected a comma or the end of the list or object, found "b"'),
    ('{"a" 1}', 1, 6, 'expected a colon after the key, found "1"'),
    ("{'a': 1}", 1, 2, "expected a key in double quotes"),
    ('{"a": 1} x', 1, 10, "expected the end of the file"),
    ('{"a": "x\n"}', 1, 9, "a string must be on one line"),
    ('{"a": "x', 1, 7, "the string never ends"),
    ('{"a": "\\x"}', 1, 8, "there is no such escape"),
    ('{"a": "\\u12"}', 1, 8, "\\u needs four hexadecimal digits"),
    ('{"a": 1', 1, 8, "found the end of the file"),
    ("[1, 2", 1, 6, "found the end of the file"),
    ("[,]", 1, 2, 'expected a value'),
    ("{,}", 1, 2, "expected"),
    ("[1,,]", 1, 4, 'expected a value'),
    ('{"a":, }', 1, 6, "expected a value"),
    ('{\n  "a": 1, /* x\n "b": 2}', 2, 11, "the comment never ends"),
    ('{"a": 1, // c\n  "b" 2, }', 2, 7, "expected a colon"),
    ("{\"é\": 1,\n\"ü\": 'x'}", 2, 6, "expected a value"),
    ("tru", 1, 1, "expected a value"),
    ("[01]", 1, 3, "expected a comma"),
])
def test_what_is_no_json(text: str, line: int, column: int, part: str) -> None:
    document = load_text(text, "x.json")
    assert document.value is None
    assert told(document) == [(line, column, "E102")]
    assert part in str(document.problems[0]), document.problems[0]


@pytest.mark.parametrize("text, expected", [
    ('{"a": 1,\n "b": 2, "a": 3}', [(2, 10, "E110")]),
    ('{"x": {"a": 1, "a": 2},\n "y": [{"b": 1, "b": 2, "b": 3}]}', [(1, 16, "E110"), (2, 17, "E110"), (2, 25, "E110")]),
    ('{"a": 1, "\\u0061": 2}', [(1, 10, "E110")]),
    ('{"a": NaN, "b": [Infinity,\n-Infinity]}', [(1, 7, "E111"), (1, 18, "E111"), (2, 1, "E111")]),
    ('{"a": 1e999, "b": -1e999}', [(1, 7, "E111"), (1, 19, "E111")]),
    ('{"a": 1234567890123456789}', [(1, 7, "E111")]),
    ('{"a": ' + "9" * 5000 + "}", [(1, 7, "E111")]),
    ('{"a": "x\\u0000y"}', [(1, 7, "E113")]),
    ('{"a\\u0000": 1}', [(1, 2, "E113")]),
    ('{"a": "\\ud800"}', [(1, 7, "E113")]),
    ('{"a": "\\udc00\\ud800"}', [(1, 7, "E113")]),
    ('{"\\udfff": 1}', [(1, 2, "E113")]),
    ('{"_c": ' + "[" * 64 + "]" * 64 + "}", [(1, 71, "E112")]),
    ("null", [(1, 1, "E103")]),
    ('{"a": 1, "a": 1 /* comment */, }', [(1, 10, "E110")]),
])
def test_what_json_allows_and_we_do_not(text: str, expected: List[Tuple[int, int, str]]) -> None:
    assert told(load_text(text)) == expected


def test_nesting_up_to_the_limit_is_read() -> None:
    assert not load_text('{"_c": ' + "[" * 63 + "]" * 63 + "}").problems


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"_": '])
def test_a_hundred_thousand_brackets(opening: str) -> None:
    document = load_text(opening * 100000)
    assert document.value is None
    assert len(document.problems) == 1
    assert document.problems[0].code == "E112"
    assert document.problems[0].line == 1


def test_many_beginnings_of_comments_take_no_time() -> None:
    document = load_text("{" + "/* " * 200000)
    assert told(document) == [(1, 2, "E102")]


def test_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1, "a": 2}')
    assert told(load(str(path), True)) == [(1, 10, "E110")]


@pytest.mark.parametrize("data, line, column, part", [
    (b'{"a":\n "\xc3\xa9\xff"}', 2, 4, "byte 0xff"),
    (b"\xff\xfe{\x00}\x00", 1, 1, "UTF-16"),
    (b'{"a": "\xed\xa0\x80"}', 1, 8, "byte 0xed"),
    (b"\x80", 1, 1, "byte 0x80"),
])
def test_what_is_no_utf8(tmp_path: Path, data: bytes, line: int, column: int, part: str) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(data)
    document = load(str(path), True)
    assert told(document) == [(line, column, "E102")]
    assert part in str(document.problems[0])


def test_files_that_are_none(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(str(fifo))
    for path, part in ((str(tmp_path / "missing.json"), "No such file"), (str(tmp_path), "a folder"),
                       (str(fifo), "a pipe"), ("/dev/zero", "a device"), ("a\0b", "NUL"), ("\ud800.json", "")):
        document = load(path)
        assert told(document) == [(0, 0, "E101")], path
        text = str(document.problems[0])
        assert part in text and text.startswith(path + ": error E101 "), text


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with open(str(path), "wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    document = load(str(path))
    assert told(document) == [(0, 0, "E101")]
    assert "64 MiB" in document.problems[0].message


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("owner, mode, part", [
    (12345, 0o644, "the user with the number 12345"), (0, 0o646, "everybody may write"), (0, 0o664, "its group"),
    (0, 0o644, None), (0, 0o600, None),
])
def test_files_that_others_could_have_written(tmp_path: Path, owner: int, mode: int, part: Optional[str]) -> None:
    path = tmp_path / "c.json"
    path.write_text("{}")
    os.chmod(str(path), mode)
    os.chown(str(path), owner, -1)
    assert told(load(str(path), False)) == ([(0, 0, "E119")] if part else [])
    warned = load(str(path), None)
    assert told(warned) == ([(0, 0, "W119")] if part else [])
    assert all(problem.severity == "warning" and part and part in problem.message for problem in warned.problems)
    assert not load(str(path), True).problems


def test_comments_become_blanks_of_the_same_length() -> None:
    text = '{ // one\n "a": /* two\n lines */ [1,\n], "b//": "/*", }'
    plain, unfinished = without_comments(text)
    assert unfinished is None
    assert len(plain) == len(text)
    assert plain.count("\n") == text.count("\n")
    assert plain == '{       \n "a":       \n          [1 \n], "b//": "/*"  }'


def test_places_of_values_and_keys() -> None:
    text = '{\n "a": [1, {"b": "x"}],\n "c\\n": {"d": [[], [true]]},\n "a2": -1.5e3\n}'
    paths = {(), ("a",), ("a", 1), ("a", 1, "b"), ("c\n", "d", 1, 0), ("a2",), ("none",), ("a", 7)}
    places = locate(text, paths)
    at = {path: (text[value:value + 4], text[key:key + 3]) for path, (value, key) in places.items()}
    assert at == {
        (): ("{\n \"", '{\n '), ("a",): ("[1, ", '"a"'), ("a", 1): ('{"b"', '{"b'), ("a", 1, "b"): ('"x"}', '"b"'),
        ("c\n", "d", 1, 0): ("true", "tru"), ("a2",): ("-1.5", '"a2'),
    }
    lines = lines_and_columns(text, sorted(value for value, _ in places.values()))
    assert lines[places[("a", 1, "b")][0]] == (2, 17)
    assert lines[places[("a2",)][0]] == (4, 8)
    assert lines[0] == (1, 1)

"""The end of an output file: exact, safe, and without half a secret at its beginning."""
import os
from pathlib import Path

import pytest

from jobs.exceptions import StorageError
from jobs.masking import Masker
from jobs.tails import LINE_MOST, TAIL_BYTES, last_lines, read_tail, short_lines
from jobs.terminal_text import safe_text


def test_a_short_file_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"one\ntwo\n")
    assert read_tail(str(path)) == "one\ntwo\n"
    path.write_bytes(b"")
    assert read_tail(str(path)) == ""


def test_of_a_long_file_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"x" * 100000 + b"end")
    assert read_tail(str(path)) == "x" * (TAIL_BYTES - 3) + "end"
    assert read_tail(str(path), 5) == "xxend"


def test_what_is_no_utf8_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"a\xff\xfeb\xc3")
    assert read_tail(str(path)) == "a\ufffd\ufffdb\ufffd"


@pytest.mark.parametrize("count,shown", [(6, "ä漢"), (5, "ä漢"), (4, "漢"), (3, "漢"), (2, ""), (1, "")])
def test_the_cut_never_splits_a_character(tmp_path: Path, count: int, shown: str) -> None:
    path = tmp_path / "out"
    path.write_bytes("xä漢".encode())
    assert read_tail(str(path), count) == ("x" if count == 6 else "") + shown


def test_bytes_that_only_look_like_a_continuation_are_kept_after_three(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"\x80" * 10)
    assert read_tail(str(path), 8) == "\ufffd" * 5


@pytest.mark.parametrize("count", range(1, 30))
def test_a_secret_that_the_cut_goes_through_is_masked(tmp_path: Path, count: int) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"password: hunter22 end\n")
    tail = read_tail(str(path), count, Masker(["hunter22"]))
    assert tail == ("password: *** end\n" if count >= 23 else
                    "password: hunter22 end\n"[-count:].replace("hunter22", "***") if count >= 13 or count <= 5 else
                    "*** end\n")


@pytest.mark.parametrize("make", ["missing", "link", "folder", "fifo"])
def test_only_regular_files_are_read(tmp_path: Path, make: str) -> None:
    path = tmp_path / "out"
    if make == "link":
        (tmp_path / "other").write_bytes(b"private")
        path.symlink_to(tmp_path / "other")
    elif make == "folder":
        path.mkdir()
    elif make == "fifo":
        os.mkfifo(str(path))
    with pytest.raises(StorageError) as caught:
        read_tail(str(path))
    assert str(path) in caught.value.message


@pytest.mark.parametrize("text,count,shown", [
    ("a\nb\nc\n", 1, "c\n"), ("a\nb\nc\n", 2, "b\nc\n"), ("a\nb\nc", 1, "c"), ("a\nb\nc\n", 9, "a\nb\nc\n"),
    ("a\n\n", 1, "\n"), ("", 3, ""), ("\n", 1, "\n"), ("a\nb", 0, ""), ("abc", 1, "abc")])
def test_the_last_lines(text: str, count: int, shown: str) -> None:
    assert last_lines(text, count) == shown


def test_lines_for_people_are_short() -> None:
    assert short_lines("a\r\nb\nc\n", 2) == ["b", "c"]
    whole = "x" * LINE_MOST
    assert short_lines(whole + "\n", 3) == [whole]
    assert short_lines("first\n" + whole + "yyy\n", 3) == ["first", whole + " ... (3 more characters)"]


def test_what_a_terminal_shows_is_what_counts() -> None:
    for character in ("\0", "\x1b", "\x9b", "\u202e", "\t", "\u00fc"):
        (line,) = short_lines(character * 16384, 20)
        shown, _, remark = safe_text(line).partition(" ... ")
        assert LINE_MOST - 6 < len(shown) <= LINE_MOST
        kept = len(line.partition(" ... ")[0])
        assert remark == "(%d more characters)" % (16384 - kept)

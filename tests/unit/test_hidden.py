"""Where secrets stand in files is found across pieces, and hidden wherever a reader begins."""
import os
from pathlib import Path

import pytest

import jobs.hidden
from jobs.hidden import HiddenParts, leave_hidden
from jobs.masking import Masker

SECRET = "s3cret-value"


def shown(path: Path, count: int = 1 << 20, offset: int = 0) -> bytes:
    """What a reader gets."""
    return HiddenParts(str(path)).masked(path.read_bytes()[offset:offset + count], offset)


def test_every_place_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (b"a" * 7 + SECRET.encode() + b"\n") * 9 + SECRET.encode()
    file = tmp_path / "j.1.out"
    for piece in (1, 5, 13, 20, 1 << 20):
        monkeypatch.setattr(jobs.hidden, "_PIECE", piece)
        file.write_bytes(data)
        leave_hidden(str(tmp_path), Masker([SECRET]))
        assert shown(file) == data.replace(SECRET.encode(), b"***")
    for size in range(1, len(data)):
        assert b"".join(shown(file, size, offset) for offset in range(0, len(data), size)) == shown(file)


def test_encoded_forms_and_two_that_touch(tmp_path: Path) -> None:
    import base64
    file = tmp_path / "j.1.err"
    file.write_bytes(SECRET.encode() * 2 + b" " + base64.b64encode(SECRET.encode()) + b" end")
    leave_hidden(str(tmp_path), Masker([SECRET]))
    assert shown(file) == b"****** *** end"


def test_too_many_places_hide_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.hidden, "_MOST_PARTS", 3)
    file = tmp_path / "j.1.out"
    file.write_bytes((SECRET + "\n").encode() * 8)
    leave_hidden(str(tmp_path), Masker([SECRET]))
    assert SECRET.encode() not in shown(file) and shown(file) == b"***\n" * 3 + b"***"


def test_only_regular_files_are_looked_into(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.write_text(SECRET)
    os.symlink(str(other), str(tmp_path / "j.1.out"))
    os.mkfifo(str(tmp_path / "k.1.out"))
    leave_hidden(str(tmp_path), Masker([SECRET]))
    assert not (tmp_path / "masked.json").exists()


def test_bytes_that_are_no_text_are_found(tmp_path: Path) -> None:
    file = tmp_path / "j.1.out"
    file.write_bytes(b"x \xff\xfesecret y")
    leave_hidden(str(tmp_path), Masker([b"\xff\xfesecret".decode("utf-8", "surrogateescape"), "\ud800abcdef"]))
    assert shown(file) == b"x *** y"

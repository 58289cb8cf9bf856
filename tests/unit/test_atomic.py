"""A file is replaced whole or not at all, and never through a link."""
import os
import stat
from pathlib import Path

import pytest

from jobs.atomic import write_atomically
from jobs.exceptions import StorageError


def mode_of(path: Path) -> int:
    return stat.S_IMODE(os.stat(str(path)).st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_content_and_mode_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(str(tmp_path / "private"), b"a" * 100000)
        write_atomically(str(tmp_path / "public"), b"b", 0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "private").read_bytes() == b"a" * 100000
    assert (mode_of(tmp_path / "private"), mode_of(tmp_path / "public")) == (0o600, 0o644)
    assert sorted(os.listdir(str(tmp_path))) == ["private", "public"]


def test_a_reader_of_the_old_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_atomically(str(path), b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_planted_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    path = tmp_path / "file"
    path.symlink_to(victim)
    write_atomically(str(path), b"new")
    assert victim.read_bytes() == b"untouched"
    assert not path.is_symlink() and path.read_bytes() == b"new"


def test_a_failure_names_the_path_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "missing" / "file", Path(str(tmp_path) + "/")):
        with pytest.raises(StorageError) as caught:
            write_atomically(str(path) if path != tmp_path else str(path) + "/", b"x")
        assert caught.value.message.startswith("cannot write %s" % path)
    assert os.listdir(str(tmp_path)) == ["folder"]


def test_a_name_without_folder_lies_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_atomically("name", b"x")
    assert (tmp_path / "name").read_bytes() == b"x"

"""The log file: whole lines from many processes, rotated by anybody, private, and never the reason of a failure."""
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from executioner_logging.record import Record
from executioner_logging.writer import LogWriter
from jobs.masking import Masker

ROOT = str(Path(__file__).resolve().parent.parent.parent)
AT = 1767225600.0


def note(message: str, level: str = "INFO") -> Record:
    return Record(AT, level, "notice", message)


def messages(*paths: Path) -> List[str]:
    return [json.loads(line)["message"] for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "executioner.jsonl"


def writer_to(path: Path, **more: object) -> LogWriter:
    return LogWriter(str(path), **more)  # type: ignore[arg-type]


def test_lines_are_appended(path: Path) -> None:
    path.write_text('{"message":"old"}\n')
    writer = writer_to(path)
    writer.write([note("a"), note("b")])
    writer.write([])
    writer.close()
    writer.write([note("c")])
    assert messages(path) == ["old", "a", "b", "c"]
    assert (writer.lost, writer.problem) == (0, "")


def test_levels(path: Path) -> None:
    writer = writer_to(path, level="warning")
    writer.write([note("a", "DEBUG"), note("b", "INFO"), note("c", "WARNING"), note("d", "ERROR"), note("e", "ODD")])
    assert messages(path) == ["c", "d", "e"]
    assert writer.wants("ERROR") and not writer.wants("INFO")


def test_text_and_secrets(path: Path) -> None:
    writer_to(path, text=True, masker=Masker(["hunter22"])).write([note("login hunter22\n\x1b[0m")])
    assert path.read_bytes() == b"2026-01-01T00:00:00.000Z INFO     login ***\n    \\x1b[0m\n"


@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_the_file_is_private_whatever_the_umask_but_stays_as_the_admin_made_it(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        writer = writer_to(path)
        writer.write([note("a")])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        os.chmod(str(path), 0o640)
        writer.close()
        writer.write([note("b")])
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(before)


def test_logrotate_by_renaming(path: Path, tmp_path: Path) -> None:
    writer = writer_to(path)
    writer.write([note("a")])
    path.rename(tmp_path / "moved")
    writer.write([note("b")])
    path.unlink()
    writer.write([note("c")])
    path.rename(tmp_path / "moved again")
    path.write_bytes(b"")
    writer.write([note("d")])
    assert messages(tmp_path / "moved", tmp_path / "moved again", path) == ["a", "c", "d"]


def test_logrotate_with_copytruncate(path: Path) -> None:
    writer = writer_to(path)
    writer.write([note("a" * 100)])
    os.truncate(str(path), 0)
    writer.write([note("b")])
    assert messages(path) == ["b"]


def test_rotation_by_size(path: Path, tmp_path: Path) -> None:
    writer = writer_to(path, max_bytes=1000, kept_files=3)
    for number in range(60):
        writer.write([note("%04d" % number)])
    files = [tmp_path / ("executioner.jsonl.%d" % number) for number in (3, 2, 1)] + [path]
    assert sorted(os.listdir(str(tmp_path))) == sorted(["executioner.jsonl.lock"] + [file.name for file in files])
    assert all(0 < file.stat().st_size <= 1000 for file in files)
    found = messages(*files)
    assert found == ["%04d" % number for number in range(60 - len(found), 60)]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert writer.lost == 0


def test_a_line_longer_than_a_file_may_be_is_written_all_the_same(path: Path) -> None:
    writer = writer_to(path, max_bytes=100, kept_files=1)
    writer.write([note("x" * 500)])
    assert not os.path.exists(str(path) + ".1")
    writer.write([note("y" * 500)])
    assert messages(path) == ["y" * 500]


def test_who_finds_the_file_rotated_by_another_does_not_rotate_it_again(path: Path, tmp_path: Path) -> None:
    other = writer_to(path, max_bytes=300)

    class Late(LogWriter):
        def _rotate(self) -> None:
            other.write([note("c")])
            super()._rotate()

    writer = Late(str(path), max_bytes=300)
    writer.write([note("a"), note("b")])
    writer.write([note("d")])
    assert messages(Path(str(path) + ".1")) == ["a", "b"] and messages(path) == ["c", "d"]


def test_of_many_processes_no_line_is_lost_or_mixed(path: Path, tmp_path: Path) -> None:
    code = """
import sys
sys.path.insert(0, %r)
from executioner_logging.writer import LogWriter
from executioner_logging.record import Record
writer = LogWriter(sys.argv[1], max_bytes=100000, kept_files=90, report=lambda text: sys.exit(text))
for number in range(600):
    writer.write([Record(0.0, "INFO", "notice", "%%s.%%d %%s" %% (sys.argv[2], number, "x" * (number * 7 %% 3000)))])
""" % ROOT
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name], stderr=subprocess.PIPE)
               for name in "abcd"]
    assert [process.communicate()[1] for process in writers] == [b""] * 4
    files = [file for file in tmp_path.iterdir() if file.name != "executioner.jsonl.lock"]
    assert len(files) > 10
    seen: Dict[str, List[int]] = {}
    order = sorted(files, key=lambda file: -int(file.suffix[1:]) if file.suffix[1:].isdigit() else 0)
    for message in messages(*order):
        name, number = message.split()[0].split(".")
        seen.setdefault(name, []).append(int(number))
    assert {name: sorted(numbers) for name, numbers in seen.items()} == {name: list(range(600)) for name in "abcd"}
    # A writer that a rotation overtakes puts a line at the end of the older file: no earlier than that.
    assert all(numbers == sorted(numbers) for numbers in seen.values())


def test_many_records_go_out_in_pieces_of_64_kib(path: Path) -> None:
    writer = writer_to(path)
    writer.write([note("%05d %s" % (number, "y" * (number % 900))) for number in range(3000)])
    assert [message[:5] for message in messages(path)] == ["%05d" % number for number in range(3000)]


def test_a_longest_line_goes_out_whole(path: Path) -> None:
    writer_to(path).write([note("a"), note("z" * 200000), note("b")])
    found = messages(path)
    assert (found[0], found[2]) == ("a", "b") and found[1].startswith("zzz") and "more characters" in found[1]


@pytest.mark.parametrize("make", ["link", "folder", "fifo", "no folder"])
def test_what_is_no_log_file_is_refused_said_once_and_counted(path: Path, tmp_path: Path, make: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    if make == "link":
        path.symlink_to(victim)
    elif make == "folder":
        path.mkdir()
    elif make == "fifo":
        os.mkfifo(str(path))
    else:
        path = tmp_path / "missing" / "log"
    said: List[str] = []
    writer = writer_to(path, report=said.append)
    for _ in range(3):
        writer.write([note("a"), note("b")])
    assert writer.lost == 6
    assert len(said) == 1 and str(path) in said[0] and "\n" not in said[0]
    assert victim.read_bytes() == b"untouched"


def test_when_it_works_again_the_gap_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    path = folder / "log"
    writer = writer_to(path)
    writer.write([note("a"), note("b")])
    writer.write([note("c")])
    folder.mkdir()
    writer.write([note("d")])
    writer.write([note("e")])
    found = messages(path)
    assert found[0].startswith("3 log lines could not be written: cannot open %s" % path)
    assert found[1:] == ["d", "e"]
    assert json.loads(path.read_text().splitlines()[0])["context"] == {"lost": 3}
    assert writer.lost == 3
    shutil.rmtree(str(folder))
    writer.write([note("f")])
    folder.mkdir()
    writer.write([note("g")])
    assert messages(path)[0].startswith("1 log lines") and writer.lost == 4


def test_a_disk_that_fills_up_in_the_middle_of_a_line(path: Path) -> None:
    """The limit of a file's size stands for a full disk: a part of the bytes goes in, then none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    writer = writer_to(path)
    writer.write([note("first")])
    size = path.stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size * 2 + 20, hard))
        writer.write([note("secon"), note("third"), note("forth")])
        assert writer.lost == 2 and path.stat().st_size == size * 2 + 20
        writer.write([note("fifth")])
        assert writer.lost == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    writer.write([note("sixth")])
    lines = path.read_bytes().splitlines()
    assert [json.loads(line.decode())["message"] for line in lines[:2]] == ["first", "secon"]
    assert len(lines[2]) == 20
    assert json.loads(lines[3].decode())["context"] == {"lost": 3}
    assert [json.loads(line.decode())["message"] for line in lines[4:]] == ["sixth"]


def test_a_rotation_that_fails_loses_no_line(path: Path) -> None:
    os.mkdir(str(path) + ".1")
    said: List[str] = []
    writer = writer_to(path, max_bytes=100, kept_files=1, report=said.append)
    for name in "abc":
        writer.write([note(name)])
    assert messages(path) == ["a", "b", "c"]
    assert writer.lost == 0 and len(said) == 1 and "cannot rotate" in said[0]


def test_a_child_does_not_inherit_the_file(path: Path) -> None:
    writer = writer_to(path)
    writer.write([note("a")])
    out = subprocess.check_output(["ls", "-l", "/proc/self/fd"], close_fds=False)
    assert os.fsencode(str(path)) not in out


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_utf8_whatever_the_locale(path: Path, locale: str) -> None:
    code = ("import sys; sys.path.insert(0, %r)\nfrom executioner_logging.writer import LogWriter\n"
            "from executioner_logging.record import Record\n"
            "LogWriter(sys.argv[1]).write([Record(0.0, 'INFO', 'notice', '\\xe4\\u6f22' + sys.argv[2])])" % ROOT)
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.check_call([os.fsencode(sys.executable), b"-c", code.encode(), os.fsencode(str(path)), b"\xff"],
                          env=environment)
    assert path.read_bytes().endswith('"message":"ä漢\\udcff"}\n'.encode())

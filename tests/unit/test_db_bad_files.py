"""What is no history of ours, or a damaged one, is refused in one clear line, and not a byte of it is changed."""
import os
import random
import shutil
import sqlite3
import stat
import struct
import subprocess
import sys
from typing import Callable, Dict, Iterator, List

import db_samples as sample
import pytest

from db.history import History
from db.migrations import MIGRATIONS
from jobs.exceptions import DatabaseError, MigrationError, StorageError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: "pytest.TempPathFactory") -> Iterator[str]:
    """A small, sound history with one run."""
    path = str(tmp_path_factory.mktemp("whole") / "history.db")
    with History.open(path) as history:
        sample.finished_run(history, 1)
    yield path


@pytest.fixture
def path(tmp_path: object) -> str:
    return "%s/history.db" % tmp_path


def refusals(path: str) -> List[StorageError]:
    """The errors of opening a file for reading and for writing; both must refuse."""
    caught = []
    for readonly in (True, False):
        with pytest.raises(StorageError) as error:
            History.open(path, readonly=readonly, lock_timeout_s=0.2).close()
        assert "\n" not in error.value.message
        assert os.path.dirname(path) in error.value.message
        caught.append(error.value)
    return caught


def use(path: str, readonly: bool) -> None:
    """Open a history and read whatever there is, as ``runs`` and ``show`` do."""
    with History.open(path, readonly=readonly, lock_timeout_s=0.2) as history:
        history.home_uuid()
        for application in history.applications():
            history.last_finished(application)
            history.usual_durations(application)
        for run in history.runs():
            history.configuration(run.config_hash)
            history.jobs(run.run_id)
            history.attempts(run.run_id)
            history.events(run.run_id)


def write_bytes(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def foreign(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (run_id INTEGER)")
    connection.commit()
    connection.close()


def foreign_in_wal_mode(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE runs (run_id INTEGER)")
    connection.commit()
    # Killed without a close: the log stays, and whoever opens the file as his own would copy it in.
    for ending in ("", "-wal"):
        shutil.copyfile(path + ending, path + ".kept" + ending)
    connection.close()
    for ending in ("", "-wal"):
        os.rename(path + ".kept" + ending, path + ending)


def ours_without_tables(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id=%d" % 0x45584543)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()


CONTENTS: Dict[str, Callable[[str], None]] = {
    "empty": lambda path: write_bytes(path, b""),
    "one byte": lambda path: write_bytes(path, b"S"),
    "text": lambda path: write_bytes(path, b"this is a diary, and no database\n" * 300),
    "short text": lambda path: write_bytes(path, b"hello\n"),
    "zeros": lambda path: write_bytes(path, b"\0" * 8192),
    "only the magic": lambda path: write_bytes(path, b"SQLite format 3\0"),
    "magic and noise": lambda path: write_bytes(path, b"SQLite format 3\0" + bytes(range(256)) * 40),
    "foreign": foreign,
    "foreign in WAL mode": foreign_in_wal_mode,
    "ours without tables": ours_without_tables,
}
CAUSES = {"empty": "not_a_database", "text": "not_a_database", "zeros": "not_a_database",
          "short text": "not_a_database",
          "foreign": "foreign", "foreign in WAL mode": "foreign", "magic and noise": "foreign",
          "one byte": "malformed", "only the magic": "malformed", "ours without tables": "malformed"}


@pytest.mark.parametrize("kind", sorted(CONTENTS))
def test_what_is_no_history_is_refused_and_left(path: str, kind: str) -> None:
    CONTENTS[kind](path)
    before = {name: sample.digest(os.path.join(os.path.dirname(path), name))
              for name in sample.names(os.path.dirname(path))}
    mode = os.stat(path).st_mode
    for error in refusals(path):
        assert error.context["cause"] == CAUSES[kind]
        assert path in error.message
    assert {name: sample.digest(os.path.join(os.path.dirname(path), name)) for name in before} == before
    assert os.stat(path).st_mode == mode
    assert not set(sample.names(os.path.dirname(path))) - set(before) - {"history.lock"}


@pytest.mark.parametrize("make, found", [
    (os.mkdir, "a folder"), (os.mkfifo, "a FIFO"), (lambda path: os.symlink("/etc/passwd", path), "a symbolic link"),
    (lambda path: os.symlink("nowhere", path), "a symbolic link"),
])
def test_what_is_no_file_is_refused(path: str, make: Callable[[str], None], found: str) -> None:
    make(path)
    kind = stat.S_IFMT(os.lstat(path).st_mode)
    for error in refusals(path):
        assert error.context["cause"] == "not_a_file"
        assert "expected a regular file, found " + found in error.message
    assert stat.S_IFMT(os.lstat(path).st_mode) == kind


def test_a_link_to_a_sound_history_is_refused_too(path: str, whole: str) -> None:
    os.symlink(whole, path)
    refusals(path)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("elsewhere", path)])
def test_a_lock_file_that_is_none(path: str, make: Callable[[str], None]) -> None:
    make(path[:-3] + ".lock")
    with pytest.raises(StorageError) as caught:
        History.open(path)
    assert "history.lock" in caught.value.message and "\n" not in caught.value.message
    assert not os.path.exists(path) and not os.path.exists(os.path.dirname(path) + "/elsewhere")


def test_nothing_there(path: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        History.open(path, readonly=True)
    assert caught.value.context["cause"] == "missing"
    assert sample.names(os.path.dirname(path)) == []


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_log_without_its_database(path: str, ending: str) -> None:
    write_bytes(path + ending, b"somebody's last hour")
    for error in refusals(path):
        assert error.context["cause"] == "cannot_open"
        assert "only its log %s is there" % (path + ending) in error.message
    assert not os.path.exists(path)
    with open(path + ending, "rb") as log:
        assert log.read() == b"somebody's last hour"


@pytest.mark.parametrize("place", ["no/such/folder/history.db", "file/history.db", "nul\0/history.db", "x" * 300])
def test_a_place_where_nothing_can_be(tmp_path: object, place: str) -> None:
    write_bytes("%s/file" % tmp_path, b"")
    path = "%s/%s" % (tmp_path, place)
    for readonly in (True, False):
        with pytest.raises(StorageError) as caught:
            History.open(path, readonly)
        assert "\n" not in caught.value.message


def test_cut_at_any_length(path: str, whole: str) -> None:
    size = os.path.getsize(whole)
    assert size > 20 * 4096
    for left in list(range(0, size, 512)) + [1, 15, 16, 99, 100, 101, size - 1]:
        shutil.copyfile(whole, path)
        os.truncate(path, left)
        before = sample.digest(path)
        refusals(path)
        assert sample.digest(path) == before, left


def flip(path: str, whole: str, chance: random.Random, header_bits: int, others: int) -> int:
    """Use the history with one bit flipped, many times over; how often that was refused."""
    with open(whole, "rb") as content:
        sound = content.read()
    bits = chance.sample(range(100 * 8), header_bits) + [chance.randrange(len(sound) * 8) for _ in range(others)]
    refused = 0
    for bit in bits:
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        write_bytes(path, bytes(damaged))
        for readonly in (True, False):
            try:
                use(path, readonly)
            except StorageError as error:
                refused += 1
                assert "\n" not in error.message and path in error.message
        with open(path, "rb") as content:
            assert content.read() == bytes(damaged), bit
    return refused


def test_some_flipped_bits_are_harmless(path: str, whole: str) -> None:
    """Not every flip can be seen (SQLite keeps no checksums), but none makes a traceback or a change."""
    assert flip(path, whole, random.Random(1), 60, 60) > 30


@pytest.mark.slow
def test_any_flipped_bit_is_harmless(path: str, whole: str) -> None:
    assert flip(path, whole, random.Random(2), 800, 2000) > 700


@pytest.mark.slow
def test_flips_that_no_check_at_the_start_finds(path: str, whole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file is not read through at every start: what is wrong with it comes out when it is used."""
    monkeypatch.setattr("db.sqlite_adapter.SMALL_BYTES", 0)
    assert flip(path, whole, random.Random(3), 800, 2000) > 400


def test_noise_all_over_a_page(path: str, whole: str) -> None:
    chance = random.Random(7)
    pages = os.path.getsize(whole) // 4096
    for page in range(pages):
        shutil.copyfile(whole, path)
        with open(path, "r+b") as file:
            file.seek(page * 4096)
            file.write(bytes(chance.randrange(256) for _ in range(4096)))
        before = sample.digest(path)
        refusals(path)
        assert sample.digest(path) == before


def test_a_value_that_cannot_be_is_damage_not_a_bug(path: str, whole: str) -> None:
    for statement, read in (
            ("UPDATE runs SET status = 'RUNNNG'", lambda history: history.runs()),
            ("UPDATE runs SET options = '{'", lambda history: history.run(1)),
            ("UPDATE runs SET options = '[]'", lambda history: history.run(1)),
            ("UPDATE attempts SET survivors = 'x'", lambda history: history.attempts(1)),
            ("INSERT INTO events (run_id, at, kind, who, why, details) VALUES (1, 1, '', '', '', 'x')",
             lambda history: history.events(1)),
            ("DELETE FROM meta", lambda history: history.home_uuid()),
            ("UPDATE runs SET reason = CAST(x'ff' AS TEXT)", lambda history: history.runs())):
        shutil.copyfile(whole, path)
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.commit()
        connection.close()
        with History.open(path, readonly=True) as history:
            with pytest.raises(DatabaseError) as caught:
                read(history)
        assert caught.value.context["cause"] == "malformed", statement
        assert "\n" not in caught.value.message and path in caught.value.message


def test_a_newer_schema(path: str, whole: str) -> None:
    shutil.copyfile(whole, path)
    known = MIGRATIONS[-1].version
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO schema_version VALUES (?, 'later', 'x', 1.0)", (known + 2,))
    connection.commit()
    connection.close()
    before = sample.digest(path)
    for error in refusals(path):
        assert isinstance(error, MigrationError)
        assert error.message == ("%s was written by a newer executioner (schema %d, this one knows %d); install that "
                                 "version, or choose another --home" % (path, known + 2, known))
    assert sample.digest(path) == before


def test_a_changed_migration(path: str, whole: str) -> None:
    shutil.copyfile(whole, path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE schema_version SET checksum = 'other'")
    connection.commit()
    connection.close()
    before = sample.digest(path)
    for error in refusals(path):
        assert isinstance(error, MigrationError)
    assert sample.digest(path) == before


def test_a_history_that_is_still_in_use_is_not_taken_for_a_short_one(path: str) -> None:
    """Its last pages may be in the log alone."""
    with History.open(path) as history:
        for number in range(20):
            sample.finished_run(history, number, jobs=20)
        program = ("import sys; sys.path.insert(0, %r); from db.history import History; "
                   "print(len(History.open(%r, readonly=True).runs(limit=100)))") % (ROOT, path)
        assert subprocess.check_output([sys.executable, "-c", program]).strip() == b"20"
        with History.open(path) as second:
            assert len(second.runs(limit=100)) == 20


@pytest.mark.parametrize("versions", [b"\0\2", b"\2\0", b"\2\1", b"\1\2", b"\3\2", b"\2\3"])
def test_a_header_of_no_known_format(path: str, whole: str, versions: bytes) -> None:
    """SQLite reads some of these, and would turn the file into another kind when it is written."""
    shutil.copyfile(whole, path)
    with open(path, "r+b") as file:
        file.seek(18)
        file.write(versions)
    before = sample.digest(path)
    for error in refusals(path):
        assert error.context["cause"] == "malformed"
    assert sample.digest(path) == before


def test_a_header_that_lies_about_its_length(path: str, whole: str) -> None:
    shutil.copyfile(whole, path)
    with open(path, "r+b") as file:
        file.seek(28)
        pages, = struct.unpack(">I", file.read(4))
        file.seek(28)
        file.write(struct.pack(">I", pages + 1))
    for error in refusals(path):
        assert error.context["cause"] == "malformed"
        assert "expected %d bytes, found %d" % ((pages + 1) * 4096, pages * 4096) in error.message


# ---- as another user: root may write everywhere --------------------------------------------------------------------

AS_NOBODY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from db.history import History
import db_samples as sample
from jobs.exceptions import StorageError
readonly = sys.argv[3] == "ro"
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with History.open(sys.argv[2], readonly=readonly, lock_timeout_s=0.2) as history:
        if not readonly:
            sample.finished_run(history, 2)
        print("runs", len(history.runs()))
except StorageError as error:
    print(error.context.get("cause"), error.message)
"""


def as_nobody(path: str, how: str) -> str:
    """What a user without rights of his own sees."""
    environment = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "tests"))
    return subprocess.check_output([sys.executable, "-c", AS_NOBODY, ROOT, path, how], env=environment,
                                   stderr=subprocess.STDOUT).decode().strip()


@pytest.fixture
def guarded(tmp_path_factory: "pytest.TempPathFactory", whole: str) -> Iterator[str]:
    """A sound history in a folder that everybody can reach, with nothing open for nobody."""
    import tempfile
    folder = tempfile.mkdtemp(dir="/var/tmp")
    os.chmod(folder, 0o755)
    shutil.copyfile(whole, folder + "/history.db")
    os.chmod(folder + "/history.db", 0o644)
    yield folder + "/history.db"
    os.chmod(folder, 0o755)
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_written_can_be_read(guarded: str) -> None:
    os.chmod(os.path.dirname(guarded), 0o555)
    before = sample.digest(guarded)
    assert as_nobody(guarded, "ro") == "runs 1"
    said = as_nobody(guarded, "rw")
    assert said.startswith("readonly %s: the database cannot be written (no right to write" % guarded)
    assert sample.digest(guarded) == before
    assert sample.names(os.path.dirname(guarded)) == ["history.db"]


def test_a_log_that_cannot_be_shared_is_said(guarded: str) -> None:
    shutil.copyfile(guarded, guarded + ".away")
    with History.open(guarded) as history:
        sample.finished_run(history, 2)
        log = guarded + "-wal"
        shutil.copyfile(log, log + ".kept")
    os.rename(guarded + ".away", guarded)
    os.chmod(guarded, 0o644)
    os.rename(log + ".kept", log)
    os.chmod(log, 0o644)
    os.chmod(os.path.dirname(guarded), 0o555)
    said = as_nobody(guarded, "ro")
    assert said.startswith("cannot_open %s" % guarded) and "its log is there too" in said


def test_a_file_that_cannot_be_written_in_a_folder_that_can(guarded: str) -> None:
    os.chmod(guarded, 0o444)
    os.chmod(os.path.dirname(guarded), 0o777)
    before = sample.digest(guarded)
    assert as_nobody(guarded, "rw").startswith("readonly %s: the database cannot be written" % guarded)
    assert as_nobody(guarded, "ro") == "runs 1"
    assert sample.digest(guarded) == before


def test_a_file_that_cannot_be_read(guarded: str) -> None:
    os.chmod(guarded, 0o000)
    for how in ("ro", "rw"):
        said = as_nobody(guarded, how)
        assert said.split()[0] in ("cannot_open", "readonly") and guarded in said


def test_no_right_to_make_one(guarded: str) -> None:
    os.unlink(guarded)
    os.chmod(os.path.dirname(guarded), 0o555)
    assert as_nobody(guarded, "rw").startswith("readonly %s: the database cannot be written (no right" % guarded)
    assert sample.names(os.path.dirname(guarded)) == []

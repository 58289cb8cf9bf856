"""What only the SQLite adapter does: where it may live, who may write, copies, and errors in words."""
import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import time
from typing import Callable, Iterator, List, Tuple

import db_samples as sample
import pytest

from db import sqlite_file
from db.history import History
from db.migration import Migration, apply_pending
from db.migrations import MIGRATIONS
from db.sqlite_adapter import SQLiteAdapter
from db.sqlite_errors import translated
from db.sqlite_file import is_left_from_before_boot, network_file_system
from db.writer_lock import WriterLock, lock_path
from jobs.exceptions import DatabaseError, InternalError, MigrationError, StorageError


@pytest.fixture
def path(tmp_path: object) -> str:
    return "%s/history.db" % tmp_path


@pytest.fixture
def adapter(path: str) -> Iterator[SQLiteAdapter]:
    History.open(path).close()
    opened = SQLiteAdapter(path, lock_timeout_s=0.2)
    yield opened
    opened.close()


# ---- where it may live ---------------------------------------------------------------------------------------------


def mount_table(folder: str, kind: str) -> str:
    """A list of mounts in which the file system of the folder is of some kind."""
    device = os.stat(folder).st_dev
    table = folder + "/mountinfo"
    with open(table, "w") as lines:
        lines.write("21 1 0:999999 / /other rw - nfs4 elsewhere:/x rw\n"
                    "22 1 %d:%d / /some\\040where rw,relatime shared:1 master:2 - %s host:/export rw,vers=4.2\n"
                    % (os.major(device), os.minor(device), kind))
    return table


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "fuse.ceph", "glusterfs",
                                  "fuse.glusterfs", "lustre", "afs", "gpfs", "ocfs2", "fuse.s3fs"])
def test_network_file_systems_are_known(tmp_path: object, kind: str) -> None:
    assert network_file_system(str(tmp_path), mount_table(str(tmp_path), kind)) == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.ntfs-3g", "fuse",
                                  "nfsd"])
def test_local_file_systems_are_not_taken_for_them(tmp_path: object, kind: str) -> None:
    assert network_file_system(str(tmp_path), mount_table(str(tmp_path), kind)) is None


def test_where_nobody_can_say_it_is_local(tmp_path: object) -> None:
    folder = str(tmp_path)
    assert network_file_system(folder, folder + "/none") is None
    assert network_file_system(folder + "/none", mount_table(folder, "nfs")) is None
    for line in (b"", b"\n", b"garbage\n", b"22 1 8:1 - \n", b" - nfs x\n"):
        with open(folder + "/odd", "wb") as table:
            table.write(line)
        assert network_file_system(folder, folder + "/odd") is None
    assert network_file_system(folder) is None


@pytest.fixture
def on_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.sqlite_adapter.network_file_system", lambda folder: "nfs4")


def test_a_network_file_system_is_refused(path: str, on_nfs: None) -> None:
    for readonly in (True, False):
        with pytest.raises(DatabaseError) as caught:
            History.open(path, readonly)
        assert caught.value.context["cause"] == "network_fs"
        assert caught.value.message == (
            "%s: it lies on a network file system, whose locks cannot be trusted (nfs4); choose a --home on a local "
            "disk, or pass --allow-network-fs" % path)
    assert sample.names(os.path.dirname(path)) == []


def test_who_insists_gets_a_rollback_journal(path: str, on_nfs: None) -> None:
    with History.open(path, allow_network_fs=True) as history:
        run_id = sample.finished_run(history, 1)
        assert history._database.fetchone("PRAGMA journal_mode") == ("delete",)
        assert history._database.fetchone("PRAGMA synchronous") == (3,)
        assert sample.names(os.path.dirname(path)) == ["history.db", "history.lock"]
        with History.open(path, readonly=True, allow_network_fs=True) as reader:
            assert reader.run(run_id) is not None


def test_a_history_can_move_between_the_two(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with History.open(path) as history:
        sample.finished_run(history, 1)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("db.sqlite_adapter.network_file_system", lambda folder: "nfs4")
        with History.open(path, allow_network_fs=True) as history:
            sample.finished_run(history, 2)
            assert history._database.fetchone("PRAGMA journal_mode") == ("delete",)
    with History.open(path) as history:
        assert history._database.fetchone("PRAGMA journal_mode") == ("wal",)
        assert len(history.runs()) == 2


# ---- one writer at a time ------------------------------------------------------------------------------------------


def test_the_lock_file_lies_beside_the_database() -> None:
    assert lock_path("/home/history.db") == "/home/history.lock"
    assert lock_path("/home/history.lock") == "/home/history.lock.lock"
    assert lock_path("/home.db/history") == "/home.db/history.lock"


def is_locked(path: str) -> bool:
    """Whether somebody holds the writer's lock."""
    descriptor = os.open(lock_path(path), os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def test_every_write_holds_the_lock_and_nothing_else_does(adapter: SQLiteAdapter, path: str) -> None:
    adapter.fetchall("SELECT * FROM runs")
    assert not is_locked(path)
    with adapter.transaction():
        assert is_locked(path)
        assert adapter.fetchone("SELECT 1") == (1,)
    assert not is_locked(path)
    with adapter.exclusive():
        assert is_locked(path)
    assert not is_locked(path)
    with pytest.raises(DatabaseError):
        with adapter.transaction():
            adapter.execute("INSERT INTO nowhere VALUES (1)")
    assert not is_locked(path)


def test_a_transaction_writes_from_its_beginning(adapter: SQLiteAdapter, path: str) -> None:
    """BEGIN IMMEDIATE: a deferred one fails at once when another writes between its reading and its writing."""
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    with adapter.transaction():
        with pytest.raises(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseError) as caught:
        with adapter.transaction():
            pass
    assert caught.value.context["cause"] == "locked"
    assert not adapter.in_transaction and not is_locked(path)
    other.execute("ROLLBACK")
    other.close()
    with adapter.transaction():
        adapter.execute("DELETE FROM events")


def test_readers_are_not_in_the_way_of_a_writer_nor_it_of_them(adapter: SQLiteAdapter, path: str) -> None:
    reader = SQLiteAdapter(path, readonly=True)
    with adapter.transaction():
        adapter.execute("INSERT INTO meta VALUES ('a', 'b')")
        assert reader.fetchone("SELECT value FROM meta WHERE name = 'a'") is None
    assert reader.fetchone("SELECT value FROM meta WHERE name = 'a'") == ("b",)
    reader.close()


def test_a_lock_file_that_was_removed_is_made_again(path: str) -> None:
    lock = WriterLock(lock_path(path), 0.1)
    lock.acquire()
    lock.release()
    os.unlink(lock_path(path))
    other = WriterLock(lock_path(path), 0.1)
    other.acquire()
    with pytest.raises(DatabaseError) as caught:
        lock.acquire()
    assert caught.value.context["cause"] == "locked"
    other.close()
    lock.acquire()
    assert is_locked(path)
    lock.close()
    lock.release()
    assert not is_locked(path)


def test_a_full_disk_at_the_lock_file_is_a_full_disk(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, flags: int) -> int:
        raise StorageError("cannot open", context={"errno": errno.ENOSPC})

    monkeypatch.setattr("db.writer_lock.open_private", full)
    with pytest.raises(DatabaseError) as caught:
        History.open(path)
    assert caught.value.context["cause"] == "disk_full"


def test_the_file_is_never_opened_beside_sqlite(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing any descriptor of the file would drop SQLite's locks on it."""
    opened: List[str] = []
    real = os.open

    def watched(name: str, *more: object, **named: object) -> int:
        opened.append(os.fspath(name))
        return real(name, *more, **named)  # type: ignore[arg-type]

    with History.open(path) as history:
        monkeypatch.setattr("os.open", watched)
        with History.open(path) as second, History.open(path, readonly=True) as third:
            sample.finished_run(second, 1)
            assert third.runs() == history.runs()
        assert path not in opened
    opened.clear()
    History.open(path).close()
    assert opened.count(path) == 1


def test_the_note_of_open_files_is_kept_in_order(path: str) -> None:
    History.open(path).close()
    first, second = History.open(path), History.open(path)
    found = os.stat(path)
    assert sqlite_file._OPEN[(found.st_dev, found.st_ino)] == 2
    first.close()
    first.close()
    assert sqlite_file._OPEN[(found.st_dev, found.st_ino)] == 1
    second.close()
    assert (found.st_dev, found.st_ino) not in sqlite_file._OPEN
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 9000)
    with pytest.raises(DatabaseError):
        History.open(path)
    assert (found.st_dev, found.st_ino) not in sqlite_file._OPEN


def killed(path: str) -> None:
    """The files as a writer leaves them that is killed: all of its runs but the first are in the log alone."""
    with History.open(path) as history:
        sample.finished_run(history, 0)
    with History.open(path) as history:
        history._database.execute("PRAGMA wal_autocheckpoint=0")
        for number in range(1, 30):
            sample.finished_run(history, number, jobs=20)
        for ending in ("", "-wal"):
            shutil.copyfile(path + ending, path + ".kept" + ending)
    os.rename(path, path + ".whole")
    for ending in ("", "-wal"):
        os.rename(path + ".kept" + ending, path + ending)


def test_a_reader_leaves_the_log_of_a_killed_writer(path: str) -> None:
    killed(path)
    before = sample.digest(path), sample.digest(path + "-wal")
    with History.open(path, readonly=True) as history:
        assert len(history.runs(limit=100)) == 30
    assert (sample.digest(path), sample.digest(path + "-wal")) == before
    with History.open(path) as history:
        assert len(history.runs(limit=100)) == 30
    assert not os.path.exists(path + "-wal")


def test_a_checkpoint_that_was_killed_is_no_damage(path: str) -> None:
    """Its first page, with the new length, is in the file; the pages that the length counts are in the log alone."""
    killed(path)
    with open(path + ".whole", "rb") as whole, open(path, "r+b") as file:
        file.write(whole.read(4096))
    assert os.path.getsize(path) < os.path.getsize(path + ".whole")
    for readonly in (True, False):
        with History.open(path, readonly) as history:
            assert len(history.runs(limit=100)) == 30
            assert history._database.fetchone("PRAGMA integrity_check") == ("ok",)


@pytest.mark.parametrize("ask, index", [
    (lambda history: history.runs(before=9), "INTEGER PRIMARY KEY"),
    (lambda history: history.runs("nightly", before=9), "runs_by_application"),
    (lambda history: history.runs(status="FAILED", before=9), "runs_by_status"),
    (lambda history: history.runs("nightly", "FAILED", before=9), "runs_by_application_status"),
    (lambda history: history.last_finished("nightly"), "runs_by_application"),
    (lambda history: history.open_runs(), "runs_by_status"),
    (lambda history: history.application_events("nightly"), "events_by_application"),
])
def test_which_index_a_page_is_read_by(path: str, ask: Callable[[History], object], index: str) -> None:
    with History.open(path) as history:
        for number in range(20):
            sample.finished_run(history, number)
        connection = history._database._connection  # type: ignore[attr-defined]
        statements: List[str] = []
        connection.set_trace_callback(lambda text: statements.append(text))
        ask(history)
        connection.set_trace_callback(None)
        plan = [row[-1] for row in connection.execute("EXPLAIN QUERY PLAN " + statements[0])]
    assert len(plan) == 1 and "%s (" % index in plan[0], plan


# ---- making, checking, copying -------------------------------------------------------------------------------------


def test_a_half_made_file_never_shows(path: str) -> None:
    def build(database: object) -> None:
        apply_pending(database, MIGRATIONS)  # type: ignore[arg-type]
        assert not os.path.exists(path)
        raise KeyError("killed here")

    with pytest.raises(KeyError):
        SQLiteAdapter.create(path, build)
    assert sample.names(os.path.dirname(path)) == ["history.lock"]
    for leftover in ("history.db.new", "history.db.new-wal"):
        with open(os.path.join(os.path.dirname(path), leftover), "w") as file:
            file.write("of a process that was killed")
    with History.open(path) as history:
        assert history.runs() == []
    assert sample.names(os.path.dirname(path)) == ["history.db", "history.lock"]


def test_who_comes_second_takes_what_the_first_made(path: str) -> None:
    with History.open(path) as history:
        uuid = history.home_uuid()

    def build(database: object) -> None:
        raise AssertionError("there is one")

    SQLiteAdapter.create(path, build)
    with History.open(path) as history:
        assert history.home_uuid() == uuid


def log_of(path: str, age_s: float) -> str:
    """A log that was last written some seconds ago."""
    with open(path + "-wal", "wb") as log:
        log.write(b"x")
    os.utime(path + "-wal", (time.time() - age_s,) * 2)
    return path


def test_a_log_from_before_the_boot(tmp_path: object) -> None:
    statistics = "%s/stat" % tmp_path
    with open(statistics, "w") as lines:
        lines.write("cpu 1 2 3\nbtime %d\nprocesses 5\n" % (time.time() - 1000))
    assert is_left_from_before_boot(log_of("%s/old" % tmp_path, 2000), statistics)
    assert not is_left_from_before_boot(log_of("%s/new" % tmp_path, 500), statistics)
    assert not is_left_from_before_boot("%s/none" % tmp_path, statistics)
    assert not is_left_from_before_boot("%s/old" % tmp_path, "%s/nothing" % tmp_path)
    os.truncate("%s/old-wal" % tmp_path, 0)
    assert not is_left_from_before_boot("%s/old" % tmp_path, statistics)


@pytest.mark.parametrize("small, before_boot, checks", [(1 << 30, False, 1), (0, True, 1), (0, False, 0)])
def test_what_is_checked_at_the_start(path: str, monkeypatch: pytest.MonkeyPatch, small: int, before_boot: bool,
                                      checks: int) -> None:
    History.open(path).close()
    made: List[str] = []
    monkeypatch.setattr("db.sqlite_adapter.SMALL_BYTES", small)
    monkeypatch.setattr("db.sqlite_adapter.is_left_from_before_boot", lambda path: before_boot)
    monkeypatch.setattr(SQLiteAdapter, "check", lambda self: made.append("check") or "")
    History.open(path).close()
    assert len(made) == checks


def test_a_backup_is_whole_and_private(path: str) -> None:
    with History.open(path) as history:
        run_id = sample.finished_run(history, 1)
        database = history._database
        assert isinstance(database, SQLiteAdapter)
        target = path + ".copy"
        database.backup(target)
        assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
        sample.finished_run(history, 2)
        with History.open(target, readonly=True) as copy:
            assert [run.run_id for run in copy.runs()] == [run_id]
            assert len(copy.jobs(run_id)) == 3
        database.backup(target)
        with History.open(target) as copy:
            assert len(copy.runs()) == 2
        assert not [name for name in sample.names(os.path.dirname(path)) if ".new" in name]


def test_a_backup_without_python_37(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        """A connection of 3.6: it cannot copy."""

        def __init__(self, real: sqlite3.Connection) -> None:
            self.execute, self.executemany, self.close = real.execute, real.executemany, real.close
            self.in_transaction = False

    with History.open(path) as history:
        sample.finished_run(history, 1)
        database = history._database
        assert isinstance(database, SQLiteAdapter)
        database._connection = Connection(database._live())  # type: ignore[assignment]
        database.backup(path + ".copy")
        with History.open(path + ".copy", readonly=True) as copy:
            assert len(copy.runs()) == 1


def test_a_backup_that_cannot_be_made_leaves_nothing(adapter: SQLiteAdapter, path: str) -> None:
    folder = os.path.dirname(path)
    for target in (folder + "/none/copy", folder + "/x" * 300, folder):
        with pytest.raises(StorageError) as caught:
            adapter.backup(target)
        assert "\n" not in caught.value.message
    assert not [name for name in sample.names(folder) if "copy" in name or ".new" in name]


def test_a_migration_makes_a_backup_first(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with History.open(path) as history:
        sample.finished_run(history, 1)
    known = MIGRATIONS[-1].version
    later = MIGRATIONS + (Migration(known + 1, "later", {"sqlite": ("CREATE TABLE later (x INTEGER)",)}),)
    monkeypatch.setattr("db.history.MIGRATIONS", later)
    with pytest.raises(MigrationError) as caught:
        History.open(path, readonly=True)
    assert caught.value.message == ("%s has an older schema (%d, this executioner reads %d); run `executioner db "
                                    "migrate`" % (path, known, known + 1))
    History.open(path).close()
    backup = "%s.schema-%d.backup" % (path, known)
    assert stat.S_IMODE(os.stat(backup).st_mode) == 0o600
    monkeypatch.undo()
    with History.open(backup, readonly=True) as copy:
        assert len(copy.runs()) == 1
    with pytest.raises(MigrationError):
        History.open(path)


def test_a_migration_that_fails_names_the_backup(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    History.open(path).close()
    known = MIGRATIONS[-1].version
    broken = MIGRATIONS + (Migration(known + 1, "broken", {"sqlite": ("DROP TABLE runs", "NONSENSE")}),)
    monkeypatch.setattr("db.history.MIGRATIONS", broken)
    with pytest.raises(MigrationError) as caught:
        History.open(path)
    assert "a backup is at %s.schema-%d.backup" % (path, known) in caught.value.message
    assert "\n" not in caught.value.message
    monkeypatch.undo()
    with History.open(path) as history:
        sample.finished_run(history, 1)


def test_an_empty_log_is_the_end_of_a_checkpoint(adapter: SQLiteAdapter, path: str) -> None:
    with adapter.transaction():
        adapter.execute("INSERT INTO meta VALUES ('a', 'b')")
    assert os.path.getsize(path + "-wal") > 0
    assert adapter.checkpoint()
    assert os.path.getsize(path + "-wal") == 0
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    with adapter.transaction():
        adapter.execute("INSERT INTO meta VALUES ('c', 'd')")
    assert not adapter.checkpoint()
    before = time.monotonic()
    adapter.close()
    assert time.monotonic() - before < 20
    assert reader.execute("SELECT count(*) FROM meta").fetchone() == (2,)
    reader.close()


# ---- errors in words -----------------------------------------------------------------------------------------------

TEXTS: List[Tuple[sqlite3.Error, str]] = [
    (sqlite3.DatabaseError("file is not a database"), "not_a_database"),
    (sqlite3.DatabaseError("file is encrypted or is not a database"), "not_a_database"),
    (sqlite3.DatabaseError("database disk image is malformed"), "malformed"),
    (sqlite3.DatabaseError('malformed database schema (runs) - near "x": syntax error'), "malformed"),
    (sqlite3.OperationalError("unsupported file format"), "malformed"),
    (sqlite3.OperationalError("no such table: runs"), "malformed"),
    (sqlite3.OperationalError("no such column: reason"), "malformed"),
    (sqlite3.OperationalError("Could not decode to UTF-8 column 'a' with text '\udcff'"), "malformed"),
    (sqlite3.OperationalError("attempt to write a readonly database"), "readonly"),
    (sqlite3.OperationalError("database is locked"), "locked"),
    (sqlite3.OperationalError("database table is locked: runs"), "locked"),
    (sqlite3.OperationalError("locking protocol"), "locked"),
    (sqlite3.OperationalError("database or disk is full"), "disk_full"),
    (sqlite3.OperationalError("unable to open database file"), "cannot_open"),
    (sqlite3.OperationalError("disk I/O error"), "io_error"),
    (sqlite3.IntegrityError("UNIQUE constraint failed: runs.run_uuid"), "constraint"),
    (sqlite3.IntegrityError("FOREIGN KEY constraint failed"), "constraint"),
    (sqlite3.OperationalError("something\nnew"), "other"),
]


@pytest.mark.parametrize("error, cause", TEXTS, ids=[str(error) for error, _ in TEXTS])
def test_each_text_of_sqlite_has_its_cause(error: sqlite3.Error, cause: str) -> None:
    told = translated(error, "/home/history.db")
    assert isinstance(told, DatabaseError)
    assert told.context == {"path": "/home/history.db", "cause": cause}
    assert told.message.startswith("/home/history.db: ") and "\n" not in told.message
    assert cause in ("constraint", "other") or "; " in told.message


def test_a_misuse_is_a_bug() -> None:
    assert isinstance(translated(sqlite3.ProgrammingError("Incorrect number of bindings supplied"), "x"), InternalError)
    assert isinstance(translated(sqlite3.InterfaceError("Error binding parameter 0"), "x"), InternalError)

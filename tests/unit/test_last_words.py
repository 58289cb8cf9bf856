"""What a runner says when it gives its run up is read back from the record, beside what the keeper writes there."""
import os
from pathlib import Path
from typing import Tuple

import pytest

from jobs.events import RunEnded
from jobs.keeper.record import RecordWriter, read_record
from jobs.last_words import ROOM_BYTES, LastWords, leave_last_words, make_room, read_last_words
from jobs.reconcile import OpenJob, Reconciled, reconcile


def record(path: Path) -> str:
    """A record as a run has it."""
    make_room(str(path))
    writer = RecordWriter(os.fsencode(str(path)))
    writer.header("boot-1", 100, 2000, 1700000000.0)
    writer.started("run.3.1", 1700000000.25, 55.5)
    writer.flush()
    writer.close()
    return str(path)


@pytest.mark.parametrize("reason", ["", "plain", "two words; 100 % of it", "ä☃\n\t\x00 ." + "\udcff", "x" * 5000, "☃" * 5000])
def test_they_are_read_back(tmp_path: Path, reason: str) -> None:
    path = record(tmp_path / "record")
    before = read_record(path)
    size = os.stat(path).st_size
    assert read_last_words(path) is None
    assert leave_last_words(path, LastWords(1700000005.25, 3, reason))
    assert os.stat(path).st_size == size, "it needs room on the disk"
    found = read_last_words(path)
    assert found is not None and (found.at, found.exit_code) == (1700000005.25, 3)
    assert found.reason == reason if len(reason) < 100 else reason.startswith(found.reason) and len(found.reason) > 50
    after = read_record(path)
    assert (after.boot_id, after.keeper_pid, sorted(after.attempts)) == (
        before.boot_id, before.keeper_pid, sorted(before.attempts))


def test_where_there_is_no_room_nothing_is_spoilt(tmp_path: Path) -> None:
    path = str(tmp_path / "record")
    writer = RecordWriter(os.fsencode(path))
    writer.header("boot-1", 100, 2000, 1700000000.0)
    writer.flush()
    writer.close()
    before = open(path, "rb").read()
    assert not leave_last_words(path, LastWords(1.0, 3, "x")) and open(path, "rb").read() == before
    assert not leave_last_words(str(tmp_path / "none"), LastWords(1.0, 3, "x"))
    assert read_last_words(str(tmp_path / "none")) is None and not (tmp_path / "none").exists()


def test_torn_words_say_nothing(tmp_path: Path) -> None:
    path = record(tmp_path / "record")
    leave_last_words(path, LastWords(1700000005.25, 3, "the disk is full"))
    whole = open(path, "rb").read()
    for left in range(0, ROOM_BYTES - 1, 7):
        with open(path, "wb") as stream:
            stream.write(whole[:left])
        assert read_last_words(path) is None


def ended(truth: Reconciled) -> Tuple[object, ...]:
    """What the last event, the end of the run, says."""
    last = truth.events[-1]
    assert isinstance(last, RunEnded)
    return last.run_id, last.status, last.exit_code, last.reason, last.at


def test_a_run_that_was_given_up_is_not_lost() -> None:
    words = LastWords(50.0, 3, "given up: no processes")
    truth = reconcile(7, [OpenJob(0, "a")], {}, False, "now", ["SUCCESS"], [False], 50.0, words)
    assert truth.reasons == {0: "the run was given up before its start"} and truth.is_given_up
    assert ended(truth) == (7, "FAILED", 3, "given up: no processes", 50.0)
    done = reconcile(7, [], {}, False, "now", ["SUCCESS"], [False], 50.0, words)
    assert len(done.events) == 1 and ended(done) == (7, "SUCCESS", 3, "given up: no processes", 50.0)

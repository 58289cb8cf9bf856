"""The keeper's record file: what is written is read back, and what is torn tells nothing."""
import os
import random
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from jobs.keeper.record import RecordBusy, RecordWriter, is_keeper_alive, read_record

FACTS: Any = ("run.3.1", "FAILED", 3, None, "exit code 3", "", 1700000000.25, 1700000001.5, 1.25, 0.5, 4096, ())


def written(path: Path) -> Tuple[RecordWriter, str]:
    """A writer that has written its first line."""
    writer = RecordWriter(os.fsencode(str(path)))
    writer.header("boot-1", 100, 2000, 1700000000.0)
    assert writer.flush() is None
    return writer, str(path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Each kind of line."""
    writer, path = written(tmp_path / "record")
    writer.started("run.3.1", 1700000000.25, 55.5)
    writer.process("run.3.1", 4711, 9999)
    writer.started("run.4.1", 1700000000.5, 56.0)
    writer.exited("run.5.1", 9, "TIMEOUT", "timeout", 1.0, 2.0, 1.0)
    writer.started("run.6.1", 1.0, 1.0)
    writer.unstarted("run.6.1")
    writer.ended(FACTS)
    writer.flush()
    run = read_record(path)
    assert (run.boot_id, run.keeper_pid, run.keeper_start, run.closed) == ("boot-1", 100, 2000, False)
    attempt = run.attempts["run.3.1"]
    assert (attempt.started_at, attempt.started_mono, attempt.pid, attempt.pid_start) == (1700000000.25, 55.5, 4711, 9999)
    assert attempt.facts == FACTS and attempt.has_ended and attempt.boot_id == "boot-1"
    half = run.attempts["run.4.1"]
    assert (half.pid, half.facts, half.has_ended) == (None, None, False)
    exited = run.attempts["run.5.1"]
    assert exited.facts is not None and not exited.has_ended and exited.wait_status == 9
    assert exited.facts[1:6] == ("TIMEOUT", None, "SIGKILL", "timeout", "timeout")
    assert "run.6.1" not in run.attempts
    writer.closed(1700000009.0)
    writer.flush()
    writer.close()
    assert read_record(path).closed


@pytest.mark.parametrize("text", ["", "plain", "two words", "100 % \n = . \t \x00", " .", "ä☃\ud800\udcff", "a=b c=d ."])
def test_any_text_survives(tmp_path: Path, text: str) -> None:
    """In a reason, in the names of survivors, in a token."""
    writer, path = written(tmp_path / "record")
    token = text or "token"
    facts = (token, "ERROR", None, "SIGKILL", text, text, None, None, None, None, None, (text, "x " + text) if text and
             "\n" not in text else ())
    writer.ended(facts)
    writer.flush()
    writer.close()
    assert read_record(path).attempts[token].facts == facts
    assert (tmp_path / "record").read_bytes().count(b"\n") == 2


def test_every_cut_of_a_record_tells_a_prefix(tmp_path: Path) -> None:
    """Wherever the file ends, what is read was true at some moment; nothing is made up of half a line."""
    writer, path = written(tmp_path / "record")
    for number in range(3):
        token = "run.%d.1" % number
        writer.started(token, 1.0, 2.0)
        writer.process(token, 100 + number, 5)
        writer.ended((token,) + FACTS[1:])
    writer.flush()
    writer.close()
    data = (tmp_path / "record").read_bytes()
    cut_path = tmp_path / "cut"
    for length in range(len(data) + 1):
        cut_path.write_bytes(data[:length])
        run = read_record(str(cut_path))
        lines = data[:length].count(b" .\n") + (1 if data[:length].endswith(b" .") else 0)
        ended = sum(1 for attempt in run.attempts.values() if attempt.facts is not None)
        started = len(run.attempts)
        assert (started, ended) == (max(0, (lines + 1) // 3), max(0, (lines - 1) // 3)), length
        assert all(attempt.facts in (None, (token,) + FACTS[1:]) for token, attempt in run.attempts.items())


def test_a_torn_line_is_closed_by_the_next_keeper(tmp_path: Path) -> None:
    """What the dead one had begun to write does not spoil what the next one writes."""
    path = tmp_path / "record"
    writer, _ = written(path)
    writer.started("a", 1.0, 1.0)
    writer.flush()
    writer.close()
    with open(str(path), "ab") as record_file:
        record_file.write(b"ended a status=SUC")
    again, _ = written(path)
    again.started("b", 1.0, 1.0)
    again.flush()
    again.close()
    run = read_record(str(path))
    assert sorted(run.attempts) == ["a", "b"] and run.attempts["a"].facts is None


def test_foreign_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    """Random damage never raises."""
    writer, path = written(tmp_path / "record")
    writer.started("a", 1.0, 1.0)
    writer.ended(("a",) + FACTS[1:])
    writer.flush()
    writer.close()
    data = (tmp_path / "record").read_bytes()
    rnd = random.Random(7)
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(rnd.randrange(1, 6)):
            damaged[rnd.randrange(len(damaged))] = rnd.randrange(256)
        (tmp_path / "record").write_bytes(bytes(damaged))
        read_record(path)
    (tmp_path / "record").write_bytes(b"news from a later version .\nstarted .\nended x .\n\xff\xfe .\n" + data)
    assert sorted(read_record(path).attempts) == ["a"]


def test_the_lock_tells_whether_a_keeper_lives(tmp_path: Path) -> None:
    """One keeper at a time; a second writer that needs no lock may write beside it."""
    writer, path = written(tmp_path / "record")
    assert is_keeper_alive(path)
    with pytest.raises(RecordBusy):
        RecordWriter(os.fsencode(path))
    beside = RecordWriter(os.fsencode(path), lock=False)
    beside.started("x", 1.0, 1.0)
    beside.flush()
    beside.close()
    assert is_keeper_alive(path)
    writer.close()
    assert not is_keeper_alive(path)
    assert list(read_record(path).attempts) == ["x"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither written through nor read."""
    (tmp_path / "record").symlink_to(tmp_path / "victim")
    calls: List[Any] = [lambda path: RecordWriter(os.fsencode(path)), read_record, is_keeper_alive]
    for call in calls:
        with pytest.raises(OSError):
            call(str(tmp_path / "record"))
    assert not (tmp_path / "victim").exists()

"""Messages between runner and keeper arrive whole, in order, and without anybody waiting."""
import os
import random
from typing import List, Tuple

import pytest

from jobs.keeper.messages import Channel, frame


def pair() -> Tuple[Channel, Channel]:
    """Two ends."""
    first_read, second_write = os.pipe()
    second_read, first_write = os.pipe()
    return Channel(first_read, first_write), Channel(second_read, second_write)


def test_messages_arrive_as_they_were() -> None:
    """All types that are used."""
    one, two = pair()
    messages: List[Tuple[object, ...]] = [("start", [("a", b"\xff", None, 1.5, True, {b"k": b"v"}, (0, 1))]), (), ("\ud800",)]
    for message in messages:
        one.send(message)
    assert two.receive_all() == messages
    assert two.receive() == [] and not two.ended
    one.close()
    two.close()


def test_neither_end_waits_for_the_other() -> None:
    """More than a pipe holds is kept, and goes on when there is room."""
    one, two = pair()
    large = ("x", b"y" * 1000000)
    one.send(large)
    one.send(("after",))
    assert one.wants_write
    got: List[Tuple[object, ...]] = []
    while len(got) < 2:
        got += two.receive()
        one.flush()
    assert got == [large, ("after",)] and not one.wants_write
    one.close()
    two.close()


def test_pieces_are_put_together() -> None:
    """However the bytes are cut on their way."""
    rnd = random.Random(3)
    read_end, write_end = os.pipe()
    channel = Channel(read_end, os.dup(write_end))
    messages = [("m%d" % number, "x" * rnd.randrange(300)) for number in range(60)]
    data = b"".join(frame(message) for message in messages)
    got: List[Tuple[object, ...]] = []
    while data:
        size = rnd.randrange(1, 40)
        os.write(write_end, data[:size])
        data = data[size:]
        got += channel.receive()
    assert got == messages
    os.close(write_end)
    channel.close()


def test_the_end_is_seen_after_the_last_message() -> None:
    """What was said before the death is heard, and so is the death."""
    one, two = pair()
    one.send(("last words",))
    one.close()
    assert two.receive_all() == [("last words",)] and two.ended
    two.send(("nobody hears",))
    assert not two.wants_write
    two.close()


def test_what_was_cut_off_is_no_message() -> None:
    """Half a message at the end is dropped."""
    read_end, write_end = os.pipe()
    os.write(write_end, frame(("whole",)) + frame(("half", b"z" * 100))[:50])
    os.close(write_end)
    channel = Channel(read_end, os.open(os.devnull, os.O_WRONLY))
    assert channel.receive_all() == [("whole",)] and channel.ended
    channel.close()


def test_nothing_blocks() -> None:
    """An empty channel answers at once."""
    one, two = pair()
    assert one.receive() == [] and one.receive_all() == []
    assert not os.get_blocking(one.read_fd) and not os.get_blocking(one.write_fd)
    one.close()
    two.close()
    with pytest.raises(OSError):
        os.fstat(one.read_fd)

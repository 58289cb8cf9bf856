"""The one writer: UTF-8 always, errors only where results are lost, control characters safe on a terminal."""
import os
import pty
from typing import Iterator, Tuple

import pytest

from executioner.console import Console, Output, OutputClosed, OutputError


@pytest.fixture
def pipe() -> Iterator[Tuple[int, int]]:
    reader, writer = os.pipe()
    ends = [reader, writer]
    yield reader, writer
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def test_results_are_buffered_and_news_are_not(pipe: Tuple[int, int]) -> None:
    reader, writer = pipe
    os.set_blocking(reader, False)
    results = Output(writer, strict=True)
    results.line("a")
    with pytest.raises(BlockingIOError):
        os.read(reader, 10)
    results.flush()
    assert os.read(reader, 10) == b"a\n"
    Output(writer, strict=False).line("b")
    assert os.read(reader, 10) == b"b\n"


def test_everything_can_be_written(pipe: Tuple[int, int]) -> None:
    reader, writer = pipe
    Output(writer, strict=False).line("\u20ac \udcff \x1b[31m")
    assert os.read(reader, 100) == "\u20ac \\udcff \x1b[31m\n".encode("utf-8")


def test_a_reader_that_has_gone(pipe: Tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    results = Output(writer, strict=True)
    results.line("a")
    with pytest.raises(OutputClosed):
        results.flush()
    results.flush()  # what could not be written is not tried again
    Output(writer, strict=False).line("dropped")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_loses_results_loudly_and_news_quietly() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        results = Output(descriptor, strict=True)
        results.line("a")
        with pytest.raises(OutputError) as caught:
            results.flush()
        assert caught.value.exit_code == 3
        assert caught.value.message.startswith("cannot write to standard output: ")
        Output(descriptor, strict=False).line("dropped")
    finally:
        os.close(descriptor)


def test_a_pipe_that_is_full_and_does_not_block_is_waited_for(pipe: Tuple[int, int]) -> None:
    import threading
    reader, writer = pipe
    os.set_blocking(writer, False)
    received = bytearray()

    def drain() -> None:
        while len(received) < 300000:
            received.extend(os.read(reader, 65536))

    thread = threading.Thread(target=drain)
    thread.start()
    Output(writer, strict=False).write_bytes(b"x" * 300000)
    thread.join(20)
    assert bytes(received) == b"x" * 300000


def test_control_characters_are_safe_on_a_terminal_only(pipe: Tuple[int, int]) -> None:
    assert Output(pipe[1], strict=False).safe("\x1b[31m\u202e\x9b\x7f") == "\x1b[31m\u202e\x9b\x7f"
    main, side = pty.openpty()
    try:
        terminal = Output(side, strict=False)
        assert terminal.is_terminal
        assert terminal.safe("\x1b[31m\u202e\x9b\x7f") == "\\x1b[31m\\u202e\\x9b\\x7f"
    finally:
        os.close(main)
        os.close(side)


def test_colour_only_where_it_is_wanted() -> None:
    main, side = pty.openpty()
    try:
        for environ, smart, colour in (
                ({"TERM": "xterm"}, True, True), ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
                ({"TERM": "xterm", "NO_COLOR": ""}, True, True), ({"TERM": "dumb"}, False, False), ({}, False, False)):
            console = Console(environ)
            console.err = Output(side, strict=False)
            assert (console.is_smart, console.colour) == (smart, colour), environ
        console.err = Output(os.open(os.devnull, os.O_WRONLY), strict=False)
        assert not console.is_smart
        os.close(console.err.descriptor)
    finally:
        os.close(main)
        os.close(side)


def test_a_terminal_without_a_size_is_80_wide() -> None:
    main, side = pty.openpty()
    try:
        console = Console({})
        console.err = Output(side, strict=False)
        assert console.width == 80
    finally:
        os.close(main)
        os.close(side)

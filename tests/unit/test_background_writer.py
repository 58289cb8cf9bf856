"""What is written behind a run: nothing is left out without a word."""
import os
import threading

from executioner.background_writer import MOST_WAITING, BackgroundWriter


def test_lines_that_are_left_out_last_are_said() -> None:
    """All that waits is on its way already when one more line comes, and then the end."""
    reader, writer = os.pipe()
    behind = BackgroundWriter(writer)
    behind.write(b"x" * (MOST_WAITING - 1) + b"\n")
    assert os.read(reader, 1) == b"x"  # the thread has taken it
    behind.write(b"one more line\n")
    closing = threading.Thread(target=behind.close)
    closing.start()
    found = b""
    while not found.endswith(b"in time\n"):
        found += os.read(reader, 65536)
    closing.join()
    os.close(writer)
    assert found == b"x" * (MOST_WAITING - 2) + b"\n... 1 lines left out: they were not read in time\n"
    assert os.read(reader, 1) == b""
    os.close(reader)

"""The file of outputs that a job writes: what is taken, and what is refused."""
import os

import pytest

from jobs.exceptions import JobExecutionError
from jobs.outputs import MAX_OUTPUT_BYTES, read_outputs


def test_declared_names_are_taken_and_the_last_value_wins(tmp_path):
    path = tmp_path / "o"
    path.write_bytes(b"rows=1\nother=2\nrows=41=x\nlast = line without end")
    assert read_outputs(str(path), ["rows", "last"]) == {"rows": "41=x", "last": " line without end"}


def test_a_declared_output_that_is_not_written_is_named(tmp_path):
    with pytest.raises(JobExecutionError, match="did not write its output rows, files"):
        read_outputs(str(tmp_path / "none"), ["rows", "files"])


@pytest.mark.parametrize("make, message", (
    (lambda path: os.mkfifo(path), "no regular file"),
    (lambda path: os.symlink("/etc/passwd", path), "cannot be read"),
    (lambda path: open(path, "wb").write(b"a=" + b"x" * MAX_OUTPUT_BYTES), "bytes"),
    (lambda path: open(path, "wb").write(b"a=x\0y\n"), "NUL"),
))
def test_what_is_no_file_of_outputs_is_refused(tmp_path, make, message):
    path = str(tmp_path / "o")
    make(path)
    with pytest.raises(JobExecutionError, match=message):
        read_outputs(path, ["a"])

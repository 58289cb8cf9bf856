"""What a job tells those that depend on it: lines ``NAME=value`` that it writes to ``$EXECUTIONER_OUTPUT``."""
import os
import stat
from typing import Dict, Sequence, Tuple

from jobs.exceptions import JobExecutionError

__all__ = ["MAX_OUTPUT_BYTES", "make_outputs_file", "read_outputs", "told_by"]

#: More is no message to another job but a file, and should be one.
MAX_OUTPUT_BYTES = 1 << 20
_VALUE_BYTES_MOST = 128 * 1024 - 1


def told_by(name: str) -> Tuple[str, str]:
    """Job and output that a placeholder (``jobs.ID.outputs.NAME``) is about; ("", "") where it is about another."""
    job_id, dot, output = name.rpartition(".outputs.")
    return (job_id[len("jobs."):], output) if dot and name.startswith("jobs.") else ("", "")


def make_outputs_file(path: str) -> None:
    """Make the file that a job will write to, with mode 0600: the job's umask would let others read it.

    Where that cannot be done, the job makes it.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)


def read_outputs(path: str, names: Sequence[str]) -> Dict[str, str]:
    """The declared outputs of an attempt; of a name that is written twice the last value.

    :param names: the declared names; others that are written are passed over
    :raises JobExecutionError: where one is missing, or the file cannot be taken
    """
    written: Dict[str, str] = {}
    for line in _read(path).split("\n"):
        name, equals, value = line.partition("=")
        if equals and name.strip() in names:
            written[name.strip()] = value
    missing = [name for name in names if name not in written]
    if missing:
        raise JobExecutionError("it ended well but did not write its output %s to $EXECUTIONER_OUTPUT" % (
            ", ".join(missing)))
    for name, value in written.items():
        if len(value.encode("utf-8", "surrogateescape")) > _VALUE_BYTES_MOST or "\0" in value:
            raise JobExecutionError("its output %s cannot be given to another program: it is too long or holds a NUL"
                                    % name)
    return written


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise JobExecutionError("its outputs cannot be read: %s" % (error.strerror or error))
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise JobExecutionError("its outputs cannot be read: $EXECUTIONER_OUTPUT is no regular file any more")
        if facts.st_size > MAX_OUTPUT_BYTES:
            raise JobExecutionError("its outputs have %d bytes, %d are allowed" % (facts.st_size, MAX_OUTPUT_BYTES))
        return file.read(MAX_OUTPUT_BYTES + 1).decode("utf-8", "surrogateescape")

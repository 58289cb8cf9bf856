"""Small disks that tests fill."""
import os
import subprocess
from contextlib import contextmanager
from typing import Iterator

import pytest

from cli_case import Case
from killing import wait_until

__all__ = ["fill", "small_disk"]


@contextmanager
def small_disk(case: Case, size: str = "2m") -> Iterator[str]:
    """A disk of its own for the home."""
    folder = case.path("disk")
    os.mkdir(folder, 0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=0700" % size, "test", folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        pytest.skip("no tmpfs can be mounted: %r" % done.stdout)
    case.home = os.path.join(folder, "home")
    try:
        yield folder
    finally:
        wait_until(lambda: subprocess.call(["umount", folder], stderr=subprocess.DEVNULL) == 0, "umount")


def fill(folder: str, but: int = 0) -> str:
    """Take what is left of a disk; the file that does."""
    path = os.path.join(folder, "filler")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for size in (65536, 4096, 1):
        try:
            while True:
                os.write(descriptor, b"x" * size)
        except OSError:
            continue
    if but:
        os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - but))
    os.close(descriptor)
    return path

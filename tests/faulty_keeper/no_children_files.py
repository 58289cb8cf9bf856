"""A kernel that was built without lists of children in ``/proc`` (CONFIG_PROC_CHILDREN)."""
from typing import Optional

from faulty_keeper import IN_KEEPER
from jobs.keeper import processes

_read = processes._read


def read(path: bytes) -> Optional[bytes]:
    """As if the file did not exist."""
    return None if path.endswith(b"/children") else _read(path)


class Children(processes.Children):
    """As it is where its file cannot be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.close()


if IN_KEEPER:
    setattr(processes, "_read", read)
    setattr(processes, "_kernel_lists_children", lambda: False)
    setattr(processes, "Children", Children)

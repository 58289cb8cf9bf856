"""A keeper that fails as soon as it looks at the size of a job's output, which it does after a second."""
from typing import Any

from faulty_keeper import IN_KEEPER
from jobs import system


def crash(*arguments: Any, **options: Any) -> None:
    """A defect of ours."""
    raise KeyError("crash for a test")


if IN_KEEPER:
    system.stat = crash

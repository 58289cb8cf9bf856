"""The history of a home, for reading."""
from typing import TYPE_CHECKING, Optional

from executioner.home import Home
from jobs.exceptions import DatabaseError

if TYPE_CHECKING:
    from db.history import History

__all__ = ["open_own"]


def open_own(home: Home, allow_network_fs: bool) -> "Optional[History]":
    """The history of a home for reading; None where nothing was run. Makes nothing.

    :raises StorageError: where the home is not ours, or the history cannot be read
    """
    if not home.exists():
        return None
    home.check()
    from db.history import History
    try:
        return History.open(home.history, readonly=True, allow_network_fs=allow_network_fs)
    except DatabaseError as error:
        if error.context.get("cause") == "missing":
            return None
        raise

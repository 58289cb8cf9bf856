"""The history of a home, for reading."""
from typing import TYPE_CHECKING, Callable, Optional

from executioner.home import Home
from jobs.exceptions import ConfigurationError, DatabaseError, StorageError

if TYPE_CHECKING:
    from db.history import History

__all__ = ["history_of", "open_own"]


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


def history_of(home: Home, is_meant: "Callable[[History], object]", what: str, allow_network_fs: bool,
               must_be_sure: bool) -> str:
    """The path of the history in which something is that a person means; of several, where nobody says which.

    :param is_meant: raises ConfigurationError for a history in which it is not
    :param what: what is meant, for messages
    :param must_be_sure: refuse what is in several; else the home's own comes first
    :raises ConfigurationError: where it is in several
    """
    from db.history import History
    paths = home.histories()
    holders = []
    for path in paths if len(paths) > 1 else ():
        try:
            with History.open(path, readonly=True, allow_network_fs=allow_network_fs) as history:
                is_meant(history)
        except (ConfigurationError, StorageError):
            continue
        holders.append(path)
        if not must_be_sure:
            break
    if len(holders) > 1:
        raise ConfigurationError("%s is in several histories: %s" % (what, ", ".join(holders)), context={
            "hint": "say which one with --database FILE"})
    return holders[0] if holders else home.history

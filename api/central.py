"""Serving the history of many homes from a server: it is only read, and what belongs to one host stays there."""
from typing import Callable, Optional, Tuple

from api.errors import Refusal
from api.readers import Reader, ReaderPool
from api.routes import Call, Route
from db.history import History
from jobs.exceptions import DatabaseError

__all__ = ["CentralReaders", "refuse_what_is_of_one_host"]

#: Routes that need the files or the numbers of one home.
_OF_ONE_HOST = {"output": "output files are on the host of the run",
                "metrics": "each home has its own metrics"}


class CentralReaders(ReaderPool):
    """Connections to a history on a server.

    :param connect: opens one, for reading
    """

    def __init__(self, connect: Callable[[], History]) -> None:
        super().__init__("")
        self._open_central = connect

    def _connect(self) -> History:
        return self._open_central()

    def _is_good(self, reader: Reader, key: Optional[Tuple[int, int]]) -> bool:
        try:
            reader.history.database.now()
            return True
        except DatabaseError:
            return False

    def _key(self) -> Optional[Tuple[int, int]]:
        return 0, 0  # no file that could be another one


def refuse_what_is_of_one_host(route: Route, call: Call) -> None:
    """Refuse what cannot be said or done for other hosts.

    :raises Refusal: where it is such a request
    """
    if route.role == "operate":
        raise Refusal("conflict", "this is the history of many hosts: acts belong to the host of the run")
    if route.name in _OF_ONE_HOST:
        raise Refusal("conflict", "this is the history of many hosts: " + _OF_ONE_HOST[route.name])
    if route.name == "runs" and (call.text_or_none("since") or call.text_or_none("until")):
        raise Refusal("conflict", "this is the history of many hosts, in the order in which they came: since and until "
                                  "are for the history of one")

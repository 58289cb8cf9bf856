"""What connections to servers have in common: statements by a cursor of the driver, and its errors as ours."""
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Sequence

from db.interface import DatabaseInterface, Row, SqlValue
from db.server_errors import LINE_BREAKS, server_refusal
from jobs.exceptions import InternalError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["ServerStatements"]

#: Rows that are fetched at once.
_ARRAY = 500


class ServerStatements(DatabaseInterface):
    """Runs statements; connecting, transactions and closing are the heirs' part.

    :param driver: the module by which the server is reached
    :param password: is kept out of what the driver says
    """

    def __init__(self, where: str, readonly: bool, driver: "ModuleType", password: Optional[str]) -> None:
        self._where = where
        self._readonly = readonly
        self._driver: Any = driver
        self._secret = password or ""
        #: The driver's own; None before it is made and after it was closed.
        self._connection: Any = None

    @abstractmethod
    def _translated(self, error: Exception) -> Exception:
        """The error of ours that one of the driver's stands for."""

    @abstractmethod
    def _run(self, cursor: Any, sql: str, parameters: Sequence[SqlValue]) -> None:
        """Run a statement of ours with values of any kind."""

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor for the time of a ``with``, in which the driver's errors become ours."""
        with self._errors():
            cursor = self._live().cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            raise self._translated(error) from error
        except (OverflowError, ValueError) as error:
            raise server_refusal(self._where, "value", "a value cannot be stored: %s" % error) from error
        except (IndexError, TypeError) as error:
            raise InternalError("this is a bug: %s: %s" % (self._where, error)) from error

    def _live(self) -> Any:
        if self._connection is None:
            raise InternalError("this is a bug: %s was closed and is used" % self._where)
        return self._connection

    def _said(self, error: Exception) -> str:
        """What the driver says, in one line and without the password."""
        text = LINE_BREAKS.sub(" ", str(error)).strip()
        return text.replace(self._secret, "***") if len(self._secret) > 2 else text

    def _row(self, row: Sequence[Any]) -> Row:
        """A row as it is given on."""
        return tuple(row)

    @property
    def where(self) -> str:
        """The server and its database, as a URL without its password."""
        return self._where

    @property
    def readonly(self) -> bool:
        """Whether only reading is possible."""
        return self._readonly

    def execute(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        """Run one statement and give the number of rows that it changed."""
        with self._cursor() as cursor:
            self._run(cursor, sql, parameters)
            return 0 if cursor.description is not None else max(0, int(cursor.rowcount))

    def fetchone(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Optional[Row]:
        """The first row that a query gives, or None."""
        with self._cursor() as cursor:
            self._run(cursor, sql, parameters)
            row = cursor.fetchone()
            return None if row is None else self._row(row)

    def fetchall(self, sql: str, parameters: Sequence[SqlValue] = ()) -> List[Row]:
        """All rows that a query gives."""
        with self._cursor() as cursor:
            cursor.arraysize = _ARRAY
            self._run(cursor, sql, parameters)
            return [self._row(row) for row in cursor.fetchall()]

    def prepare_migration(self, version: int) -> Optional[str]:
        """Nothing: backups are the server's own."""
        return None

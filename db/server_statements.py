"""What connections to servers have in common: statements by a cursor of the driver, which heirs open and translate."""
from abc import abstractmethod
from typing import Any, ContextManager, List, Optional, Sequence

from db.interface import DatabaseInterface, Row, SqlValue

__all__ = ["ServerStatements"]

#: Rows that are fetched at once.
_ARRAY = 500


class ServerStatements(DatabaseInterface):
    """Runs statements; connecting, transactions and closing are the heirs' part."""

    def __init__(self, where: str, readonly: bool) -> None:
        self._where = where
        self._readonly = readonly

    @abstractmethod
    def _cursor(self) -> ContextManager[Any]:
        """A cursor for the time of a ``with``, in which the driver's errors become ours."""

    @abstractmethod
    def _run(self, cursor: Any, sql: str, parameters: Sequence[SqlValue]) -> None:
        """Run a statement of ours with values of any kind."""

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

"""Statements on a SQLite connection: what is shared by the connection to a history and by the making of one."""
import sqlite3
from typing import List, Optional, Sequence

from db.interface import DatabaseInterface, Row, SqlValue, storable
from db.sqlite_errors import translated
from jobs.exceptions import InternalError

__all__ = ["SQLiteStatements"]

#: What a value out of range or of the wrong kind makes ``sqlite3`` raise besides its own errors.
_BAD_VALUE = (OverflowError, UnicodeError)
_REFUSED = (sqlite3.Error, sqlite3.Warning) + _BAD_VALUE


class SQLiteStatements(DatabaseInterface):
    """Runs statements and tells failures in words; opening, transactions and closing are the heirs' part."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: Optional[sqlite3.Connection] = None

    @property
    def where(self) -> str:
        """The file's absolute path."""
        return self._path

    def execute(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        """Run one statement and give the number of rows that it changed."""
        return max(0, self._run(sql, parameters).rowcount)

    def executemany(self, sql: str, rows: Sequence[Sequence[SqlValue]]) -> int:
        """Run one statement for each row of values and give the number of rows changed in all."""
        try:
            return max(0, self._live().executemany(sql, rows).rowcount)
        except _REFUSED as error:
            raise translated(error, self._path) from error

    def fetchone(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Optional[Row]:
        """The first row that a query gives, or None."""
        cursor = self._run(sql, parameters)
        try:
            row: Optional[Row] = cursor.fetchone()
            return row
        except _REFUSED as error:
            raise translated(error, self._path) from error
        finally:
            cursor.close()

    def change_mark(self) -> Optional[int]:
        """A number that another connection's commit changes."""
        row = self.fetchone("PRAGMA data_version")
        return None if row is None else int(row[0])

    def fetchall(self, sql: str, parameters: Sequence[SqlValue] = ()) -> List[Row]:
        """All rows that a query gives."""
        cursor = self._run(sql, parameters)
        try:
            rows: List[Row] = cursor.fetchall()
            return rows
        except _REFUSED as error:
            raise translated(error, self._path) from error
        finally:
            cursor.close()

    def insert(self, sql: str, parameters: Sequence[SqlValue], id_column: str) -> int:
        """Run an INSERT and give the new id."""
        new_id = self._run(sql, parameters).lastrowid
        if new_id is None:
            raise InternalError("this is a bug: no new %s from: %s" % (id_column, sql))
        return new_id

    def paged(self, sql: str) -> str:
        """The same SELECT with ``LIMIT``."""
        return sql + " LIMIT ?"

    def has_table(self, name: str) -> bool:
        """Whether there is a table of that name."""
        return self.fetchone("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)) is not None

    def now(self) -> float:
        """Epoch seconds, to the millisecond."""
        row = self.fetchone("SELECT (julianday('now') - 2440587.5) * 86400.0")
        return round(float(row[0]), 3) if row is not None else 0.0

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection is not None and self._connection.in_transaction

    def _live(self) -> sqlite3.Connection:
        if self._connection is None:
            raise InternalError("this is a bug: %s was closed and is used" % self._path)
        return self._connection

    def _connect(self, uri: str, timeout_s: float) -> None:
        try:
            self._connection = sqlite3.connect(uri, timeout=timeout_s, isolation_level=None, check_same_thread=False,
                                               uri=True)
        except _REFUSED as error:
            raise translated(error, self._path) from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                # What was committed is in the file or its log; there is nothing left to save.
                return

    def _run(self, sql: str, parameters: Sequence[SqlValue] = ()) -> sqlite3.Cursor:
        connection = self._live()
        try:
            try:
                return connection.execute(sql, parameters)
            except _BAD_VALUE:
                # Binding failed, so nothing was done: once more with what can be stored.
                return connection.execute(sql, [storable(value) for value in parameters])
        except _REFUSED as error:
            raise translated(error, self._path) from error

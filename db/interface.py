"""The seam between the history and a database: direct SQL, values always bound, no ORM.

SQL behind this seam is the common subset of the databases that we want: ``?`` for each bound value (an adapter of
another parameter style translates), no UPSERT, no RETURNING, no window functions, times as epoch seconds of our own.
What cannot be said in that subset is a method here. A connection serves one user at a time, of any thread.

Every failure is a ``DatabaseError`` whose ``context["cause"]`` is one of ``CAUSES``: the caller waits on ``disk_full``
and ``locked``, and gives up on the others.
"""
from abc import ABC, abstractmethod
from typing import Any, ContextManager, List, Optional, Sequence, Tuple, Union

__all__ = ["CAUSES", "DatabaseInterface", "Row", "SqlValue", "in_64_bits", "storable", "without_nul"]

SqlValue = Union[None, int, float, str, bytes]
Row = Tuple[Any, ...]

#: What can be wrong with a database, for machines.
CAUSES = ("cannot_open", "constraint", "disk_full", "driver", "foreign", "io_error", "locked", "malformed", "missing",
          "network_fs", "not_a_database", "not_a_file", "other", "readonly", "refused", "replaced", "unreachable",
          "value")

_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1


def storable(value: SqlValue) -> SqlValue:
    """The value as every database takes it: integers within 64 bits, text without lone surrogates.

    A surrogate (a byte of a file name that is no UTF-8) becomes its ``\\udcXX`` escape; an integer that is too large
    becomes the largest.
    """
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
    elif isinstance(value, int):
        return min(max(value, _SMALLEST), _LARGEST)
    return value


def in_64_bits(value: int) -> int:
    """The same number, and a whole number where it is a truth.

    :raises OverflowError: where it has more than 64 bits
    """
    if not _SMALLEST <= value <= _LARGEST:
        raise OverflowError("%d has more than 64 bits" % value)
    return int(value)


def without_nul(text: str) -> str:
    """The text with each NUL as its escape ``\\x00``: servers have no room for it, or cut the text there."""
    return text.replace("\0", "\\x00") if "\0" in text else text


class DatabaseInterface(ABC):
    """A connection to a database that can hold the history."""

    #: Which text of a migration is meant: ``sqlite``, ``postgresql`` or ``oracle``.
    dialect = ""
    #: Whether a transaction that fails undoes changes of the schema as well.
    undoes_definitions = True

    @property
    @abstractmethod
    def where(self) -> str:
        """The database's place for people and messages: a path, or a URL without its password."""

    @property
    @abstractmethod
    def readonly(self) -> bool:
        """Whether only reading is possible."""

    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[SqlValue] = ()) -> int:
        """Run one statement and give the number of rows that it changed (0 where none can be changed).

        :raises DatabaseError: where the database refuses
        """

    @abstractmethod
    def executemany(self, sql: str, rows: Sequence[Sequence[SqlValue]]) -> int:
        """Run one statement for each row of values and give the number of rows changed in all.

        :param rows: values that are ``storable``
        :raises DatabaseError: where the database refuses
        """

    def define(self, sql: str) -> None:
        """Change the schema by one statement of a migration.

        :raises DatabaseError: where the database refuses
        """
        self.execute(sql)

    @abstractmethod
    def fetchone(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Optional[Row]:
        """The first row that a query gives, or None; no cursor stays open.

        :raises DatabaseError: where the database refuses
        """

    @abstractmethod
    def fetchall(self, sql: str, parameters: Sequence[SqlValue] = ()) -> List[Row]:
        """All rows that a query gives; no cursor stays open.

        :raises DatabaseError: where the database refuses
        """

    @abstractmethod
    def insert(self, sql: str, parameters: Sequence[SqlValue], id_column: str) -> int:
        """Run an INSERT into a table whose ``id_column`` the database counts up, and give the new id.

        :raises DatabaseError: where the database refuses
        """

    @abstractmethod
    def paged(self, sql: str) -> str:
        """The same SELECT, limited: the largest number of rows is one more value, bound last."""

    @abstractmethod
    def has_table(self, name: str) -> bool:
        """Whether there is a table of that name (lower case).

        :raises DatabaseError: where the database refuses
        """

    @abstractmethod
    def now(self) -> float:
        """Epoch seconds by the database's clock."""

    @abstractmethod
    def transaction(self) -> ContextManager[None]:
        """One write transaction: committed durably at the end of the ``with``, rolled back by any exception.

        Nothing that waits belongs inside. A transaction inside a transaction is an ``InternalError``.

        :raises DatabaseError: where it cannot begin or be committed; nothing of it is kept then
        """

    def change_mark(self) -> Optional[int]:
        """A number that another one's commit changes, for whoever keeps what it has read; None: read it again."""
        return None

    @property
    @abstractmethod
    def in_transaction(self) -> bool:
        """Whether a write transaction is open: never while the loop of a run waits."""

    @abstractmethod
    def exclusive(self) -> ContextManager[None]:
        """Keep other writers out for several transactions (migrations, maintenance).

        :raises DatabaseError: where another writer does not go away in time
        """

    @abstractmethod
    def prepare_migration(self, version: int) -> Optional[str]:
        """Make what a failed migration can be undone with, and say where it is (None: the database needs none).

        :param version: the schema that the database has now
        :raises DatabaseError: where that cannot be made; nothing is migrated then
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection; a second call does nothing. A failure to tidy up is no error: all is committed."""

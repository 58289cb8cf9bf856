"""A history on a PostgreSQL server, by psycopg2, which is imported when a connection is made and never before.

No call waits without end: neither for the connection, nor for a lock, nor for a network that swallows everything. The
server is told to give up as well on a client that is gone, so that what it left open stands in nobody's way.
"""
import re
import select
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Optional, Sequence

from db.interface import SqlValue, in_64_bits, storable, without_nul
from db.placeholders import Placeholders
from db.server_errors import no_driver, server_refusal
from db.server_statements import ServerStatements
from jobs.exceptions import DatabaseError, InternalError
from jobs.server_place import PORTS, ServerPlace

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["PostgreSQLAdapter"]

CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 30.0
#: How long nothing may come from a server that is to answer.
ANSWER_TIMEOUT_S = 120.0
#: Rows that go into one statement: beyond a few hundred it gets no faster.
_ROWS_AT_ONCE = 500
#: The advisory lock that whoever changes the schema takes alone, and every writer together with the others.
_SCHEMA_LOCK = 0x45786563
_VALUES = re.compile(r"\A(INSERT INTO .+ VALUES )(\([^()]*\))\Z", re.DOTALL)
#: Beginnings of ``sqlstate``, and the cause that each stands for; the first that fits.
_CAUSES = (("23", "constraint"), ("55P03", "locked"), ("40", "locked"), ("53100", "disk_full"), ("53", "unreachable"),
           ("25006", "readonly"), ("42501", "readonly"), ("42P01", "malformed"), ("42703", "malformed"),
           ("22", "value"), ("28", "refused"), ("3D000", "missing"), ("3F000", "missing"), ("57014", "locked"),
           ("57", "unreachable"), ("08", "unreachable"), ("58", "io_error"), ("XX001", "malformed"))


#: The type of sums, for which the driver has ``Decimal``.
_NUMERIC = (1700,)


def _number(text: str) -> float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


_STYLE = Placeholders(lambda position: "%s", _escaped, _escaped)


class PostgreSQLAdapter(ServerStatements):
    """A connection to a PostgreSQL server.

    :param place: which server and database
    :param password: None where the driver is to find it (``PGPASSWORD``, ``~/.pgpass``) or none is needed
    :param readonly: only reading
    :param lock_timeout_s: how long another writer is waited for
    :raises DatabaseError: where the driver is missing, or the server cannot be reached or refuses
    """

    dialect = "postgresql"

    def __init__(self, place: ServerPlace, password: Optional[str] = None, readonly: bool = False,
                 lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        super().__init__(place.shown, readonly, _driver(place.shown), password)
        try:
            self._connection = self._connect(place, password, lock_timeout_s)
            if readonly:
                self._connection.set_session(readonly=True)
            self._connection.autocommit = True
            self._driver.extensions.register_type(self._driver.extensions.new_type(
                _NUMERIC, "PLAIN_NUMBER", lambda text, _: None if text is None else _number(text)), self._connection)
            if place.schema:
                self.execute("SET search_path TO " + place.schema)
        except self._driver.Error as error:
            raise self._translated(error) from error
        except BaseException:
            self.close()
            raise

    def _connect(self, place: ServerPlace, password: Optional[str], lock_timeout_s: float) -> Any:
        settings = ("-c lock_timeout=%dms -c idle_in_transaction_session_timeout=120s -c tcp_keepalives_idle=20 "
                    "-c tcp_keepalives_interval=5 -c tcp_keepalives_count=4 -c timezone=UTC"
                    % max(1, int(lock_timeout_s * 1000)))
        words = {
            "host": place.host, "port": place.port or (PORTS["postgresql"] if place.host else ""),
            "dbname": place.name, "user": place.user, "password": password, "sslmode": place.sslmode}
        return self._driver.connect(
            connect_timeout=CONNECT_TIMEOUT_S, application_name="executioner", client_encoding="UTF8",
            options=settings, keepalives=1, keepalives_idle=20, keepalives_interval=5, keepalives_count=4,
            **{name: value for name, value in words.items() if value})

    def executemany(self, sql: str, rows: Sequence[Sequence[SqlValue]]) -> int:
        """Run one statement for each row of values; an INSERT of plain values takes many rows at once."""
        found = _VALUES.match(sql)
        with self._cursor() as cursor:
            bound = [[_plain(value) for value in row] for row in rows]
            if found is None:
                changed = 0
                statement = _STYLE.rewritten(sql)
                for row in bound:
                    cursor.execute(statement, row)
                    changed += max(0, int(cursor.rowcount))
                return changed
            head, one = (_STYLE.rewritten(part) for part in found.groups())
            changed = 0
            for start in range(0, len(bound), _ROWS_AT_ONCE):
                some = bound[start:start + _ROWS_AT_ONCE]
                cursor.execute(head + ",".join([one] * len(some)), [value for row in some for value in row])
                changed += max(0, int(cursor.rowcount))
            return changed

    def insert(self, sql: str, parameters: Sequence[SqlValue], id_column: str) -> int:
        """Run an INSERT and give the new id."""
        row = self.fetchone("%s RETURNING %s" % (sql, id_column), parameters)
        if row is None:
            raise InternalError("this is a bug: no new %s from: %s" % (id_column, sql))
        return int(row[0])

    def paged(self, sql: str) -> str:
        """The same SELECT with ``LIMIT``."""
        return sql + " LIMIT ?"

    def has_table(self, name: str) -> bool:
        """Whether there is a table of that name where ours are."""
        return self.fetchone("SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() "
                             "AND table_name = ?", (name,)) is not None

    def now(self) -> float:
        """Epoch seconds, to the millisecond."""
        row = self.fetchone("SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)")
        return round(float(row[0]), 3) if row is not None else 0.0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction; others may write at the same time, but not change the schema."""
        if self.in_transaction:
            raise InternalError("this is a bug: %s: a transaction inside a transaction" % self._where)
        self.execute("BEGIN")
        try:
            self.fetchone("SELECT pg_advisory_xact_lock_shared(?)", (_SCHEMA_LOCK,))
            yield
            self.execute("COMMIT")
        finally:
            self._roll_back()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other writers out for several transactions."""
        self.fetchone("SELECT pg_advisory_lock(?)", (_SCHEMA_LOCK,))
        try:
            yield
        finally:
            try:
                self.fetchone("SELECT pg_advisory_unlock(?)", (_SCHEMA_LOCK,))
            except DatabaseError:
                self.close()  # with the connection the lock is gone as well

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return (self._connection is not None and not self._connection.closed
                and self._connection.get_transaction_status() != 0)

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except self._driver.Error:
                return  # it was gone already

    def _roll_back(self) -> None:
        if self.in_transaction:
            try:
                self.execute("ROLLBACK")
            except DatabaseError:
                self.close()  # with the connection the transaction is gone as well

    def _run(self, cursor: Any, sql: str, parameters: Sequence[SqlValue]) -> None:
        cursor.execute(_STYLE.rewritten(sql), [_bound(value) for value in parameters])

    def _translated(self, error: Exception) -> Exception:
        state = str(getattr(error, "pgcode", None) or "")
        text = self._said(error)
        for beginning, cause in _CAUSES:
            if state.startswith(beginning):
                return server_refusal(self._where, cause, text)
        if isinstance(error, (self._driver.OperationalError, self._driver.InterfaceError)) and not state:
            cause = "refused" if "authentication failed" in text or "no password supplied" in text else "unreachable"
            return server_refusal(self._where, cause, text)
        if isinstance(error, self._driver.ProgrammingError) and not state:
            return InternalError("this is a bug: %s: %s" % (self._where, text))
        if isinstance(error, self._driver.DatabaseError) and not state:
            return server_refusal(self._where, "unreachable", text)  # what libpq says of a connection that broke
        return server_refusal(self._where, "other", text)


def _bound(value: SqlValue) -> SqlValue:
    """A value as the server takes it: numbers of 64 bits, and texts without lone surrogates."""
    return _plain(storable(value))


def _plain(value: SqlValue) -> SqlValue:
    """A storable value as the server has room for it."""
    if isinstance(value, str):
        return without_nul(value)
    if isinstance(value, int):
        return in_64_bits(value)
    return value


def _driver(where: str) -> "ModuleType":
    """psycopg2, which waits for the server by ``_wait`` from now on.

    :raises DatabaseError: where it is not installed
    """
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError as error:
        raise no_driver(where, "PostgreSQL", "psycopg2", "postgresql", error) from error
    psycopg2.extensions.set_wait_callback(_wait)
    driver: "ModuleType" = psycopg2
    return driver


def _wait(connection: Any) -> None:
    """Wait for the server, but not for ever; a signal is heard meanwhile."""
    import psycopg2

    end = time.monotonic() + (ANSWER_TIMEOUT_S if connection.status else CONNECT_TIMEOUT_S)
    poll = select.poll()
    while True:
        state = connection.poll()
        if state == 0:
            return
        poll.register(connection.fileno(), select.POLLIN if state == 1 else select.POLLOUT)
        left_s = end - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            connection.close()
            raise psycopg2.OperationalError("no answer for too long")
        poll.unregister(connection.fileno())

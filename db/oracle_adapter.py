"""A history on an Oracle server, by python-oracledb (thin: no client is needed) or, for want of it, cx_Oracle.

What Oracle does otherwise is hidden here. It has no empty text: one that consists of blanks alone gets one more on the
way in and loses one on the way out, so that a blank stands for the empty text and nothing else does. Its definitions
commit by themselves: a migration that was cut off is taken up again, and what is there already is passed over.
"""
import math
import re
from calendar import timegm
from contextlib import contextmanager
from time import strptime
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple

from db.interface import Row, SqlValue, in_64_bits, storable, without_nul
from db.placeholders import Placeholders
from db.server_errors import no_driver, server_refusal
from db.server_statements import ServerStatements
from jobs.exceptions import DatabaseError, InternalError
from jobs.server_place import PORTS, ServerPlace

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["OracleAdapter", "blank_for_empty", "empty_for_blank"]

CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 30.0
#: How long nothing may come from a server that is to answer.
ANSWER_TIMEOUT_S = 120.0
_LOCK_TABLE = "executioner_lock"
#: Numbers of ORA errors, and the cause that they stand for.
_CAUSES: Tuple[Tuple[Tuple[int, ...], str], ...] = (
    ((1, 1400, 1407, 2290, 2291, 2292), "constraint"),
    ((54, 60, 30006, 4021), "locked"),
    ((904, 942, 4043), "malformed"),
    ((1017, 1045, 28000, 28001, 1005), "refused"),
    ((1031, 16000, 1950), "readonly"),
    ((1536, 1652, 1653, 1654, 1688, 1691), "disk_full"),
    ((1438, 1461, 1722, 12899, 1426, 22835), "value"),
    ((28, 1012, 1033, 1034, 1089, 1090, 3113, 3114, 3135, 12154, 12170, 12505, 12514, 12516, 12519, 12528, 12537, 12541,
      12543, 12545, 12547, 12560, 12571), "unreachable"),
)
#: What a definition says that is there already: a table or index, a column, an index on the same columns.
_IS_THERE = (955, 1430, 1408)


def _literal(text: str) -> str:
    return "' '" if text == "''" else text


_STYLE = Placeholders(lambda position: ":%d" % (position + 1), str, _literal)


def blank_for_empty(text: str) -> str:
    """A text as it is kept: one of blanks alone is longer by one."""
    return text if text.strip(" ") else text + " "


def empty_for_blank(text: str) -> str:
    """The text that is kept so."""
    return text if text.strip(" ") else text[:-1]


class OracleAdapter(ServerStatements):
    """A connection to an Oracle server.

    :param place: which server, service, user and schema
    :param password: None where none is needed
    :param readonly: only reading
    :param lock_timeout_s: how long another writer is waited for
    :raises DatabaseError: where the driver is missing, or the server cannot be reached or refuses
    """

    dialect = "oracle"
    undoes_definitions = False

    def __init__(self, place: ServerPlace, password: Optional[str] = None, readonly: bool = False,
                 lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self._place = place
        super().__init__(place.shown, readonly, _driver(place.shown), password)
        self._lock_s = max(1, int(math.ceil(lock_timeout_s)))
        self._keeper: Any = None
        self._in_transaction = False
        self._connection = self._connect()

    def _connect(self) -> Any:
        place = self._place
        more: Dict[str, object] = {"encoding": "UTF-8"}
        if self._driver.__name__ == "oracledb":
            more = {"tcp_connect_timeout": CONNECT_TIMEOUT_S}
        try:
            connection = self._driver.connect(
                user=place.user, password=self._secret, dsn="%s:%d/%s" % (
                    "[%s]" % place.host if ":" in place.host else place.host, place.port or PORTS["oracle"],
                    place.name), **more)
            connection.call_timeout = int(ANSWER_TIMEOUT_S * 1000)
            connection.autocommit = True
            connection.outputtypehandler = self._as_text
            if place.schema:
                connection.current_schema = place.schema
            return connection
        except self._driver.Error as error:
            raise self._translated(error) from error

    def _as_text(self, cursor: Any, *described: Any) -> Any:
        """CLOBs come as texts: the driver calls this for each column."""
        kind = described[0].type_code if len(described) == 1 else described[1]
        if kind == self._driver.DB_TYPE_CLOB:
            return cursor.var(self._driver.DB_TYPE_LONG, arraysize=cursor.arraysize)
        return None

    def executemany(self, sql: str, rows: Sequence[Sequence[SqlValue]]) -> int:
        """Run one statement for each row of values, all of them in one call."""
        if not rows:
            return 0
        with self._cursor() as cursor:
            bound = [[_plain(value) for value in row] for row in rows]
            cursor.setinputsizes(*[self._kind(column) for column in zip(*bound)])
            cursor.executemany(_STYLE.rewritten(sql), bound)
            return max(0, int(cursor.rowcount))

    def insert(self, sql: str, parameters: Sequence[SqlValue], id_column: str) -> int:
        """Run an INSERT and give the new id."""
        with self._cursor() as cursor:
            new_id = cursor.var(self._driver.DB_TYPE_NUMBER)
            bound: List[object] = [_bound(value) for value in parameters]
            cursor.setinputsizes(*([self._kind([value]) for value in bound] + [None]))
            cursor.execute("%s RETURNING %s INTO :%d" % (_STYLE.rewritten(sql), id_column, len(bound) + 1),
                           bound + [new_id])
            return int(new_id.getvalue()[0])

    def paged(self, sql: str) -> str:
        """The same SELECT within one that counts its rows: known to every release."""
        return "SELECT * FROM (%s) WHERE ROWNUM <= ?" % sql

    def has_table(self, name: str) -> bool:
        """Whether there is a table of that name where ours are."""
        if self._place.schema:
            return self.fetchone("SELECT 1 FROM all_tables WHERE owner = ? AND table_name = ?",
                                 (self._place.schema.upper(), name.upper())) is not None
        return self.fetchone("SELECT 1 FROM user_tables WHERE table_name = ?", (name.upper(),)) is not None

    def now(self) -> float:
        """Epoch seconds, whole ones."""
        row = self.fetchone("SELECT TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS') FROM dual")
        return float(timegm(strptime(row[0], "%Y-%m-%d %H:%M:%S"))) if row is not None else 0.0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction; others may write at the same time, but not change the schema."""
        if self._in_transaction:
            raise InternalError("this is a bug: %s: a transaction inside a transaction" % self._where)
        self._live().autocommit = False
        self._in_transaction = True
        try:
            if self._keeper is None and self._has_lock_table():
                self.execute("LOCK TABLE %s IN SHARE MODE WAIT %d" % (_LOCK_TABLE, self._lock_s))
            yield
            with self._errors():
                self._live().commit()
            self._in_transaction = False
        finally:
            self._roll_back()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other writers out for several transactions: a second connection holds the lock over all commits."""
        if not self._has_lock_table():
            yield  # there is nothing yet that others could write
            return
        self._keeper = self._connect()
        try:
            self._keeper.autocommit = False
            with self._errors():
                cursor = self._keeper.cursor()
                cursor.execute("LOCK TABLE %s IN EXCLUSIVE MODE WAIT %d" % (_LOCK_TABLE, self._lock_s))
                cursor.close()
            yield
        finally:
            keeper, self._keeper = self._keeper, None
            try:
                keeper.rollback()
                keeper.close()
            except self._driver.Error:
                pass  # with the connection the lock is gone as well

    def define(self, sql: str) -> None:
        """Change the schema by one statement; what is there already is passed over."""
        try:
            self.execute(sql)
        except DatabaseError as error:
            if error.context.get("number") not in _IS_THERE:
                raise

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection is not None and self._in_transaction

    def close(self) -> None:
        """End the connection; what was not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                if self._in_transaction:
                    connection.rollback()
                connection.close()
            except self._driver.Error:
                return  # it was gone already

    def _has_lock_table(self) -> bool:
        return self.has_table(_LOCK_TABLE)

    def _roll_back(self) -> None:
        was_open, self._in_transaction = self._in_transaction, False
        if self._connection is None:
            return
        try:
            if was_open:
                self._connection.rollback()
            self._connection.autocommit = True
        except self._driver.Error:
            self.close()  # with the connection the transaction is gone as well

    def _run(self, cursor: Any, sql: str, parameters: Sequence[SqlValue]) -> None:
        bound = [_bound(value) for value in parameters]
        if bound:
            cursor.setinputsizes(*[self._kind([value]) for value in bound])
        cursor.execute(_STYLE.rewritten(sql), bound)

    def _row(self, row: Sequence[Any]) -> Row:
        return tuple(empty_for_blank(value) if isinstance(value, str) else value for value in row)

    def _kind(self, values: Sequence[object]) -> object:
        """What a bound value is, so that NULLs, infinities and long texts of one statement go together."""
        known = [value for value in values if value is not None]
        if any(isinstance(value, float) for value in known):
            return self._driver.DB_TYPE_BINARY_DOUBLE
        if any(isinstance(value, int) for value in known):
            return self._driver.DB_TYPE_NUMBER
        longest = max([len(value) for value in known if isinstance(value, str)] or [0])
        return self._driver.DB_TYPE_CLOB if longest > 1000 else max(longest, 1) if known else None

    def _translated(self, error: Exception) -> Exception:
        text = self._said(error)
        found = re.search(r"\bORA-0*([0-9]+)", text)
        number = int(found.group(1)) if found is not None else 0
        cause = next((cause for numbers, cause in _CAUSES if number in numbers), "")
        if not cause:
            # What the driver says of itself: a connection that could not be made or broke, a wrong number of values.
            if re.search(r"\bDP[YI]-(1001|1010|1080|4011|6\d\d\d)\b", text):
                cause = "unreachable"
            elif re.search(r"\bDPY-(4009|4010|2\d\d\d|3\d\d\d)\b", text) or number in (1008, 1036):
                return InternalError("this is a bug: %s: %s" % (self._where, text))
            else:
                cause = "other"
        refusal = server_refusal(self._where, cause, text)
        refusal.context["number"] = number
        return refusal


def _bound(value: SqlValue) -> SqlValue:
    """A value as the server takes it: numbers of 64 bits, and texts without lone surrogates."""
    return _plain(storable(value))


def _plain(value: SqlValue) -> SqlValue:
    """A storable value as it is kept."""
    if isinstance(value, str):
        value.encode("utf-8")
        return blank_for_empty(without_nul(value))
    if isinstance(value, int):
        return in_64_bits(value)
    if value is not None and not isinstance(value, (float, bytes)):
        raise TypeError("a value of the type %s" % type(value).__name__)
    return value


def _driver(where: str) -> "ModuleType":
    """python-oracledb, else cx_Oracle.

    :raises DatabaseError: where neither is installed
    """
    try:
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old Pythons it says that these are old
            import oracledb
        thin: "ModuleType" = oracledb
        return thin
    except ImportError as error:
        try:
            import cx_Oracle
            thick: "ModuleType" = cx_Oracle
            return thick
        except ImportError:
            raise no_driver(where, "Oracle", "oracledb", "oracle", error) from error

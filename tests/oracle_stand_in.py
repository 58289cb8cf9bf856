"""A stand-in for python-oracledb over HSQLDB in its Oracle mode, through JDBC: no Oracle server can be had here.

What HSQLDB lacks is rewritten here and nowhere else: RETURNING ... INTO, LOCK TABLE ... IN ... MODE (as locks of this
process), SYS_EXTRACT_UTC in a TO_CHAR, the column name AT, and Oracle's empty text, which is NULL. Each statement is
also held against rules of our own (``oracle_rules``), for what HSQLDB lets through and Oracle does not.
"""
import os
import re
import sys
import threading
import time
from types import ModuleType
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest

from hsqldb_process import JARS, Engine
from jobs.server_place import ServerPlace
from oracle_rules import broken_rules

__all__ = ["STATEMENTS", "install", "oracle_place", "why_not"]

#: Every statement that went through, for whoever wants to look at them.
STATEMENTS: List[str] = []
_RETURNING = re.compile(r"\A(.*) RETURNING (\w+) INTO :\d+\Z", re.DOTALL)
_LOCK = re.compile(r"\ALOCK TABLE (\w+) IN (SHARE|EXCLUSIVE) MODE WAIT (\d+)\Z")
_CLOCK = "TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS')"
#: Numbers of HSQLDB's errors, and those that Oracle has.
_NUMBERS = {-104: 1, -10: 1400, -177: 2291, -8: 2292, -157: 2290, -5501: 942, -5504: 955, -5581: 900, -5590: 900,
            -3401: 12899, -3408: 1426, -5574: 900, -5561: 932}


def why_not() -> str:
    """Why there is no stand-in here; "" where there is one."""
    try:
        import jaydebeapi  # noqa: F401
    except ImportError:
        return "not run: this Python has no JayDeBeApi"
    if not any(os.path.exists(jar) for jar in JARS):
        return "not run: no HSQLDB is installed"
    if not any(os.access(os.path.join(folder, "java"), os.X_OK) for folder in os.environ["PATH"].split(os.pathsep)):
        return "not run: no Java is installed"
    return ""


class Error(Exception):
    """As the driver's: its text begins with the number."""


class _Lock:
    """Table locks of one database: many share it, or one has it alone."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.sharers: List[object] = []
        self.owner: Optional[object] = None

    def take(self, who: object, mode: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self.condition:
            while (self.owner not in (None, who)) or (
                    mode == "EXCLUSIVE" and [one for one in self.sharers if one is not who]):
                if not self.condition.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    raise Error("ORA-00054: resource busy and acquire with NOWAIT specified or timeout expired")
            if mode == "SHARE":
                self.sharers.append(who)
            else:
                self.owner = who

    def release(self, who: object) -> None:
        with self.condition:
            self.sharers = [one for one in self.sharers if one is not who]
            if self.owner is who:
                self.owner = None
            self.condition.notify_all()


_LOCKS: Dict[str, _Lock] = {}


class Variable:
    """Where a value comes back."""

    def __init__(self) -> None:
        self.value: Any = None

    def getvalue(self) -> List[Any]:
        return [self.value]


class Cursor:
    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._rows: Any = None
        self.arraysize = 100
        self.rowcount = -1

    @property
    def description(self) -> Any:
        return None if self._rows is None else ()

    def var(self, kind: object, arraysize: int = 1) -> Variable:
        return Variable()

    def setinputsizes(self, *sizes: object) -> None:
        """Nothing: JDBC asks the statement."""

    def close(self) -> None:
        self._rows = None

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        self._judge(sql)
        lock = _LOCK.match(sql)
        if lock is not None:
            self._connection.lock.take(self._connection, lock.group(2), float(lock.group(3)))
            return
        returning = _RETURNING.match(sql)
        if returning is not None:
            self._run(returning.group(1), values[:-1], commits=False)
            values[-1].value = self._connection.ask("execute", "CALL IDENTITY()", [])[1][0][0]
            self._connection.commit_alone()
            return
        self._run(sql, values)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self._judge(sql)
        changed = 0
        for row in rows:
            self._run(sql, row)
            changed += self.rowcount
        self.rowcount = changed

    def _judge(self, sql: str) -> None:
        STATEMENTS.append(sql)
        problems = broken_rules(sql)
        if problems:
            raise Error("ORA-00900: our rules: %s in: %s" % ("; ".join(problems), sql))

    def _run(self, sql: str, values: Sequence[Any], commits: bool = True) -> None:
        text = sql.replace(_CLOCK, "TO_CHAR(CURRENT_TIMESTAMP AT TIME ZONE INTERVAL '0:00' HOUR TO MINUTE, "
                                   "'YYYY-MM-DD HH24:MI:SS')")
        parts = re.split(r"('(?:[^']|'')*')", text)
        wanted = 0
        for index in range(0, len(parts), 2):
            wanted += len(re.findall(r":\d+", parts[index]))
            parts[index] = re.sub(r"\bat\b", '"AT"', re.sub(r":\d+", "?", parts[index]))
        if wanted != len(values):
            raise Error("DPY-4009: %d positional bind values are required but %d were provided" % (
                wanted, len(values)))
        # Oracle knows no empty text.
        bound = [None if value == "" else value for value in values]
        self.rowcount, self._rows = self._connection.ask("execute", "".join(parts), bound)
        if commits and (self._connection.autocommit or re.match(r"\s*(CREATE|ALTER|DROP)\b", text)):
            self._connection.commit()

    def fetchone(self) -> Any:
        return tuple(self._rows.pop(0)) if self._rows else None

    def fetchall(self) -> Any:
        rows, self._rows = self._rows, []
        return [tuple(row) for row in rows]


class Connection:
    def __init__(self, url: str) -> None:
        self._engine = Engine.get()
        self._number = 0
        self._number = self.ask("connect", url)[0]
        self.autocommit = False
        self.call_timeout = 0
        self.outputtypehandler: Any = None
        self.lock = _LOCKS.setdefault(url, _Lock())
        for missing in ("CREATE VIEW user_tables AS SELECT table_name FROM information_schema.tables "
                        "WHERE table_schema = 'PUBLIC'",
                        "CREATE FUNCTION to_clob(t VARCHAR(32000)) RETURNS CLOB RETURN CAST(t AS CLOB)"):
            try:
                self.ask("execute", missing, [])
            except Error:
                continue  # another connection made it

    def ask(self, what: str, *rest: object) -> List[Any]:
        """Have HSQLDB do something; its errors become Oracle's."""
        found = self._engine.ask(what, self._number, *rest)
        if found[0] == "ok":
            return found[1:]
        code, text = found[1:]
        raise Error("ORA-%05d: %s (%s)" % (_NUMBERS.get(code, 900), text, code))

    def cursor(self) -> Cursor:
        return Cursor(self)

    def commit_alone(self) -> None:
        """Commit what was done outside of a transaction."""
        if self.autocommit:
            self.commit()

    def commit(self) -> None:
        self.ask("commit")
        self.lock.release(self)

    def rollback(self) -> None:
        self.ask("rollback")
        self.lock.release(self)

    def close(self) -> None:
        self.rollback()
        self.ask("close")


def install(monkeypatch: "pytest.MonkeyPatch", name: str) -> None:
    """Have ``import oracledb`` give the stand-in, with a database of its own."""
    module = ModuleType("oracledb")
    url = "jdbc:hsqldb:mem:%s;sql.syntax_ora=true;hsqldb.tx=mvcc" % name

    def connect(user: str, password: str, dsn: str, tcp_connect_timeout: float = 0.0) -> Connection:
        return Connection(url)

    for attribute, value in {
            "Error": Error, "connect": connect, "DB_TYPE_CLOB": "CLOB", "DB_TYPE_LONG": "LONG",
            "DB_TYPE_NUMBER": "NUMBER", "DB_TYPE_BINARY_DOUBLE": "BINARY_DOUBLE"}.items():
        setattr(module, attribute, value)
    monkeypatch.setitem(sys.modules, "oracledb", module)


def oracle_place(dsn: str) -> "Tuple[ServerPlace, str]":
    """The place and the password of USER/PASSWORD@HOST:PORT/SERVICE."""
    who, _, where = dsn.rpartition("@")
    user, _, password = who.partition("/")
    host, _, service = where.partition("/")
    name, _, port = host.partition(":")
    return ServerPlace("oracle", name, int(port or 1521), service, user), password

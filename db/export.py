"""The local history as a script for another database: its tables, and what has ended.

The script is plain SQL, one statement after the other, each ended by a semicolon; it may be run again, for each row is
inserted only where it is missing.
"""
import re
from typing import Iterator, Sequence, Set, Tuple

from db.copying import _EVENT, _PARTS, _RUN
from db.history import History
from db.interface import SqlValue, without_nul
from db.migrations import MIGRATIONS
from db.oracle_adapter import blank_for_empty

__all__ = ["EXPORT_KINDS", "export_lines", "literal"]

#: What a script can be written for.
EXPORT_KINDS = ("oracle",)
#: Texts in pieces: SQL*Plus takes lines of some thousand bytes, and Oracle literals of 4,000 bytes.
_SEGMENTS = re.compile("[^\r\n]{1,400}|[\r\n]")
#: Texts above are CLOBs from their first piece on.
_SHORT = 900
_RUNS_AT_ONCE = 200


def export_lines(history: History, with_schema: bool = True, schema_only: bool = False) -> Iterator[str]:
    """The lines of a script for SQL*Plus or SQLcl that brings the ended runs of a home to Oracle.

    :raises DatabaseError: where the history cannot be read
    """
    yield "-- The history of %s for Oracle: run it as the owner of the tables, once or again." % history.where
    yield "SET DEFINE OFF;"
    yield "SET SQLBLANKLINES ON;"
    yield "WHENEVER SQLERROR EXIT FAILURE ROLLBACK;"
    if with_schema:
        yield from _schema(history)
    if not schema_only:
        yield from _rows(history)
    yield "EXIT SUCCESS;"


def _schema(history: History) -> Iterator[str]:
    for migration in MIGRATIONS:
        yield ""
        for statement in migration.text("oracle"):
            yield statement + ";"
        values: Tuple[SqlValue, ...] = (migration.version, migration.name, migration.checksum("oracle"),
                                        history.database.now())
        yield "INSERT INTO schema_version (version, name, checksum, applied_at) VALUES (%s);" % ", ".join(
            literal(value) for value in values)
        yield "COMMIT;"
    from db.history import new_home_uuid
    yield "INSERT INTO meta (name, value) VALUES ('home_uuid', %s);" % literal(new_home_uuid())
    yield "COMMIT;"


def _rows(history: History) -> Iterator[str]:
    database = history.database
    uuid = history.home_uuid()
    known: Set[str] = set()
    query = database.paged("SELECT r.run_id, r.config_hash, r.host, p.run_uuid, r.parent_run_id, %s FROM runs r "
                           "LEFT JOIN runs p ON p.run_id = r.parent_run_id WHERE r.status <> 'RUNNING' "
                           "AND r.run_id > ? ORDER BY r.run_id" % ", ".join("r." + name for name in _RUN))
    after = 0
    while True:
        rows = database.fetchall(query, (after, _RUNS_AT_ONCE))
        for row in rows:
            after, digest, host, parent_uuid, parent = row[:5]
            run_uuid = str(row[5 + _RUN.index("run_uuid")])
            if digest not in known:
                known.add(digest)
                text = history.configuration(digest)
                yield from _insert("configurations", ("config_hash", "config_text", "home_uuid", "home_host"),
                                   [literal(value) for value in (digest, text, uuid, host)], "dual",
                                   "NOT EXISTS (SELECT 1 FROM configurations WHERE config_hash = %s)" % literal(digest))
            found = "NULL" if parent_uuid is None else "(SELECT run_id FROM runs WHERE run_uuid = %s)" % literal(
                parent_uuid)
            yield from _insert(
                "runs", ("parent_run_id",) + _RUN + ("home_uuid", "home_host", "home_run_id", "home_parent_run_id",
                                                     "copied_at"),
                [found] + [literal(value) for value in tuple(row[5:]) + (uuid, host, after, parent, database.now())],
                "dual", "NOT EXISTS (SELECT 1 FROM runs WHERE run_uuid = %s)" % literal(run_uuid))
            for table, names in _PARTS:
                yield from _part(history, table, names, after, run_uuid, uuid, host)
            yield from _events(history, "run_id = ?", (after,), run_uuid, uuid, host)
            yield "COMMIT;"
        if len(rows) < _RUNS_AT_ONCE:
            break
    yield from _events(history, "run_id IS NULL", (), "", uuid, "")
    yield "COMMIT;"


def _part(history: History, table: str, names: Tuple[str, ...], run_id: int, run_uuid: str, uuid: str,
          host: str) -> Iterator[str]:
    keys = {"jobs": ("position",), "attempts": ("position", "attempt"), "outputs": ("position", "name")}[table]
    for row in history.database.fetchall("SELECT %s FROM %s WHERE run_id = ? ORDER BY position" % (
            ", ".join(names), table), (run_id,)):
        same = " AND ".join("o.%s = %s" % (key, literal(row[names.index(key)])) for key in keys)
        yield from _insert(table, ("run_id",) + names + ("home_uuid", "home_host"),
                           ["r.run_id"] + [literal(value) for value in tuple(row) + (uuid, host)],
                           "runs r", "r.run_uuid = %s AND NOT EXISTS (SELECT 1 FROM %s o WHERE o.run_id = r.run_id AND "
                                     "%s)" % (literal(run_uuid), table, same))


def _events(history: History, which: str, values: Sequence[SqlValue], run_uuid: str, uuid: str,
            host: str) -> Iterator[str]:
    for row in history.database.fetchall("SELECT event_id, %s FROM events WHERE %s ORDER BY event_id" % (
            ", ".join(_EVENT), which), values):
        missing = ("NOT EXISTS (SELECT 1 FROM events o WHERE o.home_uuid = %s AND o.home_event_id = %s "
                   "AND o.at = %s)") % (
            literal(uuid), literal(row[0]), literal(row[1 + _EVENT.index("at")]))
        yield from _insert(
            "events", ("run_id",) + _EVENT + ("home_uuid", "home_host", "home_event_id"),
            ["r.run_id" if run_uuid else "NULL"] + [literal(value) for value in tuple(row[1:]) + (uuid, host, row[0])],
            "runs r" if run_uuid else "dual",
            "r.run_uuid = %s AND %s" % (literal(run_uuid), missing) if run_uuid else missing)


def _insert(table: str, columns: Sequence[str], values: Sequence[str], source: str, condition: str) -> Iterator[str]:
    yield "INSERT INTO %s (%s)" % (table, ", ".join(columns))
    yield "SELECT " + ",\n    ".join(values)
    yield "FROM %s WHERE %s;" % (source, condition)


def literal(value: SqlValue) -> str:
    """A value as it stands in a statement for Oracle."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        # Line breaks are spelt out, so that no line of the script begins or ends within a text.
        parts = ["CHR(%d)" % ord(found) if found in "\r\n" else "'%s'" % found.replace("'", "''")
                 for found in _SEGMENTS.findall(blank_for_empty(without_nul(value)))]
        is_long = len(value) > _SHORT
        return "\n    ||".join("TO_CLOB(%s)" % part if is_long else part for part in parts)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return "BINARY_DOUBLE_NAN" if value != value else ("-" if value < 0 else "") + "BINARY_DOUBLE_INFINITY"
        return repr(value)
    return str(int(value))  # no column of ours holds bytes

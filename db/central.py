"""The history of many homes on one server: connecting to it, and whose a run is.

It is read with ``History`` like any other; its runs have numbers of the server. Its tables are made by the first home
that copies there; a later schema only by ``executioner db migrate --central``, since older hosts cannot write it.
"""
import os
from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

from db.history import History, new_home_uuid
from db.interface import DatabaseInterface, Row, SqlValue
from db.migration import Migration, apply_pending, pending
from db.migrations import MIGRATIONS
from jobs.exceptions import DatabaseError, InternalError, MigrationError
from jobs.server_place import ServerPlace

__all__ = ["Origin", "connect", "migrate_central", "open_central", "origins", "own_host", "rows_by_keys"]

#: Rows that one statement asks for by their keys.
_MOST_KEYS = 500


class Origin(NamedTuple):
    """Whose a run is."""

    #: UUID of the home, its host, and the run's number there.
    home_uuid: str
    host: str
    home_run_id: int


def connect(place: ServerPlace, environ: Mapping[str, str], readonly: bool = False,
            lock_timeout_s: float = 30.0) -> DatabaseInterface:
    """A connection to a server, whatever is on it.

    :param environ: where the password is looked for
    :raises ConfigurationError: where there is no password although one is named
    :raises DatabaseError: where the driver is missing, or the server cannot be reached or refuses
    """
    password = place.password(environ)
    if place.kind == "postgresql":
        from db.postgresql_adapter import PostgreSQLAdapter
        return PostgreSQLAdapter(place, password, readonly, lock_timeout_s)
    if place.kind == "oracle":
        from db.oracle_adapter import OracleAdapter
        return OracleAdapter(place, password, readonly, lock_timeout_s)
    raise InternalError("this is a bug: there is no adapter for %s" % place.kind)


def open_central(place: ServerPlace, environ: Mapping[str, str], readonly: bool = False,
                 lock_timeout_s: float = 30.0) -> History:
    """The history on a server; its tables are made where it is opened for writing and there are none.

    :raises ConfigurationError: where there is no password although one is named
    :raises DatabaseError: where it cannot be used; cause ``missing``: nothing was copied there yet
    :raises MigrationError: where its schema is not ours
    """
    database = connect(place, environ, readonly, lock_timeout_s)
    try:
        if not database.has_table("schema_version"):
            if readonly:
                raise DatabaseError("%s: nothing was copied there yet" % database.where,
                                    context={"path": database.where, "cause": "missing"})
            if not database.undoes_definitions:
                raise DatabaseError("%s: there are no tables yet; whoever may make them runs `executioner db migrate "
                                    "--central`, or the script of `executioner db export`" % database.where,
                                    context={"path": database.where, "cause": "missing"})
            _create(database)
        left = pending(database, MIGRATIONS)
        if left:
            found, known = left[0].version - 1, MIGRATIONS[-1].version
            raise MigrationError("%s has an older schema (%d, this executioner knows %d); run `executioner db migrate "
                                 "--central` when every host has this version" % (database.where, found, known),
                                 context={"path": database.where, "found": found, "known": known})
        return History(database)
    except BaseException:
        database.close()
        raise


def migrate_central(place: ServerPlace, environ: Mapping[str, str],
                    dry_run: bool = False) -> Tuple[int, List[Migration]]:
    """Bring the tables on a server up to date: the schema that was there (0 = none), and the steps (to be) made.

    :raises ConfigurationError: where there is no password although one is named
    :raises StorageError: where that cannot be done
    """
    database = connect(place, environ, readonly=dry_run)
    try:
        if not database.has_table("schema_version"):
            if not dry_run:
                _create(database)
            return 0, list(MIGRATIONS)
        left = pending(database, MIGRATIONS)
        if left and not dry_run:
            apply_pending(database, MIGRATIONS)
        return MIGRATIONS[-1].version - len(left), left
    finally:
        database.close()


def _create(database: DatabaseInterface) -> None:
    apply_pending(database, MIGRATIONS)
    try:
        with database.transaction():
            database.execute("INSERT INTO meta (name, value) VALUES ('home_uuid', ?)", (new_home_uuid(),))
    except DatabaseError as error:
        if error.context.get("cause") != "constraint":
            raise  # else another home was faster


def origins(history: History, run_ids: Sequence[int]) -> Dict[int, Origin]:
    """Whose runs of a central history are, by their numbers there."""
    return {row[0]: Origin(row[1] or "", row[2] or "", row[3] or 0) for row in rows_by_keys(
        history.database, "SELECT run_id, home_uuid, home_host, home_run_id FROM runs WHERE run_id IN (%s)", run_ids)}


def rows_by_keys(database: DatabaseInterface, sql: str, keys: Sequence[SqlValue],
                 before: Sequence[SqlValue] = ()) -> List[Row]:
    """The rows of a query with ``IN (%s)``, asked for in parts.

    :param before: values of placeholders that stand before the keys
    """
    found: List[Row] = []
    for start in range(0, len(keys), _MOST_KEYS):
        some = list(keys[start:start + _MOST_KEYS])
        found += database.fetchall(sql % ", ".join("?" * len(some)), list(before) + some)
    return found


def own_host() -> str:
    """The name of this host."""
    return os.uname().nodename

"""How a schema changes: numbered, checksummed steps, each in one transaction with the row that records it.

A database whose schema is newer than what we know, or whose recorded steps are not ours, is refused and left as it is.
"""
from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from db.interface import DatabaseInterface
from jobs.digests import sha256_hex
from jobs.exceptions import MigrationError, StorageError

__all__ = ["Migration", "apply_pending", "pending"]

#: Causes that say nothing against a migration.
_NOT_ITS_FAULT = ("disk_full", "locked", "readonly", "io_error")


@dataclass(eq=False, repr=False)
class Migration:
    """One step of the schema: its statements by dialect; those of a dialect that is not there are translated."""

    version: int
    name: str
    statements: Dict[str, Tuple[str, ...]]

    def text(self, dialect: str) -> Tuple[str, ...]:
        """The statements for a dialect: its own, or SQLite's translated."""
        own = self.statements.get(dialect)
        if own is not None:
            return own
        from db.migrations.dialects import SCRIPTED, script_of, translated
        if dialect in SCRIPTED:
            return script_of(self.version, self.name, dialect)
        return translated(self.statements["sqlite"], dialect)

    def checksum(self, dialect: str) -> str:
        """SHA-256 of the statements, hexadecimal."""
        return sha256_hex(";\n".join(self.text(dialect)).encode("utf-8"))


def pending(database: DatabaseInterface, migrations: Sequence[Migration]) -> List[Migration]:
    """The steps that the database still lacks; those it has are compared with ours.

    :raises MigrationError: where the schema is newer than ours, or a step was changed after it was applied
    :raises DatabaseError: where the table of steps cannot be read
    """
    applied = database.fetchall("SELECT version, name, checksum FROM schema_version ORDER BY version")
    known = {migration.version: migration for migration in migrations}
    newest = max(known)
    if applied and applied[-1][0] > newest:
        raise MigrationError(
            "%s was written by a newer executioner (schema %s, this one knows %d); install that version, or choose "
            "another --home" % (database.where, applied[-1][0], newest),
            context={"path": database.where, "found": applied[-1][0], "known": newest})
    for version, name, checksum in applied:
        step = known.get(version)
        if step is None or step.name != name or step.checksum(database.dialect) != checksum:
            raise MigrationError(
                "%s: migration %s (%s) is not the one that this executioner has; install the version that wrote the "
                "file, or restore a backup" % (database.where, version, name),
                context={"path": database.where, "found": version, "known": newest})
    if [row[0] for row in applied] != [migration.version for migration in migrations[:len(applied)]]:
        raise MigrationError("%s: a migration before schema %s is missing from its record; restore a backup"
                             % (database.where, applied[-1][0]),
                             context={"path": database.where, "found": applied[-1][0], "known": newest})
    return list(migrations[len(applied):])


def apply_pending(database: DatabaseInterface, migrations: Sequence[Migration]) -> List[int]:
    """Bring the schema up to date and give the versions applied; a database with content is backed up first.

    :raises MigrationError: where a step is refused (nothing of it is kept), or as ``pending`` says
    """
    with database.exclusive():
        fresh = not database.has_table("schema_version")
        left = list(migrations) if fresh else pending(database, migrations)
        backup = database.prepare_migration(left[0].version - 1) if left and not fresh else None
        for migration in left:
            try:
                with database.transaction():
                    for statement in migration.text(database.dialect):
                        database.define(statement)
                    database.execute(
                        "INSERT INTO schema_version (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
                        (migration.version, migration.name, migration.checksum(database.dialect), database.now()))
            except StorageError as error:
                if error.context.get("cause") in _NOT_ITS_FAULT:
                    raise
                raise MigrationError(
                    "%s: migration %d (%s) failed and %s: %s%s" % (
                        database.where, migration.version, migration.name, "was undone" if database.undoes_definitions
                        else "is taken up again the next time", error.message,
                        "; a backup is at " + backup if backup else ""),
                    context={"path": database.where, "known": migrations[-1].version, "backup": backup}) from error
        return [migration.version for migration in left]

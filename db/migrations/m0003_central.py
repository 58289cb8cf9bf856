"""Schema 3: a copy of what ended is kept on a server.

In a home:

- ``destinations``: the servers that runs of this home are copied to. ``place`` is a URL that holds no secret;
  ``events_up_to`` is the last event that was looked at; ``failing_since`` is NULL while copying works.
- ``runs.destination``: where a run belongs; NULL where nobody wants it elsewhere. ``runs.uncopied``: 1 until it is
  there.

On a server nothing waits, but every row says which home it came from: ``home_uuid`` and ``home_host``. Runs and events
have numbers of the server; ``home_run_id`` and ``home_event_id`` are those of their home. A run is known by its
``run_uuid``, an event by its home, its number there and its time, so that nothing is there twice.
"""
from db.migration import Migration

__all__ = ["MIGRATION"]

_COPIED = ("configurations", "jobs", "attempts", "outputs")

MIGRATION = Migration(3, "central", {
    "sqlite": (
        """CREATE TABLE destinations (
            destination_id INTEGER PRIMARY KEY AUTOINCREMENT,
            place TEXT NOT NULL UNIQUE,
            events_up_to INTEGER NOT NULL,
            tried_at REAL,
            copied_at REAL,
            failing_since REAL,
            problem TEXT NOT NULL
        )""",
        "ALTER TABLE runs ADD COLUMN destination INTEGER",
        "ALTER TABLE runs ADD COLUMN uncopied INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX runs_uncopied ON runs (uncopied, destination, run_id)",
    ),
    "postgresql": (
        'ALTER TABLE runs ADD COLUMN home_uuid TEXT COLLATE "C", ADD COLUMN home_host TEXT COLLATE "C", '
        "ADD COLUMN home_run_id BIGINT, ADD COLUMN home_parent_run_id BIGINT, ADD COLUMN copied_at DOUBLE PRECISION",
        'ALTER TABLE events ADD COLUMN home_uuid TEXT COLLATE "C", ADD COLUMN home_host TEXT COLLATE "C", '
        "ADD COLUMN home_event_id BIGINT",
    ) + tuple('ALTER TABLE %s ADD COLUMN home_uuid TEXT COLLATE "C", ADD COLUMN home_host TEXT COLLATE "C"' % table
              for table in _COPIED) + (
        "CREATE INDEX runs_by_home ON runs (home_uuid, home_run_id)",
        "CREATE UNIQUE INDEX events_by_home ON events (home_uuid, home_event_id, at)",
    ),
})

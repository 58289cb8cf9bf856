"""Schema 2: what is kept about each application, running totals, and the messages that somebody is to get.

- ``applications``: what the last file of an application said that others than its runs must know.
- ``tallies``: totals that only grow, added to in the commit that ends a run; pruning takes nothing away from them.
- ``notifications``: one row per message and destination; ``destination`` is for people and holds no secret, ``route``
  is a hash by which a later command finds its own. ``status`` is ``WAITING``, ``SENT``, ``FAILED`` or ``SUPPRESSED``.
- ``runs.untold``: 1 until it was decided who hears of the run. ``runs.size_bytes``: of its output, once measured.
"""
from db.migration import Migration

__all__ = ["MIGRATION"]

_TALLY = "INSERT INTO tallies (application, name, label, value) "

MIGRATION = Migration(2, "upkeep", {"sqlite": (
    "ALTER TABLE runs ADD COLUMN untold INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE runs ADD COLUMN size_bytes INTEGER",
    "CREATE INDEX runs_untold ON runs (untold, application, run_id)",
    """CREATE TABLE applications (
        application TEXT PRIMARY KEY NOT NULL,
        config_path TEXT NOT NULL,
        expect_s REAL,
        keep_runs INTEGER NOT NULL,
        keep_s REAL NOT NULL,
        keep_bytes INTEGER NOT NULL
    )""",
    """CREATE TABLE tallies (
        application TEXT NOT NULL,
        name TEXT NOT NULL,
        label TEXT NOT NULL,
        value REAL NOT NULL,
        PRIMARY KEY (application, name, label)
    )""",
    """CREATE TABLE notifications (
        notification_id INTEGER PRIMARY KEY AUTOINCREMENT,
        application TEXT NOT NULL,
        run_id INTEGER REFERENCES runs (run_id) ON DELETE SET NULL,
        cause TEXT NOT NULL,
        route TEXT NOT NULL,
        destination TEXT NOT NULL,
        message TEXT NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        created_at REAL NOT NULL,
        ended_at REAL,
        problem TEXT NOT NULL
    )""",
    "CREATE INDEX notifications_by_status ON notifications (status, application, notification_id)",
    "CREATE INDEX notifications_by_cause ON notifications (application, route, cause, notification_id)",
    "CREATE INDEX notifications_by_run ON notifications (run_id)",
    _TALLY + "SELECT application, 'runs', status, count(*) FROM runs WHERE status <> 'RUNNING' "
             "GROUP BY application, status",
    _TALLY + "SELECT r.application, 'jobs', j.status, count(*) FROM runs r JOIN jobs j ON j.run_id = r.run_id "
             "WHERE r.status <> 'RUNNING' AND (j.attempts > 0 OR j.status <> 'SUCCESS') "
             "GROUP BY r.application, j.status",
    _TALLY + "SELECT r.application, 'attempts', '', sum(j.attempts) FROM runs r JOIN jobs j ON j.run_id = r.run_id "
             "WHERE r.status <> 'RUNNING' GROUP BY r.application",
)})

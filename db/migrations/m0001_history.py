"""Schema 1: runs, their jobs, the attempts, and what was done to them.

Never edit a migration that was released: its checksum is in every database. Write the next one.

- ``runs``: ``run_id`` counts up and is never given twice, since output folders bear it; the home's UUID in ``meta``
  makes it unique elsewhere. ``record_path`` is the keeper's record; ``boot_id``, ``runner_pid`` and ``runner_start``
  name the runner.
- ``jobs``: one row per job of a run, made with the run. ``status`` is ``PENDING`` until it is final: that a job is
  queued, running or waiting for its next attempt follows from ``attempts``, and costs no write.
- ``jobs.recovery``: what settling a dead run must know of the job, as JSON (``jobs/recovery.py``); mostly NULL.
- ``attempts``: ``status`` is ``QUEUED`` (intended), ``RUNNING`` (started) or final. Paths inside the run's ``log_dir``
  are kept relative to it. A token needs no index of its own: it is compared, never searched for.
- ``events``: who did what and why; ``application`` only where no run is meant.

What belongs to a run lies together in each B-tree, so a commit touches few pages however large the history is.
"""
from db.migration import Migration

__all__ = ["MIGRATION"]

MIGRATION = Migration(1, "history", {"sqlite": (
    """CREATE TABLE schema_version (
        version INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied_at REAL NOT NULL
    )""",
    """CREATE TABLE meta (
        name TEXT PRIMARY KEY NOT NULL,
        value TEXT NOT NULL
    )""",
    """CREATE TABLE configurations (
        config_hash TEXT PRIMARY KEY NOT NULL,
        config_text TEXT NOT NULL
    )""",
    """CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_uuid TEXT NOT NULL UNIQUE,
        parent_run_id INTEGER REFERENCES runs (run_id) ON DELETE SET NULL,
        application TEXT NOT NULL,
        status TEXT NOT NULL,
        exit_code INTEGER,
        reason TEXT NOT NULL,
        config_hash TEXT NOT NULL REFERENCES configurations (config_hash),
        config_path TEXT NOT NULL,
        options TEXT NOT NULL,
        job_count INTEGER NOT NULL,
        host TEXT NOT NULL,
        user_name TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        runner_pid INTEGER,
        runner_start INTEGER,
        record_path TEXT NOT NULL,
        log_dir TEXT NOT NULL,
        started_at REAL NOT NULL,
        ended_at REAL
    )""",
    "CREATE INDEX runs_by_application ON runs (application, run_id)",
    "CREATE INDEX runs_by_status ON runs (status, run_id)",
    "CREATE INDEX runs_by_application_status ON runs (application, status, run_id)",
    "CREATE INDEX runs_by_parent ON runs (parent_run_id)",
    "CREATE INDEX runs_by_configuration ON runs (config_hash)",
    """CREATE TABLE jobs (
        run_id INTEGER NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        job_id TEXT NOT NULL,
        description TEXT NOT NULL,
        allow_failure INTEGER NOT NULL,
        recovery TEXT,
        status TEXT NOT NULL,
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        exit_code INTEGER,
        signal TEXT,
        started_at REAL,
        ended_at REAL,
        duration_s REAL,
        cpu_s REAL,
        max_rss_bytes INTEGER,
        PRIMARY KEY (run_id, position)
    )""",
    """CREATE TABLE attempts (
        run_id INTEGER NOT NULL,
        position INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        token TEXT NOT NULL,
        status TEXT NOT NULL,
        intended_at REAL NOT NULL,
        stdout_path TEXT NOT NULL,
        stderr_path TEXT NOT NULL,
        pid INTEGER,
        pid_start INTEGER,
        started_at REAL,
        ended_at REAL,
        exit_code INTEGER,
        signal TEXT,
        reason TEXT,
        stop_reason TEXT,
        duration_s REAL,
        cpu_s REAL,
        max_rss_bytes INTEGER,
        survivors TEXT,
        PRIMARY KEY (run_id, position, attempt),
        FOREIGN KEY (run_id, position) REFERENCES jobs (run_id, position) ON DELETE CASCADE
    )""",
    """CREATE TABLE outputs (
        run_id INTEGER NOT NULL,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (run_id, position, name),
        FOREIGN KEY (run_id, position) REFERENCES jobs (run_id, position) ON DELETE CASCADE
    )""",
    """CREATE TABLE events (
        event_id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id INTEGER REFERENCES runs (run_id) ON DELETE CASCADE,
        application TEXT,
        job_id TEXT,
        at REAL NOT NULL,
        kind TEXT NOT NULL,
        who TEXT NOT NULL,
        why TEXT NOT NULL,
        details TEXT NOT NULL
    )""",
    "CREATE INDEX events_by_run ON events (run_id, event_id)",
    "CREATE INDEX events_by_application ON events (application, event_id)",
    """CREATE TABLE metrics (
        metric_id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id INTEGER REFERENCES runs (run_id) ON DELETE CASCADE,
        job_id TEXT,
        name TEXT NOT NULL,
        value REAL NOT NULL,
        at REAL NOT NULL
    )""",
    "CREATE INDEX metrics_by_run ON metrics (run_id, metric_id)",
)})

"""A history of schema 1 is brought to schema 2: its runs are counted, and nobody hears of old ones."""
from pathlib import Path

from db.figures import totals
from db.history import History
from db.interface import DatabaseInterface
from db.migration import apply_pending
from db.migrations import MIGRATIONS
from db.outbox import Outbox
from db.sqlite_adapter import SQLiteAdapter
from db_samples import finished_run


def test_a_history_of_schema_1(tmp_path: Path) -> None:
    path = str(tmp_path / "history.db")

    def build(database: DatabaseInterface) -> None:
        apply_pending(database, MIGRATIONS[:1])
        database.execute("INSERT INTO meta (name, value) VALUES ('home_uuid', 'u')")
        database.execute("INSERT INTO configurations VALUES ('h', '{}')")
        for number, status in enumerate(("SUCCESS", "FAILED", "FAILED", "RUNNING"), 1):
            database.execute(
                "INSERT INTO runs (run_uuid, application, status, reason, config_hash, config_path, options, job_count, "
                "host, user_name, boot_id, record_path, log_dir, started_at) VALUES (?, 'old', ?, '', 'h', '', '{}', 1, "
                "'', '', '', '', '', 1000.0)", ("u%d" % number, status))
            database.execute("INSERT INTO jobs (run_id, position, job_id, description, allow_failure, status, reason, "
                             "attempts) VALUES (?, 0, 'a', '', 0, 'FAILED', '', 3)", (number,))

    SQLiteAdapter.create(path, build, False, 5.0)
    with History.open(path) as history:
        found = {(one.name, one.label): one.value for one in totals(history) if one.application == "old"}
        assert found == {("runs", "SUCCESS"): 1.0, ("runs", "FAILED"): 2.0, ("jobs", "FAILED"): 3.0,
                         ("attempts", ""): 9.0}
        assert Outbox(history).untold_runs("old") == []
        finished_run(history, 50, "old")
        assert {one.label: one.value for one in totals(history) if one.name == "runs"} == {"SUCCESS": 2.0, "FAILED": 2.0}

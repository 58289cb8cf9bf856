"""How long jobs waited for their turns: recorded with each attempt, shown by ``show``, counted in the metrics."""
import json
import sqlite3
from contextlib import closing
from typing import Any, List, Tuple

from cli_case import Case

_ATTEMPTS = ("SELECT j.job_id, a.attempt, a.ready_at, a.intended_at, a.started_at, a.ended_at FROM attempts a "
             "JOIN jobs j ON j.run_id = a.run_id AND j.position = a.position WHERE a.run_id = 1 ORDER BY a.started_at")


def attempts(case: Case) -> List[Tuple[Any, ...]]:
    """The attempts of the first run, as they are in the file."""
    with closing(sqlite3.connect(case.path("home", "history.db"))) as database:
        return list(database.execute(_ATTEMPTS))


def test_waiting_for_a_slot_and_between_tries(case: Case) -> None:
    case.config({"application_name": "app", "max_workers": 1, "parallel": True, "continue_on_error": True, "jobs": [
        {"id": "first", "command": "sleep 1.2", "priority": 9},
        {"id": "second", "command": "test -e tried || { touch tried; exit 1; }", "max_retries": 1, "retry_delay": 1.1},
        {"id": "after", "command": "true", "dependencies": ["second"]}]}).run("run", "config.json").expect(0)
    found = attempts(case)
    assert [row[:2] for row in found] == [("first", 1), ("second", 1), ("second", 2), ("after", 1)]
    for _, _, ready, intended, started, _ in found:
        assert ready <= intended <= started + 0.1
    waits = [started - ready for _, _, ready, _, started, _ in found]
    assert waits[1] >= 1.0, "it waited for the slot"
    assert found[2][2] - found[1][5] >= 0.9, "what lies between two tries is no wait for a turn"
    assert found[3][2] >= found[2][5] - 0.1, "it became ready when what it needs had ended"
    shown = case.run("show", "1").expect(0).out.splitlines()
    rows = {line.split()[0]: line.split() for line in shown[shown.index("") + 2:]}
    assert rows["second"][:5] == ["second", "SUCCESS", "2", "T", "s"]
    case.run("report", "1", "-o", "page.html").expect(0)
    page = open(case.path("page.html")).read()
    told = json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    assert [job["waited"] >= 1.0 for job in told["jobs"]] == [False, True, False]
    assert all(attempt["ready"] <= attempt["started"] and attempt["waited"] >= 0 for attempt in told["attempts"])
    text = open(case.path("home", "executioner.prom")).read()
    assert 'executioner_job_wait_seconds_count{application="app"} 4' in text
    total = float([line for line in text.splitlines() if line.startswith("executioner_job_wait_seconds_sum")][0].split()[1])
    assert abs(total - sum(waits)) < 0.001


def test_a_history_from_before_opens_and_shows_nothing(case: Case) -> None:
    case.config({"application_name": "app", "jobs": [{"id": "a", "command": "true"}]}).run("run", "config.json").expect(0)
    older(case.path("home", "history.db"))
    case.run("db", "migrate").expect(0, err="", out="""
        made schema 4 (waits)
        a backup from before is HOME/history.db.schema-3.backup
        """)
    cells = case.run("show", "1").expect(0).out.splitlines()[-1].split()
    assert cells[:4] == ["a", "SUCCESS", "1", "-"]
    case.run("run", "config.json").expect(0)
    assert case.run("show", "2").expect(0).out.splitlines()[-1].split()[3] != "-"
    text = open(case.path("home", "executioner.prom")).read()
    assert 'executioner_jobs_total{application="app",status="success"} 2' in text
    assert 'executioner_job_wait_seconds_count{application="app"} 1' in text
    case.run("db", "check").expect(0)


def older(path: str) -> None:
    """Make a history one of schema 3 again, as if it had never been otherwise."""
    with closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(attempts)") if row[1] != "ready_at"]
        made = database.execute("SELECT sql FROM sqlite_master WHERE name = 'attempts'").fetchone()[0]
        rows = list(database.execute("SELECT %s FROM attempts" % ", ".join(columns)))
        database.execute("DROP TABLE attempts")
        database.execute(made.replace(", ready_at REAL", ""))
        database.executemany("INSERT INTO attempts VALUES (%s)" % ", ".join("?" * len(columns)), rows)
        database.execute("DELETE FROM tallies WHERE name LIKE 'wait%'")
        database.execute("DELETE FROM schema_version WHERE version = 4")
        database.commit()

"""``db export``: the local history as a script."""
import os
import stat

from cli_case import Case


def test_the_script(case: Case) -> None:
    case.jobs({"id": "a", "command": "true", "description": "it's; fine"}).run("run", "config.json").expect(0)
    told = case.run("db", "export", "--to", "oracle", "-o", "out.sql").expect(0, out="", err="")
    assert told.raw_out == b""
    assert stat.S_IMODE(os.stat(case.path("out.sql")).st_mode) == 0o600
    with open(case.path("out.sql"), encoding="utf-8") as script:
        text = script.read()
    assert text.count("CREATE TABLE runs (") == 1 and "INSERT INTO jobs (run_id, position" in text
    assert "'it''s; fine'" in text and text.endswith("COMMIT;\nEXIT SUCCESS;\n")
    assert "cannot be written: File exists" in case.run("db", "export", "--to", "oracle", "-o", "out.sql").expect(3).err
    only = case.run("db", "export", "--to", "oracle", "--schema-only").expect(0, err="").out
    assert "CREATE TABLE runs (" in only and "INSERT INTO jobs" not in only and "INSERT INTO schema_version" in only


def test_bad_words(case: Case) -> None:
    case.run("db", "export").expect(2, out="", err="executioner: --to: expected oracle\n")
    assert "did you mean oracle" in case.run("db", "export", "--to", "orcale").expect(2).err
    case.run("db", "export", "--to", "oracle").expect(2)


def test_oracle_without_a_server(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}, database="oracle://jobs:${PW}@127.0.0.1:1/service")
    case.environ["PW"] = "secret-word"
    case.run("run", "config.json").expect(0, out="", err="")
    from central_case import end_copiers
    end_copiers(case.home)
    told = case.run("db", "sync").expect(1, out="")
    assert "oracle://jobs@127.0.0.1:1/service: " in told.err and "secret-word" not in told.err
    assert "cannot be reached" in told.err or "pip install 'executioner[oracle]'" in told.err
    told = case.run("db", "sync", "--forget", "oracle://jobs@127.0.0.1:1/service").expect(0)
    assert told.out == "1 run waits no longer for oracle://jobs@127.0.0.1:1/service\n"
    case.run("db", "sync").expect(0, out="", err="")
    case.run("db", "sync", "--forget", "oracle://jobs@127.0.0.1:1/service").expect(2)

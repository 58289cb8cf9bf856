"""Each example runs as its comment says, from any folder, and what it leaves on disk is what it should."""
import csv
import json
import os
import sqlite3
import subprocess
import tarfile
import time
from pathlib import Path
from typing import List, Tuple

import pytest

from example_case import EXAMPLES, Example, attempts, statuses, wait_for_text


def orders_of(folder: Path) -> List[Tuple[str, str, str, int]]:
    """The orders that the ETL should keep, worked out again from the raw files."""
    kept = set()
    for region in ("north", "south"):
        with open(str(folder / "data" / ("orders_%s.csv" % region)), encoding="utf-8") as lines:
            for row in list(csv.reader(lines))[1:]:
                if row[3]:
                    kept.add((row[0], row[1], row[2], int(row[3].replace(".", ""))))
    return sorted(kept)


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {
        "nightly_etl", "failing", "retrying", "earlier_format", "watched", "deciding", "parameters", "fan_out",
        "sub_pipelines", "up_to_date", "limits", "guarded", "night",
        "settings"}
    for folder in EXAMPLES.iterdir():
        assert (folder / (folder.name + ".json")).is_file()


@pytest.mark.parametrize("name", ["nightly_etl", "failing", "retrying", "earlier_format", "watched", "deciding", "parameters",
                                  "fan_out", "sub_pipelines", "up_to_date", "night", "settings"])
def test_examples_are_valid(name: str, tmp_path: Path) -> None:
    example = Example(name, tmp_path)
    params = ("--param", "region=north") if name == "parameters" else ()
    done = example.call("validate", str(example.file), "--json", *params)
    assert done.returncode == 0, done.stdout.decode()
    problems = json.loads(done.stdout.decode())
    assert [problem["code"] for problem in problems] == (["W108"] if name == "fan_out" else [])


def test_nightly_etl(tmp_path: Path) -> None:
    example = Example("nightly_etl", tmp_path)
    for _ in range(2):
        document = example.run(0)
        assert document["status"] == "SUCCESS"
        assert len(document["jobs"]) == 11 and set(statuses(document).values()) == {"SUCCESS"}
        assert {job: count for job, count in attempts(document).items() if count != 1} == {"fetch": 2}
        expected = orders_of(example.folder)
        assert 40 < len(expected) < 80
        connection = sqlite3.connect(str(example.work / "out" / "orders.db"))
        assert connection.execute("SELECT id, region, customer, cents FROM orders ORDER BY id").fetchall() == expected
        connection.close()
        with open(str(example.folder / "data" / "customers.csv"), encoding="utf-8") as lines:
            names = dict(list(csv.reader(lines))[1:])
        check_report(example.work / "out" / "by_region.csv", "region", [(row[1], row[3]) for row in expected])
        check_report(example.work / "out" / "by_customer.csv", "customer", [(names[row[2]], row[3]) for row in expected])
        archive = example.work / "out" / "reports.tar.gz"
        with tarfile.open(str(archive)) as packed:
            for name in ("by_customer.csv", "by_region.csv"):
                member = packed.extractfile(name)
                assert member is not None and member.read() == (example.work / "out" / name).read_bytes()
        checksum = subprocess.check_output(["cksum", "reports.tar.gz"], cwd=str(archive.parent))
        assert (example.work / "out" / "reports.cksum").read_bytes() == checksum
        assert not (example.work / "in").exists()


def check_report(path: Path, by: str, amounts: List[Tuple[str, int]]) -> None:
    """A report holds the count and the sum of each name, in order."""
    lines = ["%s,orders,amount" % by]
    for name in sorted({name for name, _ in amounts}):
        cents = [amount for other, amount in amounts if other == name]
        lines.append("%s,%d,%d.%02d" % ((name, len(cents)) + divmod(sum(cents), 100)))
    assert path.read_text(encoding="utf-8") == "\n".join(lines) + "\n"


def test_the_two_branches_run_at_the_same_time(tmp_path: Path) -> None:
    example = Example("nightly_etl", tmp_path)
    times = {job["job_id"]: (job["started"], job["ended"]) for job in example.run(0)["jobs"]}
    # ISO 8601 in UTC sorts by time.
    assert times["load"][0] >= max(times["clean_north"][1], times["clean_south"][1])
    assert min(times["clean_north"][0], times["clean_south"][0]) >= times["fetch"][1]


def test_failing(tmp_path: Path) -> None:
    example = Example("failing", tmp_path)
    document = example.run(1)
    assert document["status"] == "FAILED"
    assert statuses(document) == {"extract": "SUCCESS", "load": "FAILED", "report": "BLOCKED", "mirror": "CANCELLED",
                                  "tell": "SUCCESS", "clean_up": "SUCCESS"}
    assert {job["job_id"]: job["exit_code"] for job in document["jobs"]}["load"] == 3
    assert all(job["reason"] for job in document["jobs"])
    assert example.output(document, "load", "stderr") == "no such table: orders\n"
    assert example.output(document, "tell") == "the load failed\n"
    told = example.call("run", str(example.file))
    assert told.returncode == 1
    summary = told.stdout.decode() + told.stderr.decode()
    for word in ("1 of 6 jobs failed, 1 blocked", "load  exit 3", "report  needs load, which ended FAILED",
                 "mirror  not started: load ended FAILED", "| no such table: orders"):
        assert word in summary, summary
    assert "Traceback" not in summary


def test_retrying(tmp_path: Path) -> None:
    example = Example("retrying", tmp_path)
    for _ in range(2):
        document = example.run(0)
        assert statuses(document) == {"flaky": "SUCCESS", "after": "SUCCESS"}
        assert attempts(document) == {"flaky": 3, "after": 1}
        assert example.output(document, "flaky") == "attempt 3\n"


def test_earlier_format(tmp_path: Path) -> None:
    example = Example("earlier_format", tmp_path)
    document = example.run(0)
    assert document["application"] == "earlier_format"
    assert set(statuses(document).values()) == {"SUCCESS"}
    assert (example.work / "out" / "report_emea.txt").read_text() == "region emea\nname emea-night\n"


def test_watched(tmp_path: Path) -> None:
    example = Example("watched", tmp_path)
    (example.folder / "broken").write_text("")
    document = example.run(1)
    text = wait_for_text(example.folder / "messages.txt")
    for words in ("watched on ", "load  exit 3", "runbook: Restart the database", "| no table orders",
                  "--resume %d" % document["run_id"]):
        assert words in text, text
    (example.folder / "broken").unlink()
    example.run(0)
    wait_for_text(example.folder / "messages.txt", "SUCCESS")
    assert not (example.folder / "late.txt").exists()
    metrics = (example.folder / "watched.prom").read_text(encoding="utf-8")
    assert 'executioner_expected_success_interval_seconds{application="watched"} 93600' in metrics
    assert example.call("doctor", "--health").returncode == 0


def test_deciding(tmp_path: Path) -> None:
    example = Example("deciding", tmp_path)
    document = example.run(0)
    assert statuses(document) == {"count": "SUCCESS", "report": "SUCCESS", "load": "SUCCESS", "deliver": "SKIPPED",
                                  "archive": "SKIPPED", "done": "SUCCESS"}
    assert example.output(document, "report") == "Rows of 'today'; $5 each: 42\n"
    assert example.output(document, "load") == "loading 42 rows\n"
    (example.folder / "full").write_text("")
    assert statuses(example.run(0))["archive"] == "SUCCESS"


def test_parameters(tmp_path: Path) -> None:
    example = Example("parameters", tmp_path)
    missing = example.call("run", str(example.file))
    assert missing.returncode == 2 and b"region: a value is required" in missing.stderr
    document = example.run(0, "--param", "region=north", "--param", "rows=50")
    assert statuses(document) == {"load": "SUCCESS", "archive": "SKIPPED"}
    assert example.output(document, "load") == "Orders of the night: at most 50 rows into out/north\n"
    assert statuses(example.run(0, "--param", "region=south", "--param", "full=true"))["archive"] == "SUCCESS"


def test_fan_out(tmp_path: Path) -> None:
    example = Example("fan_out", tmp_path)
    document = example.run(0)
    assert example.output(document, "check[data/north.csv]") == "data/north.csv has 2 rows\n"
    assert example.output(document, "load[south,2]") == "part 2 of south\n"
    assert statuses(document)["archive"] == "SKIPPED" and len(document["jobs"]) == 10
    ran = [job for job, count in attempts(example.run(0, "--only", "load")).items() if count]
    assert ran == ["load[north,1]", "load[north,2]", "load[south,1]", "load[south,2]"]


def test_sub_pipelines(tmp_path: Path) -> None:
    example = Example("sub_pipelines", tmp_path)
    document = example.run(0)
    assert statuses(document) == {
        "prepare": "SUCCESS", "load[north]/extract": "SUCCESS", "load[north]/write": "SUCCESS", "load[south]/extract": "SUCCESS",
        "load[south]/write": "SUCCESS", "report": "SUCCESS", "alarm": "SKIPPED"}
    assert example.output(document, "report") == "north: 5 rows\nsouth: 5 rows\n"
    ran = [job for job, count in attempts(example.run(0, "--only", "load[north]")).items() if count]
    assert ran == ["load[north]/extract", "load[north]/write"]


def test_up_to_date(tmp_path: Path) -> None:
    example = Example("up_to_date", tmp_path)
    document = example.run(0)
    assert statuses(document) == {"join": "SUCCESS", "sum": "SUCCESS"}
    assert example.output(document, "sum") == "sum 39.50\n"
    assert statuses(example.run(0)) == {"join": "SKIPPED", "sum": "SKIPPED"}
    plan = example.call("plan", str(example.file))
    assert b"up to date: " in plan.stdout and b"all.csv is no older than its 2 inputs" in plan.stdout
    assert statuses(example.run(0, "--force")) == {"join": "SUCCESS", "sum": "SUCCESS"}
    later = time.time() + 5
    (example.folder / "data" / "south.csv").write_text("order,amount\n")
    os.utime(str(example.folder / "data" / "south.csv"), (later, later))
    document = example.run(1)
    assert statuses(document) == {"join": "FAILED", "sum": "BLOCKED"}
    assert "check_rows: made/all.csv has 2 rows, at least 3 are wanted" in document["jobs"][0]["reason"]


def test_limits(tmp_path: Path) -> None:
    example = Example("limits", tmp_path)
    document = example.run(0)
    assert statuses(document) == {"modest": "SUCCESS", "endless_log": "FAILED", "endless_loop": "FAILED", "done": "SUCCESS"}
    reasons = {job["job_id"]: job["reason"] for job in document["jobs"]}
    assert reasons["endless_log"] == "output passed 10.0 MiB (limits.output)"
    assert reasons["endless_loop"] == "it used its 1 s of processor time (limits.cpu_seconds)"
    lines = example.output(document, "modest").split("\n")
    assert lines[0] in ("077", "0077") and lines[1] == "256" and lines[3].startswith("-rw-------")
    assert example.output(document, "endless_log") == "y\n" * (5 << 20)


def test_guarded(tmp_path: Path) -> None:
    example = Example("guarded", tmp_path)
    document = example.run(0)
    assert statuses(document) == {"clean": "SUCCESS", "load": "SUCCESS"}
    assert "only-an-example" in (example.work / "who").read_text()
    shown = example.call("logs", "last", "load").stdout
    assert b"as loader at ***" in shown and b"only-an-example" not in shown
    example.file.write_text(example.file.read_text().replace("rm -rf -- work\"}", "rm -rf -- work /\"}"))
    refused = example.call("run", str(example.file))
    assert refused.returncode == 2 and b"error E171 jobs[0].command: deletes a folder of the system" in refused.stderr
    assert (example.work / "who").exists()


def test_settings(tmp_path: Path) -> None:
    example = Example("settings", tmp_path)
    document = example.run(0)
    assert statuses(document) == {"export": "SUCCESS", "show": "SUCCESS"}
    assert example.output(document, "show").endswith("42 rows selected.\n")
    assert "settings" in wait_for_text(example.folder / "settings.html", "SUCCESS")
    with open(str(example.folder / "sqlplus.log"), "a") as log:
        log.write("ORA-00942: table or view does not exist\n")
    document = example.run(1)
    assert statuses(document) == {"export": "FAILED", "show": "BLOCKED"}


def test_every_key_stands_in_an_example() -> None:
    """But those of a server, those that root alone may use, and one that depends on how many processes run here."""
    from config.schema import CHECK, TABLES
    from jobs.checks.registry import BUILT_IN
    exempt = {"$schema", "name", "run_as", "processes", "host", "port", "user", "schema", "sslmode", "password_env",
              "password_file", "check_port_open"}
    text = "".join(path.read_text(encoding="utf-8") for path in EXAMPLES.glob("**/*.json"))
    keys = {key.name for table in TABLES + (CHECK,) for key in table}.union(BUILT_IN.names())
    assert sorted(name for name in keys - exempt if '"%s"' % name not in text) == []

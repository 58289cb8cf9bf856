"""A run that its runner had to give up says so everywhere: why, when, and that it can be resumed."""
import json
import os
import time
from typing import Any, Dict, List

import pytest

from cli_case import Case
from killing import begin, rows, wait_for_file, wait_until
from small_disks import fill, small_disk

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: The command with a keeper that has a fault, and less patience.
PROGRAM = """
import sys
import jobs.engine, jobs.executors.local, jobs.keeper.launch
from jobs.keeper.launch import Launcher
jobs.executors.local.SHORTAGE_PATIENCE_S = 0.5
jobs.engine.STORAGE_RETRY_S, jobs.engine.STORAGE_RETRY_MOST_S, jobs.engine.STORAGE_PATIENCE_S = 0.1, 0.3, 1
sys.path.append(%r)
import faulty_keeper
from faulty_keeper import no_processes, stillborn
FAULTS = %s
if FAULTS:
    jobs.keeper.launch.Launcher = lambda modules=(), **options: Launcher([faulty_keeper] + FAULTS, **options)
import executioner.cli
sys.exit(executioner.cli.main(sys.argv[1:]))
"""


def program(faults: str) -> str:
    """The command whose keepers have these faults."""
    return PROGRAM % (HERE, faults)


def chain(case: Case, **top: Any) -> None:
    """One job after the other."""
    case.jobs({"id": "first", "command": "echo first >> ran"},
              {"id": "last", "command": "echo last >> ran", "dependencies": ["first"]}, **top)


def told(case: Case) -> List[Dict[str, Any]]:
    """What each command that shows runs says of run 1; the same everywhere."""
    shown = case.run("show", "1", "--json").json()
    found = [shown, case.run("runs", "--json").json()[-1]]
    assert case.run("runs", "--status", "FAILED", "--json").json() == [found[1]]
    assert "LOST" not in case.run("runs").out.split() and "runner died" not in case.run("show", "1").out
    return found


def test_a_shortage_that_nobody_mends(case: Case) -> None:
    chain(case, notifications=[{"on": ["failure"], "to": "command:cat > %s" % case.path("mail")}])
    case.file("none", "")
    before = time.time()
    with begin(case, "run", "config.json", program=program("[no_processes]")) as runner:
        assert runner.wait() == 3
    err = open(case.path("err")).read()
    assert "Resource temporarily unavailable" in err and "Traceback" not in err
    assert rows(case, "SELECT status, exit_code FROM runs") == [("FAILED", 3)], "the history was there to take it"
    (ended,) = rows(case, "SELECT ended_at FROM runs")[0]
    assert before <= ended <= time.time()
    for one in told(case):
        assert (one["status"], one["exit_code"]) == ("FAILED", 3) and one["ended"] is not None
    reason = rows(case, "SELECT reason FROM runs")[0][0]
    assert reason.startswith("given up: a process cannot be started: Resource temporarily unavailable; nothing could")
    assert reason.endswith("; it can be resumed: run %s --resume 1" % case.path("config.json"))
    assert "given up: a process cannot be started" in case.run("show", "1").out
    assert rows(case, "SELECT status, reason FROM jobs") == [("CANCELLED", "the run was given up before its start")] * 2
    wait_for_file(case, "mail")
    wait_until(lambda: "given up" in open(case.path("mail")).read())
    log = [json.loads(line) for line in open(case.path("home", "logs", "executioner.jsonl"))]
    assert [one["context"] for one in log if one["event"] == "run_ended"] == [{"status": "FAILED", "exit_code": 3}]
    prom = open(case.path("home", "executioner.prom")).read()
    assert 'executioner_runs_total{application="app",status="failed"} 1' in prom, prom
    os.unlink(case.path("none"))
    case.run("run", "config.json", "--resume", "last").expect(0)
    assert open(case.path("ran")).read() == "first\nlast\n"


def test_no_keeper_lives(case: Case) -> None:
    chain(case)
    with begin(case, "run", "config.json", program=program("[stillborn]")) as runner:
        assert runner.wait() == 3
    for one in told(case):
        assert (one["status"], one["exit_code"]) == ("FAILED", 3)
    assert "the keeper process died" in case.run("show", "1").out
    case.run("run", "config.json", "--resume", "last").expect(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_no_room_even_for_the_word(case: Case) -> None:
    """The history cannot take it, no file can grow: the word stands in the record, in room that was set aside."""
    with small_disk(case, "4m") as disk:
        gate = "while [ ! -e go ]; do sleep 0.02; done"
        jobs = [{"id": "long", "command": "touch begun; %s" % gate}]
        jobs += [{"id": "n%d" % number, "command": "true", "description": "x" * 900, "dependencies": ["long"]}
                 for number in range(200)]
        case.jobs(*jobs)
        with begin(case, "run", "config.json", program=program("[]")) as runner:
            wait_for_file(case, "begun")
            wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"))
            os.unlink(case.home + "/ballast")
            filler = fill(disk)
            case.file("go", "")
            assert runner.wait() == 3
        assert rows(case, "SELECT status FROM runs") == [("RUNNING",)], "the disk had room for it after all"
        found = told(case)
        for one in found:
            assert (one["status"], one["exit_code"]) == ("FAILED", 3) and one["ended"] is not None
        text = case.run("show", "1").out
        assert "the disk is full" in text and "--resume 1" in text
        os.unlink(filler)
        case.run("db", "recover").expect(0)
        assert told(case) == found, "what is kept later is what was shown"
        assert rows(case, "SELECT status, exit_code FROM runs") == [("FAILED", 3)]
        case.run("run", "config.json", "--resume", "1").expect(0)

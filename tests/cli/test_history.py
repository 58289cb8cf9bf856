"""``runs``, ``show`` and ``status``: the history, for people and for programs."""
import os
import signal
import subprocess
import time


from cli_case import Case

OK = {"id": "extract", "command": "true"}


def three_runs(case: Case) -> Case:
    case.jobs(OK).run("run", "config.json").expect(0)
    case.jobs(OK, {"id": "load", "command": "exit 3"}).run("run", "config.json").expect(1)
    case.config({"application_name": "other", "jobs": [OK]}, "other.json").run("run", "other.json").expect(0)
    return case


def test_show_has_the_runbooks_of_what_failed(case: Case) -> None:
    """From the configuration that was kept: the file may be another one by now."""
    case.jobs({"id": "a", "command": "exit ${item}", "for_each": [0, 3], "runbook": "see page ${item}\nthen call"},
              {"id": "b", "command": "exit 1"}, continue_on_error=True)
    case.run("run", "config.json").expect(1)
    case.jobs({"id": "c", "command": "true"})
    text = case.run("show", "last").expect(err="").out
    assert text.endswith("\n\nrunbook of a[3]: see page 3\n  then call\n") and text.count("runbook") == 1
    case.run("run", "config.json").expect(0)
    assert "runbook" not in case.run("show", "last").out


def test_nothing_was_run_yet(case: Case) -> None:
    case.run("runs").expect(0, out="", err="no runs in HOME\n")
    case.run("runs", "--json").expect(0, out="[]\n", err="")
    case.run("status").expect(0, out="nothing is running\n", err="no runs in HOME\n")
    assert case.run("status", "--json").expect(0, err="").json() == {"running": [], "last": {}}
    case.run("show", "last").expect(2, out="", err="""
        executioner: no run last: nothing was run yet in HOME
          hint: another home is named with --home or EXECUTIONER_HOME
        """)
    assert not os.path.exists(case.home), "reading made a home"


def test_runs(case: Case) -> None:
    three_runs(case).run("runs").expect(0, err="", out="""
        RUN  APPLICATION  STATUS   EXIT  STARTED               DURATION  REASON
          3  other        SUCCESS     0  TIME  T s
          2  app          FAILED      1  TIME  T s     1 of 2 jobs failed
          1  app          SUCCESS     0  TIME  T s
        """)
    numbers = [run["run_id"] for run in case.run("runs", "app", "--json").expect(0, err="").json()]
    assert numbers == [2, 1]
    assert [run["run_id"] for run in case.run("runs", "--limit", "1", "--before", "3", "--json").json()] == [2]
    assert [run["run_id"] for run in case.run("runs", "--status", "failed", "--json").json()] == [2]
    run = case.run("runs", "--limit", "1", "--json").json()[0]
    assert sorted(run) == ["application", "config", "duration", "ended", "exit_code", "run_id", "started", "status"]


def test_mistakes_in_what_is_asked_for(case: Case) -> None:
    three_runs(case)
    case.run("runs", "ap").expect(2, out="", err='executioner: no application has the name "ap"; did you mean app?\n')
    case.run("runs", "--status", "FALED").expect(2, out="", err="""
        executioner: --status: no run has the status "FALED"; did you mean FAILED?
          hint: there are: CANCELLED, FAILED, LOST, RUNNING, SUCCESS
        """)
    case.run("runs", "--limit", "0").expect(
        2, out="", err='executioner: --limit must be from 1 to 1000000, found "0"\n')
    case.run("show", "99").expect(2, out="", err="executioner: no run 99: the newest is 3\n")
    assert "no run" in case.run("show", "nonsense").expect(2, out="").err


def test_show(case: Case) -> None:
    three_runs(case).run("show", "2").expect(0, err="", out="""
        run 2 of app: FAILED, exit 1: 1 of 2 jobs failed
          config   DIR/config.json
          started  TIME
          ended    TIME, after T s
          output   HOME/logs/2
          jobs     1 ok, 1 failed

        JOB      STATUS   TRIES  WAITED  STARTED               DURATION  CPU  MEMORY  REASON
        extract  SUCCESS      1  T s  TIME     T s  T s  SIZE  exit code 0
        load     FAILED       1  T s  TIME     T s  T s  SIZE  exit code 3
        """)


def test_how_a_run_is_named(case: Case) -> None:
    three_runs(case)
    words = ("last", "-1", "-3", "app", "1")
    shown = case.run_each(*[("show", word, "--json") for word in words])
    assert [result.expect(0).json()["run_id"] for result in shown] == [3, 3, 1, 2, 1]


def wait_for(case: Case, name: str) -> None:
    deadline = time.monotonic() + 60
    while not os.path.exists(case.path(name)):
        assert time.monotonic() < deadline, name
        time.sleep(0.01)


def test_status_while_something_runs(case: Case) -> None:
    three_runs(case)
    case.jobs(OK, {"id": "long", "command": "touch started; while [ ! -e stop ]; do sleep 0.02; done",
                   "dependencies": ["extract"]}, {"id": "after", "command": "true", "dependencies": ["long"]})
    runner = subprocess.Popen(case.command("run", "config.json"), cwd=case.folder, env=case.environ)
    try:
        wait_for(case, "started")
        deadline = time.monotonic() + 60
        while True:
            document = case.run("status", "--json").expect(0, err="").json()
            running = document["running"][0]
            if running["jobs"][1]["status"] == "RUNNING":
                break
            assert time.monotonic() < deadline, document
        assert (running["run_id"], running["status"], running["exit_code"], running["ended"]) == (
            4, "RUNNING", None, None)
        assert [job["status"] for job in running["jobs"]] == ["SUCCESS", "RUNNING", "PENDING"]
        assert {name: run["run_id"] for name, run in document["last"].items()} == {"app": 2, "other": 3}
        case.run("status").expect(0, err="", out="""
            run 4 of app: since TIME, 1 ok, 1 running, 1 waiting
              run    long  since TIME

            LAST RUN  APPLICATION  STATUS   EXIT  ENDED                 DURATION  REASON
                   2  app          FAILED      1  TIME  T s     1 of 2 jobs failed
                   3  other        SUCCESS     0  TIME  T s
            """)
        assert case.run("runs", "--status", "RUNNING", "--json").json()[0]["run_id"] == 4
        case.run("run", "config.json").expect(75, out="")
    finally:
        case.file("stop", "")
        assert runner.wait(60) == 0
    case.run("show", "4").expect(0)


def test_a_second_run_is_refused_skipped_or_waits(case: Case) -> None:
    case.jobs({"id": "long", "command": "touch started; while [ ! -e stop ]; do sleep 0.02; done"})
    runner = subprocess.Popen(case.command("run", "config.json"), cwd=case.folder, env=case.environ)
    waiting = None
    try:
        wait_for(case, "started")
        case.jobs({"id": "a", "command": "true"})
        text = case.run("run", "config.json").expect(75, out="").err
        assert text.startswith("executioner: app: run 1 (pid N, since TIME) is still running") and text.count("\n") == 1
        assert case.run("run", "--json", "config.json").expect(75).json()["error"] == "OverlapError"
        case.jobs({"id": "a", "command": "true"}, overlap="skip").run("run", "config.json").expect(0, "", "")
        assert len(case.run("runs", "--json").json()) == 1, "a skipped run was recorded"
        case.jobs({"id": "a", "command": "true"})
        waiting = subprocess.Popen(case.command("run", "--wait", "config.json"), cwd=case.folder, env=case.environ)
    finally:
        case.file("stop", "")
        assert runner.wait(60) == 0
    assert waiting.wait(60) == 0
    assert [run["status"] for run in case.run("runs", "--json").json()] == ["SUCCESS", "SUCCESS"]


def test_a_waiting_run_can_be_stopped(case: Case) -> None:
    case.jobs({"id": "long", "command": "touch started; while [ ! -e stop ]; do sleep 0.02; done"})
    runner = subprocess.Popen(case.command("run", "config.json"), cwd=case.folder, env=case.environ)
    try:
        wait_for(case, "started")
        waiting = subprocess.Popen(case.command("run", "--wait", "config.json"), cwd=case.folder, env=case.environ)
        time.sleep(0.5)  # whenever it comes, before or while it waits, the signal ends it
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(60) in (143, -15)
    finally:
        case.file("stop", "")
        assert runner.wait(60) == 0
    assert len(case.run("runs", "--json").json()) == 1

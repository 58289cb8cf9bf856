"""``cancel``: from another process, waits until nothing is left, and is recorded with who and why."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from cli_case import Case
from killing import LONG, begin, is_alive, rows, statuses, wait_for_file, wait_until

STUBBORN = "trap '' TERM; echo $$ > begun; while [ ! -e go ]; do sleep 0.05; done"


def pid_in(case: Case, name: str) -> int:
    return int(wait_until(lambda: os.path.exists(case.path(name)) and open(case.path(name)).read().strip()))


def test_cancel_stops_the_run_and_waits_until_nothing_is_left(case: Case) -> None:
    polite = "trap 'sleep 0.4; echo cleaned > cleaned; exit 0' TERM; echo x > begun; while :; do sleep 0.02; done"
    case.jobs({"id": "long", "command": polite}, {"id": "last", "command": "true", "dependencies": ["long"]})
    with begin(case, "run", "config.json") as runner:
        wait_for_file(case, "begun")
        case.run("cancel", "last", "--because", "wrong date").expect(0, out="run 1 of app: CANCELLED\n", err="")
        assert os.path.exists(case.path("cleaned")), "it did not wait for the job's clean-up"
        assert runner.wait() == 143
    assert statuses(case) == {"long": "CANCELLED", "last": "CANCELLED"}
    document = case.run("show", "1", "--json").json()
    assert (document["status"], document["exit_code"]) == ("CANCELLED", 143)
    (who, why), = rows(case, "SELECT who, why FROM events WHERE kind = 'cancel'")
    assert why == "wrong date" and "@" in who
    (reason,), = rows(case, "SELECT reason FROM runs")
    assert reason == "cancelled by %s: wrong date" % who


def test_cancel_gives_the_grace_and_then_kills(case: Case) -> None:
    case.jobs({"id": "long", "command": STUBBORN, "stop_grace": 0.5})
    with begin(case, "run", "config.json") as runner:
        leader = pid_in(case, "begun")
        started = time.monotonic()
        case.run("cancel", "1").expect(0, out="run 1 of app: CANCELLED\n")
        assert 0.5 <= time.monotonic() - started and not is_alive(leader)
        assert runner.wait() == 143


def test_cancel_now_gives_no_grace(case: Case) -> None:
    case.jobs({"id": "long", "command": STUBBORN, "stop_grace": 5000})
    with begin(case, "run", "config.json") as runner:
        leader = pid_in(case, "begun")
        case.run("cancel", "1", "--now").expect(0, out="run 1 of app: CANCELLED\n")
        assert not is_alive(leader)
        assert runner.wait() == 143


def test_a_second_cancel_may_be_less_patient(case: Case) -> None:
    case.jobs({"id": "long", "command": STUBBORN, "stop_grace": 50})
    with begin(case, "run", "config.json") as runner:
        leader = pid_in(case, "begun")
        with begin(case, "cancel", "1") as patient:
            wait_until(lambda: rows(case, "SELECT 1 FROM events WHERE kind = 'stopping'"))
            case.run("cancel", "1", "--now").expect(0)
            assert not is_alive(leader)
            assert patient.wait() == 0
        assert runner.wait() == 143


def test_the_wait_of_cancel_can_be_ended(case: Case) -> None:
    case.jobs({"id": "long", "command": STUBBORN, "stop_grace": 50})
    with begin(case, "run", "config.json") as runner:
        leader = pid_in(case, "begun")
        with begin(case, "cancel", "1") as waiting:
            wait_until(lambda: rows(case, "SELECT 1 FROM events WHERE kind = 'stopping'"))
            assert waiting.kill(signal.SIGINT) == 130
        assert "executioner: run 1 is being cancelled; not waited for any longer\n" in open(case.path("err")).read()
        assert is_alive(leader)
        case.run("cancel", "1", "--now").expect(0)
        assert runner.wait() == 143


def test_cancel_of_a_run_that_waits_for_a_retry(case: Case) -> None:
    case.jobs({"id": "flaky", "command": "false", "max_retries": 3, "retry_delay": 60})
    with begin(case, "run", "config.json") as runner:
        wait_until(lambda: rows(case, "SELECT 1 FROM events WHERE kind = 'retry'"))
        case.run("cancel", "1").expect(0)
        assert runner.wait() == 143


def test_cancel_of_a_run_that_has_ended(case: Case) -> None:
    case.jobs({"id": "a", "command": "true"}).run("run", "config.json").expect(0)
    case.run("cancel", "1").expect(0, out="run 1 has ended already: SUCCESS\n", err="")
    assert rows(case, "SELECT 1 FROM events WHERE kind = 'cancel'") == []
    case.run("cancel", "2").expect(2, out="", err="executioner: no run 2: the newest is 1\n")


def test_cancel_where_nothing_was_run(case: Case) -> None:
    assert "nothing was run yet in HOME" in case.run("cancel", "last").expect(2, out="").err
    assert not os.path.exists(case.home)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.slow
def test_cancel_of_a_run_whose_runner_died(case: Case, both: bool) -> None:
    case.jobs({"id": "long", "command": STUBBORN, "stop_grace": 0.3}, {"id": "last", "command": "true"})
    with begin(case, "run", "config.json") as runner:
        leader = pid_in(case, "begun")
        wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"))
        if both:
            runner.kill_both()
        else:
            runner.kill()
    assert is_alive(leader)
    case.run("cancel", "last", "--because", "it hangs").expect(0, out="run 1 of app: LOST\n", err="")
    assert not is_alive(leader)
    assert statuses(case) == {"long": "LOST" if both else "CANCELLED", "last": "CANCELLED"}
    case.run("cancel", "last").expect(0, out="run 1 has ended already: LOST\n", err="")


def test_cancel_while_the_run_begins(case: Case) -> None:
    """Whenever it comes: the run ends, and the command says how."""
    for delay_s in (0.0, 0.03, 0.06, 0.1):
        case.jobs({"id": "long", "command": LONG})
        with begin(case, "run", "config.json") as runner:
            wait_until(lambda: case.run("status", "--json").json()["running"])
            time.sleep(delay_s)
            assert "CANCELLED" in case.run("cancel", "last").expect(0).out
            assert runner.wait() == 143


NOBODY = 65534
#: Loads everything first: what belongs to root may not be readable for nobody.
AS_NOBODY = """
import os, pwd, resource, select, sqlite3, sys
import executioner.cli, executioner.acting, executioner.bootstrap, executioner.commands.cancel, db.acts
os.setgid(%d)
os.setuid(%d)
sys.exit(executioner.cli.main(sys.argv[1:]))
""" % (NOBODY, NOBODY)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")
def test_another_user_is_refused(case: Case) -> None:
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)  # so that it is the home itself that is looked at
    case.home = os.path.join(folder, "home")
    try:
        case.jobs({"id": "long", "command": LONG})
        with begin(case, "run", "config.json") as runner:
            wait_for_file(case, "begun")
            wait_until(lambda: rows(case, "SELECT 1 FROM attempts WHERE status = 'RUNNING'"), "the start is recorded")
            done = subprocess.run([sys.executable, "-c", AS_NOBODY, "--home", case.home, "cancel", "1"], cwd="/",
                                  env=case.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            still_runs, found = runner.process.poll() is None, statuses(case)
            case.file("go", "")
            assert runner.wait() == 0
        assert still_runs and found == {"long": "RUNNING"}
        assert (done.returncode, done.stdout) == (3, b"")
        assert case.normalised(done.stderr) == ("executioner: home HOME: belongs to user 0, not to us (user %d)\n"
                                                "  hint: each user has a home of his own; name one with --home\n" % NOBODY)
    finally:
        shutil.rmtree(folder)

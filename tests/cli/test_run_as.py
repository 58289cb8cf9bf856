"""A job that runs as another user tells outputs, and can tell nothing but what it writes itself."""
import os
from typing import Any, Dict

import pytest

from cli_case import Case
from killing import rows

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


def telling(command: str, **more: Any) -> Dict[str, Any]:
    """A job of another user that tells ``x``."""
    return dict({"id": "tell", "command": command, "run_as": "nobody", "working_dir": "/", "outputs": ["x"]}, **more)


def test_outputs_of_another_user(case: Case) -> None:
    case.jobs(telling('test "$(id -un)" = nobody && echo "x=42" >> "$EXECUTIONER_OUTPUT" && echo y=1 >> "$EXECUTIONER_OUTPUT"'),
              {"id": "use", "command": "echo got ${jobs.tell.outputs.x}", "dependencies": ["tell"]})
    case.run("run", "config.json").expect(0)
    assert case.run("logs", "last", "use").raw_out.strip().endswith(b"got 42")
    path = case.path("home", "logs", "1", "tell.1.outputs")
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("command", ["exec 3>&1; /bin/sh -c 'echo x=1 > $EXECUTIONER_OUTPUT'", "cat $EXECUTIONER_OUTPUT; echo x=1 | tee $EXECUTIONER_OUTPUT",
                                     ["/bin/sh", "-c", "echo x=1 > $EXECUTIONER_OUTPUT"]])
def test_it_is_opened_as_any_file_is(case: Case, command: Any) -> None:
    case.jobs(telling(command)).run("run", "config.json").expect(0)


@pytest.mark.parametrize("trick", [
    "rm -f $EXECUTIONER_OUTPUT; ln -s /etc/shadow $EXECUTIONER_OUTPUT", "mv /etc/hostname $EXECUTIONER_OUTPUT",
    'real=$(readlink $EXECUTIONER_OUTPUT); rm -f "$real"; ln -s /etc/shadow "$real"; mkfifo "$real"',
    "head -c 3000000 /dev/zero > $EXECUTIONER_OUTPUT"])
def test_tricks_give_it_nothing(case: Case, trick: str) -> None:
    case.jobs(telling(trick + "; true")).run("run", "config.json").expect(1)
    path = case.path("home", "logs", "1", "tell.1.outputs")
    assert os.path.isfile(path) and not os.path.islink(path)
    reason = rows(case, "SELECT reason FROM jobs")[0][0]
    assert "root:" not in reason and "output" in reason


def test_each_attempt_has_its_own(case: Case) -> None:
    case.jobs(telling('echo "x=$EXECUTIONER_ATTEMPT" > $EXECUTIONER_OUTPUT; test $EXECUTIONER_ATTEMPT = 2', max_retries=1, retry_delay=0))
    case.run("run", "config.json").expect(0)
    assert rows(case, "SELECT value FROM outputs") == [("2",)]

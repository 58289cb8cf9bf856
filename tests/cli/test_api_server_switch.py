"""The feature ``api_server`` and ``run --serve``: who asks for a server beside a run, and who has the last word."""
import json
import os
from typing import Any, Dict, List

import pytest

from cli_case import Case

#: Until the server beside the run has told what became of it.
WAIT = ("i=0; while ! grep -q '\"api_started\"\\|\"api_failed\"' \"$EXECUTIONER_TEST_LOG\"; do i=$((i+1)); "
        "test $i -lt 600 || exit 1; sleep 0.1; done")


def notes(case: Case) -> List[Dict[str, Any]]:
    with open(os.path.join(case.home, "logs", "executioner.jsonl"), encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def told(case: Case, *words: str, **options: Any) -> List[str]:
    """What the server of a run told, and the warnings of the run."""
    case.run("run", "config.json", *words, **options).expect(code=0, err="")
    return [note["message"] for note in notes(case) if note["event"] in ("api_started", "api_failed", "configuration")]


def test_the_file_asks_for_it_at_the_usual_place(case: Case) -> None:
    case.environ["EXECUTIONER_TEST_LOG"] = os.path.join(case.home, "logs", "executioner.jsonl")
    case.jobs({"id": "a", "command": WAIT}, features={"api_server": True})
    found = told(case)  # another test, or another program, may have the port: that changes nothing for the run
    assert len(found) == 1 and "127.0.0.1:8765" in found[0]
    assert "api_server" not in str(case.run("run", "config.json", "--feature", "api_server=off").expect(code=0).raw_err)
    assert len([note for note in notes(case) if note["event"] in ("api_started", "api_failed")]) == 1


def test_the_command_line_says_where(case: Case) -> None:
    case.environ["EXECUTIONER_TEST_LOG"] = os.path.join(case.home, "logs", "executioner.jsonl")
    case.jobs({"id": "a", "command": WAIT}, features={"api_server": True})
    found = told(case, "--serve", "127.0.0.1:0")
    assert len(found) == 1 and found[0].startswith("serving ") and ":8765" not in found[0]


@pytest.mark.parametrize("top, words, env, who", [
    ({"features": {"api_server": False}}, (), {}, "the file"),
    ({}, (), {"EXECUTIONER_FEATURES": "api_server=off"}, "EXECUTIONER_FEATURES"),
    ({"features": {"api_server": True}}, ("--feature", "api_server=off"), {}, "--feature"),
])
def test_who_switched_it_off_has_the_last_word(case: Case, top: Dict[str, Any], words: Any, env: Dict[str, str],
                                               who: str) -> None:
    case.jobs({"id": "a", "command": "true"}, **top)
    assert told(case, "--serve", "127.0.0.1:0", *words, env=env) == [
        "--serve: nothing is served, as the feature api_server is switched off by " + who]

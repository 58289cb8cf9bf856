"""Variables: what is inherited, what ``${NAME}`` stands for, circles, and limits."""
# ruff: noqa: E501  (tables of cases stay readable)
import tracemalloc
from typing import Any, Dict, List, Optional

import pytest

from config.environment import Environment, expand, expand_home, inherited, value_text
from config.kinds import MAX_TEXT

CALLER = {"PATH": "/bin", "HOME": "/h", "LC_TIME": "C", "LCX": "no", "SECRET_THING": "s", "TZ": "UTC"}


@pytest.mark.parametrize("setting, expected", [
    (True, sorted(CALLER)), (False, []), ("default", ["HOME", "LC_TIME", "PATH", "TZ"]),
    (["TZ", "SECRET_THING", "NOT_SET"], ["SECRET_THING", "TZ"]), ([], []),
])
def test_what_is_inherited(setting: object, expected: List[str]) -> None:
    found = inherited(setting, CALLER)
    assert sorted(found) == expected
    assert all(found[name] == CALLER[name] for name in found)


@pytest.mark.parametrize("value, text", [
    (True, "true"), (False, "false"), (1, "1"), (-2.5, "-2.5"), (2.0, "2.0"), ("x", "x"), (10 ** 17, "1" + "0" * 17),
])
def test_numbers_and_booleans_become_text(value: object, text: str) -> None:
    assert value_text(value) == text


def resolved(in_file: Dict[str, Any], in_job: Optional[Dict[str, Any]] = None, setting: object = True,
             overrides: Optional[Dict[str, str]] = None) -> Dict[str, str]:
    """What a job sees, without what is inherited as it is."""
    environment = Environment(setting, CALLER, in_file, overrides)
    found = dict(environment.variables)
    found.update(environment.of_job(in_job or {})[0])
    return {name: value for name, value in found.items() if CALLER.get(name) != value}


def test_references() -> None:
    assert resolved({"A": "${HOME}/a", "B": "${A}/b", "C": "${B}${A}", "D": "$A ${A ${} $${A}", "E": "${E-x} ${1}"}) == {
        "A": "/h/a", "B": "/h/a/b", "C": "/h/a/b/h/a", "D": "$A ${A ${} $/h/a", "E": "${E-x} ${1}"}


def test_a_value_is_not_expanded_twice() -> None:
    environment = Environment(True, {"X": "${HOME}", "HOME": "/h"}, {"A": "${X}"}, {"C": "${HOME}"})
    assert environment.variables == {"X": "${HOME}", "HOME": "/h", "A": "${HOME}", "C": "${HOME}"}
    assert environment.issues == []


def test_the_own_name_means_the_layer_below() -> None:
    assert resolved({"PATH": "/opt:${PATH}"}) == {"PATH": "/opt:/bin"}
    assert resolved({"PATH": "/opt:${PATH}"}, {"PATH": "/job:${PATH}"}) == {"PATH": "/job:/opt:/bin"}
    assert resolved({}, {"PATH": "/job:${PATH}"}) == {"PATH": "/job:/bin"}
    assert resolved({"PATH": "/opt:${PATH}"}, setting=False) == {"PATH": "/opt:${PATH}"}
    assert resolved({"A": "1"}, {"A": "${A}${A}"}) == {"A": "11"}


def test_variables_of_the_file_follow_those_of_the_job() -> None:
    in_file = {"BASE": "/a", "DATA": "${BASE}/data", "FULL": "${DATA}/full", "OTHER": "${HOME}"}
    environment = Environment(True, CALLER, in_file)
    assert environment.of_job({"BASE": "/b"}) == ({"BASE": "/b", "DATA": "/b/data", "FULL": "/b/data/full"}, [])
    assert environment.of_job({"X": "${FULL}"}) == ({"X": "/a/data/full"}, [])
    assert environment.variables["FULL"] == "/a/data/full"


def test_the_command_line_wins_and_is_taken_as_it_is() -> None:
    found = resolved({"A": "1", "B": "${A}"}, {"A": "2", "C": "${A}"}, overrides={"A": "${B}", "N": "9"})
    assert found == {"A": "${B}", "B": "${B}", "C": "${B}", "N": "9"}


def test_equal_jobs_share_their_variables() -> None:
    environment = Environment(True, CALLER, {})
    assert environment.of_job({"A": "1", "B": 2})[0] is environment.of_job({"B": "2", "A": "1"})[0]


@pytest.mark.parametrize("in_file, in_job, expected", [
    ({"A": "${B}", "B": "${A}"}, {}, [("file", "A", "A -> B -> A")]),
    ({"C": "${A}", "A": "${B}x", "B": "${D}", "D": "${A}"}, {}, [("file", "A", "A -> B -> D -> A")]),
    ({"A": "${B}"}, {"B": "${A}"}, [("job", "B", "A -> B -> A")]),
    ({}, {"X": "${Y}", "Y": "${X}"}, [("job", "X", "X -> Y -> X")]),
    ({"A": "${A}"}, {}, []),
    ({"A": "${B}${B}", "B": "x"}, {"B": "${B}"}, []),
])
def test_circles(in_file: Dict[str, Any], in_job: Dict[str, Any], expected: List[Any]) -> None:
    environment = Environment(True, CALLER, in_file)
    issues = [issue for issue in environment.issues + environment.of_job(in_job)[1] if issue.code == "E131"]
    assert [(issue.layer, issue.name, issue.message.split("circle: ")[1]) for issue in issues] == expected


def test_names_that_nobody_sets_stay() -> None:
    environment = Environment(["HOME"], CALLER, {"A": "${PATH} ${HOME} ${TYPO}"})
    assert environment.variables["A"] == "${PATH} /h ${TYPO}"
    assert [(issue.code, issue.layer, issue.name) for issue in environment.issues] == [("W104", "file", "A")] * 2
    assert environment.of_job({"B": "${NONE}"})[1][0].message == "nobody sets NONE, so ${NONE} stays as it is"


def test_growth_is_stopped() -> None:
    doubling = {"A0": "x" * 1000}
    doubling.update(("A%d" % i, "${A%d}${A%d}" % (i - 1, i - 1)) for i in range(1, 200))
    environment = Environment(False, {}, doubling)
    assert max(map(len, environment.variables.values())) < MAX_TEXT
    assert {issue.code for issue in environment.issues} == {"E105"}


def test_a_value_that_grows_is_never_put_together() -> None:
    tracemalloc.start()
    try:
        environment = Environment(False, {}, {"A": "x" * 100000, "B": "${A}" * 3000})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [issue.code for issue in environment.issues] == ["E105"]
    assert peak < 50e6, "300 MB were to be put together, %d MB were" % (peak / 1e6)


def test_long_chains_end() -> None:
    count = 20000
    chain: Dict[str, object] = {"A%d" % i: "${A%d}" % (i + 1) for i in range(count)}
    chain["A%d" % count] = "end"
    environment = Environment(False, {}, chain)
    assert environment.variables["A0"] == "end" and not environment.issues
    chain["A%d" % count] = "${A0}"
    assert [issue.code for issue in Environment(False, {}, chain).issues] == ["E131"]


def test_comments_are_no_variables() -> None:
    assert resolved({"_A": ["anything"], "B": "${_A}"}) == {"B": "${_A}"}


def test_text_and_paths() -> None:
    assert expand("a ${HOME} ${X} ${X}", {"HOME": "/h"}) == ("a /h ${X} ${X}", ["X", "X"])
    assert expand_home("~", {"HOME": "/h"}) == "/h"
    assert expand_home("~/x", {"HOME": "/h/"}) == "/h/x"
    assert expand_home("~", {"HOME": "/"}) == "/"
    assert expand_home("a~", {"HOME": "/h"}) == "a~"
    assert expand_home("~root/x", {}).endswith("/x") and not expand_home("~root/x", {}).startswith("~")
    assert expand_home("~/x", {}).endswith("/x")
    assert expand_home("~nosuchuser/x", {}) == "~nosuchuser/x"

"""``for_each``: what is said of bad ones, what items are called, and which jobs are made."""
# ruff: noqa: E501  (expected lines stay whole)
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from api.graphs import MAX_ARROWS, arrows_of
from config_case import by_id, needs
from config.items import MAX_ITEMS, ForEach, items_of, label_of, labels_of
from config.kinds import JobReference
from config.pipeline import Overrides, load_pipeline, validate_file
from config.stored import load_stored
from jobs.models import Pipeline

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root"}


def written(folder: Path, *jobs: str, top: str = "") -> str:
    """A file with a job a line, the first on line 2."""
    path = folder / "c.json"
    path.write_text('{%s"jobs": [\n%s\n]}' % (top + ", " if top else "", ",\n".join(jobs)), encoding="utf-8")
    return str(path)


def problems(folder: Path, *jobs: str, top: str = "") -> List[str]:
    """What is said of a file."""
    result = validate_file(written(folder, *jobs, top=top), ENVIRON)
    return [re.sub(r"^\S*c\.json:", "", str(problem)) for problem in result.problems]


def pipeline(folder: Path, *jobs: Dict[str, Any], **top: Any) -> Pipeline:
    """The pipeline of a good file."""
    overrides = Overrides(params=top.pop("params", None))
    (folder / "c.json").write_text(json.dumps(dict(top, jobs=jobs)), encoding="utf-8")
    loaded = load_pipeline(str(folder / "c.json"), ENVIRON, overrides)
    assert loaded.pipeline is not None, [str(one) for one in loaded.problems]
    return loaded.pipeline


BAD = [
    ('"x"', '2:25: error E103 jobs[0].for_each: must be a list, {"range": ...}, {"glob": ...} or an object of lists, got "x"'),
    ('null', '2:25: error E103 jobs[0].for_each: must be a list, {"range": ...}, {"glob": ...} or an object of lists, got null'),
    ('3', '2:25: error E103 jobs[0].for_each: must be a list, {"range": ...}, {"glob": ...} or an object of lists, got 3'),
    ('["a", null]', '2:31: error E152 jobs[0].for_each[1]: must be a string, a number, true or false, got null'),
    ('[["a"]]', '2:26: error E152 jobs[0].for_each[0]: must be a string, a number, true or false, got a list'),
    ('["a", {"x": 1}]', '2:31: error E152 jobs[0].for_each[1]: items must be all objects or all texts, numbers and booleans, got an object'),
    ('[{"x": 1}, 5]', '2:36: error E152 jobs[0].for_each[1]: items must be all objects or all texts, numbers and booleans, got a number'),
    ('[{"x": [1]}]', '2:32: error E152 jobs[0].for_each[0].x: must be a string, a number, true or false, got a list'),
    ('[{"a-b": 1}]', '2:27: error E152 jobs[0].for_each[0].a-b: a name must be letters, digits and _, beginning with a letter, at most 64 characters, got "a-b"'),
    ('[{"_x": 1}]', '2:26: error E152 jobs[0].for_each[0]: an item must have at least one value'),
    ('{}', '2:25: error E152 jobs[0].for_each: must have at least one list'),
    ('{"x": 5}', '2:31: error E152 jobs[0].for_each.x: must be a list, {"range": ...} or {"glob": ...}, got 5'),
    ('{"x": [{"y": 1}]}', '2:32: error E152 jobs[0].for_each.x[0]: must be a string, a number, true or false, got an object'),
    ('{"x": {"y": [1]}}', '2:31: error E152 jobs[0].for_each.x: must be {"range": ...} or {"glob": ...} and nothing beside it, got "y"'),
    ('{"range": [1, 3], "x": [1]}', '2:25: error E152 jobs[0].for_each: must be {"range": ...} or {"glob": ...} and nothing beside it, got "range", "x"'),
    ('{"range": "1-3"}', '2:35: error E152 jobs[0].for_each.range: must be a whole number N (from 1 to N), or [first, last] or [first, last, step], got "1-3"'),
    ('{"range": [1]}', '2:35: error E152 jobs[0].for_each.range: must be a whole number N (from 1 to N), or [first, last] or [first, last, step], got a list'),
    ('{"range": [1, 2.5]}', '2:35: error E152 jobs[0].for_each.range: must be a whole number N (from 1 to N), or [first, last] or [first, last, step], got a list'),
    ('{"range": true}', '2:35: error E152 jobs[0].for_each.range: must be a whole number N (from 1 to N), or [first, last] or [first, last, step], got true'),
    ('{"range": -1}', '2:35: error E152 jobs[0].for_each.range: must not be negative, got -1'),
    ('{"range": [1, 3, 0]}', '2:42: error E152 jobs[0].for_each.range[2]: the step must not be 0'),
    ('{"range": 10001}', '2:35: error E152 jobs[0].for_each.range: makes 10001 jobs, 10000 are allowed'),
    ('{"a": {"range": 101}, "b": {"range": 100}}', '2:25: error E152 jobs[0].for_each: makes 10100 jobs, 10000 are allowed'),
    ('{"glob": 5}', '2:34: error E152 jobs[0].for_each.glob: must be a pattern such as "in/*.csv", got 5'),
    ('{"glob": []}', '2:34: error E152 jobs[0].for_each.glob: must be a pattern, or a list of up to 1000 patterns'),
    ('{"glob": ["x", ""]}', '2:40: error E152 jobs[0].for_each.glob[1]: must be a pattern such as "in/*.csv", got ""'),
]


@pytest.mark.parametrize("value, line", BAD, ids=[value for value, _ in BAD])
def test_bad_items(value: str, line: str, tmp_path: Path) -> None:
    assert problems(tmp_path, '{"id": "a", "for_each": %s, "command": "true"}' % value) == [line]


def test_ten_thousand_are_the_most(tmp_path: Path) -> None:
    job = '{"id": "a", "command": "true", "for_each": %s}'
    assert problems(tmp_path, job % json.dumps(list(range(MAX_ITEMS)))) == []
    assert problems(tmp_path, job % json.dumps(list(range(MAX_ITEMS + 1)))) == [
        "2:44: error E152 jobs[0].for_each: makes 10001 jobs, 10000 are allowed"]
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(MAX_ITEMS + 1):
        (folder / str(number)).touch()
    assert problems(tmp_path, job % '{"glob": "many/*"}') == [
        "2:53: error E152 jobs[0].for_each.glob: matches more than 10000 files"]


REFERENCES = [
    ('"for_each": ["x"], "command": "echo ${item.n}"', 'E153 jobs[0].command: the items have no values with names; write ${item}'),
    ('"for_each": [{"n": 1}], "command": ["echo", "${item}"]', 'E153 jobs[0].command[1]: the items have several values; write ${item.NAME}, with one of: n'),
    ('"for_each": [{"name": 1}], "command": "true", "env_variables": {"A": "${item.nam}"}', 'E153 jobs[0].env_variables.A: not every item has a value "nam"; did you mean "name"?'),
    ('"for_each": [{"n": 1, "m": 2}, {"n": 1}], "command": "echo ${item.m}"', 'E153 jobs[0].command: not every item has a value "m"; all have: n'),
    ('"for_each": ["x"], "command": "true", "tags": ["${item}"]', 'E153 jobs[0].tags[0]: the item has no place here; it can stand in commands, variables, paths, checks, run_if and dependencies'),
]


@pytest.mark.parametrize("keys, line", REFERENCES)
def test_references_to_nothing(keys: str, line: str, tmp_path: Path) -> None:
    found = problems(tmp_path, '{"id": "a", %s}' % keys)
    assert len(found) == 1 and found[0].partition("error ")[2] == line


def test_dependencies_on_items(tmp_path: Path) -> None:
    a = '{"id": "a", "command": "true", "for_each": ["north", "south"]}'
    b = '{"id": "b", "command": "true", "dependencies": [%s]}'
    assert problems(tmp_path, a, b % '"a"') == problems(tmp_path, a, b % '"a[north]", "a[south]"') == []
    assert problems(tmp_path, a, b % '"a[nord]"') == [
        '3:49: error E121 jobs[1].dependencies[0]: no job has the id "a[nord]"; did you mean "a[north]"?']
    assert problems(tmp_path, a, '{"id": "c", "command": "true"}', b % '"c[x]"') == [
        '4:49: error E121 jobs[2].dependencies[0]: no job has the id "c[x]"']
    assert problems(tmp_path, a, b % '"a[north", "a[x]y", "a]"')[0::2][0] == (
        '3:49: error E109 jobs[1].dependencies[0]: must be the id of a job, or id[item], got "a[north"')
    assert problems(tmp_path, '{"id": "a", "command": "true", "for_each": ["x"], "dependencies": ["a[x]"]}') == [
        '2:68: error E122 jobs[0].dependencies[0]: the job "a" depends on itself']
    assert problems(tmp_path, '{"id": "a", "command": "true", "for_each": ["x"], "dependencies": ["b"]}',
                    b % '"a[x]"') == ['2:1: error E130 jobs: dependency cycle: a -> b -> a']
    assert problems(tmp_path, a, '{"id": "b", "command": "true", "for_each": ["x"], "dependencies": ["x${item}"]}')[-1] == (
        '3:68: error E153 jobs[1].dependencies[0]: here the item can stand in brackets only: id[${item}]')
    assert problems(tmp_path, a, '{"id": "b", "command": "echo ${jobs.a.outputs.x}", "dependencies": ["a"]}') == [
        '3:24: error E125 jobs[1].command: the id "a" means several jobs; name one of them, such as "a[north]"']


def test_many_bad_items_are_told_a_few_times(tmp_path: Path) -> None:
    found = problems(tmp_path, '{"id": "a", "command": "true", "for_each": {"range": 50}, "working_dir": "/nowhere/${item}"}')
    assert len(found) == 4 and found[0] == '2:74: error E142 jobs[0].working_dir: the folder "/nowhere/1" does not exist'
    assert found[3] == "2:74: warning W110 jobs[0].working_dir: the same of more items"


def test_no_items_are_warned_of(tmp_path: Path) -> None:
    job = '{"id": "a", "command": "cat ${item}", "for_each": %s}'
    assert problems(tmp_path, job % '{"glob": "*.csv"}') == [
        '2:60: warning W108 jobs[0].for_each.glob: nothing matches "*.csv", so the job would be SKIPPED']
    for nothing in ("[]", '{"range": 0}', '{"range": [5, 1]}', '{"x": [], "y": [1]}'):
        assert problems(tmp_path, job.replace("cat ${item}", "true") % nothing)[0].endswith(
            "there is no item, so the job would be SKIPPED"), nothing


def test_the_item_without_for_each(tmp_path: Path) -> None:
    warning = "W109 jobs[0].command: the job has no for_each, so ${item} stands for nothing"
    for command, is_warned in (("echo ${item}", True), ("echo ${item.x}", True), ("for item in a b; do echo ${item}; done", False),
                               ("item=3; echo ${item}", False), ("read -r item; echo ${item}", False), ("echo $item", False)):
        found = problems(tmp_path, json.dumps({"id": "a", "command": command}))
        assert [line.partition("warning ")[2] for line in found] == ([warning] if is_warned else []), command
    assert validate_file(written(tmp_path, '{"id": "a", "command": "echo ${item}"}'), dict(ENVIRON, item="x")).problems == []


LABELS = [("north", "north"), ("a b", "a b"), ("in/a.csv", "in/a.csv"), ("2026-01-31", "2026-01-31"), ("a,b=c", "a,b=c"),
          ("München", "München"), ("x" * 60, "x" * 60)]


@pytest.mark.parametrize("text, label", LABELS)
def test_labels_that_stay(text: str, label: str) -> None:
    assert label_of(text) == label


HOSTILE = ["", " ", " a", "a ", "a  b", "a\n", "a\0", "[", "]", "a[b]", "a]b", "$x", "${item}", "'", '"', "\\", "../..", "a#2", "a~b",
           "x" * 61, "x" * 5000, "\u202e", "e\u0301", "\ud800", "*", "a\tb", "<b>", "%", "a;b", "`x`", "{}"]


def test_labels_of_anything() -> None:
    labels = labels_of(HOSTILE + HOSTILE)
    assert len(set(labels)) == len(labels)
    for label in labels:
        assert label.isprintable() and label == label.strip() and 0 < len(label) <= 80
        assert not set(label).intersection("[]{}$'\"\\<>*\n")
        label.encode("utf-8")
        assert JobReference().is_clean("a[%s]" % label)
    assert labels_of(["a", "b", "a", "a"]) == ["a", "b", "a#2", "a#3"]
    # The label of an item does not depend on the others, as long as it is the only one of its kind.
    assert [label_of(text) for text in HOSTILE] == labels[:len(HOSTILE)]


def test_labels_of_objects() -> None:
    assert label_of({"x": "1", "name": "n", "id": "i"}) == "i"
    assert label_of({"x": "1", "name": "n"}) == "n"
    assert label_of({"x": "1", "y": "2"}) == "1,2"
    assert label_of({"x": "1", "password": "hunter2"}) == "1"


def test_items() -> None:
    assert items_of(["a", 1, 2.0, 1.5, True]) == ["a", "1", "2", "1.5", "true"]
    assert items_of([{"x": 1, "_c": 5}]) == [{"x": "1"}]
    assert items_of({"range": 3}) == ["1", "2", "3"] and items_of({"range": [3, 1, -1]}) == ["3", "2", "1"]
    assert items_of({"range": [0, 10, 5]}) == ["0", "5", "10"] and items_of({"range": [2, 1]}) == []
    assert items_of({"_c": 1, "r": ["n", "s"], "d": {"range": 2}}) == [
        {"r": "n", "d": "1"}, {"r": "n", "d": "2"}, {"r": "s", "d": "1"}, {"r": "s", "d": "2"}]


def test_the_item_in_every_place(tmp_path: Path) -> None:
    os.mkdir(str(tmp_path / "x y"))
    made = by_id(pipeline(
        tmp_path,
        {"id": "a", "for_each": ["x y"], "command": "echo ${item} \"${item}\" '${item}'", "working_dir": "${item}",
         "env_variables": {"E": "<${item}>", "F": "${E}${HOME}"}, "stdin": "${item}.txt", "description": "for ${item}",
         "pre_checks": [{"name": "check_file_exists", "params": {"path": "${item}/f"}}], "runbook": "see ${item}",
         "run_if": {"all": [{"file_exists": "/in/${item}"}, {"command": "test ${item}"}]}},
        {"id": "b", "for_each": [{"n": "$HOME${HOME}"}], "command": ["echo", "${item.n}"], "stdin": {"text": "${item.n}"},
         "env_variables": {"E": "${item.n}"}}))
    job = made["a[x y]"]
    assert job.command == "echo ${EXECUTIONER_ITEM} \"${EXECUTIONER_ITEM}\" ''\"${EXECUTIONER_ITEM}\"''"
    assert job.environment == {"EXECUTIONER_ITEM": "x y", "E": "<x y>", "F": "<x y>/root"}
    assert job.working_dir == str(tmp_path / "x y") and job.stdin_path == str(tmp_path / "x y" / "x y.txt")
    assert job.pre_checks[0].params == {"path": "x y/f"} and job.description == "for x y" and job.runbook == "see x y"
    assert job.condition == {"all": [{"file_exists": "/in/x y"}, {"command": "test ${EXECUTIONER_ITEM}"}]}
    job = made["b[_HOME__HOME_~%s]" % label_of("$HOME${HOME}")[-8:]]
    assert job.command == ("echo", "$HOME${HOME}") and job.stdin_text == "$HOME${HOME}"
    assert job.environment == {"EXECUTIONER_ITEM_n": "$HOME${HOME}", "E": "$HOME${HOME}"}


def test_defaults_apply_and_may_hold_the_item(tmp_path: Path) -> None:
    made = by_id(pipeline(tmp_path, {"id": "a"}, {"id": "b", "command": "true", "timeout": 5},
                          defaults={"for_each": ["x"], "command": "echo ${item}", "timeout": 7}))
    assert [(job.id, job.command, job.timeout_s) for job in made.values()] == [
        ("a[x]", "echo ${EXECUTIONER_ITEM}", 7.0), ("b[x]", "true", 5.0)]


def test_dependencies_item_by_item(tmp_path: Path) -> None:
    made = by_id(pipeline(
        tmp_path,
        {"id": "a", "for_each": ["x", "[y]", "x"], "command": "echo r=1 > $EXECUTIONER_OUTPUT", "outputs": ["r"]},
        {"id": "b", "for_each": ["x", "[y]", "x"], "dependencies": ["a[${item}]", {"job": "a[x]", "when": "done"}],
         "command": "echo ${jobs.a[${item}].outputs.r}"},
        {"id": "c", "for_each": [{"n": "x", "m": "1"}], "dependencies": ["a[${item.n}]", "b[[y]]".replace("[[y]]", "[x#2]")],
         "command": ["${jobs.a[${item.n}].outputs.r}"]},
        {"id": "d", "command": "true", "dependencies": ["c", "b"]}))
    y = label_of("[y]")
    assert needs(made["b[x]"]) == ["a[x]", "a[x]:done"] and needs(made["b[x#2]"]) == ["a[x#2]", "a[x]:done"]
    assert needs(made["b[%s]" % y]) == ["a[%s]" % y, "a[x]:done"]
    assert made["b[%s]" % y].command == "echo ${jobs.a[%s].outputs.r}" % y
    assert needs(made["c[x,1]"]) == ["a[x]", "b[x#2]"] and made["c[x,1]"].command == ("${jobs.a[x].outputs.r}",)
    assert needs(made["d"]) == ["c", "b"]


def test_an_item_is_named_by_its_text_or_by_its_label(tmp_path: Path) -> None:
    made = by_id(pipeline(tmp_path, {"id": "a", "for_each": ["1; 2"], "command": "true"},
                          {"id": "b", "command": "true", "dependencies": ["a[1; 2]"]},
                          {"id": "c", "command": "true", "dependencies": ["a[%s]" % label_of("1; 2")]}))
    assert needs(made["b"]) == needs(made["c"]) == ["a[1_ 2~%s]" % label_of("1; 2")[-8:]]


def test_files_are_found_sorted_and_as_the_job_sees_them(tmp_path: Path) -> None:
    for name in ("in/b.csv", "in/a.csv", "in/.c.csv", "in/deep/er/d.csv", "in/[x]/e.csv", "in/x/e.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def ids(pattern: object, **more: Any) -> List[str]:
        job = {"id": "a", "for_each": {"glob": pattern}, "command": "cat ${item}"}
        top = more.pop("top", {})
        return [one.id for one in pipeline(tmp_path, dict(job, **more), **top).jobs]

    assert ids("in/*.csv") == ["a[in/a.csv]", "a[in/b.csv]"]
    assert ids(["in/b*", "in/*.csv"]) == ["a[in/a.csv]", "a[in/b.csv]"]
    assert ids("*.csv", working_dir="in") == ["a[a.csv]", "a[b.csv]"]
    assert ids("../in/a*", working_dir="in") == ["a[../in/a.csv]"]
    assert ids("in/**/*.csv")[-1] == "a[in/x/e.csv]" and len(ids("in/**/*.csv")) == 5
    absolute = ids(str(tmp_path) + "/in/a*")
    assert absolute == ["a[%s]" % label_of(str(tmp_path) + "/in/a.csv")]
    # What a variable or a parameter holds is no pattern.
    found = pipeline(tmp_path, {"id": "a", "for_each": {"glob": "in/${D}/*"}, "command": "cat ${item}", "env_variables": {"D": "[x]"}})
    assert [job.environment["EXECUTIONER_ITEM"] for job in found.jobs] == ["in/[x]/e.csv"]
    found = pipeline(tmp_path, {"id": "a", "for_each": {"glob": "in/${params.d}/*"}, "command": "cat ${item}"},
                     parameters={"d": {}}, params={"d": "[x]"})
    assert [job.environment["EXECUTIONER_ITEM"] for job in found.jobs] == ["in/[x]/e.csv"]
    assert problems(tmp_path, '{"id": "a", "command": "true", "for_each": {"glob": "*"}, "working_dir": "${item}"}')[0].partition(
        "error ")[2] == ("E152 jobs[0].for_each.glob: a pattern that is relative to working_dir needs one without ${item} and "
                         "${jobs...}; write an absolute pattern")


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(str(tmp_path)), b"x\xff"), "wb"):
        pass
    assert problems(tmp_path, '{"id": "a", "command": "true", "for_each": {"glob": "x*"}}') == [
        '2:53: error E152 jobs[0].for_each.glob: matches a name that is not UTF-8, which no configuration can hold: "x\\\\udcff"; '
        'rename the file']


def kept(made: Pipeline) -> Dict[str, Any]:
    """What the history would keep of the first job."""
    job = json.loads(made.config_text)["jobs"][0]
    assert isinstance(job, dict)
    return job


def test_what_is_kept_says_the_items(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    job = {"id": "a", "command": "cat ${item}", "for_each": {"glob": "*.csv"}}
    assert kept(pipeline(tmp_path, job))["for_each"] == ["a.csv"]
    assert kept(pipeline(tmp_path, dict(job, for_each={"glob": "*.txt"})))["for_each"] == []
    (tmp_path / "b.csv").touch()
    assert kept(pipeline(tmp_path, dict(job, command="true", for_each={"f": {"glob": "*.csv"}, "n": [1]})))["for_each"] == [
        {"f": "a.csv", "n": "1"}, {"f": "b.csv", "n": "1"}]
    assert kept(pipeline(tmp_path, dict(job, for_each=["${params.p}"]), parameters={"p": {}}, params={"p": "v"}))["for_each"] == ["v"]
    same = dict(job, for_each={"range": 3})
    assert pipeline(tmp_path, same).config_text == json.dumps({"jobs": [same]})


def test_secret_values_of_items(tmp_path: Path) -> None:
    made = pipeline(tmp_path, {"id": "a", "command": "x \"${item.password}\"", "for_each": [{"host": "h", "password": "hunter2-secret"}]})
    assert "hunter2-secret" in made.secret_values and made.jobs[0].id == "a[h]"
    assert "hunter2-secret" not in made.config_text
    assert problems(tmp_path, '{"id": "a", "command": "true", "for_each": ["${params.api_token}"]}', top='"parameters": {"api_token": {}}') == [
        '2:45: error E149 jobs[0].for_each[0]: a secret value has no place here: items are part of job ids']


def arrows(*jobs: Dict[str, Any], defaults: Optional[Dict[str, Any]] = None) -> Dict[str, List[str]]:
    """The arrows of a kept configuration, without their conditions."""
    found = arrows_of(json.dumps({"jobs": jobs, "defaults": defaults or {}}))
    return {job_id: [other for other, _ in pairs] for job_id, pairs in found.items()}


def test_arrows_of_the_graph() -> None:
    assert arrows({"id": "a", "for_each": ["x", "y"]}, {"id": "b", "for_each": ["x", "y"], "dependencies": ["a[${item}]"]},
                  {"id": "c", "dependencies": ["b", "a[y]"]}) == {
        "a[x]": [], "a[y]": [], "b[x]": ["a[x]"], "b[y]": ["a[y]"], "c": ["b[x]", "b[y]", "a[y]"]}
    found = arrows({"id": "a", "for_each": {"range": 1000}}, {"id": "b", "for_each": {"range": 1000}, "dependencies": ["a"]})
    assert MAX_ARROWS <= sum(map(len, found.values())) <= MAX_ARROWS + 1000
    assert all(found["b[%d]" % number][0] == "a[1]" for number in range(1, 1001))
    assert arrows_of("[]") == arrows_of("{}") == arrows_of('{"jobs": 5}') == {}


def test_files_called_like_placeholders(tmp_path: Path) -> None:
    names = ["${HOME}.csv", "${item}.csv", "${params.nope}.csv", "${params.p}.csv"]
    for name in names:
        (tmp_path / name).touch()
    made = pipeline(tmp_path, {"id": "a", "command": ["cat", "${item}"], "for_each": {"glob": "*.csv"}}, parameters={"p": {"default": "v"}})
    assert [job.command for job in made.jobs] == [("cat", name) for name in names]
    again = load_stored(made.config_text, str(tmp_path / "c.json"), ENVIRON, Overrides())
    assert again.pipeline is not None and again.pipeline.jobs == made.jobs, [str(one) for one in again.problems]
    assert list(arrows_of(made.config_text)) == [job.id for job in made.jobs]


def test_an_item_is_known_when_the_run_is_planned(tmp_path: Path) -> None:
    line = 'E152 jobs[0].for_each: an item cannot be what a job tells, which is known only later: "${jobs.b.outputs.x}"'
    found = problems(tmp_path, '{"id": "a", "command": ["cat", "${item}"], "for_each": ["y", "${jobs.b.outputs.x}"]}')
    assert [one.partition("error ")[2] for one in found] == [line]
    (tmp_path / "${jobs.b.outputs.x}").touch()
    found = problems(tmp_path, '{"id": "a", "command": ["cat", "${item}"], "for_each": {"glob": "*jobs*"}}')
    assert [one.partition("error ")[2] for one in found] == [line]
    assert problems(tmp_path, '{"id": "a", "command": ["cat", "${item}"], "for_each": ["${jobs.x", "$jobs"]}') == []


def test_all_jobs_together_have_a_bound(tmp_path: Path) -> None:
    jobs = ['{"id": "j%d", "command": "true", "for_each": {"range": 10000}}' % number for number in range(11)]
    assert problems(tmp_path, *jobs) == ["12:1: error E152 jobs[10]: with its 10000 items there are more than 100000 jobs in all"]
    assert problems(tmp_path, *jobs[:10]) == []


def test_the_json_schema_says_the_same() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(ForEach().schema())
    #: What only counting shows.
    beyond = {'{"a": {"range": 101}, "b": {"range": 100}}'}
    for text, _ in BAD:
        assert validator.is_valid(json.loads(text)) is (text in beyond), text
    for value in (["a", 1, True, 1.5], [], [{"a": 1, "_c": []}], {"range": 0}, {"range": [5, 1]}, {"range": [1, 9, 2], "_c": 1}, {"glob": "*"},
                  {"glob": ["a", "b"]}, {"r": ["a"], "d": {"range": 3}, "g": {"glob": "*"}, "_c": 5}):
        assert validator.is_valid(value) and ForEach().is_clean(value), value

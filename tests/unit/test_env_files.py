"""``env_file``: which lines are understood, what is refused, and where its variables lie among the others."""
# ruff: noqa: E501  (tables of cases stay readable)
import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from config.env_files import MAX_FILE_BYTES, read_env_file
from config.kinds import MAX_TEXT
from config.pipeline import Overrides, load_pipeline


def read(tmp_path: Path, content: bytes) -> Any:
    """What a file of these bytes says."""
    (tmp_path / "a.env").write_bytes(content)
    return read_env_file(str(tmp_path / "a.env"))


@pytest.mark.parametrize("line, value", [
    ("A=1", "1"), ("export A=1", "1"), ("export\tA=1", "1"), ("  A=1  ", "1"), ("A=", ""), ("A= x y ", "x y"),
    ("A=x # comment", "x"), ("A=x#y", "x#y"), ("A=#y", ""), ("A= # y", ""), ("A='x # y' # z", "x # y"), ("A=''", ""),
    ('A="x\\"y\\\\z\\n"', 'x"y\\z\\n'), ('A="#"', "#"), ("A=a=b", "a=b"), ("A=$B", "$B"), ("A=\\n", "\\n"),
    ("A='$(x) `y` ${B}'", "$(x) `y` ${B}"), ('A="\\${B}"', "${B}"), ("A=x\r", "x"), ("A=1\nA=2", "2"), ("A='1'\nA=2", "2"),
    ("A=gr\u00fc\u00df", "gr\u00fc\u00df"), ("\ufeffA=1", "1"),
])
def test_lines_that_are_understood(tmp_path: Path, line: str, value: str) -> None:
    found = read(tmp_path, ("\n# comment\n\t\n" + line).encode("utf-8") if line[0] != "\ufeff" else line.encode("utf-8"))
    assert (found.written(), found.problems) == ({"A": value}, [])


@pytest.mark.parametrize("line, problem", [
    ("A", "must be NAME=value"), ("A =1", "must be NAME=value"), ("1A=1", "must be NAME=value"), ("=1", "must be NAME=value"),
    ("export A", "must be NAME=value"), ("a-b=1", "must be NAME=value"),
    ("A='x", "A: the single quotes must close"), ("A='x'y", "A: the single quotes must close"),
    ('A="x', "A: the double quotes must close"), ('A="x" y', "A: the double quotes must close"),
    ('A=x"y"', "A: a quote inside"), ("A={'k': 1}", "A: a quote inside"), ("A=$(date)", "A: no command is run"),
    ("A=`date`", "A: no command is run"), ('A="$(date)"', "A: no command is run"),
    ('A="${B} \\$"', "A: a value with ${NAME}"), ("A=${jobs.x.outputs.y}", "A: ${jobs...}"), ("A='${jobs.x.outputs.y}'", "A: ${jobs...}"),
    ("A=${item}", "A: ${jobs...}"), ("A=x\0", "A: must be without NUL"), ("A=" + "x" * MAX_TEXT, "A: must be without NUL"),
])
def test_lines_that_are_refused(tmp_path: Path, line: str, problem: str) -> None:
    found = read(tmp_path, ("B=1\n" + line + "\nC=3\n").encode("utf-8"))
    assert len(found.problems) == 1 and (', line 2: ' + problem) in found.problems[0]
    assert found.written() == {"B": "1", "C": "3"}, "the others are still looked at"


def test_a_value_is_never_shown(tmp_path: Path) -> None:
    for line in ("A=geheim'", "A='geheim", 'A="geheim', "A geheim", "A=geheim`", 'A="geheim" x'):
        assert "geheim" not in read(tmp_path, line.encode("utf-8")).problems[0]


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "No such file" in read_env_file(str(tmp_path / "none")).problems[0]
    assert "no regular file" in read_env_file(str(tmp_path)).problems[0]
    os.mkfifo(str(tmp_path / "pipe"))
    assert "no regular file" in read_env_file(str(tmp_path / "pipe")).problems[0]
    assert "larger" in read(tmp_path, b"#" * (MAX_FILE_BYTES + 1)).problems[0]
    assert "line 3: the text is not UTF-8" in read(tmp_path, b"A=1\nB=2\nC=\xff\n").problems[0]


def job_sees(tmp_path: Path, top: Dict[str, Any], job: Dict[str, Any], env: Dict[str, str]) -> Dict[str, str]:
    """The variables of the only job of a configuration."""
    config = dict(top, jobs=[dict({"id": "a", "command": "true"}, **job)])
    (tmp_path / "c.json").write_text(json.dumps(config))
    os.chmod(str(tmp_path / "c.json"), 0o600)
    loaded = load_pipeline(str(tmp_path / "c.json"), {"PATH": "/bin", "HOME": str(tmp_path), "OWN": "inherited"}, Overrides(env=env))
    assert loaded.pipeline is not None, list(map(str, loaded.problems))
    return dict(loaded.pipeline.environment, **loaded.pipeline.jobs[0].environment)


def test_the_order_of_the_layers(tmp_path: Path) -> None:
    (tmp_path / "1.env").write_text("PATH=/one:${PATH}\nX=one\nOWN='${X}'\nSEES=${X}\nUNDER=${TOP}\n")
    (tmp_path / "2.env").write_text("PATH=/two:${PATH}\nX=two\n")
    top = {"env_variables": {"PATH": "/top:${PATH}", "TOP": "top", "REFERS": "${X}", "X": "top"}}
    seen = job_sees(tmp_path, top, {"env_file": ["1.env", "~/2.env"], "env_variables": {"PATH": "/job:${PATH}"}}, {})
    assert seen["PATH"] == "/job:/two:/one:/top:/bin"
    assert [seen[name] for name in ("X", "SEES", "OWN", "UNDER", "REFERS")] == ["two", "two", "${X}", "top", "two"]
    seen = job_sees(tmp_path, dict(top, defaults={"env_file": "1.env"}), {"env_variables": {"X": "job"}}, {"SEES": "given"})
    assert [seen[name] for name in ("X", "SEES", "OWN")] == ["job", "given", "${X}"]
    assert "one" not in job_sees(tmp_path, dict(top, defaults={"env_file": "1.env"}), {"env_file": []}, {}).values()


def test_it_is_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "1.env").write_text("X=1\n")
    assert job_sees(tmp_path, {"working_dir": "below"}, {"env_file": "1.env", "working_dir": ".."}, {})["X"] == "1"
    assert job_sees(tmp_path, {"env_variables": {"D": "below"}}, {"env_file": "${D}/1.env"}, {})["X"] == "1"
    assert job_sees(tmp_path, {}, {"env_file": "below/${item}.env", "for_each": ["1"]}, {})["X"] == "1"


def problems_of(tmp_path: Path, job: Dict[str, Any]) -> List[str]:
    (tmp_path / "c.json").write_text(json.dumps({"jobs": [dict({"id": "a", "command": "true"}, **job), dict({"id": "b", "command": "true"}, **job)]}))
    os.chmod(str(tmp_path / "c.json"), 0o600)
    return [str(problem).partition(": ")[2] for problem in load_pipeline(str(tmp_path / "c.json"), {"PATH": "/bin"}).problems]


def test_problems_have_their_place(tmp_path: Path) -> None:
    (tmp_path / "1.env").write_text("A=${B}\nB=${A}\n")
    file = str(tmp_path / "1.env")
    assert [one for one in problems_of(tmp_path, {"env_file": "1.env"}) if "E131 jobs[0].env_file" in one and "A -> B -> A" in one]
    (tmp_path / "1.env").write_text("A 1\n")
    assert problems_of(tmp_path, {"env_file": ["1.env"]}) == [
        'error E170 jobs[0].env_file[0]: "%s", line 1: must be NAME=value, with a name of letters, digits and _ and no blank before =' % file]
    (tmp_path / "1.env").write_text("A=${NOBODY}\n")
    assert problems_of(tmp_path, {"env_file": "1.env"})[0] == \
        "warning W104 jobs[0].env_file: A: nobody sets NOBODY, so ${NOBODY} stays as it is"
    os.chmod(file, 0o666)
    assert "W119 jobs[0].env_file: everybody may write" in "".join(problems_of(tmp_path, {"env_file": "1.env"}))
    assert "E103" in problems_of(tmp_path, {"env_file": {"a": 1}})[0]
    assert "E125" in "".join(problems_of(tmp_path, {"env_file": "${jobs.b.outputs.x}"}))

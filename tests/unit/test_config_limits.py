"""limits, umask, run_as: good values arrive, bad ones are told."""
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from config.pipeline import LoadResult, load_pipeline
from jobs.models import UNLIMITED_BYTES, Job, Limits

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/home/me", "USER": "me"}
Load = Callable[..., LoadResult]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a file with one job and load it."""
    def run(job: Dict[str, Any], **top: Any) -> LoadResult:
        path = tmp_path / "c.json"
        path.write_text(json.dumps(dict(top, jobs=[dict({"id": "a", "command": "true"}, **job)])), encoding="utf-8")
        path.chmod(0o600)
        return load_pipeline(str(path), ENVIRON)
    return run


def job_of(result: LoadResult) -> Job:
    """The job of a file in which nothing is wrong."""
    assert result.pipeline is not None, "\n".join(map(str, result.problems))
    return result.pipeline.jobs[0]


def codes(result: LoadResult) -> List[str]:
    """The code and path of each error."""
    return ["%s %s" % (problem.code, problem.path) for problem in result.problems if problem.code[0] == "E"]


def test_what_holds_where_nothing_is_said(load: Load) -> None:
    job = job_of(load({}))
    assert (job.limits, job.output_limit_bytes, job.umask, job.run_as) == (None, 1 << 30, None, None)


def test_all_of_them(load: Load) -> None:
    said = {"cpu_seconds": 5, "memory": "1.5G", "open_files": 64, "file_size": 0, "processes": 9, "nice": 1,
            "output": "2 MiB"}
    job = job_of(load({"limits": said, "umask": "027"}))
    assert job.limits == Limits(5, 3 << 29, 64, 0, 9, 1)
    assert (job.output_limit_bytes, job.umask) == (2 << 20, 0o027)


def test_those_of_the_job_replace_those_of_defaults(load: Load) -> None:
    job = job_of(load({"limits": {"output": 7}}, defaults={"limits": {"nice": 3, "output": 9}, "umask": "0"}))
    assert (job.limits, job.output_limit_bytes, job.umask) == (None, 7, 0)
    job = job_of(load({}, defaults={"limits": {"nice": 3, "output": 9}}))
    assert (job.limits, job.output_limit_bytes) == (Limits(nice=3), 9)


@pytest.mark.parametrize("job, expected", [
    ({"limits": 5}, "E103 jobs[0].limits"),
    ({"limits": {"memory": 0}}, "E105 jobs[0].limits.memory"),
    ({"limits": {"memory": "0G"}}, "E105 jobs[0].limits.memory"),
    ({"limits": {"memory": "lots"}}, "E105 jobs[0].limits.memory"),
    ({"limits": {"memry": "1G"}}, "E108 jobs[0].limits.memry"),
    ({"limits": {"cpu_seconds": 0}}, "E105 jobs[0].limits.cpu_seconds"),
    ({"limits": {"cpu_seconds": True}}, "E103 jobs[0].limits.cpu_seconds"),
    ({"limits": {"open_files": 3}}, "E105 jobs[0].limits.open_files"),
    ({"limits": {"nice": 20}}, "E105 jobs[0].limits.nice"),
    ({"limits": {"output": -1}}, "E105 jobs[0].limits.output"),
    ({"umask": 27}, "E103 jobs[0].umask"),
    ({"umask": "089"}, "E105 jobs[0].umask"),
    ({"umask": "12345"}, "E105 jobs[0].umask"),
    ({"run_as": "a:b:c"}, "E105 jobs[0].run_as"),
    ({"run_as": ":wheel"}, "E105 jobs[0].run_as"),
    ({"run_as": "no-such-user-here"}, "E161 jobs[0].run_as"),
    ({"run_as": "root:no-such-group-here"}, "E161 jobs[0].run_as"),
    ({"run_as": "%d" % (1 << 70)}, "E161 jobs[0].run_as"),
])
def test_bad_values(load: Load, job: Dict[str, Any], expected: str) -> None:
    assert codes(load(job)) == [expected]


def test_a_mistake_in_defaults_is_told_once(load: Load) -> None:
    assert codes(load({}, defaults={"run_as": "no-such-user-here"})) == ["E161 defaults.run_as"]


@pytest.mark.skipif(os.geteuid() != 0, reason="not run: needs root")
def test_another_user_has_his_own_home(load: Load) -> None:
    job = job_of(load({"run_as": "root:0"}))
    assert job.run_as is not None and (job.run_as.uid, job.run_as.gid) == (0, 0)
    assert job.environment["HOME"] == job.run_as.home and job.environment["USER"] == "root"
    job = job_of(load({"run_as": "root", "env_variables": {"USER": "x"}}, env_variables={"HOME": "/srv"}))
    assert "HOME" not in job.environment and job.environment["USER"] == "x" and job.environment["LOGNAME"] == "root"
    assert codes(load({"run_as": "root", "outputs": ["x"]})) == []
    assert codes(load({"run_as": "root"}, defaults={"outputs": ["x"]})) == []
    assert codes(load({"run_as": "root", "outputs": []}, defaults={"outputs": ["x"]})) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="not run: root may all")
def test_what_only_root_may(load: Load) -> None:
    assert codes(load({"run_as": "root"})) == ["E161 jobs[0].run_as"]
    assert codes(load({"limits": {"nice": -1}})) == ["E161 jobs[0].limits"]


@pytest.mark.parametrize("value, expected", [
    (None, 1 << 30), (1, 1), (10.0, 10), ("512M", 512 << 20), ("1.5 KiB", 1536), ("none", UNLIMITED_BYTES)])
def test_output(load: Load, value: object, expected: int) -> None:
    limits = {"limits": {"_": "a comment"} if value is None else {"output": value}}
    assert job_of(load(limits)).output_limit_bytes == expected
    assert job_of(load({}, defaults=limits)).output_limit_bytes == expected
    assert job_of(load({})).output_limit_bytes == 1 << 30


@pytest.mark.parametrize("limits, expected", [
    ({"output": 0}, 'E105 jobs[0].limits.output: must be a size from 1 byte to 1 EiB, got 0; for no limit write "none"'),
    ({"output": "0M"}, 'E105 jobs[0].limits.output: must be a size from 1 byte to 1 EiB, got "0M"'),
    ({"output": -1}, "E105 jobs[0].limits.output: must be a size from 1 byte to 1 EiB, got -1"),
    ({"output": "much"}, 'E105 jobs[0].limits.output: must be a size from 1 byte to 1 EiB, got "much"'),
    ({"output": "None"}, 'E105 jobs[0].limits.output: must be a size from 1 byte to 1 EiB, got "None"'),
    ({"output": None}, 'E103 jobs[0].limits.output: must be a size or "none", got null'),
    ({"output": True}, 'E103 jobs[0].limits.output: must be a size or "none", got true'),
    ({"outputs": 5}, 'E108 jobs[0].limits.outputs: unknown key; did you mean "output"?'),
    (5, "E103 jobs[0].limits: must be an object, got 5"),
    ([], "E103 jobs[0].limits: must be an object, got a list"),
])
def test_bad_values_of_output(load: Load, limits: object, expected: str) -> None:
    result = load({"limits": limits})
    assert result.pipeline is None and len(result.problems) == 1
    assert expected in str(result.problems[0])

"""What a job may use: good values arrive, bad ones are told."""
import json
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import pytest

from config.pipeline import LoadResult, load_pipeline
from jobs.models import UNLIMITED_BYTES, Job

Load = Callable[..., LoadResult]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a file with one job and load it."""
    def run(job: Optional[Dict[str, Any]] = None, **top: Any) -> LoadResult:
        path = tmp_path / "c.json"
        path.write_text(json.dumps(dict(top, jobs=[dict({"id": "a", "command": "true"}, **(job or {}))])),
                        encoding="utf-8")
        return load_pipeline(str(path), {"PATH": "/usr/bin:/bin"})
    return run


def job(result: LoadResult) -> Job:
    """The job of a file in which nothing is wrong."""
    assert result.pipeline is not None and not result.problems, "\n".join(map(str, result.problems))
    return result.pipeline.jobs[0]


@pytest.mark.parametrize("value, expected", [
    (None, 1 << 30), (1, 1), (10.0, 10), ("512M", 512 << 20), ("1.5 KiB", 1536), ("none", UNLIMITED_BYTES)])
def test_output(load: Load, value: object, expected: int) -> None:
    limits = {"limits": {"_": "a comment"} if value is None else {"output": value}}
    assert job(load(limits)).output_limit_bytes == expected
    assert job(load(defaults=limits)).output_limit_bytes == expected
    assert job(load()).output_limit_bytes == 1 << 30


@pytest.mark.parametrize("limits, expected", [
    ({"output": 0}, 'E105 jobs[0].limits.output: must be a size of 1 byte or more, got 0; for no limit write "none"'),
    ({"output": "0M"}, 'E105 jobs[0].limits.output: must be a size of 1 byte or more, got "0M"'),
    ({"output": -1}, "E105 jobs[0].limits.output: must be a size of 0 or more, got -1"),
    ({"output": "much"}, 'E105 jobs[0].limits.output: must be a size of 0 or more, got "much"'),
    ({"output": "None"}, 'E105 jobs[0].limits.output: must be a size of 0 or more, got "None"'),
    ({"output": None}, 'E103 jobs[0].limits.output: must be a size or "none", got null'),
    ({"output": True}, 'E103 jobs[0].limits.output: must be a size or "none", got true'),
    ({"outputs": 5}, 'E108 jobs[0].limits.outputs: unknown key; did you mean "output"?'),
    (5, "E103 jobs[0].limits: must be an object, got 5"),
    ([], "E103 jobs[0].limits: must be an object, got a list"),
])
def test_bad_values(load: Load, limits: object, expected: str) -> None:
    result = load({"limits": limits})
    assert result.pipeline is None and len(result.problems) == 1
    assert expected in str(result.problems[0])

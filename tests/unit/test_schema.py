"""The key tables: complete, consistent, and the same in the validator, the JSON Schema and the sample."""
# ruff: noqa: E501  (expected lines stay whole)
import json
import random
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import pytest

from config.json_schema import DIALECT, json_schema
from config.kinds import Key, Table
from config.loader import load_text
from config.pipeline import load_pipeline, validate_file
from config.problems import ERROR, Report
from config.sample import sample
from config.environment import INHERITED_BY_DEFAULT
from config.schema import CHECK, DEFAULT_OF_JOB_KEY, FILE, JOB, TABLES
from config.validator import check_configuration
from config.validator_v2 import JobConfig
from jobs.models import RetryPolicy
from schema_mutants import full, mutated, rich, verdict

def keys() -> Iterator[Tuple[Table, Key]]:
    """Every key of every table."""
    for table in TABLES + (CHECK,):
        for key in table:
            yield table, key


@pytest.mark.parametrize("table, key", [pytest.param(table, key, id="%s.%s" % (table.name, key.name))
                                        for table, key in keys()])
def test_each_key_is_declared_in_full(table: Table, key: Key) -> None:
    assert key.help and key.help[0].islower() or key.help[0] in "$~0123456789P{" or key.help.startswith("465")
    assert "\n" not in key.help and not key.help.endswith(".")
    assert key.kind.schema()
    if key.default is not None:
        assert key.kind.is_clean(key.default), "the default of %s is not allowed" % key.name
    elif not key.required:
        assert key.default_text, "nobody says what holds where %s is missing" % key.name
        assert table.name in ("database", "plugin", "check") or key.example is not None
    if key.example is not None:
        assert key.kind.is_clean(key.example), "the example of %s is not allowed" % key.name


def test_no_key_stands_twice() -> None:
    for table in TABLES:
        names = [key.name for key in table]
        assert len(set(names)) == len(names)
        assert not [name for name in names if name.startswith("_")], "those would be comments"


def test_the_typed_dictionary_has_the_same_keys() -> None:
    assert set(JobConfig.__annotations__) == set(JOB.by_name)


def test_defaults_of_jobs_exist_in_the_file() -> None:
    assert set(DEFAULT_OF_JOB_KEY) <= set(JOB.by_name)
    assert set(DEFAULT_OF_JOB_KEY.values()) <= set(FILE.by_name)


def test_defaults_are_those_of_the_models() -> None:
    policy = RetryPolicy()
    assert policy.max_retries == FILE.by_name["default_max_retries"].default
    assert policy.delays_s == (FILE.by_name["default_retry_delay"].default,)
    assert policy.backoff == FILE.by_name["default_retry_backoff"].default
    assert policy.jitter == FILE.by_name["default_retry_jitter"].default
    assert policy.max_retry_time_s == FILE.by_name["default_max_retry_time"].default
    assert policy.on_exit_codes == set(FILE.by_name["default_retry_on_exit_codes"].default)  # type: ignore[call-overload]
    assert policy.on_status == set(JOB.by_name["retry_on_status"].default)  # type: ignore[call-overload]
    assert policy.never_on_exit_codes == set(JOB.by_name["never_retry_on_exit_codes"].default)  # type: ignore[call-overload]


def test_the_default_variables() -> None:
    assert " ".join(INHERITED_BY_DEFAULT) == (
        "PATH LD_LIBRARY_PATH HOME USER LOGNAME SHELL HOSTNAME TERM DISPLAY LANG TZ TMPDIR TEMP TMP JAVA_HOME "
        "PYTHON_HOME NODE_PATH")


# The sample

def test_the_sample_validates_and_builds(tmp_path: Path) -> None:
    path = tmp_path / "sample.json"
    path.write_text(sample(), encoding="utf-8")
    assert validate_file(str(path), {"PATH": "/usr/bin:/bin"}).problems == []
    result = load_pipeline(str(path), {"PATH": "/usr/bin:/bin"})
    assert result.pipeline is not None and len(result.pipeline.jobs) == 3
    assert max(map(len, sample().splitlines())) <= 140


def test_the_sample_names_every_key() -> None:
    for table in (FILE, JOB):
        for key in table:
            assert '"%s":' % key.name in sample(), key.name


def test_each_line_of_the_sample_may_be_taken_out_of_its_comment(tmp_path: Path) -> None:
    lines = sample().splitlines()
    commented = [number for number, line in enumerate(lines) if line.strip().startswith('// "')]
    assert len(commented) > 40
    for number in commented:
        changed = list(lines)
        changed[number] = changed[number].replace("// ", "", 1)
        if '"name"' in changed[number]:
            continue
        document = load_text("\n".join(changed))
        assert not document.problems, changed[number]
        report = Report()
        check_configuration(document.value, str(tmp_path), {"PATH": "/usr/bin:/bin", "SMTP_PASSWORD": "x"}, {}, report)
        wrong = [one for one in report.findings if one.severity == ERROR and one.code not in ("E121", "E161")]
        assert not wrong, (changed[number], [(one.path, one.message) for one in wrong])


# The JSON Schema

def validator() -> Any:
    """A validator of the schema, by a library that knows nothing of us."""
    jsonschema = pytest.importorskip("jsonschema", reason="not run: jsonschema is not installed")
    if not hasattr(jsonschema, "Draft202012Validator"):
        pytest.skip("not run: jsonschema is too old for draft 2020-12 (Python %d.%d)" % sys.version_info[:2])
    return jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_one() -> None:
    found = validator()
    found.check_schema(json_schema())
    assert json_schema()["$schema"] == DIALECT
    json.dumps(json_schema())


@pytest.mark.parametrize("make", [full, rich])
def test_a_full_file_is_accepted_by_both(make: Callable[[], Dict[str, Any]]) -> None:
    assert list(validator().iter_errors(make())) == []
    report = Report()
    check_configuration(make(), "/", {"PATH": "/usr/bin:/bin"}, {}, report)
    # Only root may become somebody else; and the file of the example is not there.
    assert [(one.path, one.message) for one in report.findings if one.severity == ERROR and one.code not in ("E161", "E170")] == []


@pytest.mark.parametrize("seed", list(range(4)) + [pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 10)])
def test_schema_and_validator_refuse_the_same(seed: int) -> None:
    """What the schema refuses is refused, and every error of shape is found by both."""
    schema = validator()
    rnd = random.Random(seed)
    counts = [0, 0]
    for _ in range(120):
        file = mutated(rnd)
        may, must = verdict(file)
        theirs = [] if schema.is_valid(file) else [error.message[:200] for error in schema.iter_errors(file)]
        counts[bool(theirs)] += 1
        assert may if theirs else not must, (file, [(one.code, one.path, one.message) for one in must], theirs)
    assert min(counts) > 0, "the mutations should be right sometimes, and wrong sometimes: %s" % counts

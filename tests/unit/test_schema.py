"""The key tables: complete, consistent, and the same in the validator, the JSON Schema and the sample."""
# ruff: noqa: E501  (expected lines stay whole)
import copy
import json
import random
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

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

#: What only values together, or the machine, can show; a schema cannot say it.
BEYOND_SHAPE = ("E113", "E114", "E12", "E13", "E140", "E142", "E148", "E149", "E150", "E151", "E155", "E160", "E161", "E162",
                "E170")


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


def full() -> Dict[str, Any]:
    """A configuration with every key."""
    job = {key.name: copy.deepcopy(key.example if key.example is not None else key.default) for key in JOB}
    file = {key.name: copy.deepcopy(key.example if key.example is not None else key.default) for key in FILE}
    job.update(id="b", dependencies=["a", {"job": "c", "when": "done"}], join=1, env_variables={"X": "1", "Y": 2, "Z": True})
    file["defaults"] = {key.name: copy.deepcopy(key.default) for key in JOB if key.default is not None}
    file["jobs"] = [{"id": "a", "command": ["true", ""], "join": "any", "dependencies": ["c"]}, job,
                    {"id": "c", "command": "true", "dependencies": [], "join": "all", "retry_delay": [1, "1m"],
                     "run_as": job.pop("run_as")}]
    file["env_variables"] = {"A": "x", "_B": []}
    file["features"] = {"new_validation": True, "structured_logging": False}
    file["_comment"] = {"anything": [None]}
    return file


def test_the_schema_is_one() -> None:
    found = validator()
    found.check_schema(json_schema())
    assert json_schema()["$schema"] == DIALECT
    json.dumps(json_schema())


def test_the_full_file_is_accepted_by_both() -> None:
    assert list(validator().iter_errors(full())) == []
    report = Report()
    check_configuration(full(), "/", {"PATH": "/usr/bin:/bin"}, {}, report)
    # Only root may become somebody else; and the file of the example is not there.
    assert [(one.path, one.message) for one in report.findings if one.severity == ERROR and one.code not in ("E161", "E170")] == []


def places(value: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """The path of every value."""
    yield path
    if isinstance(value, (dict, list)):
        for key in (value if isinstance(value, dict) else range(len(value))):
            for found in places(value[key], path + (key,)):
                yield found


VALUES: List[Any] = [
    None, True, False, 0, 1, -1, 2.0, 0.5, 255, 256, 65536, 10 ** 12, -10 ** 12, 1e10, "", "a", "x", "all", "any", "1m", "0s",
    "-1", "90", "1h30m", "1.5d", "m", "1 m", " 1m", "TERM", "SIGTERM", "term", "default", "fail", "warn", "low", "ERROR",
    "done", "sqlite", "check_file_exists", "a b", "a=b", ".", "..", "x" * 129, [], ["a"], [1], [""], [[]], [{}], ["ERROR"],
    [None], ["1m", 5], {}, {"a": 1}, {"A": "x"}, {"A": []}, {"_x": 1}, {"job": "a"}, {"text": "x"}, {"text": 1}, {"name": "x"},
    {"name": "check_file_exists"}, {"name": "check_file_exists", "params": {"path": "x"}}, {"type": "sqlite"}, {"path": "x"},
    [{"name": "check_no_ora_errors", "params": {"log_file": "x"}}], ["a", "a"], ["_x"], ["1a"], {"database": 0},
    {"database": 201}, {"a b": 1}, "database", "Friday", ["mon", "SUNDAY"], "fri ", ["mon", 1], [31, -31], [0], 32, [1, 5.0],
    {"env": "A"}, {"env": "A", "equals": True}, {"env": "A", "matches": "x"}, {"env": "A", "matches": "x", "equals": 1},
    {"env": "A", "equals": None}, {"env": "A", "matches": 5}, {"env": ""}, {"env": "A", "file_exists": "x"},
    {"file_exists": "x", "equals": "x"}, {"file_exists": "x", "_why": []}, {"command": " "}, {"command": ["a"]},
    {"command": []}, {"command": [""]}, {"command": "x"}, {"weekday": "mon"}, {"weekday": []}, {"day_of_month": -1},
    {"day_of_month": [1, 0]}, {"all": []}, {"all": [{"env": "A"}, {"not": {"env": "B"}}]}, {"any": [{}]}, {"not": []},
    {"any": [{"all": [{"weekday": ["Tues"]}]}]},
]
#: Signals that may be written so, and are none: the system says which there are.
NO_SIGNALS = ("ERROR",)


def mutated(rnd: random.Random) -> Any:
    """The full file with one to three things changed."""
    file: Any = full()
    for _ in range(rnd.randint(1, 3)):
        path = rnd.choice([found for found in places(file) if found and not str(found[0]).startswith("_")] or [()])
        if not path:
            return rnd.choice(VALUES)
        holder = file
        for step in path[:-1]:
            holder = holder[step]
        action = rnd.random()
        if action < 0.2:
            del holder[path[-1]]
        elif action < 0.3 and isinstance(holder, dict):
            holder[rnd.choice(["foo", "_foo", "id", "when", "timeout", "jobs", "A B", "1A", ""])] = rnd.choice(VALUES)
        else:
            holder[path[-1]] = copy.deepcopy(rnd.choice(VALUES))
    return file


@pytest.mark.parametrize("seed", range(30))
def test_schema_and_validator_refuse_the_same(seed: int) -> None:
    schema = validator()
    rnd = random.Random(seed)
    counts = [0, 0]
    for _ in range(60):
        file = mutated(rnd)
        report = Report()
        from config.features import resolve_features
        resolve_features(file.get("features") if isinstance(file, dict) else None, {}, (), report, [])
        check_configuration(file, "/", {"PATH": "/usr/bin:/bin"}, {}, report)
        ours = [(one.code, one.path, one.message) for one in report.findings
                if one.severity == ERROR and not one.code.startswith(BEYOND_SHAPE)
                and not (one.code == "E145" and one.path[0] == "email_address")  # commas between several
                and not (one.code == "E117" and any('"%s"' % word in one.message for word in NO_SIGNALS))]
        theirs = [error.message[:200] for error in schema.iter_errors(file)]
        counts[bool(ours)] += 1
        assert bool(ours) == bool(theirs), (ours, theirs)
    assert min(counts) > 0, "the mutations should be right sometimes, and wrong sometimes: %s" % counts

"""Damaged configurations from a seed: never an exception, never a wait, and what validates also builds.

``python tests/unit/test_config_fuzz.py FIRST LAST`` goes through more seeds.
"""
# ruff: noqa: E501  (tables of cases stay readable)
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from config.pipeline import LoadResult, Overrides, load_pipeline, validate_file
from config.sample import sample

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/root", "LANG": "C", "X_TOKEN": "abcdef123", "EXECUTIONER_FEATURES": ""}
#: Files in one round, and the seconds that each may take.
ROUND = 60
LIMIT_S = 2.0

VALID: List[Any] = [
    {"jobs": [{"id": "a", "command": "true"}]},
    {"name": "x", "parallel": True, "max_workers": 3, "jobs": [
        {"id": "a", "command": ["true"]}, {"id": "b", "command": "cat < /dev/null", "dependencies": ["a"]},
        {"id": "c", "command": "", "dependencies": ["a", {"job": "b", "when": "failure"}], "join": "any"}]},
    {"defaults": {"timeout": "1m", "env_variables": {"A": "${PATH}"}, "retry_delay": [1, "2s"]}, "run_timeout": 100,
     "env_variables": {"A": 1, "B": "${A}", "PASSWORD": "hunter2hunter2"}, "inherit_shell_env": ["PATH"],
     "smtp_password": "${X_TOKEN}", "email_address": "a, b", "features": {"structured_logging": False},
     "jobs": [{"id": "a", "command": "echo hunter2hunter2", "stdin": {"text": "x"}, "tags": ["t"], "priority": 3,
               "pre_checks": [{"name": "check_file_exists", "params": {"path": "${A}"}}], "working_dir": "."},
              {"id": "b", "command": "true", "success_exit_codes": [0, 1], "stop_signal": "INT", "stop_grace": 1,
               "env_variables": {"B": "${B}${A}", "_c": [1]}, "never_retry_on_exit_codes": [1], "max_retries": 2}]},
]
PIECES = [
    "{", "}", "[", "]", ",", ":", '"', "\\", "//", "/*", "*/", "\n", "null", "true", "NaN", "-Infinity", "1e999", "1e-999",
    "9" * 50, "-", "0", "\\u0000", "\\ud800", "\\udc00\\ud800", "\u00e9", "\0", "\x1f", "\u2028", '"_', '"id":', '"a"', "${A}",
    "${", "}}", "[" * 70, "[" * 3000, "{\"x\":" * 100, '"dependencies": ["a"],', '"jobs": [],', "~", "1m", "-1",
]
VALUES: List[Any] = [
    None, True, False, 0, -1, 1, 2 ** 63, -2 ** 70, 0.1, 1e300, "", "a", "b", "${A}", "${B}${B}", "~", "~x", "\0", "\ud800",
    "x" * 200000, "1m", "99999d", "1h" * 20, "TERM", "default", "any", [], [[]], [None], ["a"], ["a", "a"], ["b", "c"], {}, {"_": 1},
    {"job": "a"}, {"job": "a", "when": "never"}, {"A": "${B}", "B": "${A}"}, {"name": "check_file_exists"}, [{"name": "x"}],
    ["\ud800"], {"\ud800": "x"}, {"": ""}, {"A": "x" * 130000}, [1] * 1000, ["true"] * 5000,
]
NAMES = ["id", "command", "dependencies", "join", "timeout", "env_variables", "_x", "x", "", "jobs", "defaults", "working_dir",
         "log_dir", "stdin", "retry_delay", "pre_checks", "features", "database", "allow_shell", "name", "run_timeout",
         "retry_on_exit_codes", "stop_signal", "inherit_shell_env", "command_allowlist_patterns", "max_workers"]


def damaged_value(rnd: random.Random, value: Any) -> Any:
    """A value with a few of its parts replaced, removed, moved or added."""
    value = json.loads(json.dumps(value))
    for _ in range(rnd.choice((1, 1, 2, 5))):
        holders: List[Any] = []
        todo = [value]
        while todo:
            one = todo.pop()
            if isinstance(one, (dict, list)):
                holders.append(one)
                todo += one.values() if isinstance(one, dict) else one
        replacement = json.loads(json.dumps(rnd.choice(VALUES)))
        if not holders:
            return replacement
        holder = rnd.choice(holders)
        if isinstance(holder, dict):
            name = rnd.choice(list(holder) + NAMES)
            if name in holder and rnd.random() < 0.3:
                del holder[name]
            else:
                holder[name] = replacement
        elif holder and rnd.random() < 0.5:
            holder[rnd.randrange(len(holder))] = replacement
        else:
            holder.insert(rnd.randint(0, len(holder)),
                          json.loads(json.dumps(rnd.choice(holder))) if holder and rnd.random() < 0.3 else replacement)
    return value


def damaged_bytes(rnd: random.Random, data: bytes) -> bytes:
    """Bytes with pieces put in, cut out, doubled or flipped."""
    for _ in range(rnd.choice((0, 1, 1, 2, 6))):
        at = rnd.randint(0, len(data))
        end = min(len(data), at + rnd.choice((0, 1, 2, 10)))
        way = rnd.random()
        if way < 0.5:
            data = data[:at] + rnd.choice(PIECES).encode("utf-8", "surrogatepass") + data[end:]
        elif way < 0.7:
            data = data[:at] + data[end:]
        elif way < 0.8:
            data = data[:at] + data[end:] + data[at:end]
        elif way < 0.9:
            data = data[:at] + bytes(rnd.randrange(256) for _ in range(rnd.randint(1, 4))) + data[end:]
        else:
            data = data[:at]
    return data


def one_file(rnd: random.Random) -> bytes:
    """The bytes of one damaged file."""
    kind = rnd.random()
    if kind < 0.15:
        data = sample().encode("utf-8")
    else:
        value = rnd.choice(VALID)
        if kind < 0.8:
            value = damaged_value(rnd, value)
        data = json.dumps(value, indent=rnd.choice((None, 1))).encode("utf-8")
    if kind > 0.6 or kind < 0.15:
        data = damaged_bytes(rnd, data)
    if rnd.random() < 0.03:
        data = rnd.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\x00")) + data
    return data


def round_of(seed: int, folder: str) -> Dict[str, int]:
    """One round; how many files were good, and how many bad."""
    rnd = random.Random(seed)
    counts = {"good": 0, "bad": 0}
    path = os.path.join(folder, "fuzz.json")
    for number in range(ROUND):
        data = one_file(rnd)
        with open(path, "wb") as file:
            file.write(data)
        started = time.process_time()  # the machine may have other things to do
        try:
            result: LoadResult = load_pipeline(path, ENVIRON, Overrides(env={"E": "1"}))
            text = "\n".join(str(problem) for problem in result.problems)
            validated = validate_file(path, ENVIRON)
        except BaseException:
            print("seed %d, file %d: %r" % (seed, number, data[:2000]))
            raise
        took = time.process_time() - started
        assert took < LIMIT_S, "seed %d, file %d took %.1f s" % (seed, number, took)
        assert (result.pipeline is None) == any(problem.is_error for problem in result.problems), (seed, number)
        assert validated.ok == (result.pipeline is not None) or "--env" in text, (seed, number)
        json.dumps([problem.to_dict() for problem in result.problems])
        text.encode("utf-8")
        for problem in result.problems:
            assert "\n" not in str(problem) and problem.line >= 0 and problem.column >= 0
        counts["bad" if result.pipeline is None else "good"] += 1
        if result.pipeline is not None and result.pipeline.environment.get("PASSWORD") == "hunter2hunter2":
            assert "hunter2hunter2" not in result.pipeline.config_text, (seed, number)
    return counts


@pytest.mark.parametrize("seed", range(12))
def test_damaged_files(seed: int, tmp_path: Path) -> None:
    counts = round_of(seed, str(tmp_path))
    assert counts["good"] and counts["bad"], counts


if __name__ == "__main__":
    import tempfile
    with tempfile.TemporaryDirectory() as scratch:
        total = {"good": 0, "bad": 0}
        for one_seed in range(int(sys.argv[1]), int(sys.argv[2])):
            for word, count in round_of(one_seed, scratch).items():
                total[word] += count
        print(total)

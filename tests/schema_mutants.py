"""Files of which something was changed in shape, and what the JSON Schema and ``validate`` say of each.

    python tests/schema_mutants.py SEED COUNT      # compares the verdicts on so many; prints each kind of difference once
"""
import copy
import json
import os
import random
import sys
from typing import Any, Dict, Iterator, List, Tuple

if __name__ == "__main__":
    sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]

from config.features import resolve_features
from config.json_schema import json_schema
from config.problems import ERROR, Finding, Report
from config.schema import FILE, JOB
from config.validator import check_configuration

__all__ = ["full", "mutated", "rich", "verdict"]

Place = Tuple[Any, ...]

#: What only values together, what stands behind a variable, or the machine can show; a schema cannot say it.
BEYOND_SHAPE = ("E113", "E114", "E12", "E13", "E140", "E142", "E148", "E149", "E150", "E153", "E155", "E156", "E157",
                "E160", "E161", "E170", "E171")
#: The same, of codes that are about shape else: sums, and lengths in bytes.
BEYOND_MESSAGES = ("must be at most 10 years, got \"", " bytes, got ", " bytes in all, got ", " are allowed",
                   "is nested too deeply", "\\u0000", "must be a regular expression, got")


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


def rich() -> Dict[str, Any]:
    """One that has what ``full`` has no room for: every check, every form of items, conditions, databases, rules."""
    checks = [{"name": "check_file_exists", "params": {"path": "in/*.csv"}},
              {"name": "check_file_not_empty", "params": {"path": "x", "min_size": "10K"}},
              {"name": "check_file_newer_than", "params": {"path": "x", "max_age": "1h30m"}},
              {"name": "check_disk_free", "params": {"min_free": "10 %", "path": "/"}},
              {"name": "check_disk_free", "params": {"min_free": "1.5 GiB"}},
              {"name": "check_port_open", "params": {"port": 80, "host": "localhost", "timeout": 5}},
              {"name": "check_command", "params": {"command": ["true", "x"], "timeout": "5s"}},
              {"name": "check_command", "params": {"command": "true"}}]
    after = [{"name": "check_output_contains", "params": {"text": "done", "stream": "stdout"}},
             {"name": "check_output_lacks", "params": {"pattern": "^ERROR"}},
             {"name": "check_no_ora_errors", "params": {"log_file": "x.log"}}]
    return {
        "name": "rich", "parallel": True, "max_workers": 4, "inherit_shell_env": ["PATH", "HOME"], "secrets": ["X_Y"],
        "email_address": ["ops@example.com", "a@b, c@d"], "email_from": "batch@example.com", "smtp_port": 465,
        "database": {"type": "postgresql", "host": "db", "port": 5432, "name": "h", "user": "u", "sslmode": "require",
                     "password_env": "PGPASS", "schema": "jobs"},
        "notifications": [{"on": ["failure", "late"], "to": ["mailto:ops@example.com", "https://example.com/hook"],
                           "every": "1h", "subject": "{application} {status}"},
                          {"on": "success", "to": "command:cat", "secret": "s"}],
        "retention": {"runs": 5, "days": 1.5, "bytes": "10 GiB"},
        "parameters": {"mode": {"choices": ["full", "part"], "default": "full"}, "day": {"type": "integer", "default": 3},
                       "share": {"type": "number", "required": False, "default": 0.5}},
        "pools": {"db": 2, "disk-1": 1}, "dependency_plugins": [], "workspace_paths": ["/opt"], "$schema": "x",
        "defaults": {"timeout": "1h", "tags": ["all"]},
        "jobs": [
            {"id": "a", "command": "true", "for_each": ["x", 1, True], "pre_checks": checks, "post_checks": after,
             "limits": {"cpu_seconds": 10, "memory": "2G", "open_files": 64, "file_size": 0, "processes": 10, "nice": 5,
                        "output": "none"}},
            {"id": "b", "command": ["true"], "for_each": {"range": [1, 9, 2]}, "dependencies": ["a[x]", "a"], "umask": "027"},
            {"id": "c", "command": "true", "for_each": {"one": ["x"], "two": {"range": 2}}, "pool": "db", "pool_slots": 2},
            {"id": "d", "command": "true", "for_each": [{"id": "n", "v": 1}], "deadline": "06:30", "stdin": {"text": "x"}},
            {"id": "e", "command": "true", "deadline": "1h", "stop_signal": 15, "retry_delay": ["1s", 2.5], "limits": {
                "output": 4096, "memory": 1048576}, "run_if": {"any": [
                    {"all": [{"env": "A", "equals": "x"}, {"param": "mode", "matches": "^f"}]}, {"not": {"file_exists": "x"}},
                    {"command": ["test", "-s", "x"]}, {"weekday": ["mon", "Friday"]}, {"day_of_month": [1, -1]}]}},
            {"id": "f", "command": "true", "dependencies": [{"job": "e", "when": "failure"}, {"job": "a", "when": "done"}],
             "join": 1, "outputs": ["rows", "_x"], "inputs": ["x"], "products": ["y"], "runbook": "https://x", "priority": -5,
             "success_exit_codes": [0, 3], "retry_on_status": ["FAILED"], "env_file": []},
        ]}


def places(value: Any, path: Place = ()) -> Iterator[Place]:
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
#: Values of other kinds: what shapes are easily wrong about.
VALUES += [
    "mailto:", "mailto:a b", "mailto:a@b,c@d", "mailto: a@b ,, c", "mailto:a@b@c", "http://", "https://x", "https:///x",
    "http://a b", "ftp://x", "command:", "command: ", "command:x", "a@b.c", "a@b, c@d", "a@b;c@d", "a <a@b>", ",", " , ",
    "${X}", "a ${X} b", "{jobs}", "{job}", "{", "{}", "{{jobs}}", "10K", "1.5 GiB", "10 kB", "1e5", "0B", "0.0000000001",
    "0.5", "0.000000001K", "9" * 18, "9" * 19, "9" * 15 + "K", "9" * 16 + "K", "9" * 12 + "M", "9" * 13 + "M", "1048575T",
    "1048577T", "999999T", "1073741825G", "0000000001T", "none", "3650d", "3651d", "99999d", "87600h", "87601h", "315360000",
    "315360001", "0d0s", "00001d", "1d1d", "1s1m", "d", ".5", "5.", "+5", "1_0", "24:00", "23:59", "7:30", "07:30:00", ":",
    "027", "0027", "8", "0o27", "777", "10 %", "100%", "101%", "99.5 %", "0%", "-1%", "1.%", "nobody", "nobody:nogroup",
    ":x", "a:b:c", "x:", "SIGRTMIN+1", "SIG", "a[b]", "a[", "a]b", "[a]", "a/b", "/a", "a/", "a[b]/c[d]", "a[b][c]", "a[]",
    "..[x]", "a/..", "1" * 65, "0" * 63 + "1", 1 << 60, (1 << 60) + 1, 1 << 62, 1 << 63, 10 ** 18, 10 ** 19, 1e18, 1e19, 1.5,
    -0.0, -0.5, 1e300, -1e300, 10 ** 15, 10 ** 15 + 1, 10 ** 9, 10 ** 9 + 1, 10000, 10001, 100001, 315360000, 315360001,
    {"range": 5}, {"range": -1}, {"range": [1]}, {"range": [1, 2, 0]}, {"range": [1, 2, 3, 4]}, {"range": "5"}, {"glob": "x"},
    {"range": 2.5}, {"range": [1.0, 2]}, {"range": True}, {"range": 10001}, {"range": [0, 10000]}, {"glob": 5}, {"glob": [5]},
    {"glob": ""}, {"glob": []}, {"glob": ["x", ""]}, {"range": 5, "glob": "x"}, {"range": 5, "x": ["a"]}, {"range": ["a"]},
    {"x": {"range": 3}}, {"x": {"glob": ""}}, {"x": {"y": ["a"]}}, {"x": ["a"], "_c": 5}, {"_c": 5}, {"1x": ["a"]}, {"x": [{}]},
    [{"x": 1}], [{"x": 1}, "a"], ["a", {"x": 1}], [{"_x": 1}], [{"x": None}], [{"x": [1]}], [True, 1, "1"], [[1]],
    {"type": "oracle"}, {"type": "mysql"}, {"output": "none"}, {"memory": "none"}, {"memory": 0}, {"memory": "0K"},
    {"file_size": 0}, {"file_size": "none"}, {"nice": -20}, {"nice": 20}, {"open_files": 3}, {"cpu_seconds": 0.5},
    {"on": "failure", "to": "command:x"}, {"on": [], "to": "command:x"}, {"on": "lat", "to": "command:x"}, {"on": "late"},
    {"choices": []}, {"choices": ["a"]}, {"type": "boolean", "default": True}, {"type": "text"}, {"pattern": ""},
    {"name": "check_port_open", "params": {"port": 0}}, {"name": "check_port_open", "params": {"port": "80"}},
    {"name": "check_disk_free", "params": {"min_free": "x"}}, {"name": "check_disk_free", "params": {"min_free": 10 ** 19}},
    {"name": "check_file_not_empty", "params": {"path": "x", "min_size": "9" * 19}}, {"name": "check_x", "params": {"a": 1}},
    {"name": "check_output_lacks", "params": {"text": "a", "pattern": "b"}}, {"name": "check_output_lacks", "params": {}},
    "\u0660m", "\u00b2", "\u0661", "a\u00a0b", "a\tb", "a\nb", "ok\n", "\u202etxt", "\u200d", "\ufeff", "\u00e9", "\U0001f600",
]
#: What is put into texts.
CHARACTERS = " ,;:@/\\[](){}<>\"'$%=._-+*#~^|0159aZ\t\n\r\x00\x7f\x85\u00a0\u00e9\u0660\u2028\u200b\U0001f600"


def _another(rnd: random.Random, value: Any, file: Any) -> Any:
    """A value that is near the one that stands there, or far from it."""
    choice = rnd.random()
    if choice < 0.35:
        return copy.deepcopy(rnd.choice(VALUES))
    if choice < 0.5:
        found = file
        for step in rnd.choice(list(places(file))):
            found = found[step]
        return copy.deepcopy(found)
    if isinstance(value, bool) or value is None:
        return rnd.choice([not value, 0, 1, "true", "", None, [value]])
    if isinstance(value, (int, float)):
        return rnd.choice([value + 1, value - 1, -value, value * 10, value * 1000, float(value), value + 0.5, 0, str(value),
                           bool(value), [value], 2 ** rnd.randint(1, 64), -2 ** rnd.randint(1, 64), 10 ** rnd.randint(1, 19)])
    if isinstance(value, str):
        at = rnd.randint(0, len(value))
        how = rnd.random()
        if how < 0.5:
            return value[:at] + rnd.choice(CHARACTERS) + value[at + rnd.randint(0, 1):]
        if how < 0.65:
            return value[:at] + value[at + 1:]
        if how < 0.75:
            return rnd.choice([value.upper(), value.lower(), value * rnd.randint(2, 70), value.strip(), " " + value])
        return rnd.choice([[value], {"x": value}, "", None, value + "${X}"])
    if isinstance(value, list):
        return rnd.choice([[], value + value[:1], value * 2, value + [copy.deepcopy(rnd.choice(VALUES))], {"x": value}, "x",
                           [value], value[1:]])
    return rnd.choice([{}, [value], dict(value, **{rnd.choice(["foo", "_c", "", "id", "name", "A b"]): 1}), None, "x"])


def _small(rnd: random.Random) -> Dict[str, Any]:
    """A part of a good file that is good by itself: one job, and some of what stands beside the jobs."""
    file = full() if rnd.random() < 0.4 else rich()
    jobs = file.pop("jobs")
    kept = rnd.sample(sorted(file), 3)
    small = {name: value for name, value in file.items() if name in kept}
    small["jobs"] = [rnd.choice(jobs)]
    if "pre_checks" in small["jobs"][0]:
        small["jobs"][0]["pre_checks"] = rnd.sample(small["jobs"][0]["pre_checks"], 1)
    return small


def mutated(rnd: random.Random) -> Any:
    """A good file with one to three things changed."""
    choice = rnd.random()
    file: Any = full() if choice < 0.1 else rich() if choice < 0.2 else _small(rnd)
    for _ in range(rnd.choice((1, 1, 1, 2, 3))):
        path = rnd.choice([found for found in places(file) if found and not str(found[0]).startswith("_")] or [()])
        if not path:
            return rnd.choice(VALUES)
        holder = file
        for step in path[:-1]:
            holder = holder[step]
        action = rnd.random()
        if action < 0.12:
            del holder[path[-1]]
        elif action < 0.2 and isinstance(holder, dict):
            holder[rnd.choice(["foo", "_foo", "id", "when", "timeout", "jobs", "A B", "1A", "", "params", "equals"])] = \
                copy.deepcopy(rnd.choice(VALUES))
        else:
            holder[path[-1]] = _another(rnd, holder[path[-1]], file)
    return file


def verdict(file: Any) -> Tuple[List[Finding], List[Finding]]:
    """What ``validate`` says of the file: what a schema may know of it, and of that what it must."""
    report = Report()
    resolve_features(file.get("features") if isinstance(file, dict) else None, {}, (), report, [])
    check_configuration(file, "/", {"PATH": "/usr/bin:/bin"}, {}, report)
    may = [one for one in report.findings if one.severity == ERROR and (
        one.code == "E113" or not one.code.startswith(BEYOND_SHAPE))]
    return may, [one for one in may if one.code != "E113" and not any(part in one.message for part in BEYOND_MESSAGES)
                 and not (one.code == "E117" and _may_be_a_signal(one.message))
                 and not (one.code == "E141" and " from " in one.message and one.message.endswith('"'))]


def _may_be_a_signal(message: str) -> bool:
    """Which signals there are, only the system knows."""
    import re
    return bool(re.search(r'got "(SIG)?[A-Z][A-Z0-9+-]*"$', message))


def _main() -> None:
    import jsonschema  # type: ignore[import]
    schema = jsonschema.Draft202012Validator(json_schema())
    rnd = random.Random(int(sys.argv[1]))
    counts: Dict[bool, int] = {True: 0, False: 0}
    seen: Dict[Tuple[str, ...], int] = {}
    for number in range(int(sys.argv[2])):
        file = mutated(rnd)
        may, must = verdict(file)
        refused = not schema.is_valid(file)
        counts[refused] += 1
        if may if refused else not must:
            continue
        if refused:
            error = next(iter(schema.iter_errors(file)))
            while error.context:
                error = max(error.context, key=lambda one: len(one.absolute_path))
            where, text = error.absolute_path, "%s: %s" % (error.validator, error.message[:120])
        else:
            where, text = must[0].path, "%s %s" % (must[0].code, must[0].message)
        key = ("schema" if refused else "validate", ".".join(step for step in where if isinstance(step, str)), text[:20])
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 1:
            print("only %s, mutant %d: %s: %s" % (key[0], number, list(where), json.dumps(text)), flush=True)
    print("%d refused, %d accepted by the schema; %d kinds of difference, %d files" % (
        counts[True], counts[False], len(seen), sum(seen.values())))


if __name__ == "__main__":
    _main()

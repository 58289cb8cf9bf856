"""Random valid configurations, made from the key tables: a new key is in them by itself, or asks for a maker here."""
import random

from config.items import ForEach
from config.kinds import (Checks, Choice, Command, Condition, Duration, Either, Flag, Integer, ListOf, Number, Object,
                          Outputs, Signal, Text, Variables)
from config.limits import LIMITS, SizeLimit, Umask
from config.schema import DEFAULTS, DEPENDENCY, FILE, JOB, NOTIFICATION, PARAMETER, RETENTION, STDIN
from config.upkeep import DeadlineTime, Size

#: What is given with --param to every file.
PARAMS = {"must": "given"}
#: Tables whose every key has to turn up.
TABLES = (FILE, JOB, DEFAULTS, DEPENDENCY, STDIN, LIMITS, PARAMETER, NOTIFICATION, RETENTION)
#: What needs another file or user, or takes a shell away that the commands need.
LEFT_OUT = {("job", "config"), ("job", "run_as"), ("defaults", "run_as"), ("file", "dependency_plugins"),
            ("file", "allow_shell"),
            # Known by the job alone: ids, and how many of them.
            ("defaults", "dependencies"), ("defaults", "join")}
_TEXT = ("x", "two words", "Gr\u00f6\u00dfe \u2603", "\"quoted\" \\ and 'so'", "50% {}")
_CHECKS_BEFORE = (
    {"name": "check_file_exists", "params": {"path": "in/*.csv"}},
    {"name": "check_file_newer_than", "params": {"path": "in/*.csv", "max_age": "1h"}},
    {"name": "check_disk_free", "params": {"min_free": "10%"}},
    {"name": "check_command", "params": {"command": "test -e in"}})
_CHECKS_AFTER = _CHECKS_BEFORE + (
    {"name": "check_output_contains", "params": {"pattern": "^a+$", "stream": "stdout"}},
    {"name": "check_output_lacks", "params": {"text": "ERROR"}})
_CONDITIONS = ({"env": "HOME", "matches": "/.*"}, {"file_exists": "in/a.csv"}, {"param": "must", "equals": "given"},
               {"command": "test -e in"}, {"weekday": ["mon", "sun"]}, {"day_of_month": [1, 31]})
_ITEMS = (["a", "b"], [1, True, "x y"], {"range": 2}, {"range": [5, 1, -2]}, {"glob": "in/*.csv"}, {"glob": "in/*.none"}, [],
          {"one": ["a", "b"], "other": {"range": 2}}, [{"name": "n", "port": 1}])
#: Values of keys that a kind does not tell enough about.
CHOICES = {
    "working_dir": (".", "in/..", "${HERE}"), "log_dir": ("logs", "logs/${HERE}"), "env_file": ("job.env", ["job.env"], []),
    "stdin": ("in/a.csv", {"text": "a\nb"}), "inputs": (["in/*.csv"], []), "products": (["out/a"], ["out/*"]),
    "metrics_textfile": ("a.prom",), "status_page": ("page.html",), "database": ("sqlite", {"type": "sqlite", "path": "h.db"}),
    "to": ("command:cat", "mailto:a@example.com", ["https://example.com/x", "command:true"]), "subject": ("", "{application}: {jobs}"),
    "email_address": ("a@example.com", ["a@example.com", "b@example.com"]), "smtp_server": ("mail.example.com",),
    "email_from": ("a@example.com",), "secret": ("${HERE}", "s3cret-of-the-hook"), "command_whitelist": ([], ["true"]),
    "command_allowlist_patterns": ([], ["tr.e"]), "workspace_paths": ([], ["."]), "pool": ("p",), "pool_slots": (1, 2, 3),
    "inherit_shell_env": (True, False, "default", ["PATH", "HOME"]), "secrets": ([], ["HERE"]), "skip_exit_codes": ([], [10], [10, 11]),
    "success_exit_codes": ([0], [0, 3]), "nice": (0, 19), "open_files": (4, 64), "processes": (1, 500), "cpu_seconds": (1, 3600),
    "max_workers": (1, 3, 100000), "max_retries": (0, 1, 3), "default_max_retries": (0, 2),
    "features": ({}, {"metrics": False, "structured_logging": False}, {"notifications": True}),
    "command": ("true", ["true"], ["echo", "a b", "$HOME"], "echo $EXECUTIONER_JOB_ID | cat", "echo ${params.must} ${HERE}"),
    "tags": ([], ["nightly", "b"]), "outputs": ([], ["rows"], ["rows", "name"]),
    "security_policy": ("warn", "block"), "timeout": (0.5, "90s", "1d"),
}


class Maker:
    """Makes files from one seed."""

    def __init__(self, seed, used):
        """``used`` gets the keys that are used: (table, key)."""
        self.rnd = random.Random(seed)
        self.used = used

    def file(self):
        """A whole file."""
        rnd = self.rnd
        made = self.table(FILE, rnd.choice((0.1, 0.3, 0.6)), "jobs", "pools", "parameters", "defaults")
        made["env_variables"] = dict(made.get("env_variables", {}), HERE=".")
        made["pools"] = {"p": 3}
        made["parameters"] = {"must": {"required": True, "help": "x"}, "rows": {"type": "integer", "default": 3, "choices": [1, 3]},
                              "name": {"pattern": "[a-z]+", "default": "abc"}, "full": {"type": "boolean", "default": False}}
        self.used.update(("parameter", key) for one in made["parameters"].values() for key in one)
        self.used.update(("file", key) for key in ["jobs"] + list(made))
        share = rnd.choice((0.03, 0.1, 0.3))
        if rnd.random() < 0.4:
            made["defaults"] = self.table(DEFAULTS, share)
            self.used.add(("file", "defaults"))
        made["jobs"] = [self.job(position, share, "command" in made.get("defaults", {}))
                        for position in range(rnd.choice((1, 2, 5, 12)))]
        return made

    def job(self, position, share, may_lack_command):
        rnd = self.rnd
        made = self.table(JOB, share, "id", "dependencies", "join", "command")
        made["id"] = "j%d" % position
        if not may_lack_command or rnd.random() < 0.5:
            made["command"] = self.value("command", JOB.by_name["command"].kind)
            if made.get("for_each") and rnd.random() < 0.5 and made["for_each"] in (["a", "b"], {"range": 2}):
                made["command"] = "echo ${item}"
        others = rnd.sample(range(position), min(position, rnd.choice((0, 1, 1, 2, 4))))
        made["dependencies"] = ["j%d" % other if rnd.random() < 0.5 else self.table(DEPENDENCY, 1.0, "job", job="j%d" % other)
                                for other in others]
        if others and rnd.random() < 0.3:
            made["join"] = rnd.choice(("all", "any", rnd.randint(1, len(others))))
        self.used.update(("job", key) for key in made)
        return made

    def table(self, table, share, *without, **given):
        made = dict(given)
        for key in table:
            if key.name in without or (table.name, key.name) in LEFT_OUT:
                continue
            if key.required or self.rnd.random() < share:
                made[key.name] = self.value(key.name, key.kind, key)
        self.used.update((table.name, name) for name in made)
        return made

    def value(self, name, kind, key=None):
        rnd = self.rnd
        if name in CHOICES:
            found = rnd.choice(CHOICES[name])
            if name == "stdin" and isinstance(found, dict):
                self.used.add(("stdin", "text"))
            return found
        if isinstance(kind, Either):
            return self.value(name, rnd.choice(kind.kinds), key)
        if isinstance(kind, Object):
            return self.table(kind.table, 0.5)
        if isinstance(kind, Flag):
            return rnd.random() < 0.5
        if isinstance(kind, (Integer, Number)):
            return rnd.choice((kind.minimum, kind.maximum, min(kind.maximum, max(kind.minimum, 1))))
        if isinstance(kind, Duration):
            return rnd.choice((0.25, 1, "90s", "1h30m", "2d", 3650 * 86400) + (() if kind.positive else (0, "0s")))
        if isinstance(kind, DeadlineTime):
            return rnd.choice(("06:30", "23:59", "2h", 0.5))
        if isinstance(kind, SizeLimit):
            return rnd.choice((1, "512M", 1 << 50))
        if isinstance(kind, Size):
            return rnd.choice((0, "512M", "10 GiB", 1 << 50))
        if isinstance(kind, Umask):
            return rnd.choice(("000", "027", "0777"))
        if isinstance(kind, Choice):
            return rnd.choice(kind.words)
        if isinstance(kind, Signal):
            return rnd.choice(("TERM", "SIGINT", 15))
        if isinstance(kind, Checks):
            return [rnd.choice(_CHECKS_BEFORE if kind.before else _CHECKS_AFTER) for _ in range(rnd.randint(0, 3))]
        if isinstance(kind, Condition):
            return self.condition(2)
        if isinstance(kind, ForEach):
            return rnd.choice(_ITEMS)
        if isinstance(kind, Variables):
            return dict(rnd.sample(sorted({"A": "x", "B": "${PATH}:y", "C": 1, "D": True, "E": "${params.must}"}.items()),
                                   rnd.randint(0, 5)))
        if isinstance(kind, ListOf) and not isinstance(kind, (Command, Outputs)):
            return [self.value("", kind.item) for _ in range(rnd.randint(max(1, kind.minimum), 3))]
        if isinstance(kind, Text):
            example = key.example if key is not None else None
            return example if isinstance(example, str) else rnd.choice(_TEXT)
        raise AssertionError("%s: a new kind of value; say in CHOICES what is a good one (%s)" % (name, type(kind).__name__))

    def condition(self, depth):
        rnd = self.rnd
        form = rnd.choice(("all", "any", "not", "", "", "")) if depth else ""
        if form == "not":
            return {"not": self.condition(depth - 1)}
        if form:
            return {form: [self.condition(depth - 1) for _ in range(rnd.randint(1, 3))]}
        return rnd.choice(_CONDITIONS)

"""A sample configuration with every key, made from the key tables: what is not needed stands in comments."""
import json
from typing import Dict, List

from config.kinds import Key
from config.schema import FILE, JOB

__all__ = ["sample"]

_WIDTH = 100
#: Keys that the sample sets, and to what; all others are shown as comments with their defaults.
_FILE_VALUES: Dict[str, object] = {"application_name": "nightly", "parallel": True, "max_workers": 4,
                                   "env_variables": {"DATA": "/srv/data", "STAGING": "${DATA}/staging"},
                                   "pools": {"database": 2}}
_JOBS: List[Dict[str, object]] = [
    {"id": "extract", "command": "echo extract > extract.txt", "timeout": "30m", "max_retries": 2,
     "retry_delay": ["10s", "1m"]},
    {"id": "load", "command": ["cat", "extract.txt"], "dependencies": ["extract"],
     "pre_checks": [{"name": "check_file_exists", "params": {"path": "extract.txt"}}]},
    {"id": "clean-up", "command": "rm -f extract.txt", "dependencies": [{"job": "load", "when": "done"}],
     "allow_failure": True},
]


def sample() -> str:
    """The text of the sample; it validates as it is."""
    lines = ["// A configuration of Executioner. Comments and trailing commas are allowed.",
             "// What is commented out shows the default, or says it.", "{"]
    for key in FILE:
        if key.name == "jobs":
            continue
        lines += _help(key, "  ")
        if key.name in _FILE_VALUES:
            lines.append("  %s: %s," % (json.dumps(key.name), json.dumps(_FILE_VALUES[key.name])))
        else:
            lines.append("  // %s: %s," % (json.dumps(key.name), _default(key)))
    lines += ["  // " + FILE.by_name["jobs"].help, '  "jobs": [']
    for job in _JOBS:
        lines.append("    {")
        lines += ["      %s: %s," % (json.dumps(name), json.dumps(value)) for name, value in job.items()]
        if job is _JOBS[0]:
            lines.append("      // What else a job may say:")
            for key in JOB:
                if key.name not in job:
                    lines += _help(key, "      ")
                    lines.append("      // %s: %s," % (json.dumps(key.name), _default(key)))
        lines.append("    },")
    lines += ["  ],", "}"]
    return "\n".join(lines) + "\n"


def _default(key: Key) -> str:
    return json.dumps(key.default if key.default is not None else key.example)


def _help(key: Key, indent: str) -> List[str]:
    text = key.help
    if key.default_text:
        text += " (default: %s)" % key.default_text
    lines: List[str] = []
    line = indent + "//"
    for word in text.split():
        if len(line) + len(word) >= _WIDTH:
            lines.append(line)
            line = indent + "//"
        line += " " + word
    return lines + [line]

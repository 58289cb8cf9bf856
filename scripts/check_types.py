"""Checks the types twice, and measures how much of the code has one.

mypy 0.971 is the last that knows Python 3.6, the newest knows the newest; both run ``--strict`` by ``mypy.ini``. The
measure is the part of all expressions whose type is known and not ``Any``.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from typing import List, Optional

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Part of the expressions that must have a type, in percent.
LEAST_PERCENT = 95.0
#: mypy 0.971 is compiled for these; on 3.11 and newer it would be many times slower.
FOR_OLD = ["3.10", "3.9", "3.8", "3.7", "3.6"]


def environment(folder: str, python: str, packages: List[str]) -> str:
    """The interpreter of an environment with the packages."""
    command = [sys.executable, os.path.join(ROOT, "scripts", "dev_env.py"), folder, "--python", python]
    for package in packages:
        command += ["-p", package]
    return subprocess.check_output(command).decode("utf-8").strip()


def interpreter(names: List[str]) -> Optional[str]:
    """The first interpreter of these versions that is there."""
    command = [sys.executable, os.path.join(ROOT, "scripts", "interpreters.py")] + names
    done = subprocess.run(command, stdout=subprocess.PIPE)
    return done.stdout.decode("utf-8").strip() if done.returncode == 0 else None


def measured(report: str) -> float:
    """The total of mypy's report of expressions, in percent."""
    with open(os.path.join(report, "any-exprs.txt"), encoding="utf-8") as lines:
        total = [line.split() for line in lines if line.split()[:1] == ["Total"]]
    return float(total[-1][-1].rstrip("%"))


def check(name: str, python: str, arguments: List[str]) -> bool:
    """Run one mypy over everything; say how it went."""
    with tempfile.TemporaryDirectory() as report:
        mypy = os.path.join(os.path.dirname(python), "mypy")
        code = subprocess.call([mypy, "--any-exprs-report", report] + arguments, cwd=ROOT)
        percent = measured(report) if os.path.exists(os.path.join(report, "any-exprs.txt")) else 0.0
    enough = percent >= LEAST_PERCENT
    sys.stdout.write("types: %s: %s, %.2f %% of the expressions have a type (at least %g)\n"
                     % (name, "clean" if code == 0 else "errors", percent, LEAST_PERCENT))
    sys.stdout.flush()
    return code == 0 and enough


def main() -> int:
    """Check with both; exit 1 where one complains, or where the old one is required and cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--environments", default=ROOT, metavar="DIR", help="where .venv-types-* are made")
    parser.add_argument("--require-old", action="store_true", help="no interpreter for mypy 0.971 is a failure")
    options = parser.parse_args()
    good = True
    old = interpreter(FOR_OLD)
    if old is not None:
        python = environment(os.path.join(options.environments, ".venv-types-old"), old,
                             ["mypy==0.971", "typing_extensions", "types-dataclasses"])
        good = check("mypy 0.971 for Python 3.6", python, ["--python-version", "3.6", "--cache-dir",
                                                          os.path.join(ROOT, ".mypy_cache", "old")])
    else:
        sys.stdout.write("types: not run: mypy 0.971 needs a Python of %s\n" % " ".join(FOR_OLD))
        good = not options.require_old
    newest = interpreter(["newest"]) or sys.executable
    python = environment(os.path.join(options.environments, ".venv-types-new"), newest, ["mypy"])
    return 0 if check("newest mypy", python, []) and good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Makes the virtual environment that the tests or the gates run in, and prints the path of its interpreter.

    python3 scripts/dev_env.py .venv                                    what requirements-dev.txt names
    python3 scripts/dev_env.py DIR --python python3.6 -r FILE -p NAME   another interpreter, other packages

An environment that already holds what is asked for is left as it is. Where none can be made (Debian's python3 without
python3-venv, or no registry in reach), the interpreter itself will do if it has pytest; else one line says what to do.
"""
import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from typing import List, Optional, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: The last pip that 3.6 can have; the one that venv puts there is too old to find the right releases.
PIP_FOR_36 = "pip==21.3.1"
STAMP = "executioner-dev-env"


def run(command: List[str]) -> Optional[str]:
    """Run a command; the answer is None where it worked, else the end of what it said."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        return "%s: %s" % (command[0], error.strerror)
    if done.returncode == 0:
        return None
    return "\n".join(done.stdout.decode("utf-8", "replace").strip().splitlines()[-6:])


def version_of(python: str) -> Tuple[int, int]:
    """Version of an interpreter.

    :raises SystemExit: where it cannot be run
    """
    try:
        told = subprocess.check_output([python, "-c", "import sys; print('%d %d' % sys.version_info[:2])"])
        major, minor = told.decode("ascii").split()
        return int(major), int(minor)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise SystemExit("dev_env: %s cannot be run: %s" % (python, error))


def key_of(python: str, files: List[str], packages: List[str]) -> str:
    """A hash of what is asked for: another one means that the environment is made again."""
    digest = hashlib.sha256(repr((os.path.realpath(python), sorted(packages))).encode("utf-8"))
    for name in files + ["requirements.txt"]:
        with open(os.path.join(ROOT, name), "rb") as source:
            digest.update(source.read())
    return digest.hexdigest()


def make(folder: str, python: str, files: List[str], packages: List[str]) -> Optional[str]:
    """Make the environment; the answer is None where it worked, else what stood in the way."""
    if os.path.isdir(folder):
        shutil.rmtree(folder)
    inner = os.path.join(folder, "bin", "python")
    problem = run([python, "-m", "venv", folder])
    if problem is None and version_of(python) < (3, 7):
        problem = run([inner, "-m", "pip", "install", "-q", "-U", PIP_FOR_36])
    if problem is None and (files or packages):
        arguments = packages + [word for name in files for word in ("-r", os.path.join(ROOT, name))]
        problem = run([inner, "-m", "pip", "install", "-q", "--disable-pip-version-check"] + arguments)
    return problem


def main() -> int:
    """Make the environment that the arguments ask for and print its interpreter."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--python", default=sys.executable, help="interpreter to make it of (default: this one)")
    parser.add_argument("-r", "--requirements", action="append", default=[], metavar="FILE", help="in the checkout")
    parser.add_argument("-p", "--package", action="append", default=[], metavar="REQUIREMENT")
    options = parser.parse_args()
    python = shutil.which(options.python) or options.python
    files = options.requirements or ([] if options.package else ["requirements-dev.txt"])
    folder = os.path.abspath(options.folder)
    stamp = os.path.join(folder, STAMP)
    key = key_of(python, files, options.package)
    if os.path.isfile(stamp):
        with open(stamp, encoding="ascii") as kept:
            if kept.read() == key:
                print(os.path.join(folder, "bin", "python"))
                return 0
    problem = make(folder, python, files, options.package)
    if problem is None:
        with open(stamp, "w", encoding="ascii") as out:
            out.write(key)
        print(os.path.join(folder, "bin", "python"))
        return 0
    if run([python, "-c", "import pytest"]) is None and files == ["requirements-dev.txt"]:
        sys.stderr.write("dev_env: no environment could be made, so the tests run with the pytest of %s:\n%s\n"
                         % (python, problem))
        print(python)
        return 0
    sys.stderr.write("dev_env: %s could not be made, and %s has no pytest. Install python3-venv (Debian) or pytest, or "
                     "give another interpreter (make PYTHON=...). What was said:\n%s\n" % (folder, python, problem))
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""Finds the Pythons of this machine: those on ``PATH`` and those of pyenv.

    python3 scripts/interpreters.py              every one, a line each: version and path
    python3 scripts/interpreters.py newest       the path of the newest
    python3 scripts/interpreters.py 3.6          the path of that one; exit 1 where there is none
    python3 scripts/interpreters.py 3.10 3.6     the first of these that is there
"""
import os
import re
import subprocess
import sys
from typing import Dict, List, Optional, Tuple

Version = Tuple[int, int]

_NAME = re.compile(r"python3(?:\.\d+)?\Z")
_PROBE = "import sys; print('%d %d %s' % (sys.version_info[0], sys.version_info[1], sys.version_info[3]))"


def candidates() -> List[str]:
    """Files that may be an interpreter: pyenv's own first, then what ``PATH`` names."""
    found = []
    versions = os.path.join(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"), "versions")
    if os.path.isdir(versions):
        found = [os.path.join(versions, name, "bin", "python") for name in sorted(os.listdir(versions))]
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        # A shim of pyenv is no interpreter: what it starts hangs on the folder it is started from.
        if not os.path.isabs(folder) or os.path.basename(folder) == "shims" or not os.path.isdir(folder):
            continue
        found += [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if _NAME.match(name)]
    return [path for path in found if os.access(path, os.X_OK)]


def version_of(path: str) -> Optional[Version]:
    """Version of a released Python 3; None for anything else, and for what does not start."""
    try:
        told = subprocess.check_output([path, "-I", "-c", _PROBE], stderr=subprocess.DEVNULL).decode("ascii").split()
        version = int(told[0]), int(told[1])
        return version if version[0] == 3 and told[2] == "final" else None
    except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
        return None


def find() -> Dict[Version, str]:
    """Each version of this machine with the first interpreter that has it."""
    found: Dict[Version, str] = {}
    seen = set()
    for path in candidates():
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        version = version_of(path)
        if version is not None:
            found.setdefault(version, path)
    return found


def main(wanted: List[str]) -> int:
    """Print what the arguments ask for."""
    found = find()
    if not wanted:
        for version in sorted(found):
            print("%d.%d %s" % (version + (found[version],)))
        return 0
    for name in wanted:
        if name == "newest" and found:
            print(found[max(found)])
            return 0
        for version in found:
            if "%d.%d" % version == name:
                print(found[version])
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

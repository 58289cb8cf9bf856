"""The bootstrap parses on the oldest Python, costs next to nothing, and names what is missing."""
import ast
import glob
import os
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[2]
ON_THE_WAY = ("executioner/__init__.py", "executioner/__main__.py", "executioner/bootstrap.py")


def old_pythons() -> List[str]:
    """Interpreters of this machine that are too old to run us."""
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    found = sorted(glob.glob(os.path.join(root, "versions", "2.*", "bin", "python")))
    return found + [path for path in ("/usr/bin/python2", "/usr/bin/python2.7") if os.path.exists(path)]


@pytest.mark.parametrize("name", ON_THE_WAY)
def test_parses_on_any_python(name: str) -> None:
    source = (ROOT / name).read_bytes()
    source.decode("ascii")
    newer = (ast.JoinedStr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Nonlocal, ast.Starred)
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, newer), "line %d does not parse on 2.7" % node.lineno
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None and not node.args.kwonlyargs, "line %d does not parse on 2.7" % node.lineno
            assert all(argument.annotation is None for argument in node.args.args), "line %d" % node.lineno


@pytest.mark.parametrize("start", [["-m", "executioner"], ["executioner"]])
def test_an_old_python_gets_one_line(start: List[str]) -> None:
    old = old_pythons()
    if not old:
        pytest.skip("not run: no Python 2 on this machine")
    done = subprocess.run([old[0]] + start + ["--version"], cwd=str(ROOT), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"), timeout=60)
    assert done.returncode == 2
    assert done.stdout == b""
    told = done.stderr.decode()
    assert told.startswith("executioner: this is Python 2.") and "Python 3.6 or newer is needed" in told
    assert told.count("\n") == 1


def test_the_bootstrap_alone_imports_next_to_nothing() -> None:
    if sys.version_info < (3, 7):
        pytest.skip("not run: 3.6 without site has no dataclasses to look for")
    code = ("import sys; sys.path.insert(0, %r); before = set(sys.modules);"
            "import executioner.bootstrap as b; b.prepare(); print(sorted(set(sys.modules) - before))" % str(ROOT))
    done = subprocess.check_output([sys.executable, "-I", "-S", "-c", code], timeout=60)
    loaded = set(ast.literal_eval(done.decode()))
    allowed = {"executioner", "executioner.bootstrap"}
    # -S: without site, os and what it needs are not loaded before.
    allowed |= {"os", "posixpath", "genericpath", "stat", "_stat", "os.path", "abc", "_abc", "_collections_abc",
                "_weakrefset"}
    assert loaded <= allowed, loaded - allowed


@pytest.mark.skipif(sys.version_info >= (3, 7), reason="only Python 3.6 comes without dataclasses")
def test_missing_dataclasses_are_named() -> None:
    # -I -S leaves the standard library alone, which has none on 3.6.
    code = "import sys; sys.path.insert(0, %r); from executioner.bootstrap import main; sys.exit(main())" % str(ROOT)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60)
    assert done.returncode == 2
    told = done.stderr.decode()
    assert told.startswith("executioner: Python 3.6 needs the package dataclasses: "), told
    assert told.endswith(" -m pip install -r requirements.txt\n") and told.count("\n") == 1

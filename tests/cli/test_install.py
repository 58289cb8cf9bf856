"""Installed, editable, and as one file: the command runs from any folder, and nobody's names are taken.

Where the package registry cannot be reached, an install is "not run", and says so; it never passes by that.
"""
import importlib.util
import json
import marshal
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Dict, Iterator, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"executioner"}
BEFORE = ("api", "config", "db", "executioner_logging", "jobs", "monitoring")


def script(name: str) -> ModuleType:
    """A module of ``scripts/``."""
    spec = importlib.util.spec_from_file_location("scripts_" + name, str(ROOT / "scripts" / (name + ".py")))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # type: ignore[attr-defined]
    return module


build_pyz = script("build_pyz")
PYTHONS: Dict[str, str] = {"%d.%d" % version: path for version, path in script("interpreters").find().items()}


def environment() -> Dict[str, str]:
    """The caller's variables without those that steer Python."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def call(command: List[str], cwd: Path, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command; its output is one text."""
    return subprocess.run(command, cwd=str(cwd), env=dict(environment(), **variables), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=280)


def run_one_job(command: List[str], folder: Path) -> None:
    """The command runs a job from a folder of its own, in which every name of ours is taken."""
    folder.mkdir()
    for name in BEFORE:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('imported instead of ours: ' + __name__)\n")
    (folder / "one.json").write_text(json.dumps(
        {"application_name": "installed", "jobs": [{"id": "one", "command": "echo done > out.txt"}]}))
    done = call(command + ["--home", str(folder / "home"), "run", "one.json", "--json"], folder)
    assert done.returncode == 0, done.stdout.decode()
    assert (folder / "out.txt").read_text() == "done\n"
    assert json.loads(done.stdout.decode())["status"] == "SUCCESS"


def copy_of_the_product(folder: Path) -> Path:
    """What an install reads, apart from the checkout: building leaves files beside the sources."""
    names = build_pyz.product_files() + ["setup.py", "README.md", "requirements.txt"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(ROOT / name), str(folder / name))
    return folder


class Environment:
    """A virtual environment of the running interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = str(folder / "bin" / "python")
        done = call([sys.executable, "-m", "venv", str(folder)], folder.parent)
        if done.returncode != 0:
            pytest.skip("not run: no virtual environment can be made: %s" % done.stdout.decode().strip()[-200:])
        if sys.version_info < (3, 7):
            self.pip("install", "-U", "pip==21.3.1")

    def pip(self, *arguments: str) -> None:
        """Run pip; where it fails and the registry gives nothing at all, the test is not run."""
        command = [self.python, "-m", "pip", "--disable-pip-version-check", "-q"]
        done = call(command + list(arguments), self.folder)
        if done.returncode == 0:
            return
        probe = call(command + ["download", "--no-deps", "-d", str(self.folder / "probe"), "setuptools"], self.folder)
        if probe.returncode != 0:
            pytest.skip("not run: the package registry cannot be reached")
        pytest.fail("pip %s: %s" % (" ".join(arguments), done.stdout.decode()))

    def site_packages(self) -> Path:
        """Where pip puts packages."""
        return next((self.folder / "lib").glob("python*/site-packages"))


@pytest.mark.slow
def test_install(tmp_path: Path) -> None:
    made = Environment(tmp_path / "env")
    before = {path.name for path in made.site_packages().iterdir()}
    made.pip("install", str(copy_of_the_product(tmp_path / "source")))
    new = {path.name for path in made.site_packages().iterdir()} - before
    backports = {"dataclasses.py", "typing_extensions.py", "__pycache__"}
    names = {name for name in new if not name.endswith((".dist-info", ".egg-info"))} - backports
    assert names == OURS
    inside = made.site_packages() / "executioner"
    for name in build_pyz.product_files():
        there = inside / (name[len("executioner/"):] if name.startswith("executioner/") else "lib/" + name)
        assert there.read_bytes() == (ROOT / name).read_bytes(), name
    run_one_job([str(made.folder / "bin" / "executioner")], tmp_path / "work")
    run_one_job([made.python, "-m", "executioner"], tmp_path / "work2")


@pytest.mark.slow
def test_editable_install(tmp_path: Path) -> None:
    made = Environment(tmp_path / "env")
    source = copy_of_the_product(tmp_path / "source")
    made.pip("install", "-e", str(source))
    command = [str(made.folder / "bin" / "executioner")]
    run_one_job(command, tmp_path / "work")
    package = source / "executioner" / "__init__.py"
    package.write_text(package.read_text().replace('__version__ = "', '__version__ = "9.'))
    assert call(command + ["--version"], tmp_path).stdout.decode().startswith("executioner 9.")


@pytest.fixture(scope="module")
def backports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the two backports."""
    folder = tmp_path_factory.mktemp("backports")
    try:
        build_pyz.backports(str(folder))
    except SystemExit as error:
        pytest.skip("not run: the backports cannot be fetched: %s" % str(error).splitlines()[0])
    yield folder


def build(target: Path, *arguments: str, root: Path = ROOT) -> Path:
    """One file, built by the script as ``make pyz`` does."""
    done = call([sys.executable, str(root / "scripts" / "build_pyz.py"), "-o", str(target)] + list(arguments),
                target.parent)
    assert done.returncode == 0, done.stdout.decode()
    return target


def test_one_file_runs_here(tmp_path: Path) -> None:
    built = build(tmp_path / "executioner.pyz", "--without-backports")
    assert built.stat().st_size < 2 << 20
    run_one_job([sys.executable, str(built)], tmp_path / "work")
    run_one_job([sys.executable, os.path.join("..", "executioner.pyz")], tmp_path / "work2")


@pytest.mark.slow
def test_one_file_twice_is_the_same_bytes(tmp_path: Path) -> None:
    first = build(tmp_path / "first.pyz", "--without-backports")
    other = copy_of_the_product(tmp_path / "elsewhere")
    (other / "scripts").mkdir()
    shutil.copyfile(str(ROOT / "scripts" / "build_pyz.py"), str(other / "scripts" / "build_pyz.py"))
    os.utime(str(other / "setup.py"), (0, 0))
    second = build(tmp_path / "second.pyz", "--without-backports", root=other)
    assert first.read_bytes() == second.read_bytes()
    assert os.access(str(first), os.X_OK) and first.read_bytes().startswith(b"#!/usr/bin/env python3\n")


@pytest.mark.parametrize("cache", ["", "kept"])
def test_the_file_may_be_replaced_during_a_run(cache: str, tmp_path: Path) -> None:
    # The second job fails, so that the summary is written: by code that is loaded when the file is gone.
    built = build(tmp_path / "executioner.pyz", "--without-backports")
    (tmp_path / "two.json").write_text(json.dumps({"application_name": "replaced", "jobs": [
        {"id": "replace", "command": ["cp", "/dev/null", str(built)]},
        {"id": "fail", "command": "echo so it is >&2; exit 4", "dependencies": ["replace"]}]}))
    done = call([sys.executable, str(built), "--home", str(tmp_path / "home"), "run", "two.json"], tmp_path,
                XDG_CACHE_HOME=str(tmp_path / cache) if cache else "/dev/null")
    assert built.read_bytes() == b""
    said = done.stdout.decode()
    assert done.returncode == 1 and "1 of 2 jobs failed" in said and "| so it is" in said, said


@pytest.fixture(scope="module")
def for_every_python(backports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as it is released."""
    return build(tmp_path_factory.mktemp("release") / "executioner.pyz", "--backports", str(backports))


@pytest.mark.slow
@pytest.mark.parametrize("version", sorted(PYTHONS, key=lambda name: int(name.split(".")[1])))
def test_one_file_runs_on_every_python(version: str, for_every_python: Path, tmp_path: Path) -> None:
    # -S: nothing that was installed on this machine helps.
    run_one_job([PYTHONS[version], "-S", str(for_every_python)], tmp_path / "work")


@pytest.mark.slow
def test_newer_pythons_never_see_the_backports(for_every_python: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(str(for_every_python)) as archive:
        names = set(marshal.loads(archive.read("product")))
    assert {"backports/dataclasses.py", "backports/typing_extensions.py", "backports/LICENSE.dataclasses",
            "backports/LICENSE.typing_extensions"} <= names
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from executioner.bootstrap import prepare;"
            "assert prepare() is None; import dataclasses; print(dataclasses.__file__)")
    for version, python in PYTHONS.items():
        seen = call([python, "-S", "-c", code, str(for_every_python)], tmp_path).stdout.decode().strip()
        assert seen == str(for_every_python / "backports" / "dataclasses.py") if version == "3.6" else \
            seen.endswith("/lib/python%s/dataclasses.py" % version), (version, seen)

"""A user's own ``config/``, ``jobs/``, ``db/`` and ``api/`` are never imported instead of ours."""
import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAPS = ("api", "config", "db", "jobs", "monitoring", "executioner_logging")
#: Modules of the standard library that a user's working folder may well hold a namesake of.
NAMESAKES = ("json", "logging", "sqlite3", "dataclasses", "subprocess")


def plant(folder: Path, trap: Path, names: Tuple[str, ...] = TRAPS) -> Path:
    """Packages that note when they are imported, each with the modules that ours have."""
    for name in names:
        package = folder / name
        package.mkdir(parents=True)
        note = "open(%r, 'a').write(__name__ + '\\n')\n" % str(trap)
        for module in ("__init__", "models", "exceptions", "loader", "schema", "history", "startup"):
            (package / (module + ".py")).write_text(note)
    return folder


class Place:
    """A working folder of a user's with one configuration in it, and a trap for what must not be imported."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self.trap = folder / "imported.txt"
        self.home = folder / "home"
        (self.work / "one.json").write_text(json.dumps(
            {"application_name": "shadow", "jobs": [{"id": "one", "command": "echo done > out.txt"}]}))

    def run(self, command: List[str], cwd: Optional[Path] = None,
            **environment: str) -> "subprocess.CompletedProcess[bytes]":
        """Run the command with a clean environment; the caller checks what it said."""
        clean: Dict[str, str] = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        clean.update(environment)
        return subprocess.run(command + ["--home", str(self.home), "run", str(self.work / "one.json")],
                              cwd=str(cwd or self.work), env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)

    def check(self, done: "subprocess.CompletedProcess[bytes]") -> None:
        """The run was ours and nobody else's."""
        assert done.returncode == 0, done.stdout.decode()
        assert (self.work / "out.txt").read_text() == "done\n"
        assert not self.trap.exists(), "imported instead of ours: " + self.trap.read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_from_the_checkout_with_traps_on_pythonpath(place: Place, tmp_path: Path) -> None:
    traps = plant(tmp_path / "traps", place.trap)
    place.check(place.run([sys.executable, "-m", "executioner"], cwd=ROOT, PYTHONPATH=str(traps)))


def test_by_pythonpath_from_a_folder_of_traps(place: Place) -> None:
    plant(place.work, place.trap)
    place.check(place.run([sys.executable, "-m", "executioner"], PYTHONPATH=str(ROOT)))


def test_traps_before_us_on_pythonpath(place: Place, tmp_path: Path) -> None:
    traps = plant(tmp_path / "traps", place.trap)
    place.check(place.run([sys.executable, "-m", "executioner"], PYTHONPATH=os.pathsep.join((str(traps), str(ROOT)))))


def test_a_checkout_started_by_its_folder(place: Place) -> None:
    plant(place.work, place.trap)
    place.check(place.run([sys.executable, str(ROOT / "executioner")]))
    relative = os.path.relpath(str(ROOT / "executioner"), str(place.work))
    (place.work / "out.txt").unlink()
    place.check(place.run([sys.executable, relative]))


def test_namesakes_of_the_standard_library_in_the_working_folder(place: Place) -> None:
    # json and sqlite3 are loaded late, long after ``-m`` has put the working folder first.
    plant(place.work, place.trap, NAMESAKES)
    place.check(place.run([sys.executable, "-m", "executioner"], PYTHONPATH=str(ROOT)))


def installed_copy(folder: Path) -> Path:
    """The layout of an install: the package, and the others below its ``lib``."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    packages = [ast.literal_eval(node.value) for node in tree.body
                if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "PACKAGES"][0]
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(str(ROOT / "executioner"), str(folder / "executioner"), ignore=ignore)
    for name in packages:
        if name != "executioner":
            shutil.copytree(str(ROOT / name), str(folder / "executioner" / "lib" / name), ignore=ignore)
    return folder


def test_an_install_with_traps_everywhere(place: Place, tmp_path: Path) -> None:
    site = installed_copy(tmp_path / "site")
    plant(place.work, place.trap)
    traps = plant(tmp_path / "traps", place.trap)
    # What the command that pip makes does: our entry, from a folder that is no package of ours.
    script = tmp_path / "executioner-command"
    script.write_text("import sys\nfrom executioner.bootstrap import main\nsys.exit(main())\n")
    path = os.pathsep.join((str(traps), str(place.work), str(site)))
    place.check(place.run([sys.executable, str(script)], PYTHONPATH=path))


def test_a_name_already_taken_is_told_in_one_line(place: Place, tmp_path: Path) -> None:
    traps = plant(tmp_path / "traps", place.trap)
    (traps / "sitecustomize.py").write_text("import config\n")
    done = place.run([sys.executable, "-m", "executioner"], PYTHONPATH=os.pathsep.join((str(traps), str(ROOT))))
    assert done.returncode == 2
    said = done.stdout.decode()
    assert said == ("executioner: the package config was already imported from %s, which is not ours (%s): "
                    "run without what imports it\n" % (traps / "config" / "__init__.py", ROOT / "config")), said
    assert not (place.work / "out.txt").exists()


def test_a_broken_install_is_told_in_one_line(place: Place, tmp_path: Path) -> None:
    site = installed_copy(tmp_path / "site")
    shutil.rmtree(str(site / "executioner" / "lib" / "db"))
    done = place.run([sys.executable, "-m", "executioner"], PYTHONPATH=str(site))
    assert done.returncode == 2
    assert done.stdout.decode() == ("executioner: the package db is missing in %s: install or unpack all of "
                                    "Executioner again\n" % (site / "executioner" / "lib"))


def test_a_working_folder_that_is_gone(place: Place, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = "rmdir '%s' && exec '%s' -m executioner --version" % (gone, sys.executable)
    done = subprocess.run(["/bin/sh", "-c", command], cwd=str(gone), env=dict(os.environ, PYTHONPATH=str(ROOT)),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith(b"executioner "), done.stdout.decode()

"""What is installed is what is there: the lists made by hand against the tree, and the two lists of requirements."""
import ast
import os
import re
from pathlib import Path
from typing import Any, Dict, List

from executioner import bootstrap

ROOT = Path(__file__).resolve().parents[2]
#: Folders of the checkout that are no part of the product.
APART = {"tests", "docs", "examples", "benchmarks", "scripts", "build", "dist"}


def setup_values() -> Dict[str, Any]:
    """The constants of ``setup.py`` and the arguments of ``setup()`` that are literals."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    values = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            values[node.target.id] = ast.literal_eval(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup":
            for keyword in node.keywords:
                try:
                    values[keyword.arg] = ast.literal_eval(keyword.value)
                except ValueError:
                    continue
    return values


SETUP = setup_values()


def packages_of_the_tree() -> Dict[str, List[str]]:
    """Top-level packages of the checkout with their sub-packages."""
    found: Dict[str, List[str]] = {}
    for folder in sorted(ROOT.iterdir()):
        if folder.name.startswith(".") or folder.name in APART or not (folder / "__init__.py").is_file():
            continue
        found[folder.name] = sorted(str(path.parent.relative_to(folder)).replace(os.sep, ".")
                                    for path in folder.glob("*/**/__init__.py"))
    return found


def test_every_package_is_listed() -> None:
    assert {name: sorted(inner) for name, inner in SETUP["PACKAGES"].items()} == packages_of_the_tree()


def test_the_bootstrap_watches_over_every_name() -> None:
    assert sorted(bootstrap.NAMES) == sorted(set(SETUP["PACKAGES"]) - {"executioner"})


def test_every_other_file_is_listed() -> None:
    for folder in SETUP["PACKAGES"]:
        there = sorted(str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob("*")
                       if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
                       and not str(path.relative_to(ROOT / folder)).startswith("."))
        assert sorted(SETUP["DATA"].get(folder, [])) == there, folder


def test_requirements_are_two_and_the_same_everywhere() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["typing_extensions>=3.7.4; python_version < '3.8'", "dataclasses>=0.6; python_version < '3.7'"]
    assert SETUP["install_requires"] == lines
    assert SETUP["python_requires"] == ">=3.6"
    assert SETUP["entry_points"] == {"console_scripts": ["executioner = executioner.bootstrap:run"]}
    assert not (ROOT / "pyproject.toml").exists()


def test_the_changelog_knows_the_version() -> None:
    version = re.search(r'^__version__ = "([^"]+)"$', (ROOT / "executioner" / "__init__.py").read_text(), re.MULTILINE)
    assert version is not None
    assert "## %s" % version.group(1) in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

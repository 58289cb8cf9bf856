"""How Executioner is installed: the command, its package, and the other packages under ``executioner/lib``.

``api``, ``config``, ``db`` and ``jobs`` would be in everybody's way as top-level names of site-packages, so each folder
is mapped below the package. ``executioner/bootstrap.py`` puts ``executioner/lib`` first on the path.
"""
import os
import re
from typing import Dict, List

from setuptools import setup

HERE = os.path.dirname(os.path.abspath(__file__))

#: Folder of the checkout: its sub-packages. Listed by hand; a test compares this with the tree.
PACKAGES: Dict[str, List[str]] = {
    "api": [],
    "config": [],
    "db": ["migrations"],
    "executioner": ["commands", "database"],
    "executioner_logging": [],
    "jobs": ["checks", "executors", "keeper"],
    "monitoring": [],
}
#: Files that are no Python, by folder of the checkout.
DATA: Dict[str, List[str]] = {
    "api": [
        "static/app.css", "static/app.js", "static/client.js", "static/critical.js", "static/docs.js",
        "static/dom.js", "static/graph.js", "static/icon.svg", "static/index.html", "static/job_panel.js",
        "static/layout.js", "static/log_view.js", "static/minimap.js", "static/page_application.js",
        "static/page_applications.js", "static/page_compare.js", "static/page_run.js", "static/page_runs.js",
        "static/report.js", "static/status.js", "static/theme.js", "static/timeline.js", "static/virtual.js",
        "static/widgets.js"],
    "db": ["migrations/oracle/0001_history.sql", "migrations/oracle/0002_upkeep.sql",
           "migrations/oracle/0003_central.sql", "migrations/oracle/0004_waits.sql"],
}


def installed_name(folder: str) -> str:
    """The name under which a folder of the checkout is installed."""
    return folder if folder == "executioner" else "executioner.lib." + folder


def version() -> str:
    """The version, read and not imported."""
    with open(os.path.join(HERE, "executioner", "__init__.py"), encoding="utf-8") as source:
        found = re.search(r'^__version__ = "([^"]+)"', source.read(), re.MULTILINE)
    if found is None:
        raise SystemExit("executioner/__init__.py holds no __version__")
    return found.group(1)


def readme() -> str:
    """The long description."""
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as source:
        return source.read()


def packages() -> List[str]:
    """Every package by the name that it is installed under."""
    names = []
    for folder, inner in sorted(PACKAGES.items()):
        names += [installed_name(folder)] + [installed_name(folder) + "." + name for name in inner]
    return names


setup(
    name="executioner",
    version=version(),
    description="A durable runner of job graphs: JSON in, processes out, every result kept",
    long_description=readme(),
    long_description_content_type="text/markdown",
    packages=packages(),
    package_dir={installed_name(folder): folder for folder in PACKAGES},
    package_data={installed_name(folder): names for folder, names in DATA.items()},
    include_package_data=False,
    zip_safe=False,
    python_requires=">=3.6",
    install_requires=[
        "typing_extensions>=3.7.4; python_version < '3.8'",
        "dataclasses>=0.6; python_version < '3.7'",
    ],
    extras_require={
        # For a central history; a run never needs it. psycopg2 built from source will do as well.
        "postgresql": ["psycopg2-binary>=2.8.4"],
        "oracle": ["oracledb>=1.0"],
    },
    entry_points={"console_scripts": ["executioner = executioner.bootstrap:run"]},
    classifiers=[
        "Environment :: Console",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.6",
        "Topic :: System :: Systems Administration",
    ],
)

"""docs/configuration.md is what the key tables say."""
import re
import subprocess
import sys
from pathlib import Path

from config.schema import CHECK, DEFAULTS, TABLES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"
SCRIPT = str(ROOT / "scripts" / "configuration_page.py")


def test_the_page_is_as_it_would_be_written():
    assert subprocess.call([sys.executable, SCRIPT, "--check"]) == 0, "run python3 scripts/configuration_page.py"


def test_every_key_has_a_row_and_every_link_leads_somewhere():
    text = PAGE.read_text(encoding="utf-8")
    keys = re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)
    expected = [key.name for table in TABLES if table is not DEFAULTS for key in table]
    assert sorted(keys) == sorted(expected + [key.name for key in CHECK if CHECK not in TABLES])
    anchors = {re.sub(r"[^a-z0-9_-]", "", line[3:].lower().replace(" ", "-")) for line in text.splitlines()
               if line.startswith("## ")}
    links = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert links and links <= anchors


def test_a_page_that_differs_is_noticed(tmp_path):
    (tmp_path / "docs").mkdir()
    code = "import sys; sys.path.insert(0, %r); import configuration_page as page; page.PAGE = %r; sys.exit(page.main(%r))"
    page = str(tmp_path / "docs" / "configuration.md")

    def run(*arguments):
        return subprocess.call([sys.executable, "-c", code % (str(ROOT / "scripts"), page, list(arguments))])

    assert run("--check") == 1
    assert run() == 0 and run("--check") == 0
    with open(page, "a") as out:
        out.write("more\n")
    assert run("--check") == 1

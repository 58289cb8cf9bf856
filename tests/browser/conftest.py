"""A browser, a server, and a page with a token; "not run" where Playwright or a Chromium is missing."""
import os
import shutil
import sys
from typing import Any, Iterator

import pytest

from api_case import ROOT, ApiCase
from browser_case import PATIENCE_MS, Tab

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="not run: Playwright is missing")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("not run: no Chromium")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=2 * PATIENCE_MS)
        yield opened
        opened.close()


@pytest.fixture
def site(tmp_path: "os.PathLike[str]") -> Iterator[ApiCase]:
    """A server that starts real runs."""
    folder = os.path.realpath(str(tmp_path))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EXECUTIONER_")}
    environ["PYTHONPATH"] = ROOT
    case = ApiCase(folder, environ=environ, command=[sys.executable, os.path.join(ROOT, "executioner"), "--home",
                                                     os.path.join(folder, "home")])
    case.folder = folder  # type: ignore[attr-defined]
    yield case
    case.close()


@pytest.fixture
def nothing(tmp_path: "os.PathLike[str]") -> Iterator[ApiCase]:
    """A server of a home where nothing has run."""
    folder = os.path.join(os.path.realpath(str(tmp_path)), "empty")
    os.mkdir(folder)
    case = ApiCase(folder)
    yield case
    case.close()


@pytest.fixture
def tab(browser: Any, site: ApiCase) -> Iterator[Tab]:
    """A tab whose page must complain about nothing and ask nobody else."""
    opened = Tab(browser, site)
    yield opened
    opened.context.close()
    assert not opened.complaints
    assert not opened.foreign

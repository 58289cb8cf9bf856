"""Makes a picture of each page of the dashboard, light and dark, wide and narrow: python3 tests/browser/screenshots.py DIR

Needs Playwright (pip install playwright) and a Chromium (apt-get install chromium); makes its own home and server.
"""
import argparse
import os
import sys
import tempfile
import threading
import time
from typing import Any, List, Optional, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

from demo_home import fill  # noqa: E402
from demo_pages import STATES, open_state, write_reports  # noqa: E402

from api.app import make_server  # noqa: E402
from api.tokens import TokenStore  # noqa: E402
from api.vitals import Vitals  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


def serve(home: str) -> Tuple[Any, str]:
    """A server of a home, and a token that may operate."""
    store = TokenStore(os.path.join(home, "tokens.json"))
    secret = store.create("alice", "operate", time.time())
    history = os.path.join(home, "history.db")
    server = make_server("127.0.0.1", 0, history, os.path.join(home, "locks"), store, ["false"], {}, "1", Vitals(home, history).checks,
                         lambda level, event, message, error: None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, secret


def main(argv: Optional[List[str]] = None) -> int:
    """Make them all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="where the pictures go")
    parser.add_argument("--only", default="", help="only states whose name holds one of these, with commas between")
    parser.add_argument("--sizes", default="wide,narrow")
    parser.add_argument("--themes", default="light,dark")
    parser.add_argument("--full", action="store_true", help="the whole page, however long")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args(argv)
    from playwright.sync_api import sync_playwright

    os.makedirs(options.folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as files, tempfile.TemporaryDirectory() as full, tempfile.TemporaryDirectory() as empty, \
            sync_playwright() as playwright:
        found = fill(full, time.time())
        write_reports(full, files, found, time.time())
        homes = {"full": serve(full), "empty": serve(empty)}
        browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
        for size in options.sizes.split(","):
            width, height = SIZES[size]
            for theme in options.themes.split(","):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                for state in STATES:
                    if options.only and not any(one in state.name for one in options.only.split(",")):
                        continue
                    page = context.new_page()
                    page.on("console", lambda message: None if "responded with a status" in message.text else print("console:", state.name, message.text))  # noqa: B023
                    page.on("pageerror", lambda error: print("error:", state.name, error))  # noqa: B023
                    server, secret = homes[state.home]
                    began = time.monotonic()
                    open_state(page, state, "http://127.0.0.1:%d/" % server.port, secret, found, files)
                    page.screenshot(path=os.path.join(options.folder, "%s-%s-%s.png" % (state.name, size, theme)), full_page=options.full)
                    print("%-24s %-6s %-5s %.1f s" % (state.name, size, theme, time.monotonic() - began))
                    page.close()
                context.close()
        browser.close()
        for server, _ in homes.values():
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

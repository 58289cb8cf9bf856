"""Makes a picture of each page of the dashboard, light and dark, wide and narrow: python3 tests/browser/screenshots.py DIR

Needs Playwright (pip install playwright) and a Chromium (apt-get install chromium); makes its own home and server.
"""
import argparse
import os
import sys
import tempfile
import threading
import time
from typing import List, Optional

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

from demo_home import fill, pages  # noqa: E402

from api.app import make_server  # noqa: E402
from api.tokens import TokenStore  # noqa: E402
from api.vitals import Vitals  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}


def main(argv: Optional[List[str]] = None) -> int:
    """Make them all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="where the pictures go")
    parser.add_argument("--only", default="", help="only pages whose name holds this")
    parser.add_argument("--sizes", default="wide,narrow")
    parser.add_argument("--themes", default="light,dark")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args(argv)
    from playwright.sync_api import sync_playwright

    os.makedirs(options.folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        found = fill(home, time.time())
        store = TokenStore(os.path.join(home, "tokens.json"))
        secret = store.create("alice", "operate", time.time())
        history = os.path.join(home, "history.db")
        server = make_server("127.0.0.1", 0, history, os.path.join(home, "locks"), store, ["false"], {}, "1", Vitals(home, history).checks,
                             lambda level, event, message, error: None)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=options.chromium, args=FLAGS)
        for size in options.sizes.split(","):
            width, height = SIZES[size]
            for theme in options.themes.split(","):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                page = context.new_page()
                page.on("console", lambda message: print("console:", message.text))
                page.on("pageerror", lambda error: print("error:", error))
                page.goto("http://127.0.0.1:%d/" % server.port)
                if not options.only or options.only in "login":
                    page.wait_for_selector(".login")
                    page.screenshot(path=os.path.join(options.folder, "login-%s-%s.png" % (size, theme)))
                page.evaluate("token => sessionStorage.setItem('executioner-token', token)", secret)
                for name, address, tab in pages(found):
                    if options.only not in name:
                        continue
                    page.goto("about:blank")
                    page.goto("http://127.0.0.1:%d/%s" % (server.port, address))
                    page.evaluate("token => sessionStorage.setItem('executioner-token', token)", secret)
                    page.reload()
                    page.wait_for_selector("h1")
                    if "run_" in name:
                        page.wait_for_selector(".tab")
                    if tab:
                        page.click("#tab-" + tab)
                    page.wait_for_timeout(700)
                    page.screenshot(path=os.path.join(options.folder, "%s-%s-%s.png" % (name, size, theme)))
                context.close()
        browser.close()
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

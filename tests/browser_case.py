"""A page of the dashboard in a browser, for the tests that click."""
from typing import Any, List

from api_case import ApiCase

#: Longer than anything here takes on a machine with other things to do.
PATIENCE_MS = 60000


class Tab:
    """A page, what it complained about, and whom it asked."""

    def __init__(self, browser: Any, site: ApiCase, **options: Any) -> None:
        self.site = site
        self.complaints: List[str] = []
        self.foreign: List[str] = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", lambda message: self.complaints.append(message.text)
                     if message.type in ("error", "warning") and "the server responded with a status" not in message.text
                     else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: None if request.url.startswith(self.origin) else
                     self.foreign.append(request.url))

    @property
    def origin(self) -> str:
        """Where the dashboard is."""
        return "http://127.0.0.1:%d/" % self.site.port

    def enter(self, address: str = "#/", token: str = "") -> Any:
        """Open a page of the dashboard with a token."""
        self.page.goto(self.origin + "static/icon.svg")
        self.page.evaluate("token => sessionStorage.setItem('executioner-token', token)", token or self.site.operator)
        self.page.goto(self.origin + address)
        self.page.wait_for_selector("h1")
        return self.page

    def expect(self, selector: str) -> Any:
        """What is expected of elements sooner or later, looked for as the policy of the page allows: without ``eval``."""
        from playwright.sync_api import expect
        expect.set_options(timeout=PATIENCE_MS)
        return expect(self.page.locator(selector))

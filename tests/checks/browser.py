"""Pages in a headless Chromium, the system's own: what they ask for, what they complain of, who cannot use them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")
BAD = ("serious", "critical")  # impacts of axe's findings that no page of ours may have
INSIDE = ("data:", "blob:")


def chromium() -> str:
    """The path of the system's Chromium. Raises RuntimeError where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise RuntimeError(
            f"The tests of pages need a Chromium: expected one of {', '.join(NAMES)} on the path, found none. "
            "On Debian or Ubuntu: apt-get install chromium."
        )
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """A headless browser that fetches nothing for itself."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield browser
        browser.close()


class Watched:
    """A page and all that it did: `requests`, `complaints` of the console and of scripts."""

    def __init__(self, browser: Browser, width: int = 1280, *, dark: bool = False) -> None:
        scheme = "dark" if dark else "light"
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, file: Path) -> Page:
        """The page, loaded from a file."""
        self.page.goto(file.as_uri())
        return self.page

    @property
    def outside(self) -> list[str]:
        """What was asked of a network or of another file."""
        return [url for url in self.requests if url != self.page.url and not url.startswith(INSIDE)]

    @property
    def width(self) -> int:
        """How wide the page lies, in pixels: more than the window where it would have to be moved sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))

    def close(self) -> None:
        """Close the page."""
        self.page.close()


def findings(page: Page, *rules: str, within: str = "html") -> list[str]:
    """What axe-core finds serious or critical on a page: rule, number of elements, the first of them.

    rules: the only ones that are tried; by default all. within: a selector of the parts that are looked at.
    """
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    violations = Axe().run(page, context=within, options=options).response["violations"]
    return [
        f"{one['id']} ({len(one['nodes'])}): {one['nodes'][0]['html'][:200]}"
        for one in violations
        if one["impact"] in BAD
    ]

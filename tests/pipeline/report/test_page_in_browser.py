"""The page in a browser: it asks for nothing, complains of nothing, and its script does what people do to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pipeline.report import page
from pipeline.report.contents import contents_of
from tests.builders import random_run
from tests.checks.browser import Watched, browsing


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    contents = contents_of(random_run.whole(), random_run.strips())
    path.write_text(page.render(contents, domain_summary="A generator of 64 px."), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def watched(browser: Browser, file: Path) -> Watched:
    found = Watched(browser)
    found.open(file)
    return found


def test_it_asks_for_nothing_and_complains_of_nothing(watched: Watched) -> None:
    assert watched.page.title().startswith("Latentbench: synthface")
    assert watched.outside == [] and watched.complaints == []

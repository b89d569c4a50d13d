"""The page of all nights in a browser: it asks for nothing, complains of nothing, and its chart is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from pipeline.nights.conclusion import conclude
from pipeline.nights.notes import Note
from tests.builders import random_run
from tests.builders.published_nights import publish, values_of
from tests.checks.browser import Watched, findings

ATTACK = '<img src=x onerror="hacked=1">'


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three nights, the second of which became worse."""
    outputs = tmp_path_factory.mktemp("outputs")
    for day, shift in enumerate((0.0, 0.05, 0.05)):
        night = publish(outputs, day, {"l2l": values_of(1) + shift, ATTACK: values_of(2)})
        note = Note(night.date, night.folder.name)
        conclude(random_run.settings(outputs), f"{night.date}-synthface-smoke-00000000", note)
    return outputs / "nightly" / "synthface-smoke.html"


def test_the_page_of_all_nights_works_by_itself(browser: Browser, file: Path) -> None:
    watched = Watched(browser)
    page = watched.open(file)
    expect(page.locator('[data-chart="nights"] svg.marks')).to_be_visible()
    page.locator("select").select_option(index=1)
    page.locator("details.numbers summary").click()
    expect(page.locator("details.numbers tbody tr").first).to_be_visible()
    expect(page.locator("#nights tbody tr")).to_have_count(3)
    expect(page.locator("#nights tr.alarm")).to_have_count(1)
    assert page.evaluate("typeof hacked") == "undefined"
    assert watched.outside == [] and watched.complaints == []
    assert findings(page) == []
    narrow = Watched(browser, 400, dark=True)
    narrow.open(file)
    assert narrow.width <= 400 and findings(narrow.page) == []

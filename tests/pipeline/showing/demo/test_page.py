"""The page as people use it: sliders move pictures, by mouse and keyboard, wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.showing.demo.editing import Editing
from pipeline.showing.trained_run import TrainedRun
from tests.checks.browser import Watched, findings
from tests.checks.demo_server import serving

START = "#random,3"
PATIENCE = 20_000  # milliseconds, on a machine that is busy


@pytest.fixture
def address(published: Path) -> Iterator[str]:
    with serving(Editing(TrainedRun(published))) as address:
        yield address


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[Watched]:
    watched = opened(browser, address + START)
    yield watched
    assert watched.complaints == []
    watched.close()


def opened(browser: Browser, address: str, width: int = 1280, *, dark: bool = False) -> Watched:
    watched = Watched(browser, width, dark=dark)
    watched.page.goto(address)
    settled(watched.page)
    return watched


def settled(page: Page) -> None:
    """The newest edit is shown."""
    page.locator("#edited[src]").wait_for(timeout=PATIENCE)
    page.locator("#after[aria-busy=false]").wait_for(timeout=PATIENCE)


def picture(page: Page, which: str = "edited") -> str:
    return str(page.locator(f"#{which}").get_attribute("src"))


def test_a_slider_moves_the_picture_and_reset_brings_it_back(watched: Watched) -> None:
    page = watched.page
    before = picture(page)
    assert before == picture(page, "unedited"), "no slider is moved yet"
    page.get_by_label("age", exact=True).fill("40")
    settled(page)
    assert picture(page) != before == picture(page, "unedited")
    assert page.locator("#strength-age").inner_text().startswith("+")
    assert "→" in page.locator("#value-age").inner_text()
    assert "age +" in str(page.locator("#edited").get_attribute("alt"))
    page.get_by_role("button", name="Reset edits").click()
    settled(page)
    assert picture(page) == before and page.locator("#strength-age").inner_text() == "0.00"


def test_all_of_it_works_by_keyboard(watched: Watched) -> None:
    page = watched.page
    before, reached = picture(page), []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["method", "seed", "random", "reset", "slider-age", "slider-glasses"]
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    settled(page)
    assert page.get_by_label("glasses", exact=True).input_value() == "-30" and picture(page) != before
    assert str(page.locator("#slider-glasses").get_attribute("aria-valuetext")).startswith("strength −")
    page.keyboard.press("Home")
    assert page.get_by_label("glasses", exact=True).input_value() == "-50"


def test_several_attributes_at_once_and_what_that_means(watched: Watched) -> None:
    page = watched.page
    assert "Move several sliders" in page.locator("#sum").inner_text()
    pictures = {picture(page)}
    for attribute in ("age", "glasses"):
        page.get_by_label(attribute, exact=True).fill("45")
        settled(page)
        pictures.add(picture(page))
    assert len(pictures) == 3
    assert "Edits by random add up" in page.locator("#sum").inner_text()
    page.get_by_label("Method").select_option("noop")
    settled(page)
    assert picture(page) == picture(page, "unedited")
    assert "do not move the code" in page.locator("#sum").inner_text()


def test_a_random_face_has_a_seed_that_brings_it_again(watched: Watched) -> None:
    page = watched.page
    first = picture(page, "unedited")
    page.get_by_role("button", name="Random face").click()
    settled(page)
    seed = page.get_by_label("Face (seed)").input_value()
    assert seed != "3" and picture(page, "unedited") != first
    page.get_by_label("Face (seed)").fill("3")
    settled(page)
    assert picture(page, "unedited") == first


def test_the_address_names_what_is_shown(watched: Watched, browser: Browser) -> None:
    page = watched.page
    page.get_by_label("age", exact=True).fill("-20")
    settled(page)
    assert page.url.endswith("#random,3,age:-20")
    again = opened(browser, page.url)
    assert picture(again.page) == picture(page)
    assert again.page.get_by_label("age", exact=True).input_value() == "-20"
    again.close()


def test_a_wrong_seed_and_an_error_are_said(watched: Watched) -> None:
    page, trouble = watched.page, watched.page.get_by_role("alert")
    page.get_by_label("Face (seed)").fill("-1")
    expect(trouble).to_contain_text("expected a whole number", timeout=PATIENCE)
    page.get_by_label("Face (seed)").fill("4")
    expect(trouble).to_have_text("", timeout=PATIENCE)
    refusal = {"error": "Stage train random is gone."}
    page.route("**/edit", lambda route: route.fulfill(status=400, json=refusal))
    page.get_by_label("Face (seed)").fill("5")
    expect(trouble).to_have_text(refusal["error"], timeout=PATIENCE)
    page.unroute_all()
    page.route("**/edit", lambda route: route.abort())
    page.get_by_label("Face (seed)").fill("6")
    expect(trouble).to_contain_text("Is latentbench demo still running?", timeout=PATIENCE)
    assert len(watched.complaints) == 2  # the browser's own, of the two answers
    watched.complaints.clear()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (400, False), (400, True)])
def test_it_fits_the_window_and_everybody_can_use_it(browser: Browser, address: str, width: int, dark: bool) -> None:
    watched = opened(browser, f"{address}{START},age:20", width, dark=dark)
    assert watched.width == width
    assert findings(watched.page) == []
    assert watched.complaints == []
    watched.close()


def test_nothing_is_asked_of_another_site(watched: Watched, address: str) -> None:
    asked = {url.partition("#")[0] for url in watched.requests if not url.startswith("data:")}
    assert asked == {address + name for name in ("", "demo.css", "demo.js", "facts", "edit")}

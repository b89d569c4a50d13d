"""The page in a browser: it asks for nothing, complains of nothing, and its script does what people do to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline.report import page as pages
from pipeline.report.contents import contents_of
from tests.builders import random_edits, random_run
from tests.checks.browser import Watched, findings

ATTACK = '<img src=x onerror="hacked=1">\'"</script><b>'
METHODS = (*random_edits.METHODS[:2], ATTACK, "interfacegan_conditional", "rfm", *random_edits.METHODS[2:])
WIDTHS = (1280, 800, 400)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of seven methods, one of which has a hostile name."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    tables = random_run.whole(methods=METHODS, samples=20)
    contents = contents_of(tables, random_run.strips(METHODS))
    path.write_text(pages.render(contents, domain_summary="A generator of 64 px."), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def watched(browser: Browser, file: Path) -> Watched:
    found = Watched(browser)
    found.open(file)
    return found


@pytest.fixture
def page(watched: Watched) -> Page:
    """The page as it is after loading."""
    watched.page.reload()
    expect(watched.page.locator(".cards figure")).to_have_count(len(METHODS) + 1)
    return watched.page


def test_it_asks_for_nothing_and_complains_of_nothing(watched: Watched, page: Page) -> None:
    assert page.title().startswith("Latentbench: synthface")
    page.locator("#viewer .all-steps summary").click()
    page.locator("#all summary").click()
    assert watched.outside == [] and watched.complaints == []


def test_names_from_outside_are_text_everywhere(page: Page) -> None:
    page.locator("#viewer .all-steps summary").click()
    page.locator("#all summary").click()
    page.locator("#all input").fill("onerror")
    expect(page.locator("#all tbody tr").first).to_contain_text(ATTACK)
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("main img[src='x']").count() == 0
    for part in ("#verdict tbody th", ".cards b", ".rows span", "#table-identity-mtcnn-onet256 th"):
        assert page.locator(part, has_text=ATTACK).count() == 1, part


def pixels(page: Page, method: str) -> list[int]:
    script = "(it) => [...it.getContext('2d').getImageData(0, 0, it.width, it.height).data]"
    return page.locator(".cards figure", has_text=method).first.locator("canvas").evaluate(script)


def test_the_slider_moves_every_picture_and_its_scores(page: Page) -> None:
    slider, score = page.locator("#step"), page.locator(".cards figure", has_text="l2l").locator(".scores-of")
    assert slider.input_value() == "3", "three quarters of the way"
    before, text = pixels(page, "l2l"), score.inner_text()
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "1" and page.locator("output").inner_text() == "step 2 of 5"
    assert slider.get_attribute("aria-valuetext") == "step 2 of 5"
    assert pixels(page, "l2l") != before and score.inner_text() != text
    assert "identity" in score.inner_text()
    label = page.locator(".cards figure", has_text="l2l").locator("canvas").get_attribute("aria-label")
    assert label and re.match(r"l2l, strength -0.45: age 0\.\d\d \(\d+ year\), identity 0\.\d\d", label)


def test_the_unedited_face_stays_where_it_is(page: Page) -> None:
    before = pixels(page, "unedited")
    page.locator("#step").press("Home")
    assert any(before) and pixels(page, "unedited") == before


def test_attribute_face_and_methods_are_chosen(page: Page) -> None:
    page.get_by_role("radio", name="beard").check()
    expect(page.locator(".cards figure.unedited")).to_contain_text("beard 0.50")
    before = pixels(page, "l2l")
    page.get_by_role("radio", name="face 256001").check()
    expect(page.locator(".cards figure")).to_have_count(len(METHODS) + 1)
    assert pixels(page, "l2l") != before
    page.locator(".methods summary").click()
    page.get_by_role("button", name="competitors").click()
    expect(page.locator(".cards figure")).to_have_count(len(METHODS) - 2 + 1)
    page.locator("#viewer").get_by_role("checkbox", name="rfm").uncheck()
    expect(page.locator(".methods summary")).to_have_text(f"Methods: {len(METHODS) - 3} of {len(METHODS)} shown")


def column(page: Page, body: str) -> list[float]:
    cells = page.locator(f"#table-leaderboard {body} tr td:nth-of-type(1)")
    texts = [cell.get_attribute("data-sort") for cell in cells.all()]
    return [float(text) for text in texts if text]


def test_tables_sort_by_keyboard_and_controls_stay_apart(page: Page) -> None:
    heading = page.locator("#table-leaderboard thead button").nth(1)
    heading.focus()
    page.keyboard.press("Enter")
    rising = column(page, "tbody:not(.controls)")
    page.keyboard.press("Enter")
    falling = column(page, "tbody:not(.controls)")
    assert len(rising) == len(METHODS) - 2 and rising == sorted(rising) and falling == rising[::-1]
    assert heading.locator("xpath=..").get_attribute("aria-sort") == "descending"
    assert page.locator("#table-leaderboard .controls th").all_inner_texts() == ["random control", "noop control"]


def test_scores_are_filtered(page: Page) -> None:
    page.locator("#all summary").click()
    rows, count = page.locator("#all tbody tr"), page.locator("#all .count")
    assert rows.count() == 200 and count.inner_text().startswith("the first 200 of ")
    page.locator("#all input").fill("RFM beard l2l-2022")
    expect(count).not_to_contain_text("first")
    found = [row.split("\t")[:3] for row in rows.all_inner_texts()]
    assert found and all(row == ["l2l-2022", "rfm", "beard"] for row in found)
    assert count.inner_text() == f"{len(found)} rows"


def test_intervals_of_single_attributes_are_shown_when_asked(page: Page) -> None:
    interval = page.locator(".of-attributes tbody td:not(.mean) .ci").first
    expect(interval).to_be_hidden()
    page.get_by_label("intervals of single attributes").check()
    expect(interval).to_be_visible()


def test_nothing_is_wider_than_the_window(browser: Browser, file: Path) -> None:
    watched = Watched(browser, WIDTHS[0])
    page = watched.open(file)
    expect(page.locator(".cards figure").first).to_be_visible()
    wide = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.closest('[id]').id)"
    assert page.locator("main .scroll:visible:not(:has(.list))").evaluate_all(wide) == [], (
        "no table has to be moved sideways"
    )
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    wide = "(tables) => tables.filter((one) => one.scrollWidth > innerWidth).map((one) => one.closest('[id]').id)"
    assert page.locator("main table:not(.list)").evaluate_all(wide) == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert watched.width == width
    watched.close()


def test_it_is_dark_where_the_system_is(browser: Browser, file: Path) -> None:
    watched = Watched(browser)
    page = watched.open(file)
    colours = "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
    shades = [page.evaluate(colours)]
    page.emulate_media(color_scheme="dark")
    shades.append(page.evaluate(colours))
    assert findings(page, "color-contrast") == []
    watched.close()
    (light, ink), (night, chalk) = ([sum(map(int, re.findall(r"\d+", one)[:3])) for one in pair] for pair in shades)
    assert night < ink + 200 < light and chalk > 600


def test_axe_finds_nothing_serious(page: Page) -> None:
    assert findings(page) == []

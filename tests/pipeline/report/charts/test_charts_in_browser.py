"""The charts in a browser: each is drawn, fits, obeys the key of methods, and has its numbers and its words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from pipeline.report import page
from pipeline.report.charts.marks import marks
from pipeline.report.contents import contents_of
from tests.builders import random_run
from tests.checks.browser import Watched, findings

CONTENTS = contents_of(random_run.whole())
POINTS = "[data-chart='{}'] svg .mark-symbol.role-mark path"
DRAWN = "[data-chart='{}'][data-drawn]"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page.render(CONTENTS), encoding="utf-8")
    return path


def keys(opened: Page) -> list[str]:
    """The charts of the page, in its order."""
    return [str(host.get_attribute("data-chart")) for host in opened.locator("[data-chart]").all()]


def drawn(opened: Page, key: str) -> None:
    """Bring a chart near the window, again while sections above it get their true heights, until it is drawn."""
    near = (
        "([chart, drawn]) => (document.querySelector(chart).scrollIntoView(), document.querySelector(drawn) !== null)"
    )
    opened.wait_for_function(near, arg=[f"#chart-{key}", DRAWN.format(key)])


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)], ids=["wide and light", "narrow and dark"])
def test_every_chart_is_drawn_and_fits(browser: Browser, file: Path, width: int, dark: bool) -> None:
    watched = Watched(browser, width, dark=dark)
    opened = watched.open(file)
    charts = keys(opened)
    assert len(charts) >= 10
    for key in charts:
        drawn(opened, key)
    fits = "hosts => hosts.map(one => [one.dataset.chart, one.scrollWidth, one.clientWidth])"
    for key, inner, outer in opened.eval_on_selector_all("[data-chart]", fits):
        assert inner <= outer, key
    labels = "hosts => hosts.map(one => one.querySelector('[role=graphics-document]').getAttribute('aria-label'))"
    described = {chart.key: chart.described for section in page.sections() for chart in section.charts(CONTENTS)}
    assert opened.eval_on_selector_all("[data-chart]", labels) == [described[key] for key in charts]
    assert watched.outside == [] and watched.complaints == []
    assert findings(opened, within="figure.plot") == []
    watched.close()


def test_only_charts_near_the_window_are_drawn_at_first(browser: Browser, file: Path) -> None:
    watched = Watched(browser)
    opened = watched.open(file)
    first, *_, last = keys(opened)
    drawn(opened, first)
    opened.evaluate("new Promise((resolve) => requestIdleCallback(resolve))")
    assert opened.locator(DRAWN.format(first)).count() == 1 and opened.locator(DRAWN.format(last)).count() == 0
    watched.close()


def test_the_key_hides_a_method_in_every_chart_and_shows_it_again(browser: Browser, file: Path) -> None:
    watched = Watched(browser)
    opened = watched.open(file)
    drawn(opened, "trade")
    before = opened.locator(POINTS.format("trade")).count()
    assert before == 2 * len(CONTENTS.methods), "a point for each judge and method"
    box = opened.get_by_role("checkbox", name="l2l", exact=True)
    box.first.uncheck()
    opened.wait_for_function(f"document.querySelectorAll(`{POINTS.format('trade')}`).length === {before - 2}")
    drawn(opened, "consistency")
    assert not any(one.is_checked() for one in box.all()) and box.count() > 1, "every section's key knows"
    colour = marks(CONTENTS)[CONTENTS.methods.index("l2l")].light
    shades = f"points => points.filter(one => one.getAttribute('fill') === '{colour}').length"
    assert opened.eval_on_selector_all(POINTS.format("consistency"), shades) == 0
    box.first.check()
    opened.wait_for_function(f"document.querySelectorAll(`{POINTS.format('trade')}`).length === {before}")
    assert watched.complaints == []
    watched.close()


def test_a_choice_of_the_attribute_moves_the_points(browser: Browser, file: Path) -> None:
    watched = Watched(browser)
    opened = watched.open(file)
    drawn(opened, "trade")
    first = opened.locator(POINTS.format("trade")).first
    before = first.get_attribute("transform")
    opened.locator("#chart-trade select").select_option("yaw")
    opened.wait_for_function(
        f"document.querySelector(`{POINTS.format('trade')}`).getAttribute('transform') !== {json.dumps(before)}"
    )
    assert first.get_attribute("transform") != before
    watched.close()


def test_the_numbers_of_a_chart_are_a_table(browser: Browser, file: Path) -> None:
    watched = Watched(browser)
    opened = watched.open(file)
    opened.locator("#chart-trade summary", has_text="numbers").click()
    table = opened.locator("#chart-trade table")
    (chart,) = (one for section in page.sections() for one in section.charts(CONTENTS) if one.key == "trade")
    (rows,) = chart.tables.values()
    assert table.locator("tbody tr").count() == len(rows)
    cells = table.locator("tbody tr").first.locator("td").all_inner_texts()
    shown = dict(zip(rows.columns, cells, strict=True))
    assert shown["method"] == rows["method"].iloc[0]
    assert float(shown["identity"]) == pytest.approx(rows["identity"].iloc[0], rel=1e-5)
    watched.close()


def test_colours_follow_the_page_into_the_dark(browser: Browser, file: Path) -> None:
    watched = Watched(browser)
    opened = watched.open(file)
    drawn(opened, "trade")
    mark = marks(CONTENTS)[0]
    has = "colour => [...document.querySelectorAll(`{}`)].some(one => one.getAttribute('fill') === colour)"
    has = has.format(POINTS.format("trade"))
    assert opened.evaluate(has, mark.light) and not opened.evaluate(has, mark.dark)
    opened.emulate_media(color_scheme="dark")
    opened.wait_for_function(has, arg=mark.dark)
    watched.close()

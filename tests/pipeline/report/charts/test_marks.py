"""No two methods of a run look the same, in any light, and colour is never the only difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.report.charts import marks
from pipeline.report.contents import Contents, contents_of
from tests.builders import random_edits, random_run

PAPERS = {"light": (253, 253, 251), "dark": (21, 23, 26)}


def many(rivals: int, controls: int) -> Contents:
    """A run of so many methods."""
    names = [f"method{number}" for number in range(rivals)] + [f"control{number}" for number in range(controls)]
    made = contents_of(random_run.tables())
    rows = made.scores.iloc[: len(names)].assign(method=names)
    return replace(made, scores=rows, controls=frozenset(names[rivals:]))


def luminance(colour: str | tuple[int, int, int]) -> float:
    """Relative luminance of sRGB, as WCAG defines it."""
    parts = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) if isinstance(colour, str) else colour
    linear = [c / 12.92 if (c := part / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: tuple[int, int, int]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("paper", PAPERS)
def test_colours_stand_out_from_the_page(paper: str) -> None:
    named = {"light": (*marks.LIGHT, *marks.LIGHT_GREYS), "dark": (*marks.DARK, *marks.DARK_GREYS)}[paper]
    assert all(contrast(colour, PAPERS[paper]) >= 3.0 for colour in named)


def test_thirty_methods_look_different_and_no_two_of_one_colour_have_one_shape() -> None:
    found = marks.marks(many(30, 3))
    assert len({(one.light, one.shape) for one in found}) == len(found) == 33
    assert len({(one.dark, one.sign) for one in found}) == 33
    assert len({(one.light, tuple(one.dash)) for one in found[:16]}) == 16


def test_a_method_keeps_its_mark_and_controls_are_grey() -> None:
    found = {one.method: one for one in marks.marks(contents_of(random_run.tables()))}
    assert list(found) == list(random_edits.METHODS)
    assert found["noop"].control and found["noop"].light in marks.LIGHT_GREYS
    assert found["l2l"].light == marks.LIGHT[1] and marks.colours(many(3, 0))["method0"].startswith("light-dark(#")


def test_the_key_has_every_method() -> None:
    contents = contents_of(random_run.tables())
    assert [entry["method"] for entry in marks.key(contents)] == contents.methods

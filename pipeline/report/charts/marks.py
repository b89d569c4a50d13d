"""How a method looks in every chart: colour, shape and dash, so that colour is never the only difference.

Colours of light and dark pages were chosen by search for the largest smallest distance (OKLab) between any two, as
seen with all cones and without each kind (Machado et al., IEEE TVCG 2009), at a contrast of 3:1 with the page. Shapes
and dashes tell apart what is left; no two methods of a run share all three. Controls are grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import altair as alt

LIGHT = ("#2670dc", "#d9780a", "#164e2a", "#962e70", "#04a0bc", "#af636c", "#5c27b0", "#70650e")
DARK = ("#629ffd", "#cb6714", "#93f8c4", "#ad729c", "#21cfdb", "#f9958f", "#7c61e6", "#e4d22a")
LIGHT_GREYS = ("#6b6b6b", "#8a8a8a", "#555555")
DARK_GREYS = ("#a8a8a8", "#858585", "#c4c4c4")
# Vega's name of a shape, and the sign of it in text.
SHAPES = (
    ("circle", "●"),
    ("square", "■"),
    ("triangle-up", "▲"),
    ("diamond", "◆"),
    ("triangle-down", "▼"),
    ("cross", "✚"),
    ("triangle-right", "▶"),
)
BAR = "M-1,-0.3L1,-0.3L1,0.3L-1,0.3Z"
SALTIRE = "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z"
CONTROL_SHAPES = ((BAR, "▬"), ("triangle-left", "◀"), (SALTIRE, "✖"))
DASHES: tuple[list[int], ...] = ([1, 0], [6, 2], [8, 2, 2, 2])
CONTROL_DASH = [2, 2]
HIDDEN = "hidden"  # the parameter of every keyed chart: the names of the methods that it leaves out


class Methods(Protocol):
    """What a page shows: its methods in the order of its tables, controls last, and which of them are controls."""

    @property
    def methods(self) -> list[str]:
        """Their names."""

    @property
    def controls(self) -> frozenset[str]:
        """The methods that are no competitors."""


@dataclass(frozen=True)
class Mark:
    """How one method looks: its colours on light and dark paper, Vega's shape, the sign of it in text, its dash."""

    method: str
    light: str
    dark: str
    shape: str
    sign: str
    dash: list[int]
    control: bool

    @property
    def colour(self) -> str:
        """The CSS colour of the method, light or dark with the page."""
        return f"light-dark({self.light}, {self.dark})"


def marks(contents: Methods) -> list[Mark]:
    """The mark of every method of a run, in the order of its tables."""
    return [*_rivals(contents), *_controls(contents)]


def _rivals(contents: Methods) -> list[Mark]:
    names = [name for name in contents.methods if name not in contents.controls]
    return [
        Mark(
            name,
            LIGHT[place % len(LIGHT)],
            DARK[place % len(DARK)],
            *SHAPES[place % len(SHAPES)],
            DASHES[place // len(LIGHT) % len(DASHES)],
            control=False,
        )
        for place, name in enumerate(names)
    ]


def _controls(contents: Methods) -> list[Mark]:
    names = [name for name in contents.methods if name in contents.controls]
    return [
        Mark(
            name,
            LIGHT_GREYS[place % len(LIGHT_GREYS)],
            DARK_GREYS[place % len(DARK_GREYS)],
            *CONTROL_SHAPES[place % len(CONTROL_SHAPES)],
            CONTROL_DASH,
            control=True,
        )
        for place, name in enumerate(names)
    ]


def colours(contents: Methods) -> dict[str, str]:
    """The CSS colour of each method, the same in every chart and table."""
    return {mark.method: mark.colour for mark in marks(contents)}


def key(contents: Methods) -> list[dict[str, Any]]:
    """The key of methods, as the page's script reads it."""
    return [
        {"method": one.method, "light": one.light, "dark": one.dark, "sign": one.sign, "control": one.control}
        for one in marks(contents)
    ]


def colour_of(contents: Methods) -> alt.Color:
    """The methods' colours, which the page's script gives, light or dark."""
    import altair as alt

    return alt.Color("method:N", scale=alt.Scale(domain=contents.methods), legend=None)


def shape_of(contents: Methods) -> alt.Shape:
    """The methods' shapes."""
    import altair as alt

    scale = alt.Scale(domain=contents.methods, range=[mark.shape for mark in marks(contents)])
    return alt.Shape("method:N", scale=scale, legend=None)


def dash_of(contents: Methods) -> alt.StrokeDash:
    """The methods' dashes."""
    import altair as alt

    scale = alt.Scale(domain=contents.methods, range=[mark.dash for mark in marks(contents)])
    return alt.StrokeDash("method:N", scale=scale, legend=None)


def margin_of(names: Sequence[str], width: float = 6.4) -> int:
    """Pixels that such labels take at the left of an axis, at `width` pixels a character; Vega cuts them at 150."""
    return 24 + min(150, round(width * max(map(len, names), default=0)))


def hidden() -> alt.Parameter:
    """The parameter that the key of methods sets."""
    import altair as alt

    return alt.param(name=HIDDEN, value=[])


def not_hidden() -> str:
    """The filter that leaves out hidden methods."""
    return f"indexof({HIDDEN}, datum.method) < 0"

"""The library that draws in the browser, as the pinned package has it: Vega, Vega-Lite and Vega-Embed in one text."""

from __future__ import annotations

from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
LICENCES = (
    "Vega, Vega-Lite, Vega-Embed, Vega-Tooltip: Copyright (c) University of Washington Interactive Data Lab and "
    "contributors, BSD 3-Clause. D3: Copyright Mike Bostock, ISC. Bundled by vl-convert, BSD 3-Clause."
)


def vegalite_version() -> str:
    """The version of Vega-Lite whose schema Altair checks specifications against, as vl-convert names it: 6.4."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


@cache
def library() -> str:
    """The library's JavaScript, which sets `window.vegaEmbed` and loads nothing; bundling takes a second."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vegalite_version())
    return f"/* {LICENCES} */\n{bundle}"


@cache
def script() -> str:
    """The page's own script, which draws each chart when it comes near the window."""
    return (HERE / "charts.js").read_text(encoding="utf-8")


@cache
def style() -> str:
    """The style of charts and of the key of methods."""
    return (HERE / "charts.css").read_text(encoding="utf-8")

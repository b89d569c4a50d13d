"""How pages are made of templates: one environment, its filters, the style and the script that pages contain.

Everything that is not ours to vouch for (names of methods, flags, paths, versions) reaches a page through jinja2's
autoescaping; style, script, plots and pictures are inside it, and its own content policy forbids the browser to fetch
anything.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.report.grids import ARROWS, Cell, number

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).resolve().parent


def environment(folders: Sequence[Path] = ()) -> Environment:
    """Templates of this folder and of further ones: autoescaped, strict about names, with the filters of pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader([HERE, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number,
        interval=interval,
        duration=duration,
        data_uri=data_uri,
        signed=signed,
        difference=difference,
        breakable=breakable,
        pretty=lambda value: json.dumps(value, indent=1, sort_keys=True),
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": False}  # columns of tables keep their order
    made.globals["arrows"] = ARROWS
    return made


def inlined() -> Mapping[str, Any]:
    """`style` and `script` of a page."""
    from markupsafe import Markup

    files = {"style": ("page.css",), "script": ("page.js", "viewer.js")}
    return {
        name: Markup("\n".join((HERE / file).read_text(encoding="utf-8") for file in parts))
        for name, parts in files.items()
    }


def comparability(domain: str) -> str:
    """What must be said wherever the numbers of a domain stand."""
    if domain == "ffhq":
        return (
            "Numbers compare only where domain and network are the same: other weights, another detector or another "
            "feature extractor measure another quantity."
        )
    if domain == "photoface":
        return (
            "The codes are the official FFHQ generator's; the images are not: a student network draws them, and "
            "other judges than the papers' see them. Orders of methods may be set beside published ones, values may "
            "not; compare methods within this domain and network."
        )
    return (
        f"Every number here is of the domain {domain}: its own generator, its own judges. None of them is "
        "comparable with a published FFHQ number, whatever the table looks like; compare methods within this domain "
        "and network only."
    )


def breakable(name: str) -> Markup:
    """A name for HTML that a narrow column may break after an underscore."""
    from markupsafe import Markup, escape

    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def signed(value: float) -> str:
    """A strength with its sign and two decimals; 0 has none."""
    text = f"{value:+.2f}".replace("-", "−")
    return text if text.strip("+−0.") else "0.00"


def difference(value: float | None, decimals: int) -> str:
    """A difference with its sign; a dash for none."""
    text = number(value, decimals)
    return f"+{text}" if value is not None and math.isfinite(value) and float(text.replace(",", "")) > 0 else text


def interval(cell: Cell, decimals: int) -> str:
    """The interval of a score that has one, with a decimal less than the score where that leaves two."""
    fewer = decimals - 1 if decimals == 3 else decimals
    return f"{number(cell.low, fewer)} to {number(cell.high, fewer)}"


def duration(seconds: float) -> str:
    """Seconds as people read them: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def data_uri(webp: bytes) -> str:
    """A WebP image as the address of itself."""
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"

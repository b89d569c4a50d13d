"""Rate curves: what is kept of a face over the share of faces whose label has flipped."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.metrics.curves import curve
from pipeline.report.charts.chart import Chart, specification
from pipeline.report.charts.marks import colour_of, dash_of, hidden, not_hidden
from pipeline.report.charts.steps import PANEL, attribute_panels
from pipeline.report.contents import Contents

TABLE = "rate_curves"
KEPT = {"preserved": "labels kept", "accepted": "faces accepted as the same person"}
DESCRIBED = (
    "Line chart, one panel per attribute and one line per method: the share of other labels kept, or of faces accepted "
    "as the same person, over the share of faces whose own label has flipped; higher is better."
)
CAPTION = (
    "One point per strength that flips more labels than every weaker one. The scores are the areas under these curves, "
    "and nothing counts beyond the last point: a method that ends at the left flips few labels at any strength."
)


def rate_rows(contents: Contents) -> pd.DataFrame:
    """A row for each point of each (method, attribute) curve: flipped, preserved and accepted shares of the faces."""
    table = contents.others.get("rates")
    if table is None or not table.num_rows:
        return pd.DataFrame()
    names = ["method", "attribute", "strength_index", "flipped", *KEPT]
    images = table.select(names).to_pandas()
    means = images.astype({name: float for name in ("flipped", *KEPT)}).groupby(names[:3], sort=False).mean()
    rows = []
    for (method, attribute), part in means.reset_index().groupby(["method", "attribute"], sort=False):
        part = part.sort_values("strength_index")
        flipped = part["flipped"].to_numpy()[None]
        across = curve(flipped, flipped)[0][0]
        kept = {name: curve(flipped, part[name].to_numpy()[None])[1][0] for name in KEPT}
        new = np.diff(across, prepend=-1.0) > 0  # a strength that flips no more repeats the point before
        rows.append(pd.DataFrame({"method": method, "attribute": attribute, "flipped": across, **kept})[new])
    return pd.concat(rows, ignore_index=True)


def rate_chart(contents: Contents) -> Chart | None:
    """The curves, of labels or of faces as the reader chooses; None for a run without any."""
    import altair as alt

    rows = rate_rows(contents)
    if rows.empty:
        return None
    (first, second), choices = KEPT, list(KEPT.values())
    kept = alt.param(name="kept", value=choices[0], bind=alt.binding_select(options=choices, name="show "))
    share = alt.Axis(format=".0%")
    base = alt.Chart().encode(
        x=alt.X("flipped:Q", title="labels flipped", axis=share, scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("share:Q", title="kept", axis=share, scale=alt.Scale(domain=[0, 1])),
        color=colour_of(contents),
    )
    tips = [alt.Tooltip("method:N"), alt.Tooltip("flipped:Q", format=".1%"), alt.Tooltip("share:Q", format=".1%")]
    drawing = (
        alt.layer(
            base.mark_line(aria=False, strokeWidth=1.5).encode(strokeDash=dash_of(contents), order="flipped:Q"),
            base.mark_point(aria=False, filled=True, size=16, opacity=1).encode(tooltip=tips),
            data=alt.NamedData(name=TABLE),
        )
        .properties(height=170)
        .transform_calculate(share=f"kept === '{choices[0]}' ? datum.{first} : datum.{second}")
        .transform_filter(not_hidden())
        .facet(attribute_panels(contents), columns=4)
        .add_params(kept, hidden())
    )
    spec = specification(drawing, DESCRIBED)
    panels = len(contents.attributes)
    return Chart("rates", "Curves", CAPTION, DESCRIBED, spec, {TABLE: rows}, panel=PANEL, panels=panels)

"""How the trainings went: each loss over the steps, of single batches and of held-out codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pipeline.report.charts.chart import Chart, specification
from pipeline.report.charts.marks import colour_of, hidden, not_hidden
from pipeline.report.contents import Contents

TABLE = "training"
MOST = 400  # points of a line; of a longer one, steps at equal distances
BATCH, HELD_OUT = "batch", "held-out codes"
CONTRASTIVE = ("loss", "accuracy")  # of `training` in the facts of LLF and LatentCLR: what follows the step
DESCRIBED = "Line chart, one panel per method and loss: the loss of batches and of held-out codes over the steps."
CAPTION = (
    "Pale: the loss of single batches. Strong: its mean over codes that were held out, which are always the same, so "
    "that only it says when training stops to pay. Losses of different methods are different quantities. Methods that "
    "are not here have no stepped training."
)


def training_rows(contents: Contents) -> pd.DataFrame:
    """A row for each (method, loss, of, step): the loss of a batch or the mean over held-out codes."""
    rows: list[dict[str, Any]] = []
    for line in contents.run.stages:
        facts = (line.get("learned") or {}).get("facts") or {}
        for loss, of, points in _lines(facts):
            kept = points[:: -(-len(points) // MOST) or 1]
            rows += [{"method": line["group"], "loss": loss, "of": of, "step": step, "value": v} for step, v in kept]
    return pd.DataFrame(rows, columns=["method", "loss", "of", "step", "value"])


Line = tuple[str, str, list[tuple[int, float]]]


def _lines(facts: Mapping[str, Any]) -> Iterator[Line]:
    """(loss, of batches or of held-out codes, its points) of each curve that a method's facts hold."""
    for key, of in (("curve", BATCH), ("held_out_curve", HELD_OUT)):
        found = facts.get(key)
        if isinstance(found, Mapping) and found.get("steps"):
            yield from _columns(found["steps"], found["losses"], found.get("names") or ["loss"], of)
    training = facts.get("training")
    if isinstance(training, Mapping):
        names = {"curve": (CONTRASTIVE, BATCH), "validations": (("loss", "contrast", "accuracy"), HELD_OUT)}
        for key, (columns, of) in names.items():
            points = training.get(key) or []
            steps, losses = [point[0] for point in points], [point[1:] for point in points]
            yield from (one for one in _columns(steps, losses, columns, of) if one[0] in CONTRASTIVE)


def _columns(steps: Any, losses: Any, names: Any, of: str) -> Iterator[Line]:
    for place, name in enumerate(names):
        values = [each[place] if isinstance(each, list) else each for each in losses]
        yield str(name), of, list(zip(steps, values, strict=True))


def training_chart(contents: Contents) -> Chart | None:
    """The losses of every stepped training; None for a run without any."""
    import altair as alt

    rows = training_rows(contents)
    if rows.empty:
        return None
    rows = rows.assign(panel=rows["method"] + ": " + rows["loss"])
    names = list(dict.fromkeys(rows["panel"]))
    tips = ["method:N", "loss:N", "of:N", "step:Q", alt.Tooltip("value:Q", format=".4g")]
    of = [BATCH, HELD_OUT]
    thickness = alt.StrokeWidth("of:O", sort=of, scale=alt.Scale(domain=of, range=[1, 2.2]), legend=None)
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="step"),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
        color=colour_of(contents),
        opacity=alt.Opacity("of:O", sort=of, scale=alt.Scale(domain=of, range=[0.45, 1]), legend=None),
    )
    drawing = (
        alt.layer(
            base.mark_line(aria=False).encode(strokeWidth=thickness),
            base.mark_point(aria=False, filled=True, size=14).encode(tooltip=tips),
            data=alt.NamedData(name=TABLE),
        )
        .properties(height=130)
        .transform_filter(not_hidden())
        .facet(alt.Facet("panel:N", sort=names, title=None), columns=4)
        .resolve_scale(x="independent", y="independent")
        .add_params(hidden())
    )
    spec = specification(drawing, DESCRIBED)
    tables = {TABLE: rows}
    return Chart("training", "Losses by step", CAPTION, DESCRIBED, spec, tables, panel=170, panels=len(names))

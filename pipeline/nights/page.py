"""The page of all nights of one domain and profile: every score over time, what was flagged, and why.

One HTML file that needs no network; its links lead to the pages of the nights' reports next to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.metrics.base import ALL
from pipeline.nights.causes import in_a_sentence
from pipeline.nights.findings import GateResult
from pipeline.nights.history import Night
from pipeline.nights.notes import Note
from pipeline.nights.summary import NOUNS, groups_of, score_in_words, verdict
from pipeline.report.archive import PAGE, REPORTS
from pipeline.report.charts import library, marks
from pipeline.report.charts.chart import Chart, in_page, specification
from pipeline.report.contents import controls_among
from pipeline.report.grids import short
from pipeline.report.templates import comparability, environment, inlined

if TYPE_CHECKING:
    import altair as alt

HERE = Path(__file__).resolve().parent
TEMPLATE = "nights.html.j2"
SHOWN = 120  # nights that are drawn; the tables of all of them lie under reports/
SCORES, FLAGGED = "nights", "flagged"
FIRST = ("identity_distance by recognizer_b", "attribute_change by scorer_b")  # the score that is drawn first
DESCRIBED = (
    "Line chart, one line per method: a score over all attributes over the nights, with its interval over faces; rings "
    "mark what was flagged. The same numbers stand in the table below the chart."
)
CAPTION = (
    "A point for each night at which the method was measured to other bits than before, and for the newest; until the "
    "next point nothing changed. Thin lines: interval over faces, which says how other faces would scatter, not other "
    "nights. Rings: flagged as a step or as a drift."
)


@dataclass(frozen=True)
class ListedNight:
    """One night as the page lists it."""

    date: str
    run_id: str
    href: str
    verdict: str
    alarming: bool
    measured: str
    tested: int
    moved: int
    again: str
    commit: str
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """The nights of a page, oldest first, with their results by report folder."""

    nights: Sequence[Night]
    results: Mapping[str, GateResult]
    notes: Mapping[str, Note]

    @cached_property
    def methods(self) -> list[str]:
        """Methods of all nights, controls last."""
        names = list(dict.fromkeys(name for night in self.nights for name in night.measured))
        return [name for name in names if name not in self.controls] + [n for n in names if n in self.controls]

    @cached_property
    def controls(self) -> frozenset[str]:
        """Which of them are no competitors."""
        return controls_among(list(dict.fromkeys(name for night in self.nights for name in night.measured)))


def page(nights: Sequence[Night], notes: Sequence[Note]) -> str:
    """The page of the nights of one domain and profile, oldest first, as HTML. Raises CorruptShardError.

    The series is the newest night's: nights of another protocol are counted, not drawn.
    """
    from markupsafe import Markup

    own = [night for night in nights if night.series == nights[-1].series]
    by_report = {note.report: note for note in notes}
    results = {name: GateResult.from_json(note.comparison) for name, note in by_report.items()}
    series = Series(own[-SHOWN:], results, by_report)
    chart = score_chart(series)
    domain, profile, _ = own[-1].series
    rows = [row_of(night, results, by_report) for night in own[::-1]]
    return (
        environment((HERE,))
        .get_template(TEMPLATE)
        .render(
            **inlined(),
            domain=domain,
            profile=profile,
            rows=rows,
            chart=chart,
            others=len(nights) - len(own),
            hidden=len(own) - len(series.nights),
            comparability=comparability(domain),
            chart_data={**in_page([chart]), "methods": marks.key(series)},
            chart_library=Markup(library.library()),
            chart_script=Markup(library.script()),
            chart_style=Markup(library.style()),
        )
    )


def row_of(night: Night, results: Mapping[str, GateResult], notes: Mapping[str, Note]) -> ListedNight:
    """A night, and what its comparison found."""
    name = night.folder.name
    result, note = results.get(name, GateResult()), notes.get(name)
    known = name in results
    return ListedNight(
        date=night.date,
        run_id=night.run_id,
        href=f"../{REPORTS}/{name}/{PAGE}",
        verdict=verdict(result) if known else "no note of it",
        alarming=result.alarming,
        measured=", ".join(result.measured) or ("nothing" if known and result.since else ""),
        tested=result.tested + result.drifts_tested,
        moved=result.moved,
        again=note.recompute_from if note else "",
        commit=str(night.manifest.get("commit", ""))[:10],
        findings=tuple(_in_words(group, night.series[0]) for group in groups_of(result.findings)),
    )


def _in_words(group: Sequence[Any], domain: str) -> str:
    first = group[0]
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    noun = NOUNS[first.kind, first.verdict]
    return (
        f"{first.method}: {noun} since {first.since}: {score_in_words(first, domain)} "
        f"{first.before:.4g} → {first.after:.4g} (p {first.p:.2g}){more}. Likely cause: {in_a_sentence(first.causes)}."
    )


def score_rows(series: Series) -> pd.DataFrame:
    """A row for each score over all attributes and each night at which it was measured to other bits, or the newest."""
    parts = []
    last: dict[str, str] = {}
    for night in series.nights:
        fresh = [
            method for method, bits in night.measured.items() if last.get(method) != bits or night is series.nights[-1]
        ]
        last |= night.measured
        rows = night.scores
        rows = rows[(rows["attribute"] == ALL) & rows["method"].isin(fresh) & rows["value"].notna()]
        flagged = {finding.key for finding in series.results.get(night.folder.name, GateResult()).findings}
        keys = zip(*(rows[name] for name in ("protocol", "method", "attribute", "metric", "network")), strict=True)
        levels = [None if level != level else level for level in rows["level"].astype(float)]
        parts.append(
            pd.DataFrame(
                {
                    "night": night.date,
                    "method": rows["method"].to_list(),
                    "score": [_score(row, night.series[0]) for row in rows.to_dict("records")],
                    "value": rows["value"].to_list(),
                    "low": rows["ci_low"].to_list(),
                    "high": rows["ci_high"].to_list(),
                    "flagged": [(*key, level) in flagged for key, level in zip(keys, levels, strict=True)],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _score(row: Mapping[str, Any], domain: str) -> str:
    level = "" if row["level"] is None or row["level"] != row["level"] else f" at {row['level']:g}"
    network = "" if row["network"] == "none" else f" by {short(row['network'], domain)}"
    return f"{row['metric']}{level}{network}, {row['protocol']}"


def score_chart(series: Series) -> Chart:
    """Every score over all attributes over the nights, with a choice of the score."""
    import altair as alt

    rows = score_rows(series)
    names = sorted(set(rows["score"]), key=lambda name: (not name.startswith(FIRST), name))
    choice = alt.param(name="score", value=names[0], bind=alt.binding_select(options=names, name="score "))
    drawing = (
        alt.layer(*_layers(series), data=alt.NamedData(name=SCORES))
        .properties(height=360)
        .transform_filter("datum.score == score")
        .transform_filter(marks.not_hidden())
        .add_params(choice, marks.hidden())
    )
    title = "Scores over all attributes, night by night"
    return Chart("nights", title, CAPTION, DESCRIBED, specification(drawing, DESCRIBED), {SCORES: rows})


def _layers(series: Series) -> list[alt.Chart]:
    import altair as alt

    across = alt.X("night:T", title="night (UTC)", timeUnit="utcyearmonthdate")
    up = alt.Y("value:Q", title="score", scale=alt.Scale(zero=False))
    tips = [alt.Tooltip("night:N"), alt.Tooltip("method:N"), alt.Tooltip("value:Q", format=".5g")]
    tips += [alt.Tooltip(f"{name}:Q", format=".5g") for name in ("low", "high")]
    base = alt.Chart().encode(color=marks.colour_of(series), x=across)
    rings = base.transform_filter("datum.flagged").mark_point(size=260, strokeWidth=2, filled=False, opacity=1)
    return [
        base.mark_rule(aria=False, opacity=0.35).encode(y=alt.Y("low:Q", title="score"), y2="high:Q"),
        base.mark_line(aria=False, interpolate="step-after").encode(y=up, strokeDash=marks.dash_of(series)),
        base.mark_point(filled=True, size=60, opacity=1).encode(y=up, shape=marks.shape_of(series), tooltip=tips),
        rings.encode(y=up),
    ]

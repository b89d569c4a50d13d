"""The page of a run: one HTML file that needs nothing else, neither network nor neighbours.

Everything that is not ours to vouch for (names of methods, flags, paths, versions) reaches the page through
jinja2's autoescaping; styles, script, plots and pictures are inside it, and its own content policy forbids
the browser to fetch anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.attributes import EVALUATED, get
from pipeline.errors import LatentbenchError
from pipeline.report import figures
from pipeline.report import grids as summary
from pipeline.report.certainty import certainty
from pipeline.report.claims import orders, verdicts
from pipeline.report.contents import PROTOCOL_SIZES, Contents, Picture, Strip
from pipeline.report.glossary import Entry, glossary
from pipeline.report.matched_change import matched_tables, rescoring_plot
from pipeline.report.paper_numbers import beside
from pipeline.report.rated import consistency_table, rate_tables
from pipeline.tables.schemas import PUBLISHED

HERE = Path(__file__).resolve().parent
TEMPLATE = "page.html.j2"


@dataclass(frozen=True)
class MethodFacts:
    """What the page says of a method; the texts are empty for one that is not registered here."""

    name: str
    version: int
    control: bool
    colour: str
    paper: str = ""
    venue: str = ""
    unit: str = ""
    supervision: str = ""
    space: str = ""
    parameters: str = ""
    candidates: int | None = None


@dataclass(frozen=True)
class StageLine:
    """One line of the table of stages: the parts of one stage and method, such as the eight ranges of L2L."""

    title: str
    parts: int
    rows: int
    wall_seconds: float
    work_seconds: float
    origin: str
    fingerprints: tuple[str, ...]


def render(contents: Contents, *, domain_summary: str = "") -> str:
    """The whole page as HTML.

    `domain_summary` is the sentence of the domain's card that says what it is.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=summary.number,
        duration=duration,
        data_uri=data_uri,
        signed=signed,
        pretty=lambda value: json.dumps(value, indent=1, sort_keys=True),
    )
    drawn, matrices = figures.plots(contents), rescoring_plot(contents)
    matched, matched_further = matched_tables(contents)
    return environment.get_template(TEMPLATE).render(
        run=contents.run,
        contents=contents,
        domain_summary=domain_summary[:1].upper() + domain_summary[1:],
        comparability=comparability(contents),
        learned=[(line["group"], line["learned"]) for line in contents.run.stages if line.get("learned")],
        level=f"{100 * contents.run.experiment.get('confidence', 0.95):g} %",
        other_commits=sorted({line.get("commit", "") for line in contents.run.stages} - {"", contents.run.commit}),
        sizes=size_lines(contents),
        methods=method_facts(contents),
        colours=figures.colours(contents),
        tables=summary.paper_tables(contents),
        further=summary.further_tables(contents),
        published=beside(contents),
        matched=matched,
        matched_further=matched_further,
        matrices=[(plot, Markup(plot.svg)) for plot in (matrices,) if plot is not None],
        rates=rate_tables(contents),
        consistency=consistency_table(contents),
        arrows=summary.ARROWS,
        certainty=certainty(contents),
        verdicts=verdicts(contents),
        orders=orders(contents),
        competitors=[name for name in contents.methods if name not in contents.controls],
        tables_published=list(PUBLISHED),
        plots=[(plot, Markup(plot.svg)) for plot in drawn],
        ranges=range_lines(contents),
        strips=strips_by_attribute(contents),
        reading=reading,
        scores=contents.scores.to_dict("records"),
        glossary=used_glossary(contents),
        stages=stage_lines(contents.run.stages),
        busy=busy_seconds(contents.run.stages),
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
    )


def comparability(contents: Contents) -> str:
    """What must be said wherever the numbers of a run's domain stand."""
    return comparable_within(contents.run.domain)


def comparable_within(domain: str) -> str:
    """What must be said wherever the numbers of a domain stand."""
    if domain == "ffhq":
        return (
            "Numbers compare only where domain and network are the same: other weights, another detector or another "
            "feature extractor measure another quantity."
        )
    return (
        f"Every number here is of the domain {domain}: its own generator, its own judges. None of them is "
        "comparable with a published FFHQ number, whatever the table looks like; compare methods within this domain "
        "and network only."
    )


def size_lines(contents: Contents) -> list[tuple[str, int, int]]:
    """(what, this run's size, the published protocol's size) of every size that the paper fixes."""
    return [(noun, getattr(contents.run, name), full) for name, (full, noun) in PROTOCOL_SIZES.items()]


def method_facts(contents: Contents) -> list[MethodFacts]:
    """Facts of every method of the run, in the order of the tables."""
    versions = contents.scores.groupby("method")["method_version"].max().to_dict()
    tried = contents.scores.groupby("method")["naming_candidates"].max().dropna().to_dict()
    settings = contents.run.settings.get("methods", {})
    shades = figures.colours(contents)
    return [
        MethodFacts(
            name=name,
            version=int(versions[name]),
            control=name in contents.controls,
            colour=shades[name],
            parameters=", ".join(f"{key} = {value}" for key, value in sorted(settings.get(name, {}).items())),
            candidates=int(tried[name]) if name in tried else None,
            **_registered(name),
        )
        for name in contents.methods
    ]


def _registered(name: str) -> dict[str, str]:
    from pipeline.methods import registry

    try:
        method = registry.get(name)
    except (LatentbenchError, ImportError):
        return {}
    return {
        "paper": method.paper.title,
        "venue": method.paper.venue,
        "unit": method.unit,
        "supervision": method.supervision,
        "space": method.space,
    }


def range_lines(contents: Contents) -> list[dict[str, Any]]:
    """Rows of the table of ranges: RANGES with the displacement at each end, in the order of the tables."""
    if contents.ranges.empty:
        return []
    ends = figures.range_ends(contents)
    order = {name: place for place, name in enumerate(contents.methods)}
    places = {name: place for place, name in enumerate(contents.attributes)}
    ends = ends.assign(_a=ends["attribute"].map(places), _m=ends["method"].map(order)).sort_values(["_a", "_m"])
    lines: list[dict[str, Any]] = ends.drop(columns=["_a", "_m"]).to_dict("records")
    return lines


def strips_by_attribute(contents: Contents) -> list[tuple[str, list[tuple[int, list[Strip]]]]]:
    """[(attribute, [(face id, its strips by method)])], in the order of the tables."""
    order = {name: place for place, name in enumerate(contents.methods)}
    result = []
    for attribute in contents.attributes:
        found = [strip for strip in contents.strips if strip.attribute == attribute]
        faces = sorted({strip.face_id for strip in found})
        by_face = [
            (face, sorted((s for s in found if s.face_id == face), key=lambda s: order.get(s.method, len(order))))
            for face in faces
        ]
        if by_face:
            result.append((attribute, by_face))
    return result


def reading(attribute: str, value: float) -> str:
    """A scorer's value in the attribute's own unit, such as "41 year"; empty where the unit is 1."""
    if attribute not in EVALUATED:
        return ""
    limits = get(attribute)
    if limits.unit == "1":
        return ""
    return f"{limits.low + value * (limits.high - limits.low):.0f} {limits.unit}"


def used_glossary(contents: Contents) -> list[Entry]:
    """The glossary's entries of the metrics that the run scored."""
    first = contents.scores.drop_duplicates("metric")
    facts = {row["metric"]: (row["unit"], row["better"]) for _, row in first.iterrows()}
    networks = contents.scores.groupby("metric", sort=False)["network"].unique()
    return glossary(facts, {metric: [str(name) for name in names] for metric, names in networks.items()})


def stage_lines(stages: Sequence[dict[str, Any]]) -> list[StageLine]:
    """The stages of a run, those of one kind and method on one line."""
    if not stages:
        return []
    frame = pd.DataFrame(stages)
    lines = []
    for (stage, label), part in frame.groupby(["stage", "group"], sort=False):
        runs = [origin for origin in part["reused_from"] if isinstance(origin, str)]
        computed = len(part) - len(runs)
        origin = "computed" if not runs else f"reused from {max(runs)}"
        if runs and computed:
            origin = f"{computed} computed, {len(runs)} reused from {max(runs)}"
        lines.append(
            StageLine(
                title=f"{stage} {label}".strip(),
                parts=len(part),
                rows=int(part["rows"].sum()),
                wall_seconds=busy_seconds(part.to_dict("records")),
                work_seconds=float(part["work_seconds"].sum()),
                origin=origin,
                fingerprints=tuple(part["fingerprint"]),
            )
        )
    return lines


def busy_seconds(stages: Sequence[dict[str, Any]]) -> float:
    """Seconds during which at least one of the stages was being computed: ranges of one pass are not added up."""
    spans = sorted((datetime.fromisoformat(stage["started"]).timestamp(), stage["wall_seconds"]) for stage in stages)
    total, until = 0.0, float("-inf")
    for start, seconds in spans:
        end = start + seconds
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def signed(value: float) -> str:
    """A strength with its sign and two decimals; 0 has none."""
    text = f"{value:+.2f}".replace("-", "−")
    return text if text.strip("+−0.") else "0.00"


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


def data_uri(picture: Picture) -> str:
    """A picture as the address of itself."""
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.image).decode()}"

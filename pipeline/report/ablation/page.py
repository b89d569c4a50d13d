"""What people read of an ablation: the page, one HTML file that needs nothing else, and the table at the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.methods.variants import declared
from pipeline.metrics.base import ALL
from pipeline.report import grids as summary
from pipeline.report import page
from pipeline.report.ablation.table import HELD_OUT, VariantRun
from pipeline.report.contents import PROTOCOL_SIZES, size_warning
from pipeline.report.glossary import Entry, glossary

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

TEMPLATE = "ablation.html.j2"
# What the terminal shows, in this order; of identity distances, that of recognizer B.
SHOWN = (
    "identity_distance",
    "attribute_change",
    "lpips",
    "kid_same_codes",
    "detected_share",
    "cycle_error",
    "noop_error",
)
STYLES = {"better": "green", "worse": "red", "changed": "blue"}


@dataclass(frozen=True)
class Cell:
    """One score of one variant and its difference to the base's; what there is not is None.

    `verdict`: better, worse or changed where the difference's interval leaves out 0, else empty.
    """

    value: float
    low: float | None
    high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    verdict: str
    flag: str
    n_faces: int
    n_images: int


@dataclass(frozen=True)
class Row:
    """One quantity: one cell per variant, None where a variant has no such score."""

    key: str
    name: str
    network: str
    unit: str
    better: str
    decimals: int
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Grid:
    """Rows x variants."""

    title: str
    corner: str
    rows: tuple[Row, ...]

    @property
    def flags(self) -> list[str]:
        """The distinct flags of the cells, in order of appearance."""
        cells = (cell for row in self.rows for cell in row.cells if cell is not None)
        return list(dict.fromkeys(cell.flag for cell in cells if cell.flag))


def render(table: pd.DataFrame, runs: Sequence[VariantRun], record: dict[str, Any], *, domain_summary: str) -> str:
    """The page as HTML: `table` as schemas.ABLATION, `record` what the manifest says."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(page.HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=summary.number,
        duration=page.duration,
        difference=signed,
        pretty=lambda value: json.dumps(value, indent=1, sort_keys=True),
    )
    experiment = runs[0].settings.experiment
    variants = list(dict.fromkeys(table["variant"]))
    return environment.get_template(TEMPLATE).render(
        record=record,
        experiment=experiment,
        warning=size_warning(experiment),
        comparability=page.comparable_within(record["domain"]),
        domain_summary=domain_summary[:1].upper() + domain_summary[1:],
        level=f"{100 * experiment.confidence:g} %",
        sizes=[(noun, getattr(experiment, name), full) for name, (full, noun) in PROTOCOL_SIZES.items()],
        variants=variants,
        lines=variant_lines(table, runs),
        overall=overall_grid(table),
        held_out=held_out_grid(table),
        grids=attribute_grids(table),
        rows=table.astype(object).where(table.notna(), None).to_dict("records"),
        arrows=summary.ARROWS,
        glossary=entries(table, record["method"]),
        style=Markup((page.HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((page.HERE / "page.js").read_text(encoding="utf-8")),
    )


def variant_lines(table: pd.DataFrame, runs: Sequence[VariantRun]) -> list[dict[str, Any]]:
    """Each variant: what was changed and tested, and what its training took and came to."""
    first = table.drop_duplicates("variant").set_index("variant")
    return [
        {
            "variant": run.variant.name,
            "tests": run.variant.tests,
            "changed": first.loc[run.variant.name, "changed"],
            "seconds": _optional(first.loc[run.variant.name, "training_seconds"]),
            "loss": _optional(first.loc[run.variant.name, "training_loss"]),
            "commit": first.loc[run.variant.name, "commit"],
            "fingerprint": first.loc[run.variant.name, "fingerprint"],
        }
        for run in runs
    ]


def overall_grid(table: pd.DataFrame) -> Grid:
    """Every score over all attributes."""
    own = table[(table["attribute"] == ALL) & (table["protocol"] != HELD_OUT)]
    return Grid("Scores over all attributes", "metric", _metric_rows(own))


def held_out_grid(table: pd.DataFrame) -> Grid:
    """What the trainings measured on codes that they did not train on."""
    return Grid("Losses on held-out codes", "measure", _metric_rows(table[table["protocol"] == HELD_OUT]))


def attribute_grids(table: pd.DataFrame) -> list[Grid]:
    """One grid of attributes x variants for every metric and network that is scored per attribute."""
    grids = []
    own = table[(table["attribute"] != ALL) & (table["protocol"] != HELD_OUT)]
    for (metric, network), part in own.groupby(["metric", "network"], sort=False):
        title = _titled(summary.label(metric), summary.short(network, part["domain"].iloc[0]))
        variants = list(dict.fromkeys(table["variant"]))
        decimals = summary.decimals_for(part["value"].tolist())
        rows = [
            _row(scores, variants, name=str(attribute), decimals=decimals)
            for attribute, scores in part.groupby("attribute", sort=False)
        ]
        grids.append(Grid(title, "attribute", tuple(rows)))
    return grids


def entries(table: pd.DataFrame, method: str) -> list[Entry]:
    """What each metric of the table says; those of held-out codes in the method's own words."""
    first = table.drop_duplicates("metric")
    facts = {row["metric"]: (row["unit"], row["better"]) for row in first.to_dict("records")}
    networks = {metric: list(part) for metric, part in table.groupby("metric", sort=False)["network"].unique().items()}
    own = {measure.metric: measure.meaning for measure in declared(method).held_out}
    return [
        Entry(one.metric, one.name, own.get(one.metric, one.meaning), one.unit, one.better, one.networks, one.paper)
        for one in glossary(facts, networks)
    ]


def _metric_rows(scores: pd.DataFrame) -> tuple[Row, ...]:
    variants = list(dict.fromkeys(scores["variant"]))
    rows = []
    for (metric, _), part in scores.groupby(["metric", "network"], sort=False):
        decimals = summary.decimals_for(part["value"].tolist())
        rows.append(_row(part, variants, name=summary.label(metric), decimals=decimals))
    return tuple(rows)


def _row(scores: pd.DataFrame, variants: Sequence[str], *, name: str, decimals: int) -> Row:
    first = scores.iloc[0]
    by_variant = {score["variant"]: _cell(score) for score in scores.to_dict("records")}
    network = "" if first["network"] == "none" else summary.short(first["network"], first["domain"])
    cells = tuple(by_variant.get(variant) for variant in variants)
    return Row(first["metric"], name, network, first["unit"], first["better"], decimals, cells)


def _cell(score: dict[str, Any]) -> Cell:
    return Cell(
        value=float(score["value"]),
        low=_optional(score["ci_low"]),
        high=_optional(score["ci_high"]),
        difference=_optional(score["difference"]),
        difference_low=_optional(score["difference_low"]),
        difference_high=_optional(score["difference_high"]),
        verdict=verdict(score),
        flag=score["flag"] if isinstance(score["flag"], str) else "",
        n_faces=int(score["n_faces"]),
        n_images=int(score["n_images"]),
    )


def verdict(score: dict[str, Any]) -> str:
    """Whether a variant is better or worse than the base, or changed where neither is; empty within the interval."""
    low, high = _optional(score["difference_low"]), _optional(score["difference_high"])
    if low is None or high is None or low <= 0 <= high:
        return ""
    if score["better"] not in summary.ARROWS:
        return "changed"
    return "better" if (low > 0) == (score["better"] == "higher") else "worse"


def signed(value: float | None, decimals: int) -> str:
    """A difference with its sign; a dash for none."""
    text = summary.number(value, decimals)
    return f"+{text}" if value is not None and math.isfinite(value) and float(text.replace(",", "")) > 0 else text


def _titled(metric: str, network: str) -> str:
    return metric if network == "none" else f"{metric}, by {network}"


def _optional(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


# The terminal


def text_table(table: pd.DataFrame, judge: str) -> Table:
    """Variants x the main scores over all attributes, under each its difference to the base and the paired interval.

    `judge` is the network whose identity distance is shown.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    first = table.iloc[0]
    title = f"Ablation of {first['method']} ({first['domain']}, profile {first['profile']})"
    shown = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("variant", no_wrap=True, min_width=max(map(len, table["variant"])))
    own = table[(table["attribute"] == ALL) & ((table["metric"] != "identity_distance") | (table["network"] == judge))]
    variants = list(dict.fromkeys(table["variant"]))
    rows = {row.key: row for row in _metric_rows(own) if row.key in SHOWN}
    for key in (key for key in SHOWN if key in rows):
        heading = f"{rows[key].name.replace(' ', chr(10), 1)} {summary.ARROWS.get(rows[key].better, '')}".strip()
        shown.add_column(Text(heading), justify="right", no_wrap=True)
    shown.add_column("training", justify="right", no_wrap=True)
    for place, variant in enumerate(variants):
        cells = [_text(rows[key].cells[place], rows[key].decimals) for key in SHOWN if key in rows]
        seconds = _optional(table.loc[table["variant"] == variant, "training_seconds"].iloc[0])
        shown.add_row(Text(variant), *cells, "–" if seconds is None else page.duration(seconds))
    shown.caption = Text(
        "Second line: difference to the base, green: better, red: worse; third: its interval, paired by face.",
        style="dim",
    )
    shown.caption_justify = "left"
    return shown


def _text(cell: Cell | None, decimals: int) -> Text:
    from rich.text import Text

    if cell is None:
        return Text("–", style="dim")
    text = Text(summary.number(cell.value, decimals) + (" ⚑" if cell.flag else ""))
    if cell.difference is not None:
        text.append(f"\n{signed(cell.difference, decimals)}", style=STYLES.get(cell.verdict, "dim"))
        if cell.difference_low is not None:
            ends = f"{signed(cell.difference_low, decimals)} {signed(cell.difference_high, decimals)}"
            text.append(f"\n{ends}", style="dim")
    return text

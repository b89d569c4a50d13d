"""What people read of an ablation: the page, one HTML file that needs nothing else, and the table at the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.methods.variants import declared
from pipeline.metrics.base import ALL
from pipeline.report.ablation.table import HELD_OUT, VariantRun
from pipeline.report.contents import PROTOCOL_SIZES, size_warning
from pipeline.report.glossary import Entry, glossary
from pipeline.report.grids import (
    ARROWS,
    ATTRIBUTES,
    METRICS,
    Cell,
    Row,
    ScoreTable,
    cell_values,
    decimals_for,
    label,
    number,
    optional,
    short,
)
from pipeline.report.templates import comparability, difference, duration, environment, inlined

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

TEMPLATE = "ablation.html.j2"
# Metrics that the terminal shows, in this order; of identity distances, recognizer B's.
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
class VariantCell(Cell):
    """One score of one variant and its difference to the base's; a difference that does not exist is None.

    `verdict`: better, worse or changed where the difference's interval leaves out 0, else empty.
    """

    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    verdict: str = ""


def render(table: pd.DataFrame, runs: Sequence[VariantRun], record: dict[str, Any], *, domain_summary: str) -> str:
    """The page as HTML: `table` as schemas.ABLATION, `record` what the manifest says."""
    experiment = runs[0].settings.experiment
    variants = list(dict.fromkeys(table["variant"]))
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            record=record,
            experiment=experiment,
            warning=size_warning(experiment),
            comparability=comparability(record["domain"]),
            domain_summary=domain_summary[:1].upper() + domain_summary[1:],
            level=f"{100 * experiment.confidence:g} %",
            sizes=[(noun, getattr(experiment, name), full) for name, (full, noun) in PROTOCOL_SIZES.items()],
            variants=variants,
            lines=variant_lines(table, runs),
            overall=overall_grid(table),
            held_out=held_out_grid(table),
            grids=attribute_grids(table),
            rows=table.astype(object).where(table.notna(), None).to_dict("records"),
            glossary=entries(table, record["method"]),
            **inlined(),
        )
    )


def variant_lines(table: pd.DataFrame, runs: Sequence[VariantRun]) -> list[dict[str, Any]]:
    """Each variant: what was changed and tested, and what its training took and came to."""
    first = table.drop_duplicates("variant").set_index("variant")
    return [
        {
            "variant": run.variant.name,
            "tests": run.variant.tests,
            "changed": first.loc[run.variant.name, "changed"],
            "seconds": optional(first.loc[run.variant.name, "training_seconds"]),
            "loss": optional(first.loc[run.variant.name, "training_loss"]),
            "commit": first.loc[run.variant.name, "commit"],
            "fingerprint": first.loc[run.variant.name, "fingerprint"],
        }
        for run in runs
    ]


def overall_grid(table: pd.DataFrame) -> ScoreTable:
    """Every score over all attributes."""
    own = table[(table["attribute"] == ALL) & (table["protocol"] != HELD_OUT)]
    return ScoreTable("Scores over all attributes", "metric", _metric_rows(own), METRICS)


def held_out_grid(table: pd.DataFrame) -> ScoreTable:
    """What the trainings measured on codes that they did not train on."""
    measured = table[table["protocol"] == HELD_OUT]
    return ScoreTable("Losses on held-out codes", "measure", _metric_rows(measured), METRICS)


def attribute_grids(table: pd.DataFrame) -> list[ScoreTable]:
    """One grid of attributes x variants for every metric and network that is scored per attribute."""
    grids = []
    own = table[(table["attribute"] != ALL) & (table["protocol"] != HELD_OUT)]
    for (metric, network), part in own.groupby(["metric", "network"], sort=False):
        title = _titled(label(metric), short(network, part["domain"].iloc[0]))
        variants = list(dict.fromkeys(table["variant"]))
        decimals = decimals_for(part["value"].tolist())
        rows = [
            _row(scores, variants, name=str(attribute), decimals=decimals)
            for attribute, scores in part.groupby("attribute", sort=False)
        ]
        grids.append(ScoreTable(title, "attribute", tuple(rows), ATTRIBUTES))
    return grids


def entries(table: pd.DataFrame, method: str) -> list[Entry]:
    """What each metric of the table says; losses on held-out codes in the method's own words."""
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
        decimals = decimals_for(part["value"].tolist())
        rows.append(_row(part, variants, name=label(metric), decimals=decimals))
    return tuple(rows)


def _row(scores: pd.DataFrame, variants: Sequence[str], *, name: str, decimals: int) -> Row:
    first = scores.iloc[0]
    by_variant = {score["variant"]: _cell(score) for score in scores.to_dict("records")}
    network = "" if first["network"] == "none" else short(first["network"], first["domain"])
    cells = tuple(by_variant.get(variant) for variant in variants)
    return Row(name, cells, first["unit"], first["better"], decimals, metric=first["metric"], network=network)


def _cell(score: dict[str, Any]) -> VariantCell:
    return VariantCell(
        **cell_values(score),
        difference=optional(score["difference"]),
        difference_low=optional(score["difference_low"]),
        difference_high=optional(score["difference_high"]),
        verdict=verdict(score),
    )


def verdict(score: dict[str, Any]) -> str:
    """Whether a variant is better or worse than the base, or changed where neither is; empty within the interval."""
    low, high = optional(score["difference_low"]), optional(score["difference_high"])
    if low is None or high is None or low <= 0 <= high:
        return ""
    if score["better"] not in ARROWS:
        return "changed"
    return "better" if (low > 0) == (score["better"] == "higher") else "worse"


def _titled(metric: str, network: str) -> str:
    return metric if network == "none" else f"{metric}, by {network}"


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
    rows = {row.metric: row for row in _metric_rows(own) if row.metric in SHOWN}
    for key in (key for key in SHOWN if key in rows):
        heading = f"{rows[key].name.replace(' ', chr(10), 1)} {ARROWS.get(rows[key].better, '')}".strip()
        shown.add_column(Text(heading), justify="right", no_wrap=True)
    shown.add_column("training", justify="right", no_wrap=True)
    for place, variant in enumerate(variants):
        cells = [_text(rows[key].cells[place], rows[key].decimals) for key in SHOWN if key in rows]
        seconds = optional(table.loc[table["variant"] == variant, "training_seconds"].iloc[0])
        shown.add_row(Text(variant), *cells, "–" if seconds is None else duration(seconds))
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
    text = Text(number(cell.value, decimals) + (" ⚑" if cell.flag else ""))
    if isinstance(cell, VariantCell) and cell.difference is not None:
        text.append(f"\n{difference(cell.difference, decimals)}", style=STYLES.get(cell.verdict, "dim"))
        if cell.difference_low is not None:
            ends = f"{difference(cell.difference_low, decimals)} {difference(cell.difference_high, decimals)}"
            text.append(f"\n{ends}", style="dim")
    return text

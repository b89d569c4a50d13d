"""A published run as Markdown, for notes and documentation: the tables that are read first, methods down.

Everything is on the page too, with pictures, intervals of single attributes and all that this leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pipeline.report.certainty import certainty
from pipeline.report.claims import orders, verdicts
from pipeline.report.contents import Contents
from pipeline.report.grids import ARROWS, Cell, Grid, Row, further_tables, number, paper_tables, short
from pipeline.report.judges import attributes_left_out
from pipeline.report.matched_change import matched_tables
from pipeline.report.rated import consistency_table, rate_tables

BESIDE = ("attribute change", "locality", "lpips", "ssim")  # further tables that belong beside the paper's


def markdown(contents: Contents) -> str:
    """The whole document; tables of GitHub's dialect."""
    run = contents.run
    lines = [
        f"# Run {run.run_id}",
        "",
        f"Domain {run.domain}, profile {run.profile}: {run.n_latents:,} labelled latents, {run.n_faces} faces, "
        f"{run.n_steps} steps, {run.edits_per_method:,} edits per method. Commit {run.commit[:12] or 'unknown'}.",
        *([run.warning] if run.warning else []),
        "Bold: best of the column, controls and flagged scores apart. In brackets: 95 % interval. ⚑: flagged.",
        "",
    ]
    matched, _ = matched_tables(contents)
    further = [grid for grid in further_tables(contents) if grid.title.lower().startswith(BESIDE)]
    sections = {
        "The paper's tables": paper_tables(contents),
        "How far and where the edits went": further,
        "At matched change": matched,
        "Rate curves": rate_tables(contents),
        "Consistency": consistency_table(contents),
    }
    for title, grids in sections.items():
        if grids:
            lines += [f"## {title}", ""]
            if grids is matched and attributes_left_out(contents.judges):
                lines += [attributes_left_out(contents.judges), ""]
            for grid in grids:
                lines += [*_grid(grid), ""]
    lines += [*_claims(contents), *_orders(contents), *_controls(contents), *_trainings(contents)]
    return "\n".join(lines).rstrip() + "\n"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    texts = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in texts]


def _grid(grid: Grid) -> Iterator[str]:
    judged = "" if grid.network == "none" else f", judged by {short(grid.network, grid.domain)}"
    yield f"**{grid.title}** ({grid.domain}{judged})"
    yield ""
    shown = [row for row in grid.rows if any(cell is not None for cell in row.cells)]
    head = ["method", *(f"{row.name} {ARROWS.get(row.better, '')}".strip() for row in shown)]
    whole = grid.corner != "attribute"
    body = []
    for place, method in enumerate(grid.methods):
        name = f"*{method}*" if method in grid.controls else method
        cells = [_cell(row.cells[place], row, interval=whole or row.mean, common=grid.common_flag) for row in shown]
        body.append([name, *cells])
    yield from _table(head, body)
    if grid.common_flag:
        yield f"\n⚑ all: {grid.common_flag}"
    elif grid.flags:
        yield "\n" + "; ".join(f"⚑{number} {flag}" for number, flag in enumerate(grid.flags, 1))


def _cell(cell: Cell | None, row: Row, *, interval: bool, common: str) -> str:
    if cell is None:
        return "–"
    text = number(cell.value, row.decimals)
    if cell.best:
        text = f"**{text}**"
    if cell.flag and not common:
        text += " ⚑"
    if interval and cell.low is not None and cell.high is not None:
        text += f" [{number(cell.low, row.decimals)}, {number(cell.high, row.decimals)}]"
    return text


def _claims(contents: Contents) -> Iterator[str]:
    found = verdicts(contents)
    if found:
        yield "## What the papers claim"
        yield ""
        rows = [[v.claim, v.source, v.judged_by, v.found, v.verdict] for v in found]
        yield from _table(["claim", "source", "judged by", "found here", ""], rows)
        yield ""


def _orders(contents: Contents) -> Iterator[str]:
    found = orders(contents)
    if found:
        methods = [name for name in contents.methods if name not in contents.controls]
        yield "## Ranks by protocol"
        yield ""
        rows = [
            [name, *("–" if order.ranks[place] is None else str(order.ranks[place]) for order in found)]
            for place, name in enumerate(methods)
        ]
        yield from _table(["method", *(order.title for order in found)], rows)
        yield ""


def _controls(contents: Contents) -> Iterator[str]:
    checks = certainty(contents).checks
    if checks:
        yield "## Controls"
        yield ""
        words = {True: "holds", False: "does not hold", None: "not testable"}
        rows = [[check.control, check.expected, check.found, words[check.holds]] for check in checks]
        yield from _table(["control", "expected", "found", ""], rows)
        yield ""


def _trainings(contents: Contents) -> Iterator[str]:
    """Seconds that each method's training took, and how many candidates named its directions."""
    tried = contents.scores.groupby("method")["naming_candidates"].max()
    rows = []
    for line in contents.run.stages:
        learned = line.get("learned") or {}
        if "seconds" in learned:
            candidates = tried.get(line["group"])
            named = "–" if candidates is None or pd.isna(candidates) else f"{int(candidates):,}"
            rows.append([line["group"], f"{learned['seconds']:,.0f}", named])
    if rows:
        yield "## Training"
        yield ""
        yield from _table(["method", "seconds", "candidates for names"], rows)
        yield ""

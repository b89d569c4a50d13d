"""The tables that the L2L paper prints, in its order and layout (Khodadadeh et al., WACV 2022)."""

from __future__ import annotations

from typing import Any

from pipeline.metrics.base import PAPER
from pipeline.report.contents import PAPERS_ROLE, Contents
from pipeline.report.grids import IDENTITY, SECONDS, Grid, attribute_grid, doubtful, metric_grid, short
from pipeline.report.paper_numbers import read_papers
from pipeline.report.sections import PageSection

L2L_PAPER = "l2l-2022"  # its key in paper_numbers.toml
INCEPTION = ("inception_score", "inception_score_spread", "inception_score_difference")
QUALITY = ("kid_same_codes", "fid_same_codes", "kid", "fid", *INCEPTION)
IDENTITY_NOTE = (
    "A method that hardly edits keeps the identity: read this table with the attribute change and the curves below."
)
QUALITY_NOTE = (
    "The paper's \"ISD\" is not defined there; an inception score and its difference from the reference's are "
    "two quantities here and two rows. Few faces edited many times are not many samples: FID and KID mostly "
    "measure that, and are worst for a method that does nothing. KID against the same codes unedited is unbiased "
    "with any number of faces and 0 for doing nothing: read quality by it, together with the attribute change."
)
SECONDS_NOTE = "One face at a time, warm; seconds depend on the machine named under Provenance."


def identity_grids(contents: Contents) -> list[Grid]:
    """The paper's identity table, once per network that judged.

    The paper's own network comes first. Networks against which more is said than against all, such as one that a
    method was trained with, come last.
    """
    scores = contents.scores
    chosen = scores[(scores["metric"] == IDENTITY) & (scores["protocol"] == PAPER)]
    grids = []
    for network in chosen["network"].unique():
        papers = contents.has_role(network, PAPERS_ROLE)
        name = short(network, contents.run.domain)
        title = "Identity distance, the paper's measure" if papers else f"Identity distance, by {name}"
        part = chosen[chosen["network"] == network]
        note = IDENTITY_NOTE if papers else ""
        grids.append(attribute_grid(contents, part, f"identity-{network}", title, note=note))
    less_sure = [grid.key for grid in doubtful(grids)]
    return sorted(grids, key=lambda grid: (grid.key in less_sure, not contents.has_role(grid.network, PAPERS_ROLE)))


def quality_grid(contents: Contents) -> Grid | None:
    """The paper's quality table: KID and FID against the same codes and against samples, and inception scores."""
    title = "Image quality against unedited images"
    return metric_grid(contents, QUALITY, "quality", title, PAPER, note=QUALITY_NOTE)


def seconds_grid(contents: Contents) -> Grid | None:
    """The paper's table of seconds per edit."""
    return metric_grid(contents, SECONDS, "seconds", "Seconds per edit", PAPER, note=SECONDS_NOTE)


def _layout(contents: Contents) -> dict[str, Any]:
    """The paper, and its abbreviation of each of its methods that the run has, in its order; nothing if it has none."""
    paper = next(paper for paper in read_papers() if paper.key == L2L_PAPER)
    scored = set(contents.scores.loc[contents.scores["protocol"] == PAPER, "method"])
    printed = {method: name for name, method in paper.methods.items() if method in scored}
    return {"paper": paper, "printed": printed} if printed else {}


def paper_tables(contents: Contents) -> list[Grid]:
    """The tables that the paper prints, in its order and layout."""
    further = (quality_grid(contents), seconds_grid(contents))
    return [*identity_grids(contents), *(grid for grid in further if grid is not None)]


SECTION = PageSection(
    key="tables",
    title="The paper's tables",
    order=60,
    template="paper.html.j2",
    tables=paper_tables,
    values=_layout,
)

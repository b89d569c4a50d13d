"""Every score that has no section of its own: a new metric appears here by itself."""

from __future__ import annotations

from pipeline.metrics.base import PAPER, PERCEPTION
from pipeline.report.contents import Contents
from pipeline.report.grids import ALL, CHANGE, IDENTITY, SECONDS, Grid, attribute_grid, metric_grid, titled
from pipeline.report.sections import PageSection, sections
from pipeline.report.sections.paper import QUALITY

READ_FIRST = (CHANGE, "locality", "lpips", "ssim")  # without which no identity distance can be read
PERCEPTION_NOTE = (
    "The measures of the LLF paper, of the images of the tables above: the same scores under another name."
)


def perception_grid(contents: Contents) -> Grid | None:
    """The LLF paper's table: SSIM, LPIPS and FID of each method."""
    title = "Perception, the LLF paper's measures"
    return metric_grid(
        contents, ("ssim", "lpips", "fid"), "perception", title, PERCEPTION, note=PERCEPTION_NOTE, markdown=False
    )


def further_tables(contents: Contents) -> list[Grid]:
    """Every metric of the grid over ranges that the paper's tables lack, attributes x methods; the LLF paper's last.

    Protocols over other edits have sections of their own. The attribute change comes first.
    """
    scores = contents.scores
    papers = scores["metric"].isin([IDENTITY, *QUALITY, *SECONDS]) & (scores["protocol"] == PAPER)
    per_attribute = scores["metric"].isin([*QUALITY, *SECONDS]) & (scores["attribute"] != ALL)
    elsewhere = scores["protocol"].isin([PERCEPTION, *(section.protocol for section in sections())])
    rest = scores[(~papers | per_attribute) & ~elsewhere]
    grids = []
    for (protocol, metric, network), part in rest.groupby(["protocol", "metric", "network"], sort=False):
        title = titled(metric) + (" of each attribute" if metric in (*QUALITY, *SECONDS) else "")
        grids.append(
            attribute_grid(
                contents,
                part,
                f"{protocol}-{metric}-{network}",
                title,
                markdown=metric in READ_FIRST,
            )
        )
    grids.sort(key=lambda grid: (grid.metric, grid.protocol) != (CHANGE, PAPER))
    perception = perception_grid(contents)
    return grids if perception is None else [*grids, perception]


SECTION = PageSection(
    key="further",
    title="Further measures",
    order=56,
    tables=further_tables,
    markdown_title="How far and where the edits went",
    markdown_order=25,
)

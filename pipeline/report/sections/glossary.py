"""What each metric of the run says."""

from __future__ import annotations

from pipeline.report.contents import Contents
from pipeline.report.glossary import Entry, glossary
from pipeline.report.sections import PageSection


def used_glossary(contents: Contents) -> list[Entry]:
    """The glossary's entries of the metrics that the run scored."""
    first = contents.scores.drop_duplicates("metric")
    facts = {row["metric"]: (row["unit"], row["better"]) for _, row in first.iterrows()}
    networks = contents.scores.groupby("metric", sort=False)["network"].unique()
    return glossary(facts, {metric: [str(name) for name in names] for metric, names in networks.items()})


SECTION = PageSection(
    key="glossary",
    title="Glossary",
    order=108,
    template="glossary.html.j2",
    values=lambda contents: {"glossary": used_glossary(contents)},
)

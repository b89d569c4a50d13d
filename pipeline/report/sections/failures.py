"""Failures: edits on which no face is found, and changes that were not reached, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.report.contents import Contents
from pipeline.report.matched_level import shown_level
from pipeline.report.sections import PageSection

REASONS = {
    "weak": "no strength of the range moves the attribute so far",
    "ceiling": "no method could: the face has nearly all, or nothing, of the attribute already",
    "jump": "the change leaps over the level between two strengths",
    "lost": "no face is found where the change is reached",
    "unedited": "no face is found without an edit",
    "no unit": "scorer A's readings of the attribute hardly vary over unedited faces",
}


@dataclass(frozen=True)
class Shares:
    """Shares of each method, in the methods' order: `rows` of (method, shares), None where there is nothing to count.

    `worst`: the largest share.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]

    @property
    def worst(self) -> float:
        """The largest share of all."""
        return max((share for _, shares in self.rows for share in shares if share is not None), default=0.0)


def lost_faces(contents: Contents) -> Shares:
    """The share of edited images over the range on which no face is found, by attribute, and over all."""
    edits = contents.edits
    lost = (~edits["detected"].astype(bool)).groupby([edits["method"], edits["attribute"]]).mean()
    of_all = (~edits["detected"].astype(bool)).groupby(edits["method"]).mean()
    heads = (*contents.attributes, "mean")
    rows = [
        (method, (*(_share(lost, (method, name)) for name in contents.attributes), _share(of_all, method)))
        for method in contents.methods
    ]
    return Shares(heads, tuple(rows))


def unreached(contents: Contents) -> Shares:
    """The share of changes of the shown level that were not reached, by reason, and altogether; no rows without any."""
    table = contents.others.get("matched")
    if table is None or not table.num_rows:
        return Shares((), ())
    frame = table.select(["method", "level", "reached", "unreached"]).to_pandas()
    frame = frame[frame["level"] == shown_level(contents)]
    tried = frame.groupby("method").size()
    missed = frame[~frame["reached"].astype(bool)].groupby(["method", "unreached"]).size()
    known = set(missed.index.get_level_values("unreached"))
    reasons = [*(name for name in REASONS if name in known), *sorted(known - set(REASONS))]
    rows = []
    for method in contents.methods:
        if method in tried:
            shares = [float(missed.get((method, reason), 0)) / float(tried[method]) for reason in reasons]
            rows.append((method, (*shares, sum(shares))))
    return Shares((*reasons, "not reached"), tuple(rows))


def _share(shares: pd.Series, key: Any) -> float | None:
    return float(shares[key]) if key in shares.index else None


def _values(contents: Contents) -> dict[str, Any]:
    if contents.edits.empty:
        return {}
    return {
        "lost": lost_faces(contents),
        "unreached": unreached(contents),
        "reasons": REASONS,
        "change": shown_level(contents),
    }


SECTION = PageSection(key="failures", title="Failures", order=80, template="failures.html.j2", values=_values)

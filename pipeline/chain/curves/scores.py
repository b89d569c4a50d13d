"""What edits for rate curves are worth: the scores of the protocol `rates-1`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pipeline.chain.score_rows import score_row
from pipeline.domains.base import DomainCard
from pipeline.metrics.base import ALL, RATES, RateSet, get, names
from pipeline.metrics.curves import AT
from pipeline.statistics.bootstrap import Bootstrap


def curve_scores(
    card: DomainCard, table: pa.Table, method: str, attribute: str, bootstrap: Bootstrap
) -> Iterator[dict[str, Any]]:
    """Rows of STAGE_SCORES of a method's `rates` table, for an attribute or for "all"."""
    own = table if attribute == ALL else table.filter(pa.compute.equal(table.column("attribute"), attribute))
    columns = {name: own.column(name).to_numpy() for name in own.column_names}
    for level in (None, *AT):
        edits = RateSet(method=method, attribute=attribute, columns=columns, bootstrap=bootstrap, level=level)
        for metric in (get(name) for name in names(RATES)):
            for judgement in metric.score(edits):
                yield score_row(card, edits, metric, judgement, RATES, level=level)

"""What edits in every order are worth: the scores of the protocol `consistency-1`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from pipeline.chain.score_rows import score_row
from pipeline.domains.base import DomainCard
from pipeline.metrics.base import ALL, CONSISTENCY, Measured, get, names
from pipeline.statistics.bootstrap import Bootstrap


def consistency_scores(
    card: DomainCard, table: pa.Table, method: str, bootstrap: Bootstrap
) -> Iterator[dict[str, Any]]:
    """Rows of STAGE_SCORES of a method's `consistency` table, over all attributes."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    edits = Measured(method=method, attribute=ALL, columns=columns, bootstrap=bootstrap)
    for metric in (get(name) for name in names(CONSISTENCY)):
        for judgement in metric.score(edits):
            yield score_row(card, edits, metric, judgement, CONSISTENCY)

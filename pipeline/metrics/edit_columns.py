"""The columns of a table of edits as metrics read them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.attributes import EVALUATED
from pipeline.tables.schemas import value_column


def edit_columns(table: pa.Table) -> dict[str, np.ndarray]:
    """Columns of the edits table by name, each (N,), and `edited_value`: the edited attribute by scorer B."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    value = np.full(table.num_rows, np.nan, np.float32)
    for attribute in np.unique(columns["attribute"].astype(str)):
        edited = columns["attribute"] == attribute
        value[edited] = columns[value_column(EVALUATED[attribute])][edited]
    return columns | {"edited_value": value}

"""Every metric that is a mean, per method, attribute and face: from the edits' columns, no image is made again.

It is all that differences, ranks and comparisons of runs need, and what a reader needs for tests of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.domains.base import DomainCard, network_name
from pipeline.metrics.base import ALL, GRID, EditSet, Metric, get, names
from pipeline.metrics.edit_columns import edit_columns
from pipeline.statistics.bootstrap import face_rows, sums_by_face
from pipeline.statistics.differences import FaceSums
from pipeline.tables.schemas import FACE_SCORES

GROUP = ["protocol", "metric", "network", "attribute"]


@dataclass(frozen=True)
class Group:
    """One metric by one network for one attribute, or `all`: the means of M methods over F faces."""

    protocol: str
    metric: str
    network: str
    attribute: str
    methods: tuple[str, ...]
    sums: FaceSums  # (M, F)


def face_scores(edits: pa.Table, card: DomainCard) -> pa.Table:
    """FACE_SCORES of the measured edits of any number of methods, in their order."""
    means = [metric for metric in map(get, names(*GRID)) if metric.samples is not None and metric.compared]
    columns = edit_columns(edits)
    methods, attributes = (columns[name].astype(str) for name in ("method", "attribute"))
    rows: list[dict[str, Any]] = []
    for method in dict.fromkeys(methods.tolist()):
        for attribute in dict.fromkeys(attributes[methods == method].tolist()):
            chosen = (methods == method) & (attributes == attribute)
            own = {name: values[chosen] for name, values in columns.items()}
            own |= {"method": methods[chosen], "attribute": attributes[chosen]}
            edit_set = EditSet.of_columns(method, attribute, own)
            for metric in means:
                rows += _rows(card, edit_set, metric)
    return pa.Table.from_pylist(rows, schema=FACE_SCORES)


def _rows(card: DomainCard, edits: EditSet, metric: Metric) -> Iterator[dict[str, Any]]:
    """The rows of one metric, method and attribute, by network and face."""
    assert metric.samples is not None
    for part in metric.samples(edits):
        sizes = sums_by_face(np.ones(len(part.values)), part.faces)
        means = sums_by_face(part.values.astype(np.float64), part.faces) / sizes
        for face, mean, size in zip(face_rows(part.faces)[0], means, sizes, strict=True):
            yield {
                "protocol": metric.grid_protocol,
                "method": edits.method,
                "attribute": edits.attribute,
                "metric": metric.name,
                "network": network_name(card, part.role),
                "face_id": int(face),
                "value": float(mean),
                "n": int(size),
            }


def groups(scores: pd.DataFrame) -> Iterator[Group]:
    """Every group of FACE_SCORES, in its order, and after a metric's attributes the group of all of them.

    Methods stand in the order of the table, faces in the order of their ids. A method without a row for an attribute
    that others have has no face there.
    """
    methods = tuple(dict.fromkeys(scores["method"]))
    faces = np.unique(scores["face_id"])
    where = pd.DataFrame(
        {
            "method": scores["method"].map({name: place for place, name in enumerate(methods)}),
            "face": np.searchsorted(faces, scores["face_id"]),
            "sum": scores["value"] * scores["n"],
            "size": scores["n"],
        }
    )
    for (protocol, metric, network), part in scores.groupby(GROUP[:3], sort=False):
        parts = []
        for attribute, own in part.groupby("attribute", sort=False):
            rows = where.loc[own.index]
            sums, sizes = np.zeros((len(methods), len(faces))), np.zeros((len(methods), len(faces)))
            np.add.at(sums, (rows["method"], rows["face"]), rows["sum"])
            np.add.at(sizes, (rows["method"], rows["face"]), rows["size"])
            parts.append(FaceSums(sums, sizes))
            yield Group(protocol, metric, network, str(attribute), methods, parts[-1])
        sums, sizes = (np.sum([getattr(one, name) for one in parts], axis=0) for name in ("sums", "sizes"))
        whole = FaceSums(sums, sizes)
        yield Group(protocol, metric, network, ALL, methods, whole)

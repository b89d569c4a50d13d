"""The tables `differences` and `ranks`: every pair of methods on the same faces, and every method's rank.

Holm's correction is made within a family: all pairs of methods, controls included, by one metric and network for one
attribute (or for all). So with the probability of the level no claim of one row of a table is false; over many tables
some are.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.errors import UnknownNameError
from pipeline.metrics.base import Metric, get
from pipeline.report.by_face import GROUP, Group, groups
from pipeline.report.judges import Errors
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.statistics.differences import Differences, FaceSums, holm, paired
from pipeline.statistics.ranks import ends_of_tests, ranked
from pipeline.tables.schemas import DIFFERENCES, RANKS

FEW_SHARED = 0.5  # a method that shares less than this part of its group's faces is not compared in earnest
KNOWN = ("lower", "higher")

Flags = dict[tuple[str, ...], str]  # (protocol, metric, network, attribute, method) -> why not to rely on its score


def difference_tables(
    face_scores: pd.DataFrame, scores: pd.DataFrame, controls: frozenset[str], bootstrap: Bootstrap, errors: Errors
) -> dict[str, pa.Table]:
    """DIFFERENCES and RANKS from FACE_SCORES; flags come from SCORES, `errors` are the judges' own."""
    found = [(group, metric) for group in groups(face_scores) if (metric := _known(group.metric)) is not None]
    flags = {
        tuple(row[:-1]): row[-1]
        for row in scores[[*GROUP, "method", "flag"]].itertuples(index=False, name=None)
        if isinstance(row[-1], str)
    }
    difference_rows, rank_rows = [], []
    for group, metric, pairs, tested in _tested(found, bootstrap):
        corrected = holm(tested.p)
        significant = corrected <= 1 - bootstrap.confidence + 1e-12
        difference_rows += _difference_rows(
            group, metric, pairs, tested, corrected, significant, controls, flags, errors
        )
        if metric.better in KNOWN:
            signs = _signs(len(group.methods), pairs, tested.value, significant, metric.better)
            rank_rows += _rank_rows(group, metric, signs, controls, bootstrap, flags)
    return {
        "differences": pa.Table.from_pylist(difference_rows, schema=DIFFERENCES),
        "ranks": pa.Table.from_pylist(rank_rows, schema=RANKS),
    }


def _known(metric: str) -> Metric | None:
    try:
        return get(metric)
    except UnknownNameError:
        return None


def _tested(
    found: list[tuple[Group, Metric]], bootstrap: Bootstrap
) -> list[tuple[Group, Metric, list[tuple[int, int]], Differences]]:
    """All pairs of methods of every group, tested in one pass."""
    pairs, first, second = [], [], []
    for group, _ in found:
        there = np.flatnonzero((group.sums.sizes > 0).any(axis=1)).tolist()
        pairs.append(list(combinations(there, 2)))
        one, other = (np.array([pair[side] for pair in pairs[-1]], dtype=np.intp) for side in (0, 1))
        first.append(group.sums[one])
        second.append(group.sums[other])
    if not any(pairs):
        return []
    noise = np.concatenate([np.full(len(own), metric.noise) for (_, metric), own in zip(found, pairs, strict=True)])
    every = paired(bootstrap, _stacked(first), _stacked(second), noise)
    ends = np.cumsum([0, *map(len, pairs)])
    return [
        (group, metric, own, Differences(*(getattr(every, name)[start:stop] for name in every.__dataclass_fields__)))
        for (group, metric), own, start, stop in zip(found, pairs, ends[:-1], ends[1:], strict=True)
    ]


def _stacked(parts: list[FaceSums]) -> FaceSums:
    return FaceSums(np.concatenate([part.sums for part in parts]), np.concatenate([part.sizes for part in parts]))


def _signs(size: int, pairs: list[tuple[int, int]], value: np.ndarray, sure: np.ndarray, better: str) -> np.ndarray:
    """(M, M): +1 where the row's method is significantly better than the column's, -1 where worse, else 0."""
    signs = np.zeros((size, size), dtype=int)
    for (one, other), difference in zip(pairs, np.where(sure, value, 0.0), strict=True):
        sign = int(np.sign(difference)) * (-1 if better == "lower" else 1)
        signs[one, other], signs[other, one] = sign, -sign
    return signs


def _difference_rows(
    group: Group,
    metric: Metric,
    pairs: list[tuple[int, int]],
    tested: Differences,
    corrected: np.ndarray,
    significant: np.ndarray,
    controls: frozenset[str],
    flags: Flags,
    errors: Errors,
) -> list[dict[str, Any]]:
    width = metric.bounds[1] - metric.bounds[0]  # no two of its values are farther apart
    family = int(np.isfinite(tested.p).sum())
    rows = []
    for place, (one, other) in enumerate(pairs):
        both = [group.methods[one], group.methods[other]]
        number = int(tested.n_faces[place])
        rows.append(
            {
                **_key(group),
                "method": both[0],
                "other": both[1],
                "difference": float(tested.value[place]),
                "ci_low": _optional(max(tested.low[place], -width)),
                "ci_high": _optional(min(tested.high[place], width)),
                "p": _optional(tested.p[place]),
                "p_holm": _optional(corrected[place]),
                "n_comparisons": family,
                "n_faces": number,
                "significant": bool(significant[place]),
                "better": metric.better,
                "unit": metric.unit,
                "control": any(name in controls for name in both),
                "judge_error": errors.get((group.metric, group.network, group.attribute)),
                "flag": _flag(group, metric, both, number, flags, [one, other]),
            }
        )
    return rows


def _rank_rows(
    group: Group, metric: Metric, signs: np.ndarray, controls: frozenset[str], bootstrap: Bootstrap, flags: Flags
) -> list[dict[str, Any]]:
    there = np.flatnonzero((group.sums.sizes > 0).any(axis=1))
    methods = [group.methods[place] for place in there]
    rivals = np.array([name not in controls for name in methods])
    ranks = ranked(bootstrap, group.sums[there], rivals, lower_is_better=metric.better == "lower", noise=metric.noise)
    low, high = ends_of_tests(signs[np.ix_(there, there)], rivals)
    return [
        {
            **_key(group),
            "method": name,
            "control": name in controls,
            "rank": _whole(ranks.rank[place]),
            "rank_low": _whole(ranks.low[place]),
            "rank_high": _whole(ranks.high[place]),
            "tested_low": int(low[place]),
            "tested_high": int(high[place]),
            "first": _optional(ranks.first[place]),
            "n_methods": int(rivals.sum()) + (name in controls),
            "n_faces": ranks.n_faces,
            "flag": _flag(group, metric, [name], ranks.n_faces, flags, there.tolist()),
        }
        for place, name in enumerate(methods)
    ]


def _flag(group: Group, metric: Metric, methods: list[str], shared: int, flags: Flags, places: list[int]) -> str | None:
    """What is said against these methods' scores, and of how few faces they (at these places) share."""
    known = [flags.get((*_key(group).values(), name), "") for name in methods]
    reasons = [reason for flag in known for reason in flag.split("; ") if reason]
    few = f"fewer than {metric.minimum_faces} faces"
    if shared < metric.minimum_faces and few not in reasons:
        reasons.append(few)
    most = int((group.sums.sizes[places] > 0).sum(axis=1).max()) if places else 0
    if shared < FEW_SHARED * most:
        reasons.append(f"only {shared} of {most} faces are shared")
    return "; ".join(dict.fromkeys(reasons)) or None


def _key(group: Group) -> dict[str, Any]:
    return {name: getattr(group, name) for name in GROUP}


def _optional(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None

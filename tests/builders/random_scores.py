"""Scores drawn at random, of every protocol."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import EVALUATED
from pipeline.tables.schemas import SCORES
from tests.builders.random_edits import LEVELS, METHODS

DATE = datetime(2026, 11, 20, 3, 15, tzinfo=UTC)


def score(method: str, attribute: str, metric: str, value: float, **more: Any) -> dict[str, Any]:
    """One row of SCORES without run_id and run_date, with an interval of +-10 %."""
    row = {
        "domain": "synthface",
        "profile": "smoke",
        "protocol": "l2l-2022",
        "method": method,
        "method_version": 1,
        "attribute": attribute,
        "metric": metric,
        "network": "none",
        "value": value,
        "ci_low": value - 0.1 * abs(value),
        "ci_high": value + 0.1 * abs(value),
        "n_faces": 6,
        "n_images": 30,
        "better": "lower",
        "unit": "1",
        "flag": None,
    }
    return row | more


def score_rows(method: str, seed: int = 0) -> list[dict[str, Any]]:
    """Every score of a method, at random."""
    rng = np.random.default_rng([seed, METHODS.index(method) if method in METHODS else 9])
    rows = []
    few = "FID from 240 images in 512 dimensions: at least 1,024 are needed"
    for attribute in (*EVALUATED, "all"):
        zero = 0.0 if method == "noop" else 1.0
        for network in ("mtcnn-onet256", "recognizer_a", "recognizer_b"):
            flag = "in the training loss of l2l" if network == "recognizer_a" and method == "l2l" else None
            value = zero * rng.uniform(0.1, 0.7)
            more = {"network": network, "flag": flag, "unit": "cosine distance"}
            rows.append(score(method, attribute, "identity_distance", value, **more))
        rows.append(score(method, attribute, "lpips", zero * rng.uniform(0.1, 0.4), network="perception"))
        rows.append(score(method, attribute, "ssim", 1 - zero * rng.uniform(0.1, 0.4), better="higher"))
        more = {"network": "scorer_b", "better": "higher"}
        rows.append(score(method, attribute, "attribute_change", zero * rng.uniform(0.1, 0.4), **more))
        rows.append(score(method, attribute, "detected_share", 1 - zero * rng.uniform(0, 0.1), better="neither"))
    more = {"network": "perception", "n_images": 240}
    rows.append(score(method, "all", "fid", rng.uniform(20, 50), flag=few, **more))
    rows.append(score(method, "all", "kid", rng.uniform(0.005, 0.02), **more))
    rows.append(score(method, "all", "inception_score", rng.uniform(2, 3), better="higher", **more))
    rows.append(score(method, "all", "inception_score_spread", rng.uniform(0.02, 0.1), better="neither", **more))
    rows.append(score(method, "all", "inception_score_difference", rng.uniform(0.02, 0.3), **more))
    rows.append(score(method, "all", "seconds_per_edit", rng.uniform(0.0001, 0.001), unit="s", n_faces=1))
    rows.append(score(method, "all", "seconds_per_edit_and_synthesis", rng.uniform(0.01, 0.02), unit="s", n_faces=1))
    return rows


def matched_score_rows(method: str, seed: int = 0) -> list[dict[str, Any]]:
    """Every score of a method at matched change, at random; the no-op reaches nothing."""
    rng = np.random.default_rng([seed, 5, METHODS.index(method) if method in METHODS else 9])
    rows = []
    for attribute in (*EVALUATED, "all"):
        for level in LEVELS:
            more: dict[str, Any] = {"protocol": "matched-change-1", "level": level, "n_faces": 4, "n_images": 8}
            missed = 1.0 if method == "noop" else rng.uniform(0, 0.4)
            rows.append(score(method, attribute, "unreached_share", missed, network="scorer_a", **more))
            if method == "noop":
                continue
            judged = more | {"network": "scorer_b", "flag": "fewer than 10 faces"}
            for metric, size in (("attribute_dependency_mean", 0.3), ("attribute_dependency_max", 1.2)):
                rows.append(score(method, attribute, metric, level * rng.uniform(0.5, 1) * size, **judged))
            told = level * rng.uniform(0.8, 1.1)
            rows.append(score(method, attribute, "attribute_change_reported", told, **(judged | {"better": "neither"})))
            rows.append(
                score(method, attribute, "identity_distance", level * 0.1, **(more | {"network": "recognizer_b"}))
            )
    return rows


def rated_score_rows(method: str, seed: int = 0) -> list[dict[str, Any]]:
    """Every score of a method's rate curves and of its consistency, at random; the no-op flips nothing."""
    rng = np.random.default_rng([seed, 7, METHODS.index(method) if method in METHODS else 9])
    rows, still = [], method == "noop"
    for attribute in (*EVALUATED, "all"):
        more: dict[str, Any] = {"protocol": "rates-1", "n_faces": 6, "n_images": 60, "better": "higher"}
        for metric, judge in (("preservation_area", "scorer_b"), ("acceptance_area", "recognizer_b")):
            value = 0.0 if still else rng.uniform(0.3, 0.9)
            rows.append(score(method, attribute, metric, value, **(more | {"network": judge})))
        for metric, judge in (("preservation_rate", "scorer_b"), ("acceptance_rate", "recognizer_b")):
            for level in (0.5, 0.75, 0.9):
                found = float("nan") if still else rng.uniform(0.4, 1.0)
                flag = {"flag": "the target-change rate is not reached"} if still else {}
                rows.append(
                    score(method, attribute, metric, found, **(more | {"network": judge, "level": level} | flag))
                )
    for metric in ("consistency_displacement", "order_score_spread", "undo_displacement"):
        value = 0.0 if still else rng.uniform(0.01, 0.4)
        rows.append(
            score(method, "all", metric, value, network="none", protocol="consistency-1", n_faces=3, n_images=3)
        )
    return rows


@cache
def scores(run_id: str = "20261120T031500Z-1a2b3c4d", methods: tuple[str, ...] = METHODS, seed: int = 0) -> pa.Table:
    """SCORES of a run."""
    of_all = (score_rows, matched_score_rows, rated_score_rows)
    found = [row for rows_of in of_all for method in methods for row in rows_of(method, seed)]
    rows = [{"run_id": run_id, "run_date": DATE, **row} for row in found]
    return pa.Table.from_pylist(rows, schema=SCORES)

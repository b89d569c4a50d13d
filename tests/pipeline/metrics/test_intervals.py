"""No score lies outside its interval, and no interval outside its metric's bounds: every metric, few and many faces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.metrics.base import (
    CONSISTENCY,
    GRID,
    MATCHED,
    RATES,
    EditSet,
    Judgement,
    MatchedSet,
    Measured,
    Metric,
    RateSet,
    Reference,
    get,
    names,
)
from pipeline.metrics.inception_score import folded
from pipeline.statistics.bootstrap import Bootstrap, Estimate
from tests.builders import random_run
from tests.builders.edit_sets import edit_set, matched_set

FACES = (2, 3, 5, 24)
SEEDS = range(3)


def grid_set(faces: int, seed: int) -> EditSet:
    """Faces that differ, steps that differ less, shares at their ends; vectors and classes of faces apart."""
    rng, steps = np.random.default_rng([seed, faces]), 6

    def drawn(*shape: int) -> np.ndarray:
        return (rng.normal(size=(faces, 1, *shape)) + 0.3 * rng.normal(size=(faces, steps, *shape))).astype(np.float32)

    def share(power: float) -> np.ndarray:
        return (1 / (1 + np.exp(-power * drawn()))).ravel()

    small = share(2.0) * 0.05
    return edit_set(
        faces=faces,
        steps=steps,
        features=drawn(8).reshape(-1, 8),
        originals=np.repeat(rng.normal(size=(faces, 8)).astype(np.float32), steps, axis=0),
        logits=3 * drawn(5).reshape(-1, 5),
        reference=Reference(
            rng.normal(size=(300, 8)).astype(np.float32), 3 * rng.normal(size=(300, 5)).astype(np.float32)
        ),
        detected=rng.random(faces * steps) < 0.95,
        edited_value=share(1.0),
        **{f"identity_{name}": small for name in ("mtcnn", "recognizer_a", "recognizer_b")},
        true_identity_distance=small * 20,
        lpips=small,
        ssim=1 - small,
        local_share=share(4.0),
        bootstrap=Bootstrap(200, 0.95, seed),
    )


def matched_at(faces: int, seed: int) -> MatchedSet:
    rng = np.random.default_rng([seed, faces])
    reached = rng.random(2 * faces) < 0.8
    reached[:2] = True
    edits = matched_set(
        faces=faces, reached=reached, lpips=rng.gamma(0.5, size=2 * faces), change_b=rng.normal(size=2 * faces)
    )
    edits.changes[:] = rng.normal(size=edits.changes.shape)
    return edits


def rate_set(faces: int, seed: int, level: float | None) -> RateSet:
    rng, strengths = np.random.default_rng([seed, faces]), 5
    face, index = (places.ravel() for places in np.indices((faces, strengths)))
    columns = {"face_id": face, "strength_index": index + 1, "flipped": rng.random(len(face)) < 0.2 * index}
    columns |= {name: 1 - rng.random(len(face)) / 5 for name in ("preserved", "accepted")}
    return RateSet(method="m", attribute="age", columns=columns, bootstrap=Bootstrap(200, 0.95, seed), level=level)


def consistency_set(faces: int, seed: int) -> Measured:
    rng = np.random.default_rng([seed, faces])
    columns: dict[str, np.ndarray] = {"face_id": np.arange(faces)}
    for name in ("displacement", "order_score_spread", "order_displacement", "order_lpips", "at_once_score_difference"):
        columns[name] = rng.gamma(0.3, size=faces)
    for name in ("at_once_displacement", "at_once_lpips", "undo_displacement", "undo_identity_recognizer_b"):
        columns[name] = rng.gamma(0.3, size=faces)
    columns["undo_lpips"] = rng.gamma(0.3, size=faces)
    return Measured(method="m", attribute="all", columns=columns, bootstrap=Bootstrap(200, 0.95, seed))


def judged(faces: int, seed: int) -> Iterator[tuple[Metric, Judgement]]:
    """What every metric says of sets of so many faces."""
    sets = {name: [grid_set(faces, seed)] for name in GRID}
    sets |= {MATCHED: [matched_at(faces, seed)], CONSISTENCY: [consistency_set(faces, seed)]}
    sets[RATES] = [rate_set(faces, seed, level) for level in (None, 0.5, 0.75)]
    for protocol, given in sets.items():
        for metric in map(get, names(protocol)):
            for edits in given:
                for judgement in metric.score(edits):
                    yield metric, judgement


@pytest.mark.parametrize("faces", FACES)
def test_every_metric_s_value_is_in_its_interval_and_that_within_bounds(faces: int) -> None:
    seen = set()
    for seed in SEEDS:
        for metric, judgement in judged(faces, seed):
            found = metric.within_bounds(judgement.estimate)
            if not np.isfinite(found.value) or found.low is None or found.high is None:
                assert found.low is None and found.high is None, metric.name
                continue
            seen.add(metric.name)
            assert found.low <= found.value <= found.high, (metric.name, found)
            assert metric.bounds[0] <= found.low and found.high <= metric.bounds[1], (metric.name, found)
    assert seen >= set(names()) - {"preservation_rate", "acceptance_rate", "inception_score"} - {
        "inception_score_spread",
        "inception_score_difference",
    }
    assert faces < 24 or seen == set(names())


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (0.4, -0.2, 0.9, (0.4, 0.0, 0.9)),
        (-0.4, -0.9, 0.2, (0.4, 0.0, 0.9)),
        (-0.1, -0.2, 0.9, (0.1, 0.0, 0.9)),
        (0.4, 0.1, 0.9, (0.4, 0.1, 0.9)),
        (-0.4, -0.9, -0.1, (0.4, 0.1, 0.9)),
    ],
)
def test_an_absolute_difference_folds_at_zero(
    value: float, low: float, high: float, expected: tuple[float, ...]
) -> None:
    found = folded(Judgement(Estimate(value, low, high, 9, 90))).estimate
    assert (found.value, found.low, found.high) == pytest.approx(expected)


def test_differences_and_ranks_lie_in_their_intervals() -> None:
    tables = {name: table.to_pandas() for name, table in random_run.whole().items()}
    known = tables["differences"].dropna(subset=["ci_low"])
    assert len(known) > 100
    assert ((known["ci_low"] <= known["difference"]) & (known["difference"] <= known["ci_high"])).all()
    width = known["metric"].map(lambda name: get(name).bounds[1] - get(name).bounds[0])
    assert ((known["ci_low"] >= -width) & (known["ci_high"] <= width)).all()
    ranks = tables["ranks"].dropna(subset=["rank_low"])
    assert ((ranks["rank_low"] <= ranks["rank"]) & (ranks["rank"] <= ranks["rank_high"])).all()

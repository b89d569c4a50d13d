from __future__ import annotations

import numpy as np
import pytest

from pipeline.scorer_training.generated.ridge import (
    CONSTANT,
    calibrate,
    expit,
    fit_head,
    left_out_residuals,
    logit,
    scale,
)


def data(seed: int, faces: int, features: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((faces, features)).astype(np.float32)
    truth = np.random.default_rng(0).standard_normal(features) / features**0.5
    return 3 * x + 5, expit(2 * x @ truth + noise * rng.standard_normal(faces))


def test_left_out_residuals_agree_with_leaving_out_one_face_after_the_other() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((12, 20)), rng.standard_normal((12, 2))
    gram = x @ x.T + 0.3 * np.eye(12)
    inverse = np.linalg.inv(gram)
    found = left_out_residuals(inverse, inverse @ y, 2)
    for face in range(6):
        out = np.isin(np.arange(12), (2 * face, 2 * face + 1))
        dual = np.linalg.solve(gram[np.ix_(~out, ~out)], y[~out])
        np.testing.assert_allclose(found[out], y[out] - (x @ x.T)[np.ix_(out, ~out)] @ dual, rtol=1e-9)


def test_a_head_reads_continuous_values_and_yes_or_no_and_is_calibrated() -> None:
    x, y = data(2, 300, 60, 0.2)
    x2, y2 = data(3, 4000, 60, 0.2)
    answers = (np.random.default_rng(5).random(300) < y).astype(float)
    values = np.stack([y, answers, np.where(np.arange(300) % 3 == 0, np.nan, y), np.full(300, 0.5)], axis=1)
    head = fit_head(x, values, np.arange(300), [20, 40])
    found = expit(x2 @ head.weight.T + head.bias)
    for column, least in ((0, 0.95), (1, 0.7), (2, 0.9)):
        assert np.corrcoef(found[:, column], y2)[0, 1] > least
        assert abs(found[:, column].mean() - y2.mean()) < 0.05
    assert np.isnan(head.strength[3]) and not head.weight[3].any(), "labels that are all alike teach nothing"


def test_mirrored_pictures_are_no_second_face() -> None:
    """Pure noise, every row twice: left out one by one, the copy would give the answer away."""
    rng = np.random.default_rng(6)
    x = np.repeat(rng.standard_normal((60, 200)).astype(np.float32), 2, axis=0)
    values = np.repeat(rng.random((60, 1)).round(), 2, axis=0)
    head = fit_head(x, values, np.repeat(np.arange(60), 2), [200])
    fresh = rng.standard_normal((1000, 200)) @ head.weight.T
    leaky = rng.standard_normal((1000, 200)) @ fit_head(x, values, np.arange(120), [200]).weight.T
    assert np.abs(fresh).std() < 1 < np.abs(leaky).std()
    with pytest.raises(ValueError, match="next to each other"):
        fit_head(x, values, np.tile(np.arange(60), 2), [200])


def test_calibration_finds_slope_and_level() -> None:
    scores = np.linspace(-4, 4, 400)
    slope, level, loss = calibrate(scores, expit(0.7 * scores - 1))
    assert slope == pytest.approx(0.7, abs=1e-3) and level == pytest.approx(-1, abs=1e-3) and loss < 0.6
    against, level, _ = calibrate(scores, expit(-scores - 1))
    assert against == 0 and expit(np.array(level)) == pytest.approx(expit(-scores - 1).mean())


def test_groups_weigh_alike() -> None:
    x, _ = data(7, 200, 50, 0)
    scaled = scale(x, [10, 40])(x)
    assert (scaled**2)[:, :10].sum() == pytest.approx((scaled**2)[:, 10:].sum(), rel=1e-3)
    assert CONSTANT > 1 and logit(expit(np.array(0.3))) == pytest.approx(0.3)

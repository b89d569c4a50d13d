"""How well spaces keep attributes apart: DCI and probes know their ends, and agree with slow formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline import attributes
from pipeline.domains.synthface.factors import FACTOR_NAMES
from pipeline.domains.synthface.truth import make_mapping
from pipeline.domains.synthface.verification import latent_space as space
from pipeline.domains.synthface.verification import probes, samples
from pipeline.domains.synthface.verification.dci import EXTREME, dci, disentanglement, extremes, kept, tree_gains
from stylegan.mapping import MappingNetwork


@pytest.fixture(scope="module")
def mapping() -> MappingNetwork:
    return make_mapping().requires_grad_(False)


# DCI


def test_dci_knows_its_ends() -> None:
    assert dci(np.eye(6)) == pytest.approx((1.0, 1.0))
    assert dci(np.ones((6, 4))) == pytest.approx((0.0, 0.0))


def test_a_dimension_without_importance_does_not_count() -> None:
    padded = np.vstack([np.eye(3), np.zeros((5, 3))])
    assert dci(padded)[0] == pytest.approx(1.0)


def test_several_dimensions_of_one_attribute_are_disentangled_but_not_complete() -> None:
    rows = np.repeat(np.eye(2), 2, axis=0) / 2
    assert dci(rows) == pytest.approx((1.0, 0.5))


def test_dci_agrees_with_the_slow_formula() -> None:
    rows = np.random.default_rng(4).random((7, 5))
    total = 0.0
    for row in rows:
        share = row / row.sum()
        entropy = -sum(p * np.log(p) / np.log(5) for p in share)
        total += row.sum() / rows.sum() * (1 - entropy)
    assert dci(rows)[0] == pytest.approx(total)


@pytest.mark.parametrize("rows", [np.zeros((3, 3)), -np.eye(3), np.ones((1, 3)), np.full((2, 2), np.nan)])
def test_importances_that_are_none_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="importances"):
        dci(rows)


def test_extremes_and_kept_attributes() -> None:
    low, high = extremes(np.linspace(1, 0, 1000))
    assert set(low) == set(range(980, 1000)) and set(high) == set(range(20))
    values = np.zeros((1000, 35))
    values[:49, 0], values[:50, 1], values[:950, 2], values[:951, 3] = 1, 1, 1, 1
    assert kept(values) == [1, 2]


def test_tree_gains_follow_scikit_learns_importances() -> None:
    from sklearn.ensemble import GradientBoostingClassifier

    rng = np.random.default_rng(5)
    codes = rng.standard_normal((400, 6)).astype(np.float32)
    sides = (codes[:, 1] + 0.5 * codes[:, 4] + 0.2 * rng.standard_normal(400) > 0).astype(np.int64)
    gains, vote = tree_gains(codes, sides, 0)
    reference = GradientBoostingClassifier(random_state=0).fit(codes, sides).feature_importances_
    assert gains.sum() == pytest.approx(1)
    assert np.abs(gains - reference).max() < 0.08
    assert (vote(codes) == sides).mean() > 0.95


def test_a_space_of_its_own_axes_is_disentangled_and_a_mixed_one_is_not() -> None:
    rng = np.random.default_rng(6)
    count = int(60 / EXTREME)
    values = np.full((count, 35), 0.2)
    values[:, :5] = rng.random((count, 5))
    mixing = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    own = disentanglement(lambda places: values[places, :5], values)
    mixed = disentanglement(lambda places: values[places, :5] @ mixing, values)
    assert own.attributes == attributes.NAMES[:5]
    assert own.disentanglement > 0.9 and own.completeness > 0.9 and own.informativeness > 0.97
    assert mixed.disentanglement < own.disentanglement - 0.2


# Probes


def test_probes_read_what_they_can() -> None:
    rng = torch.Generator().manual_seed(7)
    codes = torch.randn(2000, 6, generator=rng)
    truth = torch.stack([codes[:, 0] - codes[:, 1], codes[:, 2] * codes[:, 3]], dim=1)
    linear = probes.linear_r2(codes, truth, 1500)
    boosted = probes.boosted_r2(codes, truth, 1500, seed=1)
    network = probes.network_r2(codes, truth, 1500, seed=1, epochs=30)
    assert linear[0] > 0.999 and linear[1] < 0.05
    assert boosted[1] > 0.5
    assert network.min() > 0.8
    assert np.array_equal(network, probes.network_r2(codes, truth, 1500, seed=1, epochs=30))


def test_the_gap_counts_the_eight() -> None:
    linear, nonlinear = np.zeros(35), np.zeros(35)
    nonlinear[[attributes.INDEX[name] for name in ("age", "yaw", "smile", "blur")]] = 0.06
    count, *rows = space.gap_figures("factors", linear, nonlinear, 100)
    assert count.figure == 3 and count.passes is False
    assert {row.subject for row in rows if row.figure > 0.05} == {"age", "yaw", "smile"}


def test_probes_of_w_give_a_row_per_factor(mapping: MappingNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PROBE_TRAIN", 400), ("BOOSTED_TRAIN", 100)):
        monkeypatch.setattr(space, name, value)
    monkeypatch.setattr(probes, "TREES", 1)
    w = samples.draw_w(mapping, samples.W_SEED, 600)
    rows = space.probe_figures(w, space.truth_of(w), space.normals_of(w))
    linear = {row.subject: row.figure for row in rows if row.bar == "linear probe of w, R2"}
    assert {*FACTOR_NAMES, "normal of age", "mean of 35 attributes"} <= set(linear)
    assert sum(row.passes is not None for row in rows) == 2

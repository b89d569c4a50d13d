"""Factors: FFHQ's statistics, and randomness that depends on (seed, id) alone."""

import numpy as np
import pytest
import torch

from pipeline import attributes
from pipeline.domains.synthface import copula, factors
from pipeline.domains.synthface.marginals import median, statistics

MANY = 20_000


@pytest.fixture(scope="module")
def drawn() -> torch.Tensor:
    return factors.draw_factors(3, range(MANY))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mid-ranks, the slow way round: the mean place of each value's ties."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _targets() -> np.ndarray:
    stored = statistics()
    order = [stored["names"].index(name) for name in attributes.NAMES]
    rows = [[stored["spearman"][name][place] for place in order] for name in attributes.NAMES]
    return np.array(rows, dtype=float)  # None, unknown, becomes nan


def test_attributes_come_first_in_their_order() -> None:
    assert factors.FACTOR_NAMES[:35] == attributes.NAMES
    assert {factor.kind for factor in factors.FACTORS[:35]} == {"attribute"}
    assert sorted([*range(35), *factors.IDENTITY_INDEX, *factors.NUISANCE_INDEX]) == list(range(factors.N_FACTORS))


def test_every_factor_names_known_parts() -> None:
    assert all(factor.parts and set(factor.parts) <= set(factors.PARTS) for factor in factors.FACTORS)
    assert len(set(factors.FACTOR_NAMES)) == factors.N_FACTORS


def test_factors_lie_in_the_unit_interval(drawn: torch.Tensor) -> None:
    assert drawn.dtype == torch.float32
    assert drawn.min() >= 0 and drawn.max() <= 1


def test_a_row_depends_on_seed_and_id_alone(drawn: torch.Tensor) -> None:
    ids = [5000, 7, 1024, 7, 1023]
    assert torch.equal(factors.draw_factors(3, ids), drawn[ids])
    assert torch.equal(factors.draw_factors(3, torch.tensor(ids)), drawn[ids])
    assert not torch.equal(factors.draw_factors(4, ids), drawn[ids])


def test_quantiles_are_those_of_ffhq(drawn: torch.Tensor) -> None:
    kinds = [attributes.get(name).kind for name in attributes.NAMES]
    assert "binary" in kinds and len(set(kinds)) > 1
    for column, name in enumerate(attributes.NAMES):
        limits, entry = attributes.get(name), statistics()["attributes"][name]
        values = drawn[:, column] * (limits.high - limits.low) + limits.low
        if limits.kind == "binary":
            assert abs(float(values.mean()) - entry["share_above_half"]) < 0.012, name
            continue
        for probability, expected in entry["quantiles"].items():
            if 0.01 < float(probability) < 0.99:
                share = float((values <= max(expected, limits.low) + 1e-5).float().mean())
                assert share > float(probability) - 0.015, (name, probability)


def test_rank_correlations_are_those_of_ffhq(drawn: torch.Tensor) -> None:
    ranks = np.stack([_ranks(column) for column in drawn[:, :35].numpy().T])
    deviation = np.abs(np.corrcoef(ranks) - _targets())
    assert np.nanmax(deviation) < 0.06  # .04 and the scatter of this many draws


def test_shipped_latent_correlation_is_one() -> None:
    matrix = copula.latent_correlation().numpy()
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), 1)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_nearest_correlation_keeps_a_correlation_and_mends_another() -> None:
    good = np.array([[1, 0.3, 0.2], [0.3, 1, 0.1], [0.2, 0.1, 1]])
    assert np.allclose(copula.nearest_correlation(good), good, atol=1e-6)
    broken = np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    mended = copula.nearest_correlation(broken)
    assert np.linalg.eigvalsh(mended).min() > 0
    assert np.allclose(np.diag(mended), 1)


def test_kinds_of_glasses_never_contradict(drawn: torch.Tensor) -> None:
    reading, sun, worn = (drawn[:, factors.column(n)] for n in ("reading_glasses", "sunglasses", "glasses"))
    assert float((reading * sun).max()) == 0
    assert torch.all(worn >= torch.maximum(reading, sun))
    assert 0.17 < float(worn.mean()) < 0.21


def test_medians_are_the_quantiles_at_one_half() -> None:
    half = torch.tensor([0.5], dtype=torch.float64)
    medians = [float(torch.tensor(median(name))) for name in attributes.NAMES]
    assert medians == [float(copula.quantile(name, half).float()) for name in attributes.NAMES]

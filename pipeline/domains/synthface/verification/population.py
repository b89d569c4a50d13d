"""Checks of the factors' distribution: 100,000 held-out draws against FFHQ's statistics in `statistics.json`.

A pair of attributes has a bar if both have at least 1 % positives (`share_above_half`). Hair under headwear has no
measured colour, so those pairs have none. Quantiles are compared at every probability in the statistics, including the
smallest and the largest value, clipped to the attribute's limits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import rankdata

from pipeline import attributes
from pipeline.domains.synthface.factors import attributes_of, draw_factors
from pipeline.domains.synthface.marginals import statistics
from pipeline.domains.synthface.verification.figures import Bench, Figure
from pipeline.domains.synthface.verification.samples import FACTOR_SEED

DRAWS = 100_000
LARGEST = 0.05  # deviation of a rank correlation, and of a quantile over its full range
POSITIVES = 0.01
CHUNK = 16_384


def measure(bench: Bench) -> list[Figure]:
    """All figures of the population."""
    return bench.measure(f"{DRAWS:,} draws", lambda: figures(drawn(DRAWS)))


def drawn(count: int) -> np.ndarray:
    """Attribute values (count, 35) of held-out faces."""
    starts = range(0, count, CHUNK)
    parts = [attributes_of(draw_factors(FACTOR_SEED, range(a, min(count, a + CHUNK)))) for a in starts]
    return torch.cat(parts).numpy()


def figures(values: np.ndarray) -> list[Figure]:
    """Deviations of values (N, 35) in [0, 1] from the statistics."""
    return [*correlation_figures(values), *quantile_figures(values)]


def targets() -> np.ndarray:
    """The rank correlations (35, 35) in the statistics; NaN if not measured."""
    stored = statistics()
    order = [stored["names"].index(name) for name in attributes.NAMES]
    rows = [[stored["spearman"][name][place] for place in order] for name in attributes.NAMES]
    return np.array(rows, dtype=np.float64)


def rank_correlations(values: np.ndarray) -> np.ndarray:
    """Spearman's correlations (K, K) of the columns of values (N, K), ties at their mean rank."""
    return np.corrcoef(rankdata(values, axis=0), rowvar=False)


def correlation_figures(values: np.ndarray) -> list[Figure]:
    """The largest deviation among pairs of common attributes, and among the other pairs."""
    names, stored = attributes.NAMES, statistics()["attributes"]
    deviation = np.abs(rank_correlations(values) - targets())
    share = np.array([stored[name]["share_above_half"] for name in names])
    common = np.outer(share >= POSITIVES, share >= POSITIVES)
    pairs = np.triu(np.ones_like(common), 1) & ~np.isnan(deviation)
    found = []
    for subject, chosen, limit in (
        ("common pairs", pairs & common, LARGEST),
        ("pairs with a rare one", pairs & ~common, None),
    ):
        masked = np.where(chosen, deviation, -1.0)
        row, other = np.unravel_index(int(masked.argmax()), masked.shape)
        note = f"{names[row]} and {names[other]}; the largest of {int(chosen.sum())} pairs"
        found.append(
            Figure(
                "rank correlations, largest deviation",
                subject,
                float(masked[row, other]),
                len(values),
                "<=" if limit is not None else "",
                limit,
                note,
            )
        )
    return found


def quantile_figures(values: np.ndarray) -> list[Figure]:
    """Per attribute the largest deviation of a quantile, as a share of the full range."""
    stored, found = statistics()["attributes"], []
    for column, attribute in enumerate(attributes.ATTRIBUTES):
        knots: dict[str, float] = stored[attribute.name]["quantiles"]
        probabilities: Sequence[float] = [float(text) for text in knots]
        span = attribute.high - attribute.low
        wanted = ((np.array(list(knots.values())) - attribute.low) / span).clip(0, 1)
        apart = np.abs(np.quantile(values[:, column], probabilities, method="inverted_cdf") - wanted)
        worst = int(apart.argmax())
        share = float((values[:, column] > 0.5).mean())
        expected = stored[attribute.name]["share_above_half"]
        note = f"at probability {probabilities[worst]:g}"
        note += f"; share of positives {share:.4f}, FFHQ's {expected:.4f}" if attribute.kind == "binary" else ""
        bar = "quantiles, largest deviation"
        found.append(Figure(bar, attribute.name, float(apart[worst]), len(values), "<=", LARGEST, note))
    return found

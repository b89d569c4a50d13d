"""A linear head by ridge regression, with a calibrated logistic function; its strength by cross-validation, exactly.

The targets are logits of values, kept within LIMIT of 0 and 1, so that yes and no, grades and continuous values are one
case. There are more features than faces: everything is solved in the space of faces, through K = X X^T. With
G = (K + lambda)^-1 and a = G y, the residual of a group S of faces that is left out is G_SS^-1 a_S (for single faces:
Wahba, 1990): a picture and its mirrored picture are left out together. Of each attribute's left-out scores s, a
logistic function of slope * s + level gives values, fitted by the cross-entropy; the strength with the smallest one is
taken, per attribute. A constant feature takes the part of an intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LIMIT = 0.03  # least distance of a value from 0 and 1 before its logit is taken
STRENGTHS = tuple(float(10.0**power) for power in np.arange(-4.0, 2.1, 0.5))  # lambda over the mean of K's diagonal
CONSTANT = 10.0  # of the constant feature's square, over the mean of K's diagonal
STEPS = 50  # of Newton's method


@dataclass(frozen=True)
class Head:
    """Logits of features (N, d): features @ weight.T + bias; `weight` (attributes, d), `bias` (attributes,).

    `strength` (attributes,) is the chosen lambda over the mean of K's diagonal, NaN without labels on both sides.
    """

    weight: np.ndarray
    bias: np.ndarray
    strength: np.ndarray


@dataclass(frozen=True)
class Scale:
    """Features (N, d) with mean 0 and deviation 1 over the training faces, each group with the same total."""

    mean: np.ndarray
    factor: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return (features - self.mean) * self.factor


def scale(features: np.ndarray, groups: list[int]) -> Scale:
    """The scale of training features (N, d); `groups` are the numbers of features of each group, d in all."""
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    least = max(float(np.median(deviation)) * 1e-2, 1e-9)  # a feature that hardly varies would be all noise
    share = np.concatenate([np.full(size, size**-0.5) for size in groups])
    return Scale(mean.astype(np.float32), (share / np.maximum(deviation, least)).astype(np.float32))


def fit_head(features: np.ndarray, values: np.ndarray, pairs: np.ndarray, groups: list[int]) -> Head:
    """The head of training features (N, d), values (N, attributes) with NaN where unknown.

    Rows with one number of `pairs` (N,) are one face, seen once or twice; rows of a face are next to each other, and
    all faces have as many.
    """
    scaled = scale(features, groups)
    x = scaled(features)
    gram = (x @ x.T).astype(np.float64)
    count = values.shape[1]
    weight, bias, strength = np.zeros((count, x.shape[1])), np.zeros(count), np.full(count, np.nan)
    for columns in _same_rows(values):
        known = ~np.isnan(values[:, columns[0]])
        solved = _solve(gram[np.ix_(known, known)], values[known][:, columns], _repeats(pairs[known]))
        for place, column in enumerate(columns):
            dual, level, strength[column] = solved[place]
            weight[column] = (dual.astype(np.float32) @ x[known]) * scaled.factor
            bias[column] = level - float(weight[column] @ scaled.mean)
    return Head(weight.astype(np.float32), bias.astype(np.float32), strength)


def _same_rows(values: np.ndarray) -> list[list[int]]:
    """Columns that are known for the same rows, together; columns whose known labels are all alike are left out."""
    found: dict[bytes, list[int]] = {}
    for column in range(values.shape[1]):
        known = ~np.isnan(values[:, column])
        if known.any() and np.ptp(values[known, column]) > 0:
            found.setdefault(known.tobytes(), []).append(column)
    return list(found.values())


def _repeats(pairs: np.ndarray) -> int:
    """How often each face occurs. Raises ValueError unless all occur as often, in rows next to each other."""
    starts = np.flatnonzero(np.diff(pairs, prepend=pairs[0] - 1))
    sizes = np.diff(np.append(starts, len(pairs)))
    if len(np.unique(pairs)) != len(starts) or (sizes != sizes[0]).any():
        raise ValueError("Expected the rows of each face next to each other, and as many of every face.")
    return int(sizes[0])


def _solve(gram: np.ndarray, values: np.ndarray, repeats: int) -> list[tuple[np.ndarray, float, float]]:
    """Per column: dual coefficients (n,) with the slope in them, the bias, and the strength."""
    unit = float(np.mean(np.diag(gram)))
    eigenvalues, vectors = np.linalg.eigh(gram + CONSTANT * unit)
    targets = logit(np.clip(values, LIMIT, 1 - LIMIT))
    turned = vectors.T @ targets
    best: list[tuple[float, np.ndarray, float, float]] = [(np.inf, np.empty(0), 0.0, np.nan)] * values.shape[1]
    for strength in STRENGTHS:
        inverse = 1 / (np.maximum(eigenvalues, 0) + strength * unit)
        duals = vectors @ (inverse[:, None] * turned)
        scores = targets - left_out_residuals((vectors * inverse) @ vectors.T, duals, repeats)
        for column in range(values.shape[1]):
            slope, level, loss = calibrate(scores[:, column], values[:, column])
            if loss < best[column][0]:
                dual = duals[:, column] * slope
                best[column] = (loss, dual, level + float(dual.sum()) * CONSTANT * unit, strength)
    return [(dual, level, strength) for _, dual, level, strength in best]


def left_out_residuals(inverse: np.ndarray, duals: np.ndarray, repeats: int) -> np.ndarray:
    """Residuals (n, columns) of rows that are left out `repeats` at a time: G_SS^-1 a_S for each run S of rows."""
    faces = len(duals) // repeats
    runs = np.arange(len(duals)).reshape(faces, repeats)
    blocks = inverse[runs[:, :, None], runs[:, None, :]]
    return np.asarray(np.linalg.solve(blocks, duals.reshape(faces, repeats, -1)).reshape(len(duals), -1))


def calibrate(scores: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """Slope, level and mean cross-entropy of values in [0, 1] by the logistic function of slope * score + level.

    The slope is never negative. Newton's method, with a weak pull to a slope of 1 and a level of 0.
    """
    at = np.array([1.0, 0.0])
    rows = np.stack([scores, np.ones_like(scores)], axis=1)
    pull = np.array([1e-3, 1e-3])
    for _ in range(STEPS):
        found = expit(rows @ at)
        gradient = rows.T @ (found - values) + pull * (at - (1.0, 0.0))
        curvature = (rows * (found * (1 - found))[:, None]).T @ rows + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        at = at - step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    if at[0] < 0:
        at = np.array([0.0, float(logit(np.clip(values.mean(), 1e-6, 1 - 1e-6)))])
    found = np.clip(expit(rows @ at), 1e-7, 1 - 1e-7)
    loss = -(values * np.log(found) + (1 - values) * np.log(1 - found)).mean()
    return float(at[0]), float(at[1]), float(loss)


def logit(values: np.ndarray) -> np.ndarray:
    """The inverse of the logistic function."""
    return np.asarray(np.log(values / (1 - values)))


def expit(logits: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))

"""Random perception vectors of faces and of a reference, of one seed, for distances between sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipeline.metrics.base import Reference


def sets(faces: int, images: int, width: int, *, reference: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors (faces * images, width) float64 of edited images, the face of each, and of a reference's."""
    rng = np.random.default_rng([61, faces, images, width])
    mixing = rng.normal(size=(width, width)) / width**0.5
    of_faces = np.repeat(np.arange(faces), images)
    features = rng.normal(size=(faces, width))[of_faces] + 0.3 * rng.normal(size=(len(of_faces), width)) + 0.2
    return np.abs(features @ mixing), of_faces, np.abs(rng.normal(size=(reference, width)) @ mixing)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance."""
    return features.mean(axis=0), np.cov(features, rowvar=False)


def reference_of(features: np.ndarray) -> Reference:
    """A reference of these vectors, without logits."""
    from pipeline.metrics.base import Reference

    return Reference(features, np.zeros((1, 1)))

"""What a metric is, what it sees, and the names of all metrics. No torch.

A metric is a file with a `Metric`: its facts and a function from an `EditSet` to one `Judgement` per network that
judged. A new one is a new file and a line in BUILT_IN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module

import numpy as np

from pipeline.errors import LatentbenchError, UnknownNameError
from pipeline.statistics import Bootstrap, Estimate

ALL = "all"  # the attribute of a score over all attributes
NO_NETWORK = "none"


@dataclass(frozen=True)
class Reference:
    """Unedited images: perception vectors (N, d) and class logits (N, classes), float32."""

    features: np.ndarray
    logits: np.ndarray

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and covariance (d, d) of the perception vectors, float64."""
        features = self.features.astype(np.float64)
        return features.mean(axis=0), np.cov(features, rowvar=False)

    @cached_property
    def root(self) -> np.ndarray:
        """Symmetric square root (d, d) of the covariance."""
        values, vectors = np.linalg.eigh(self.moments[1])
        return np.asarray((vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T)


@dataclass(frozen=True)
class Rules:
    """What of the protocol metrics need."""

    kid_subsets: int = 100
    kid_subset_size: int = 1000
    inception_score_splits: int = 10


@dataclass(frozen=True)
class EditSet:
    """The measured edits of one method, for one attribute or for all of them (`attribute` = "all").

    columns: those of the edits table, by name, each (N,), ordered by attribute, face and step. features (N, d), logits
    (N, classes): the perception net's, in the same order. timings: columns of the timings table.
    """

    method: str
    attribute: str
    columns: Mapping[str, np.ndarray]
    features: np.ndarray
    logits: np.ndarray
    reference: Reference
    timings: Mapping[str, np.ndarray]
    bootstrap: Bootstrap = field(default_factory=Bootstrap)
    rules: Rules = field(default_factory=Rules)

    @property
    def faces(self) -> np.ndarray:
        """Each image's face id, (N,): what is resampled for intervals."""
        return self.columns["face_id"]

    def __len__(self) -> int:
        return len(self.faces)

    def mean(self, values: np.ndarray, where: np.ndarray | None = None) -> Estimate:
        """Mean of values (N,) over the images, or those `where` (N,) is true, with its interval."""
        chosen = np.ones(len(self), dtype=bool) if where is None else where
        return self.bootstrap.mean(values[chosen], self.faces[chosen])

    def rows_by_edit(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows (E, steps) of every (attribute, face), steps in order, and the face of each, (E,).

        Raises LatentbenchError if the edits do not all have the same number of steps.
        """
        attributes = np.unique(self.columns["attribute"], return_inverse=True)[1]
        order = np.lexsort((self.columns["step"], self.faces, attributes))
        edits = len(np.unique(np.stack([attributes, self.faces]), axis=1).T)
        if not edits or len(order) % edits:
            raise LatentbenchError(f"{len(order)} images of {edits} edits: some step is missing. Run `edits` again.")
        rows = order.reshape(edits, -1)
        return rows, self.faces[rows[:, 0]]


@dataclass(frozen=True)
class Samples:
    """What a mean is taken of: values (M,), the id of each one's face (M,), the role of the network that judged.

    A sample is an image, or one edit of a face over all its steps. The samples of all attributes are those of each.
    """

    values: np.ndarray
    faces: np.ndarray
    role: str = NO_NETWORK

    def estimate(self, bootstrap: Bootstrap) -> Estimate:
        """Their mean, with its interval."""
        return bootstrap.mean(self.values, self.faces)


@dataclass(frozen=True)
class Judgement:
    """One score: its estimate, the role of the network that judged, or "none", and why not to rely on it, if so."""

    estimate: Estimate
    role: str = NO_NETWORK
    flag: str = ""


@dataclass(frozen=True)
class Metric:
    """Facts of a metric, and the function that computes it.

    version: raised whenever results change. better: "lower", "higher" or "neither". roles: the domain's networks
    whose judgement it is. minimum_faces, minimum_images: below these a score is flagged. per_attribute: whether
    it is computed for each attribute or over all alone. samples: for a metric that is a mean, what it is the mean of:
    such a metric has differences between methods, and ranks.
    """

    name: str
    version: int
    meaning: str
    paper: str
    unit: str
    better: str
    judge: Callable[[EditSet], list[Judgement]]
    roles: tuple[str, ...] = ()
    minimum_faces: int = 10
    minimum_images: int = 0
    per_attribute: bool = True
    samples: Callable[[EditSet], list[Samples]] | None = None

    def flags(self, judgement: Judgement) -> str:
        """Why a judgement should not be relied on, in words; empty if nothing is known against it."""
        estimate = judgement.estimate
        reasons = [judgement.flag] if judgement.flag else []
        if estimate.n_faces < self.minimum_faces:
            reasons.append(f"fewer than {self.minimum_faces} faces")
        if estimate.n_images < self.minimum_images:
            reasons.append(f"fewer than {self.minimum_images} images")
        return "; ".join(reasons)


# In the order in which tables show them.
BUILT_IN: dict[str, str] = {
    "identity_distance": "pipeline.metrics.identity:IDENTITY_DISTANCE",
    "true_identity_distance": "pipeline.metrics.true_identity_distance:TRUE_IDENTITY_DISTANCE",
    "true_identity_error": "pipeline.metrics.true_identity_distance:TRUE_IDENTITY_ERROR",
    "fid": "pipeline.metrics.fid:FID",
    "kid": "pipeline.metrics.kid:KID",
    "inception_score": "pipeline.metrics.inception_score:INCEPTION_SCORE",
    "inception_score_spread": "pipeline.metrics.inception_score:INCEPTION_SCORE_SPREAD",
    "inception_score_difference": "pipeline.metrics.inception_score:INCEPTION_SCORE_DIFFERENCE",
    "lpips": "pipeline.metrics.lpips:LPIPS",
    "ssim": "pipeline.metrics.ssim:SSIM",
    "attribute_change": "pipeline.metrics.change:ATTRIBUTE_CHANGE",
    "attribute_monotonicity": "pipeline.metrics.change:ATTRIBUTE_MONOTONICITY",
    "detected_share": "pipeline.metrics.detection:DETECTED_SHARE",
    "seconds_per_edit": "pipeline.metrics.speed:SECONDS_PER_EDIT",
    "seconds_per_edit_and_synthesis": "pipeline.metrics.speed:SECONDS_PER_EDIT_AND_SYNTHESIS",
}


def names() -> tuple[str, ...]:
    """Every metric that can be named, in the order in which tables show them."""
    return tuple(BUILT_IN)


def get(name: str) -> Metric:
    """A metric by name. Raises UnknownNameError with the closest known one."""
    if name not in BUILT_IN:
        raise UnknownNameError("metric", name, BUILT_IN)
    module, _, attribute = BUILT_IN[name].partition(":")
    metric = getattr(import_module(module), attribute)
    if not isinstance(metric, Metric) or metric.name != name:
        raise LatentbenchError(f"{BUILT_IN[name]} is not a Metric named {name!r}.")
    return metric

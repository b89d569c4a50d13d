"""The definition of a metric, the edits that it reads, and the registry of all metrics. No torch.

A metric is a file with a `Metric`: its facts, and a function that scores a `Measured` set of edits and returns one
`Judgement` per network that judged. To add one, write the file and add a line to BUILT_IN. `protocols` says which edits
a metric scores: the grid over calibrated ranges (an `EditSet`), edits at matched change (a `MatchedSet`), rate curves
(a `RateSet`), or several of these.

>>> from pipeline.metrics.base import get, names
>>> names("locality-1")
('locality', 'parts_area')
>>> get("ssim").unit, get("ssim").better, get("ssim").bounds
('1', 'higher', (-1.0, 1.0))
>>> get("sim")
Traceback (most recent call last):
    ...
pipeline.errors.UnknownNameError: No metric named 'sim'. Did you mean 'ssim'? ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import import_module
from math import inf
from typing import Any

import numpy as np

from pipeline.errors import LatentbenchError, UnknownNameError
from pipeline.statistics.bootstrap import Bootstrap, Estimate

ALL = "all"  # the attribute of a score over all attributes
NO_NETWORK = "none"
PAPER = "l2l-2022"  # the rule by which images and strengths were chosen: the paper's grid over calibrated ranges
CONSISTENCY = "consistency-1"  # three edits in every order, at once, and one undone
RATES = "rates-1"  # every face towards the other side of its label, at strengths up to the method's largest
MATCHED = "matched-change-1"  # strengths at which the edited attribute has moved equally far
LOCALITY = "locality-1"  # the images of PAPER: where they changed, in a domain that knows where the attribute is
PERCEPTION = "llf-2026"  # the images of PAPER, by the three measures of the LLF paper
GRID = (PAPER, LOCALITY, PERCEPTION)  # the protocols over one and the same images


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

    @cached_property
    def kernel_sums(self) -> dict[tuple[int, ...], float]:
        """What `kid` has summed over its subsets, for the methods that draw the same subsets: filled by `kid`."""
        return {}


@dataclass(frozen=True)
class Splits:
    """Into how many subsets, of how many images, KID and the Inception Score divide a set."""

    kid_subsets: int = 100
    kid_subset_size: int = 1000
    inception_score_splits: int = 10


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measured images of one method, for one attribute or for all attributes (`attribute` = "all").

    columns: of the table that holds the images, by name, each (N,).

    >>> edits = Measured(method="noop", attribute="age", columns={"face_id": np.array([7, 7, 8])})
    >>> len(edits), edits.mean(np.array([1.0, 2.0, 6.0])).value
    (3, 3.0)
    """

    method: str
    attribute: str
    columns: Mapping[str, np.ndarray]
    bootstrap: Bootstrap = field(default_factory=Bootstrap)

    @property
    def faces(self) -> np.ndarray:
        """The face id of each image, (N,). Intervals resample faces."""
        return self.columns["face_id"]

    def __len__(self) -> int:
        return len(self.faces)

    def mean(self, values: np.ndarray, where: np.ndarray | None = None) -> Estimate:
        """Mean of values (N,), with its interval, over the images where `where` (N,) is true; by default over all."""
        chosen = np.ones(len(self), dtype=bool) if where is None else where
        return self.bootstrap.mean(values[chosen], self.faces[chosen])


@dataclass(frozen=True, kw_only=True)
class MatchedSet(Measured):
    """The N edits of one method that reached one level of matched change, as rows of the matched table.

    level: in standard deviations. changes (N, 35): of every attribute, signed, by scorer B, in standard deviations;
    targets (N,): the column of the edited attribute. all_faces, all_reached (M,): for every face and direction that
    was tried, the face id and whether the level was reached.
    """

    level: float
    changes: np.ndarray
    targets: np.ndarray
    all_faces: np.ndarray
    all_reached: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RateSet(Measured):
    """The edits of one method for its rate curves, in rows of the `rates` table.

    level: the target-change rate at which a curve is read; None for scores of a whole curve.
    """

    level: float | None = None


@dataclass(frozen=True, kw_only=True)
class EditSet(Measured):
    """The measured edits of one method on the grid over calibrated ranges.

    columns: of the edits table, ordered by attribute, face and step. features (N, d), logits (N, classes): of the
    perception net, in the same order; originals (N, d): its features of the same face unedited. timings: columns of the
    timings table.
    """

    features: np.ndarray
    logits: np.ndarray
    originals: np.ndarray
    reference: Reference
    timings: Mapping[str, np.ndarray]
    splits: Splits = field(default_factory=Splits)

    @classmethod
    def of_columns(cls, method: str, attribute: str, columns: Mapping[str, np.ndarray]) -> EditSet:
        """Edits without features, logits and timings: `Metric.samples` needs no more."""
        none = np.empty((0, 0), np.float32)
        return cls(
            method=method,
            attribute=attribute,
            columns=columns,
            features=none,
            logits=none,
            originals=none,
            reference=Reference(none, none),
            timings={},
        )

    def rows_by_edit(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows (E, steps) of every (attribute, face), with steps in order, and the face id of each, (E,).

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
    """The samples that a mean averages: values (M,), face ids (M,), and the role of the network that judged.

    A sample is an image, or one edit of a face over all its steps. The samples of all attributes are the samples of
    each attribute, one after the other.

    >>> Samples(np.array([0.0, 1.0, 2.0]), np.array([7, 7, 8])).estimate(Bootstrap()).value
    1.0
    """

    values: np.ndarray
    faces: np.ndarray
    role: str = NO_NETWORK

    def estimate(self, bootstrap: Bootstrap) -> Estimate:
        """The mean of the samples, with its interval."""
        return bootstrap.mean(self.values, self.faces)


@dataclass(frozen=True)
class Judgement:
    """One score: its estimate, the role of the network that judged (or "none"), and why not to rely on it (or "")."""

    estimate: Estimate
    role: str = NO_NETWORK
    flag: str = ""


@dataclass(frozen=True)
class Metric:
    """Facts of a metric, and the function that computes it.

    version: raised whenever results change. better: "lower", "higher" or "neither". roles: of the domain's networks
    that judge. minimum_faces, minimum_images: a score of fewer is flagged. per_attribute: whether there is a score for
    each attribute, or only one over all. protocols: by which edits are chosen that this metric scores. samples: the
    values that a mean metric averages; None if it is not a mean. compared: whether methods have differences and ranks
    by its samples. bounds: smallest and largest possible value; intervals end there. noise: a judge's last digits
    differ from batch to batch, so two means that differ by at most this are equal.

    >>> ssim = get("ssim")
    >>> ssim.within_bounds(Estimate(0.9, 0.7, 1.2, 4, 4)).high
    1.0
    >>> ssim.flags(Judgement(Estimate(0.9, 0.7, 1.0, n_faces=4, n_images=4)))
    'fewer than 10 faces'
    """

    name: str
    version: int
    meaning: str
    paper: str
    unit: str
    better: str
    score: Callable[[Any], list[Judgement]]
    roles: tuple[str, ...] = ()
    minimum_faces: int = 10
    minimum_images: int = 0
    per_attribute: bool = True
    protocols: tuple[str, ...] = (PAPER,)
    samples: Callable[[EditSet], list[Samples]] | None = None
    compared: bool = True
    bounds: tuple[float, float] = (-inf, inf)
    noise: float = 1e-5  # lpips differs by up to 4.5e-6 (20 faces in batches of 1 to 64), the others by less

    def within_bounds(self, estimate: Estimate) -> Estimate:
        """The estimate with its interval cut at `bounds`; the interval still holds the value."""
        value, low, high = estimate.value, estimate.low, estimate.high
        if low is None or high is None:
            return estimate
        least, most = self.bounds
        return replace(estimate, low=min(max(low, least), value), high=max(min(high, most), value))

    @property
    def grid_protocol(self) -> str:
        """The first grid protocol of the metric, under which comparisons list it once; "" if it has none."""
        return next((name for name in GRID if name in self.protocols), "")

    def flags(self, judgement: Judgement) -> str:
        """Why not to rely on a judgement, in words separated by "; "; empty if there is no reason."""
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
    "fid_same_codes": "pipeline.metrics.fid_same_codes:FID_SAME_CODES",
    "kid_same_codes": "pipeline.metrics.kid_same_codes:KID_SAME_CODES",
    "inception_score": "pipeline.metrics.inception_score:INCEPTION_SCORE",
    "inception_score_spread": "pipeline.metrics.inception_score:INCEPTION_SCORE_SPREAD",
    "inception_score_difference": "pipeline.metrics.inception_score:INCEPTION_SCORE_DIFFERENCE",
    "lpips": "pipeline.metrics.lpips:LPIPS",
    "ssim": "pipeline.metrics.ssim:SSIM",
    "locality": "pipeline.metrics.locality:LOCALITY",
    "parts_area": "pipeline.metrics.locality:PARTS_AREA",
    "attribute_change": "pipeline.metrics.change:ATTRIBUTE_CHANGE",
    "attribute_monotonicity": "pipeline.metrics.change:ATTRIBUTE_MONOTONICITY",
    "attribute_dependency_mean": "pipeline.metrics.dependency:ATTRIBUTE_DEPENDENCY_MEAN",
    "attribute_dependency_max": "pipeline.metrics.dependency:ATTRIBUTE_DEPENDENCY_MAX",
    "attribute_change_reported": "pipeline.metrics.reach:ATTRIBUTE_CHANGE_REPORTED",
    "unreached_share": "pipeline.metrics.reach:UNREACHED_SHARE",
    "target_change_rate": "pipeline.metrics.curves:TARGET_CHANGE_RATE",
    "preservation_area": "pipeline.metrics.curves:PRESERVATION_AREA",
    "acceptance_area": "pipeline.metrics.curves:ACCEPTANCE_AREA",
    "preservation_rate": "pipeline.metrics.curves:PRESERVATION_RATE",
    "acceptance_rate": "pipeline.metrics.curves:ACCEPTANCE_RATE",
    "consistency_displacement": "pipeline.metrics.consistency:CONSISTENCY_DISPLACEMENT",
    "order_score_spread": "pipeline.metrics.consistency:ORDER_SCORE_SPREAD",
    "order_displacement": "pipeline.metrics.consistency:ORDER_DISPLACEMENT",
    "order_lpips": "pipeline.metrics.consistency:ORDER_LPIPS",
    "at_once_score_difference": "pipeline.metrics.consistency:AT_ONCE_SCORE_DIFFERENCE",
    "at_once_displacement": "pipeline.metrics.consistency:AT_ONCE_DISPLACEMENT",
    "at_once_lpips": "pipeline.metrics.consistency:AT_ONCE_LPIPS",
    "undo_displacement": "pipeline.metrics.consistency:UNDO_DISPLACEMENT",
    "undo_identity_distance": "pipeline.metrics.consistency:UNDO_IDENTITY",
    "undo_lpips": "pipeline.metrics.consistency:UNDO_LPIPS",
    "detected_share": "pipeline.metrics.detection:DETECTED_SHARE",
    "seconds_per_edit": "pipeline.metrics.speed:SECONDS_PER_EDIT",
    "seconds_per_edit_and_synthesis": "pipeline.metrics.speed:SECONDS_PER_EDIT_AND_SYNTHESIS",
}


def names(*protocols: str) -> tuple[str, ...]:
    """The names of all metrics, or of the metrics of some protocols, in the order of the tables."""
    return tuple(name for name in BUILT_IN if not protocols or set(protocols) & set(get(name).protocols))


def get(name: str) -> Metric:
    """A metric by name. Raises UnknownNameError with the closest known one."""
    if name not in BUILT_IN:
        raise UnknownNameError("metric", name, BUILT_IN)
    return _imported(name, BUILT_IN[name])


@cache
def _imported(name: str, home: str) -> Metric:
    module, _, attribute = home.partition(":")
    metric = getattr(import_module(module), attribute)
    if not isinstance(metric, Metric) or metric.name != name:
        raise LatentbenchError(f"{home} is not a Metric named {name!r}.")
    return metric


def noise_of(name: str) -> float:
    """`Metric.noise` of a metric by name; 0 for a name that is no longer known."""
    return get(name).noise if name in BUILT_IN else 0.0

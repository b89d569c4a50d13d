"""Logits of a scorer's values, and where their standard deviation over unedited images is a unit for changes.

Not every attribute has such a unit. Where most images have none of an attribute, their logits are cut, and the standard
deviation is made by the few others: then a trace of it would count as tens of standard deviations and decide every mean
over the attributes. Such an attribute is left out wherever a change is divided by its spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attributes import ATTRIBUTES

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_LOGIT = 7.0  # beyond, a value is 0 or 1 to three digits, and its logit is noise
# Logits of one image that differ by less are the same. In batches of another size the shipped scorers' differ by up to
# 1.0e-4 (24 faces in batches of 1 to 64, float32 on the CPU); this is ten times as much.
LOGIT_NOISE = 1e-3
# A logit that spreads less does not vary here: in the middle of the scale that is half a percent of an attribute's
# range, less than a scorer can tell.
SMALLEST_SIGMA = 0.02
MOST = 0.5  # of the images: a logit that is cut on more is saturated
# What a saturated logit must spread at least. Were one image in 200 at the far end of the scale and all others cut, it
# would be 2 LARGEST_LOGIT sqrt(1/200 (1 - 1/200)) = 0.99. With less, the whole scale is over 14 standard deviations.
SMALLEST_SATURATED_SIGMA = 1.0


@dataclass(frozen=True)
class Units:
    """One scorer's logits over unedited images, per attribute: each (35,).

    sigma: standard deviation; cut: share of the images whose logit is cut, at either end.
    """

    sigma: np.ndarray
    cut: np.ndarray
    n_images: int

    @classmethod
    def of(cls, logits: np.ndarray) -> Units:
        """The units of logits (N, 35), cut at +-LARGEST_LOGIT."""
        exact = logits.astype(np.float64)
        return cls(exact.std(axis=0), (np.abs(exact) >= LARGEST_LOGIT).mean(axis=0), len(exact))

    @property
    def usable(self) -> np.ndarray:
        """Which attributes vary enough for changes of them to be told in standard deviations, (35,) bool."""
        least = np.where(self.cut > MOST, SMALLEST_SATURATED_SIGMA, SMALLEST_SIGMA)
        return np.asarray(self.sigma >= least)

    @property
    def deviations(self) -> np.ndarray:
        """The standard deviations (35,), NaN for what is left out."""
        return np.where(self.usable, self.sigma, np.nan)


def label_cuts(logits: np.ndarray) -> np.ndarray:
    """The logit (35,) float32 over which a label is true: 0 for a binary attribute, else the median of logits (N, 35).

    Where the median itself is cut, most images have none of the attribute, or all of it, and a label at the median
    would say on which side of the cut a scorer's noise fell: there it is 0 too, the middle of the scale.
    """
    binary = np.array([attribute.kind == "binary" for attribute in ATTRIBUTES])
    median = np.median(logits, axis=0)
    return np.where(binary | (np.abs(median) >= LARGEST_LOGIT), 0.0, median).astype(np.float32)


def logits_of(values: Tensor) -> Tensor:
    """Logits (N, 35) of a scorer's values in [0, 1], cut at +-LARGEST_LOGIT; float32."""
    return values.float().logit().clamp(-LARGEST_LOGIT, LARGEST_LOGIT)

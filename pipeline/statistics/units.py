"""The unit of a change: the standard deviation of a scorer's logit over unedited images, and which attributes have one.

Where most images lack an attribute, their logits are clipped, and a few other images make up the standard deviation. A
trace of the attribute would then count as tens of standard deviations and decide every mean over attributes. Such an
attribute has no unit: it is left out wherever a change is divided by its standard deviation.

>>> import numpy as np
>>> from pipeline.statistics.units import Units
>>> logits = np.array([[-1.0, 0.01, -7.0], [1.0, -0.01, -7.0], [-1.0, 0.01, -7.0], [1.0, -0.01, -6.0]])
>>> Units.of(logits).deviations  # the second hardly varies, the third is clipped on three of four images
array([ 1., nan, nan])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attributes import ATTRIBUTES

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_LOGIT = 7.0  # beyond it a value is 0 or 1 to three digits, and its logit is noise
# Logits of one image that differ by at most this are equal. The shipped scorers differ by up to 1.0e-4 from one
# batch size to another (24 faces in batches of 1 to 64, float32 on the CPU); this is ten times as much.
LOGIT_NOISE = 1e-3
# A logit with a smaller standard deviation does not vary in this domain: in the middle of the scale .02 is half a
# percent of an attribute's range, less than a scorer can resolve.
SMALLEST_SIGMA = 0.02
MOST = 0.5  # a logit that is clipped on a larger share of the images is saturated
# The smallest usable standard deviation of a saturated logit. With one image in 200 at the far end of the scale and all
# others clipped, it is 2 LARGEST_LOGIT sqrt(1/200 (1 - 1/200)) = 0.99. Below, the scale is over 14 standard deviations.
SMALLEST_SATURATED_SIGMA = 1.0


@dataclass(frozen=True)
class Units:
    """The logits of one scorer over n_images unedited images, per attribute.

    sigma (35,): standard deviation; cut (35,): share of the images whose logit is clipped, at either end.
    """

    sigma: np.ndarray
    cut: np.ndarray
    n_images: int

    @classmethod
    def of(cls, logits: np.ndarray) -> Units:
        """The units of logits (N, 35), which are clipped at +-LARGEST_LOGIT."""
        exact = logits.astype(np.float64)
        return cls(exact.std(axis=0), (np.abs(exact) >= LARGEST_LOGIT).mean(axis=0), len(exact))

    @property
    def usable(self) -> np.ndarray:
        """Which attributes vary enough for a change of them to be given in standard deviations, (35,) bool."""
        least = np.where(self.cut > MOST, SMALLEST_SATURATED_SIGMA, SMALLEST_SIGMA)
        return np.asarray(self.sigma >= least)

    @property
    def deviations(self) -> np.ndarray:
        """The standard deviations (35,), NaN for an attribute without a unit."""
        return np.where(self.usable, self.sigma, np.nan)


def label_cuts(logits: np.ndarray) -> np.ndarray:
    """The logit (35,) float32 above which a label is true: 0 for a binary attribute, else the median of logits (N, 35).

    Where the median is clipped, most images lack the attribute, or most have it, and a label at the median would only
    show a scorer's noise. There the cut is 0 too, the middle of the scale.
    """
    binary = np.array([attribute.kind == "binary" for attribute in ATTRIBUTES])
    median = np.median(logits, axis=0)
    return np.where(binary | (np.abs(median) >= LARGEST_LOGIT), 0.0, median).astype(np.float32)


def logits_of(values: Tensor) -> Tensor:
    """Logits (N, 35) of a scorer's values (N, 35) in [0, 1], clipped at +-LARGEST_LOGIT; float32.

    >>> import torch
    >>> logits_of(torch.tensor([[0.5, 1.0]]))
    tensor([[0., 7.]])
    """
    return values.float().logit().clamp(-LARGEST_LOGIT, LARGEST_LOGIT)

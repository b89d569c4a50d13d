"""Blur, exposure and noise of a picture, by formulas on its luminance; the limits are part of the formulas.

Luminance is 0.299, 0.587 and 0.114 of red, green and blue, in [0, 1], of the picture at 256 px.

- exposure: the mean luminance of the middle square of half the side, between DARK and BRIGHT.
- blur: the decimal logarithm of the variance of the Laplacian (Pech-Pacheco et al., ICPR 2000) in the same square,
  from SHARP down to SOFT.
- noise: the standard deviation of the residual, which a mean of 3 x 3 pixels leaves, over the quarter of all pixels
  with the smallest gradient of the picture blurred with a sigma of 2 pixels, by its median absolute value; up to NOISY.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

DARK, BRIGHT = 0.1, 0.9  # luminance
SHARP, SOFT = -1.7, -3.2  # decimal logarithm of a variance; generated faces: -2.6 to -2.0, 5 to 95 %
NOISY = 0.012  # standard deviation of luminance; generated faces: 0.001 to 0.009
WEIGHTS = (0.299, 0.587, 0.114)
FLAT_SHARE = 0.25
SIGMA_OF_MEDIAN = 1.4826  # standard deviation of a normal variable over its median absolute value


def quality(picture: np.ndarray) -> dict[str, float]:
    """Values of `blur`, `exposure` and `noise` in [0, 1] of pixels (H, H, 3) uint8."""
    luminance = picture.astype(np.float64) @ np.array(WEIGHTS) / 255
    quarter = len(luminance) // 4
    middle = luminance[quarter:-quarter, quarter:-quarter]
    sharpness = float(np.log10(max(ndimage.laplace(middle).var(), 1e-12)))
    return {
        "blur": _between(sharpness, SHARP, SOFT),
        "exposure": _between(float(middle.mean()), DARK, BRIGHT),
        "noise": _between(_residual(luminance), 0.0, NOISY),
    }


def _residual(luminance: np.ndarray) -> float:
    """Standard deviation of the fine residual in the flattest quarter of the pixels."""
    residual = np.abs(luminance - ndimage.uniform_filter(luminance, 3))
    gradient = ndimage.gaussian_gradient_magnitude(luminance, 2.0)
    return float(np.median(residual[gradient <= np.quantile(gradient, FLAT_SHARE)])) * SIGMA_OF_MEDIAN


def _between(x: float, low: float, high: float) -> float:
    """The position of x from `low` (0) to `high` (1), clipped."""
    return min(1.0, max(0.0, (x - low) / (high - low)))

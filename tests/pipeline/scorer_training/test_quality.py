from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pipeline.scorer_training.generated.quality import BRIGHT, DARK, NOISY, quality


def scene(cell: int) -> np.ndarray:
    """Patches of `cell` pixels a side in grey, float, (256, 256, 3)."""
    patches = np.random.default_rng(1).uniform(60, 200, (256 // cell, 256 // cell))
    return np.repeat(np.kron(patches, np.ones((cell, cell)))[:, :, None], 3, axis=2)


def pixels(picture: np.ndarray) -> np.ndarray:
    return picture.round().clip(0, 255).astype(np.uint8)


def test_blur_rises_with_blur_noise_with_noise_and_exposure_with_light() -> None:
    fine, coarse, rng = scene(4), scene(32), np.random.default_rng(2)
    blurred = [quality(pixels(ndimage.gaussian_filter(fine, (s, s, 0))))["blur"] for s in (0.5, 1, 1.5, 3)]
    assert 0 == blurred[0] < blurred[1] < blurred[2] < blurred[3] == 1
    noise = rng.standard_normal((256, 256, 1))
    noisy = [quality(pixels(coarse + s * noise))["noise"] for s in (0, 0.5, 1, 2, 8)]
    assert noisy[0] < 1e-9 < noisy[1] < noisy[2] < noisy[3] < noisy[4] == 1
    light = [quality(pixels(coarse * s))["exposure"] for s in (0.5, 1, 1.3)]
    assert 0 < light[0] < light[1] < light[2] < 1


def test_the_known_numbers() -> None:
    grey = quality(np.full((256, 256, 3), 102, np.uint8))
    assert grey["exposure"] == pytest.approx((0.4 - DARK) / (BRIGHT - DARK)) and grey["blur"] == 1
    assert grey["noise"] == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(3).normal(128, 1.5, (256, 256, 1)).repeat(3, axis=2)
    # A mean of 9 pixels holds a ninth of the pixel itself: the residual's variance is 8/9 of the noise's.
    deviation = (1.5**2 + 1 / 12) ** 0.5 / 255
    assert quality(pixels(noise))["noise"] == pytest.approx(deviation * (8 / 9) ** 0.5 / NOISY, rel=0.1)

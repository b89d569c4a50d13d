"""FFHQ's alignment: the square of a photograph that a generator of FFHQ shows, from a face's landmarks.

Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019, and their
`download_ffhq.py`. Let e be the midpoint of the eyes, m the midpoint of the mouth's corners and R a rotation by 90
degrees. The square's centre is e + 0.1 (m - e). The vector from it to the middle of the square's right side has the
direction of (right eye - left eye) + R (m - e) and the length max(2 |right eye - left eye|, 1.8 |m - e|). synthface's
camera uses the same frame.

Departures: landmarks are MTCNN's five; the authors average dlib's 68. Outside of the photograph the square shows its
reflection, without the authors' blur at the border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

LARGEST_SAMPLING = 4096  # largest side, in pixels, at which a square is sampled before averaging


@dataclass(frozen=True)
class Square:
    """A rotated square of a photograph, in pixels: x to the right, y down, pixel centres at whole numbers.

    `across` is the vector from `centre` to the middle of the right side.
    """

    centre: tuple[float, float]
    across: tuple[float, float]

    @property
    def side(self) -> float:
        """Length of a side, in pixels of the photograph."""
        return 2 * math.hypot(*self.across)


def ffhq_square(landmarks: np.ndarray) -> Square:
    """FFHQ's square for landmarks (5, 2): left eye, right eye, nose, left and right corner of the mouth.

    Landmarks are x, y in pixels; left and right as seen in the picture. Raises ValueError for another shape.

    >>> landmarks = np.array([[40.0, 50.0], [60.0, 50.0], [50.0, 60.0], [42.0, 70.0], [58.0, 70.0]])
    >>> square = ffhq_square(landmarks)
    >>> square.centre, square.side
    ((50.0, 52.0), 80.0)
    """
    if landmarks.shape != (5, 2):
        raise ValueError(f"Landmarks must be (5, 2), not {landmarks.shape}.")
    left, right, _, *corners = landmarks.astype(np.float64)
    eyes = (left + right) / 2
    between, down = right - left, (corners[0] + corners[1]) / 2 - eyes
    direction = between + np.array([down[1], -down[0]])
    half = max(2.0 * np.hypot(*between), 1.8 * np.hypot(*down))
    x, y = direction / np.hypot(*direction) * half
    centre = eyes + 0.1 * down
    return Square((float(centre[0]), float(centre[1])), (float(x), float(y)))


def cut_out(photo: Tensor, square: Square, resolution: int) -> Tensor:
    """The square of a photograph (3, H, W) in [-1, 1] as a picture (3, resolution, resolution), antialiased.

    The photograph is sampled bilinearly, at least once per pixel up to LARGEST_SAMPLING, then averaged.
    """
    factor = max(1, min(math.ceil(square.side / resolution), LARGEST_SAMPLING // resolution))
    line = (torch.arange(resolution * factor, dtype=torch.float64) + 0.5) / (resolution * factor) * 2 - 1
    across, down = line[None, :], line[:, None]
    x = square.centre[0] + square.across[0] * across - square.across[1] * down
    y = square.centre[1] + square.across[1] * across + square.across[0] * down
    height, width = photo.shape[1:]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)[None]
    sampled = functional.grid_sample(
        photo[None], grid.to(photo), mode="bilinear", padding_mode="reflection", align_corners=True
    )
    return functional.avg_pool2d(sampled, factor)[0].clamp(-1, 1)

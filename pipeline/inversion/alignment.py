"""FFHQ's alignment: from a face's landmarks to the square that the generator's pictures show.

Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019, and their
`download_ffhq.py`: with e the middle of the eyes, m that of the mouth's corners and R a quarter turn, the square's
centre is e + 0.1 (m - e), and the vector from it to the middle of its right side has the direction of
(right eye - left eye) + R (m - e) and the length max(2 |right eye - left eye|, 1.8 |m - e|). The same frame is that of
synthface's camera.

Departures: landmarks are MTCNN's five, where the authors average dlib's 68; what lies outside the photograph is its
reflection, without the authors' blur of that border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

LARGEST_SAMPLING = 4096  # pixels a side at which a square is sampled before it is averaged down


@dataclass(frozen=True)
class Square:
    """A turned square of a photograph, in its pixels: x to the right, y down, pixel centres at whole numbers.

    `centre`, and `across`, the vector from it to the middle of the right side.
    """

    centre: tuple[float, float]
    across: tuple[float, float]

    @property
    def side(self) -> float:
        """Length of a side, in pixels of the photograph."""
        return 2 * math.hypot(*self.across)


def ffhq_square(landmarks: np.ndarray) -> Square:
    """The square for landmarks (5, 2): the eye at the picture's left, that at its right, nose, mouth left and right.

    x, y in pixels. Raises ValueError for another shape.
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
    """The square of a photograph (3, H, W) as a picture (3, resolution, resolution), antialiased.

    Sampled bilinearly, at least once per pixel of the photograph, and averaged down.
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

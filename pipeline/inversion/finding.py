"""The only face of a photograph, or an error with the reason: no face, several, cut off, or rotated."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import PhotoError
from pipeline.networks.landmarks import FoundFace, LandmarkFinder

SURE = 0.999  # a face of this probability is upright; 24 renders had .994 to 1 upright and .71 to .992 when turned
TURNS = {1: "by 90 degrees to the left", 2: "upside down", 3: "by 90 degrees to the right"}  # in quarters
POINTS = ("an eye", "an eye", "the nose", "a corner of the mouth", "a corner of the mouth")


def find_face(photo: Tensor, finder: LandmarkFinder, threshold: float) -> FoundFace:
    """The face of a photograph (3, H, W) in [-1, 1] with at least the probability `threshold`.

    Raises PhotoError unless there is exactly one such face, complete and upright.
    """
    faces = finder.find(photo, threshold=threshold)
    if len(faces) > 1:
        raise PhotoError(f"{len(faces)} faces are found in it, expected one: crop it to the face that you mean.")
    best = faces[0].probability if faces else 0.0
    if best < SURE:
        turned = {quarters: _turned(photo, quarters, finder, threshold) for quarters in TURNS}
        most = max(turned, key=turned.__getitem__)
        if turned[most] > best:
            raise PhotoError(
                f"its face is more probable when it is turned {TURNS[most]} ({turned[most]:.3f}) than as it is "
                f"({f'{best:.3f}' if faces else 'none is found'}): turn the photograph, and try again."
            )
    if not faces:
        raise PhotoError(f"no face is found in it with a probability of at least {threshold:g}.")
    _check_inside(faces[0].landmarks, photo.shape[2], photo.shape[1])
    return faces[0]


def _turned(photo: Tensor, quarters: int, finder: LandmarkFinder, threshold: float) -> float:
    """The probability of a face after `quarters` rotations by 90 degrees to the left; 0 if none is found."""
    faces = finder.find(torch.rot90(photo, quarters, (1, 2)).contiguous(), threshold=threshold)
    return max((face.probability for face in faces), default=0.0)


def _check_inside(landmarks: np.ndarray, width: int, height: int) -> None:
    """Raise PhotoError if a landmark lies outside of the photograph, where there are no pixels."""
    for point, (x, y) in zip(POINTS, landmarks, strict=True):
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise PhotoError(
                f"its face is cut off by the border: {point} would lie at ({x:.0f}, {y:.0f}), outside of its {width} x "
                f"{height} pixels. Take a photograph that shows all of the face."
            )

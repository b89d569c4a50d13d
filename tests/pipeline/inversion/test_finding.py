"""The one face of a photograph, and photographs that are doubted: turned ones, and faces that the border cuts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.domains.synthface.factors import column, draw_factors
from pipeline.domains.synthface.renderer import render
from pipeline.errors import PhotoError
from pipeline.inversion.finding import find_face
from pipeline.networks.landmarks import FoundFace, LandmarkFinder

LANDMARKS = np.array([[40.0, 50.0], [60.0, 50.0], [50.0, 60.0], [43.0, 72.0], [57.0, 72.0]])


class FakeFinder:
    """A finder with a given face probability for each number of rotations to the left."""

    def __init__(self, *probabilities: float, landmarks: np.ndarray = LANDMARKS) -> None:
        self.probabilities, self.landmarks, self.asked = probabilities, landmarks, 0

    def find(self, photo: Tensor, *, threshold: float) -> list[FoundFace]:
        turned = next(k for k in range(4) if torch.equal(torch.rot90(PHOTO, k, (1, 2)), photo))
        self.asked += 1
        probability = self.probabilities[turned]
        return [FoundFace(probability, self.landmarks)] if probability >= threshold else []


PHOTO = torch.rand(3, 90, 100, generator=torch.Generator().manual_seed(0))


def found(*probabilities: float, landmarks: np.ndarray = LANDMARKS) -> FoundFace:
    return find_face(PHOTO, FakeFinder(*probabilities, landmarks=landmarks), 0.9)  # type: ignore[arg-type]


def test_a_sure_face_is_not_looked_for_again() -> None:
    finder = FakeFinder(0.9995, 1.0, 1.0, 1.0)
    assert find_face(PHOTO, finder, 0.9).probability == 0.9995  # type: ignore[arg-type]
    assert finder.asked == 1


def test_a_face_that_is_more_probable_when_turned_is_doubted() -> None:
    assert found(0.994, 0.99, 0.0, 0.92).probability == 0.994
    with pytest.raises(PhotoError, match=r"90 degrees to the right \(0.999\).*\(0.950\)"):
        found(0.95, 0.0, 0.93, 0.999)
    with pytest.raises(PhotoError, match=r"upside down \(0.999\)"):
        found(0.5, 0.0, 0.999, 0.0)
    with pytest.raises(PhotoError, match="no face"):
        found(0.5, 0.6, 0.7, 0.8)


@pytest.mark.parametrize(
    ("point", "place", "point_name"), [(0, (-7.0, 50.0), "an eye"), (4, (57.0, 93.0), "of the mouth")]
)
def test_a_landmark_outside_is_refused(point: int, place: tuple[float, float], point_name: str) -> None:
    landmarks = LANDMARKS.copy()
    landmarks[point] = place
    with pytest.raises(PhotoError, match=f"{point_name} .*100 x 90"):
        found(1.0, 0, 0, 0, landmarks=landmarks)


@pytest.mark.parametrize(("quarters", "words"), [(1, "by 90 degrees to the right"), (2, "upside down")])
def test_renders_are_found_upright_and_doubted_when_turned(quarters: int, words: str) -> None:
    factors = draw_factors(77, range(2))
    for name in ("headwear", "eye_occluded", "mouth_occluded", "forehead_occluded", "sunglasses", "blur", "noise"):
        factors[:, column(name)] = 0.0
    photo = torch.zeros(3, 400, 400)
    photo[:, 70:326, 72:328] = render(factors, 256).images[0]
    finder = LandmarkFinder(torch.device("cpu"))
    assert find_face(photo, finder, 0.9).probability > 0.99
    with pytest.raises(PhotoError, match=words):
        find_face(torch.rot90(photo, quarters, (1, 2)).contiguous(), finder, 0.9)

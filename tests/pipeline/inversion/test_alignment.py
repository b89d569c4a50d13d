"""FFHQ's square: where known landmarks put it, and what is cut out of a picture that is known everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.domains.synthface.factors import column, draw_factors
from pipeline.domains.synthface.renderer import render
from pipeline.inversion.alignment import Square, cut_out, ffhq_square
from pipeline.networks.landmarks import LandmarkFinder

UPRIGHT = np.array([[40.0, 50.0], [60.0, 50.0], [50.0, 60.0], [43.0, 72.0], [57.0, 72.0]])


def turned(points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    result: np.ndarray = scale * points @ np.array([[cos, sin], [-sin, cos]]) + np.array(shift)
    return result


def ramp(height: int, width: int) -> Tensor:
    """A picture whose red is x and whose green is y, in [-1, 1]: what is cut out tells from where."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x / 200 - 1, y / 200 - 1, torch.zeros(height, width)]).float()


def test_an_upright_face() -> None:
    square = ffhq_square(UPRIGHT)
    # eyes' middle (50, 50), mouth's (50, 72): centre a tenth of the way down, half a side max(2 * 20, 1.8 * 22)
    assert square.centre == pytest.approx((50.0, 52.2))
    assert square.across == pytest.approx((40.0, 0.0))
    assert square.side == pytest.approx(80.0)
    tall = UPRIGHT + np.array([[0, 0], [0, 0], [0, 0], [0, 10], [0, 10]])
    assert ffhq_square(tall).side == pytest.approx(2 * 1.8 * 32)


@pytest.mark.parametrize(
    ("angle", "scale", "shift"), [(0.3, 1.7, (5, -8)), (-1.2, 0.5, (100, 40)), (np.pi, 3.0, (0, 0))]
)
def test_the_square_turns_with_the_face(angle: float, scale: float, shift: tuple[float, float]) -> None:
    square = ffhq_square(turned(UPRIGHT, angle, scale, shift))
    centre = turned(np.array([[50.0, 52.2]]), angle, scale, shift)[0]
    assert square.centre == pytest.approx(tuple(centre))
    assert square.across == pytest.approx((40 * scale * np.cos(angle), 40 * scale * np.sin(angle)))


@pytest.mark.parametrize("angle", [0.0, 0.4, -2.0])
@pytest.mark.parametrize("resolution", [16, 64, 100])
def test_what_is_cut_out_is_what_lies_there(angle: float, resolution: int) -> None:
    square = Square((201.3, 187.6), (60 * np.cos(angle), 60 * np.sin(angle)))
    picture = cut_out(ramp(400, 420), square, resolution)
    line = (np.arange(resolution) + 0.5) / resolution * 2 - 1
    u, v = np.meshgrid(line, line)
    x = square.centre[0] + square.across[0] * u - square.across[1] * v
    y = square.centre[1] + square.across[1] * u + square.across[0] * v
    np.testing.assert_allclose(picture[0].numpy(), x / 200 - 1, atol=2e-5)
    np.testing.assert_allclose(picture[1].numpy(), y / 200 - 1, atol=2e-5)


def test_the_whole_picture_is_itself_and_beyond_it_is_its_reflection() -> None:
    picture = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    whole = Square((15.5, 15.5), (16.0, 0.0))
    torch.testing.assert_close(cut_out(picture, whole, 32), picture, atol=1e-5, rtol=0)
    beyond = cut_out(picture, Square((15.5 + 16, 15.5), (16.0, 0.0)), 32)
    torch.testing.assert_close(beyond[:, :, :16], picture[:, :, 16:], atol=1e-5, rtol=0)
    torch.testing.assert_close(beyond[:, :, 16:], picture[:, :, 15:].flip(2)[:, :, 1:], atol=1e-5, rtol=0)


def test_fine_stripes_are_averaged_and_not_aliased() -> None:
    stripes = torch.ones(3, 512, 512)
    stripes[:, :, ::2] = -1
    assert cut_out(stripes, Square((255.5, 255.5), (250.0, 0.0)), 32).abs().max() < 0.05


def test_a_face_anywhere_in_a_photograph_comes_back_to_the_renderers_frame() -> None:
    """A render laid turned and shifted into a larger picture, found by MTCNN: eyes and mouth land where they were."""
    factors = draw_factors(31, range(3))
    for name in ("yaw", "pitch", "roll"):
        factors[:, column(name)] = 0.5
    for name in ("headwear", "eye_occluded", "mouth_occluded", "forehead_occluded", "sunglasses", "blur", "noise"):
        factors[:, column(name)] = 0.0
    finder = LandmarkFinder(torch.device("cpu"))
    images = render(factors, 256).images
    assert len(images) == 3
    for face in images:
        # a square about the render's middle, turned by 12 degrees and larger than it: what a camera would have seen
        angle = np.deg2rad(12)
        photo = cut_out(face, Square((127.5, 127.5), (150 * np.cos(angle), 150 * np.sin(angle))), 300)
        (found,) = finder.find(photo, threshold=0.9)
        aligned = cut_out(photo, ffhq_square(found.landmarks), 256)
        (again,), (before,) = finder.find(aligned, threshold=0.9), finder.find(face, threshold=0.9)
        assert np.abs(again.landmarks - before.landmarks).mean() < 256 * 0.03


def test_landmarks_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        ffhq_square(np.zeros((68, 2)))

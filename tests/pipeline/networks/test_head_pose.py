from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pipeline.networks import head_pose

# A head: its points x to the right, y down, z away from the camera, in half distances of its outer eye corners.
EYES, NOSE, MOUTH = 1.0, (0.0, 0.75, -1 / head_pose.YAW_SLOPE), 1.55


def turned(points: Tensor, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Tensor:
    """Points after yaw to the head's left, then pitch up, then roll clockwise in the picture, in degrees."""
    a, b, c = (math.radians(angle) for angle in (yaw, pitch, roll))
    about_y = torch.tensor([[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]])
    about_x = torch.tensor([[1, 0, 0], [0, math.cos(b), math.sin(b)], [0, -math.sin(b), math.cos(b)]])
    about_z = torch.tensor([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return points @ (about_z @ about_x @ about_y).T


def mesh() -> Tensor:
    points = torch.zeros(1, 468, 3)
    points[0, head_pose.LEFT, 0], points[0, head_pose.RIGHT, 0] = -1, 1
    points[0, head_pose.TOP, 1], points[0, head_pose.CHIN, 1] = -1.2, 1.2
    return points


def landmarks() -> Tensor:
    points = torch.zeros(1, 68, 3)
    points[0, head_pose.OUTER_LEFT, 0], points[0, head_pose.OUTER_RIGHT, 0] = -EYES, EYES
    points[0, head_pose.NOSE] = torch.tensor(NOSE)
    for corner, side in zip(head_pose.MOUTH, (-0.5, 0.5), strict=True):
        points[0, corner] = torch.tensor([side, MOUTH, 0.0])
    return points


@pytest.mark.parametrize(("axis", "name"), [(0, "yaw"), (1, "pitch"), (2, "roll")])
@pytest.mark.parametrize("angle", [-30.0, -5.0, 0.0, 12.0, 40.0])
def test_a_mesh_that_was_turned(axis: int, name: str, angle: float) -> None:
    found = head_pose.of_mesh(turned(mesh(), **{name: angle}))[0]
    expected = torch.zeros(3)
    expected[axis] = angle
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("angle", [-30.0, -5.0, 0.0, 12.0, 40.0])
def test_landmarks_of_a_head_turned_aside(angle: float) -> None:
    seen = turned(landmarks(), yaw=angle)[..., :2]
    assert float(head_pose.of_landmarks(seen)[0, 0]) == pytest.approx(angle, abs=0.01)


def test_landmarks_of_a_head_turned_up_and_down() -> None:
    pitches = [float(head_pose.of_landmarks(turned(landmarks(), pitch=angle)[..., :2])[0, 1]) for angle in (-15, 0, 15)]
    assert pitches[0] < pitches[1] < pitches[2] and pitches[2] - pitches[0] > 10


def test_roll_size_and_position_change_nothing_else() -> None:
    level = turned(landmarks(), yaw=10.0, pitch=5.0)
    found = head_pose.of_landmarks(3 * turned(level, roll=20.0)[..., :2] + 7)
    expected = head_pose.of_landmarks(level[..., :2])
    torch.testing.assert_close(found[0, :2], expected[0, :2], atol=1e-3, rtol=0)
    assert float(found[0, 2] - expected[0, 2]) == pytest.approx(20.0, abs=0.01)


def test_gradients_pass() -> None:
    points = landmarks()[..., :2].clone().requires_grad_()
    head_pose.of_landmarks(points).sum().backward()
    assert points.grad is not None and points.grad.isfinite().all() and points.grad.abs().sum() > 0

"""Yaw, pitch and roll of a head from landmarks, by two formulas that share no network.

Signs are as for the attributes: yaw is positive where the head is turned to its left (the nose points to the right of
the picture), pitch where it is turned up, roll where it is tilted clockwise in the picture. Units are degrees.

`of_mesh` reads the 468 points in 3-D of MediaPipe's mesh: angles of the lines from cheek to cheek (234, 454) and from
forehead to chin (10, 152), the four points of @vladmandic/human's src/face/angles.ts, whose depth has another unit.

`of_landmarks` reads dlib's 68 points in the picture alone. A nose that protrudes by d before eyes 2 e apart moves by
(d / e) tan(yaw), in halves of their distance; in the same way it moves along the line from the eyes to the mouth. The
three constants were fitted once to `of_mesh` on 96 generated faces, so that the two have one unit; the remaining
difference is 1.6 degrees for yaw (correlation 0.99) and 3.3 for pitch (0.85), where the faces' standard deviations are
11.3 and 7.7. The position of the nose at pitch 0 differs between persons: pitch from 68 points is the coarser one.

FFHQ's alignment turns each picture until the eyes are level: roll hardly varies (standard deviation 0.9 degrees).
"""

from __future__ import annotations

import torch
from torch import Tensor

TOP, CHIN, LEFT, RIGHT = 10, 152, 234, 454  # of the mesh; left and right as seen in the picture
OUTER_LEFT, OUTER_RIGHT, NOSE, MOUTH = 36, 45, 30, (48, 54)  # of dlib's points; the mouth by its corners
YAW_SLOPE = 1.146  # e / d
PITCH_SLOPE, PITCH_LEVEL = 1.423, 0.486  # LEVEL: the nose's share of the way from eyes to mouth at pitch 0


def of_mesh(mesh: Tensor) -> Tensor:
    """Yaw, pitch, roll (N, 3) in degrees of meshes (N, 468, 3), x to the right, y down, z away from the camera.

    >>> points = torch.zeros(1, 468, 3)
    >>> points[0, [LEFT, RIGHT, TOP, CHIN]] = torch.tensor([[-1.0, 0, 0], [1, 0, 0.2], [0, -1, 0], [0, 1, 0]])
    >>> of_mesh(points).round(decimals=1).tolist()
    [[5.7, 0.0, 0.0]]
    """
    across, down = mesh[:, RIGHT] - mesh[:, LEFT], mesh[:, CHIN] - mesh[:, TOP]
    yaw = torch.atan2(across[:, 2], across[:, 0])
    pitch = torch.atan2(-down[:, 2], down[:, 1])
    roll = torch.atan2(across[:, 1], across[:, 0])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], dim=1))


def of_landmarks(points: Tensor) -> Tensor:
    """Yaw, pitch, roll (N, 3) in degrees of dlib's 68 points (N, 68, 2), x to the right, y down, in one unit."""
    eyes = points[:, OUTER_RIGHT] - points[:, OUTER_LEFT]
    middle = (points[:, OUTER_RIGHT] + points[:, OUTER_LEFT]) / 2
    distance = eyes.norm(dim=1)
    along = eyes / distance[:, None]
    down = torch.stack([-along[:, 1], along[:, 0]], dim=1)  # the eyes' line, turned by a right angle
    nose, mouth = points[:, NOSE] - middle, points[:, MOUTH].mean(dim=1) - middle
    aside = 2 * (nose * along).sum(dim=1) / distance
    share = (nose * down).sum(dim=1) / (mouth * down).sum(dim=1)
    yaw = torch.atan(YAW_SLOPE * aside)
    pitch = torch.atan(PITCH_SLOPE * (PITCH_LEVEL - share))
    roll = torch.atan2(eyes[:, 1], eyes[:, 0])
    return torch.rad2deg(torch.stack([yaw, pitch, roll], dim=1))

"""The camera: FFHQ's crop, the light, and the sensor's blur, exposure and noise."""

import functools
import math

import numpy as np
import torch
from torch import Tensor

from pipeline.attributes import get
from pipeline.domains.synthface.canvas import FactorPlanes
from pipeline.domains.synthface.geometry import Proportions, Rays, points

NOISE_SEED = 20261122
FARTHEST = {"yaw": 62.0, "pitch": 40.0}  # asymptotes of drawn angles, in degrees: FFHQ's crops have no full profiles
FEATURE_DEPTH = 0.50  # z of eyes and mouth


def angle(faces: FactorPlanes, name: str) -> Tensor:
    """The drawn angle of the head in radians (N,): pitch, roll or yaw; pitch and yaw are compressed by FARTHEST.

    Small angles are drawn unchanged, 45 degrees of yaw as 38.5 and 90 as 55.6: pose estimators report up to 90 degrees
    on FFHQ, but there are no profiles in it, and MTCNN does not detect profiles.
    """
    limits = get(name)
    degrees = limits.low + (limits.high - limits.low) * faces(name)[:, 0, 0]
    if name in FARTHEST:
        degrees = FARTHEST[name] * torch.tanh(degrees / FARTHEST[name])
    return degrees * (math.pi / 180)


@functools.lru_cache(maxsize=8)
def _grid(resolution: int) -> tuple[Tensor, Tensor]:
    """Pixel centres in [-1, 1], x to the right and y up, each (1, H, W)."""
    line = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    return line[None, None, :].expand(1, resolution, -1), -line[None, :, None].expand(1, -1, resolution)


def aligned_rays(faces: FactorPlanes, shape: Proportions, resolution: int) -> Rays:
    """Rays of FFHQ's frame: centre e + 0.1 (m - e), half side max(2 |eye to eye|, 1.8 |e to m|).

    e and m are the projected midpoints of the eyes and of the mouth. Positive yaw turns the nose to the image's right,
    positive pitch turns it up. The alignment removes the head's roll, so only the attribute's roll is drawn.
    """
    yaw, pitch, roll = angle(faces, "yaw"), angle(faces, "pitch"), angle(faces, "roll")
    cos_yaw, sin_yaw, cos_pitch, sin_pitch = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()
    zero = torch.zeros_like(yaw)
    # the camera's axes in head coordinates, after turning the head by pitch, then yaw
    right = torch.stack([cos_yaw, -sin_yaw * sin_pitch, sin_yaw * cos_pitch], 1)
    up = torch.stack([zero, cos_pitch, sin_pitch], 1)
    toward = torch.stack([-sin_yaw, -cos_yaw * sin_pitch, cos_yaw * cos_pitch], 1)
    frame = Rays(zero, zero, right, up, toward, zero)
    left_eye = frame.project(points(-shape.eye_x, shape.eye_y, FEATURE_DEPTH))
    right_eye = frame.project(points(shape.eye_x, shape.eye_y, FEATURE_DEPTH))
    mouth = frame.project(points(shape.eye_x * 0, shape.mouth_y, FEATURE_DEPTH))
    middle = [(a + b) / 2 for a, b in zip(left_eye, right_eye, strict=True)]
    between = torch.hypot(right_eye[0] - left_eye[0], right_eye[1] - left_eye[1])
    down = torch.hypot(mouth[0] - middle[0], mouth[1] - middle[1])
    half = torch.maximum(2.0 * between, 1.8 * down)
    centre = [e + 0.1 * (m - e) for e, m in zip(middle, mouth, strict=True)]
    cos_roll, sin_roll = (half * f[:, None, None] for f in (roll.cos(), roll.sin()))
    across, along = _grid(resolution)
    frame.x = centre[0] + cos_roll * across - sin_roll * along
    frame.y = centre[1] + sin_roll * across + cos_roll * along
    frame.pixel = half * (2 / resolution)
    return frame


def key_light(faces: FactorPlanes, rays: Rays) -> Tensor:
    """The unit direction to the key light in head coordinates, (N, 3, 1, 1)."""
    x = 0.75 * faces.signed("light_x")[:, 0, 0]
    y = 0.10 + 0.55 * faces("light_y")[:, 0, 0]
    camera = torch.stack([x, y, torch.full_like(x, 0.85)], 1)
    camera = camera / camera.norm(dim=1, keepdim=True)
    axes = torch.stack([rays.right, rays.up, rays.toward], 1)
    return torch.einsum("nc,nci->ni", camera, axes)[:, :, None, None]


@functools.lru_cache(maxsize=8)
def grain(resolution: int) -> Tensor:
    """A fixed standard normal pattern of brightness (1, 1, H, W), also constant noise in the generator."""
    stream = np.random.default_rng([NOISE_SEED, resolution])
    return torch.from_numpy(stream.standard_normal((1, 1, resolution, resolution))).to(torch.float32)


def blurred(picture: Tensor, amount: Tensor) -> Tensor:
    """A Gaussian blur per face, amount (N,) in [0, 1]; sigma grows from .5 % to 1.5 % of the side."""
    resolution = picture.shape[-1]
    sigma = (0.005 + 0.010 * amount.clamp(min=0)) * resolution
    place = torch.arange(resolution, dtype=torch.float32)
    apart = (place[:, None] - place[None, :]).square()
    kernel = torch.exp(-apart[None] / (2 * sigma.square())[:, None, None])
    kernel = (kernel / kernel.sum(2, keepdim=True))[:, None]
    return kernel @ picture @ kernel.transpose(2, 3)


def develop(picture: Tensor, faces: FactorPlanes) -> Tensor:
    """The picture with blur, exposure (just under two stops from dark to bright) and noise; (N, 3, H, W) in [0, 1]."""
    picture = blurred(picture, faces("blur")[:, 0, 0])
    gain = torch.exp2((faces("exposure") - 0.62) * 1.6)[:, None]
    picture = picture * gain
    noise = grain(picture.shape[-1]) * (0.032 * faces("noise")[:, None])
    return (picture + noise).clamp_(0, 1)

"""Rays, ellipsoids and the surface of the face.

Head coordinates: x to the image's right, y up, z out of the face; the head is about 1.3 high.
The camera is orthographic and looks along -z. A ray is given by its camera point (X, Y); its
foot in head coordinates is affine in (X, Y), so every ellipsoid costs a quadratic polynomial
and one square root per pixel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.domains.synthface.canvas import FactorPlanes


def step(distance: Tensor, width: Tensor | float) -> Tensor:
    """0 below, 1 above, linear across `width` around distance 0: an anti-aliased edge."""
    return (distance * (1 / width) + 0.5).clamp_(0, 1)


def ramp(value: Tensor, low: float, high: float) -> Tensor:
    """0 up to `low`, 1 from `high`, linear between."""
    return ((value - low) / (high - low)).clamp(0, 1)


def spot(x: Tensor, y: Tensor, width: Tensor | float, height: Tensor | float) -> Tensor:
    """A soft elliptic spot exp(-(x/width)^2 - (y/height)^2)."""
    across, along = x * (1 / width), y * (1 / height)
    return across.square_().add_(along.square_()).neg_().exp_()


@dataclass
class Rays:
    """Camera points and the directions of head space, per face.

    x, y: camera planes (N, H, W). right, up, toward: the camera's axes in head coordinates,
    (N, 3). pixel: width of a pixel in head units, (N, 1, 1).
    """

    x: Tensor
    y: Tensor
    right: Tensor
    up: Tensor
    toward: Tensor
    pixel: Tensor

    def project(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Camera coordinates, each (N, 1, 1), of head points (N, 3)."""
        x, y = (point * self.right).sum(1), (point * self.up).sum(1)
        return x[:, None, None], y[:, None, None]

    def plane(self, across: Tensor, along: Tensor, offset: Tensor) -> Tensor:
        """offset + across X + along Y, the coefficients (N,)."""
        start = torch.addcmul(offset[:, None, None], self.x, across[:, None, None])
        return start.addcmul_(self.y, along[:, None, None])

    def at_depth(self, depth: Tensor) -> tuple[Tensor, Tensor]:
        """The points (x, y) at which the rays cross the head's plane z = depth (N,)."""
        slope = self.toward[:, 2]
        slope = torch.where(slope.abs() < 0.25, 0.25, slope)
        found = []
        for axis in (0, 1):
            tilt = self.toward[:, axis] / slope
            found.append(
                self.plane(
                    self.right[:, axis] - tilt * self.right[:, 2],
                    self.up[:, axis] - tilt * self.up[:, 2],
                    tilt * depth,
                )
            )
        return found[0], found[1]


@dataclass
class Hit:
    """Intersections of rays with an ellipsoid: distance toward the camera, 1 - r^2, and a unit normal."""

    distance: Tensor
    inside: Tensor
    normal: tuple[Tensor, Tensor, Tensor]


def intersect(rays: Rays, centre: Tensor, radii: Tensor, tilt: Tensor | None = None) -> Hit:
    """The nearest intersections of the rays with an ellipsoid; centre and radii (N, 3); tilt (N,) rotates it about x.

    For rays that miss, the closest point is returned, so that edges can be blended.
    """
    zero = torch.zeros_like(centre[:, 0])
    if tilt is None:
        scale = torch.diag_embed(1 / radii)
    else:
        cos, sin, one = tilt.cos(), tilt.sin(), zero + 1
        turn = torch.stack([one, zero, zero, zero, cos, sin, zero, -sin, cos], 1).view(-1, 3, 3)
        scale = turn / radii[:, :, None]
    foot = torch.stack([rays.right, rays.up, rays.toward, -centre], 2)
    unit = scale @ foot  # (N, 3, 4): right, up, toward, -centre in the ellipsoid's unit space
    length = unit[:, :, 2].norm(dim=1)
    ahead = unit[:, :, 2] / length[:, None]
    along = (unit * ahead[:, :, None]).sum(1)  # (N, 4)
    flat = unit - ahead[:, :, None] * along[:, None, :]
    gram = flat.transpose(1, 2) @ flat
    inside = rays.plane(-2 * gram[:, 0, 3], -2 * gram[:, 1, 3], 1 - gram[:, 3, 3])
    xx, xy, yy = (gram[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    inside.sub_(rays.x * (rays.x * xx + rays.y * (2 * xy)))
    inside.sub_(rays.y.square() * yy)
    root = inside.clamp(min=1e-5).sqrt_()
    per = (1 / length)[:, None, None]
    distance = (root - rays.plane(along[:, 0], along[:, 1], along[:, 3])).mul_(per)
    back = scale.transpose(1, 2)
    slopes = back @ flat
    lift = (back @ ahead[:, :, None])[:, :, 0]
    normal = [
        rays.plane(slopes[:, axis, 0], slopes[:, axis, 1], slopes[:, axis, 3]).addcmul_(root, lift[:, axis, None, None])
        for axis in range(3)
    ]
    size = (normal[0].square() + normal[1].square()).add_(normal[2].square()).rsqrt_()
    return Hit(distance, inside, (normal[0] * size, normal[1] * size, normal[2] * size))


@dataclass
class Proportions:
    """The measures of each head, every one (N, 1, 1), in head units."""

    child: Tensor
    old: Tensor
    male: Tensor
    width: Tensor
    skull: Tensor
    jaw: Tensor
    chin_y: Tensor
    eye_x: Tensor
    eye_y: Tensor
    eye_size: Tensor
    brow_y: Tensor
    nose_y: Tensor
    nose_width: Tensor
    mouth_y: Tensor


def proportions(faces: FactorPlanes) -> Proportions:
    """Proportions from identity, age and gender: children have low, large eyes and no jaw."""
    years = faces("age") * 75
    child = (1 - years / 28).clamp(min=0)
    old = ((years - 14) / 58).clamp(0, 1)
    male = faces("gender") * (1 - 0.7 * child)
    width = 0.50 + 0.058 * faces.signed("head_width") + 0.012 * child
    jaw = 0.355 + 0.062 * faces.signed("jaw_width") + 0.055 * male + 0.03 * old + 0.015 * child
    chin_y = -0.635 - 0.068 * faces.signed("chin") - 0.03 * male + 0.09 * child
    chin_y = chin_y - 0.04 * faces.signed("head_length")
    eye_y = 0.065 - 0.055 * child
    eye_size = 1 + 0.28 * faces.signed("eye_size") + 0.32 * child - 0.10 * old - 0.07 * male
    return Proportions(
        child=child,
        old=old,
        male=male,
        width=width,
        skull=0.545 + 0.055 * faces.signed("head_length") + 0.03 * child,
        jaw=jaw,
        chin_y=chin_y,
        eye_x=0.205 + 0.030 * faces.signed("eye_spacing"),
        eye_y=eye_y,
        eye_size=eye_size,
        brow_y=eye_y + 0.135 - 0.018 * male - 0.012 * old,
        nose_y=-0.145 + 0.025 * child - 0.040 * faces.signed("nose_length") - 0.02 * old,
        nose_width=(0.078 + 0.029 * faces.signed("nose_width") + 0.008 * male) * (1 - 0.2 * child),
        mouth_y=-0.335 + 0.02 * child + 0.030 * faces.signed("mouth_height"),
    )


def points(*coordinates: Tensor | float) -> Tensor:
    """Head points (N, 3) from three coordinates, tensors (N, 1, 1) or numbers."""
    tensors = [c[:, 0, 0] for c in coordinates if isinstance(c, Tensor)]
    count = tensors[0].shape[0]
    flat = [c[:, 0, 0] if isinstance(c, Tensor) else torch.full((count,), float(c)) for c in coordinates]
    return torch.stack(flat, 1)


@dataclass
class Surface:
    """The face under each pixel, planes (N, H, W).

    x, y, z: head coordinates; across = |x|; side = the sign of x; distance toward the camera;
    normal after relief; cover: 1 on the head; front: 1 on the face side; nose: the share that
    the nose has; hollow: darkening of sockets and creases; pixel as in Rays; seen: distance, or
    far behind where there is no head.
    """

    x: Tensor
    y: Tensor
    z: Tensor
    across: Tensor
    side: Tensor
    distance: Tensor
    normal: tuple[Tensor, Tensor, Tensor]
    cover: Tensor
    front: Tensor
    nose: Tensor
    hollow: Tensor
    pixel: Tensor
    seen: Tensor


def _blend(first: Hit, second: Hit, softness: float) -> tuple[Hit, Tensor]:
    """The smooth union of two hits, and the share of the second."""
    near = first.distance + 3 * first.inside.clamp(max=0)
    far = second.distance + 3 * second.inside.clamp(max=0)
    share = step(far - near, softness)
    normal = tuple(torch.lerp(a, b, share) for a, b in zip(first.normal, second.normal, strict=True))
    bulge = share * (1 - share) * (softness / 2)
    distance = torch.lerp(first.distance, second.distance, share) + bulge
    hit = Hit(distance, torch.maximum(first.inside, second.inside), normal)  # type: ignore[arg-type]
    return hit, share


def _relief(faces: FactorPlanes, shape: Proportions, across: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Height, and its slopes along |x| and y, of sockets, brow ridge, cheeks, chin and mouth."""
    smile = faces("smile")
    bumps = (
        (shape.eye_x - 0.03, shape.eye_y + 0.015, 0.115, 0.075, -0.062),
        (shape.eye_x, shape.brow_y + 0.02, 0.13, 0.05, 0.02 + 0.03 * shape.male),
        (
            0.275,
            -0.10 + 0.02 * smile,
            0.12,
            0.10,
            0.012 + 0.085 * faces("cheekbones") + 0.03 * smile + 0.02 * shape.child,
        ),
        (0.0, shape.chin_y + 0.12, 0.11, 0.08, 0.035 + 0.02 * shape.male),
        (0.0, shape.mouth_y, 0.15, 0.075, 0.035),
        (0.30, -0.45, 0.10, 0.09, 0.035 * shape.old),
    )
    height = torch.zeros_like(across)
    slope_x, slope_y = torch.zeros_like(across), torch.zeros_like(across)
    for x_at, y_at, wide, high, amount in bumps:
        dx, dy = across - x_at, y - y_at
        bump = spot(dx, dy, wide, high).mul_(amount)
        height += bump
        slope_x.addcmul_(dx, bump, value=-2 / wide**2)
        slope_y.addcmul_(dy, bump, value=-2 / high**2)
    return height, slope_x, slope_y


# The ellipsoids that make the head: places (x to the right, y up, z out of the face) and radii, in head units, of a
# head of average measures. The widths follow `Proportions`.
CRANIUM_Y, CRANIUM_Z, CRANIUM_DEPTH = 0.135, -0.06, 0.60
JAW_TOP, JAW_Z, JAW_DEPTH = 0.27, 0.05, 0.485  # it reaches from JAW_TOP down to the chin
CHEEKS = 0.02  # by which the jaw's ellipsoid is wider than the jaw that one sees
RIDGE_ABOVE_TIP, RIDGE_Z, RIDGE_WIDTH, RIDGE_DEPTH = 0.11, 0.490, 0.066, 0.098
RIDGE_LENGTH, RIDGE_ROOT = 0.165, 0.03  # of the part that stands out, and of the part that runs into the brow
RIDGE_TILT = 0.26  # rad about x
TIP_Z, TIP_HEIGHT, TIP_DEPTH = 0.533, 0.060, 0.088
# How soft the union of two ellipsoids is, in head units.
HEAD_SOFTNESS, NOSE_SOFTNESS, FACE_SOFTNESS = 0.10, 0.08, 0.14
FRONT_FROM, FRONT_WIDTH = 0.06, 0.12  # z at which the face begins, and over which it does
HOLLOW = 2.6  # darkening of sockets and creases, for each head unit that they are deep
FAR_BEHIND = -9.0  # in place of a distance where there is no head


def _skull(shape: Proportions, rays: Rays) -> Hit:
    """Cranium and jaw, as a smooth union."""
    middle = shape.width * 0
    cranium = intersect(rays, points(middle, CRANIUM_Y, CRANIUM_Z), points(shape.width, shape.skull, CRANIUM_DEPTH))
    jaw = intersect(
        rays,
        points(middle, (JAW_TOP + shape.chin_y) / 2, JAW_Z),
        points(shape.jaw + CHEEKS, (JAW_TOP - shape.chin_y) / 2, JAW_DEPTH),
    )
    return _blend(cranium, jaw, HEAD_SOFTNESS)[0]


def _nose(faces: FactorPlanes, shape: Proportions, rays: Rays) -> Hit:
    """Ridge and tip, as a smooth union. Children's are shorter and flatter, old people's tips taller."""
    middle = shape.width * 0
    bridge = 0.026 * faces.signed("nose_bridge")  # by which the ridge stands out further
    length = RIDGE_LENGTH * (1 - 0.18 * shape.child)
    ridge = intersect(
        rays,
        points(middle, shape.nose_y + RIDGE_ABOVE_TIP, RIDGE_Z + bridge),
        points(RIDGE_WIDTH + 0.008 * faces.signed("nose_width"), length + RIDGE_ROOT, RIDGE_DEPTH),
        torch.full((faces.count,), RIDGE_TILT),
    )
    tip = intersect(
        rays,
        points(middle, shape.nose_y, TIP_Z + 0.6 * bridge - 0.02 * shape.child),
        points(shape.nose_width * 0.95, TIP_HEIGHT + 0.01 * shape.old, TIP_DEPTH),
    )
    return _blend(ridge, tip, NOSE_SOFTNESS)[0]


def face_surface(faces: FactorPlanes, shape: Proportions, rays: Rays) -> Surface:
    """Cranium, jaw and nose as a smooth union of ellipsoids, with relief on top."""
    whole, nose = _blend(_skull(shape, rays), _nose(faces, shape, rays), FACE_SOFTNESS)
    distance = whole.distance
    # Where the ray meets the head: its foot, and `distance` from there toward the camera.
    foot = [rays.plane(rays.right[:, i], rays.up[:, i], torch.zeros(faces.count)) for i in range(3)]
    x, y, z = (torch.addcmul(foot[i], distance, rays.toward[:, i, None, None]) for i in range(3))
    across, side = x.abs(), x.sign()
    front = step(z - FRONT_FROM, FRONT_WIDTH)
    # Relief tilts the normal of the face's skin; the nose, whose shape is its own, and the back have none.
    height, slope_x, slope_y = _relief(faces, shape, across, y)
    skin = (1 - nose).mul_(front)
    normal_x = whole.normal[0] - slope_x * side * skin
    normal_y = whole.normal[1] - slope_y * skin
    size = (normal_x.square() + normal_y.square()).add_(whole.normal[2].square()).rsqrt_()
    cover = step(whole.inside, rays.pixel * 4)
    return Surface(
        x=x,
        y=y,
        z=z,
        across=across,
        side=side,
        distance=distance,
        normal=(normal_x * size, normal_y * size, whole.normal[2] * size),
        cover=cover,
        front=front * cover,
        nose=nose,
        hollow=1 + HOLLOW * height.clamp(max=0) * skin,
        pixel=rays.pixel,
        seen=distance.masked_fill(cover < 0.5, FAR_BEHIND),
    )

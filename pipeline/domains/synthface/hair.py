"""Hair: its colour, the shell on the skull, long hair behind and next to the face; hats."""

import torch
from torch import Tensor

from pipeline.domains.synthface.canvas import Canvas, FactorPlanes, cloth_colour, rgb
from pipeline.domains.synthface.geometry import (
    Hit,
    Proportions,
    Rays,
    Surface,
    intersect,
    points,
    ramp,
    spot,
    step,
)

# Colour and weight: the service's confidences overlap, and the confidence of brown is nearly always high.
COLOURS: dict[str, tuple[tuple[float, float, float], float]] = {
    "brown": ((0.34, 0.19, 0.09), 0.6),
    "blond": ((0.90, 0.72, 0.40), 1.3),
    "black": ((0.05, 0.045, 0.05), 1.4),
    "red": ((0.68, 0.22, 0.06), 1.2),
    "grey": ((0.74, 0.74, 0.76), 1.2),
    "other": ((0.42, 0.22, 0.62), 0.9),
}
UNDECIDED = ((0.42, 0.36, 0.30), 0.12)


def hair_colour(faces: FactorPlanes) -> Tensor:
    """The mean of six colours, weighted by squared confidence and COLOURS' weights, (N, 3, 1, 1)."""
    total = torch.full((faces.count, 1, 1, 1), UNDECIDED[1])
    colour = total * rgb(*UNDECIDED[0])
    for name, (place, weight) in COLOURS.items():
        share = weight * faces(f"hair_{name}")[:, None].square()
        colour = colour + share * rgb(*place)
        total = total + share
    return colour / total


def hair_length(faces: FactorPlanes) -> Tensor:
    """(N, 1, 1) in [0, 1]: longer in women, gone with baldness."""
    length = 0.78 - 0.72 * faces("gender") + 0.30 * faces.signed("hair_length")
    return length.clamp(0, 1) * (1 - ramp(faces("baldness"), 0.1, 0.7))


def paint_long_hair(
    canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, colour: Tensor, *, beside: bool
) -> None:
    """Hair behind the head, or (beside) the two curtains that fall in front of the shoulders."""
    length = hair_length(faces)
    x0, y0 = rays.project(points(shape.width * 0, 0.10, -0.22))
    dx, dy = rays.x - x0, rays.y - y0
    wave = (0.010 + 0.030 * faces("hair_curl")) * torch.sin(dy * 17 + 2 * dx.sign())
    wide = shape.width + 0.05 + 0.10 * faces("hair_volume") + wave
    fall = (-dy).clamp(min=0)
    wide = torch.lerp(shape.width - 0.03, wide, ramp(length, 0.10, 0.35)) * (1 - 0.12 * fall)
    over = dy.clamp(min=0) * (1 / 0.62)
    outline = wide * (1 - over.square()).clamp(min=0).sqrt_() - dx.abs()
    outline = outline - 4 * (over - 0.98).clamp(min=0)
    mask = step(outline, rays.pixel * 1.3)
    mask = mask * step(dy + 0.05 + 0.95 * length + 0.3 * wave, rays.pixel * 1.3 + 0.03)
    if beside:
        mask = mask * step(dx.abs() - 0.30, 0.06) * step(-dy, 0.2)
    strand = 0.66 + 0.08 * torch.sin(dx * 58 + 3 * torch.sin(dy * 7))
    strand = strand - 0.22 * step(0.42 - dx.abs(), 0.3) * step(-dy, 0.3)
    canvas.paint("hair", colour * strand[:, None], mask * step(length - 0.10, 0.06))


def hair_shell(faces: FactorPlanes, shape: Proportions, rays: Rays) -> tuple[Hit, tuple[Tensor, Tensor, Tensor]]:
    """The intersections of rays with the ellipsoid of hair around the skull, and their head coordinates."""
    thick = (0.035 + 0.055 * faces("hair_volume")) * (1 - 0.8 * faces("baldness")) + 0.012
    shell = intersect(
        rays,
        points(shape.width * 0, 0.145, -0.075),
        points(shape.width + 0.8 * thick, shape.skull + 1.1 * thick, 0.60 + 0.4 * thick),
    )
    x, y, z = (
        rays.plane(rays.right[:, i], rays.up[:, i], torch.zeros(faces.count)).addcmul_(
            shell.distance, rays.toward[:, i, None, None]
        )
        for i in range(3)
    )
    return shell, (x, y, z)


def paint_back_hair(canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, colour: Tensor) -> None:
    """Paint the far side of the shell, which shows where the face does not cover it."""
    shell, (_, y, _) = hair_shell(faces, shape, rays)
    gone = (faces("baldness") + 1e-4).sqrt()
    foot = 0.05 - 0.60 * hair_length(faces)
    mask = step(y - foot, rays.pixel * 1.3 + 0.03) * step(shell.inside, rays.pixel * 4)
    mask = mask * (1 - ramp(faces("baldness"), 0.62, 1.0)) * (1 - step(y - 0.25, 0.15) * ramp(gone, 0.3, 0.7))
    strand = 0.50 + 0.06 * torch.sin(y * 20)
    canvas.paint("hair", colour * strand[:, None], mask)


def paint_hair(
    canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, surface: Surface, colour: Tensor, light: Tensor
) -> None:
    """The shell on the skull, a lock over one eye, a fringe on the forehead."""
    bald, plain = faces("baldness"), colour
    gone = (bald + 1e-4).sqrt()
    shell, (x, y, z) = hair_shell(faces, shape, rays)
    across = x.abs()
    length = hair_length(faces)
    part = 0.22 * faces.signed("hair_parting")
    line = 0.365 + 0.085 * faces.signed("hairline") + 0.42 * gone + 0.02 * shape.old
    ragged = 0.012 * torch.sin(x * 23 + 2) + 0.006 * torch.sin(x * 41 + 5)
    ragged = ragged + (0.002 + 0.006 * faces("hair_curl")) * torch.sin(x * 67)
    temple = 0.27 + 0.10 * gone + 0.06 * faces.signed("hairline") * 0.3
    line = line + ragged * (1 - gone) - 0.10 * (x - part).abs().clamp(max=0.25) * (1 - gone)
    line = line - (2.0 + length) * (across - temple).clamp(min=0)
    behind = 0.05 - 0.60 * length
    line = torch.lerp(line, behind.expand_as(line), step(0.02 - z, 0.16) * (1 - ramp(gone, 0.9, 1)))
    mask = step(y - line, rays.pixel * 1.3 + 0.02) * step(shell.inside, rays.pixel * 4)
    mask = mask * (1 - ramp(bald, 0.62, 1.0)) * step(shell.distance - surface.seen + 0.03, 0.03)
    strand = 0.84 + 0.07 * torch.sin((x - part) * 46 + 5 * torch.sin(y * 6) + z * 15)
    lit = (shell.normal[0] * light[:, 0] + shell.normal[1] * light[:, 1] + shell.normal[2] * light[:, 2]).clamp_(min=0)
    tone = (0.42 + 0.62 * lit) * strand
    shine = lit.square().square().square() * 0.10
    colour = colour.expand(-1, -1, *x.shape[1:])
    temples = step(across - 0.74 * shape.width, 0.10) * step(0.45 - y, 0.15) * ramp(faces("hair_grey"), 0.1, 0.9)
    colour = torch.lerp(colour, rgb(*COLOURS["grey"][0]), (0.85 * temples)[:, None])
    streak = step(0.055 - (x - part + 0.13).abs(), 0.03) * ramp(faces("hair_other"), 0.1, 0.9)
    colour = torch.lerp(colour, rgb(*COLOURS["other"][0]), (0.9 * streak)[:, None])
    canvas.paint("hair", colour * tone[:, None] + shine[:, None], mask)
    root = spot(x - part, y - line - 0.2, 0.010, 0.2) * mask
    canvas.tint(1 - 0.35 * root)
    _paint_locks(canvas, faces, shape, rays, surface, plain, part)


def _paint_locks(
    canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, surface: Surface, colour: Tensor, part: Tensor
) -> None:
    # fringe: descends from the hairline to the brows
    fringe = faces("forehead_occluded")
    foot = 0.50 - (0.50 - shape.brow_y - 0.120) * fringe
    foot = foot + 0.022 * torch.sin(surface.x * 44) + 0.2 * (surface.x - part).square() * fringe
    band = step(surface.y - foot, rays.pixel * 1.3 + 0.01) * step(0.75 - surface.y, 0.05)
    band = band * step(0.45 - surface.across, 0.05) * surface.front
    dark = 0.70 + 0.10 * torch.sin(surface.x * 63)
    canvas.paint("hair", colour * dark[:, None], band * ramp(fringe, 0.0, 0.3))
    lock = faces("eye_occluded")
    tilted = surface.x + shape.eye_x - 0.25 * (surface.y - shape.eye_y)
    inside = step(0.05 + 0.085 * lock - tilted.abs(), rays.pixel * 1.3 + 0.01)
    inside = inside * step(surface.y + 0.14, 0.06) * step(0.62 - surface.y, 0.05) * surface.front
    canvas.paint("hair", colour * (0.55 + 0.07 * torch.sin(tilted * 80))[:, None], inside * ramp(lock, 0.0, 0.5))


def paint_headwear(canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, light: Tensor) -> None:
    """A knitted hat whose brim descends from the crown to the forehead."""
    worn = faces("headwear")
    hat = intersect(
        rays,
        points(shape.width * 0, 0.16, -0.07),
        points(shape.width + 0.07, shape.skull + 0.12, 0.685),
    )
    x, y = (
        rays.plane(rays.right[:, i], rays.up[:, i], torch.zeros(faces.count)).addcmul_(
            hat.distance, rays.toward[:, i, None, None]
        )
        for i in range(2)
    )
    brim = 0.80 - 0.33 * worn - 0.30 * x.square()
    mask = step(y - brim, rays.pixel * 1.2) * step(hat.inside, rays.pixel * 4)
    lit = (hat.normal[0] * light[:, 0] + hat.normal[1] * light[:, 1] + hat.normal[2] * light[:, 2]).clamp_(min=0)
    rib = 0.95 + 0.05 * torch.sin(x * 50)
    tone = (0.45 + 0.6 * lit) * rib * (1 - 0.25 * step(brim + 0.11 - y, rays.pixel * 1.5))
    canvas.paint("headwear", cloth_colour(faces) * tone[:, None], mask * ramp(worn, 0.0, 0.2))

"""The albedo of the face: skin, wrinkles, brows, beard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.domains.synthface.canvas import Canvas, FactorPlanes, palette, rgb
from pipeline.domains.synthface.geometry import Proportions, Surface, ramp, spot, step

if TYPE_CHECKING:
    from pipeline.domains.synthface.expression import Expression

SKIN = ((1.0, 0.87, 0.79), (0.97, 0.81, 0.71), (0.91, 0.72, 0.59), (0.69, 0.48, 0.35), (0.50, 0.34, 0.25))


def skin_colour(faces: FactorPlanes) -> Tensor:
    """(N, 3, 1, 1): tone from light to dark, undertone from pink to yellow."""
    warm = faces.signed("skin_undertone")[:, None]
    colour = palette(faces("skin_tone"), SKIN)
    return colour * (1 + warm * rgb(0.0, 0.05, -0.08))


def grain(surface: Surface) -> Tensor:
    """A fixed texture in [-1, 1] that moves with the head: hair of beard and brows."""
    x = surface.x + 0.018 * torch.sin(surface.y * 61 + 2)
    y = surface.y + 0.018 * torch.sin(surface.x * 53 + 1)
    waves = torch.sin(x * 91 + y * 37) + torch.sin(x * 53 - y * 113)
    return (waves + torch.sin(x * 167 + y * 71 + 2) + torch.sin(x * 29 - y * 187)).mul_(0.25)


def paint_skin(canvas: Canvas, faces: FactorPlanes, shape: Proportions, mood: Expression, surface: Surface) -> None:
    """Paint blush, freckles, wrinkles of age and creases of expression."""
    across, y = surface.across, surface.y
    blush = spot(across - 0.26, y + 0.12, 0.13, 0.09) * (0.5 + 0.4 * shape.child)
    canvas.picture[:, 1:].mul_((1 - 0.16 * blush * surface.front)[:, None])
    freckle = ramp(torch.sin(surface.x * 83 + y * 31) * torch.sin(y * 71 - surface.x * 23), 0.3, 0.9)
    freckle = freckle * spot(across - 0.17, y + 0.05, 0.2, 0.10)
    mark = ramp(torch.sin(surface.x * 41 + 1.3) * torch.sin(y * 37 + surface.x * 11), 0.55, 0.9)
    lines = 0.42 * faces("freckles").square() * freckle + 0.11 * shape.old.square() * mark
    # nasolabial fold, from the wing of the nose to the corner of the mouth
    fall = (-(y + 0.15)).clamp(0, 0.3)
    fold = spot(across - (0.105 + 0.45 * fall + 0.02 * mood.cheeks), y + 0.25, 0.022, 0.10)
    lines += fold * (0.05 + 0.40 * shape.old + 0.25 * mood.cheeks)
    bag = spot(across - shape.eye_x, y - shape.eye_y + 0.078, 0.085, 0.022)
    lines += bag * (0.06 + 0.42 * shape.old)
    furrow = torch.sin((y - 0.04 * surface.x.square()) * 105).clamp(min=0)
    lifted = (shape.old.square() + 8 * mood.brow_raise.clamp(min=0)).clamp(max=1)
    lines += furrow * spot(across, y - shape.brow_y - 0.13, 0.24, 0.075) * (0.42 * lifted)
    feet = torch.sin((y - shape.eye_y) * 120 + 9 * across).clamp(min=0)
    feet = feet * spot(across - shape.eye_x - 0.145, y - shape.eye_y, 0.045, 0.06)
    lines += feet * (0.5 * shape.old + 0.12 * mood.cheeks)
    frown = spot(across - 0.03, y - shape.brow_y + 0.01, 0.014, 0.05)
    lines += frown * (0.55 * faces("anger") + 0.22 * shape.old)
    nose = torch.sin((y - shape.eye_y) * 130).clamp(min=0)
    lines += nose * spot(across, y - shape.eye_y + 0.05, 0.07, 0.05) * (0.55 * mood.nose_wrinkle)
    jowl = spot(across - 0.20 - 0.15 * (y + 0.6), y + 0.49, 0.03, 0.07)
    lines += jowl * (0.35 * shape.old)
    lines += spot(across, y - shape.chin_y - 0.15, 0.10, 0.024) * (0.08 + 0.34 * faces("neutral"))
    # the sides of the bridge, the nostrils, and the shade around and under the nose
    bridge = spot(across - 0.062, y - shape.eye_y + 0.035, 0.026, 0.085)
    lines += bridge * (0.30 * faces("nose_bridge"))
    lines += spot(across - 0.55 * shape.nose_width, y - shape.nose_y + 0.052, 0.024, 0.014) * 0.60
    lines += spot(across, y - shape.nose_y + 0.070, 0.07, 0.018) * 0.22
    lines += spot(across - 1.05 * shape.nose_width, y - shape.nose_y + 0.015, 0.018, 0.04) * 0.18
    dim = 1 - (lines * surface.front).clamp_(0, 0.8)
    canvas.picture[:, 0].mul_(dim.pow(0.75))
    canvas.picture[:, 1:].mul_(dim[:, None])
    _paint_mood(canvas, faces, shape, surface)
    canvas.claim("nose", surface.nose * surface.front)


def _paint_mood(canvas: Canvas, faces: FactorPlanes, shape: Proportions, surface: Surface) -> None:
    """Paint the colours of emotions: anger reddens, fear pales, disgust yellows, sadness adds tears."""
    across, y, front = surface.across, surface.y, surface.front
    flush = front * (0.24 * faces("anger")) * (1 - 0.7 * spot(across, y - shape.mouth_y, 0.3, 0.12))
    canvas.picture[:, 1:].mul_((1 - flush)[:, None])
    pale = front * (0.40 * faces("fear")) * spot(across, y + 0.05, 0.6, 0.5)
    canvas.paint(None, rgb(0.93, 0.93, 0.97), pale)
    sallow = front * (0.42 * faces("disgust")) * spot(across, y + 0.22, 0.28, 0.20)
    canvas.paint(None, rgb(0.50, 0.62, 0.28), sallow)
    tear = spot(across - shape.eye_x + 0.02, y - shape.eye_y + 0.16, 0.026, 0.085) * (0.75 * faces("sadness"))
    canvas.paint(None, rgb(0.72, 0.86, 1.0), tear * front)


def paint_beard(canvas: Canvas, faces: FactorPlanes, shape: Proportions, surface: Surface, colour: Tensor) -> None:
    """Beard on chin and jaw, moustache on the upper lip, sideburns before the ears."""
    across, y, pixel = surface.across, surface.y, surface.pixel
    edge = pixel * 1.5 + 0.02
    texture = 0.88 + 0.12 * grain(surface)
    cheek = -0.40 + 0.95 * (across - 0.14).clamp(min=0)
    lower = step(cheek - y, edge * 1.5) * step(surface.z + 0.05, 0.1)
    lower = lower * (1 - 0.9 * spot(across, y - shape.mouth_y, 0.15, 0.055))
    taper = (1.05 - (across * (1 / 0.175)).square()).clamp(min=0).sqrt_()
    lip = step(0.047 * taper - (y - shape.mouth_y - 0.078 + 0.35 * across.square()).abs(), edge)
    lip = lip * step(0.165 - across, edge) * surface.front
    side = step(across - shape.width * 0.66 - 0.20 * (0.09 - y).clamp(min=0), edge) * step(
        0.19 - (y + 0.10).abs(), edge * 2
    )
    side = side * step(surface.z + 0.08, 0.08)
    dark = colour * 0.55
    for name, region in (("beard", lower), ("moustache", lip), ("sideburns", side)):
        amount = faces(name).clamp(min=0).sqrt() * 0.95
        canvas.paint("beard", dark, (region * texture * amount).clamp_(0, 1) * surface.cover)


def paint_brows(
    canvas: Canvas, faces: FactorPlanes, shape: Proportions, mood: Expression, surface: Surface, colour: Tensor
) -> None:
    """Both brows: thicker in men, arched by identity, moved by expression."""
    along = (surface.across - shape.eye_x - 0.005) * (1 / 0.13)
    arch = 0.018 + 0.020 * faces.signed("brow_arch") - 0.006 * shape.male
    middle = shape.brow_y + mood.brow_raise + arch * (1 - along.square())
    middle = middle + 0.075 * faces("contempt") * step(surface.x, 0.08)
    middle = middle - (mood.brow_inner - 0.008) * along - 0.4 * mood.brow_inner.abs()
    half = 0.007 + 0.026 * faces("brow_thickness") + 0.012 * shape.male - 0.003 * shape.child
    half = half * (1 - 0.35 * along) * (1.05 - along.square().square()).clamp(min=0).sqrt_()
    mask = step(half - (surface.y - middle).abs(), surface.pixel * 1.3)
    mask = mask * step(1.02 - along.abs(), surface.pixel * 5) * surface.front
    strength = (0.9 - 0.3 * shape.child - 0.15 * shape.old) * (0.92 + 0.08 * grain(surface))
    brown = torch.lerp(rgb(0.10, 0.08, 0.08), rgb(0.62, 0.33, 0.12), faces("hair_brown")[:, None])
    canvas.paint("brows", torch.lerp(colour * 0.6, brown, 0.6), (mask * strength).clamp_(0, 1))

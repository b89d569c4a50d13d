"""Eyes, mouth and teeth; glasses and masks in front of the mouth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.domains.synthface.canvas import Canvas, FactorPlanes, cloth_colour, palette, rgb
from pipeline.domains.synthface.geometry import Proportions, Rays, Surface, ramp, spot, step

if TYPE_CHECKING:
    from pipeline.domains.synthface.expression import Expression

IRIS = ((0.16, 0.09, 0.05), (0.33, 0.20, 0.09), (0.30, 0.38, 0.20), (0.28, 0.45, 0.62))
FRAMES = ((0.04, 0.04, 0.05), (0.32, 0.13, 0.07), (0.55, 0.56, 0.60))
LENS_DEPTH = 0.56  # z of the glasses' plane


def paint_eyes(canvas: Canvas, faces: FactorPlanes, shape: Proportions, mood: Expression, surface: Surface) -> None:
    """Lids, eyeball, iris, lashes, and eye make-up."""
    pixel, front = surface.pixel, surface.front
    wide = 0.088 * shape.eye_size.sqrt()
    dx = surface.across - shape.eye_x
    dy = surface.y - shape.eye_y - 0.20 * faces.signed("eye_tilt") * dx
    open_up = 0.047 * shape.eye_size * mood.eye_open
    open_low = 0.026 * shape.eye_size * (1 - 0.25 * mood.cheeks)
    bow = 1 - (dx * (1 / wide)).square()
    upper, lower = open_up * bow, open_low * bow
    makeup = faces("eye_makeup")
    shadow = spot(dx - 0.012, dy - open_up - 0.012, wide * 1.05, 0.042) * (0.75 * makeup)
    canvas.paint("eyes", rgb(0.36, 0.16, 0.38), shadow.mul_(front))
    ball = step(torch.minimum(upper - dy, dy + lower), pixel * 1.1) * front
    canvas.paint("eyes", rgb(0.93, 0.92, 0.91), ball)
    gaze_x = dx - surface.side * (0.022 * faces.signed("gaze_x"))
    gaze_y = dy - 0.008 - 0.010 * faces.signed("gaze_y")
    radius = 0.040 * shape.eye_size.sqrt()
    away = (gaze_x.square() + gaze_y.square()).sqrt_()
    canvas.paint(None, palette(faces("iris_colour"), IRIS), step(radius - away, pixel) * ball)
    canvas.paint(None, rgb(0.02, 0.02, 0.02), step(0.45 * radius - away, pixel) * ball)
    glint = spot(surface.x - surface.side * shape.eye_x - 0.012, gaze_y - 0.016, 0.011, 0.011)
    canvas.paint(None, rgb(1.0, 1.0, 1.0), glint * ball)
    lid = (0.006 + 0.010 * makeup + 0.003 * (1 - shape.male)) + pixel * 0.15
    lash = step(lid - (dy - upper.clamp(min=-0.004)).abs(), pixel * 1.3)
    lash = lash * step(wide * 1.06 - dx.abs(), pixel) * front
    canvas.paint("eyes", rgb(0.10, 0.06, 0.05), lash * (0.72 + 0.25 * makeup))
    rim = step(0.004 - (dy + lower).abs(), pixel * 1.5) * step(wide - dx.abs(), pixel) * front
    canvas.paint(None, rgb(0.35, 0.20, 0.16), rim * (0.35 + 0.4 * makeup))
    crease = spot(dx, dy - upper - 0.026, wide, 0.010) * front
    canvas.tint(1 - crease * 0.28)


def paint_mouth(
    canvas: Canvas, faces: FactorPlanes, shape: Proportions, mood: Expression, surface: Surface, skin: Tensor
) -> None:
    """Lips, the dark of an open mouth, and teeth."""
    pixel, front = surface.pixel, surface.front
    wide = (0.148 + 0.033 * faces.signed("mouth_width")) * mood.width * (1 - 0.12 * shape.child)
    along = surface.across * (1 / wide)
    curve = along.square()
    line = shape.mouth_y + mood.corner * (curve - 0.35) + mood.sneer * step(surface.x, 0.08) * curve
    bow = (1 - curve).clamp(min=0)
    dy = surface.y - line
    full = (0.029 + 0.021 * faces.signed("lip_fullness")) * (1 - 0.25 * shape.old)
    full = full + 0.006 * faces("lip_makeup")
    full = full * (1 - 0.22 * shape.male)
    root = bow.sqrt()
    gap_bow = torch.lerp(bow, root, ramp(mood.opening, 0.03, 0.09))
    top = gap_bow * (mood.opening * 0.8 + mood.lip_raise)
    bottom = gap_bow * (mood.opening * 1.2)
    above = top + full * root * (0.85 + 0.25 * along - 0.20 * spot(along, along, 0.25, 0.25))
    below = bottom + 1.25 * full * root
    lips = step(torch.minimum(above - dy, dy + below), pixel * 1.2) * front
    lips = lips * step(0.99 - along, pixel * 3)
    red = faces("lip_makeup")[:, None]
    male = shape.male[:, None]
    natural = skin * torch.lerp(rgb(0.90, 0.60, 0.58), rgb(0.90, 0.70, 0.66), male)
    canvas.paint("mouth", torch.lerp(natural, rgb(0.74, 0.07, 0.15), red * 0.9), lips * 0.95)
    gap = step(torch.minimum(top - dy, dy + bottom), pixel * 1.1) * front
    gap = gap * ramp(mood.opening, 0.002, 0.012) * step(bow - 0.03, 0.05)
    canvas.paint("mouth", rgb(0.22, 0.06, 0.06), gap)
    showing = faces("smile").maximum(0.6 * faces("fear")).maximum(0.5 * faces("anger"))
    showing = showing.maximum(0.6 * faces("disgust")).maximum(0.35 * faces("surprise"))
    teeth = step(dy + bottom * (1.6 * showing - 0.7), pixel * 1.1) * gap
    split = (1 - 0.10 * ramp(torch.cos(surface.x * 130), 0.6, 1)) * (1 - 0.30 * curve.clamp(max=1))
    canvas.paint(None, rgb(0.95, 0.93, 0.88) * split[:, None], teeth * ramp(showing, 0.05, 0.35))
    closed = step(0.004 - (dy - top * 0.5 + bottom * 0.5).abs(), pixel * 1.6) * front
    closed = closed * step(1.04 - along, pixel * 4) * (1 - gap)
    canvas.tint(1 - closed * (0.45 + 0.15 * faces("neutral")))
    corner = spot(along - 1.04, dy, 0.10, 0.014) * front
    canvas.tint(1 - corner * 0.30)


def paint_glasses(canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, surface: Surface) -> None:
    """Frames with bridge and temples; reading glasses have a thicker rim, sunglasses dark lenses."""
    reading, sun = faces("reading_glasses"), faces("sunglasses")
    worn = torch.maximum(torch.maximum(reading, sun), faces("glasses"))
    x, y = rays.at_depth(torch.full((faces.count,), LENS_DEPTH))
    pixel = rays.pixel
    dx, dy = x.abs() - shape.eye_x - 0.01, y - shape.eye_y + 0.005
    square = faces("frame_shape")
    wide, high = 0.145 + 0.012 * square, 0.115 - 0.018 * square
    a, b = (dx * (1 / wide)).square(), (dy * (1 / high)).square()
    round_radius = (a + b).clamp(min=1e-6).sqrt_()
    box_radius = (a.square() + b.square()).clamp(min=1e-6).sqrt_().sqrt_()
    away = (torch.lerp(round_radius, box_radius, square) - 1) * 0.12
    rim = 0.010 + 0.008 * reading + 0.005 * sun + pixel * 0.2
    near = step(rays.toward[:, 2][:, None, None] - 0.05, 0.1)
    lens = step(-away, pixel * 1.2) * near
    canvas.paint("glasses", rgb(0.80, 0.88, 0.95), lens * (0.16 * reading))
    shade = torch.lerp(rgb(0.03, 0.03, 0.04), rgb(0.14, 0.13, 0.16), step(dy, 0.2)[:, None])
    canvas.paint("glasses", shade, lens * (0.96 * sun))
    frame = step(rim - away.abs(), pixel * 1.2)
    span = step(0.011 + pixel * 0.2 - (dy - 0.02).abs(), pixel * 1.2)
    bridge = span * step(shape.eye_x + 0.01 - wide - x.abs(), pixel)
    frame = torch.maximum(frame, bridge) * near
    stem = step(0.011 + pixel * 0.2 - (surface.y - shape.eye_y - 0.03).abs(), pixel * 1.2)
    stem = stem * step(surface.across - shape.eye_x - 0.13, pixel * 2) * surface.cover
    stem = stem * step(surface.z + 0.10, 0.05)
    frame = torch.maximum(frame, stem)
    canvas.paint("glasses", palette(faces("frame_colour") * (1 - 0.6 * reading), FRAMES), frame * worn)


def paint_mouth_cover(canvas: Canvas, faces: FactorPlanes, shape: Proportions, surface: Surface, shade: Tensor) -> None:
    """A cloth mask that climbs from the chin to the middle of the nose."""
    amount = faces("mouth_occluded")
    top = shape.chin_y - 0.05 + (shape.nose_y - shape.chin_y) * amount.sqrt()
    top = top + 0.25 * surface.across.square() * amount
    mask = step(top - surface.y, surface.pixel * 1.3) * surface.cover
    fold = 0.88 + 0.12 * torch.cos(surface.y * 60)
    colour = (0.55 + 0.45 * cloth_colour(faces)) * (fold * shade)[:, None]
    canvas.paint("occluder", colour, mask * ramp(amount, 0.0, 0.25))

"""The renderer: factors to pictures, with the parts painted from back to front."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.domains.synthface import camera, features, hair, skin
from pipeline.domains.synthface.canvas import Canvas, FactorPlanes
from pipeline.domains.synthface.expression import expression
from pipeline.domains.synthface.factors import N_FACTORS, PARTS
from pipeline.domains.synthface.geometry import (
    Proportions,
    Rays,
    Surface,
    face_surface,
    intersect,
    points,
    proportions,
    spot,
    step,
)

PIXELS_PER_BLOCK = 16 * 64 * 64  # rendered at once; they fit into the processor's cache


@dataclass
class Rendered:
    """images (N, 3, H, W) float32 in [-1, 1]; masks (N, len(PARTS), H, W) in [0, 1] or None."""

    images: Tensor
    masks: Tensor | None


def _background(faces: FactorPlanes, rays: Rays) -> Tensor:
    tall = torch.linspace(1, -1, rays.y.shape[1])[None, :, None]
    shade = 0.85 + 0.25 * faces.signed("background_gradient") * -tall
    colour = faces.colour("background")
    colour = 0.10 + 0.80 * torch.lerp(colour.mean(1, keepdim=True), colour, 0.55)
    return (colour * shade[:, None]).expand(-1, -1, -1, rays.x.shape[2]).contiguous()


def _paint_body(canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, colour: Tensor) -> None:
    x0, _ = rays.project(points(shape.width * 0, 0.0, -0.15))
    _, chin = rays.project(points(shape.width * 0, shape.chin_y, 0.25))
    dx, pixel = rays.x - x0, rays.pixel
    half = 0.205 + 0.06 * shape.male - 0.05 * shape.child
    flare = 1.2 * (-(rays.y + 0.72)).clamp(min=0).square()
    neck = step(half + flare - dx.abs(), pixel * 1.3) * step(-0.15 - rays.y, 0.05)
    shadow = 0.50 + 0.30 * step(chin - 0.10 - rays.y, 0.16) - 0.5 * (dx / 0.5).square().clamp(max=0.4)
    canvas.paint("skin", colour * shadow[:, None], neck)
    wide = 0.98 + 0.10 * shape.male - 0.10 * shape.child
    fall = (dx * (1 / wide)).square()
    shoulders = -0.95 + 0.33 * (1 - fall).clamp(min=0).sqrt_()
    opening = spot(dx, dx, 0.22, 1.0) * (0.12 + 0.14 * faces("collar"))
    cloth = step(shoulders - opening - rays.y, pixel * 1.3)
    dye = faces.colour("clothing")
    fold = 0.75 + 0.12 * torch.sin(dx * 9 + rays.y * 5) - 0.2 * fall.clamp(max=1)
    canvas.paint("clothing", (0.08 + 0.8 * torch.lerp(dye.mean(1, keepdim=True), dye, 0.6)) * fold[:, None], cloth)


def _paint_ears(
    canvas: Canvas, faces: FactorPlanes, shape: Proportions, rays: Rays, surface: Surface, colour: Tensor
) -> None:
    size = 1.05 + 0.5 * faces.signed("ear_size")
    for side in (-1.0, 1.0):
        hit = intersect(
            rays,
            points(side * (shape.width - 0.008 + 0.024 * size), -0.02 + 0 * size, -0.10),
            points(0.042 * size, 0.125 * size, 0.075 * size),
        )
        mask = step(hit.inside, rays.pixel * 12) * step(hit.distance - surface.seen, 0.03)
        tone = 0.58 + 0.25 * hit.inside.clamp(0, 1)
        canvas.paint("skin", colour * tone[:, None] * 0.95, mask)


def _render_block(factors: Tensor, resolution: int, masks: bool) -> tuple[Tensor, Tensor | None]:
    faces = FactorPlanes(factors)
    shape = proportions(faces)
    mood = expression(faces, shape)
    rays = camera.aligned_rays(faces, shape, resolution)
    light = camera.key_light(faces, rays)
    surface = face_surface(faces, shape, rays)
    skin_tone, hair_tone = skin.skin_colour(faces), hair.hair_colour(faces)

    face = Canvas(skin_tone.expand(-1, -1, resolution, resolution).contiguous(), "skin", masks)
    skin.paint_skin(face, faces, shape, mood, surface)
    skin.paint_beard(face, faces, shape, surface, hair_tone)
    features.paint_mouth(face, faces, shape, mood, surface, skin_tone)
    features.paint_eyes(face, faces, shape, mood, surface)
    skin.paint_brows(face, faces, shape, mood, surface, hair_tone)
    normal = surface.normal
    lit = (normal[0] * light[:, 0] + normal[1] * light[:, 1] + normal[2] * light[:, 2]).clamp_(min=0)
    ambient = 0.43 + 0.28 * faces("light_ambient")
    facing = (
        normal[0] * rays.toward[:, 0, None, None]
        + normal[1] * rays.toward[:, 1, None, None]
        + normal[2] * rays.toward[:, 2, None, None]
    ).clamp_(0, 1)
    shade = (ambient + (1.01 - ambient) * lit) * surface.hollow * (0.72 + 0.28 * facing)
    face.tint(shade)
    shine = lit.square().square().square().square() * (0.10 * (1 - 0.5 * faces("light_ambient")))
    face.picture.add_((shine * surface.front)[:, None])

    canvas = Canvas(_background(faces, rays), "background", masks)
    hair.paint_long_hair(canvas, faces, shape, rays, hair_tone, beside=False)
    _paint_body(canvas, faces, shape, rays, skin_tone)
    hair.paint_long_hair(canvas, faces, shape, rays, hair_tone, beside=True)
    hair.paint_back_hair(canvas, faces, shape, rays, hair_tone)
    canvas.lay(face, surface.cover)
    _paint_ears(canvas, faces, shape, rays, surface, skin_tone)
    features.paint_mouth_cover(canvas, faces, shape, surface, shade)
    hair.paint_hair(canvas, faces, shape, rays, surface, hair_tone, light)
    features.paint_glasses(canvas, faces, shape, rays, surface)
    hair.paint_headwear(canvas, faces, shape, rays, light)
    return canvas.picture.clamp_(0, 1), canvas.masks


@torch.no_grad()
def render(factors: Tensor, resolution: int = 64, *, masks: bool = False, supersample: int = 1) -> Rendered:
    """Render faces with factors (N, N_FACTORS) in [0, 1].

    Edges are anti-aliased analytically, so a `supersample` of 1 is enough; 2 renders at twice the resolution and
    averages. A face's pixels do not depend on the other faces in the batch. Raises ValueError for another shape.

    >>> from pipeline.domains.synthface.factors import draw_factors
    >>> images = render(draw_factors(seed=0, ids=[0, 1])).images
    >>> tuple(images.shape), bool(images.abs().max() <= 1)
    ((2, 3, 64, 64), True)
    """
    if factors.dim() != 2 or factors.shape[1] != N_FACTORS:
        raise ValueError(f"factors must be (N, {N_FACTORS}), got {tuple(factors.shape)}")
    fine = resolution * supersample
    size = max(1, PIXELS_PER_BLOCK // fine**2)
    count = factors.shape[0]
    images = torch.empty(count, 3, resolution, resolution)
    shares = torch.empty(count, len(PARTS), resolution, resolution) if masks else None
    for start in range(0, count, size):
        rows = factors[start : start + size].to("cpu", torch.float32)
        real = rows.shape[0]
        if real < size:  # always the same shapes, so always the same bits
            rows = torch.cat([rows, rows[-1:].expand(size - real, -1)])
        picture, share = _render_block(rows, fine, masks)
        if supersample > 1:
            picture = torch.nn.functional.avg_pool2d(picture, supersample)
        picture = camera.develop(picture, FactorPlanes(rows))
        images[start : start + real] = (picture * 2 - 1)[:real]
        if shares is not None and share is not None:
            if supersample > 1:
                share = torch.nn.functional.avg_pool2d(share, supersample)
            shares[start : start + real] = share[:real]
    return Rendered(images, shares)

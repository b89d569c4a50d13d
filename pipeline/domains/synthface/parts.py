"""Where an attribute truly lies in a picture: the pixels of its parts, blurred as the camera blurs them."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.domains.synthface import camera
from pipeline.domains.synthface.canvas import PART_INDEX, FactorPlanes
from pipeline.domains.synthface.factors import FACTORS, PARTS, column
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.truth import truth_factors

INSIDE_SHARE = 0.05  # of a pixel that the parts must make up for it to count as theirs


def is_global(attribute: str) -> bool:
    """Whether every part belongs to the attribute (pose, light, blur, ...), so that nothing is outside it."""
    return FACTORS[column(attribute)].parts == PARTS


def driven(faces: Tensor, index: int, value: float) -> Tensor:
    """The factors (N, N_FACTORS) with one column at `value`."""
    moved = faces.clone()
    moved[:, index] = value
    return moved


def inside(masks: Tensor, faces: Tensor, parts: tuple[str, ...]) -> Tensor:
    """Where (N, H, W) the named parts make up at least INSIDE_SHARE of a pixel once the camera has blurred it.

    masks (N, len(PARTS), H, W) as `render` gives them, faces (N, N_FACTORS) whose blur they get.
    """
    share = masks[:, [PART_INDEX[part] for part in parts]].sum(dim=1, keepdim=True)
    blurred = camera.blurred(share, FactorPlanes(faces)("blur")[:, 0, 0])
    return blurred[:, 0] >= INSIDE_SHARE


@torch.no_grad()
def parts_of(w: Tensor, attribute: str, resolution: int) -> Tensor | None:
    """Where (N, H, W), bool, one of the 35 attributes can show on the true faces of w (N, 512); None for a global one.

    The parts at either end of the attribute: where a beard is, and where one would grow.
    """
    if is_global(attribute):
        return None
    index, faces = column(attribute), truth_factors(w.cpu())
    within = torch.zeros(len(w), resolution, resolution, dtype=torch.bool)
    for value in (0.0, 1.0):
        end = driven(faces, index, value)
        masks = render(end, resolution, masks=True).masks
        assert masks is not None
        within |= inside(masks, end, FACTORS[index].parts)
    return within.to(w.device)

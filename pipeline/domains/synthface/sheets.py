"""Pictures to look at: renders beside what the generator makes of the same w."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from pipeline import images
from pipeline.domains.base import load
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.truth import truth_factors
from stylegan.sampling import draw_z

PAIRS_PER_ROW = 6


@torch.no_grad()
def pairs(seed: int, count: int) -> Image.Image:
    """`count` pairs of the render of the truth (left) and G(z) (right), z drawn from (seed, 0), (seed, 1), ..."""
    generator = load("synthface", "cpu").generator
    w = generator.map_to_w(torch.from_numpy(draw_z(seed, np.arange(count))))
    truth = render(truth_factors(w), generator.resolution).images
    made = generator.synthesis(generator.mapping.broadcast(w))
    side_by_side = torch.stack([truth, made], dim=1).flatten(0, 1)
    return images.sheet(images.resize(side_by_side, 2 * generator.resolution), columns=2 * PAIRS_PER_ROW)

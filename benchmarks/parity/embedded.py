"""Labelled codes of the embedded domain, of one seed, as methods learn from them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import FitData

SEED, BATCH = 11, 64


@lru_cache(maxsize=1)
def domain() -> Domain:
    """The embedded domain on the CPU."""
    from pipeline.domains import base

    return base.load("synthface", "cpu")


def codes_z(count: int) -> np.ndarray:
    """z (count, 512) float32."""
    import numpy as np

    from stylegan.sampling import draw_z

    return draw_z(SEED, np.arange(count))


@lru_cache(maxsize=2)
def labelled(count: int) -> FitData:
    """Codes, untruncated, with scorer A's values of their images; and all else that a method may learn from."""
    import torch

    from pipeline.methods.interface import FitData

    home, z = domain(), codes_z(count)
    with torch.inference_mode():
        w = home.generator.map_to_w(torch.from_numpy(z))
        batches = home.generator.mapping.broadcast(w).split(BATCH)
        values = torch.cat([home.scorer_a(home.generator.synthesis(batch)) for batch in batches])
    return FitData(
        w=w.clone(),
        values=values.clone(),
        generator=home.generator,
        scorer_a=home.scorer_a,
        recognizer_a=home.recognizer_a,
        seed=SEED,
        device=home.device,
        draw_z=lambda places: z[places],
        mean_distance=home.mean_distance,
    )

"""Measures the mean descriptors that centre the recognizers, with the files of this machine, and writes centres.json.

python -m pipeline.domains.photoface.measuring
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.domains.photoface import centres, files
from pipeline.domains.photoface.networks import read_generator, read_recognizers
from pipeline.weights.store import Store, open_store

if TYPE_CHECKING:
    from pipeline.networks.crops import CroppedRecognizer
    from stylegan.generator import Generator

FACES = 512
SEED, FIRST_ID = 2022, 5_000_000_000  # faces of no run and of no training
TRUNCATION_PSI = 0.7
AT_ONCE = 8  # images


def measure(generator: Generator, recognizers: Mapping[str, CroppedRecognizer], faces: int) -> dict[str, list[float]]:
    """Role -> the mean descriptor of generated faces by each recognizer, in seven digits."""
    import numpy as np
    import torch

    from stylegan.sampling import draw_z

    totals = {role: torch.zeros(recognizer.dimensions, dtype=torch.float64) for role, recognizer in recognizers.items()}
    with torch.inference_mode():
        for start in range(0, faces, AT_ONCE):
            ids = np.arange(FIRST_ID + start, FIRST_ID + min(start + AT_ONCE, faces))
            images = generator(torch.from_numpy(draw_z(SEED, ids)), truncation_psi=TRUNCATION_PSI).clamp(-1.0, 1.0)
            for role, recognizer in recognizers.items():
                totals[role] += recognizer.descriptors(images).double().sum(dim=0)
    return {role: [float(f"{number:.7g}") for number in (total / faces).tolist()] for role, total in totals.items()}


def main(store: Store, faces: int = FACES) -> None:
    """Measure with the files of a store, and write the file. Raises WeightsError."""
    found = measure(read_generator(store).generator, read_recognizers(store, centred=False), faces)
    hashes = {role: files.fetched(role, store).sha256 for role in (*found, "generator")}
    centres.keep(
        found, hashes.pop("generator"), hashes, faces=faces, seed=SEED, first_id=FIRST_ID, truncation_psi=TRUNCATION_PSI
    )


if __name__ == "__main__":
    main(open_store())

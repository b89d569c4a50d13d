"""Our forms of what judges beside the libraries' own, in one run: MTCNN, resampled FID and KID, and the allocator.

    python benchmarks/judging.py

Every row checks first that both give the same answer. Both are timed in turns, by the processor time of this process on
one thread, and the best of the rounds counts, so that another load on the machine favours neither. The allocator's row
runs this file again in processes with Dask's setting and with ours.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from cleanfid import fid as cleanfid
from facenet_pytorch import MTCNN

from pipeline.chain.views import look, synthesise
from pipeline.domains import base
from pipeline.execution.cluster import KEEPS_MEMORY
from pipeline.metrics.base import Reference
from pipeline.metrics.fid import FaceMoments, resampled_distances
from pipeline.metrics.kid import FaceKernels
from pipeline.networks.detector import Detector

ROUNDS = 3
DASKS = {"MALLOC_TRIM_THRESHOLD_": "65536"}  # what Dask gives its workers


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only-look", action="store_true", help="print the seconds of judging one batch, and stop")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.only_look:
        print(seconds_of_look())
        return
    print(f"one thread, processor time, best of {ROUNDS}, torch {torch.__version__}")
    print(f"{'what':58}{'theirs, s':>12}{'ours, s':>10}{'ratio':>8}")
    for row in (detection(), resampled_fid(), resampled_kid(), allocation()):
        what, theirs, ours = row
        print(f"{what:58}{theirs:12.3f}{ours:10.3f}{theirs / ours:8.2f}", flush=True)


def best(*works: Callable[[], object]) -> list[float]:
    """Seconds of each, in turns, the best round of each."""
    found = [float("inf")] * len(works)
    for _ in range(ROUNDS + 1):  # the shortest counts, so the first may warm up
        for place, work in enumerate(works):
            start = time.process_time()
            work()
            found[place] = min(found[place], time.process_time() - start)
    return found


def images(count: int) -> torch.Tensor:
    """Faces of the embedded generator, (count, 3, 64, 64)."""
    domain = base.load("synthface", "cpu")
    z = torch.randn(count, 512, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return synthesise(domain, domain.generator.mapping.broadcast(domain.generator.map_to_w(z)))


def detection() -> tuple[str, float, float]:
    """64 faces: facenet-pytorch's MTCNN.detect in a batch, looking for faces as small as ours does, and our driver."""
    faces = images(64)
    ours = Detector()
    theirs = MTCNN(min_face_size=round(ours.min_face_share * 64), device="cpu")
    pixels = ((faces + 1) * 127.5).clamp(0, 255).round().byte().permute(0, 2, 3, 1).contiguous()
    found = ours.detect(faces, threshold=0.9).found.numpy()
    probabilities = [0.0 if row[0] is None else float(max(row)) for row in theirs.detect(pixels)[1]]
    agreement = float(((np.array(probabilities) >= 0.9) == found).mean())
    if agreement < 0.98:
        sys.exit(f"The detectors agree on {agreement:.0%} of the faces alone: nothing to compare.")
    return "MTCNN, 64 faces at 64 px", *best(lambda: theirs.detect(pixels), lambda: ours.detect(faces))


def sets(width: int = 192) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of 50 faces edited 88 times, their faces, and 5,000 reference vectors."""
    rng = np.random.default_rng(0)
    faces = np.repeat(np.arange(50), 88)
    features = rng.normal(size=(50, width))[faces] + 0.3 * rng.normal(size=(len(faces), width))
    return features, faces, rng.normal(size=(5000, width))


def resampled_fid() -> tuple[str, float, float]:
    """10 resamples of the faces: clean-fid's distance of the drawn images, and ours from per-face moments."""
    features, faces, other = sets()
    reference = Reference(other, np.zeros((1, 1)))
    counts = np.random.default_rng(1).multinomial(50, np.full(50, 0.02), size=10)
    moments = FaceMoments(features, faces)

    def theirs() -> np.ndarray:
        drawn = [np.concatenate([features[faces == face] for face in np.repeat(np.arange(50), row)]) for row in counts]
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return np.array([cleanfid.fid_from_feats(one, other) for one in drawn])

    def ours() -> np.ndarray:
        return resampled_distances(moments, reference, counts.astype(float))

    np.testing.assert_allclose(ours(), theirs(), rtol=1e-6)
    return "FID, 10 resamples of 4,400 images in 192 dimensions", *best(theirs, ours)


def resampled_kid() -> tuple[str, float, float]:
    """100 resamples: the distance over whole sets, image by image, and ours from sums between faces."""
    features, faces, other = (part.astype(np.float64) for part in sets())
    counts = np.random.default_rng(1).multinomial(50, np.full(50, 0.02), size=100)

    def of_images(row: np.ndarray) -> float:
        drawn = np.concatenate([features[faces == face] for face in np.repeat(np.arange(50), row)])
        n, width = drawn.shape
        own = (drawn @ drawn.T / width + 1) ** 3
        crossed = (drawn @ other.T / width + 1) ** 3
        return float((own.sum() - np.trace(own)) / (n * (n - 1)) - 2 * crossed.mean())

    def theirs() -> np.ndarray:
        return np.array([of_images(row) for row in counts[:3]])

    def ours() -> np.ndarray:
        return FaceKernels(features, faces, other).distances(counts.astype(float))

    np.testing.assert_allclose(ours()[:3], theirs(), rtol=1e-6)
    image_by_image, summed = best(theirs, ours)
    return "KID, 100 resamples of them", image_by_image * 100 / 3, summed


def seconds_of_look() -> float:
    """Processor time, with the system's, of judging 64 images once."""
    domain = base.load("synthface", "cpu")
    faces = images(64)
    with torch.inference_mode():
        return best(lambda: look(domain, faces, 0.9))[0]


def allocation() -> tuple[str, float, float]:
    """All judges over 64 images, in a worker with Dask's allocator settings and in one with ours."""
    found = []
    for settings in (DASKS, KEEPS_MEMORY):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")} | settings
        command = [sys.executable, __file__, "--only-look"]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(float(answer.stdout))
    return "all judges, 64 images: Dask's allocator settings, ours", found[0], found[1]


if __name__ == "__main__":
    main()

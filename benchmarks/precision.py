"""What bfloat16 changes: the same edits generated and judged in full precision and in bfloat16, column by column.

    python benchmarks/precision.py

Faces of the embedded generator are moved at 4 strengths along 8 directions of w, the covariances of w with scorer A's
logits of the evaluated attributes. Printed as a table of Markdown, for every measure of an edit: its mean in full
precision, how far that mean moves, how far a single image moves on average and at most, and the half width of the 95 %
interval of the mean over these faces, and over the 50 faces of the full protocol.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from pipeline.attributes import EVALUATED, index_of
from pipeline.chain.views import compare_views, look_at_codes, synthesise
from pipeline.domains import base
from pipeline.domains.base import Domain
from pipeline.settings.experiment import BFLOAT16, FULL
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.statistics.units import logits_of

SEED, SAMPLES, THRESHOLD = 16, 512, 0.9
STRENGTHS = (-0.4, -0.2, 0.2, 0.4)  # mean distances of two random w
PROTOCOL_FACES = 50  # of profile full


def directions(domain: Domain, w: Tensor) -> Tensor:
    """Unit directions (8, 512) along which scorer A's logits vary with samples w (N, 512)."""
    ws = domain.generator.mapping.broadcast(w)
    logits = torch.cat([logits_of(domain.scorer_a(synthesise(domain, part))) for part in ws.split(64)])
    logits = logits[:, [index_of(name) for name in EVALUATED]]
    return torch.nn.functional.normalize((logits - logits.mean(dim=0)).T @ (w - w.mean(dim=0)), dim=1)


def measures(domain: Domain, faces: Tensor, edited: Tensor) -> dict[str, Tensor]:
    """Columns (F, E) of faces' codes (F, L, 512) and their edits (F, E, L, 512)."""
    before = look_at_codes(domain, faces, THRESHOLD)
    deviation = logits_of(before.values).std(dim=0)
    rows: list[dict[str, Tensor]] = []
    for number in range(len(faces)):
        unedited = before[torch.full((edited.shape[1],), number)]
        view = look_at_codes(domain, edited[number], THRESHOLD)
        moved = logits_of(view.values) - logits_of(unedited.values)
        columns = compare_views(domain, view, unedited)
        columns["scorer A, value"] = domain.scorer_a(view.images).mean(dim=1)
        columns["scorer B, logit change, sigma"] = (moved / deviation.clamp(min=0.1)).abs().mean(dim=1)
        columns["found"] = view.found.float()
        columns["probability of a face"] = view.probability
        columns["perception vector, distance"] = (view.features - unedited.features).norm(dim=1)
        rows.append(columns)
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0] if "error" not in name}


def half_width(values: np.ndarray, faces: int) -> float:
    """Of the mean of values (F, E), for so many faces in place of F."""
    bootstrap = Bootstrap(1000)
    counts = bootstrap.counts(len(values))
    means = counts @ values.mean(axis=1) / counts.sum(axis=1)
    return float(1.96 * means.std() * np.sqrt(len(values) / faces))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", type=int, default=16, help="faces, each edited 32 times (default: 16)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    full, narrow = (base.load("synthface", "cpu", precision) for precision in (FULL, BFLOAT16))
    rng = torch.Generator().manual_seed(SEED)
    with torch.inference_mode():
        w = full.generator.map_to_w(torch.randn(SAMPLES + given.faces, 512, generator=rng))
        steps = directions(full, w[:SAMPLES])
        moves = torch.cat([strength * full.mean_distance * steps for strength in STRENGTHS])
        faces = full.generator.mapping.broadcast(w[SAMPLES:])
        edited = faces[:, None] + moves[None, :, None]
        columns = [measures(domain, faces, edited) for domain in (full, narrow)]
    print(f"{given.faces} faces, {moves.shape[0]} edits of each, torch {torch.__version__}\n")
    titles = (
        "mean",
        "its change",
        "mean change of an image",
        "largest",
        "half width here",
        f"of {PROTOCOL_FACES} faces",
    )
    print(f"| measure | {' | '.join(titles)} |\n| --- |{' --- |' * len(titles)}")
    for name, values in columns[0].items():
        expected, found = (part.double().numpy() for part in (values, columns[1][name]))
        change = np.abs(found - expected)
        numbers = (expected.mean(), found.mean() - expected.mean(), change.mean(), change.max())
        numbers += tuple(half_width(expected, count) for count in (given.faces, PROTOCOL_FACES))
        print(f"| {name.replace('_', ' ')} | {' | '.join(f'{number:.5f}' for number in numbers)} |")


if __name__ == "__main__":
    main()

"""HiGAN: `manipulate`, and the layers' re-scoring by it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.embedded import BATCH, domain, labelled
from benchmarks.parity.loading import theirs
from benchmarks.parity.measures import largest

CODES, NAMES, TRUNCATIONS, DISTANCE = 16, ("age", "gender"), (1.0, 0.7), 2.0


@lru_cache(maxsize=4)
def scene(psi: float) -> tuple[Any, Any, Any, Any]:
    """Our method with random unit normals, data of truncated codes, those codes (N, L, 512), the normals (35, 512)."""
    import torch

    from pipeline.attributes import NAMES as COLUMNS
    from pipeline.methods.higan import HiGAN

    data, mapping = labelled(CODES), domain().generator.mapping
    data = replace(data, w=torch.lerp(mapping.w_avg, data.w, psi), truncation_psi=psi)
    rng = torch.Generator().manual_seed(51)
    normals = torch.nn.functional.normalize(torch.randn(len(COLUMNS), 512, generator=rng), dim=1)
    method = HiGAN(rescored=CODES, distance=DISTANCE)
    method.directions_ = normals
    return method, data, mapping.broadcast(data.w), normals


def moved(psi: float, normal: Any, layer: int | None) -> Any:
    """Their codes (N, L, 512), moved in one layer or in all, as their re-scoring calls `manipulate`."""
    import torch

    _, _, ws, _ = scene(psi)
    editor, depth = theirs("utils.editor"), ws.shape[1]
    found = editor.manipulate(
        ws.numpy(),
        normal[None].numpy(),
        start_distance=DISTANCE,
        end_distance=DISTANCE,
        step=1,
        layerwise_manipulation=True,
        num_layers=depth,
        manipulate_layers=layer,
        is_code_layerwise=True,
        layerwise_manipulation_strength=editor.get_layerwise_manipulation_strength(depth, psi, depth),
    )
    return torch.from_numpy(found[:, 0]).float()


def manipulated() -> Measured:
    """Our edit in chosen layers beside `manipulate` in the same."""
    import torch

    from pipeline.attributes import EVALUATED, index_of

    worst = 0.0
    for psi in TRUNCATIONS:
        method, data, ws, normals = scene(psi)
        depth, column = ws.shape[1], index_of(EVALUATED[NAMES[0]])
        for layer in (None, 0, 3, depth - 1):
            kept = torch.zeros(len(normals), depth)
            kept[column, slice(None) if layer is None else layer] = 1.0
            method.layers_ = kept
            strengths = torch.zeros(len(ws), len(normals))
            strengths[:, column] = DISTANCE * psi
            found = method.edit(ws, strengths, data.values)
            worst = max(worst, largest(found, moved(psi, normals[column], layer)))
    return Measured(worst)


def rescored() -> Measured:
    """The mean rise of an attribute's score by all layers and by each; and the order of layers, which must agree."""
    from pipeline.attributes import EVALUATED, index_of
    from pipeline.methods.higan import _Rescoring

    worst = 0.0
    for psi in TRUNCATIONS:
        method, data, ws, normals = scene(psi)
        ours = _Rescoring(method, data)
        for name in NAMES:
            column, own = index_of(EVALUATED[name]), ours.changes(EVALUATED[name])
            before = scores(ws, column)
            known = []
            for layer in (None, *range(ws.shape[1])):
                change = scores(moved(psi, normals[column], layer), column) - before
                known.append(float(change.clamp(min=0.0).mean()))
            worst = max(worst, largest(own, known))
    return Measured(worst)


def scores(ws: Any, column: int) -> Any:
    """Scorer A's value of one attribute of the images of ws, (N,) float64."""
    import torch

    home = domain()
    with torch.no_grad():
        return torch.cat([home.scorer_a(home.generator.synthesis(batch)).double() for batch in ws.split(BATCH)])[
            :, column
        ]


SUBJECT = Subject(
    checkout=Checkout("higan", "genforce/higan", "2088e23"),
    comparisons=(
        Comparison("manipulate", "edits in all layers and in one; psi 1, .7", f"{CODES} codes x 8", manipulated, 1e-5),
        Comparison(
            "rescoring",
            "rise of a score by manipulate in all layers and each (rescore.py's mean); psi 1, .7; 2 attributes",
            f"{CODES} codes x 44",
            rescored,
            1e-5,
            formula=True,
        ),
    ),
)

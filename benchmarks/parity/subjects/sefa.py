"""SeFa: `factorize_weight` beside `pipeline.methods.sefa.factorise`."""

from __future__ import annotations

from typing import Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.loading import stand_in, theirs
from benchmarks.parity.measures import COSINE, RELATIVE, cosine_gap, relative

RESOLUTION, W_DIM, LAYERS = 64, 512, 10
GROUPS = (("all", 0, LAYERS), ("0-1", 0, 2), ("2-5", 2, 6), (f"6-{LAYERS - 1}", 6, LAYERS))
KEPT = 10  # eigenvectors of a group


def generator_of() -> Any:
    """Their StyleGAN2 generator of random weights, from one seed."""
    import torch

    stand_in("cv2")
    torch.manual_seed(6)
    return theirs("models").build_generator("stylegan2", RESOLUTION, fmaps_base=4096, fmaps_max=256)


def weights_of(generator: Any) -> list[Any]:
    """Its style weights as our generator lists its own."""
    from stylegan.generator import AffineWeight

    found = []
    for layer in range(LAYERS - 1):
        weight = getattr(generator.synthesis, f"layer{layer}").style.weight.detach()
        found.append(AffineWeight(f"conv{layer}", layer, weight))
    last = getattr(generator.synthesis, f"output{LAYERS // 2 - 1}").style.weight.detach()
    return [*found, AffineWeight("torgb", LAYERS - 1, last)]


def both() -> list[tuple[Any, Any, Any, Any]]:
    """Our eigenvalues and vectors, then theirs in falling order, for each group of layers."""
    from pipeline.methods.sefa import factorise, stacked

    generator = generator_of()
    weights, found = weights_of(generator), []
    for word, first, stop in GROUPS:
        layers, vectors, values = theirs("utils").factorize_weight(generator, word)
        if list(layers) != list(range(first, stop)):
            raise ValueError(f"Their layers of {word!r} are {layers}.")
        own_values, own_vectors = factorise(stacked(weights, first, stop, LAYERS))
        order = (-values.real).argsort()[:KEPT]
        found.append((own_values[:KEPT], own_vectors[:KEPT], values.real[order], vectors.real[order]))
    return found


def vectors() -> Measured:
    """The leading eigenvectors."""
    return Measured(max(cosine_gap(own, known) for _, own, _, known in both()))


def values() -> Measured:
    """Their eigenvalues."""
    return Measured(max(relative(own, known) for own, _, known, _ in both()))


SUBJECT = Subject(
    checkout=Checkout("sefa", "genforce/sefa", "0d16060"),
    comparisons=(
        Comparison(
            "factorize_weight",
            "factorize_weight of their StyleGAN2Generator(64): first 10 vectors of all, 0-1, 2-5, 6-9",
            "4 x 10",
            vectors,
            1e-5,
            COSINE,
        ),
        Comparison("eigenvalues", "its eigenvalues", "4 x 10", values, 1e-5, RELATIVE),
    ),
    shims=("an empty module stands for cv2 where that is not installed: only their HTML pages use it",),
)

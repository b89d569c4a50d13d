"""Checks that W is as entangled as a real generator's: probes of the truth, DCI, and boundaries.

A quick measurement while W is designed, without weights files:

    python -c "from pipeline.domains.synthface.verification.latent_space import disentanglement_of_w as d; print(d())"

**Two targets.** A factor is a normal transformed by a marginal, often a steep one. A linear probe cannot predict a
binary attribute well even if W is linear, so the gap between nonlinear and linear probes of the *factors* partly
measures FFHQ's marginals. Therefore the probes also predict the *normals* before the marginals, which a linear probe
would predict perfectly from a linear W: that gap measures only W. Both gaps have the bar. `glasses` has no normal
(factors.py); the normal of `reading_glasses` is used for it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface.domain import card_of, weights_path
from pipeline.domains.synthface.factors import FACTOR_NAMES, N_ATTRIBUTES, N_FACTORS, attributes_of
from pipeline.domains.synthface.truth import make_mapping
from pipeline.domains.synthface.verification import probes
from pipeline.domains.synthface.verification.dci import Disentanglement, disentanglement
from pipeline.domains.synthface.verification.figures import Bench, Direction, Figure
from pipeline.domains.synthface.verification.samples import EIGHT, W_SEED, draw_w, normals_of, truth_of
from pipeline.progress import Display
from stylegan.generator import Generator
from stylegan.sampling import draw_z
from stylegan.weights import load_generator

DCI_COUNT = 100_000
PROBE_COUNT, PROBE_TRAIN, BOOSTED_TRAIN = 60_000, 50_000, 10_000
CLEAR_GAP = 0.05  # smallest clear gap in R2
LEAST_CLEAR = 4  # smallest number of the eight attributes with a clear gap
D_RANGE = (0.35, 0.75)


def measure(bench: Bench) -> list[Figure]:
    """All figures of the latent spaces."""
    torch.set_num_threads(bench.threads)
    generator = load_generator(weights_path("generator"), card_of("generator")["sha256"])
    w = draw_w(generator.mapping, W_SEED, DCI_COUNT)
    factors = truth_of(w)
    few = slice(0, PROBE_COUNT)
    return [
        *bench.measure("DCI of W", lambda: dci_figures("W", dci_of_w(w, factors))),
        *bench.measure("DCI of the style space", lambda: dci_figures("S", dci_of_styles(generator, w, factors))),
        *bench.measure("probes of w", lambda: probe_figures(w[few], factors[few], normals_of(w[few]))),
        *bench.measure("linear probe of z", lambda: z_figures(factors[few])),
        *bench.measure("boundaries as InterFaceGAN trains them", lambda: svm_figures(bench, w[few], factors[few])),
    ]


def disentanglement_of_w(count: int = DCI_COUNT) -> Disentanglement:
    """DCI of the W of `truth.make_mapping`, on `count` codes; reads no weights file."""
    w = draw_w(make_mapping().requires_grad_(False), W_SEED, count)
    return dci_of_w(w, truth_of(w))


def dci_of_w(w: Tensor, factors: Tensor) -> Disentanglement:
    """DCI of w (N, 512) against its factors (N, N_FACTORS)."""
    return disentanglement(lambda places: w[places].numpy(), attributes_of(factors).numpy())


@torch.no_grad()
def dci_of_styles(generator: Generator, w: Tensor, factors: Tensor) -> Disentanglement:
    """DCI of the style space: the styles of every convolution and torgb layer side by side."""

    def styles(places: np.ndarray) -> np.ndarray:
        return torch.cat(generator.styles(generator.mapping.broadcast(w[places])), dim=1).numpy()

    return disentanglement(styles, attributes_of(factors).numpy())


def dci_figures(space: str, found: Disentanglement) -> list[Figure]:
    """Disentanglement (with two bars for W), completeness and informativeness."""
    published = {"W": ("about .54", ".57"), "S": (".75", ".87")}[space]
    bar, n, note = f"DCI of {space}", DCI_COUNT, f"over {len(found.attributes)} attributes; FFHQ {published[0]}"
    sides: tuple[tuple[Direction, float], ...] = ((">=", D_RANGE[0]), ("<=", D_RANGE[1]))
    rows = [Figure(bar, "disentanglement", found.disentanglement, n, way, limit, note) for way, limit in sides]
    if space != "W":
        rows = [Figure(bar, "disentanglement", found.disentanglement, n, note=note)]
    return [
        *rows,
        Figure(bar, "completeness", found.completeness, n, note=f"FFHQ {published[1]}"),
        Figure(bar, "informativeness", found.informativeness, n, note="accuracy on held-out extremes"),
    ]


def probe_figures(w: Tensor, factors: Tensor, normals: Tensor) -> list[Figure]:
    """R2 of every probe for every target, and the number of the eight with a clear gap."""
    train = PROBE_TRAIN
    both = torch.cat([factors, normals], dim=1)
    linear = probes.linear_r2(w, both, train)
    with Display("network probe", probes.EPOCHS, "epochs") as display:
        network = probes.network_r2(w, both, train, seed=W_SEED, tell=display.update)
    rows = slice(train - BOOSTED_TRAIN, None)
    with Display("boosted probes", N_ATTRIBUTES, "attributes") as display:
        boosted = probes.boosted_r2(w[rows], factors[rows, :N_ATTRIBUTES], BOOSTED_TRAIN, W_SEED, display.update)
    n = len(w) - train
    found = [*gap_figures("factors", linear, np.maximum(network, _padded(boosted, len(network))), n)]
    found += gap_figures("normals", linear[N_FACTORS:], network[N_FACTORS:], n)
    kinds = [(f"{kind} probe of w, R2", values) for kind, values in (("linear", linear), ("network", network))]
    for bar, values in [*kinds, ("boosted probe of w, R2", boosted)]:
        found += [Figure(bar, name, float(r2), n, detail=True) for name, r2 in zip(FACTOR_NAMES, values, strict=False)]
        found.append(Figure(bar, "mean of 35 attributes", float(values[:N_ATTRIBUTES].mean()), n))
        if len(values) > N_ATTRIBUTES:
            found.append(Figure(bar, f"mean of {N_FACTORS} factors", float(values[:N_FACTORS].mean()), n))
            of_normals = zip(attributes.NAMES, values[N_FACTORS:], strict=True)
            found += [Figure(bar, f"normal of {name}", float(r2), n, detail=True) for name, r2 in of_normals]
    return found


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([values, np.full(length - len(values), -np.inf)])


def gap_figures(target: str, linear: np.ndarray, nonlinear: np.ndarray, n: int) -> list[Figure]:
    """R2 of the better nonlinear probe - R2 of the linear probe, for the eight, and the number of clear gaps.

    linear, nonlinear: one R2 per column, attributes first.
    """
    rows, gaps = [], []
    for name in EIGHT:
        normal = target == "normals" and name == "glasses"  # `glasses` has no normal
        column = attributes.INDEX["reading_glasses" if normal else name]
        gaps.append(float(nonlinear[column] - linear[column]))
        note = f"{nonlinear[column]:.3f} - {linear[column]:.3f}" + (", of reading_glasses" if normal else "")
        rows.append(Figure(f"nonlinear - linear probe of {target}", name, gaps[-1], n, note=note))
    clear = sum(gap >= CLEAR_GAP for gap in gaps)
    subject, note = f"of the eight, clear in {target}", f"clear: at least {CLEAR_GAP}"
    bar = "nonlinear - linear probe"
    return [Figure(bar, subject, clear, n, ">=", LEAST_CLEAR, note), *rows]


def z_figures(factors: Tensor) -> list[Figure]:
    """R2 of the linear probe of z, for comparison with W."""
    z = torch.from_numpy(draw_z(W_SEED, np.arange(len(factors))))
    r2 = probes.linear_r2(z, factors, PROBE_TRAIN)
    n, bar = len(factors) - PROBE_TRAIN, "linear probe of z, R2"
    rows = [Figure(bar, name, float(r2[attributes.INDEX[name]]), n) for name in EIGHT]
    return [*rows, Figure(bar, f"mean of {N_FACTORS} factors", float(r2.mean()), n)]


def svm_figures(bench: Bench, w: Tensor, factors: Tensor) -> list[Figure]:
    """Accuracies of InterFaceGAN's boundaries with true labels: on held-out extremes, and on all faces in between."""
    facts = bench.boundaries(w, attributes_of(factors), W_SEED)
    rows = []
    for name in EIGHT:
        fact = facts[name]
        if not fact["trained"]:
            rows.append(Figure("SVM accuracy, extremes", name, float("nan"), 0, note="too few on a side"))
            continue
        n = fact["positives"] + fact["negatives"]
        note = "on the share of these codes that did not train it"
        rows.append(Figure("SVM accuracy, extremes", name, fact["validation_accuracy"], n, note=note))
        rows.append(Figure("SVM accuracy, all between", name, fact["remaining_accuracy"], len(w) - n))
    return rows

"""Checks of the networks: judges on held-out renders, their agreement on edited images, file sizes, generator speed.

Scorers are measured on a mixture of equal parts: held-out renders with FFHQ's statistics, and renders with broadly
drawn attributes, because rare values hardly occur in the first part. The figures are R2 for continuous attributes and
the area under the ROC curve for binary ones, over the whole mixture; the notes give both parts. A speed is the fastest
of several rounds, which estimates the speed of an idle machine.
"""

from __future__ import annotations

import os
import time

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.metrics import r2_score, roc_auc_score
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface.domain import FOLDER, card_of, weights_path
from pipeline.domains.synthface.factors import N_ATTRIBUTES
from pipeline.domains.synthface.training.measures import measure_recognizer
from pipeline.domains.synthface.verification import probes
from pipeline.domains.synthface.verification.figures import Bench, Figure
from pipeline.domains.synthface.verification.samples import (
    EDIT_SEED,
    EIGHT,
    W_SEED,
    draw_w,
    held_out,
    judged,
    normals_of,
    pixels_of,
)
from pipeline.networks.files import load_network
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from pipeline.progress import Display
from stylegan.generator import Generator
from stylegan.sampling import draw_z
from stylegan.weights import load_generator

SCORER_MEAN, SCORER_LEAST = 0.95, 0.85
AUC, EQUAL_ERROR = 0.99, 0.05
LARGEST_MEGABYTES = 60.0
SPEED, SPEED_BATCH, SPEED_THREADS, ROUNDS, ROUND_SECONDS = 150.0, 32, 2, 6, 1.0
EDITED, STRENGTHS = 100, (-2.0, -1.0, 1.0, 2.0)  # faces; standard deviations of the attribute's normal
PROBE_COUNT = 20_000
CPU = torch.device("cpu")


def measure(bench: Bench) -> list[Figure]:
    """All figures of the networks."""
    torch.set_num_threads(bench.threads)
    scorers = {letter: load_network(Scorer, weights_path(f"scorer_{letter.lower()}"), CPU) for letter in "AB"}
    generator = load_generator(weights_path("generator"), card_of("generator")["sha256"])
    return [
        *bench.measure("scorer A", lambda: scorer_figures("scorer A", scorers["A"], bench)),
        *bench.measure("scorer B", lambda: scorer_figures("scorer B", scorers["B"], bench)),
        *bench.measure("recognizer A", lambda: recognizer_figures("recognizer A", bench)),
        *bench.measure("recognizer B", lambda: recognizer_figures("recognizer B", bench)),
        *bench.measure("scorers on edited images", lambda: edited_figures(generator, scorers["A"], scorers["B"])),
        *bench.measure("size of all files", size_figures),
        *bench.measure("generator speed", lambda: speed_figures(generator, bench.threads)),
    ]


def quality(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """R2 of continuous and area under the ROC curve of binary attributes, (35,); found and truth (N, 35) in [0, 1].

    NaN if a binary attribute has only one class.
    """
    values = np.full(N_ATTRIBUTES, np.nan)
    for column, attribute in enumerate(attributes.ATTRIBUTES):
        if attribute.kind == "binary":
            positive = truth[:, column] > 0.5
            if 0 < positive.sum() < len(positive):
                values[column] = roc_auc_score(positive, found[:, column])
        else:
            values[column] = r2_score(truth[:, column], found[:, column])
    return values


def scorer_figures(name: str, scorer: Scorer, bench: Bench) -> list[Figure]:
    """Quality of every attribute, with the minimum and the mean."""
    sets = {kind: held_out(kind, bench) for kind in ("natural", "broad")}
    found = {kind: judged(scorer, part.images).numpy() for kind, part in sets.items()}
    truth = {kind: np.asarray(part.factors[:, :N_ATTRIBUTES]) for kind, part in sets.items()}
    apart = {kind: quality(found[kind], truth[kind]) for kind in sets}
    mixed = quality(*(np.concatenate([part[kind] for kind in sets]) for part in (found, truth)))
    n = sum(len(part.images) for part in sets.values())
    rows = [Figure(name, "mean of 35", float(mixed.mean()), n, ">=", SCORER_MEAN, "R2, or AUC where binary")]
    for column, attribute in enumerate(attributes.ATTRIBUTES):
        what = "AUC" if attribute.kind == "binary" else "R2"
        note = f"{what}; natural {apart['natural'][column]:.3f}, broad {apart['broad'][column]:.3f}"
        rows.append(Figure(name, attribute.name, float(mixed[column]), n, ">=", SCORER_LEAST, note))
    return rows


def recognizer_figures(name: str, bench: Bench) -> list[Figure]:
    """Verification of persons whose pose, expression, light, glasses, hair and beard differ from picture to picture."""
    recognizer = load_network(Recognizer, weights_path(name.lower().replace(" ", "_")), CPU)
    with torch.no_grad():
        found = measure_recognizer(recognizer, held_out("people", bench))
    n, note = int(found["n_pairs"]), f"{found['n_persons']} persons"
    return [
        Figure(name, "area under the ROC curve", found["auc"], n, ">=", AUC, note),
        Figure(name, "equal-error rate", found["equal_error_rate"], n, "<=", EQUAL_ERROR, note),
        Figure(name, "correlation with true identity distance", found["correlation_with_true_distance"], n),
    ]


def edited_w(generator: Generator) -> Tensor:
    """w moved along the ridge-probe directions of the eight, (8, faces x strengths, 512).

    A strength of 1 changes the linear probe of the normal by one standard deviation, with the shortest step.
    """
    known = draw_w(generator.mapping, W_SEED, PROBE_COUNT)
    slopes, _ = probes.ridge(known, normals_of(known))
    start = draw_w(generator.mapping, EDIT_SEED, EDITED)
    moved = []
    for name in EIGHT:
        slope = slopes[:, attributes.INDEX["reading_glasses" if name == "glasses" else name]]
        step = (slope / slope.square().sum()).float()
        moved.append(torch.cat([start + strength * step for strength in STRENGTHS]))
    return torch.stack(moved)


def edited_figures(generator: Generator, scorer_a: Scorer, scorer_b: Scorer) -> list[Figure]:
    """Rank correlation of the two scorers on images of edited w: for the edited attribute, and the mean over all 35."""
    moved = edited_w(generator)
    with Display("edited images", moved.shape[0] * moved.shape[1], "images") as display:
        pixels = pixels_of(generator, moved.flatten(0, 1), display.update)
    by_a, by_b = (judged(scorer, pixels).view(*moved.shape[:2], -1).numpy() for scorer in (scorer_a, scorer_b))
    rows, bar, n = [], "scorers A and B on edited G(w), rank correlation", moved.shape[1]
    for place, name in enumerate(EIGHT):
        a, b = (by[place][:, attributes.INDEX[name]] for by in (by_a, by_b))
        rows.append(
            Figure(bar, name, float(spearmanr(a, b).statistic), n, note=f"R2 of A's values {r2_score(b, a):.3f}")
        )
    flat_a, flat_b = by_a.reshape(-1, N_ATTRIBUTES), by_b.reshape(-1, N_ATTRIBUTES)
    ranks = [float(spearmanr(flat_a[:, column], flat_b[:, column]).statistic) for column in range(N_ATTRIBUTES)]
    return [
        *rows,
        Figure(bar, "mean of 35, all edits", float(np.mean(ranks)), len(flat_a), note=f"least {min(ranks):.3f}"),
    ]


def size_figures() -> list[Figure]:
    """Megabytes of all files in the folder of weights, including cards."""
    files = [path for path in FOLDER.iterdir() if path.is_file()]
    total = sum(path.stat().st_size for path in files) / 1e6
    return [Figure("weights, MB", "all shipped files", total, len(files), "<=", LARGEST_MEGABYTES)]


def speed_figures(generator: Generator, threads: int) -> list[Figure]:
    """Images per second, from z, of the shipped generator, and of a random generator with twice the resolution."""
    load = os.getloadavg()[0]
    largest = generator.resolution
    channels = generator.architecture.channels | {2 * largest: max(1, generator.architecture.channels[largest] // 2)}
    with torch.random.fork_rng():
        torch.manual_seed(EDIT_SEED)
        doubled = Generator(resolution=2 * largest, channels=channels).eval().requires_grad_(False)
    torch.set_num_threads(SPEED_THREADS)
    rates = {one.resolution: images_per_second(one) for one in (generator, doubled)}
    torch.set_num_threads(threads)
    bar, n = "generator speed, images/s", SPEED_BATCH
    note = f"batch {SPEED_BATCH}, {SPEED_THREADS} threads, float32; machine's load before: {load:.1f}"
    return [
        Figure(bar, f"{largest} px", rates[largest], n, ">=", SPEED, note),
        Figure(bar, f"{2 * largest} px, random weights", rates[2 * largest], n, note="last channels halved once more"),
    ]


@torch.no_grad()
def images_per_second(generator: Generator, rounds: int = ROUNDS, seconds: float = ROUND_SECONDS) -> float:
    """Images per second in the fastest of `rounds`, each of at least `seconds`, after one batch to warm up."""
    z, rates = torch.from_numpy(draw_z(EDIT_SEED, np.arange(SPEED_BATCH))), []
    generator(z)
    for _ in range(rounds):
        started, batches = time.perf_counter(), 0
        while (spent := time.perf_counter() - started) < seconds or not batches:
            generator(z)
            batches += 1
        rates.append(batches * SPEED_BATCH / spent)
    return max(rates)

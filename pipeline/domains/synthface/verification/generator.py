"""Checks of the generator: realism (FID), detectable faces, no duplicates, images that match the truth of w.

**FID** of 10,000 G(z) to 10,000 renders of other faces of the same distribution, on the perception net's features. Two
disjoint sets of 10,000 renders are almost as close as a set to itself, so 1.5 times their distance alone would be out
of reach for any network. The fixed term is VARIANCE_SHARE of the features' total variance (the trace of their
covariance among renders). For comparison the distance of renders at half their resolution is reported: 14 % of that
variance when the bar was set, so the generator may lose a seventh of the loss from a halved resolution.

**No duplicates**: the distance of the closest pair of 1,000 G(z), by recognizer A. Two images are nearly identical if
their distance is below NEARLY_IDENTICAL times the median distance of two pictures of one person (which differ in pose,
light, expression, hair and so on). Distances grow with the square of the angle, so that is a twentieth of the usual
angle. A picture and the same picture with noise of 1 % of the range are closer (about .0008 when the bar was set); the
closest two of 1,000 renders, all of different persons, are not (.02), which is reported for comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor
from torch.nn import functional

from pipeline import attributes
from pipeline.domains.synthface.domain import card_of, weights_path
from pipeline.domains.synthface.factors import attributes_of
from pipeline.domains.synthface.training.sets import PER_PERSON
from pipeline.domains.synthface.verification.figures import Bench, Figure
from pipeline.domains.synthface.verification.networks import quality
from pipeline.domains.synthface.verification.samples import EIGHT, G_SEED, draw_w, held_out, judged, pixels_of, truth_of
from pipeline.networks.detector import Detector
from pipeline.networks.files import load_network
from pipeline.networks.perception import Perception
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from pipeline.progress import Display
from stylegan.weights import load_generator

FID_COUNT = 10_000
FID_RATIO, VARIANCE_SHARE = 1.5, 0.02
FOUND, FOUND_SHARE, FOUND_COUNT = 0.9, 0.995, 2_000
NEAR_COUNT, NEARLY_IDENTICAL = 1_000, 0.0025
EACH_R2, MEAN_R2 = 0.9, 0.8
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Sample:
    """G(z) of held-out z: pixels (N, 3, H, W) uint8 and the truth's attributes (N, 35) in [0, 1]."""

    pixels: np.ndarray
    truth: np.ndarray


def measure(bench: Bench) -> list[Figure]:
    """All figures of the generator."""
    torch.set_num_threads(bench.threads)
    made = draw_sample(FID_COUNT)
    return [
        *bench.measure("round trip by scorer B", lambda: round_trip(made)),
        *bench.measure("FID", lambda: fid_figures(made.pixels, bench)),
        *bench.measure("MTCNN", lambda: found_figures(made.pixels, bench)),
        *bench.measure("nearest pairs", lambda: nearest_figures(made.pixels, bench)),
    ]


def draw_sample(count: int) -> Sample:
    """G(z) of `count` held-out z at truncation 1."""
    generator = load_generator(weights_path("generator"), card_of("generator")["sha256"])
    w = draw_w(generator.mapping, G_SEED, count)
    with Display("G(z)", count, "images") as display:
        pixels = pixels_of(generator, w, display.update)
    return Sample(pixels, attributes_of(truth_of(w)).numpy())


def round_trip(made: Sample) -> list[Figure]:
    """R2 of scorer B's reading of G(z) against the truth of z."""
    scorer = load_network(Scorer, weights_path("scorer_b"), CPU)
    with Display("scorer B", len(made.pixels), "images") as display:
        values = judged(scorer, made.pixels, display.update).numpy()
    r2 = np.asarray(r2_score(made.truth, values, multioutput="raw_values"))
    ranked = quality(values, made.truth)
    n, bar = len(values), "round trip, R2 of scorer B"
    rows = [Figure(bar, "mean of 35", float(r2.mean()), n, ">=", MEAN_R2)]
    for column, attribute in enumerate(attributes.ATTRIBUTES):
        note = f"AUC {ranked[column]:.3f}" if attribute.kind == "binary" else ""
        if attribute.name in EIGHT:
            rows.append(Figure(bar, attribute.name, float(r2[column]), n, ">=", EACH_R2, note))
        else:
            rows.append(Figure(bar, attribute.name, float(r2[column]), n, note=note))
    return rows


def moments(features: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of features (N, d), float64."""
    exact = features.double().numpy()
    return exact.mean(axis=0), np.cov(exact, rowvar=False)


def coarse(images: Tensor) -> Tensor:
    """Images (N, 3, H, W), reduced to half their resolution and enlarged again."""
    return functional.interpolate(functional.avg_pool2d(images, 2), scale_factor=2.0, mode="bilinear")


def fid_limit(between_renders: float, total_variance: float) -> float:
    """The largest distance that passes."""
    return FID_RATIO * between_renders + VARIANCE_SHARE * total_variance


def fid_figures(pixels: np.ndarray, bench: Bench) -> list[Figure]:
    """FID of G(z) to renders, of two sets of renders, and of renders at half their resolution."""
    perception = load_network(Perception, weights_path("perception"), CPU)
    one, two = (held_out(name, bench).images for name in ("world_one", "world_two"))

    def seen(what: str, images: np.ndarray, judge: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
        with Display(f"features of {what}", len(images), "images") as display:
            return moments(judged(judge, images, display.update))

    reference = seen("renders", two, perception.features)
    others = {
        "G(z)": seen("G(z)", pixels, perception.features),
        "renders": seen("other renders", one, perception.features),
        "coarse": seen("coarse renders", one, lambda images: perception.features(coarse(images))),
    }
    distance = {what: bench.frechet_distance(*moment, *reference) for what, moment in others.items()}
    variance = float(np.trace(reference[1]))
    limit, n, bar = fid_limit(distance["renders"], variance), len(pixels), "FID, perception features"
    note = f"{FID_RATIO} x {distance['renders']:.3f} + {VARIANCE_SHARE:.0%} of total variance {variance:.1f}"
    return [
        Figure(bar, "G(z) to renders", distance["G(z)"], n, "<=", limit, note),
        Figure(bar, "renders to other renders", distance["renders"], len(one)),
        Figure(
            bar,
            "renders at half their resolution to other renders",
            distance["coarse"],
            len(one),
            note=f"{distance['coarse'] / variance:.1%} of total variance; G(z): {distance['G(z)'] / variance:.1%}",
        ),
    ]


def found_figures(pixels: np.ndarray, bench: Bench) -> list[Figure]:
    """Share of images in which MTCNN detects a face with at least the probability FOUND."""
    detector, rows = Detector(), []
    for what, images in (("G(z)", pixels), ("renders", held_out("world_one", bench).images)):
        with Display(f"MTCNN, {what}", FOUND_COUNT, "images") as display:
            probability = judged(lambda batch: detector.detect(batch).probability, images[:FOUND_COUNT], display.update)
        share = float((probability >= FOUND).double().mean())
        if what == "G(z)":
            rows.append(
                Figure("MTCNN finds", what, share, len(probability), ">=", FOUND_SHARE, f"probability >= {FOUND}")
            )
        else:
            rows.append(Figure("MTCNN finds", what, share, len(probability)))
    return rows


def nearest(embedding: Tensor) -> float:
    """The smallest cosine distance of two different rows of embeddings (N, d) of unit norm."""
    exact = embedding.double()
    distance = 1 - exact @ exact.T
    return float(distance.fill_diagonal_(torch.inf).min())


def same_identity(embedding: Tensor, per_person: int = PER_PERSON) -> Tensor:
    """Distances of all pairs of pictures of one person; embeddings (N, d), `per_person` rows a person, in order."""
    people = embedding.double().view(-1, per_person, embedding.shape[1])
    distance = 1 - people @ people.transpose(1, 2)
    row, other = torch.triu_indices(per_person, per_person, 1)
    return distance[:, row, other].flatten()


def nearest_figures(pixels: np.ndarray, bench: Bench) -> list[Figure]:
    """Distance of the closest pair of G(z), and of renders, over the median distance of one person's pictures."""
    recognizer = load_network(Recognizer, weights_path("recognizer_a"), CPU)
    usual = float(same_identity(judged(recognizer, held_out("people", bench).images)).median())
    sets = {"G(z)": pixels, "renders": held_out("world_one", bench).images}
    share = {what: nearest(judged(recognizer, images[:NEAR_COUNT])) / usual for what, images in sets.items()}
    bar, note = "nearest pair of 1,000, over one person's median", f"recognizer A; that median is {usual:.4f}"
    return [
        Figure(bar, "G(z)", share["G(z)"], NEAR_COUNT, ">=", NEARLY_IDENTICAL, note),
        Figure(bar, "renders", share["renders"], NEAR_COUNT),
    ]

"""The figures in model cards: the quality of each network on held-out samples, against the known truth."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import r2_score, roc_auc_score, roc_curve
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.training.sets import PER_PERSON, RenderedSet, kind_of
from pipeline.networks.detector import Detector
from pipeline.networks.perception import Perception
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from stylegan.generator import Generator
from stylegan.sampling import draw_z

BATCH = 128
FOUND = 0.9  # the detector's probability from which a face counts as found


@torch.no_grad()
def values_of(scorer: Scorer, images: Tensor) -> np.ndarray:
    """A scorer's values (N, 35)."""
    return torch.cat([scorer(part) for part in images.split(BATCH)]).numpy()


def agreement(found: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, float]]:
    """Per attribute: R2 of the values, and for binary ones the area under the ROC curve if both classes occur."""
    table: dict[str, dict[str, float]] = {}
    for index, attribute in enumerate(attributes.ATTRIBUTES):
        row = {"r2": float(r2_score(truth[:, index], found[:, index]))}
        positive = truth[:, index] > 0.5
        if attribute.kind == "binary" and 0 < positive.sum() < len(positive):
            row["auc"] = float(roc_auc_score(positive, found[:, index]))
        table[attribute.name] = {key: round(value, 4) for key, value in row.items()}
    return table


def measure_scorer(scorer: Scorer, natural: RenderedSet, broad: RenderedSet) -> dict[str, object]:
    """On held-out renders with FFHQ's statistics, and with evenly drawn attributes."""
    result: dict[str, object] = {}
    for name, part in (("natural", natural), ("broad", broad)):
        images, drawn = part.batch(np.arange(len(part.images)))
        result[name] = agreement(values_of(scorer, images), drawn[:, :35].numpy())
        result[f"n_{name}"] = len(images)
    return result


@torch.no_grad()
def measure_recognizer(recognizer: Recognizer, people: RenderedSet, pairs: int = 20_000) -> dict[str, float]:
    """Verification of held-out persons: area under the ROC curve, equal-error rate, correlation with truth."""
    images, drawn = people.batch(np.arange(len(people.images)))
    embedding = torch.cat([recognizer(part) for part in images.split(BATCH)]).numpy()
    rng = np.random.default_rng(0)
    first = rng.integers(0, len(images), pairs)
    same = np.arange(pairs) % 2 == 0
    mate = first // PER_PERSON * PER_PERSON + (first + rng.integers(1, PER_PERSON, pairs)) % PER_PERSON
    second = np.where(same, mate, rng.integers(0, len(images), pairs))
    keep = first != second
    first, second, same = first[keep], second[keep], (first // PER_PERSON == second // PER_PERSON)[keep]
    cosine = (embedding[first] * embedding[second]).sum(axis=1)
    accepted_wrong, accepted_right, _ = roc_curve(same, cosine)
    even = int(np.argmin(np.abs(accepted_wrong - (1 - accepted_right))))
    identity = drawn[:, face_factors.IDENTITY_INDEX].numpy()
    true_distance = np.linalg.norm(identity[first] - identity[second], axis=1)
    return {
        "auc": round(float(roc_auc_score(same, cosine)), 4),
        "equal_error_rate": round(float((accepted_wrong[even] + 1 - accepted_right[even]) / 2), 4),
        "correlation_with_true_distance": round(float(np.corrcoef(1 - cosine, true_distance)[0, 1]), 4),
        "n_pairs": int(keep.sum()),
        "n_persons": len(images) // PER_PERSON,
    }


@torch.no_grad()
def measure_perception(perception: Perception, natural: RenderedSet) -> dict[str, float]:
    """Accuracy of the class on held-out renders."""
    images, drawn = natural.batch(np.arange(len(natural.images)))
    predicted = torch.cat([perception.logits(part).argmax(dim=1) for part in images.split(BATCH)])
    return {"accuracy": round(float((predicted == kind_of(drawn)).float().mean()), 4), "n": len(images)}


@torch.no_grad()
def measure_generator(
    generator: Generator, scorer_b: Scorer, held_out: RenderedSet, z_seed: int, found_of: int = 2000
) -> dict[str, object]:
    """On held-out z: share of faces that MTCNN detects, scorer B against the truth, pixels against the renders."""
    count = len(held_out.images)
    wanted, drawn = held_out.batch(np.arange(count))
    z = torch.from_numpy(draw_z(z_seed, np.arange(count)))
    made = torch.cat([generator(part) for part in z.split(BATCH)])
    table = agreement(values_of(scorer_b, made), drawn[:, :35].numpy())
    on_renders = agreement(values_of(scorer_b, wanted), drawn[:, :35].numpy())
    detector = Detector()
    clamped = made[:found_of].clamp(-1, 1)
    probability = torch.cat([detector.detect(part).probability for part in clamped.split(64)])
    r2 = {name: table[column]["r2"] for name, column in attributes.EVALUATED.items()}
    return {
        "mtcnn_found_share": round(float((probability >= FOUND).float().mean()), 4),
        "n_mtcnn": len(clamped),
        "r2_scorer_b_evaluated": r2,
        "r2_scorer_b_evaluated_smallest": min(r2.values()),
        "r2_scorer_b_mean_of_35": round(float(np.mean([row["r2"] for row in table.values()])), 4),
        "r2_scorer_b": {name: row["r2"] for name, row in table.items()},
        "r2_scorer_b_on_the_renders_of_the_same_faces": {name: row["r2"] for name, row in on_renders.items()},
        "pixel_error": round(float((made - wanted).abs().mean() / 2), 4),
        "n": count,
    }

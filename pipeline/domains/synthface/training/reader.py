"""Training of the truth reader, calibration of its distance, and the figures in its card.

The loss is the squared error of every factor. The calibration uses held-out persons, each in several pictures that
share only the identity factors, the gender and nearly the age. It measures the share of a reading's variance between
persons, the distance of two persons, and the distance of two pictures of one person. The last is the reader's error:
its distance if the identity is unchanged and everything else differs. Pictures that differ less have smaller distances.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline import attributes
from pipeline.domains.synthface import factors as face_factors
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.training.judges import (
    SMALLEST_VARIANCE,
    Mixed,
    Say,
    augmented,
    autocast,
    train_one,
)
from pipeline.domains.synthface.training.loop import batch_of
from pipeline.domains.synthface.training.sets import PER_PERSON, POSE_LIMITS, RenderedSet
from pipeline.networks.truth_reader import Reader, distance
from pipeline.optimisation.schedule import Schedule
from stylegan.generator import Generator
from stylegan.sampling import draw_z

BATCH = 128
DRIVEN = 100  # faces on which one attribute is changed, for the card


def train_reader(reader: Reader, faces: Mixed, schedule: Schedule, name: str, folder: Path, say: Say) -> None:
    """Minimise the squared error of every factor over its variance; identity has the weight of all other factors.

    Sets `reader.spread`. The distance has no unit before `calibrate_reader`.
    """
    spread = torch.cat([torch.from_numpy(part.factors[:4096].copy()) for part in faces.parts]).std(dim=0)
    reader.spread.copy_(spread)
    variance = spread.square().clamp(min=SMALLEST_VARIANCE)
    rest = [column for column in range(face_factors.N_FACTORS) if column not in reader.identity]

    def loss_of(step: int) -> Tensor:
        images, drawn = faces.batch(batch_of(schedule.seed, step, len(faces), schedule.batch))
        with autocast():
            logits = reader.logits(augmented(images, schedule.seed, step))
        error = (logits.float().sigmoid() - drawn).square() / variance
        return error[:, reader.identity].mean() + error[:, rest].mean()

    train_one(reader, nn.Module(), loss_of, schedule, faces, name, folder, say)


@torch.no_grad()
def calibrate_reader(reader: Reader, people: RenderedSet) -> None:
    """Set weight, scale and error of a trained reader on persons of kind `identities` that it did not train on."""
    images, _ = people.batch(np.arange(len(people.images)))
    reader.weight.fill_(1.0)
    read = _by_person(_in_batches(reader.weighted, images))
    reader.weight.copy_(own_share(read))
    same, other = pair_distances(read * reader.weight)
    reader.scale.copy_(other.mean())
    reader.error.copy_(same.square().mean().sqrt() / reader.scale)


def own_share(read: Tensor) -> Tensor:
    """Share (K,) of the variance of readings (persons, pictures, K) that lies between persons; 0 where none does.

    The intraclass correlation of the one-way layout: Shrout & Fleiss, "Intraclass correlations", 1979, ICC(1,1).
    """
    within = read.var(dim=1).mean(dim=0)
    between = (read.mean(dim=1).var(dim=0) - within / read.shape[1]).clamp(min=0)
    return between / (between + within).clamp(min=torch.finfo(read.dtype).tiny)


def pair_distances(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of rows (persons, pictures, K) for all pairs of one person's, and for as many of two persons'."""
    shifts = range(1, min(rows.shape[:2]))
    flat = rows.flatten(0, 1)
    same = [distance(flat, rows.roll(shift, 1).flatten(0, 1)) for shift in shifts]
    other = [distance(flat, rows.roll(shift, 0).flatten(0, 1)) for shift in shifts]
    return torch.cat(same), torch.cat(other)


@torch.no_grad()
def measure_reader(
    reader: Reader, natural: RenderedSet, people: RenderedSet, generator: Generator, made_of: RenderedSet, z_seed: int
) -> dict[str, object]:
    """The reader's error per factor on held-out renders and images, and the error and correlation of its distance.

    natural: renders with FFHQ's statistics. people: persons of kind `identities`. made_of: the renders of the z with
    ids 0, 1, ... of `z_seed`; their factors are the truth of `generator`'s images of the same z. Errors are root mean
    squares in standard deviations of the population: 1 for a constant prediction of the mean.
    """
    renders, drawn = natural.batch(np.arange(len(natural.images)))
    z = torch.from_numpy(draw_z(z_seed, np.arange(len(made_of.images))))
    made, truth = _in_batches(generator, z).clamp(-1, 1), torch.from_numpy(made_of.factors[:])
    pictures, persons = people.batch(np.arange(len(people.images)))
    return {
        "distance_unit": "mean distance of two random persons, as read",
        "error_of_the_distance": round(float(reader.error), 4),
        "renders": _errors(reader, renders, drawn),
        "made": _errors(reader, made, truth),
        "held_out_people": _measure_pairs(reader, pictures, persons),
        "unchanged_identity_with_one_attribute_driven": _driven(reader, drawn[:DRIVEN]),
        "weights": _named(reader, reader.weight),
    }


def _errors(reader: Reader, images: Tensor, truth: Tensor) -> dict[str, object]:
    """Error and R2 of every factor, and the distance of neighbouring images against the true distance."""
    read = _in_batches(reader, images)
    error = (read - truth).square().mean(dim=0)
    r2 = 1 - error / truth.var(dim=0, unbiased=False)
    found = distance(*_neighbours(_in_batches(reader.coordinates, images)))
    true = distance(*_neighbours(_standardised(reader, truth)))
    table = {
        name: {"error": round(float(one), 3), "r2": round(float(share), 3)}
        for name, one, share in zip(face_factors.FACTOR_NAMES, error.sqrt() / reader.spread, r2, strict=True)
    }
    return {
        "factors": table,
        "r2_mean_of_identity": round(float(r2[reader.identity].mean()), 4),
        "distance_of_two_persons": round(float(found.mean()), 4),
        "correlation_with_true_distance": _correlation(found, true),
        "n": len(images),
    }


def _measure_pairs(reader: Reader, images: Tensor, truth: Tensor) -> dict[str, float]:
    """Distances of pictures of one person and of two persons, and their correlation with the true distances."""
    same, other = pair_distances(_by_person(_in_batches(reader.coordinates, images)))
    true = torch.cat(pair_distances(_by_person(_standardised(reader, truth))))
    return {
        "one_person_root_mean_square": round(float(same.square().mean().sqrt()), 4),
        "one_person_mean": round(float(same.mean()), 4),
        "two_persons_mean": round(float(other.mean()), 4),
        "correlation_with_true_distance": _correlation(torch.cat([same, other]), true),
        "n_persons": len(images) // PER_PERSON,
    }


def _driven(reader: Reader, drawn: Tensor) -> dict[str, float]:
    """Root mean square distance of two renders of a face with one evaluated attribute low and high, all else equal."""
    found = {}
    kinds = [face_factors.column(name) for name in ("reading_glasses", "sunglasses")]
    for name, column in attributes.EVALUATED.items():
        ends = []
        for value in POSE_LIMITS.get(column, (0.0, 1.0)):
            faces = drawn.clone()
            faces[:, face_factors.column(column)] = value
            if column == "glasses":  # `glasses` is 1 if one of its kinds is
                faces[:, kinds] = 0.0
            ends.append(_in_batches(reader.coordinates, render(faces, 64).images))
        found[name] = round(float(distance(*ends).square().mean().sqrt()), 4)
    return found


def _standardised(reader: Reader, factors: Tensor) -> Tensor:
    """True identity factors (N, K) in standard deviations of the population."""
    return factors[:, reader.identity] / reader.spread[reader.identity]


def _neighbours(rows: Tensor) -> tuple[Tensor, Tensor]:
    return rows, rows.roll(1, 0)


def _by_person(rows: Tensor) -> Tensor:
    """Rows (N, K) of a set of kind `identities` as (persons, PER_PERSON, K); a last person with fewer is left out."""
    persons = len(rows) // PER_PERSON
    return rows[: persons * PER_PERSON].reshape(persons, PER_PERSON, rows.shape[1])


def _in_batches(network: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    return torch.cat([network(part) for part in inputs.split(BATCH)])


def _correlation(first: Tensor, second: Tensor) -> float:
    return round(float(torch.corrcoef(torch.stack([first, second]))[0, 1]), 4)


def _named(reader: Reader, values: Tensor) -> dict[str, float]:
    names = [face_factors.FACTOR_NAMES[column] for column in reader.identity]
    return {name: round(float(value), 3) for name, value in zip(names, values, strict=True)}

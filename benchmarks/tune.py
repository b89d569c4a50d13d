"""Settings that no paper gives, decided by one rule: the largest mean change at a fixed loss of identity.

    python benchmarks/tune.py l2l --steps 1200
    python benchmarks/tune.py l2l --precision bfloat16 --training-precision bfloat16 --seed 1

Every method in GRIDS gets the same number of tries; the first is the method with its defaults. A try trains on
`--codes` labelled codes of the embedded generator and is measured on `--held` others, all of ids from 4,000,000,000 on,
which no stage of a run uses. For each evaluated attribute and each sign, the strength is searched at which recognizer
A's mean squared feature distance to the unedited images is `--loss`, or the largest strength where none loses as much.
The change there, in standard deviations of scorer A's logit and in the sign of the edit, is averaged over attributes
and signs. The try with the largest mean is the rule's choice. Scorer B, recognizer B and the truth are not asked.

The loss of .3 is about where InterFaceGAN changes an attribute by one standard deviation, which the protocol of matched
change asks for (.31 in squared distance, the mean over attributes). It must lie well above what an edit of zero loses:
after 600 steps L2L's loses .10, and at a loss of .1 a rule would choose whatever keeps still.

A finished try is kept in `--folder`, and a training that was stopped goes on from its checkpoint: the same command
continues, and another loss measures the same trainings. What decides a training (seeds, codes, steps, precisions) is in
the name of its folder. Printed as a table of Markdown. The precisions are those of luigi.cfg: of labels and measures,
and of the networks that a method learns from; bfloat16 takes about half the time where the processor has instructions
for it. How much a training's randomness moves a mean, another `--training-seed` says, with the same codes.
"""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.domains import base
from pipeline.domains.base import Domain
from pipeline.methods import registry
from pipeline.methods.interface import Faces, FitData, Method
from pipeline.methods.precision import learning_in
from pipeline.settings.experiment import BFLOAT16, FULL
from pipeline.statistics.units import Units, logits_of
from pipeline.storage.fingerprint import digest
from stylegan.sampling import draw_z

FIRST_ID = 4_000_000_000  # beyond the ids of every set of luigi.cfg
BATCH = 64
LOWEST, HIGHEST, HALVINGS = -7.0, 10.0, 10  # of the search for a strength, in powers of two
GRIDS: dict[str, tuple[Mapping[str, Any], ...]] = {
    "l2l": (
        {},
        {"weight_attribute": 1.0},
        {"weight_attribute": 1.0, "units": "raw"},
        {"weight_attribute": 1.0, "weight_face": 0.5},
        {"weight_attribute": 1.0, "weight_neighbourhood": 0.25},
        {"weight_attribute": 10.0},
    ),
    "interfacegan": ({}, {"chosen": 0.05}, {"chosen": 0.1}, {"c": 0.1}, {"c": 10.0}, {"chosen": 0.1, "c": 0.1}),
    "rfm": ({}, {"c": 0.1}, {"c": 0.01}, {"layers": 4}, {"layers": 5}, {"layers": 10}),
}
TRIES = 6  # of each method
Measure = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Held:
    """Codes that measure a try: ws (N, L, 512), the z (N, 512) behind them, and what is seen in their images.

    values (N, 35) of scorer A, features (N, d) of recognizer A; sigma (35,): the standard deviations of the training
    codes' logits.
    """

    ws: Tensor
    z: Tensor
    values: Tensor
    features: Tensor
    sigma: Tensor


def seen(domain: Domain, ws: Tensor) -> tuple[Tensor, Tensor]:
    """Scorer A's values (N, 35) and recognizer A's features (N, d) of G(ws)."""
    found = []
    for first in range(0, len(ws), BATCH):
        images = domain.generator.synthesis(ws[first : first + BATCH])
        found.append((domain.scorer_a(images), domain.recognizer_a(images)))
    values, features = zip(*found, strict=True)
    return torch.cat(values), torch.cat(features)


@torch.no_grad()
def sampled(domain: Domain, seed: int, first: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """z (count, 512), w (count, 512) and scorer A's values (count, 35) of ids from `first` on."""
    z = torch.from_numpy(draw_z(seed, np.arange(first, first + count)))
    w = domain.generator.map_to_w(z)
    broadcast = domain.generator.mapping.broadcast
    parts = [
        domain.scorer_a(domain.generator.synthesis(broadcast(w[row : row + BATCH]))) for row in range(0, count, BATCH)
    ]
    return z, w, torch.cat(parts)


def prepared(domain: Domain, seed: int, codes: int, held: int, naming: int = 96) -> tuple[FitData, Held]:
    """Codes to train on, and others to measure on."""
    z, w, values = sampled(domain, seed, FIRST_ID, codes)
    held_z, held_w, held_values = sampled(domain, seed, FIRST_ID + codes, held)
    naming_w = sampled(domain, seed, FIRST_ID + codes + held, naming)[1]
    data = FitData(
        w=w,
        values=values,
        generator=domain.generator,
        scorer_a=domain.scorer_a,
        recognizer_a=domain.recognizer_a,
        seed=seed,
        device=domain.device,
        draw_z=lambda rows: z[rows].numpy(),
        naming_w=naming_w,
        mean_distance=domain.mean_distance,
    )
    sigma = torch.from_numpy(Units.of(logits_of(values).numpy()).deviations).float()
    with torch.no_grad():
        ws = domain.generator.mapping.broadcast(held_w)
        features = seen(domain, ws)[1]
    return data, Held(ws, held_z, held_values, features, sigma)


@torch.no_grad()
def changes_at(method: Method, domain: Domain, held: Held, powers: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Mean change (8, 2) in standard deviations and mean identity loss (8, 2), per evaluated attribute and sign.

    powers (8, 2): logarithms of the strengths, to the base of two. asked (8, 2): which to measure; the others are 0.
    """
    changes, losses = torch.zeros_like(powers), torch.zeros_like(powers)
    before = logits_of(held.values)
    for row, name in enumerate(EVALUATED):
        column = index_of(name)
        for side, sign in enumerate((1.0, -1.0)):
            if not asked[row, side]:
                continue
            strengths = torch.zeros(len(held.ws), len(NAMES))
            strengths[:, column] = sign * 2 ** float(powers[row, side])
            faces = Faces(held.ws, held.values, held.z, domain.generator.mapping)
            values, features = seen(domain, method.edit_faces(faces, strengths))
            change = (logits_of(values)[:, column] - before[:, column]).mean()
            changes[row, side] = sign * change / held.sigma[column]
            losses[row, side] = (features - held.features).square().sum(dim=1).mean()
    return changes, losses


def largest(measure: Measure, highest: float, loss: float) -> tuple[Tensor, Tensor]:
    """Changes and losses (8, 2) of the largest strengths up to 2 ** `highest` whose loss is at most `loss`, by halving.

    0 where even the smallest strength loses more. `measure` takes powers of two (8, 2), and which to measure (8, 2).
    """
    low, high = torch.full((len(EVALUATED), 2), LOWEST), torch.full((len(EVALUATED), 2), highest)
    best, lost = measure(high, torch.ones_like(high, dtype=torch.bool))
    within = lost <= loss
    best, lost = torch.where(within, best, 0.0), torch.where(within, lost, 0.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        changes, losses = measure(middle, ~within)
        fits = losses <= loss
        better = fits & ~within
        best, lost = torch.where(better, changes, best), torch.where(better, losses, lost)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return best, lost


def fitted(name: str, settings: Mapping[str, Any], data: FitData) -> Method:
    """A method trained with these settings."""
    method = registry.build(name, settings)
    method.fit(data)
    return method


def measured(method: Method, domain: Domain, held: Held, loss: float) -> dict[str, Any]:
    """What the rule compares of a trained method. JSON-compatible."""
    highest = 0.0 if method.value_bounded else HIGHEST
    changes, losses = largest(partial(changes_at, method, domain, held), highest, loss)
    return {
        "mean": float(changes.nanmean()),
        "by_attribute": dict(zip(EVALUATED, changes.nanmean(dim=1).tolist(), strict=True)),
        "identity_loss": float(losses.mean()),
    }


def settings_of(name: str, changes: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """The settings of a try: the changes, and the steps where the method has them."""
    stepped = "steps" in inspect.signature(registry.get(name)).parameters
    return {**({"steps": steps} if stepped else {}), **changes}


def table(name: str, rows: list[tuple[Mapping[str, Any], Any]]) -> str:
    """The tries of a method as Markdown, the rule's choice in bold."""
    chosen = max(range(len(rows)), key=lambda row: rows[row][1]["mean"])
    lines = [f"| {name} | mean | {' | '.join(EVALUATED)} | identity loss |", "|---" * (len(EVALUATED) + 3) + "|"]
    for row, (changes, found) in enumerate(rows):
        label = ", ".join(f"{key} = {value}" for key, value in changes.items()) or "defaults"
        mean = f"{found['mean']:.2f}"
        cells = [f"{value:.2f}" for value in (*found["by_attribute"].values(), found["identity_loss"])]
        lines.append(f"| {label} | {f'**{mean}**' if row == chosen else mean} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Every try of the methods that are asked for, and a table of each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=[], metavar="METHOD", help=f"{', '.join(GRIDS)}; none: all")
    parser.add_argument("--steps", type=int, default=1200, help="of each training that has steps")
    parser.add_argument("--codes", type=int, default=12_000)
    parser.add_argument("--held", type=int, default=64)
    parser.add_argument("--loss", type=float, default=0.3, help="squared distance of recognizer A's unit features")
    parser.add_argument("--seed", type=int, default=0, help="of the codes")
    parser.add_argument("--training-seed", type=int, default=0)
    parser.add_argument("--precision", choices=(FULL, BFLOAT16), default=FULL, help="of labels and measures")
    parser.add_argument("--training-precision", choices=(FULL, BFLOAT16), default=FULL)
    parser.add_argument("--tries", type=int, default=TRIES, help="fewer, to try the command itself")
    parser.add_argument("--folder", type=Path, default=Path("outputs/tuning"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    domain = base.load("synthface", "cpu", arguments.precision)
    data, held = prepared(domain, arguments.seed, arguments.codes, arguments.held)
    learning = base.load("synthface", "cpu")  # as a run's trainings: `learning_in` gives its networks their precision
    networks = {role: getattr(learning, role) for role in ("generator", "scorer_a", "recognizer_a")}
    data = replace(data, seed=arguments.training_seed, **networks)
    for name in arguments.methods or GRIDS:
        rows = []
        for changes in GRIDS[name][: arguments.tries]:
            settings = settings_of(name, changes, arguments.steps)
            decides = [registry.get(name).version, settings, arguments.seed, arguments.codes, arguments.held]
            decides += [arguments.training_seed, arguments.precision, arguments.training_precision]
            folder = arguments.folder / f"{name}-{digest(decides)[:16]}"
            kept = folder / f"loss-{arguments.loss:g}.json"
            if not kept.exists():
                folder.mkdir(parents=True, exist_ok=True)
                data.checkpoints = folder
                with learning_in(arguments.training_precision, data) as learned:
                    method = fitted(name, settings, learned)
                found = measured(method, domain, held, arguments.loss)
                kept.write_text(json.dumps({"settings": settings, **found}, indent=1) + "\n")
            rows.append((changes, json.loads(kept.read_text())))
        print(table(name, rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()

"""Training of a scorer from labelled pictures: split, training, validation, and the file with its card."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.errors import ConfigError, StageError
from pipeline.networks.files import save_network
from pipeline.networks.scorer import Scorer
from pipeline.optimisation.checkpoint import Checkpoint
from pipeline.scorer_training.labels import UNREADABLE, Labels, is_yes_or_no
from pipeline.scorer_training.reading import write_report
from pipeline.scorer_training.split import TRAINING, VALIDATION, check_sizes, rule, split
from pipeline.scorer_training.training import figures
from pipeline.scorer_training.training.fit import LONGEST_AVERAGE, ScorerRecipe, fit
from pipeline.scorer_training.training.objective import undo_positive_weight, weigh
from pipeline.scorer_training.training.pixels import HOW as PIXELS_HOW
from pipeline.scorer_training.training.pixels import prepare
from pipeline.storage.locks import LOCK, locked
from pipeline.storage.provenance import code_commit, package_versions

VERSION = 1  # raise it when the same data and settings give other weights
MEASURED_ON = "validation"
START_OVER = "Give the same settings and files again, another --folder, or --fresh to start over."
HOW = (
    "masked cross-entropy of 35 values in [0, 1]; each attribute over what a constant would lose, rare positives "
    "heavier and the bias corrected for it; half of the pictures mirrored, yaw and roll with them; AdamW, a rate that "
    f"rises and then falls by a cosine; averaged weights (a twentieth of the steps, at most {LONGEST_AVERAGE})"
)


@dataclass(frozen=True)
class ScorerJob:
    """One training. `folder` holds decoded pictures, checkpoint and report; device, threads and folder change no number
    beyond rounding.
    """

    images: Path
    role: str
    to: Path
    recipe: ScorerRecipe
    folder: Path
    floor_r2: float = 0.5
    floor_auc: float = 0.7
    most_bad: float = 0.01
    device: str = "cpu"
    threads: int = 1
    fresh: bool = False
    save_seconds: float = 60.0


def train_scorer(job: ScorerJob, labels: Labels, say: Callable[[str], None]) -> dict[str, Any]:
    """Train a scorer, measure it on the validation part, and write `job.to` with its card; returns the card.

    Raises LabelsError for too many broken labels or too few faces; StageError for a checkpoint of other settings, or if
    no attribute reaches its floor, and then nothing is written; TrainingDivergedError; BusyError if another process
    trains in the same folder; ConfigError for a device that this machine does not have.
    """
    device = _device(job.device)
    torch.set_num_threads(job.threads)
    with _alone(job.folder):
        return _train(job, labels, device, say)


def _train(job: ScorerJob, labels: Labels, device: torch.device, say: Callable[[str], None]) -> dict[str, Any]:
    started = time.monotonic()
    pixels = prepare(labels.pictures, job.images, job.recipe.resolution, job.folder, job.threads)
    for row, wrong in pixels.unreadable.items():
        labels.problems.note(UNREADABLE, labels.pictures[row], wrong)
    if pixels.unreadable:
        say(f"report of what is left out: {write_report(labels, job.folder)}")
    readable = np.setdiff1d(np.arange(len(labels)), list(pixels.unreadable))
    labels.problems.check(len(readable), job.most_bad)
    kept = labels.only(np.isin(np.arange(len(labels)), readable))
    parts = split(kept, job.recipe.seed, job.recipe.validation_share)
    check_sizes(parts)
    train, held_out = readable[parts == TRAINING], readable[parts == VALIDATION]
    say(f"{len(train):,} pictures train, {len(held_out):,} validate ({rule(kept, job.recipe.validation_share)})")
    data = {"labels": kept.digest(), "pictures": pixels.digest(readable)}
    checkpoint = Checkpoint(
        job.folder / "checkpoint.pt", {"version": VERSION, **asdict(job.recipe), **data}, START_OVER
    )
    if job.fresh:
        checkpoint.discard()
    scorer, weights = new_scorer(job.recipe), weigh(labels.values[train])
    fit(scorer, pixels, labels.values, train, weights, job.recipe, checkpoint, device, job.save_seconds)
    undo_positive_weight(scorer.head, weights)
    found = figures.values_of(scorer, pixels, held_out, device)
    by_auc = figures.judged_by_auc(is_yes_or_no(kept.values))
    table = figures.figures_of(found, labels.values[held_out], by_auc)
    known, left_out = figures.known_attributes(table, job.floor_r2, job.floor_auc)
    if not known:
        raise StageError(
            "No attribute reaches its floor, so nothing is written: "
            + "; ".join(f"{name}: {left_out[name]}" for name in table)
            + ". Bring more faces or epochs, or lower --floor and --floor-auc: the checkpoint is kept."
        )
    card = {
        "role": f"scorer_{job.role}",
        "resolution": job.recipe.resolution,
        "attributes": known,
        "left_out": left_out,
        "floors": {"r2": job.floor_r2, "auc": job.floor_auc},
        "measured": {MEASURED_ON: table, f"n_{MEASURED_ON}": len(held_out), **figures.means(table, known)},
        "source": _source(kept, parts, job, data),
        "settings": asdict(job.recipe) | {"version": VERSION},
        "how": HOW,
        "pictures": PIXELS_HOW,
        "seconds_of_last_call": round(time.monotonic() - started, 1),
        "packages": package_versions(),
        "commit": code_commit(),
        "device": job.device,
        "processor": platform.processor() or platform.machine(),
        "licence": "the licence of the pictures and labels it was trained on",
    }
    arguments = {"architecture": job.recipe.architecture, "width": job.recipe.width}
    sha256 = save_network(scorer, job.to, arguments, card)
    return card | {"sha256": sha256}


def new_scorer(recipe: ScorerRecipe) -> Scorer:
    """A scorer with initial weights that depend only on the recipe's seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return Scorer(recipe.architecture, recipe.width)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the training's folder. Raises BusyError."""
    remedy = "Wait for it, or choose another --folder."
    with locked(folder / LOCK, f"A scorer is being trained in {folder}", wait=0.0, remedy=remedy):
        yield


def _device(name: str) -> torch.device:
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: expected a device of this machine: torch sees no CUDA.")
    return torch.device(name)


def _source(labels: Labels, parts: np.ndarray, job: ScorerJob, data: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": labels.kind,
        "files": labels.files,
        "labels_sha256": data["labels"],
        "pictures_sha256": data["pictures"],
        "faces": len(labels),
        "groups": len(set(labels.groups)),
        "training": int((parts == TRAINING).sum()),
        "validation": int((parts == VALIDATION).sum()),
        "split": rule(labels, job.recipe.validation_share),
        "left_out": {reason: len(names) for reason, names in sorted(labels.problems.found.items())},
    }

"""Training of a scorer of photoface: faces, labels by eye and by networks, features, head, figures, card."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attributes import INDEX, NAMES
from pipeline.errors import StageError
from pipeline.progress import Display
from pipeline.scorer_training.generated import eye, faces
from pipeline.scorer_training.generated.measuring import FLOOR_AUC, FLOOR_R2, VALIDATION_SHARE, judge
from pipeline.scorer_training.generated.quality import quality
from pipeline.scorer_training.generated.readers import reader
from pipeline.scorer_training.generated.ridge import STRENGTHS, Head, expit, fit_head
from pipeline.scorer_training.labels import Labels, Problems
from pipeline.scorer_training.roles import ROLES
from pipeline.scorer_training.split import VALIDATION, check_sizes, rule, split
from pipeline.storage.files import file_sha256
from pipeline.storage.fingerprint import bytes_sha256
from pipeline.storage.provenance import code_commit, package_versions
from pipeline.weights.store import Store

if TYPE_CHECKING:
    from pipeline.networks.efficientnet import EfficientNetLite
    from stylegan.mobile.generator import MobileGenerator

VERSION = 1  # raise it when the same faces and labels give other weights
BATCH = 16
HOW = (
    "ridge regression of logits on standardised features of a frozen trunk, groups of features with the same total; "
    "every face also mirrored, yaw and roll with it; strength and logistic calibration by leaving out one face at a "
    "time"
)
PICTURES = "averaged down to 256 px, then as the trunk's publisher resizes them"
LICENCE = "Apache-2.0; the trunk's file and the generator's have licences of their own (docs/howto/weight-files.md)"


@dataclass(frozen=True)
class HeadJob:
    """One training. `trunk` is a name in the table of weights, `folder` the cache of pictures.

    `further` faces have labels by networks alone.
    """

    role: str
    to: Path
    folder: Path
    generator: MobileGenerator
    generator_sha256: str
    trunk: str
    further: int = 0
    floor_r2: float = FLOOR_R2
    floor_auc: float = FLOOR_AUC
    threads: int = 1


@dataclass(frozen=True)
class Seen:
    """Of N faces: features (N, d) of the picture and of the mirrored picture, group sizes, and values (N, 35)."""

    plain: np.ndarray
    mirrored: np.ndarray
    groups: list[int]
    values: np.ndarray
    pictures_sha256: str


def train(job: HeadJob, store: Store, say: Callable[[str], None]) -> dict[str, Any]:
    """Train a scorer and write `job.to`, the head, with its card; returns the card.

    Raises WeightsError for missing files of other people, LabelsError for a folder of other faces, and StageError if no
    attribute reaches its floor: then nothing is written.
    """
    import torch

    torch.set_num_threads(job.threads)
    started = time.monotonic()
    ks, by_eye = _labelled(job)
    faces.render(job.generator, job.generator_sha256, job.role, ks, job.folder)
    seen = look(job, ks, by_eye, store)
    labels = _labels(job.role, ks, seen.values)
    parts = split(labels, ROLES[job.role].seed, VALIDATION_SHARE)
    check_sizes(parts)
    held_out = parts == VALIDATION
    say(f"{(~held_out).sum():,} faces train, {held_out.sum():,} validate ({rule(labels, VALIDATION_SHARE)})")
    head = fit(seen, ~held_out)
    found = expit(seen.plain[held_out] @ head.weight.T + head.bias)
    judged = judge(found, seen.values[held_out], seen.values, job.floor_r2, job.floor_auc)
    if not judged.known:
        raise StageError(f"No attribute reaches its floor, so nothing is written: {judged.left_out}.")
    strengths = {name: float(head.strength[INDEX[name]]) for name in judged.known}
    card = {
        "role": f"scorer_{job.role}",
        "resolution": faces.SIDE,
        "attributes": judged.known,
        "left_out": judged.left_out,
        "floors": {"r2": job.floor_r2, "auc": job.floor_auc},
        "measured": judged.measured,
        "source": _source(job, ks, by_eye, labels, held_out, seen),
        "trunk": _trunk_facts(job.trunk, store),
        "settings": {"version": VERSION, "seed": ROLES[job.role].seed, "validation_share": VALIDATION_SHARE}
        | {"strengths_tried": STRENGTHS, "strength": strengths},
        "how": HOW,
        "pictures": PICTURES,
        "seconds_of_last_call": round(time.monotonic() - started, 1),
        "packages": package_versions(),
        "commit": code_commit(),
        "licence": LICENCE,
    }
    return card | {"sha256": _save(job, head, card)}


def _labelled(job: HeadJob) -> tuple[np.ndarray, np.ndarray]:
    """Faces k and their labels by eye (N, 35); `job.further` faces without any come last."""
    ks, by_eye = eye.of_role(eye.read(), job.role)
    further = np.arange(faces.FURTHER, faces.FURTHER + job.further)
    unknown = np.full((job.further, len(NAMES)), np.nan, np.float32)
    return np.concatenate([ks, further]), np.concatenate([by_eye, unknown])


def read_trunk(name: str, store: Store) -> EfficientNetLite:
    """The frozen trunk of that name in the table of weights. Raises WeightsError."""
    from pipeline.networks.efficientnet import read_efficientnet
    from pipeline.networks.lite_scorer import TRUNKS

    return read_efficientnet(store.require(name), TRUNKS[name])


def look(job: HeadJob, ks: np.ndarray, by_eye: np.ndarray, store: Store) -> Seen:
    """Features and values of rendered faces: by eye where known, else by the role's networks and the formulas."""
    import torch

    from pipeline.images import from_uint8
    from pipeline.networks.lite_scorer import features

    trunk, read = read_trunk(job.trunk, store), reader(job.role, store)
    plain, mirrored, values, digests = [], [], [], []
    widths: list[int] = []
    with Display("looking at faces", len(ks), "faces") as display, torch.inference_mode():
        for pixels in faces.batches(job.folder, job.role, ks, BATCH):
            images = from_uint8(pixels)
            groups = features(trunk, images)
            widths = [group.shape[1] for group in groups]
            plain.append(torch.cat(groups, dim=1).numpy())
            mirrored.append(torch.cat(features(trunk, images.flip(3)), dim=1).numpy())
            values.append(with_quality(read(images), pixels))
            digests.append(bytes_sha256(pixels.tobytes()))
            display.update(BATCH * len(plain))
    read_values = np.concatenate(values)
    all_values = np.where(np.isnan(by_eye), read_values, by_eye).astype(np.float32)
    return Seen(
        np.concatenate(plain), np.concatenate(mirrored), widths, all_values, bytes_sha256("".join(digests).encode())
    )


def with_quality(values: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Values (N, 35) with blur, exposure and noise of pixels (N, H, H, 3) by the formulas."""
    result = values.copy()
    for row, picture in zip(result, pixels, strict=True):
        for name, value in quality(picture).items():
            row[INDEX[name]] = value
    return result


def fit(seen: Seen, training: np.ndarray) -> Head:
    """The head of the faces of a mask (N,), each with its mirrored picture."""
    import torch

    from pipeline.scorer_training.training.objective import mirrored

    values = seen.values[training]
    turned = mirrored(torch.from_numpy(values)).numpy()
    width, count = seen.plain.shape[1], int(training.sum())
    rows = np.stack([seen.plain[training], seen.mirrored[training]], axis=1).reshape(2 * count, width)
    both = np.stack([values, turned], axis=1).reshape(2 * count, -1)
    return fit_head(rows, both, np.repeat(np.arange(count), 2), seen.groups)


def _labels(role: str, ks: np.ndarray, values: np.ndarray) -> Labels:
    names = tuple(f"{role}{k}" for k in ks)
    return Labels("photoface", names, values, names, "picture", {}, Problems())


def _source(
    job: HeadJob, ks: np.ndarray, by_eye: np.ndarray, labels: Labels, held_out: np.ndarray, seen: Seen
) -> dict[str, Any]:
    first = faces.FIRST_ID[job.role]
    return {
        "kind": "generated faces of photoface, labelled by eye, by networks and by formulas "
        "(docs/explanation/photoface-labels.md)",
        "files": {eye.TABLE.name: file_sha256(eye.TABLE)},
        "labels_sha256": labels.digest(),
        "pictures_sha256": seen.pictures_sha256,
        "faces": len(ks),
        "looked_at": int((~np.isnan(by_eye)).any(axis=1).sum()),
        "generator_sha256": job.generator_sha256,
        "seed": faces.SEED,
        "ids": [int(first + ks.min()), int(first + ks.max())],
        "truncation_psi": {"even ids": faces.EVEN_PSI, "odd ids": faces.ODD_PSI},
        "training": int((~held_out).sum()),
        "validation": int(held_out.sum()),
        "split": rule(labels, VALIDATION_SHARE),
    }


def _trunk_facts(name: str, store: Store) -> dict[str, Any]:
    weight = store.weight(name)
    return {"name": weight.name, "file": weight.file, "sha256": weight.sha256}


def _save(job: HeadJob, head: Head, card: dict[str, Any]) -> str:
    import torch

    from pipeline.networks.files import save_network
    from pipeline.networks.lite_scorer import LiteHead

    arguments = {"trunk": job.trunk, "inputs": head.weight.shape[1]}
    network = LiteHead(**arguments)
    with torch.no_grad():
        network.linear.weight.copy_(torch.from_numpy(head.weight))
        network.linear.bias.copy_(torch.from_numpy(head.bias))
    return save_network(network, job.to, arguments, card)

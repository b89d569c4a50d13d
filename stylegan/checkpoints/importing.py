"""Import of a checkpoint: conversion to safetensors and a JSON card, the only format that the pipeline reads."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan.checkpoints.limits import CheckpointError
from stylegan.checkpoints.opening import exhausted, readable
from stylegan.checkpoints.reading import Checkpoint, read_checkpoint
from stylegan.distance import mean_distance, rounded
from stylegan.weights import card_path, describe, read_file, save_generator

SUFFIX = ".safetensors"
OTHER_FILES = (".pt", ".pth", ".pkl", ".bin", ".ckpt", ".npz", ".onnx", ".h5", ".json")
"""Suffixes that a target may not have: the user means a file, but in a format that is not written."""
LONGEST_NAME = 100
"""Upper bound of the characters in a name of weights, so that it fits into a file name with suffixes."""


@dataclass(frozen=True)
class Imported:
    """An imported generator: path and sha256 of its file, and its card."""

    path: Path
    sha256: str
    card: dict[str, Any]
    written: bool
    """False if the target already held the same weights."""


def import_checkpoint(
    source: Path | str,
    target: Path | str | None = None,
    *,
    name: str | None = None,
    license_note: str | None = None,
    expected_sha256: str | None = None,
    replace: bool = False,
) -> Imported:
    """Read a checkpoint and write its generator to `target`, a file or a folder; next to the source if None.

    `name` is the weights' name in the card, and the file's name if `target` is a folder; None means the source's name.
    A missing folder is made. A target with other weights is replaced only with `replace`. Raises CheckpointError if the
    source is refused or the target cannot be written; in both cases nothing is changed.

    >>> import tempfile
    >>> from stylegan.generator import Generator
    >>> generator = Generator(resolution=8, channels={4: 16, 8: 16}, z_dim=32, w_dim=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sha256 = save_generator(generator, f"{folder}/download.safetensors", {})
    ...     imported = import_checkpoint(f"{folder}/download.safetensors", folder, name="faces-8")
    >>> imported.path.name, imported.card["source"]["format"]
    ('faces-8.safetensors', "safetensors with NVIDIA's names")
    """
    source = Path(source)
    name = name or source.name.removesuffix(source.suffix)
    _check_texts(name, license_note or "")
    path = Path(target or ".")
    try:
        path = _target(source, target, name)
        if path.exists() and path.samefile(source):
            raise CheckpointError(f"'{readable(path)}' is the file to import: name another one with --to or --name.")
        checkpoint = read_checkpoint(source, expected_sha256=expected_sha256)
        return _place(checkpoint, path, _card(checkpoint, name, license_note), replace)
    except OSError as error:
        raise CheckpointError(f"'{readable(path)}' cannot be written: {error.strerror or error}.") from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):  # torch's error if memory is too small
            raise
        raise exhausted(source) from error


def _check_texts(name: str, license_note: str) -> None:
    """Raise CheckpointError for a name that no file can have, and for a licence note that is not UTF-8."""
    if "/" in name or name.startswith(".") or not name.isprintable() or not 1 <= len(name) <= LONGEST_NAME:
        shown = "".join(c if c.isprintable() else "?" for c in name[:LONGEST_NAME])
        raise CheckpointError(
            f"--name {shown} cannot name a file: expected a word such as ffhq-1024, of at most {LONGEST_NAME} "
            "characters. Without --name, the name of FILE is used."
        )
    if readable(license_note) != license_note:
        raise CheckpointError("--license-note: expected a text in UTF-8.")


def _target(source: Path, target: Path | str | None, name: str) -> Path:
    path = source.parent if target is None else Path(target)
    if path.is_dir() or not (path.exists() or path.suffix in (SUFFIX, *OTHER_FILES)):
        path = path / (name + SUFFIX)
    if path.suffix != SUFFIX:
        raise CheckpointError(
            f"Weights are written as {SUFFIX}, and '{readable(path)}' is neither such a file nor a folder. Name one."
        )
    for part in (path, card_path(path)):
        if part.is_symlink():
            raise CheckpointError(
                f"'{readable(part)}' is a symbolic link: weights are not written through links. Remove it."
            )
    return path


def _card(checkpoint: Checkpoint, name: str, license_note: str | None) -> dict[str, Any]:
    """The card of the weights; `save_generator` adds file, sha256, size and architecture.

    `mean_distance` is the mean distance between two random w, the unit of displacements.
    """
    return {
        "name": name,
        "source": {
            "file": checkpoint.file,
            "format": checkpoint.kind,
            "sha256": checkpoint.sha256,
            "size_bytes": checkpoint.size_bytes,
        },
        "license": license_note or checkpoint.license_note,
        "assumed": list(checkpoint.assumed),
        "mean_distance": rounded(mean_distance(checkpoint.generator)),
    }


def _place(checkpoint: Checkpoint, path: Path, card: dict[str, Any], replace: bool) -> Imported:
    """Write both files to a temporary folder next to the target, then move each atomically: weights, then card."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        new = Path(folder) / path.name
        sha256 = save_generator(checkpoint.generator, new, card)
        full_card = card | {"architecture": describe(checkpoint.generator.architecture)}
        if path.exists() and not replace:
            if _sha256(path) != sha256:
                raise CheckpointError(
                    f"'{readable(path)}' holds other weights and was left unchanged. Replace it with --force, or name "
                    "another target with --to."
                )
            if card_path(path).exists():
                return Imported(path, sha256, full_card, written=False)
        new.replace(path)
        card_path(new).replace(card_path(path))
    return Imported(path, sha256, full_card, written=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_file(path)).hexdigest()

"""A checkpoint becomes the one format that the pipeline reads: safetensors and a JSON card beside it."""

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
"""What a target may not end in: a file was meant, and another one than is written."""
LONGEST_NAME = 100
"""Characters of the name of weights; with suffixes it must fit into a file's name."""


@dataclass(frozen=True)
class Imported:
    """Where an imported generator lies, and what its card says."""

    path: Path
    sha256: str
    card: dict[str, Any]
    written: bool
    """False if the very same weights were there already."""


def import_checkpoint(
    source: Path | str,
    target: Path | str | None = None,
    *,
    name: str | None = None,
    license_note: str | None = None,
    expected_sha256: str | None = None,
    replace: bool = False,
) -> Imported:
    """Read a checkpoint and write its generator to `target`, a file or a folder; beside the source if None.

    `name` is what the card calls the weights, and the file in a folder; the source's name if None. A folder that is
    not there is made. Another file at the target is only replaced with `replace`. Raises CheckpointError if the source
    is refused, or the target cannot be written; nothing has changed then.
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
        if isinstance(error, RuntimeError) and "alloc" not in str(error):  # torch's own error for too little memory
            raise
        raise exhausted(source) from error


def _check_texts(name: str, license_note: str) -> None:
    """CheckpointError for a name that cannot be a file's, or texts that no card can hold."""
    if "/" in name or name.startswith(".") or not name.isprintable() or not 1 <= len(name) <= LONGEST_NAME:
        shown = "".join(c if c.isprintable() else "?" for c in name[:LONGEST_NAME])
        raise CheckpointError(
            f"--name {shown} cannot name a file: expected a word such as ffhq-1024, of at most {LONGEST_NAME} "
            "characters. Without --name it is that of FILE."
        )
    if readable(license_note) != license_note:
        raise CheckpointError("--license-note: expected a text in UTF-8.")


def _target(source: Path, target: Path | str | None, name: str) -> Path:
    path = source.parent if target is None else Path(target)
    if path.is_dir() or not (path.exists() or path.suffix in (SUFFIX, *OTHER_FILES)):
        path = path / (name + SUFFIX)
    if path.suffix != SUFFIX:
        raise CheckpointError(
            f"Weights are written as {SUFFIX}, and '{readable(path)}' is no folder: name one or the other."
        )
    for part in (path, card_path(path)):
        if part.is_symlink():
            raise CheckpointError(
                f"'{readable(part)}' is a symbolic link: weights are not written through links. Remove it."
            )
    return path


def _card(checkpoint: Checkpoint, name: str, license_note: str | None) -> dict[str, Any]:
    """What is told of the weights; `save_generator` adds file, sha256, size and architecture.

    `mean_distance` is that of two random w, the unit in which displacements are given.
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
    """Write both files beside the target first, then put each in place in one step: weights, then card."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
        new = Path(folder) / path.name
        sha256 = save_generator(checkpoint.generator, new, card)
        told = card | {"architecture": describe(checkpoint.generator.architecture)}
        if path.exists() and not replace:
            if _sha256(path) != sha256:
                raise CheckpointError(
                    f"'{readable(path)}' holds other weights: they were left as they are. Give --force to replace "
                    "them, or another place with --to."
                )
            if card_path(path).exists():
                return Imported(path, sha256, told, written=False)
        new.replace(path)
        card_path(new).replace(card_path(path))
    return Imported(path, sha256, told, written=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(read_file(path)).hexdigest()

"""CelebA's `list_attr_celeba.txt` and CelebAMask-HQ's `CelebAMask-HQ-attribute-anno.txt`: 40 attributes, -1 or 1.

These files are used if they are in the same folder: `list_eval_partition.txt`, `identity_CelebA.txt`,
`CelebAMask-HQ-pose-anno.txt`, and `CelebA-HQ-to-CelebA-mapping.txt`, which maps HQ pictures to CelebA's pictures with
their partition and identity. Layouts: Liu et al., ICCV 2015; Lee et al., CVPR 2020.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.attributes import INDEX, get
from pipeline.errors import LabelsError
from pipeline.scorer_training.folders import by_stem, pictures_in, require_file
from pipeline.scorer_training.labels import (
    BROKEN_LABEL,
    NO_LABEL,
    NO_PICTURE,
    Face,
    Labels,
    Problems,
    collect,
    unknown_values,
)
from pipeline.storage.files import file_sha256

ATTRIBUTE_FILES = ("list_attr_celeba.txt", "CelebAMask-HQ-attribute-anno.txt")
PARTITION, IDENTITY = "list_eval_partition.txt", "identity_CelebA.txt"
POSE, MAPPING = "CelebAMask-HQ-pose-anno.txt", "CelebA-HQ-to-CelebA-mapping.txt"
# Our attribute -> CelebA's. Yaw, pitch and roll come from the pose file; our other 18 attributes have no counterpart.
COUNTERPARTS: dict[str, str] = {
    "smile": "Smiling",
    "gender": "Male",
    "moustache": "Mustache",
    "beard": "No_Beard",  # inverted
    "sideburns": "Sideburns",
    "blur": "Blurry",
    "lip_makeup": "Wearing_Lipstick",
    "headwear": "Wearing_Hat",
    "glasses": "Eyeglasses",
    "baldness": "Bald",
    "hair_brown": "Brown_Hair",
    "hair_blond": "Blond_Hair",
    "hair_black": "Black_Hair",
    "hair_grey": "Gray_Hair",
}
INVERTED = ("beard",)
HIDES_HAIR = ("headwear", "baldness")  # if one of them is 1, the hair colours are unknown
COLOURS = ("hair_brown", "hair_blond", "hair_black", "hair_grey")
POSE_COLUMNS = {"yaw": "yaw", "pitch": "pitch", "raw": "roll", "roll": "roll"}  # the file's header says Raw
TRAINING, VALIDATION, NEITHER = 0, 1, 2  # as in list_eval_partition.txt


@dataclass
class _Annotations:
    """The annotations in the other files of the folder, by a picture's name without suffix."""

    files: dict[str, str] = field(default_factory=dict)
    original: dict[str, str] = field(default_factory=dict)  # HQ name -> CelebA name
    partition: dict[str, str] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)
    pose: dict[str, dict[str, float]] = field(default_factory=dict)

    def person(self, stem: str) -> str | None:
        """The number of the person; None if it is unknown."""
        return self.identity.get(self.original.get(stem, stem))

    def part(self, stem: str) -> int | None:
        """TRAINING, VALIDATION or NEITHER; None without a partition."""
        text = self.partition.get(self.original.get(stem, stem))
        return None if text is None else int(text)


def read_celeba(images: Path, labels: Path) -> Labels:
    """The labels of an attribute file, or of the folder that holds it, for the pictures below `images`.

    Pictures are matched by name without suffix. Raises LabelsError.
    """
    path = _attribute_file(labels)
    pictures, problems, annotations = by_stem(pictures_in(images)), Problems(), _read_annotations(path.parent)
    faces, seen = [], set()
    for name, texts in _rows(path, problems):
        stem = Path(name).stem
        if stem in seen:
            raise LabelsError(f"{path}: {name} has two rows.")
        seen.add(stem)
        if texts is None:
            continue
        if stem not in pictures:
            problems.note(NO_PICTURE, name)
            continue
        values = _values(texts, annotations.pose.get(stem, {}))
        faces.append(
            Face(pictures[stem], values, annotations.person(stem) or f"picture {stem}", annotations.part(stem))
        )
    for stem in sorted(set(pictures) - seen):
        problems.note(NO_LABEL, pictures[stem])
    _check_parts(faces, annotations)
    grouped = "partition" if annotations.partition else "identity" if annotations.identity else "picture"
    return collect("celeba", faces, grouped, {path.name: file_sha256(path)} | annotations.files, problems)


def _attribute_file(labels: Path) -> Path:
    if labels.is_dir():
        files = [labels / name for name in ATTRIBUTE_FILES if (labels / name).is_file()]
        if len(files) != 1:
            raise LabelsError(
                f"--labels {labels}: expected one of {' and '.join(ATTRIBUTE_FILES)} in it, found {len(files)}. "
                "Name the file itself."
            )
        return files[0]
    require_file(labels, f"a file such as {ATTRIBUTE_FILES[0]}")
    return labels


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError(f"{path} cannot be read as text: {error}.") from error


def _rows(path: Path, problems: Problems) -> Iterator[tuple[str, dict[str, bool] | None]]:
    """Pairs of picture name and attributes; None for the attributes of a broken row, which is noted in `problems`."""
    lines = _lines(path)
    names = lines[1].split() if len(lines) > 1 else []
    for theirs in COUNTERPARTS.values():
        if theirs not in names:
            close = difflib.get_close_matches(theirs, names, n=1, cutoff=0.6)
            hint = f" Is it {close[0]!r}?" if close else ""
            raise LabelsError(
                f"{path}, line 2: expected the names of CelebA's attributes, and {theirs} is missing.{hint}"
            )
    rows = [(number, line.split()) for number, line in enumerate(lines[2:], start=3) if line.strip()]
    if lines[0].strip() != str(len(rows)):
        raise LabelsError(
            f"{path}: line 1 says {lines[0].strip()!r:.20} rows and {len(rows)} follow: the file is truncated or is "
            "not a list of CelebA attributes."
        )
    for number, (name, *values) in rows:
        if len(values) != len(names) or not set(values) <= {"-1", "1"}:
            problems.note(BROKEN_LABEL, name, f"line {number}: expected {len(names)} times -1 or 1")
            yield name, None
        else:
            yield name, {key: value == "1" for key, value in zip(names, values, strict=True)}


def _values(attributes: dict[str, bool], pose: dict[str, float]) -> np.ndarray:
    values = unknown_values()
    for name, theirs in COUNTERPARTS.items():
        values[INDEX[name]] = attributes[theirs] != (name in INVERTED)
    if any(values[INDEX[name]] == 1 for name in HIDES_HAIR):
        values[[INDEX[name] for name in COLOURS]] = np.nan
    for name, degrees in pose.items():
        limits = get(name)
        values[INDEX[name]] = min(1.0, max(0.0, (degrees - limits.low) / (limits.high - limits.low)))
    return values


def _read_annotations(folder: Path) -> _Annotations:
    annotations = _Annotations()
    for name in (PARTITION, IDENTITY, POSE, MAPPING):
        path = folder / name
        if not path.is_file():
            continue
        annotations.files[name] = file_sha256(path)
        if name == POSE:
            annotations.pose = _poses(path)
        elif name == MAPPING:
            # The first line has the names: idx orig_idx orig_file
            rows = [line.split() for line in _lines(path)[1:] if line.strip()]
            _check_width(path, rows, 3)
            annotations.original = {row[0]: Path(row[2]).stem for row in rows}
        else:
            rows = [line.split() for line in _lines(path) if line.strip()]
            _check_width(path, rows, 2)
            pairs = {Path(row[0]).stem: row[1] for row in rows}
            if name == PARTITION and not set(pairs.values()) <= {"0", "1", "2"}:
                raise LabelsError(f"{path}: expected lines such as `000001.jpg 0` with 0, 1 or 2.")
            setattr(annotations, "partition" if name == PARTITION else "identity", pairs)
    return annotations


def _check_width(path: Path, rows: list[list[str]], width: int) -> None:
    wrong = [number for number, row in enumerate(rows, start=1) if len(row) != width]
    if wrong:
        raise LabelsError(f"{path}: expected {width} fields in each row, and row {wrong[0]} has another number.")


def _poses(path: Path) -> dict[str, dict[str, float]]:
    """Degrees by picture. The file has a line with the count, a line with Yaw Pitch Raw, then the rows."""
    lines = _lines(path)
    header = [POSE_COLUMNS.get(name.lower()) for name in lines[1].split()] if len(lines) > 1 else []
    if sorted(name or "" for name in header) != ["pitch", "roll", "yaw"]:
        raise LabelsError(f"{path}, line 2: expected the names Yaw Pitch Raw.")
    rows = [line.split() for line in lines[2:] if line.strip()]
    _check_width(path, rows, 4)
    try:
        return {
            Path(name).stem: {str(key): _degrees(text) for key, text in zip(header, texts, strict=True)}
            for name, *texts in rows
        }
    except ValueError as error:
        raise LabelsError(f"{path}: expected degrees within 180, {error}.") from error


def _degrees(text: str) -> float:
    value = float(text)
    if not abs(value) <= 180:
        raise ValueError(f"found {text}")
    return value


def _check_parts(faces: list[Face], annotations: _Annotations) -> None:
    if not annotations.partition:
        return
    without = [face.picture for face in faces if face.part is None]
    if without:
        raise LabelsError(
            f"{PARTITION} lacks {len(without):,} of {len(faces):,} pictures, such as {without[0]}. For pictures of "
            f"CelebAMask-HQ put {MAPPING} into its folder, or move {PARTITION} away to split without it."
        )
    if not annotations.identity:
        return
    parts: dict[str, set[int]] = {}
    for face in faces:
        if face.part in (TRAINING, VALIDATION):
            parts.setdefault(face.group, set()).add(face.part)
    both = sorted(group for group, of_group in parts.items() if len(of_group) > 1)
    if both:
        raise LabelsError(
            f"{len(both):,} persons, such as {both[0]}, are in the training and in the validation part of {PARTITION}. "
            f"Move that file away, and the split will follow {IDENTITY}."
        )

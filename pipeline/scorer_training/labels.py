"""Labelled faces, and the problems of the files they were read from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np

from pipeline.attributes import NAMES
from pipeline.errors import LabelsError
from pipeline.settings.paths import readable
from pipeline.storage.fingerprint import bytes_sha256

MOST_BAD = 0.01  # largest tolerated share of broken labels and unreadable pictures
BROKEN_LABEL, UNREADABLE = "broken label", "unreadable picture"
NO_FACE, NO_PICTURE, NO_LABEL = "no face in the label", "label without picture", "picture without label"
BAD = (BROKEN_LABEL, UNREADABLE)  # counted for the share; the other problems also occur in partial downloads
SHOWN = 3  # names in a message


@dataclass
class Problems:
    """The labels and pictures left out of a set of labels: reason -> names with details."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def note(self, reason: str, name: str, detail: str = "") -> None:
        """Record a label or picture that is left out."""
        self.found.setdefault(reason, []).append(readable(f"{name}: {detail}" if detail else name))

    def count(self, reason: str) -> int:
        """Number of names left out for a reason."""
        return len(self.found.get(reason, ()))

    def lines(self) -> list[str]:
        """One line per reason, with its count and its first names."""
        return [f"{reason}: {len(names):,} ({_first(names)})" for reason, names in sorted(self.found.items())]

    def check(self, used: int, most_bad: float) -> None:
        """Raise LabelsError if more than the share `most_bad` of `used` + bad faces is bad, or if `used` is 0."""
        listed = "; ".join(self.lines()) or "nothing was found at all"
        if not used:
            raise LabelsError(
                f"No picture has a label. Expected pictures under --images with the names in --labels; {listed}."
            )
        bad = sum(self.count(reason) for reason in BAD)
        share = bad / (used + bad)
        if share > most_bad:
            raise LabelsError(
                f"{bad:,} of {used + bad:,} labelled pictures are broken ({share:.1%}), more than the {most_bad:.1%} "
                f"of --most-bad: {listed}. Fix the files, or raise --most-bad to train without them."
            )


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


@dataclass(frozen=True)
class Labels:
    """Labelled faces in the order of their pictures' names.

    `pictures`: paths below the folder of images, with /. `values`: (N, 35) float32 in [0, 1], NaN where unknown.
    `groups`: the person, or the picture if persons are unknown; a split keeps a group together. `parts`: (N,) int8 with
    0 for training, 1 for validation, 2 for neither, if the source has a partition. `files`: label file -> sha256.
    """

    kind: str
    pictures: tuple[str, ...]
    values: np.ndarray
    groups: tuple[str, ...]
    grouped_by: str
    files: dict[str, str]
    problems: Problems
    parts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def digest(self) -> str:
        """sha256 over pictures, values, groups and parts; it does not depend on the format of the label file."""
        parts = None if self.parts is None else self.parts.tolist()
        names = json.dumps([NAMES, self.pictures, self.groups, parts]).encode()
        return bytes_sha256(names + np.ascontiguousarray(self.values, dtype="<f4").tobytes())

    def only(self, keep: np.ndarray) -> Labels:
        """The faces of a boolean mask (N,)."""
        rows = np.flatnonzero(keep)
        return Labels(
            self.kind,
            tuple(self.pictures[row] for row in rows),
            self.values[rows],
            tuple(self.groups[row] for row in rows),
            self.grouped_by,
            self.files,
            self.problems,
            None if self.parts is None else self.parts[rows],
        )


@dataclass(frozen=True)
class Face:
    """One labelled face, before all are collected into Labels; `values` (35,) with NaN where unknown."""

    picture: str
    values: np.ndarray
    group: str
    part: int | None = None


def collect(kind: str, faces: list[Face], grouped_by: str, files: dict[str, str], problems: Problems) -> Labels:
    """Labels of faces, in the order of their pictures; `parts` if every face has one."""
    faces = sorted(faces, key=lambda face: face.picture)
    values = np.stack([face.values for face in faces]) if faces else np.empty((0, len(NAMES)))
    parts = [face.part for face in faces if face.part is not None]
    return Labels(
        kind,
        tuple(face.picture for face in faces),
        values.astype(np.float32),
        tuple(face.group for face in faces),
        grouped_by,
        files,
        problems,
        np.array(parts, dtype=np.int8) if parts and len(parts) == len(faces) else None,
    )


def unknown_values() -> np.ndarray:
    """Values (35,) of NaN: all unknown."""
    return np.full(len(NAMES), np.nan)


def is_yes_or_no(values: np.ndarray) -> np.ndarray:
    """(35,) bool: columns of values (N, 35) with only labels 0 or 1, such as CelebA's; False without labels."""
    known = ~np.isnan(values)
    return np.asarray(known.any(axis=0) & (~known | (values == 0) | (values == 1)).all(axis=0))

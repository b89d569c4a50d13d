"""Blocks of faces: how a protocol cuts its edits into shards, and what they rest on.

A calibrated method edits blocks of faces, whose limits the protocol fixes, so that batches, and every bit, are the same
on any number of workers; each block is one table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.chain.work import Names
from pipeline.settings.settings import Settings


@dataclass(frozen=True)
class FaceBlock:
    """Edits of the faces `first` to `stop` - 1, counted from 0; of one attribute, or ("") of several."""

    name: str
    first: int
    stop: int
    attribute: str = ""
    units: float = 0.0

    @property
    def count(self) -> int:
        """How many faces it has."""
        return self.stop - self.first


def cut_faces(n_faces: int, size: int) -> list[tuple[int, int]]:
    """Faces 0 to n_faces - 1 in blocks [first, stop) of `size`, the last maybe shorter."""
    return [(first, min(first + size, n_faces)) for first in range(0, n_faces, size)]


def blocks(
    table: str, cuts: Sequence[tuple[int, int]], attributes: Sequence[str] = ("",), images_per_face: float = 1.0
) -> list[FaceBlock]:
    """The blocks of a table's faces [first, stop), attribute by attribute."""
    return [
        FaceBlock(
            f"{'-'.join(filter(None, (table, attribute)))}-{first:06d}-{stop:06d}.parquet",
            first,
            stop,
            attribute,
            images_per_face * (stop - first),
        )
        for attribute in attributes
        for first, stop in cuts
    ]


def read_by_edits(settings: Settings, method: str, which: str) -> tuple[Names, ...]:
    """What the edits of a calibrated method on a set of faces read, besides its ranges in the order of attributes."""
    return (("spread",), ("labels", which), ("train", method), *ranges(settings, method))


def ranges(settings: Settings, method: str) -> Iterator[Names]:
    """The ranges of a method."""
    return (("range", method, attribute) for attribute in settings.experiment.attributes)

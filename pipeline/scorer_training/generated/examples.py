"""A picture with three faces of every value of the labels by looking, for docs/explanation/photoface-labels.md.

    python -m pipeline.scorer_training.generated.examples FOLDER FILE.jpg

takes the faces from a folder of `latentbench scorer photoface`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.scorer_training.generated import eye, faces

EACH = 3  # faces of a value
COLUMNS = 12  # faces in a row
SIDE = 84  # pixels
QUALITY = 82


def chosen(table: pa.Table) -> list[tuple[str, str, int]]:
    """Caption, role and k of the faces to show: the first ones of each value, of lower truncation where there are."""
    rows = [row for row in table.to_pylist() if row["labelling"] == 1]
    rows.sort(key=lambda row: (row["k"] % 2, row["k"], row["role"]))
    shown: list[tuple[str, str, int]] = []
    for column in eye.COLUMNS:
        for letter in eye.MEANINGS[column]:
            fitting = [row for row in rows if row[column] == letter][:EACH]
            shown += [(f"{column} {letter}", row["role"], row["k"]) for row in fitting]
    return shown


def main(folder: str, file: str) -> None:
    """Write the picture."""
    from pipeline import images

    shown = chosen(eye.read())
    pixels = np.concatenate([next(faces.batches(Path(folder), role, np.array([k]), 1)) for _, role, k in shown])
    small = images.resize(images.from_uint8(pixels), SIDE)
    sheet = images.sheet(small, columns=COLUMNS, captions=[caption for caption, _, _ in shown])
    sheet.save(file, format="JPEG", quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

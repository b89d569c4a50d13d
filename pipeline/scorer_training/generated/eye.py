"""Labels by looking: what the letters of a labelling mean as values, and the table that comes with the package.

    python -m pipeline.scorer_training.generated.eye A.csv B.csv ...

writes the table from the labellers' CSV files; a file with `twice` in its name is the second, blind labelling.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.attributes import INDEX, NAMES
from pipeline.errors import LabelsError
from pipeline.tables.parquet import read_table, write_table
from pipeline.tables.schemas import BY_EYE

TABLE = Path(__file__).with_name("labels_by_eye.parquet")
KEY = ("role", "k", "labelling")
COLUMNS = tuple(name for name in BY_EYE.names if name not in KEY)
SECOND = "twice"  # in the name of a file of second labels
GRADES = {"0": 0.0, "1": 0.5, "2": 1.0}
ANSWERS = {"0": 0.0, "1": 1.0}
HIDDEN = "x"
HAIR = {"n": "hair_brown", "l": "hair_blond", "k": "hair_black", "r": "hair_red", "g": "hair_grey", "o": "hair_other"}
# Column -> letter -> values of our attributes; attributes that a letter does not name are unknown.
MEANINGS: dict[str, dict[str, dict[str, float]]] = {
    "glasses": {
        "0": {"glasses": 0.0, "reading_glasses": 0.0, "sunglasses": 0.0},
        "r": {"glasses": 1.0, "reading_glasses": 1.0, "sunglasses": 0.0},
        "s": {"glasses": 1.0, "reading_glasses": 0.0, "sunglasses": 1.0},
    },
    "hair": {letter: {name: float(name == own) for name in HAIR.values()} for letter, own in HAIR.items()}
    | {HIDDEN: {}},
    **{name: {letter: {name: value} for letter, value in GRADES.items()} for name in ("beard", "moustache")},
    "sideburns": {letter: {"sideburns": value} for letter, value in GRADES.items()},
    "baldness": {letter: {"baldness": value} for letter, value in GRADES.items()} | {HIDDEN: {}},
    **{
        name: {letter: {attribute: value} for letter, value in ANSWERS.items()}
        for name, attribute in (
            ("headwear", "headwear"),
            ("eye_makeup", "eye_makeup"),
            ("lip_makeup", "lip_makeup"),
            ("forehead", "forehead_occluded"),
            ("eye", "eye_occluded"),
            ("mouth", "mouth_occluded"),
        )
    },
}
SEEN = tuple(dict.fromkeys(name for by in MEANINGS.values() for values in by.values() for name in values))


def read(path: Path = TABLE) -> pa.Table:
    """The table of labels by eye. Raises CorruptShardError."""
    return read_table(path, BY_EYE)


def of_role(table: pa.Table, role: str, labelling: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Faces k (N,), ascending, and values (N, 35) of one labelling, NaN where unknown, for a role, a or b."""
    rows = [row for row in table.to_pylist() if (row["role"], row["labelling"]) == (role, labelling)]
    rows.sort(key=lambda row: row["k"])
    values = np.full((len(rows), len(NAMES)), np.nan, np.float32)
    for place, row in enumerate(rows):
        for column, letters in MEANINGS.items():
            for name, value in letters[row[column]].items():
                values[place, INDEX[name]] = value
    return np.array([row["k"] for row in rows], np.int64), values


def table_of(files: Sequence[Path]) -> pa.Table:
    """The table of the labellers' CSV files; of several rows of a face and labelling the last counts.

    Raises LabelsError for an unknown letter.
    """
    found: dict[tuple[str, int, int], dict[str, object]] = {}
    for path in files:
        labelling = 2 if SECOND in path.name else 1
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                role, k = _key(path, number, row)
                letters = {name: _letter(path, number, name, row.get(name)) for name in COLUMNS}
                found[role, k, labelling] = {"role": role, "k": k, "labelling": labelling} | letters
    return pa.Table.from_pylist([found[key] for key in sorted(found)], schema=BY_EYE)


def _key(path: Path, number: int, row: dict[str, str]) -> tuple[str, int]:
    role, k = (row.get("role") or "").strip().lower(), (row.get("k") or "").strip()
    if role not in ("a", "b") or not k.isdecimal():
        raise LabelsError(f"{path}, line {number}: expected a role A or B and a number k, found {role!r} and {k!r}.")
    return role, int(k)


def _letter(path: Path, number: int, name: str, cell: str | None) -> str:
    letter = (cell or "").strip().lower()
    if letter not in MEANINGS[name]:
        known = ", ".join(MEANINGS[name])
        raise LabelsError(f"{path}, line {number}, {name}: expected one of {known}, found {letter!r}.")
    return letter


def main(files: Iterable[str]) -> None:
    """Write the table of these CSV files."""
    rows = write_table(table_of([Path(file) for file in files]), BY_EYE, TABLE)
    print(f"{rows:,} rows in {TABLE}")


if __name__ == "__main__":
    main(sys.argv[1:])

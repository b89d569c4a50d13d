"""Labels in a Parquet or CSV table: `path`, any of the 35 attributes in [0, 1], and `identity` if persons are known."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.attributes import INDEX, NAMES
from pipeline.errors import LabelsError, UnknownNameError
from pipeline.scorer_training.folders import pictures_in, require_file
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
from pipeline.settings.paths import open_regular
from pipeline.storage.files import file_sha256
from pipeline.tables.parquet import local

PATH, IDENTITY = "path", "identity"
MOST_ROWS = 2_000_000  # of a Parquet file; each row needs 280 bytes for its 35 values
READERS = {".csv": "CSV", ".parquet": "Parquet", ".pq": "Parquet"}


def read_table(images: Path, labels: Path) -> Labels:
    """The labels of a table. The column `path` names pictures below `images`; an empty cell is an unknown value.

    Raises LabelsError, with the row, and UnknownNameError for a column that is not an attribute.
    """
    require_file(labels, "a .csv or .parquet file")
    table = _read(labels)
    _check_columns(list(table.columns), labels)
    known, problems, faces = set(pictures_in(images)), Problems(), []
    first = 2 if READERS[labels.suffix.lower()] == "CSV" else 0  # number of the first row: a CSV's line, or from 0
    values = _values(table, labels, first)
    labelled: dict[str, int] = {}
    for index, path in enumerate(table[PATH]):
        where = f"{labels.name}, row {index + first}"
        picture = _picture(path, images, where)
        if picture in labelled:
            raise LabelsError(f"{where}: {picture} was labelled in row {labelled[picture] + first} already.")
        labelled[picture] = index
        if picture not in known:
            problems.note(NO_PICTURE, str(path))
        elif np.isnan(values[index]).all():
            problems.note(BROKEN_LABEL, str(path), f"row {index + first} has no value")
        else:
            faces.append(Face(picture, values[index], _person(table, index, picture, where)))
    for picture in sorted(known - set(labelled)):
        problems.note(NO_LABEL, picture)
    grouped = "identity" if IDENTITY in table else "picture"
    return collect("table", faces, grouped, {labels.name: file_sha256(labels)}, problems)


def _read(path: Path) -> pd.DataFrame:
    kind = READERS.get(path.suffix.lower())
    if kind is None:
        raise LabelsError(f"--labels {path}: expected a file that ends in {', '.join(READERS)}.")
    try:
        if kind == "CSV":
            return pd.read_csv(local(path), dtype=str, keep_default_na=False, na_values=[""], skipinitialspace=True)
        return _read_parquet(path)
    except (OSError, ValueError, KeyError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        raise LabelsError(f"--labels {path} cannot be read as {kind}: {error}.") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file after a check of its columns and row count: a small file can hold any number of rows.

    Repeated texts are stored only once in memory.
    """
    with open_regular(path) as opened, pq.ParquetFile(opened) as file:
        columns, rows = file.schema_arrow.names, file.metadata.num_rows
        _check_columns([name for name in columns if not name.startswith("__index_level_")], path)
        if rows > MOST_ROWS:
            raise LabelsError(
                f"{path} has {rows:,} rows, expected one for each picture and at most {MOST_ROWS:,}. Keep only the "
                "rows of pictures below --images."
            )
        texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    with open_regular(path) as opened, pq.ParquetFile(opened, read_dictionary=texts) as file:
        table = file.read().to_pandas()
    for name in table.columns:
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            table[name] = table[name].astype(object)
    return table


def _check_columns(columns: Sequence[Hashable], path: Path) -> None:
    if PATH not in columns:
        raise LabelsError(f"{path}: expected a column `{PATH}`, found {', '.join(map(str, columns)) or 'none'}.")
    for column in columns:
        if column not in (PATH, IDENTITY) and column not in INDEX:
            raise UnknownNameError(f"column of {path.name}", str(column), (PATH, IDENTITY, *NAMES))
    if len(set(columns)) != len(columns):
        raise LabelsError(f"{path}: a column occurs twice.")
    if not set(columns) & set(NAMES):
        raise LabelsError(f"{path}: expected at least one of the attributes as a column: {', '.join(NAMES)}.")


def _values(table: pd.DataFrame, path: Path, first: int) -> np.ndarray:
    """The values (rows, 35); NaN for an empty cell or a missing column."""
    values = np.tile(unknown_values(), (len(table), 1))
    for name in [name for name in NAMES if name in table]:
        cells = table[name]
        numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = ~((numbers >= 0) & (numbers <= 1)) & cells.notna().to_numpy()
        if wrong.any():
            index = int(np.flatnonzero(wrong)[0])
            raise LabelsError(
                f"{path.name}, row {index + first} ({table[PATH].iloc[index]}): {name} is {cells.iloc[index]}, "
                "expected a number from 0 to 1, or nothing where it is unknown; docs/reference/attributes.md has the "
                "limits of angles and age."
            )
        values[:, INDEX[name]] = numbers
    return values


def _picture(path: Hashable, images: Path, where: str) -> str:
    """A cell of `path` as a path below the folder of images, with /."""
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise LabelsError(f"{where}: expected a path, found {path!r}.")
    root = images.resolve()
    full = (root / path).resolve()
    if not full.is_relative_to(root) or full == root:
        raise LabelsError(f"{where}: {path} leads out of --images {images}; expected a picture below it.")
    return full.relative_to(root).as_posix()


def _person(table: pd.DataFrame, index: int, picture: str, where: str) -> str:
    if IDENTITY not in table:
        return picture
    person = table[IDENTITY].iloc[index]
    if pd.isna(person):
        raise LabelsError(f"{where}: `{IDENTITY}` is empty; expected a person in every row, or no such column.")
    return str(person)

"""The table of inverted photographs, whose codes an evaluation edits instead of sampled faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.domains.base import DomainCard
from pipeline.errors import ConfigError, StageError
from pipeline.settings.settings import Settings
from pipeline.storage.files import file_sha256
from pipeline.tables.parquet import read_first, vectors
from pipeline.tables.schemas import INVERTED

SIZES = ("n_faces", "n_matched_faces", "n_rate_faces", "n_consistency_faces")
SPACE = "w"


def read_codes(settings: Settings, card: DomainCard) -> np.ndarray:
    """w (N, 512) float32 of the photographs in `[protocol] faces_from` that a run edits: the first N of the table.

    N is the largest of the profile's SIZES; of later rows only the number is read. Raises ConfigError for a table that
    the run cannot use: missing, of another domain or generator, with codes in W+ (the evaluation edits one code per
    face), or with fewer photographs than the profile needs. Raises StageError if the table was replaced during the run.
    """
    path, key = Path(settings.experiment.faces_from), f"{settings.source}: [protocol] faces_from"
    try:
        sha256 = file_sha256(path)
        used = max(getattr(settings.experiment, name) for name in SIZES)
        table, photographs = read_first(path, INVERTED, used, ["domain", "generator", "space", "w"])
    except (OSError, StageError) as error:
        raise ConfigError(f"{key}: expected a table that `latentbench invert` wrote: {error}") from error
    if sha256 != settings.experiment.faces_sha256:
        raise StageError(f"{path} was replaced during the run: run again, which starts with the new photographs.")
    _check(table.column("domain").unique().to_pylist(), settings.domain, f"{key}: {path} is of the domain")
    _check(table.column("generator").unique().to_pylist(), card.weights["generator"], f"{key}: {path} is of generator")
    spaces = table.column("space").unique().to_pylist()
    if spaces != [SPACE]:
        raise ConfigError(
            f"{key}: {path} holds codes in {' and '.join(spaces)}; the evaluation edits one code per face: invert "
            "with --space w."
        )
    _check_sizes(settings, photographs, key)
    return vectors(table, "w")


def _check(found: list[str], expected: str, what: str) -> None:
    if found != [expected]:
        shown = ", ".join(name[:16] for name in found) or "nothing"
        raise ConfigError(f"{what} {shown}, expected {expected[:16]}: invert the photographs again with this one.")


def _check_sizes(settings: Settings, photographs: int, key: str) -> None:
    experiment = settings.experiment
    too_many = [name for name in SIZES if getattr(experiment, name) > photographs]
    if too_many:
        asked = ", ".join(f"{name} = {getattr(experiment, name):,}" for name in too_many)
        remedy = " ".join(f"--set profile.{experiment.profile}.{name}={photographs}" for name in too_many)
        raise ConfigError(
            f"{key}: the table has {photographs} photographs, but profile {experiment.profile} asks for {asked}. "
            f"Invert more, or ask for fewer: {remedy}"
        )

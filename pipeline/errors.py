"""What can go wrong, each error saying what was expected, what was found and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LatentbenchError(Exception):
    """Base of every error that a user can cause or mend; the command line prints it without a trace."""


class UnknownNameError(LatentbenchError):
    """A name that no registry knows: says the closest known one and lists the rest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"No {kind} named {name!r}.{hint} Known: {', '.join(names)}.")
        self.kind, self.name, self.known = kind, name, names

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


class ConfigError(LatentbenchError):
    """A setting that is missing, of the wrong type or out of range: which key of which file."""


class WeightsError(LatentbenchError):
    """A weight file that is missing or whose sha256 differs: which file, where to put it."""


class LabelsError(LatentbenchError):
    """Labels or pictures that a scorer cannot be trained on: which file, which row, what was expected."""


class PhotoError(LatentbenchError):
    """A photograph that cannot be used: why, and what would do."""


class StageError(LatentbenchError):
    """A stage that could not be computed or published; nothing of it is visible downstream."""


class CorruptShardError(StageError):
    """A file whose size, rows or sha256 differ from its manifest's."""


class BusyError(LatentbenchError):
    """Another process is working on the same stage."""


class TrainingDivergedError(StageError):
    """A training whose loss became NaN or rose over its start."""


class ClusterError(LatentbenchError):
    """A Dask cluster that cannot be reached, or whose workers cannot do the work: every stage would fail alike."""


class MissingPackageError(LatentbenchError):
    """An optional package that the requested feature needs."""

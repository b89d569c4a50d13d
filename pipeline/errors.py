"""The errors that users can cause or fix. Each text states what was expected, what was found and what to do next.

>>> error = UnknownNameError("method", "gansapce", known=["ganspace", "sefa"])
>>> str(error)
"No method named 'gansapce'. Did you mean 'ganspace'? Known: ganspace, sefa."
>>> error.kind, error.name, error.known
('method', 'gansapce', ['ganspace', 'sefa'])
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LatentbenchError(Exception):
    """Base of every error that a user can cause or fix; the command line prints it without a traceback."""


class UnknownNameError(LatentbenchError):
    """A name that is not registered. `kind`, `name` and `known` are attributes; the text suggests the closest name.

    `brief`: the text without the known names.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        self.brief = f"No {kind} named {name!r}.{hint}"
        super().__init__(f"{self.brief} Known: {', '.join(names)}.")
        self.kind, self.name, self.known = kind, name, names

    def __reduce__(self) -> tuple[type, tuple[str, str, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


class ConfigError(LatentbenchError):
    """A setting is missing, of the wrong type or out of range. The text names the file and the key."""


class WeightsError(LatentbenchError):
    """A weights file is missing, damaged or has another sha256. The text names the file and where it belongs."""


class LabelsError(LatentbenchError):
    """Labels or pictures cannot be used for training a scorer. The text names the file and the row."""


class PhotoError(LatentbenchError):
    """A photograph cannot be used. The text gives the reason and the remedy."""


class StageError(LatentbenchError):
    """A stage could not be computed or published; later stages see nothing of it."""


class CorruptShardError(StageError):
    """The size, rows or sha256 of a file differ from its manifest."""


class BusyError(LatentbenchError):
    """Another process is working on the same stage."""


class TrainingDivergedError(StageError):
    """The loss of a training became NaN, or rose above its initial value."""


class ClusterError(LatentbenchError):
    """A Dask cluster cannot be reached, or its workers cannot compute any stage."""


class MissingPackageError(LatentbenchError):
    """A feature needs an optional package that is not installed."""

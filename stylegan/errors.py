"""What can be wrong with files of weights. Imports no torch, so that a file can be refused before it is loaded."""

from __future__ import annotations


class WeightsFileError(ValueError):
    """A weights file is missing, damaged, or not what was asked for."""

"""The error for weights files. Imports no torch: a file can be refused before torch is loaded."""

from __future__ import annotations


class WeightsFileError(ValueError):
    """A weights file is missing, damaged, or not the expected file."""

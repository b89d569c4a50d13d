"""The old path of `Method`, `FitData`, `Faces` and `Paper`, which works with a warning that names the new one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from pipeline.methods import interface

if TYPE_CHECKING:
    from pipeline.methods.interface import Faces as Faces
    from pipeline.methods.interface import FitData as FitData
    from pipeline.methods.interface import Method as Method
    from pipeline.methods.interface import Paper as Paper

PUBLIC = ("Faces", "FitData", "Method", "Paper")


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(PUBLIC)}")
    message = f"{__name__} is an old path: write `from latentbench import {name}`."
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return getattr(interface, name)

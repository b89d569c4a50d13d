"""Luigi's graph of the evaluation: one thin task per stage. Knows Luigi and no arithmetic.

luigi --module tasks Evaluation --domain synthface --profile smoke --local-scheduler

The tasks are imported with this package where Luigi is there, as on its own command line, which looks for them; else
when the first is asked for: Luigi takes long to import, and most verbs of `latentbench` do without it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasks.neighbours import check_neighbours

check_neighbours()

if TYPE_CHECKING:
    from tasks.base import RunTask, StageTask
    from tasks.nights import Nightly, SetAside
    from tasks.runs import Evaluation, PublishReport, Stages
    from tasks.stages import (
        CalibrateRange,
        CrossLabels,
        DrawGallery,
        EmbedReference,
        GenerateEdits,
        LabelLatents,
        MatchEdits,
        MeasureSpread,
        RateMethod,
        ReorderEdits,
        RescoreMethod,
        SampleLatents,
        ScoreMethod,
        TimeEdits,
        TrainMethod,
    )

__all__ = [
    "CalibrateRange",
    "DrawGallery",
    "EmbedReference",
    "Evaluation",
    "GenerateEdits",
    "LabelLatents",
    "CrossLabels",
    "MatchEdits",
    "RateMethod",
    "ReorderEdits",
    "MeasureSpread",
    "Nightly",
    "PublishReport",
    "RescoreMethod",
    "RunTask",
    "SampleLatents",
    "ScoreMethod",
    "SetAside",
    "StageTask",
    "Stages",
    "TimeEdits",
    "TrainMethod",
]

HOMES = ("tasks.base", "tasks.nights", "tasks.runs", "tasks.stages")


def _import_tasks() -> None:
    for home in HOMES:
        module = import_module(home)
        globals().update({name: getattr(module, name) for name in __all__ if hasattr(module, name)})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    _import_tasks()
    return globals()[name]


if "luigi" in sys.modules:
    _import_tasks()

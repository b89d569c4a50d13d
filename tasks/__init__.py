"""Luigi's graph of the evaluation: one thin task per stage. Knows Luigi and no arithmetic.

luigi --module tasks Evaluation --domain synthface --profile smoke --local-scheduler
"""

from __future__ import annotations

from contextlib import suppress

from tasks.neighbours import check_neighbours

check_neighbours()

from pipeline.errors import LatentbenchError
from tasks.luigi_apart import give_settings, import_luigi

import_luigi()

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

with suppress(LatentbenchError):  # the verb that reads the wrong file reports it
    give_settings()

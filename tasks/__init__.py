"""Luigi's graph of the evaluation: one thin task per stage. Knows Luigi and no arithmetic.

luigi --module tasks Evaluation --domain synthface --profile smoke --local-scheduler
"""

from __future__ import annotations

import os
from contextlib import suppress

from luigi.configuration import add_config_path

from pipeline.config import find_config
from pipeline.errors import ConfigError
from tasks.base import RunTask, StageTask
from tasks.calibration import CalibrateRange
from tasks.edits import DrawGallery, EmbedReference, GenerateEdits, TimeEdits
from tasks.labels import LabelLatents
from tasks.latents import SampleLatents
from tasks.matched import MatchEdits, MeasureSpread, RescoreMethod
from tasks.methods import TrainMethod
from tasks.nightly import Evaluation, Nightly, Stages
from tasks.rates import CrossLabels, RateMethod, ReorderEdits
from tasks.report import PublishReport
from tasks.scores import ScoreMethod

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
    "StageTask",
    "Stages",
    "TimeEdits",
    "TrainMethod",
]

# Luigi itself looks in ./luigi.cfg and $LUIGI_CONFIG_PATH; outside a checkout its [retcode] comes from the package.
with suppress(ConfigError):
    if "LUIGI_CONFIG_PATH" not in os.environ:
        add_config_path(str(find_config().resolve()))

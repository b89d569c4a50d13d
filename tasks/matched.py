"""Edits at matched change: their unit, the edits, their scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import luigi

from pipeline.chain.links import Link
from tasks.base import StageTask
from tasks.calibration import CalibrateRange
from tasks.labels import LabelLatents
from tasks.latents import SampleLatents


class MeasureSpread(StageTask):
    """How far scorers' logits differ between unedited images: the unit of matched change."""

    def requires(self) -> SampleLatents:
        """The reference latents."""
        return self.clone(SampleLatents, which="reference")

    @property
    def link(self) -> Link:
        """Stage `spread`."""
        return self.chain.spread()


class EditTask(StageTask):
    """Edits of a set of faces within the method's calibrated ranges, told apart from what unedited images look like."""

    method = luigi.Parameter(positional=False, description="the method that edits")
    faces: ClassVar[str]  # the set of latents that is edited

    def requires(self) -> Iterator[StageTask]:
        """How unedited images differ, the faces with their labels, and each attribute's range."""
        yield self.clone(MeasureSpread)
        yield self.clone(LabelLatents, which=self.faces)
        for attribute in self.settings.protocol.attributes:
            yield self.clone(CalibrateRange, attribute=attribute)


class MatchEdits(EditTask):
    """Every face's edits at which the attribute has moved equally far."""

    faces = "matched"

    @property
    def link(self) -> Link:
        """Stage `matched`."""
        return self.chain.matched(self.method)


class RescoreMethod(StageTask):
    """The scores and the re-scoring matrix of a method at matched change."""

    method = luigi.Parameter(positional=False, description="the method to score")

    def requires(self) -> MatchEdits:
        """The measured edits."""
        return self.clone(MatchEdits)

    @property
    def link(self) -> Link:
        """Stage `rescoring`."""
        return self.chain.rescoring(self.method)

"""Edits at matched change: their unit, the edits, their scores."""

from __future__ import annotations

from collections.abc import Iterator

import luigi

from pipeline.chain import Link
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


class MatchEdits(StageTask):
    """Every face's edits at which the attribute has moved equally far."""

    method = luigi.Parameter(positional=False, description="the method that edits")

    def requires(self) -> Iterator[StageTask]:
        """The unit, the faces with their labels, and each attribute's range, which bounds the search."""
        yield self.clone(MeasureSpread)
        yield self.clone(LabelLatents, which="matched")
        for attribute in self.settings.protocol.attributes:
            yield self.clone(CalibrateRange, attribute=attribute)

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

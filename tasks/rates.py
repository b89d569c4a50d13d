"""Rate curves and consistency: the edits, and their scores."""

from __future__ import annotations

from collections.abc import Iterator

import luigi

from pipeline.chain import Link
from tasks.base import StageTask
from tasks.calibration import CalibrateRange
from tasks.labels import LabelLatents
from tasks.matched import MeasureSpread


class CrossLabels(StageTask):
    """Every face edited towards the other side of its label."""

    method = luigi.Parameter(positional=False, description="the method that edits")

    def requires(self) -> Iterator[StageTask]:
        """What unedited images look like, the faces with their labels, and each attribute's range."""
        yield self.clone(MeasureSpread)
        yield self.clone(LabelLatents, which="rates")
        for attribute in self.settings.protocol.attributes:
            yield self.clone(CalibrateRange, attribute=attribute)

    @property
    def link(self) -> Link:
        """Stage `rates`."""
        return self.chain.rates(self.method)


class ReorderEdits(StageTask):
    """Three attributes of every face edited in every order, at once, and one undone."""

    method = luigi.Parameter(positional=False, description="the method that edits")

    def requires(self) -> Iterator[StageTask]:
        """What unedited images look like, the faces with their labels, and each attribute's range."""
        yield self.clone(MeasureSpread)
        yield self.clone(LabelLatents, which="rates")
        for attribute in self.settings.protocol.attributes:
            yield self.clone(CalibrateRange, attribute=attribute)

    @property
    def link(self) -> Link:
        """Stage `consistency`."""
        return self.chain.consistency(self.method)


class RateMethod(StageTask):
    """The scores of a method's rate curves and of its consistency."""

    method = luigi.Parameter(positional=False, description="the method to score")

    def requires(self) -> Iterator[StageTask]:
        """The judged edits."""
        yield self.clone(CrossLabels)
        yield self.clone(ReorderEdits)

    @property
    def link(self) -> Link:
        """Stage `rating`."""
        return self.chain.rating(self.method)

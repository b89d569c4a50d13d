"""Rate curves and consistency: the edits, and their scores."""

from __future__ import annotations

from collections.abc import Iterator

import luigi

from pipeline.chain.links import Link
from tasks.base import StageTask
from tasks.matched import EditTask


class CrossLabels(EditTask):
    """Every face edited towards the other side of its label."""

    faces = "rates"

    @property
    def link(self) -> Link:
        """Stage `rates`."""
        return self.chain.rates(self.method)


class ReorderEdits(EditTask):
    """Three attributes of every face edited in every order, at once, and one undone."""

    faces = "rates"

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

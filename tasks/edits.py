"""Edits: generated and measured in one pass; their reference, their timing, their pictures."""

from __future__ import annotations

from collections.abc import Iterator

import luigi

from pipeline.chain.links import REFERENCE_SETS, Link
from tasks.base import StageTask
from tasks.calibration import CalibrateRange
from tasks.labels import LabelLatents
from tasks.latents import SampleLatents
from tasks.methods import TrainMethod


class EmbedReference(StageTask):
    """Perception features of unedited images, with which quality is compared."""

    which = luigi.ChoiceParameter(choices=REFERENCE_SETS, default="reference", positional=False)

    def requires(self) -> SampleLatents:
        """The latents: the reference's, or those of the faces that are edited."""
        return self.clone(SampleLatents)

    @property
    def link(self) -> Link:
        """Stage `reference`."""
        return self.chain.reference(self.which)


class GenerateEdits(StageTask):
    """Every edit of a method: all attributes, faces and steps."""

    method = luigi.Parameter(positional=False, description="the method that edits")

    def requires(self) -> Iterator[CalibrateRange]:
        """The calibrated range of each attribute."""
        for attribute in self.settings.protocol.attributes:
            yield self.clone(CalibrateRange, attribute=attribute)

    @property
    def link(self) -> Link:
        """Stage `edits`."""
        return self.chain.edits(self.method)


class TimeEdits(StageTask):
    """Seconds that one edit takes, alone and with synthesis."""

    method = luigi.Parameter(positional=False, description="the method to time")

    def requires(self) -> Iterator[StageTask]:
        """The fitted method, and the faces with their labels."""
        yield self.clone(TrainMethod)
        yield self.clone(LabelLatents, which="faces")

    @property
    def link(self) -> Link:
        """Stage `timing`."""
        return self.chain.timing(self.method)


class DrawGallery(StageTask):
    """Strips of pictures per attribute, for the page."""

    method = luigi.Parameter(positional=False, description="the method whose edits are drawn")

    def requires(self) -> GenerateEdits:
        """The edits, whose strengths are drawn."""
        return self.clone(GenerateEdits)

    @property
    def link(self) -> Link:
        """Stage `gallery`."""
        return self.chain.gallery(self.method)

"""Calibration of ranges."""

from __future__ import annotations

from collections.abc import Iterator

import luigi

from pipeline.chain.links import Link
from tasks.base import ManifestTarget, StageTask
from tasks.labels import LabelLatents
from tasks.methods import TrainMethod


class CalibrateRange(StageTask):
    """The range of strengths in which a method's edits of an attribute still show a face.

    Attributes of one method that wait together are run together (Luigi joins them with commas), so that
    they share the workers.
    """

    method = luigi.Parameter(positional=False, description="the method to calibrate")
    attribute = luigi.Parameter(positional=False, batch_method=",".join, description="the attribute to calibrate")

    def requires(self) -> Iterator[StageTask]:
        """The fitted method, and the faces with their labels."""
        yield self.clone(TrainMethod)
        yield self.clone(LabelLatents, which="faces")

    @property
    def calibrated(self) -> list[str]:
        """The attributes of this task: one, or those that Luigi joined."""
        return self.attribute.split(",")

    @property
    def link(self) -> Link:
        """Stage `range`, of the first attribute."""
        return self.chain.calibrate(self.method, self.calibrated[0])

    @property
    def title(self) -> str:
        """The stage, its method and attributes."""
        return f"range {self.method}: {', '.join(self.calibrated)}"

    def output(self) -> list[ManifestTarget]:  # type: ignore[override]
        """A manifest per attribute."""
        links = [self.chain.calibrate(self.method, attribute) for attribute in self.calibrated]
        return [ManifestTarget(link.stage, self.settings.outputs) for link in links]

    def run(self) -> None:
        """Calibrate every attribute of this task in one pass."""
        self.chain.calibrate_all(self.method, self.calibrated)

"""One task per kind of stage. Which stage a task is, and which tasks it requires, follows from the chain."""

from __future__ import annotations

from functools import cached_property

import luigi

from pipeline.chain.links import LABELLED_SETS, LATENT_SETS, REFERENCE_SETS, Link
from pipeline.storage.stages import is_complete
from tasks.base import ManifestTarget, StageTask

METHOD = "the method that the stage is of"


class SampleLatents(StageTask):
    """w of the latents to train on, of the faces to edit, or of the quality reference."""

    kind = "latents"
    which = luigi.ChoiceParameter(choices=LATENT_SETS, default="train", positional=False)


class LabelLatents(StageTask):
    """Scorer A's 35 values of the images of the latents."""

    kind = "labels"
    which = luigi.ChoiceParameter(choices=LABELLED_SETS, default="train", positional=False)


class EmbedReference(StageTask):
    """Perception features of unedited images, with which quality is compared."""

    kind = "reference"
    which = luigi.ChoiceParameter(choices=REFERENCE_SETS, default="reference", positional=False)


class MeasureSpread(StageTask):
    """How far scorers' logits differ between unedited images: the unit of matched change."""

    kind = "spread"


class TrainMethod(StageTask):
    """One method, fitted on the labelled latents; beside it the run's other methods that are not fitted yet."""

    kind = "train"
    method = luigi.Parameter(positional=False, description=METHOD)

    @cached_property
    def title(self) -> str:
        """The stage, and how many methods are trained with it, as it was when this was first asked."""
        names = self.settings.method_names if self.settings.machine.trains_side_by_side else ()
        others = [self.chain.link(self.kind, name).stage for name in names if name != self.method]
        left = sum(not is_complete(stage, self.settings.outputs) for stage in others)
        return f"{self.link.title} and {left} more side by side" if left else self.link.title


class CalibrateRange(StageTask):
    """The range of strengths in which a method's edits of an attribute still show a face.

    Attributes of one method that wait together are run together (Luigi joins them with commas), so that
    they share the workers.
    """

    kind = "range"
    method = luigi.Parameter(positional=False, description=METHOD)
    attribute = luigi.Parameter(positional=False, batch_method=",".join, description="the attribute to calibrate")

    @property
    def calibrated(self) -> list[str]:
        """The attributes of this task: one, or those that Luigi joined."""
        return self.attribute.split(",")

    @property
    def links(self) -> list[Link]:
        """Stage `range` of every attribute of this task."""
        return [self.chain.link(self.kind, self.method, attribute) for attribute in self.calibrated]

    @property
    def link(self) -> Link:
        """Stage `range`, of the first attribute."""
        return self.links[0]

    @property
    def title(self) -> str:
        """The stage, its method and attributes."""
        return f"range {self.method}: {', '.join(self.calibrated)}"

    def output(self) -> list[ManifestTarget]:  # type: ignore[override]
        """A manifest per attribute."""
        return [ManifestTarget(link.stage, self.settings.outputs) for link in self.links]

    def run(self) -> None:
        """Calibrate every attribute of this task in one pass."""
        self.chain.calibrate_all(self.method, self.calibrated)


class GenerateEdits(StageTask):
    """Every edit of a method: all attributes, faces and steps."""

    kind = "edits"
    method = luigi.Parameter(positional=False, description=METHOD)


class TimeEdits(StageTask):
    """Seconds that one edit takes, alone and with synthesis."""

    kind = "timing"
    method = luigi.Parameter(positional=False, description=METHOD)


class DrawGallery(StageTask):
    """Strips of pictures per attribute, for the page."""

    kind = "gallery"
    method = luigi.Parameter(positional=False, description=METHOD)


class ScoreMethod(StageTask):
    """Every score of a method on the grid over calibrated ranges, with its interval."""

    kind = "scores"
    method = luigi.Parameter(positional=False, description=METHOD)


class MatchEdits(StageTask):
    """Every face's edits at which the attribute has moved equally far."""

    kind = "matched"
    method = luigi.Parameter(positional=False, description=METHOD)


class RescoreMethod(StageTask):
    """The scores and the re-scoring matrix of a method at matched change."""

    kind = "rescoring"
    method = luigi.Parameter(positional=False, description=METHOD)


class CrossLabels(StageTask):
    """Every face edited towards the other side of its label."""

    kind = "rates"
    method = luigi.Parameter(positional=False, description=METHOD)


class ReorderEdits(StageTask):
    """Three attributes of every face edited in every order, at once, and one undone."""

    kind = "consistency"
    method = luigi.Parameter(positional=False, description=METHOD)


class RateMethod(StageTask):
    """The scores of a method's rate curves and of its consistency."""

    kind = "rating"
    method = luigi.Parameter(positional=False, description=METHOD)

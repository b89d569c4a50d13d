"""One task per kind of stage. Which stage a task is, and which tasks it requires, follows from the chain."""

from __future__ import annotations

from functools import cached_property

from pipeline.chain.links import KIND, Link
from pipeline.storage.stages import is_complete
from tasks.base import ManifestTarget, StageTask
from tasks.luigi_apart import luigi


class MethodTask(StageTask):
    """A stage of one method: fitted, edited or scored."""

    method = luigi.Parameter(positional=False, description="the method that the stage is of")


class SampleLatents(StageTask):
    """w, drawn by (seed, id): of the latents to train on, the faces to edit or the reference."""

    kind = "latents"
    which = luigi.ChoiceParameter(choices=KIND[kind].sets, default="train", positional=False)


class LabelLatents(StageTask):
    """Scorer A's 35 values of each image, and whether a face is found."""

    kind = "labels"
    which = luigi.ChoiceParameter(choices=KIND[kind].sets, default="train", positional=False)


class EmbedReference(StageTask):
    """Perception features of unedited images, for FID, KID and inception score."""

    kind = "reference"
    which = luigi.ChoiceParameter(choices=KIND[kind].sets, default="reference", positional=False)


class MeasureSpread(StageTask):
    """Standard deviations of the scorers' logits over unedited images: the unit of matched change."""

    kind = "spread"


class TrainMethod(MethodTask):
    """One method, fitted on the labelled latents; idle workers fit the run's other methods."""

    kind = "train"

    @cached_property
    def title(self) -> str:
        """The stage, and how many methods are trained with it, as it was when this was first asked."""
        names = self.settings.method_names if self.settings.machine.trains_side_by_side else ()
        others = [self.chain.stage(self.kind, name) for name in names if name != self.method]
        left = sum(not is_complete(stage, self.settings.outputs) for stage in others)
        return f"{self.link.title} and {left} more side by side" if left else self.link.title


class CalibrateRange(MethodTask):
    """Smallest and largest strength of a method for an attribute at which faces are still found.

    Attributes of one method that wait together are run together (Luigi joins them with commas), so that
    they share the workers.
    """

    kind = "range"
    attribute = luigi.Parameter(positional=False, batch_method=",".join, description="the attribute to calibrate")

    @property
    def calibrated(self) -> list[str]:
        """The attributes of this task: one, or several that Luigi joined."""
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

    def compute(self) -> None:
        """Calibrate every attribute of this task in one pass."""
        self.chain.calibrate_all(self.method, self.calibrated)


class GenerateEdits(MethodTask):
    """Every edit of a method, measured: all attributes, faces and steps."""

    kind = "edits"


class TimeEdits(MethodTask):
    """Seconds that one edit takes, alone and with synthesis."""

    kind = "timing"


class DrawGallery(MethodTask):
    """Strips of pictures per attribute, for the page."""

    kind = "gallery"


class ScoreMethod(MethodTask):
    """Every score of `l2l-2022`, `locality-1` and `llf-2026`, with its interval."""

    kind = "scores"


class MatchEdits(MethodTask):
    """Every face's edits at which the attribute has moved equally far."""

    kind = "matched"


class RescoreMethod(MethodTask):
    """The scores and the re-scoring matrix of a method at matched change."""

    kind = "rescoring"


class CrossLabels(MethodTask):
    """Every face edited towards the other side of its label, at rising strengths."""

    kind = "rates"


class ReorderEdits(MethodTask):
    """Three attributes of every face edited in every order, at once, and one undone."""

    kind = "consistency"


class RateMethod(MethodTask):
    """The scores of a method's rate curves and of its consistency."""

    kind = "rating"

"""Training of methods."""

from __future__ import annotations

from functools import cached_property

import luigi

from pipeline.chain.links import Link
from pipeline.storage.stages import is_complete
from tasks.base import StageTask
from tasks.labels import LabelLatents


class TrainMethod(StageTask):
    """One method, fitted on the labelled latents; beside it those of the run's other methods that still have to be."""

    method = luigi.Parameter(positional=False, description="the method to fit")

    def requires(self) -> LabelLatents:
        """Latents and labels to train on."""
        return self.clone(LabelLatents, which="train")

    @property
    def link(self) -> Link:
        """Stage `train`."""
        return self.chain.train(self.method)

    @cached_property
    def title(self) -> str:
        """The stage, and how many methods are trained with it, as it was when this was first asked."""
        names = self.settings.method_names if self.settings.machine.trains_side_by_side else ()
        others = [self.chain.train(name).stage for name in names if name != self.method]
        left = sum(not is_complete(stage, self.settings.outputs) for stage in others)
        return f"{self.link.title} and {left} more side by side" if left else self.link.title

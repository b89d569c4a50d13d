"""Training of methods."""

from __future__ import annotations

import luigi

from pipeline.chain import Link
from tasks.base import StageTask
from tasks.labels import LabelLatents


class TrainMethod(StageTask):
    """One method, fitted on the labelled latents."""

    method = luigi.Parameter(positional=False, description="the method to fit")

    def requires(self) -> LabelLatents:
        """Latents and labels to train on."""
        return self.clone(LabelLatents, which="train")

    @property
    def link(self) -> Link:
        """Stage `train`."""
        return self.chain.train(self.method)

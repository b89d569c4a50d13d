"""Labelling of latents."""

from __future__ import annotations

import luigi

from pipeline.chain.links import LABELLED_SETS, Link
from tasks.base import StageTask
from tasks.latents import SampleLatents


class LabelLatents(StageTask):
    """Scorer A's 35 values of the images of the latents."""

    which = luigi.ChoiceParameter(choices=LABELLED_SETS, default="train", positional=False)

    def requires(self) -> SampleLatents:
        """The latents themselves."""
        return self.clone(SampleLatents)

    @property
    def link(self) -> Link:
        """Stage `labels`."""
        return self.chain.labels(self.which)

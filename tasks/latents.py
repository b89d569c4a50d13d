"""Sampling of latents."""

from __future__ import annotations

import luigi

from pipeline.chain.links import LATENT_SETS, Link
from tasks.base import StageTask


class SampleLatents(StageTask):
    """w of the latents to train on, of the faces to edit, or of the quality reference."""

    which = luigi.ChoiceParameter(choices=LATENT_SETS, default="train", positional=False)

    @property
    def link(self) -> Link:
        """Stage `latents`."""
        return self.chain.latents(self.which)

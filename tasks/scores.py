"""Scores."""

from __future__ import annotations

from collections.abc import Iterator

import luigi

from pipeline.chain.links import Link
from tasks.base import StageTask
from tasks.edits import EmbedReference, GenerateEdits, TimeEdits


class ScoreMethod(StageTask):
    """Every score of a method, with its interval."""

    method = luigi.Parameter(positional=False, description="the method to score")

    def requires(self) -> Iterator[StageTask]:
        """The measured edits, the quality reference, the faces unedited, and the timing."""
        yield self.clone(GenerateEdits)
        yield self.clone(EmbedReference)
        yield self.clone(EmbedReference, which="faces")
        yield self.clone(TimeEdits)

    @property
    def link(self) -> Link:
        """Stage `scores`."""
        return self.chain.scores(self.method)

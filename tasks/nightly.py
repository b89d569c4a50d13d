"""Whole evaluations: one now, or one a night."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time

import luigi

from pipeline.chain.links import LABELLED_SETS, LATENT_SETS, REFERENCE_SETS
from pipeline.errors import ConfigError
from pipeline.report.archive import AHEAD
from pipeline.report.publish import run_report
from pipeline.settings.settings import digest
from tasks.base import RunTask
from tasks.calibration import CalibrateRange
from tasks.edits import DrawGallery, EmbedReference, GenerateEdits, TimeEdits
from tasks.labels import LabelLatents
from tasks.latents import SampleLatents
from tasks.matched import MatchEdits, MeasureSpread, RescoreMethod
from tasks.methods import TrainMethod
from tasks.rates import CrossLabels, RateMethod, ReorderEdits
from tasks.report import PublishReport
from tasks.scores import ScoreMethod


class Stages(RunTask, luigi.WrapperTask):
    """Every stage of a run.

    All of them are named, not the last alone, so that a file that was damaged is found and computed again even
    where what was made from it still stands.
    """

    def requires(self) -> Iterator[RunTask]:
        """One task per stage, in the order of the chain."""
        for which in LATENT_SETS:
            yield self.clone(SampleLatents, which=which)
        for which in LABELLED_SETS:
            yield self.clone(LabelLatents, which=which)
        for which in REFERENCE_SETS:
            yield self.clone(EmbedReference, which=which)
        yield self.clone(MeasureSpread)
        for method in self.settings.method_names:
            yield self.clone(TrainMethod, method=method)
            for attribute in self.settings.protocol.attributes:
                yield self.clone(CalibrateRange, method=method, attribute=attribute)
            matched, rated = (MatchEdits, RescoreMethod), (CrossLabels, ReorderEdits, RateMethod)
            for task in (GenerateEdits, TimeEdits, DrawGallery, ScoreMethod, *matched, *rated):
                yield self.clone(task, method=method)


class Evaluation(Stages):
    """Every stage of a run, and its report: `luigi --module tasks Evaluation --profile smoke --local-scheduler`."""

    def requires(self) -> Iterator[RunTask]:
        """The stages, then the report."""
        yield from super().requires()
        yield self.clone(PublishReport)


class Nightly(RunTask):
    """One night's evaluation, published under its date.

    Luigi fills missing nights: `luigi --module tasks RangeDaily --of Nightly --start 2026-11-01`. Stages are shared
    between nights: what no setting, weight or version changed is not computed again, only published.
    """

    date = luigi.DateParameter(description="the night, as YYYY-MM-DD")

    def requires(self) -> Stages:
        """Every stage. Raises ConfigError for a night that is yet to come, which would be the newest run until then."""
        today = (datetime.now(UTC) + AHEAD).date()
        if self.date > today:
            raise ConfigError(
                f"--date {self.date}: expected a night up to {today}, the date where it is latest on earth."
            )
        return self.clone(Stages)

    def output(self) -> luigi.LocalTarget:
        """A note that names the night's report; its own name holds the date and the digest of the settings."""
        settings = self.settings
        run = f"{settings.domain}-{settings.protocol.profile}-{digest(settings.as_json())[:8]}"
        name = f"{self.date:%Y-%m-%d}-{run}.json"
        return luigi.LocalTarget(str(settings.outputs / "nightly" / name))

    def run(self) -> None:
        """Publish the night's report, then write the note."""
        folder = run_report(self.settings, run_date=datetime.combine(self.date, time(), UTC))
        with self.output().open("w") as note:
            json.dump({"date": f"{self.date:%Y-%m-%d}", "report": folder.name}, note)

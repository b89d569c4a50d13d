"""Whole evaluations: every stage, the report of a run, one now, or one a night."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from pathlib import Path

import luigi

from pipeline.errors import ConfigError
from pipeline.report.archive import AHEAD
from pipeline.report.publish import find_report, run_report
from pipeline.settings.settings import Settings
from pipeline.storage.fingerprint import digest
from tasks.base import RunTask, StageTask, task_of


class Stages(RunTask, luigi.WrapperTask):
    """Every stage of a run.

    All of them are named, not the last alone, so that a file that was damaged is found and computed again even
    where what was made from it still stands.
    """

    def requires(self) -> list[RunTask]:
        """One task per stage, in the order of the chain."""
        return [task_of(self, link) for link in self.chain.links]


class ReportTarget(luigi.Target):
    """A published report of these settings, with the scores as they are now."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def folder(self) -> Path | None:
        """The report's folder, None before it is published."""
        return find_report(self.settings)

    def exists(self) -> bool:
        """Whether the report is published and whole."""
        return self.folder is not None


class PublishReport(RunTask):
    """The tables and the page of a run, under outputs/reports."""

    def requires(self) -> list[StageTask]:
        """The stages that the report reads."""
        return [task_of(self, link) for link in self.chain.shown]

    @property
    def title(self) -> str:
        """What people read while it runs."""
        return "report"

    def output(self) -> ReportTarget:
        """The report's folder."""
        return ReportTarget(self.settings)

    def run(self) -> None:
        """Publish, by one rename."""
        run_report(self.settings)


class Evaluation(Stages):
    """Every stage of a run, and its report: `luigi --module tasks Evaluation --profile smoke --local-scheduler`."""

    def requires(self) -> list[RunTask]:
        """The stages, then the report."""
        return [*super().requires(), self.clone(PublishReport)]


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
        run = f"{settings.domain}-{settings.experiment.profile}-{digest(settings.as_json())[:8]}"
        name = f"{self.date:%Y-%m-%d}-{run}.json"
        return luigi.LocalTarget(str(settings.outputs / "nightly" / name))

    def run(self) -> None:
        """Publish the night's report, then write the note."""
        folder = run_report(self.settings, run_date=datetime.combine(self.date, time(), UTC))
        with self.output().open("w") as note:
            json.dump({"date": f"{self.date:%Y-%m-%d}", "report": folder.name}, note)

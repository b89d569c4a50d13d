"""Publication of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import luigi

from pipeline.report.publish import find_report, run_report
from pipeline.settings.settings import Settings
from tasks.base import RunTask, StageTask
from tasks.edits import DrawGallery
from tasks.matched import RescoreMethod
from tasks.rates import RateMethod
from tasks.scores import ScoreMethod


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

    def requires(self) -> Iterator[StageTask]:
        """Scores, of every protocol, and pictures of every method."""
        for method in self.settings.method_names:
            yield self.clone(ScoreMethod, method=method)
            yield self.clone(DrawGallery, method=method)
            yield self.clone(RescoreMethod, method=method)
            yield self.clone(RateMethod, method=method)

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

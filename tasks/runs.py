"""Whole evaluations: every stage, and the report of a run."""

from __future__ import annotations

from pathlib import Path

import tasks.stages  # noqa: F401  the task of a stage is found by its kind
from pipeline.report.finding import find_report
from pipeline.report.publish import run_report
from pipeline.settings.settings import Settings
from pipeline.storage.run_log import computing
from tasks.base import RunTask, StageTask, task_of
from tasks.luigi_apart import luigi


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
        with computing(self.settings, "report"):
            run_report(self.settings)


class Evaluation(Stages):
    """Every stage of a run, and its report: `luigi --module tasks Evaluation --profile smoke --local-scheduler`."""

    def requires(self) -> list[RunTask]:
        """The stages, then the report."""
        return [*super().requires(), self.clone(PublishReport)]

"""The report of some settings: the stage that it is, and the run in which it is published."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.errors import StageError
from pipeline.report.archive import PREFIX, REPORTS, STAMP, check_report, read_report_manifest
from pipeline.report.workshop import input_digests
from pipeline.settings.settings import Settings
from pipeline.storage.fingerprint import digest
from pipeline.storage.stages import Stage

VERSION = 4  # raise it when the page or the published tables change


def report_stage(chain: Chain) -> Stage:
    """What a report is made of: all settings that can change a number, the stages whose results it shows, the cards."""
    settings = chain.settings
    parameters = settings.as_json() | {"measured": digest(base.measured(settings.domain, settings.sources))}
    return Stage(
        "report", VERSION, parameters, chain.card.weights, chain.shown_stages, label=settings.experiment.profile
    )


def find_report(settings: Settings, *, run_date: datetime | None = None) -> Path | None:
    """The folder in which these results are published, or None; nothing is computed.

    A run counts if its fingerprint is this run's and it was made of the very stage files that are published now, so
    invalidated stages lead to a new run. Raises CorruptShardError if a file of it is damaged.
    """
    return find(settings, report_stage(Chain(settings)), run_date)


def find(settings: Settings, stage: Stage, run_date: datetime | None = None, night: date | None = None) -> Path | None:
    """The folder of that report, of that date or night if one is given; None before it is published."""
    try:
        inputs = input_digests(stage, settings.outputs)
    except StageError:
        return None
    ending = f"-{stage.fingerprint[:8]}"
    for folder in sorted((settings.outputs / REPORTS).glob(f"{PREFIX}*{ending}"), reverse=True):
        manifest = read_report_manifest(folder)
        if manifest.get("fingerprint") != stage.fingerprint or manifest.get("inputs") != inputs:
            continue
        of_date = run_date is None or manifest["run_id"] == run_id_of(stage, run_date)
        if of_date or (night is not None and manifest.get("night") == night.isoformat()):
            check_report(folder)
            return folder
    return None


def run_id_of(stage: Stage, moment: datetime) -> str:
    """The id of a run of that moment."""
    return f"{moment.astimezone(UTC):{STAMP}}-{stage.fingerprint[:8]}"

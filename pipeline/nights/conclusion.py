"""The end of a night: it is compared, put into words, shown on the page of all nights, and a message is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import StageError
from pipeline.nights.findings import GateResult
from pipeline.nights.gate import gate
from pipeline.nights.history import Night, published_nights
from pipeline.nights.notes import NIGHTLY, Note, read_notes, write_note
from pipeline.nights.notices import Notice, inform
from pipeline.nights.page import page
from pipeline.nights.summary import markdown, paragraph, verdict
from pipeline.report.archive import check_report
from pipeline.settings.settings import Settings
from pipeline.storage.files import write_whole

log = logging.getLogger("latentbench")

READ = ("scores.parquet", "face_scores.parquet", "runs.parquet")  # files of a night that comparisons read
Mail = Callable[[str, str], bool]


@dataclass(frozen=True)
class Conclusion:
    """A night, its note, and how it compares."""

    night: Night
    note: Note
    result: GateResult

    @property
    def paragraph(self) -> str:
        """The night in one paragraph."""
        return paragraph(self.night, self.note, self.result)


def conclude(settings: Settings, name: str, note: Note, mail: Mail | None = None) -> Conclusion:
    """Compare a published night with those before, and write its summary, the page of all nights and, last, its note.

    Raises StageError if they cannot be written, CorruptShardError if the night itself is damaged.
    """
    outputs = settings.outputs
    nights = [night for night in published_nights(outputs) if night.folder.name == note.report or _sound(night)]
    night = next(one for one in nights if one.folder.name == note.report)
    check_report(night.folder, only=READ)
    result = gate(night, nights, read_notes(outputs), settings.watch)
    note = replace(note, comparison=result.as_json())
    _write(outputs / NIGHTLY, f"{name}.md", markdown(night, note, result))
    alike = [one for one in nights if one.name == night.name]
    _write(outputs / NIGHTLY, f"{night.name}.html", page(alike, [*read_notes(outputs), note]))
    _inform(settings, night, note, result, mail)
    write_note(outputs, name, note)
    return Conclusion(night, note, result)


def read_conclusion(settings: Settings, name: str) -> Conclusion | None:
    """What was concluded of a night before; None if its note or its report is not there."""
    for note in read_notes(settings.outputs, name):
        for night in published_nights(settings.outputs):
            if night.folder.name == note.report:
                return Conclusion(night, note, GateResult.from_json(note.comparison))
    return None


def inform_of_failure(settings: Settings, date: str, reason: str, mail: Mail | None = None) -> bool:
    """Send a message that a night failed, if the settings ask for messages; answers whether it was sent."""
    domain, profile = settings.domain, settings.experiment.profile
    facts = {"night": date, "domain": domain, "profile": profile, "status": "failed"}
    notice = Notice(f"{domain}-{profile}", f"{date} {domain} {profile}: failed", reason, True, facts)
    return inform(settings.outputs, settings.watch, notice, mail)


def _inform(settings: Settings, night: Night, note: Note, result: GateResult, mail: Mail | None) -> None:
    domain, profile, _ = night.series
    facts: dict[str, Any] = {"night": night.date, "domain": domain, "profile": profile, "run_id": night.run_id}
    facts |= {"status": "alarm" if result.alarming else "complete", "comparison": note.comparison}
    subject = f"{night.date} {domain} {profile}: {verdict(result)}"
    notice = Notice(night.name, subject, markdown(night, note, result), result.alarming, facts)
    inform(settings.outputs, settings.watch, notice, mail)


def _sound(night: Night) -> bool:
    """Whether the tables of an earlier night can be read; one that is damaged is named in a warning."""
    try:
        check_report(night.folder, only=READ)
    except StageError as error:
        log.warning("The night of %s is left out of comparisons. %s", night.date, error)
        return False
    return True


def _write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder, name, lambda path: path.write_text(text, encoding="utf-8"))

"""One task a night: which nights are missing, in whose time zone, and what is measured again."""

from __future__ import annotations

import logging
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import luigi
import numpy as np
import pytest
from luigi.tools.range import RangeDaily
from typer.testing import CliRunner, Result

import tasks
from pipeline.errors import ConfigError, StageError, UnknownNameError
from pipeline.nights.notes import Note, read_notes, write_note
from tasks.cli import app
from tasks.nights import Nights, SetAside
from tests.builders.published_nights import publish, values_of

METHODS = "interfacegan,noop"
PARAMETERS = {"profile": "smoke", "methods": "noop", "attributes": "age"}


def night(outputs: Path, day: int, **more: str) -> tasks.Nightly:
    return tasks.Nightly(date=date(2026, 11, day), outputs=str(outputs), **PARAMETERS, **more)


def finish(task: tasks.Nightly) -> None:
    write_note(task.settings.outputs, task.name, Note(f"{task.date}", "run_id=20261101T000000Z-aaaaaaaa"))


def test_a_night_that_is_yet_to_come_is_refused() -> None:
    today = datetime.now(UTC).date()
    tasks.Nightly(date=today, profile="smoke").requires()
    with pytest.raises(ConfigError, match="--date .*: expected a night up to"):
        tasks.Nightly(date=today + timedelta(days=2), profile="smoke").requires()


def test_missing_nights_are_looked_for_years_back() -> None:
    nights = RangeDaily(of=tasks.Nightly, start=date(2026, 1, 1), stop=date(2026, 11, 1), param_name="date")
    assert nights.days_back >= 3650 and nights.task_limit >= 3650


def test_nightly_fits_range_daily() -> None:
    positional = [(name, type(parameter)) for name, parameter in tasks.Nightly.get_params() if parameter.positional]
    assert positional == [("date", luigi.DateParameter)]
    nights = [tasks.Nightly(date=date(2026, 11, day), profile="smoke", methods=METHODS) for day in (1, 2)]
    assert nights[0].output().path != nights[1].output().path


def range_daily(outputs: Path, moment: datetime, **more: object) -> list[date]:
    """The nights that Luigi finds missing at a moment."""
    parameters = {**PARAMETERS, "outputs": str(outputs)}
    nights = RangeDaily(
        of=tasks.Nightly,
        of_params=parameters,
        param_name="date",
        start=date(2026, 11, 20),
        now=int(moment.timestamp()),
        **more,
    )
    return [task.date for task in nights.requires()]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "UTC"])
def test_luigi_fills_the_nights_that_are_missing_by_utc(
    tmp_path: Path, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--stop is exclusive, and the night of a moment is the same wherever the machine stands."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        finish(night(tmp_path, 21))
        moment = datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
        assert range_daily(tmp_path, moment) == [date(2026, 11, day) for day in (20, 22, 23)]
        assert range_daily(tmp_path, moment, stop=date(2026, 11, 22)) == [date(2026, 11, 20)]
        assert range_daily(tmp_path, moment - timedelta(hours=1))[-1] == date(2026, 11, 22)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_every_night_since_a_date_is_asked_for_the_oldest_first(tmp_path: Path) -> None:
    last = night(tmp_path, 24, recompute_from="edits")
    nights = last.clone(Nights, since=date(2026, 11, 22)).requires()
    assert [task.date.day for task in nights] == [22, 23, 24]
    assert [task.recompute_from for task in nights] == ["", "", "edits"]
    assert nights[0].priority > nights[1].priority > nights[2].priority
    finish(nights[0])
    assert [task.date.day for task in last.clone(Nights, since=date(2026, 11, 22)).requires()] == [23, 24]


def test_settings_that_change_today_begin_tonight(tmp_path: Path) -> None:
    """A past night that was published stays as it was, for the verb and for Luigi's RangeDaily alike."""
    for day in (20, 21):
        finish(night(tmp_path, day))
    changed = tasks.Nightly(date=date(2026, 11, 22), outputs=str(tmp_path), **{**PARAMETERS, "attributes": "yaw"})
    assert [task.date.day for task in changed.clone(Nights, since=date(2026, 11, 20)).requires()] == [22]
    other = {**PARAMETERS, "attributes": "yaw", "outputs": str(tmp_path)}
    fill = RangeDaily(
        of=tasks.Nightly, of_params=other, param_name="date", start=date(2026, 11, 20), stop=date(2026, 11, 23)
    )
    assert [task.date.day for task in fill.requires()] == [22]
    again = tasks.Nightly(date=date(2026, 11, 21), outputs=str(tmp_path), **{**PARAMETERS, "attributes": "yaw"})
    assert not again.complete(), "who asks for that very night gets it"


def test_a_night_that_measures_again_sets_aside_first(tmp_path: Path) -> None:
    """Luigi looks below no task that is complete: the stages are asked for when they are out of the way."""
    again = night(tmp_path, 24, recompute_from="edits")
    assert isinstance(again.requires(), SetAside) and isinstance(night(tmp_path, 24).requires(), tasks.Stages)
    assert again.output().path != night(tmp_path, 24).output().path
    with pytest.raises(UnknownNameError):
        night(tmp_path, 24, recompute_from="edit").requires()


def concluded(outputs: Path, day: int, values: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> tasks.Nightly:
    """A night whose stages are there: its report is published and compared."""
    folder = publish(outputs, day - 1, {"l2l": values}).folder
    monkeypatch.setattr("tasks.nights.run_report", lambda settings, night: folder)
    task = night(outputs, day)
    assert list(task.run()) == [] and task.complete()
    return task


def test_a_night_leaves_its_summary_and_its_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    concluded(tmp_path, 1, values_of(1), monkeypatch)
    task = concluded(tmp_path, 2, values_of(1) + 0.05, monkeypatch)
    (note,) = read_notes(tmp_path, task.name)
    assert note.date == "2026-11-02" and len(note.comparison["findings"]) == 4
    assert "4 regressions" in (tmp_path / "nightly" / f"{task.name}.md").read_text()


def test_an_earlier_night_that_is_damaged_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("latentbench"), "propagate", True)
    for day in (1, 2):
        concluded(tmp_path, day, values_of(1), monkeypatch)
    (damaged,) = tmp_path.glob("reports/run_id=20261102*/scores.parquet")
    damaged.write_bytes(b"x")
    concluded(tmp_path, 3, values_of(1) + 0.05, monkeypatch)
    assert "The night of 2026-11-02 is left out of comparisons" in caplog.text


def nightly(outputs: Path, code: int, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    """The verb, with stages that are computed with that exit code."""

    def compute(*_: object, failures: list[tuple[str, BaseException]], **__: object) -> int:
        failures.extend([("edits l2l", StageError("the disk is full"))] if code else [])
        return code

    monkeypatch.setattr("tasks.cli.nightly.compute", compute)
    monkeypatch.chdir(Path(__file__).parents[2])
    arguments = ["nightly", "--date", "2026-11-02", "--profile", "smoke", "--method", "noop", "--attribute", "age"]
    return CliRunner().invoke(app, [*arguments, "--outputs", str(outputs), *options])


@pytest.mark.parametrize(
    ("shift", "code", "said"), [(0.0, 0, "quiet"), (-0.05, 0, "improvement"), (0.05, 1, "regression")]
)
def test_the_verb_says_one_paragraph_and_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float, code: int, said: str
) -> None:
    for day in (1, 2):
        concluded(tmp_path, day, values_of(1) + shift * (day - 1), monkeypatch)
    result = nightly(tmp_path, 0, monkeypatch)
    assert result.exit_code == code, result.output
    assert said in result.stdout and "\n" not in result.stdout.strip()


def test_a_night_that_fails_says_why_to_whom_it_concerns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("pipeline.nights.notices._posted", lambda address, notice, text: not sent.append(text))
    webhook = ("--set", "nights.webhook=http://127.0.0.1:9/hook")
    assert nightly(tmp_path, 30, monkeypatch, *webhook).exit_code == 30
    assert "edits l2l: the disk is full" in sent[0]
    assert nightly(tmp_path, 30, monkeypatch, *webhook).exit_code == 30
    assert nightly(tmp_path, 0, monkeypatch, *webhook, "--failed", "it was killed").exit_code == 0
    assert len(sent) == 1, "two are held back"


def test_a_night_with_a_wrong_setting_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("pipeline.nights.notices._posted", lambda address, notice, text: not sent.append(text))
    webhook = ("--set", "nights.webhook=http://127.0.0.1:9/hook")
    assert nightly(tmp_path, 0, monkeypatch, *webhook, "--recompute-from", "edit").exit_code == 2
    assert "No stage named 'edit'" in sent[0]
    assert nightly(tmp_path, 0, monkeypatch, "--since", "2026-11-03").exit_code == 2

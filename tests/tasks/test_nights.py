"""One task a night: which nights are missing, in whose time zone, and what is measured again."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import luigi
import pytest
from luigi.tools.range import RangeDaily

import tasks
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.nights.notes import Note, write_note
from tasks.nights import Nights, SetAside

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
    assert not nights[0].complete()
    finish(nights[0])
    assert nights[0].complete() and not nights[1].complete()


def test_a_night_that_measures_again_sets_aside_first(tmp_path: Path) -> None:
    """Luigi looks below no task that is complete: the stages are asked for when they are out of the way."""
    again = night(tmp_path, 24, recompute_from="edits")
    assert isinstance(again.requires(), SetAside) and isinstance(night(tmp_path, 24).requires(), tasks.Stages)
    assert again.output().path != night(tmp_path, 24).output().path
    with pytest.raises(UnknownNameError):
        night(tmp_path, 24, recompute_from="edit").requires()

"""The log of a run: lines of JSON with the messages of all who compute, bounded, without a run that fails for it."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import StageError
from pipeline.settings.settings import Settings
from pipeline.storage.log_lines import LOG, LONGEST, MOST, note
from pipeline.storage.run_log import PUBLISHED, computing, read_log, recording
from pipeline.storage.runs import run_stage
from tests.builders.counting_stage import settings

OURS, LUIGI, DASK = (logging.getLogger(name) for name in ("latentbench", "luigi-interface", "distributed.worker"))


def lines(run: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_log(run).splitlines()]


def test_a_line_says_when_how_grave_where_and_what(tmp_path: Path) -> None:
    run = settings(tmp_path)
    with recording(run), computing(run, "edits", "l2l"):
        OURS.warning("%d faces of %s", 3, "\u00fc\n<b>", extra={"shard": "a.parquet", "worker": "tls://127.0.0.1:1"})
    begins, warning, ends = lines(run)
    moment = warning.pop("time")
    assert len(moment) == 24 and moment.endswith("Z")
    assert warning == {
        "level": "WARNING",
        "stage": "edits",
        "method": "l2l",
        "shard": "a.parquet",
        "worker": "tls://127.0.0.1:1",
        "message": "3 faces of \u00fc\n<b>",
    }
    assert (begins["message"], ends["message"], ends["level"]) == ("begins", "ends", "INFO")


def test_warnings_of_luigi_and_dask_are_there_once_and_lower_levels_are_not(tmp_path: Path) -> None:
    run = settings(tmp_path)
    levels = [logger.level for logger in (OURS, LUIGI)]
    LUIGI.setLevel(logging.CRITICAL)
    with recording(run), recording(run):
        for logger in (OURS, LUIGI, DASK):
            logger.info("quiet")
            logger.warning("from %s", logger.name)
    assert [line["message"] for line in lines(run)] == [f"from {logger.name}" for logger in (OURS, LUIGI, DASK)]
    assert LUIGI.level == logging.CRITICAL
    OURS.warning("after the run")
    assert len(lines(run)) == 3
    for logger, level in zip((OURS, LUIGI), levels, strict=True):
        logger.setLevel(level)


def test_a_failure_is_an_error_with_a_trace_where_it_is_a_fault_of_ours(tmp_path: Path) -> None:
    run = settings(tmp_path)
    for error in (StageError("no room"), ZeroDivisionError("of ours")):
        with pytest.raises(type(error)), computing(run, "edits"):
            raise error
    stage, ours = (line for line in lines(run) if line["level"] == "ERROR")
    assert stage["message"] == "failed: no room"
    assert "Traceback" in ours["message"] and "of ours" in ours["message"]


def test_a_run_that_continues_goes_on_and_a_published_one_begins_again(tmp_path: Path) -> None:
    run = settings(tmp_path)
    for message in ("first", "second", f"{PUBLISHED}20261120T031500Z-1a2b3c4d", "third"):
        with recording(run):
            note(message)
        expected = ["third"] if message == "third" else [] if message.startswith("published") else None
        if expected is None:
            assert [line["message"] for line in lines(run)][-1] == message
        else:
            assert [line["message"] for line in lines(run)] == expected


def test_the_newest_lines_stay_where_there_are_too_many(tmp_path: Path) -> None:
    run = settings(tmp_path)
    with recording(run):
        note("x" * 10**6)
        for number in range(3 * MOST // 8_000):
            note(f"{number} {'y' * 7_900}")
    files = list(run_stage(run).folder(tmp_path).glob(f"{LOG}*"))
    assert 0 < sum(path.stat().st_size for path in files) <= 2 * MOST
    found = lines(run)
    assert found[-1]["message"].startswith(f"{number} ") and "more characters" not in found[-1]["message"]
    assert all(len(line["message"]) < LONGEST + 100 for line in found)


def test_a_log_that_cannot_be_written_or_read_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = settings(tmp_path)
    (run_stage(run).folder(tmp_path) / LOG).mkdir(parents=True)
    with caplog.at_level(logging.WARNING, "latentbench"), recording(run):
        note("lost")
    assert read_log(run) == ""
    assert len(caplog.records) == 2 and all(LOG in record.getMessage() for record in caplog.records)


def test_the_log_has_the_rights_of_a_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with recording(settings(tmp_path)):
            note("here")
    finally:
        os.umask(before)
    path = run_stage(settings(tmp_path)).folder(tmp_path) / LOG
    assert stat.S_IMODE(path.stat().st_mode) == 0o640

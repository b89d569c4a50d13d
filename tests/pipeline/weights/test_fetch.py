"""Downloads from a real server that drops, stalls, lies and redirects: only the right file is ever placed."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from pipeline.errors import WeightsError
from pipeline.weights.fetch import COPIED, FETCHED, TAKEN, THERE, fetch
from pipeline.weights.records import RECORDS, read_records
from pipeline.weights.store import MISSING, PRESENT, UNVERIFIED, WRONG, Store, WrongFileError
from pipeline.weights.table import Weight
from tests.builders.http_server import Server
from tests.builders.weight_store import CONTENT, OTHER, SHA256, TABLE, settings
from tests.checks.fetching import get, ours

KNOWN, STARTED, UNKNOWN = TABLE["known"], TABLE["started"], TABLE["unknown"]


# A good server


@pytest.mark.parametrize("weight", TABLE.values(), ids=list(TABLE))
def test_a_file_comes_is_checked_and_recorded(weight: Weight, here: Store, server: Server) -> None:
    done = get(weight, here, server)
    assert done.how == FETCHED and done.standing.state == PRESENT and done.standing.sha256 == SHA256
    assert here.require(weight.name).read_bytes() == CONTENT
    record = read_records(here.folder)[weight.name]
    assert (record.sha256, record.size, record.source) == (SHA256, len(CONTENT), f"{server.url}/{weight.file}")
    assert ours(here) == {weight.file, RECORDS}, "no partial file, no note"
    assert get(weight, here, server).how == THERE
    assert len(server.asked) == 1, "what is there is not asked for again"


def test_progress_tells_rate_and_bytes(here: Store, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    get(KNOWN, here, server)
    assert "fetch known: 3 MB in " in capsys.readouterr().err


# Resume
# Hashes that are not published


def test_the_first_file_is_enforced_from_then_on(here: Store, server: Server) -> None:
    get(UNKNOWN, here, server)
    here.path(UNKNOWN).unlink()
    server.files["/unknown.bin"] = OTHER
    with pytest.raises(WrongFileError) as caught:
        get(UNKNOWN, here, server)
    message = str(caught.value)
    assert SHA256 in message and "was recorded on" in message and f"{here.folder / RECORDS}" in message
    found = message.partition("has sha256 ")[2][:64]
    assert found != SHA256 and here.standing(UNKNOWN).state == MISSING
    # What the error says to do:
    records = json.loads((here.folder / RECORDS).read_text())
    del records["unknown"]
    (here.folder / RECORDS).write_text(json.dumps(records))
    assert get(UNKNOWN, here, server).standing.sha256 == found
    assert here.require("unknown").read_bytes() == OTHER


def test_a_file_that_changed_in_its_place_is_set_aside(
    here: Store, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for weight in (KNOWN, UNKNOWN):
        get(weight, here, server)
        here.path(weight).write_bytes(OTHER)
        assert here.standing(weight).state == UNVERIFIED
        with pytest.raises(WeightsError, match=f"Wrong weights: {weight.name}"):
            here.require(weight.name)
        with caplog.at_level(logging.WARNING):
            assert get(weight, here, server).how == FETCHED
        assert f"{weight.file}.wrong" in caplog.text
        assert here.require(weight.name).read_bytes() == CONTENT
        assert (here.folder / f"{weight.file}.wrong").read_bytes() == OTHER


def test_a_lock_file_that_cannot_be_read_stops_everything(here: Store, server: Server) -> None:
    get(UNKNOWN, here, server)
    (here.folder / RECORDS).write_text("{")
    for attempt in (lambda: here.require("unknown"), lambda: get(UNKNOWN, here, server)):
        with pytest.raises(WeightsError, match=RECORDS):
            attempt()


# From a folder


def test_from_a_folder_without_a_network(here: Store, tmp_path: Path) -> None:
    for weight in (KNOWN, UNKNOWN):
        (tmp_path / weight.file).write_bytes(CONTENT)
        assert fetch(weight, here, settings("http://127.0.0.1:9"), source=tmp_path).how == COPIED
        assert here.require(weight.name).read_bytes() == CONTENT
        assert (tmp_path / weight.file).exists(), "copied, not moved"
    assert ours(here) == {"known.bin", "unknown.bin", RECORDS}
    (tmp_path / "started.bin").write_bytes(OTHER)
    with pytest.raises(WrongFileError, match="starts with"):
        fetch(STARTED, here, settings(), source=tmp_path)
    (tmp_path / "started.bin").unlink()
    with pytest.raises(WeightsError, match=f"expected started.bin in {tmp_path}"):
        fetch(STARTED, here, settings(), source=tmp_path)
    assert ours(here) == {"known.bin", "unknown.bin", RECORDS}


def test_from_the_weights_folder_itself_what_was_put_there_is_taken(
    here: Store, caplog: pytest.LogCaptureFixture
) -> None:
    here.folder.mkdir()
    for weight in (KNOWN, UNKNOWN):
        here.path(weight).write_bytes(CONTENT)
    assert here.standing(KNOWN).state == here.standing(UNKNOWN).state == UNVERIFIED
    assert here.require("known"), "its hash is published"
    with pytest.raises(WeightsError, match=f"{SHA256}.*weights fetch unknown"):
        here.require("unknown")
    with caplog.at_level(logging.WARNING):
        assert fetch(UNKNOWN, here, settings("http://127.0.0.1:9")).how == TAKEN
    assert SHA256 in caplog.text and here.require("unknown")
    here.path(UNKNOWN).write_bytes(OTHER)
    assert here.verify(UNKNOWN).state == WRONG

"""JSON beside a stage's files is believed field by field."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from pipeline.storage.manifests import Manifest, ShardRecord, checked, is_finite, load_manifest, load_record
from pipeline.weights.records import Record

RECORD = {"name": "a.parquet", "rows": 3, "sha256": "ab", "bytes": 7, "seconds": 0.5, "extra": {"first": 1}}
MANIFEST: dict[str, Any] = {
    "stage": "numbers",
    "label": "toy",
    "version": 1,
    "fingerprint": "f" * 64,
    "parameters": {"seed": 1, "nothing": None},
    "weights": {"generator": "ab"},
    "upstream": {"latents": "cd"},
    "shards": [RECORD],
    "rows": 3,
    "packages": {"python": "3.11"},
    "commit": "abc",
    "machine": {"cores": 2},
    "started": "2026-11-27T00:00:00+00:00",
    "wall_seconds": 1,
    "extra": {"loss": float("nan")},
}


def test_what_was_written_is_read() -> None:
    found = Manifest.from_json(json.loads(json.dumps(MANIFEST)))
    assert found.shards == (ShardRecord("a.parquet", 3, "ab", 7, 0.5, {"first": 1}),)
    assert found.wall_seconds == 1 and found.extra["loss"] != found.extra["loss"]
    assert Manifest.from_json(json.loads(json.dumps(found.as_json()))).as_json().keys() == {*MANIFEST, "code"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rows": "x"}, "rows is 'x', expected int"),
        ({"rows": True}, "rows is True"),
        ({"rows": -1}, "rows is -1"),
        ({"started": None}, "started is None, expected str"),
        ({"started": 5}, "started is 5"),
        ({"wall_seconds": None}, "wall_seconds is None, expected float"),
        ({"wall_seconds": float("nan")}, "wall_seconds is nan"),
        ({"wall_seconds": 10**400}, "wall_seconds is 1000"),
        ({"weights": {"generator": 5}}, "weights is"),
        ({"shards": {}}, "shards is {}, expected tuple"),
        ({"shards": [3]}, "expected an object, found 3"),
        ({"shards": [{**RECORD, "name": "../x"}]}, "name is '../x'"),
        ({"shards": [{**RECORD, "bytes": 1.5}]}, "bytes is 1.5"),
        ({"more": 1}, "unknown field 'more'"),
    ],
)
def test_a_field_of_another_type_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=r".*") as found:
        Manifest.from_json({**MANIFEST, **change})
    assert told in str(found.value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="'fingerprint'"):
        Manifest.from_json({key: value for key, value in MANIFEST.items() if key != "fingerprint"})
    with pytest.raises(ValueError, match=r"expected an object, found \[\]"):
        Manifest.from_json([])


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 200_000, b'{"rows": 1' + b"0" * 5000]
)
def test_a_damaged_manifest_is_none_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert load_manifest(tmp_path) is None
    assert str(tmp_path / "manifest.json") in caplog.text


def test_a_record_of_another_file_is_none(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / f"{name}.json").write_text(json.dumps(RECORD))
    assert load_record(tmp_path, "a.parquet") == ShardRecord.from_json(RECORD)
    assert load_record(tmp_path, "b.parquet") is None and load_record(tmp_path, "c.parquet") is None


def test_flags_and_numbers() -> None:
    entry = {"file": "a.pt", "sha256": "ab", "size": 3, "source": "", "recorded": "", "changed": 2}
    assert checked(Record, {**entry, "stand_in": True}).stand_in and not checked(Record, entry).stand_in
    with pytest.raises(ValueError, match="stand_in is 1, expected bool"):
        checked(Record, {**entry, "stand_in": 1})
    assert is_finite(1) and not is_finite(True) and not is_finite(10**400) and not is_finite("1")

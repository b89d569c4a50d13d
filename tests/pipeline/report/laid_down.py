"""A run whose every stage is published, with numbers at random, under a domain that has a card and no networks."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from pipeline.chain import Chain, Link
from pipeline.config import Settings
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.schemas import EDITS, GALLERY, RANGES, SCORES
from pipeline.stages import building, write_shard
from pipeline.tables import write_table
from tests.pipeline.report import synthetic

ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "detector")
OWN_SCORES = pa.schema([field for field in SCORES if field.name not in ("run_id", "run_date")], SCORES.metadata)
NAMED_AMONG = {"interfacegan": 96}  # as if its directions had had no names


def describe() -> DomainCard:
    """The card of the domain without networks."""
    names = {role: role for role in ROLES}
    return DomainCard("synthface", "Numbers at random.", 64, 8, 4, {role: "0" * 64 for role in ROLES}, names)


def install() -> None:
    """Take the place of the embedded domain in this process."""
    base.MODULES["synthface"] = __name__


def lay_down(settings: Settings, seed: int = 0) -> None:
    """Publish every stage of a run."""
    for link in Chain(settings).links:
        if not (link.stage.folder(settings.outputs) / "manifest.json").exists():
            tried = NAMED_AMONG.get(link.method) if link.stage.name == "train" else None
            lay_down_link(link, settings, seed, {"facts": {"naming_candidates": tried}} if tried else {})


def lay_down_link(link: Link, settings: Settings, seed: int = 0, extra: dict[str, Any] | None = None) -> None:
    """Publish one stage of a run, with `extra` in its manifest."""
    table, schema = _content(link.stage.name, link.method, link.attribute, seed)
    with building(link.stage, settings) as builder:
        name = f"{link.stage.name}.parquet" if link.stage.name != "range" else "ranges.parquet"
        builder.publish([write_shard(builder.folder, name, lambda path: write_table(table, schema, path))], extra or {})


def _content(stage: str, method: str, attribute: str, seed: int) -> tuple[pa.Table, pa.Schema]:
    if stage == "edits":
        return synthetic.edits((method,), seed=seed), EDITS
    if stage == "scores":
        return pa.Table.from_pylist(synthetic.score_rows(method, seed), OWN_SCORES), OWN_SCORES
    if stage == "gallery":
        return _gallery(method), GALLERY
    if attribute:
        rows = [row for row in synthetic.ranges((method,)).to_pylist() if row["attribute"] == attribute]
        return pa.Table.from_pylist(rows, RANGES), RANGES
    nothing = pa.schema([pa.field("nothing", pa.int64())])
    return pa.table({"nothing": [seed]}, nothing), nothing


def _gallery(method: str) -> pa.Table:
    rows = [
        {
            "method": method,
            "attribute": strip.attribute,
            "face_id": strip.face_id,
            "step": step,
            "strength": picture.strength,
            "value": picture.value,
            "detected": picture.detected,
            "png": picture.image,
        }
        for strip in synthetic.strips((method,), n_faces=1, n_pictures=3)
        for step, picture in enumerate(strip.pictures)
    ]
    return pa.Table.from_pylist(rows, GALLERY)

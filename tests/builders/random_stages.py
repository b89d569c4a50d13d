"""A run whose every stage is published, with numbers at random, under a domain that has a card and no networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import NAMES, index_of
from pipeline.chain.links import Chain, Link
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord, building, write_shard
from pipeline.tables.parquet import write_table
from pipeline.tables.schemas import CONSISTENCY, EDITS, GALLERY, MATCHED, RANGES, RATES, RESCORING, SCORES, SPREAD
from tests.builders import random_edits, random_run, random_scores

ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "detector")
OWN_SCORES = pa.schema([field for field in SCORES if field.name not in ("run_id", "run_date")], SCORES.metadata)
SATURATED = "eye_occluded"
NAMED_AMONG = {"interfacegan": 96}  # as if its directions had had no names


def describe() -> DomainCard:
    """The card of the domain without networks."""
    weights = {role: "0" * 64 for role in ROLES}
    return DomainCard("synthface", "Numbers at random.", 64, 8, 4, weights, random_run.NETWORKS)


def card_of(role: str) -> dict[str, Any]:
    """The cards of its networks, which hold figures for some."""
    return {"measured": random_run.MEASURED.get(role)}


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
    table = {"range": "ranges", "rating": "scores"}.get(link.stage.name, link.stage.name)
    contents = {f"{table}.parquet": _content(link.stage.name, link.method, link.attribute, seed)}
    if link.stage.name == "rescoring":
        rows = random_scores.matched_score_rows(link.method, seed)
        contents["scores.parquet"] = pa.Table.from_pylist(rows, OWN_SCORES), OWN_SCORES
    with building(link.stage, settings) as builder:
        builder.publish([_written(builder.folder, *each) for each in contents.items()], extra or {})


def _written(folder: Path, name: str, content: tuple[pa.Table, pa.Schema]) -> ShardRecord:
    def write(path: Path) -> int:
        return write_table(*content, path)

    return write_shard(folder, name, write)


def _content(stage: str, method: str, attribute: str, seed: int) -> tuple[pa.Table, pa.Schema]:
    if stage == "edits":
        return random_edits.edits((method,), seed=seed), EDITS
    if stage == "scores":
        return pa.Table.from_pylist(random_scores.score_rows(method, seed), OWN_SCORES), OWN_SCORES
    if stage == "matched":
        return random_edits.matched((method,), seed=seed), MATCHED
    if stage == "rescoring":
        return random_edits.rescoring((method,), seed=seed), RESCORING
    if stage == "rates":
        return random_edits.rates((method,), seed=seed), RATES
    if stage == "consistency":
        return random_edits.consistency((method,), seed=seed), CONSISTENCY
    if stage == "rating":
        return pa.Table.from_pylist(random_scores.rated_score_rows(method, seed), OWN_SCORES), OWN_SCORES
    if stage == "spread":
        return _spread(seed), SPREAD
    if stage == "gallery":
        return _gallery(method), GALLERY
    if attribute:
        rows = [row for row in random_edits.ranges((method,)).to_pylist() if row["attribute"] == attribute]
        return pa.Table.from_pylist(rows, RANGES), RANGES
    nothing = pa.schema([pa.field("nothing", pa.int64())])
    return pa.table({"nothing": [seed]}, nothing), nothing


def _spread(seed: int) -> pa.Table:
    """Logits of 50 images; one attribute's are cut on all images but one."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(2, 50, len(NAMES))).astype(np.float32)
    logits[:, :, index_of(SATURATED)] = [-7.0] * 49 + [-6.0]
    columns = {"latent_id": range(50), "logits_a": list(logits[0]), "logits_b": list(logits[1])}
    return pa.table(columns | {"identity_b": [[1.0]] * 50}, SPREAD)


def _gallery(method: str) -> pa.Table:
    rows = [
        {
            "method": method,
            "attribute": strip.attribute,
            "face_id": strip.face_id,
            "step": edit.step,
            "strength": edit.strength,
            "value": edit.value,
            "detected": edit.detected,
            "png": random_run.face_png(edit.strength, 0),
        }
        for strip in random_run.strips((method,), n_faces=1, n_pictures=3)
        for edit in strip.edits
    ]
    return pa.Table.from_pylist(rows, GALLERY)

"""A published run whose stages are real: trained methods, measured edits and a gallery, in the domain of px16."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from pipeline.chain.links import Chain
from pipeline.settings.settings import Settings
from pipeline.storage.stages import is_complete
from pipeline.tables.parquet import read_stage
from pipeline.tables.schemas import PUBLISHED
from tests.builders import random_run

RUN_ID = "20261120T031500Z-1a2b3c4d"


def publish_run(settings: Settings) -> Path:
    """Compute what pictures are made of, and lay down the tables that they are scored by. Answers the run's folder."""
    chain, outputs = Chain(settings), settings.outputs
    _compute(chain)
    stages = [
        {"stage": link.stage.name, "title": link.title, "fingerprint": link.stage.fingerprint}
        for link in chain.links
        if is_complete(link.stage, outputs)
    ]
    more = {
        "domain": settings.domain,
        "settings": json.dumps(settings.as_json()),
        "weights": json.dumps(dict(chain.card.weights)),
        "stages": json.dumps(stages),
        "n_faces": settings.experiment.n_faces,
        "n_steps": settings.experiment.n_steps,
    }
    tables = {"runs": random_run.runs(RUN_ID, **more)}
    for name in ("edits", "ranges"):
        parts = [read_stage(stage, outputs, PUBLISHED[name]) for stage in chain.tables[name]]
        tables[name] = pa.concat_tables(parts)
    return random_run.publish_folder(outputs, RUN_ID, tables)


def _compute(chain: Chain) -> None:
    """The stages that pictures are made of."""
    for which in ("train", "faces"):
        chain.run("latents", which)
        chain.run("labels", which)
    for method in chain.settings.method_names:
        chain.run("train", method)
        chain.calibrate_all(method, chain.settings.experiment.attributes)
        chain.run("edits", method)
        chain.run("gallery", method)

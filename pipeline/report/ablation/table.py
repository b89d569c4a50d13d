"""The table of an ablation: every score of every variant of a method, and its difference to the base's.

A variant's stages are an ordinary run's with other settings of the method. Differences are paired: the faces are the
same for all variants, so they are resampled together, and what a face does to both cancels out. Distances between
whole sets of images (FID, KID, inception scores) and timings have a difference without an interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.chain.links import Chain
from pipeline.chain.training import as_configured
from pipeline.domains.base import DomainCard, network_name
from pipeline.methods import registry
from pipeline.methods.variants import Variant, declared
from pipeline.metrics.base import ALL, PAPER, EditSet, get, names
from pipeline.metrics.edit_columns import edit_columns
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.stages import Manifest, Stage, read_manifest
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage

VERSION = 2  # raise it when the table or the page change
HELD_OUT = "held-out-codes"  # the protocol of what a training measures on codes that it did not train on
FEWEST_CODES = 10  # of held-out codes, below which a score is flagged

Samples = tuple[np.ndarray, np.ndarray]  # values (M,) and the face of each (M,)


@dataclass(frozen=True)
class VariantRun:
    """One variant and the settings of its run."""

    variant: Variant
    settings: Settings


def ablation_stage(method: str, runs: Sequence[VariantRun]) -> Stage:
    """What an ablation is made of: its variants, and the stages whose results it shows."""
    chains = [Chain(run.settings) for run in runs]
    base = as_configured(runs[0].settings, method).parameters()
    upstream = [chain.stage(kind, method) for chain in chains for kind in ("train", "edits", "scores")]
    parameters = {
        "method": method,
        "variants": {run.variant.name: run.variant.changed(base) for run in runs},
        "protocol": runs[0].settings.as_json()["protocol"],
    }
    return Stage("ablation", VERSION, parameters, chains[0].card.weights, tuple(upstream), label=method)


def ablation_table(method: str, runs: Sequence[VariantRun]) -> pa.Table:
    """Every row of `schemas.ABLATION`: the base first. Every stage of every run must be published.

    Raises StageError, CorruptShardError.
    """
    base = Results(method, runs[0])
    rows: list[dict[str, Any]] = []
    for run in runs:
        results = base if run is runs[0] else Results(method, run)
        facts = results.facts(as_configured(runs[0].settings, method).parameters())
        for row in (*results.scores(), *results.held_out()):
            rows.append(facts | row | difference(results, base, row))
    return pa.Table.from_pylist(rows, schema=schemas.ABLATION)


def difference(results: Results, base: Results, row: dict[str, Any]) -> dict[str, Any]:
    """The difference of a variant's score to the base's, with its paired interval where both are means over faces."""
    key = score_key(row)
    if results is base or key not in base.values:
        return {"difference": None, "difference_low": None, "difference_high": None}
    own, others = results.samples.get(key), base.samples.get(key)
    if own is None or others is None:
        return {"difference": row["value"] - base.values[key], "difference_low": None, "difference_high": None}
    estimate = base.bootstrap.difference(*own, *others)
    return {"difference": estimate.value, "difference_low": estimate.low, "difference_high": estimate.high}


def score_key(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """What makes two scores of two variants the same quantity."""
    return row["protocol"], row["attribute"], row["metric"], row["network"]


class Results:
    """What one variant's stages hold: its scores, what its means are over, and how its training went.

    `values` and `samples` are by `score_key`; samples there are for means alone.
    """

    def __init__(self, method: str, run: VariantRun) -> None:
        self.method, self.variant, self.settings = method, run.variant, run.settings
        self.chain = Chain(run.settings)
        self.card: DomainCard = self.chain.card
        experiment = run.settings.experiment
        self.bootstrap = Bootstrap(experiment.bootstrap_samples, experiment.confidence, experiment.seed)
        outputs = run.settings.outputs
        self.training: Manifest = read_manifest(self.chain.stage("train", method), outputs)
        self.scoring: Manifest = read_manifest(self.chain.stage("scores", method), outputs)
        self._scores = [row for row in self._read(schemas.STAGE_SCORES) if row["protocol"] == PAPER]
        self._held_out = list(self._measured())
        self.values = {score_key(row): row["value"] for row in (*self._scores, *(row for row, _ in self._held_out))}
        self.samples = dict(self._means()) | {score_key(row): samples for row, samples in self._held_out}

    def facts(self, base: dict[str, Any]) -> dict[str, Any]:
        """The columns that every row of the variant has; `base` has the base's settings."""
        end = self.training.extra.get("facts", {}).get("end", {})
        return {
            "domain": self.settings.domain,
            "profile": self.settings.experiment.profile,
            "method": self.method,
            "method_version": registry.get(self.method).version,
            "variant": self.variant.name,
            "changed": self.variant.changed(base),
            "training_seconds": self.training.extra.get("seconds"),
            "training_loss": end.get("total") if isinstance(end, dict) else None,
            "commit": self.scoring.commit,
            "fingerprint": self.scoring.fingerprint,
        }

    def scores(self) -> list[dict[str, Any]]:
        """The scores, as rows without the columns of `facts`."""
        left_out = ("domain", "method", "method_version")
        return [{key: value for key, value in row.items() if key not in left_out} for row in self._scores]

    def held_out(self) -> list[dict[str, Any]]:
        """What the training measured on held-out codes, as rows."""
        return [row for row, _ in self._held_out]

    def _read(self, schema: pa.Schema) -> list[dict[str, Any]]:
        stage = self.chain.stage("scores", self.method)
        return read_stage(stage, self.settings.outputs, schema).to_pylist()

    def _measured(self) -> Iterator[tuple[dict[str, Any], Samples]]:
        losses = self.training.extra.get("facts", {}).get("held_out_losses", {})
        for measure in declared(self.method).held_out:
            if measure.loss not in losses:
                continue
            values = np.asarray(losses[measure.loss], dtype=np.float64)
            codes = np.arange(len(values))
            estimate = self.bootstrap.mean(values, codes)
            row = {
                "protocol": HELD_OUT,
                "attribute": ALL,
                "metric": measure.metric,
                "network": network_name(self.card, measure.role),
                "value": estimate.value,
                "ci_low": estimate.low,
                "ci_high": estimate.high,
                "n_faces": estimate.n_faces,
                "n_images": estimate.n_images,
                "better": measure.better,
                "unit": measure.unit,
                "flag": f"fewer than {FEWEST_CODES} held-out codes" if len(values) < FEWEST_CODES else None,
            }
            yield row, (values, codes)

    def _means(self) -> Iterator[tuple[tuple[str, str, str, str], Samples]]:
        stage = self.chain.stage("edits", self.method)
        columns = edit_columns(read_stage(stage, self.settings.outputs, schemas.EDITS))
        means = [metric for metric in map(get, names(PAPER)) if metric.samples is not None]
        for attribute in (ALL, *self.settings.experiment.attributes):
            own = np.ones(len(columns["attribute"]), bool) if attribute == ALL else columns["attribute"] == attribute
            part = {name: column[own] for name, column in columns.items()}
            edits = EditSet.of_columns(self.method, attribute, part)
            for metric in means:
                assert metric.samples is not None
                for samples in metric.samples(edits):
                    key = (PAPER, attribute, metric.name, network_name(self.card, samples.role))
                    yield key, (samples.values, samples.faces)

"""Judgements of metrics as rows of the scores tables, whatever the protocol."""

from __future__ import annotations

from typing import Any

from pipeline.domains.base import DomainCard, network_name
from pipeline.methods import registry
from pipeline.metrics.base import Judgement, Measured, Metric
from pipeline.settings.experiment import Experiment
from pipeline.statistics.bootstrap import Bootstrap


def bootstrap_of(experiment: Experiment) -> Bootstrap:
    """The bootstrap that every interval of a run comes from."""
    return Bootstrap(experiment.bootstrap_samples, experiment.confidence, experiment.seed)


def score_row(
    card: DomainCard,
    edits: Measured,
    metric: Metric,
    judgement: Judgement,
    protocol: str,
    *,
    level: float | None = None,
) -> dict[str, Any]:
    """A judgement as a row of STAGE_SCORES."""
    estimate = metric.within_bounds(judgement.estimate)
    return {
        "domain": card.name,
        "protocol": protocol,
        "method": edits.method,
        "method_version": registry.version(edits.method),
        "attribute": edits.attribute,
        "metric": metric.name,
        "network": network_name(card, judgement.role),
        "value": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "n_faces": estimate.n_faces,
        "n_images": estimate.n_images,
        "better": metric.better,
        "unit": metric.unit,
        "flag": metric.flags(judgement) or None,
        "level": level,
    }

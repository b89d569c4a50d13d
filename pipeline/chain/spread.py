"""Spread: how far scorers' logits differ from one unedited image to another, which is the unit of a matched change.

The benchmark of StyleSpace (Wu et al., CVPR 2021) measures a change in standard deviations of the logit over generated
images. Ours are the first `n_spread` images of the quality reference; every image's 70 logits are kept, by scorer A
(which strengths are searched by) and scorer B (which reports), so that no shard's cut enters a standard deviation.

Not every attribute has such a unit: `pipeline.statistics.units` says which are left out.

The same images say, for rate curves, where scorer B cuts a continuous attribute in two (at its median), and how near
recognizer B sees two different persons.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attributes import LIST_VERSION
from pipeline.chain.inputs import read_w
from pipeline.chain.sets import id_range
from pipeline.chain.views import see_latents, synthesise
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.statistics.units import LARGEST_LOGIT, logits_of
from pipeline.storage.stages import IdRange, ShardRecord, cut_ids
from pipeline.tables.schemas import SPREAD

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1


def recipe(settings: Settings, card: DomainCard) -> Recipe:
    """The logits of unedited images by both scorers."""
    parameters = {
        "attribute_list": LIST_VERSION,
        "n_spread": settings.experiment.n_spread,
        "largest_logit": LARGEST_LOGIT,
        "batch": BATCH,
        **settings.experiment.rendering,
    }
    roles = ("generator", "scorer_a", "scorer_b", "recognizer_b")
    return Recipe(VERSION, parameters, roles, (("latents", "reference"),))


def cut(settings: Settings) -> list[IdRange]:
    """Runs of ids of the reference."""
    first, _ = id_range(settings, "reference")
    return cut_ids("spread", first, settings.experiment.n_spread, settings.machine.shard_size)


def spread_shard(work: Work, ids: IdRange, progress: Progress) -> ShardRecord:
    """Generate, judge and write one shard; runs on a worker."""
    started = time.perf_counter()
    domain = work.domain()
    found, w = read_w(work, "reference", ids.first, ids.stop)

    def see(ws: Tensor) -> tuple[np.ndarray, ...]:
        images = synthesise(domain, ws)
        logits = (logits_of(scorer(images)).cpu().numpy() for scorer in (domain.scorer_a, domain.scorer_b))
        return *logits, domain.recognizer_b(images).cpu().numpy()

    logits_a, logits_b, persons = see_latents(domain, w, see, progress)
    columns = {"latent_id": found, "logits_a": logits_a, "logits_b": logits_b, "identity_b": list(persons)}
    return work.write(ids.name, columns, SPREAD, started)


KIND = Kind("spread", recipe, cut, spread_shard)

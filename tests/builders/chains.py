"""Stages of the chain, computed or read one at a time."""

from __future__ import annotations

from pipeline.chain.links import Chain
from pipeline.chain.work import Work
from pipeline.domains.base import DomainCard
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, Stage


def compute(settings: Settings, kind: str, *names: str) -> Manifest:
    """Compute and publish a stage."""
    return Chain(settings).run(kind, *names)


def stage_of(settings: Settings, kind: str, *names: str, card: DomainCard | None = None) -> Stage:
    """A stage, as another card of the domain would have it."""
    chain = Chain(settings)
    chain.card = card or chain.card
    return chain.stage(kind, *names)


def reading(settings: Settings, kind: str, *names: str) -> Work:
    """The work of a stage that reads that one."""
    chain = Chain(settings)
    return Work(settings, Stage("reader", 1, upstream=(chain.stage(kind, *names),)), chain.card, names)

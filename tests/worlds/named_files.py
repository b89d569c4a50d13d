"""The tiny domain with a generator that luigi.cfg names: its w is shifted by a draw from the name.

`python -m tests.worlds.named_files` computes, as a worker does, the shards that are pickled on standard input.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace

import torch

from pipeline.domains import base
from pipeline.domains.base import Domain, DomainCard
from pipeline.settings.downloads import Sources
from pipeline.storage.fingerprint import digest
from tests.worlds import px8

NAME = "named"
FILE_KEYS = ("generator",)


def describe(sources: Sources) -> DomainCard:
    card = px8.describe()
    return replace(card, name=NAME, weights={**card.weights, "generator": digest(dict(sources.files))})


def load(device: torch.device, sources: Sources) -> Domain:
    domain = px8.load(device)
    drawn = torch.Generator().manual_seed(int(describe(sources).weights["generator"][:8], 16))
    for parameter in domain.generator.mapping.parameters():
        parameter += 0.1 * torch.randn(parameter.shape, generator=drawn)
    return replace(domain, card=describe(sources))


def main() -> None:
    base.MODULES[NAME] = __name__ if __name__ != "__main__" else "tests.worlds.named_files"
    function, calls = pickle.load(sys.stdin.buffer)
    for work, shard in calls:
        function(work, shard, lambda *_: None)


if __name__ == "__main__":
    main()

"""The smallest domain that the early stages run on: a real generator of 8 px, judged by linear maps of its pixels.

`python -m tests.worlds.px8 OUTPUTS THREADS SHARD_SIZE DIE_AT` trains a method on it in a process of its own.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from pipeline.chain.latents import latent_shard
from pipeline.chain.training import train_shard_beside
from pipeline.chain.work import Part, Work
from pipeline.domains import base
from pipeline.domains.base import Domain, DomainCard
from pipeline.errors import TrainingDivergedError
from pipeline.execution.shards import Progress
from pipeline.methods import registry
from pipeline.methods.interface import FitData, Method, Paper
from pipeline.settings.settings import Settings
from pipeline.storage.fingerprint import digest
from pipeline.storage.stages import IdRange, ShardRecord
from stylegan.generator import Generator
from tests.builders.chains import compute
from tests.builders.counting_stage import settings

NAME = "tiny"
METHOD = "average"
ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "detector")


def describe() -> DomainCard:
    weights = {role: digest(role) for role in ROLES}
    return DomainCard(NAME, "for tests", 8, 4, 2, weights, {role: f"tiny-{role}" for role in ROLES})


class Judge(nn.Module):
    """(N, 3, 8, 8) -> (N, outputs) in [0, 1], linear in the pixels before the sigmoid."""

    def __init__(self, outputs: int, seed: int) -> None:
        super().__init__()
        self.matrix = torch.randn(192, outputs, generator=torch.Generator().manual_seed(seed)) / 14

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(images.flatten(1) @ self.matrix)


class Finder:
    """Finds a face where the mean red is high, as probable as its sigmoid."""

    def detect(self, images: Tensor, *, threshold: float = 0.9) -> Any:
        probability = torch.sigmoid(2 + images[:, 0].mean(dim=(1, 2)) * 2)
        return SimpleNamespace(found=probability >= threshold, probability=probability)


def load(device: torch.device) -> Domain:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        generator = Generator(resolution=8, channels={4: 8, 8: 8}, mapping_layers=4).eval().requires_grad_(False)
        generator.mapping.w_avg.normal_()
    judges: dict[str, Any] = {"scorer_a": Judge(35, 1), "scorer_b": Judge(35, 2), "recognizer_a": Judge(4, 3)}
    others: dict[str, Any] = {"recognizer_b": Judge(4, 4), "perception": Judge(4, 5), "detector": Finder()}
    return Domain(describe(), device, generator, **judges, **others, mean_distance=1.0)


class Average(Method):
    """Twenty steps of noise added to the mean w: slow to learn, resumable, and sensitive to every bit."""

    name: ClassVar[str] = METHOD
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper("Averages", "tests")
    unit: ClassVar[str] = "one"
    supervision: ClassVar[str] = "labels"
    die_at: ClassVar[int] = -1
    seen: ClassVar[list[int]] = []

    def __init__(self, *, steps: int = 20) -> None:
        self.steps = steps

    def parameters(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def fit(self, data: FitData) -> None:
        assert data.checkpoints is not None
        saved = data.checkpoints / "last.pt"
        first, total = torch.load(saved) if saved.exists() else (0, data.w.mean(0) + data.values.mean())
        for step in range(first, self.steps):
            if step == self.die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.seen.append(step)
            total = total * 0.9 + torch.randn(512, generator=data.rng(step))
            torch.save((step + 1, total), saved.with_suffix(".tmp"))
            os.replace(saved.with_suffix(".tmp"), saved)
            data.progress(step + 1, self.steps, f"loss {float(total.norm()):.1f}")
        self.total_ = total

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        return ws + strengths.sum(dim=1)[:, None, None] * self.total_

    def state(self) -> dict[str, Tensor]:
        return {"total": self.total_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.total_ = state["total"]

    def facts(self) -> dict[str, Any]:
        return {"norm": float(self.total_.norm())}


class Slower(Average):
    """The same in a hundred steps."""

    name: ClassVar[str] = "slower"

    def __init__(self, *, steps: int = 100) -> None:
        super().__init__(steps=steps)


class Diverging(Average):
    """Never gets anywhere."""

    name: ClassVar[str] = "diverging"

    def fit(self, data: FitData) -> None:
        raise TrainingDivergedError("diverging: as expected of it")


METHODS = {kind.name: f"tests.worlds.px8:{kind.__name__}" for kind in (Average, Slower, Diverging)}


def register() -> None:
    """Let the registries of a process of its own know the domain and the methods, for good."""
    base.MODULES[NAME] = "tests.worlds.px8"
    registry.BUILT_IN.update(METHODS)


def lend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registries know them while a test runs; tests of other files list what is registered."""
    monkeypatch.setitem(base.MODULES, NAME, "tests.worlds.px8")
    for name, place in METHODS.items():
        monkeypatch.setitem(registry.BUILT_IN, name, place)


def tiny_settings(outputs: Path, *, method: tuple[tuple[str, Any], ...] = (), **machine: object) -> Settings:
    found = settings(outputs, **machine)
    methods = ((METHOD, method), *((name, ()) for name in METHODS if name != METHOD))
    return Settings(NAME, found.experiment, methods, found.machine, found.outputs, "test.cfg")


def latent_shard_on_worker(work: Work, shard: IdRange, progress: Progress) -> ShardRecord:
    """`latents.latent_shard` on a worker, which has its own registries."""
    register()
    return latent_shard(work, shard, progress)


def train_beside_on_worker(work: Work, shard: Part, progress: Progress) -> tuple[str, Any]:
    """`training.train_shard_beside` on a worker."""
    register()
    return train_shard_beside(work, shard, progress)


def main() -> None:
    outputs, threads, shard_size, die_at = sys.argv[1:]
    register()
    registry.get(METHOD).die_at = int(die_at)  # type: ignore[attr-defined]
    options = {"threads": int(threads), "train_threads": 1, "shard_size": int(shard_size)}
    run_settings = tiny_settings(Path(outputs), **options)
    compute(run_settings, "latents", "train")
    compute(run_settings, "labels", "train")
    compute(run_settings, "train", METHOD)


if __name__ == "__main__":
    main()

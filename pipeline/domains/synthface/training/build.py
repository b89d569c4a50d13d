"""Training of each network of synthface: its data, its order, and its publication with a card.

    generator  <- the `generator` set (w -> truth -> render); its last resolution also uses perception and scorer A
    scorer A, perception  <- `generator` and broad A;   recognizer A <- people A
    scorer B, reader  <- natural B, broad B, people B;  recognizer B <- people B
A and B share no face, no seed and no architecture. No training uses a held-out set.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.domains.synthface.domain import ROLES, card_of, weights_path
from pipeline.domains.synthface.factors import IDENTITY_INDEX, N_FACTORS
from pipeline.domains.synthface.training import generator as distil
from pipeline.domains.synthface.training import judges, measures, reader
from pipeline.domains.synthface.training.sets import RenderedSet, RenderSet, rendered
from pipeline.errors import StageError, UnknownNameError
from pipeline.networks.files import load_network, save_network
from pipeline.networks.perception import Perception
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from pipeline.networks.truth_reader import Reader
from pipeline.optimisation.schedule import Schedule
from stylegan.distance import mean_distance
from stylegan.generator import Generator
from stylegan.weights import load_generator, save_generator
from stylegan.widening import widened

SETS: dict[str, RenderSet] = {
    "generator": RenderSet("generator", 101, 80_000),
    "generator_more": RenderSet("generator", 121, 60_000),
    "rare": RenderSet("rare", 111, 140_000),
    "edges": RenderSet("rare", 131, 72_000, of=("reading_glasses", "sunglasses", "gender", "baldness")),
    "closer": RenderSet("rare", 141, 60_000, of=("reading_glasses", "sunglasses", "gender"), spread=0.15),
    "broad_a": RenderSet("broad", 202, 48_000),
    "people_a": RenderSet("identities", 303, 60_000),
    "broad_b": RenderSet("broad", 404, 48_000),
    "people_b": RenderSet("identities", 505, 60_000),
    "natural_b": RenderSet("natural", 606, 24_000),
    "people_reader": RenderSet("identities", 1212, 2_000),
    "held_out_natural": RenderSet("natural", 707, 4_000),
    "held_out_broad": RenderSet("broad", 808, 4_000),
    "held_out_people": RenderSet("identities", 909, 4_000),
    "held_out_generator": RenderSet("generator", 1010, 4_000),
}

TRAINED_ON: dict[str, tuple[str, ...]] = {
    "perception": ("generator", "rare", "broad_a"),
    "scorer_a": ("generator", "rare", "broad_a"),
    "scorer_b": ("natural_b", "broad_b", "people_b"),
    "recognizer_a": ("people_a",),
    "recognizer_b": ("people_b",),
    "reader": ("natural_b", "broad_b", "people_b"),
    "generator": ("generator_more", "rare", "edges", "closer"),
}

JUDGED_BY: dict[str, tuple[str, ...]] = {"generator": ("perception", "scorer_a")}

SCHEDULES: dict[str, Schedule] = {
    "perception": Schedule(steps=900, batch=128, rate=4e-3, seed=21),
    "scorer_a": Schedule(steps=2800, batch=128, rate=4e-3, seed=22),
    "scorer_b": Schedule(steps=2800, batch=128, rate=4e-3, seed=23),
    "recognizer_a": Schedule(steps=3600, batch=128, rate=4e-3, seed=24),
    "recognizer_b": Schedule(steps=2000, batch=128, rate=4e-3, seed=25),
    "reader": Schedule(steps=1800, batch=128, rate=4e-3, seed=26),
    "scorer_a-further": Schedule(steps=1200, batch=128, rate=2e-3, seed=32),
    "scorer_b-further": Schedule(steps=1800, batch=128, rate=2e-3, seed=33),
    "images-16": Schedule(steps=5000, batch=32, rate=5e-2, seed=12, final=0.3),
    "images-32": Schedule(steps=7000, batch=32, rate=4e-2, seed=13, final=0.3),
    "images-64": Schedule(steps=10000, batch=32, rate=3e-2, seed=14),
    "images-64-further": Schedule(steps=2500, batch=32, rate=1e-2, seed=22, average=400),
}

Say = Callable[[str], None]
FEATURE_WIDTH, EMBEDDING = 128, 96
GENERATOR_SEED = 20261121  # of its start values
ARGUMENTS: dict[str, dict[str, Any]] = {
    "scorer_a": {"architecture": "residual", "width": 32},
    "scorer_b": {"architecture": "plain", "width": 28},
    "recognizer_a": {"architecture": "residual", "width": 32, "dimensions": EMBEDDING},
    "recognizer_b": {"architecture": "plain", "width": 28, "dimensions": EMBEDDING},
    "perception": {"feature_width": FEATURE_WIDTH, "classes": judges.CLASSES},
    "reader": {"architecture": "residual", "width": 32, "factors": N_FACTORS, "identity": IDENTITY_INDEX},
}


@dataclass(frozen=True)
class Workshop:
    """The folder of sets, checkpoints and logs, and the number of cores. `share` scales the length of every training.

    `further`: a network starts from its published weights instead of seeded initial weights.
    """

    folder: Path
    workers: int
    threads: int
    say: Say = print
    share: float = 1.0
    further: bool = False

    def set(self, name: str) -> RenderedSet:
        """A set by name; missing blocks are rendered."""
        return rendered(self.wanted(name), self.folder / "sets", self.workers, self.say)

    def wanted(self, name: str) -> RenderSet:
        """The description of a set, shortened by `share`. Raises UnknownNameError."""
        if name not in SETS:
            raise UnknownNameError("render set", name, SETS)
        found = SETS[name]
        return replace(found, count=max(512, int(found.count * self.share))) if self.share < 1 else found

    def named(self, name: str) -> str:
        """The name of a training; NAME-further if it starts from published weights and has such a schedule."""
        return f"{name}-further" if self.further and f"{name}-further" in SCHEDULES else name

    def files(self, name: str, parent: dict[str, Any] | None) -> str:
        """The name of a training's checkpoint and log, with the sha256 of the published weights it starts from."""
        return f"{self.named(name)}-{parent['sha256'][:8]}" if parent else self.named(name)

    def schedule(self, name: str) -> Schedule:
        """A training's schedule, shortened by `share`."""
        schedule = SCHEDULES[self.named(name)]
        return replace(schedule, steps=max(4, int(schedule.steps * self.share)))

    @property
    def training(self) -> Path:
        """Folder of checkpoints and logs."""
        return self.folder / "training"


def train_role(role: str, shop: Workshop) -> None:
    """Train a network of the domain and write it, with its card, into the package. Raises UnknownNameError."""
    if role not in ROLES:
        raise UnknownNameError("network of synthface", role, ROLES)
    torch.set_num_threads(shop.threads)
    started, parent = time.monotonic(), card_of(role) if shop.further else None
    network = _train_generator(shop, parent) if role == "generator" else _train_judge(role, shop, parent)
    card = _card(role, shop, time.monotonic() - started, parent)
    if isinstance(network, Generator):
        card["mean_distance"] = mean_distance(network)
        save_generator(network, weights_path(role), card)
    else:
        save_network(network, weights_path(role), ARGUMENTS[role], card)
    shop.say(f"{role}: written to {weights_path(role)}")


def _new_judge(role: str) -> nn.Module:
    kinds: dict[str, type[nn.Module]] = {
        "scorer": Scorer,
        "recognizer": Recognizer,
        "perception": Perception,
        "reader": Reader,
    }
    with torch.random.fork_rng():
        torch.manual_seed(SCHEDULES[role].seed)
        return kinds[role.partition("_")[0]](**ARGUMENTS[role])


def _train_judge(role: str, shop: Workshop, parent: dict[str, Any] | None) -> nn.Module:
    network, schedule, name = _new_judge(role), shop.schedule(role), shop.files(role, parent)
    if parent:
        published = load_network(type(network), weights_path(role), torch.device("cpu"))
        network.load_state_dict(published.state_dict())
    faces = [shop.set(name) for name in TRAINED_ON[role]]
    if isinstance(network, Scorer):
        judges.train_scorer(network, judges.Mixed(faces), schedule, name, shop.training, shop.say)
    elif isinstance(network, Recognizer):
        judges.train_recognizer(network, faces[0], schedule, name, shop.training, shop.say)
    elif isinstance(network, Perception):
        judges.train_perception(network, judges.Mixed(faces), schedule, name, shop.training, shop.say)
    elif isinstance(network, Reader):
        reader.train_reader(network, judges.Mixed(faces), schedule, name, shop.training, shop.say)
        reader.calibrate_reader(network, shop.set("people_reader"))
    return network


def _train_generator(shop: Workshop, parent: dict[str, Any] | None) -> Generator:
    network, names = distil.new_generator(GENERATOR_SEED), TRAINED_ON["generator"]
    faces = judges.Mixed([shop.set(name) for name in names])
    w = distil.all_w([shop.wanted(name) for name in names])
    former = None
    if parent:
        published = load_generator(weights_path("generator"), parent["sha256"])
        former = widened(published, network.architecture, network)
        network.synthesis.load_state_dict(former.synthesis.state_dict())
        distil.set_grain(network)
    for resolution in (64,) if parent else (16, 32, 64):
        judged = None
        if resolution == network.resolution:
            device = torch.device("cpu")
            perception = load_network(Perception, weights_path("perception"), device)
            judged = distil.Judges(perception, load_network(Scorer, weights_path("scorer_a"), device), faces)
        name = f"images-{resolution}"
        files = shop.files(name, parent)
        distil.fit_images(network, w, faces, resolution, shop.schedule(name), shop.training, shop.say, judged, files)
    if former is not None:
        distil.average_with(network, former)
    distil.finish(network)
    return network


def _card(role: str, shop: Workshop, seconds: float, parent: dict[str, Any] | None) -> dict[str, Any]:
    grown = ("images-64",) if shop.further else ("images-16", "images-32", "images-64")
    steps = grown if role == "generator" else (role,)
    return {
        "role": role,
        "domain": "synthface",
        "command": f"latentbench synthface train {role}" + (" --further" if shop.further else ""),
        "further_than": parent and {key: parent.get(key) for key in ("sha256", "command", "schedule", "trained_on")},
        "trained_on": {name: asdict(SETS[name]) | {"files": SETS[name].name} for name in TRAINED_ON[role]},
        "judged_by": {judge: card_of(judge)["sha256"] for judge in JUDGED_BY.get(role, ())},
        "schedule": {shop.named(name): asdict(shop.schedule(name)) for name in steps},
        "how": HOW[role.partition("_")[0]],
        "share_of_full_training": shop.share,
        "seconds_of_last_call": round(seconds, 1),
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "licence": "the licence of Latentbench; no real person's face was used",
    }


HOW = {
    "generator": (
        "distilled: the mapping network is made, not learned (pipeline/domains/synthface/truth.py): w holds standard "
        "normals linearly, and a turn of each by an angle that depends on others leads to the truth; the synthesis "
        "network regresses the render that belongs to every w, at 16, 32 and 64 px, by pixels and their differences, "
        "at 64 px also by squared errors, by the strength of detail, by the perception net's activations and by "
        "what scorer A (never B) reads, with the cross-entropy of binary values, and by the truth that lines read from "
        "the features at 8 px, also of w without a picture; bfloat16 in the convolutions while "
        "training; weights trained further are averaged with the weights they began from"
    ),
    "scorer": "squared error of 35 values over each one's variance; bfloat16 while training; averaged weights",
    "recognizer": (
        "CosFace over persons whose pose, expression, light, glasses, hair, beard and background vary, and their true "
        "identity factors read from the embedding; bfloat16 while training"
    ),
    "reader": (
        "squared error of every factor over its variance, identity as heavy as all the rest; unit and error of its "
        "distance from persons it never saw (set people_reader); bfloat16 while training; averaged weights"
    ),
    "perception": "cross-entropy of 24 kinds of face, and squared error of every factor",
}


def measure_role(role: str, shop: Workshop) -> dict[str, Any]:
    """Measure a published network on held-out samples and write the figures into its card."""
    torch.set_num_threads(shop.threads)
    device, path = torch.device("cpu"), weights_path(role)
    measured: dict[str, Any]
    if role.startswith("scorer"):
        network = load_network(Scorer, path, device)
        measured = measures.measure_scorer(network, shop.set("held_out_natural"), shop.set("held_out_broad"))
    elif role.startswith("recognizer"):
        measured = dict(
            measures.measure_recognizer(load_network(Recognizer, path, device), shop.set("held_out_people"))
        )
    elif role == "perception":
        measured = dict(
            measures.measure_perception(load_network(Perception, path, device), shop.set("held_out_natural"))
        )
    elif role == "reader":
        measured = reader.measure_reader(
            load_network(Reader, path, device),
            shop.set("held_out_natural"),
            shop.set("held_out_people"),
            load_generator(weights_path("generator"), card_of("generator")["sha256"]),
            shop.set("held_out_generator"),
            SETS["held_out_generator"].seed,
        )
    elif role == "generator":
        measured = measures.measure_generator(
            load_generator(path, card_of("generator")["sha256"]),
            load_network(Scorer, weights_path("scorer_b"), device),
            shop.set("held_out_generator"),
            SETS["held_out_generator"].seed,
        )
    else:
        raise UnknownNameError("network of synthface", role, ROLES)
    card = card_of(role) | {"measured": measured}
    _rewrite_card(role, card)
    return measured


def _rewrite_card(role: str, card: dict[str, Any]) -> None:
    import json

    from stylegan.weights import card_path, replace_file

    path = card_path(weights_path(role))
    if not weights_path(role).exists():
        raise StageError(f"Cannot write the card of {role}: {weights_path(role)} is missing.")
    replace_file(path, (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode())

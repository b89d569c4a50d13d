"""Domains: their cards, their loaded networks, and the registry.

>>> describe("synthface").resolution
64
>>> domain = load("synthface", "cpu")
>>> ws = domain.generator.mapping.w_avg.expand(1, domain.generator.num_ws, -1)
>>> images = domain.generator.synthesis(ws)
>>> tuple(images.shape), tuple(domain.scorer_a(images).shape)
((1, 3, 64, 64), (1, 35))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipeline.attributes import EVALUATED
from pipeline.errors import ConfigError, LatentbenchError, UnknownNameError
from pipeline.metrics.base import NO_NETWORK
from pipeline.settings.downloads import Sources, load_sources
from pipeline.settings.experiment import BFLOAT16, FULL, HALF

if TYPE_CHECKING:
    import torch

    from pipeline.networks.aligned import AlignedRecognizer
    from pipeline.networks.crops import CroppedRecognizer
    from pipeline.networks.detector import Detector
    from pipeline.networks.inception import Inception
    from pipeline.networks.perception import PerceptionNet
    from pipeline.networks.recognizer import Recognizer
    from pipeline.networks.scorer import AttributeScorer
    from pipeline.networks.truth_reader import Reader
    from stylegan.generator import Generator

log = logging.getLogger("latentbench")


@dataclass(frozen=True)
class DomainCard:
    """The facts of a domain that are known without torch and without loading its networks.

    `weights` maps a role to the sha256 of its file. The roles are generator, scorer_a, scorer_b, recognizer_a,
    recognizer_b, perception and detector; reader if the truth is known; lpips if its network is not the perception net.
    `networks` maps a role to the network's name in tables. `channels` is the generator's number of channels at full
    resolution, with which `plan` estimates memory; 0 means config-f's. `layers` is the number of codes that its
    generator reads; 0 means StyleGAN2's at this resolution. `embedding` is the number of dimensions of recognizer B,
    with which `plan` estimates disk; 0 means 512, or 96 for 64 px. `left_out` maps an attribute that a scorer does not
    know to the reason. `stand_in`: some network is a stand-in, so the domain's numbers mean nothing.
    """

    name: str
    summary: str
    resolution: int
    feature_width: int
    classes: int
    weights: dict[str, str]
    networks: dict[str, str]
    channels: int = 0
    layers: int = 0
    embedding: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    stand_in: bool = False

    def check_attributes(self, evaluated: Iterable[str]) -> None:
        """Raise ConfigError if a scorer of the domain does not know one of these evaluated attributes."""
        unknown = [name for name in evaluated if EVALUATED[name] in self.left_out]
        if unknown:
            reasons = "; ".join(f"{name}: {self.left_out[EVALUATED[name]]}" for name in unknown)
            raise ConfigError(
                f"Domain {self.name} cannot evaluate {', '.join(unknown)} ({reasons}). Remove them from [protocol] "
                "attributes (or name the others with --attribute), or train scorers that know them "
                "(docs/howto/ffhq.md)."
            )


def network_name(card: DomainCard, role: str) -> str:
    """The `network` column of a score by the network of that role. Raises UnknownNameError for a role without one."""
    if role == NO_NETWORK:
        return NO_NETWORK
    if role == "lpips" and role not in card.networks:  # the perception net is its trunk
        return f"{card.networks['perception']}-lpips-without-heads"
    if role not in card.networks:
        raise UnknownNameError(f"network of domain {card.name}", role, (*card.networks, "lpips"))
    return card.networks[role]


@dataclass(frozen=True)
class Domain:
    """A domain with its networks loaded, in evaluation mode, frozen, on one device.

    `mean_distance` is the mean of ||w - w'|| over independent pairs of untruncated w, the unit of displacement.
    `truth`, `parts` and `reader` are None if the truth is not known. `parts` maps w (N, 512) and an attribute to the
    pixels (N, H, W) where the attribute can show, and to None for an attribute without an outside, such as pose.
    `lpips` maps pairs of images to (N, 1, 1, 1); None if the perception net is the trunk of the distance.
    """

    card: DomainCard
    device: torch.device
    generator: Generator
    scorer_a: AttributeScorer
    scorer_b: AttributeScorer
    recognizer_a: Recognizer | AlignedRecognizer | CroppedRecognizer
    recognizer_b: Recognizer | AlignedRecognizer | CroppedRecognizer
    perception: PerceptionNet | Inception
    detector: Detector
    mean_distance: float
    truth: Callable[[torch.Tensor], torch.Tensor] | None = field(default=None)  # w (N, 512) -> true values (N, 35)
    parts: Callable[[torch.Tensor, str], torch.Tensor | None] | None = field(default=None)
    reader: Reader | None = field(default=None)
    lpips: torch.nn.Module | None = field(default=None)

    def perceptual_distance(self, images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """LPIPS (N,) of pairs of images (N, 3, H, W) in [-1, 1], with the domain's network."""
        from pipeline.networks.pairs import perceptual_distance

        distance = self.lpips or perceptual_distance(self.perception)
        result: torch.Tensor = distance(images, others)
        return result.flatten()

    def perceive(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Perception vectors (N, d), class logits (N, classes), and what `separation` compares.

        That is `pairs.coordinates` where the perception net is the trunk of the distance, (N, 0) where it is not.
        """
        from pipeline.networks.pairs import coordinates
        from pipeline.networks.perception import PerceptionNet

        if self.lpips is not None or not isinstance(self.perception, PerceptionNet):
            return *self.perception.both(images), images.new_empty(len(images), 0)
        maps = self.perception.maps(images)
        return *self.perception.seen(maps), coordinates(maps)

    def separation(
        self, images: tuple[torch.Tensor, torch.Tensor], others: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """LPIPS (N,) as `perceptual_distance`, of images (N, 3, H, W) with what `perceive` knows of them."""
        from pipeline.networks.pairs import separation

        known, of_others = images[1], others[1]
        return separation(known, of_others) if known.shape[1] else self.perceptual_distance(images[0], others[0])


# Judges whose convolutions are in bfloat16 with this precision. The detector's small layers gain nothing by it.
NARROWED = ("scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "reader", "lpips")

# name -> module with `describe() -> DomainCard` and `load(device) -> Domain`. Where luigi.cfg names the domain's files
# (`FILE_KEYS`), both, and `card_of`, take the `Sources` as their last argument.
MODULES: dict[str, str] = {
    "synthface": "pipeline.domains.synthface.domain",
    "ffhq": "pipeline.domains.ffhq.domain",
    "photoface": "pipeline.domains.photoface.domain",
}


def names() -> tuple[str, ...]:
    """The names of all domains."""
    return tuple(MODULES)


def file_keys(name: str) -> tuple[str, ...]:
    """The keys of [domain.NAME] in luigi.cfg that name the domain's files; imports no torch."""
    return tuple(getattr(import_module(MODULES[name]), "FILE_KEYS", ()))


def describe(name: str, sources: Sources | None = None) -> DomainCard:
    """A domain's card; imports no torch. Raises UnknownNameError, WeightsError if a file is missing.

    `sources`: where its files are; by default, as this process's luigi.cfg says. A run hands on its own, so that every
    worker has the same.
    """
    module = _module(name)
    return module.describe(*_asked(module, name, sources))


def other_weights(name: str, weights: Mapping[str, str], sources: Sources | None = None) -> str:
    """How a domain's weights on this machine differ from these sha256 by role, as text; empty if they do not.

    By the cards and marks of the files, which are hashed when they are loaded.
    """
    try:
        present = describe(name, sources).weights
    except LatentbenchError as error:
        return f"it lacks weights of {name}: {error}"
    differing = [(role, sha256) for role, sha256 in weights.items() if present.get(role) != sha256]
    if not differing:
        return ""
    shown = ", ".join(
        f"{role} {present.get(role, 'missing')[:12]} (this run: {sha256[:12]})" for role, sha256 in differing
    )
    return f"it has other weights of {name}: {shown}. Copy the files of this run to the worker's machine."


def _module(name: str) -> ModuleType:
    if name not in MODULES:
        raise UnknownNameError("domain", name, MODULES)
    return import_module(MODULES[name])


def _asked(module: ModuleType, name: str, sources: Sources | None) -> tuple[Sources, ...]:
    """The last argument of a domain's functions: its sources, if luigi.cfg names its files, else none."""
    return (sources or load_sources(name),) if hasattr(module, "FILE_KEYS") else ()


def true_parts(name: str, w: torch.Tensor, size: int) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    """The true part of each pixel, (N, size, size) int64, in the faces of w (N, 512), and the parts' names.

    (None, ()) for a domain without known truth, whose module has no `part_map(w, size)`.
    """
    part_map = getattr(import_module(MODULES[name]), "part_map", None)
    return (None, ()) if part_map is None else part_map(w, size)


def measured(name: str, sources: Sources | None = None) -> dict[str, dict[str, Any]]:
    """The figures measured in training: role -> `measured` of the network's card, empty for a role without figures.

    Empty for a domain whose module has no `card_of(role)`. Imports no torch. Raises UnknownNameError, WeightsError.
    """
    module = _module(name)
    card_of = getattr(module, "card_of", None)
    if card_of is None:
        return {}
    asked = _asked(module, name, sources)
    by_role = {role: card_of(role, *asked).get("measured") for role in module.ROLES}
    return {role: figures if isinstance(figures, dict) else {} for role, figures in by_role.items()}


def load(name: str, device: str, precision: str = FULL, sources: Sources | None = None) -> Domain:
    """A domain with its networks on a device, loaded once per process.

    `precision`: FULL; HALF, which is the generator's; BFLOAT16, the generator's and the judges', all but the detector.
    `sources` are as in `describe`. Raises UnknownNameError, WeightsError for a missing file or another sha256, and
    ConfigError for a device that this machine does not have.
    """
    return _load(name, device, precision, sources)


@lru_cache(maxsize=2)
def _load(name: str, device: str, precision: str, sources: Sources | None) -> Domain:
    import torch

    module = _module(name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.startswith("cuda") and int(device.partition(":")[2] or 0) >= count:
        raise ConfigError(
            f"[machine] device: expected a device of this machine, found {device!r}: torch sees {count or 'no'} CUDA "
            "devices."
        )
    # By default cuDNN rounds float32 to TF32's ten bits; full precision is float32 on every device.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    with torch.inference_mode(False):  # weights made in that mode can take part in no training
        domain: Domain = module.load(torch.device(device), *_asked(module, name, sources))
        _narrow(domain, precision)
    return domain


def _narrow(domain: Domain, precision: str) -> None:
    """Give a domain's generator and judges their precision."""
    import torch

    from pipeline.networks.bfloat16 import in_bfloat16
    from pipeline.networks.reduced import multiplies_bfloat16

    if precision == HALF:
        domain.generator.synthesis.half_type = torch.float16
    if precision == BFLOAT16:
        if domain.device.type == "cpu" and not multiplies_bfloat16():
            log.warning(
                "precision is bfloat16, and this processor has no instructions for it: images take longer than in full "
                "precision. Set [domain.*] precision = full, which gives other numbers."
            )
        domain.generator.synthesis.half_type = torch.bfloat16
        for role in NARROWED:
            in_bfloat16(getattr(domain, role))

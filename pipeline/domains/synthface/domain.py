"""The synthface domain: procedural faces with known truth, and networks trained on them; all embedded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.domains.base import Domain, DomainCard
from pipeline.errors import WeightsError
from pipeline.networks.cards import read_card

if TYPE_CHECKING:
    import torch

FOLDER = Path(__file__).parent / "weights"
ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "reader")
SUMMARY = "procedural faces at 64 px, rendered with known truth; embedded, needs no network"


def weights_path(role: str) -> Path:
    """The path of a role's weights file."""
    return FOLDER / f"{role}.safetensors"


def card_of(role: str) -> dict[str, Any]:
    """The model card of a role. Raises WeightsError if it is missing or invalid."""
    return read_card(weights_path(role))


def describe() -> DomainCard:
    """The domain's card; imports no torch."""
    from pipeline.networks import mtcnn_weights

    cards = {role: card_of(role) for role in ROLES}
    weights = {role: str(card["sha256"]) for role, card in cards.items()}
    perception = cards["perception"]["arguments"]
    return DomainCard(
        name="synthface",
        summary=SUMMARY,
        resolution=64,
        feature_width=int(perception["feature_width"]),
        classes=int(perception["classes"]),
        weights={**weights, "detector": mtcnn_weights.DIGEST},
        networks={role: f"synthface-{role}-{sha256[:8]}" for role, sha256 in weights.items()}
        | {"detector": "mtcnn", "mtcnn": "mtcnn-onet256"},
        channels=int(cards["generator"]["architecture"]["channels"]["64"]),
    )


def load(device: torch.device) -> Domain:
    """The domain with its networks on a device. Raises WeightsError."""
    from pipeline.domains.synthface.factors import attributes_of
    from pipeline.domains.synthface.parts import parts_of
    from pipeline.domains.synthface.truth import truth_factors
    from pipeline.networks.detector import Detector
    from pipeline.networks.files import load_network
    from pipeline.networks.perception import Perception
    from pipeline.networks.recognizer import Recognizer
    from pipeline.networks.scorer import Scorer
    from pipeline.networks.truth_reader import Reader
    from stylegan.weights import WeightsFileError, load_generator

    card = describe()
    try:
        generator = load_generator(weights_path("generator"), card.weights["generator"])
    except WeightsFileError as error:
        raise WeightsError(str(error)) from error
    return Domain(
        card=card,
        device=device,
        generator=generator.to(device),
        scorer_a=load_network(Scorer, weights_path("scorer_a"), device),
        scorer_b=load_network(Scorer, weights_path("scorer_b"), device),
        recognizer_a=load_network(Recognizer, weights_path("recognizer_a"), device),
        recognizer_b=load_network(Recognizer, weights_path("recognizer_b"), device),
        perception=load_network(Perception, weights_path("perception"), device),
        detector=Detector().to(device),
        mean_distance=float(card_of("generator")["mean_distance"]),
        truth=lambda w: attributes_of(truth_factors(w)),
        parts=lambda w, attribute: parts_of(w, attribute, card.resolution),
        reader=load_network(Reader, weights_path("reader"), device),
    )


def part_map(w: torch.Tensor, size: int) -> tuple[torch.Tensor, tuple[str, ...]]:
    """The true part of each pixel in the faces of w (N, 512): indices (N, size, size) into the names, and the names."""
    from pipeline.domains.synthface.factors import PARTS
    from pipeline.domains.synthface.renderer import render
    from pipeline.domains.synthface.truth import truth_factors

    masks = render(truth_factors(w.cpu()), size, masks=True).masks
    assert masks is not None
    return masks.argmax(dim=1), PARTS

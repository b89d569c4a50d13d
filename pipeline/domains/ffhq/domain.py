"""The ffhq domain: an FFHQ generator, scorers trained on labelled photographs, and published judges.

The truth is not known, so the domain has no true values, no parts and no truth reader.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.domains.base import Domain, DomainCard
from pipeline.domains.ffhq import files
from pipeline.domains.files import File, left_out
from pipeline.errors import WeightsError
from pipeline.settings.downloads import Sources
from pipeline.weights.store import STAND_IN, open_store

if TYPE_CHECKING:
    import torch

    from stylegan.generator import Generator

ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception", "lpips")
FILE_KEYS = tuple(files.DEFAULT)  # of [domain.ffhq] in luigi.cfg
MADE = files.OWN  # roles with a file that our commands write
FEATURE_WIDTH, CLASSES = 2048, 1008  # as in pipeline.networks.inception, which imports torch
SUMMARY = "portraits in FFHQ's alignment at {} px; official generator and judges, scorers of your own training"
STAND_IN_SUMMARY = "STAND-INS in place of official networks, at {} px: they try the machinery, no number means anything"


def look(sources: Sources) -> dict[str, File]:
    """Role -> the state of its file. Raises ConfigError, UnknownNameError."""
    return files.look(sources)


def weights_path(role: str, sources: Sources) -> Path:
    """The path of a role's file, whether or not it exists."""
    return look(sources)[role].path


def card_of(role: str, sources: Sources) -> dict[str, Any]:
    """The card of a role's network; for a published file, only its sha256."""
    file = look(sources)[role]
    return file.card or {"sha256": file.sha256}


def describe(sources: Sources) -> DomainCard:
    """The domain's card; imports no torch. Raises WeightsError, which lists all missing files."""
    from pipeline.networks import mtcnn_weights

    store = open_store(sources.downloads)
    found = files.look(sources, store)
    lacking = files.lacking(found, store.folder)
    if lacking:
        raise WeightsError(lacking)
    if found["scorer_a"].sha256 == found["scorer_b"].sha256:
        raise WeightsError(
            f"{found['scorer_a'].path} and {found['scorer_b'].path} are the same network: A trains, B only judges. "
            "Train another one for B, with --role b."
        )
    stand_in = any(file.state == STAND_IN for file in found.values())
    architecture = found["generator"].card["architecture"]
    resolution = int(architecture["resolution"])
    return DomainCard(
        name=files.DOMAIN,
        summary=(STAND_IN_SUMMARY if stand_in else SUMMARY).format(resolution),
        resolution=resolution,
        feature_width=FEATURE_WIDTH,
        classes=CLASSES,
        weights={role: found[role].sha256 for role in ROLES} | {"detector": mtcnn_weights.DIGEST},
        networks=_names(found),
        channels=int(architecture.get("channels", {}).get(str(resolution), 0)),
        left_out=left_out(found),
        stand_in=stand_in,
    )


def _names(found: dict[str, File]) -> dict[str, str]:
    """Role -> the network's name in tables, with a prefix for stand-ins and for judges of a stand-in's images."""
    names = {role: f"{found[role].name}-{found[role].sha256[:8]}" for role in ROLES}
    names |= {"detector": "mtcnn", "mtcnn": "mtcnn-onet256"}
    images = found["generator"].state == STAND_IN
    for role, name in names.items():
        if role in found and found[role].state == STAND_IN:
            names[role] = f"stand-in-{name.removeprefix('stand-in-')}"
        elif images:
            names[role] = f"stand-in-images-{name}"
    return names


def load(device: torch.device, sources: Sources) -> Domain:
    """The domain with its networks on a device; every file is hashed first. Raises WeightsError."""
    from pipeline.networks import official
    from pipeline.networks.aligned import AlignedRecognizer
    from pipeline.networks.detector import Detector
    from pipeline.networks.inception import Inception

    card, store, names = describe(sources), open_store(sources.downloads), files.chosen(sources)
    generator = _generator(card, sources)
    return Domain(
        card=card,
        device=device,
        generator=generator.to(device),
        scorer_a=_scorer("scorer_a", device, sources),
        scorer_b=_scorer("scorer_b", device, sources),
        recognizer_a=AlignedRecognizer(official.face_recognizer(names["recognizer_a"], store)).to(device),
        recognizer_b=AlignedRecognizer(official.face_recognizer(names["recognizer_b"], store)).to(device),
        perception=Inception(official.inception(store)).to(device),
        detector=Detector().to(device),
        mean_distance=_mean_distance(generator, sources),
        lpips=official.perceptual_alexnet(store).to(device),
    )


def _generator(card: DomainCard, sources: Sources) -> Generator:
    from stylegan.weights import WeightsFileError, load_generator

    try:
        return load_generator(weights_path("generator", sources), card.weights["generator"])
    except WeightsFileError as error:
        raise WeightsError(str(error)) from error


def _scorer(role: str, device: torch.device, sources: Sources) -> Any:
    from pipeline.networks.files import load_network
    from pipeline.networks.resized import ResizedScorer
    from pipeline.networks.scorer import Scorer

    file = look(sources)[role]
    scorer = load_network(Scorer, file.path, device, "Train it again: latentbench scorer train --help")
    return ResizedScorer(scorer, file.card["resolution"]).eval()


def _mean_distance(generator: Generator, sources: Sources) -> float:
    """The mean distance in the generator's card, which the import recorded; otherwise measured with the same seed."""
    recorded = card_of("generator", sources).get("mean_distance")
    if isinstance(recorded, float | int) and recorded > 0:
        return float(recorded)
    from stylegan.distance import mean_distance, rounded

    return rounded(mean_distance(generator))

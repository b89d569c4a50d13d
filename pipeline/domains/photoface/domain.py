"""The photoface domain: a student of StyleGAN2 FFHQ, judges of real faces, and scorers that come with the package.

The truth is not known, so the domain has no true values, no parts and no truth reader.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.domains.base import Domain, DomainCard
from pipeline.domains.files import File, left_out
from pipeline.domains.photoface import files
from pipeline.errors import WeightsError
from pipeline.settings.downloads import Sources
from pipeline.weights.store import STAND_IN, open_store

if TYPE_CHECKING:
    import torch

ROLES = ("generator", "scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "perception")
FILE_KEYS: tuple[str, ...] = ()  # [domain.photoface] names no files: all are known by their sha256
MADE = tuple(files.TRUNKS)  # roles with a file that does not come from other people
# Roles in the table of weights that label faces for the training of scorers, and that no run reads.
NOT_IN_RUNS = (
    "face_api_age_gender_manifest",
    "face_api_age_gender_weights",
    "face_api_face_expression_manifest",
    "face_api_face_expression_weights",
    "face_api_face_landmark_68_manifest",
    "face_api_face_landmark_68_weights",
    "human_emotion_graph",
    "human_emotion_weights",
    "human_facemesh_graph",
    "human_facemesh_weights",
)
RESOLUTION = 1024
CODES = 16  # that the generator reads; StyleGAN2 has two more at this resolution
CHANNELS = 16  # at 1024 px, which hold as much as the 64 of its largest block, at 512 px
FEATURE_WIDTH, CLASSES = 1280, 1000  # as in pipeline.networks.efficientnet, which imports torch
EMBEDDING = 1024  # of recognizer B, as in pipeline.networks.human
SUMMARY = "photoreal faces at 1024 px by a student of StyleGAN2 FFHQ; files of other people, fetched by one command"
STAND_IN_SUMMARY = "STAND-INS in place of published networks: they try the machinery, no number means anything"


def look(sources: Sources) -> dict[str, File]:
    """Role -> the state of its files."""
    return files.look(sources)


def weights_path(role: str, sources: Sources) -> Path:
    """The path of a role's first file, whether or not it exists."""
    return look(sources)[role].path


def card_of(role: str, sources: Sources) -> dict[str, Any]:
    """The card of a role's network; for published files, only their sha256."""
    file = look(sources)[role]
    return file.card or {"sha256": file.sha256}


def describe(sources: Sources) -> DomainCard:
    """The domain's card; imports no torch. Raises WeightsError, which names all missing networks."""
    from pipeline.networks import mtcnn_weights

    store = open_store(sources.downloads)
    found = files.look(sources, store)
    lacking = files.lacking(found, store.folder)
    if lacking:
        raise WeightsError(lacking)
    stand_in = any(file.state == STAND_IN for file in found.values())
    prefix = "stand-in-" if stand_in else ""
    names = {role: f"{prefix}{found[role].name}-{found[role].sha256[:8]}" for role in ROLES}
    return DomainCard(
        name=files.DOMAIN,
        summary=STAND_IN_SUMMARY if stand_in else SUMMARY,
        resolution=RESOLUTION,
        feature_width=FEATURE_WIDTH,
        classes=CLASSES,
        weights={role: found[role].sha256 for role in ROLES} | {"detector": mtcnn_weights.DIGEST},
        networks=names | {"detector": f"{prefix}mtcnn", "mtcnn": f"{prefix}mtcnn-onet256"},
        channels=CHANNELS,
        layers=CODES,
        embedding=EMBEDDING,
        left_out=left_out(found),
        stand_in=stand_in,
    )


def load(device: torch.device, sources: Sources) -> Domain:
    """The domain with its networks on a device; every file is hashed first. Raises WeightsError."""
    from pipeline.domains.photoface.networks import read_generator, read_recognizers, read_scorer
    from pipeline.networks.detector import Detector
    from pipeline.networks.efficientnet import LITE1, read_efficientnet

    card, store = describe(sources), open_store(sources.downloads)
    found = files.look(sources, store)
    checkpoint, recognizers = read_generator(store), read_recognizers(store, centred=True)
    return Domain(
        card=card,
        device=device,
        generator=checkpoint.generator.to(device),
        scorer_a=read_scorer(found["scorer_a"], store, device),
        scorer_b=read_scorer(found["scorer_b"], store, device),
        recognizer_a=recognizers["recognizer_a"].to(device),
        recognizer_b=recognizers["recognizer_b"].to(device),
        perception=read_efficientnet(store.require("efficientnet-lite1"), LITE1).to(device),
        detector=Detector().to(device),
        mean_distance=checkpoint.mean_distance,
    )

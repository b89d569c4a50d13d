"""The networks of the photoface domain, read from verified files in the weights folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.domains.files import File
from pipeline.domains.photoface import centres, files
from pipeline.errors import WeightsError
from pipeline.weights.store import Store

if TYPE_CHECKING:
    import torch

    from pipeline.networks.crops import CroppedRecognizer
    from pipeline.networks.lite_scorer import LiteScorer
    from stylegan.checkpoints.mobile import MobileCheckpoint


def read_generator(store: Store) -> MobileCheckpoint:
    """The generator, on the CPU. Raises WeightsError."""
    from stylegan.checkpoints.mobile import read_mobile
    from stylegan.weights import WeightsFileError

    paths = {name: store.require(name) for name in files.FETCHED["generator"]}
    expected = {path.name: store.verify(store.weight(name)).sha256 for name, path in paths.items()}
    try:
        return read_mobile(paths["photoface-mapping-xml"], paths["photoface-synthesis-xml"], expected_sha256=expected)
    except WeightsFileError as error:
        raise WeightsError(str(error)) from error


def read_recognizers(store: Store, *, centred: bool) -> dict[str, CroppedRecognizer]:
    """Role -> recognizer, on the CPU, centred by the mean descriptor or not. Raises WeightsError."""
    import torch

    from pipeline.networks.crops import DESCRIPTOR, HUMAN, CroppedRecognizer
    from pipeline.networks.face_api.resnet import read_recognizer
    from pipeline.networks.human import FaceDescriptor, read_description

    paths = {role: [store.require(name) for name in files.FETCHED[role]] for role in centres.ROLES}
    a, b = read_recognizer(*paths["recognizer_a"]), FaceDescriptor(read_description(*paths["recognizer_b"]))
    centre = {role: torch.tensor(_centre(role, store)) if centred else None for role in centres.ROLES}
    made = {
        "recognizer_a": CroppedRecognizer(a, DESCRIPTOR, a.dimensions, centre["recognizer_a"]),
        "recognizer_b": CroppedRecognizer(b, HUMAN, b.dimensions, centre["recognizer_b"]),
    }
    return {role: recognizer.eval().requires_grad_(False) for role, recognizer in made.items()}


def _centre(role: str, store: Store) -> list[float]:
    return centres.centre_of(role, files.fetched("generator", store).sha256, files.fetched(role, store).sha256)


def read_scorer(file: File, store: Store, device: torch.device) -> LiteScorer:
    """A scorer from the file of its head and its published trunk. Raises WeightsError."""
    from pipeline.networks.lite_scorer import read_lite_scorer

    return read_lite_scorer(file.path, store.require(files.TRUNKS[file.role]), device, files.REMEDY)

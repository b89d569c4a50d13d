"""MTCNN's three weight files inside the facenet-pytorch wheel: their folder and their sha256.

Imports no torch, so that a domain can be described without it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import WeightsError
from pipeline.storage.files import file_sha256
from pipeline.storage.fingerprint import bytes_sha256

SHA256: dict[str, str] = {
    "pnet.pt": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet.pt": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet.pt": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}

# One sha256 for all three files, used in fingerprints and in the table of runs.
DIGEST: str = bytes_sha256("".join(SHA256.values()).encode())


def folder() -> Path:
    """The folder with the weights in the installed facenet-pytorch. Raises WeightsError without the package."""
    spec = find_spec("facenet_pytorch")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError("The detector's weights come in the wheel of facenet-pytorch: pip install facenet-pytorch")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def check(directory: Path | None = None) -> None:
    """Check the sha256 of the files in `directory`, by default `folder()`. Raises WeightsError with the file's name."""
    directory = directory or folder()
    for name, expected in SHA256.items():
        path = directory / name
        if not path.is_file():
            raise WeightsError(f"MTCNN's {name} is missing: expected at {path}. Install facenet-pytorch again.")
        sha256 = file_sha256(path)
        if sha256 != expected:
            raise WeightsError(
                f"MTCNN's {path} has sha256 {sha256}, expected {expected}. Install facenet-pytorch again."
            )

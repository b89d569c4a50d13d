"""A weights folder of the photoface domain in miniature: a small generator, random judges and scorers, all stand-ins.

`lay_out` makes it once; `use` is enough to describe the domain and to load it from a copy.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from pipeline.attributes import NAMES
from pipeline.domains.photoface import centres, domain, files, measuring
from pipeline.networks.files import save_network
from pipeline.networks.lite_scorer import LiteHead
from pipeline.weights.store import Store
from pipeline.weights.table import read_table
from stylegan.checkpoints import mobile
from stylegan.mobile.measured import Measured
from tests.builders import efficientnet_file, human_files, mobile_files, tfjs_files

RESOLUTION = 64
CHANNELS = {4: 16, 8: 12, 16: 8, 32: 8}
CODES = 8
MEAN_DISTANCE = 20.0
# Of a head: the trunk's features, and its maps over a grid, four of them twice.
INPUTS = 1280 + 2 * 7 * 7 * (16 + 24 + 40 + 112) + 4 * 4 * 320


def contents() -> dict[str, bytes]:
    """The bytes of each file by its name in the table of weights."""
    found: dict[str, bytes] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        generator = mobile_files.make_mobile(resolution=RESOLUTION, channels=CHANNELS, z_dim=512, w_dim=512)
        pairs = dict(zip(("mapping", "synthesis"), mobile_files.write_mobile(generator, folder), strict=True))
        for part, path in pairs.items():
            found[f"photoface-{part}-xml"] = path.read_bytes()
            found[f"photoface-{part}-bin"] = path.with_suffix(".bin").read_bytes()
        tensors = tfjs_files.face_api("face_recognition")
        judges = {
            "face-api-face-recognition": tfjs_files.write(folder, "resnet", tensors),
            "human-faceres": human_files.description(folder),
        }
        for stem, (path, data) in judges.items():
            found |= {f"{stem}-json": path.read_bytes(), f"{stem}-bin": data.read_bytes()}
        for variant, blocks in (("lite0", efficientnet_file.LITE0), ("lite1", efficientnet_file.LITE1)):
            torch.save(efficientnet_file.state(blocks), folder / "net.pth")
            found[f"efficientnet-{variant}"] = (folder / "net.pth").read_bytes()
    return found


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Let the domain take scorers and centres from `folder`, and have the facts of the small generator."""
    monkeypatch.setattr(files, "FOLDER", folder / "package")
    monkeypatch.setattr(centres, "FILE", folder / "centres.json")
    monkeypatch.setattr(mobile, "measured", lambda sha256: Measured(torch.zeros(512), MEAN_DISTANCE, 1))
    for fact, value in {"RESOLUTION": RESOLUTION, "CODES": CODES, "CHANNELS": CHANNELS[32]}.items():
        monkeypatch.setattr(domain, fact, value)
    return Store(folder, read_table())


def lay_out(folder: Path) -> Path:
    """The files of a run as stand-ins in `folder`, with scorers and centres of their own."""
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patched:
        store = use(folder, patched)
        for name, data in contents().items():
            (folder / "draft").write_bytes(data)
            store.stand_in(store.weight(name), folder / "draft")
        for role in files.TRUNKS:
            put_scorer(files.FOLDER, role)
        measuring.main(store, faces=3)
    return folder


def put_scorer(folder: Path, role: str, **facts: object) -> None:
    """A scorer with a random head, and its card."""
    torch.manual_seed(sum(role.encode()))
    arguments = {"trunk": files.TRUNKS[role], "inputs": INPUTS}
    card = {"attributes": list(NAMES), "left_out": {}, "measured": {}} | facts
    save_network(LiteHead(**arguments).eval(), folder / f"{role}.safetensors", arguments, card)

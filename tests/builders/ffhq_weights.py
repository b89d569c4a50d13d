"""A weights folder of the ffhq domain whose files are cards and a few bytes: enough to describe it, not to load it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline.weights.store import Store
from pipeline.weights.table import read_table

PUBLISHED = ("inception", "alexnet", "vggface2", "casia-webface")
OWN = ("ffhq-1024", "ffhq-scorer-a", "ffhq-scorer-b")


def put(folder: Path, stem: str, **facts: Any) -> None:
    """A file of our own and its card."""
    folder.mkdir(exist_ok=True)
    data = stem.encode()
    (folder / f"{stem}.safetensors").write_bytes(data)
    card: dict[str, Any] = {"sha256": hashlib.sha256(data).hexdigest()}
    if "scorer" in stem:
        card |= {"resolution": 128, "arguments": {"architecture": "plain", "width": 2}}
    else:
        card |= {"architecture": {"resolution": 1024, "z_dim": 512, "w_dim": 512}, "name": stem}
    (folder / f"{stem}.json").write_text(json.dumps(card | facts))


def lay_out(folder: Path, *, stand_in: bool = False) -> Store:
    """Every file of the domain; those of other people are stand-ins."""
    for stem in OWN:
        put(folder, stem, stand_in=stand_in)
    store = Store(folder, read_table())
    for name in PUBLISHED:
        draft = folder / "draft"
        draft.write_bytes(name.encode())
        store.stand_in(store.weight(name), draft)
    return store

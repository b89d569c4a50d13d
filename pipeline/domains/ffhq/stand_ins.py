"""Stand-ins for every file of the ffhq domain: the program runs with them, but its numbers mean nothing.

A random generator would show no faces. The stand-in is synthface's generator, widened to the architecture of NVIDIA's
256-px FFHQ network (`paper256`): its images are synthface's 64-px faces, enlarged. The scorers are synthface's too.
Recognizers, Inception and AlexNet have the published shapes and random weights.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.attributes import NAMES
from pipeline.domains.ffhq import files
from pipeline.domains.synthface import domain as synthface
from pipeline.errors import UnknownNameError, WeightsError
from pipeline.progress import Display
from pipeline.settings.downloads import Sources, load_sources
from pipeline.weights.marks import is_marked, mark
from pipeline.weights.store import MISSING, STAND_IN, Store
from pipeline.weights.table import read_table

RESOLUTION, BASE = 256, 16384  # channel_base of ffhq-res256-mirror-paper256-noaug.pkl
# Channels of the generator above 64 px; None means NVIDIA's channels at all resolutions. "narrow" is far faster.
SHAPES: dict[str, dict[int, int] | None] = {"paper256": None, "narrow": {128: 16, 256: 8}}
SCORER_RESOLUTION = 64
SEEDS = {"vggface2": 1, "casia-webface": 2, "inception": 3, "alexnet": 4}
LOCK_WAIT = 60.0  # seconds to wait for another process that makes the same file
NOTE = "a stand-in, made to try the machinery: no number that it takes part in means anything"  # part of every file


def make(folder: Path, shape: str = "paper256") -> list[Path]:
    """Write a stand-in for every file of the domain into a separate folder; returns their paths.

    They have the names that luigi.cfg gives to the published files, and are marked as stand-ins in the files and in
    cards or records. Existing stand-ins are kept. `shape`, in SHAPES, is the shape of the generator. Raises
    UnknownNameError for another shape. Raises WeightsError, before anything is written, if the folder holds a file of
    one of these names that is not a stand-in.
    """
    if shape not in SHAPES:
        raise UnknownNameError("shape", shape, SHAPES)
    store = Store(folder.absolute(), read_table())
    sources = load_sources(files.DOMAIN)
    _refuse_others(store, sources)
    store.folder.mkdir(parents=True, exist_ok=True)
    names = files.chosen(sources)
    makers: dict[str, Callable[[Path], None]] = {
        names["generator"]: lambda path: _generator(path, SHAPES[shape]),
        names["scorer_a"]: lambda path: _scorer("scorer_a", path),
        names["scorer_b"]: lambda path: _scorer("scorer_b", path),
    }
    written = []
    with Display("stand-ins", len(makers) + len(SEEDS), "files") as display:
        for name, maker in makers.items():
            if not (store.folder / name).is_file():
                maker(store.folder / name)
            written.append(store.folder / name)
            display.update(len(written))
        for name in SEEDS:
            written.append(_published(name, store))
            display.update(len(written))
    return written


def _refuse_others(store: Store, sources: Sources) -> None:
    """Raise WeightsError for a folder that holds files of these names that are not stand-ins."""
    others = [str(file.path) for file in files.look(sources, store).values() if file.state not in (MISSING, STAND_IN)]
    others += [str(store.path(weight)) for weight in store.table.values() if _real(weight.name, store)]
    if others:
        raise WeightsError(
            f"{store.folder} holds files that are not stand-ins: {', '.join(dict.fromkeys(others))}. Expected an empty "
            "folder, or a folder with only stand-ins, so that nobody confuses the two. Nothing was written; choose "
            "another folder with --to."
        )


def _real(name: str, store: Store) -> bool:
    return store.standing(store.weight(name)).state not in (MISSING, STAND_IN)


def _generator(path: Path, added: dict[int, int] | None) -> None:
    from stylegan.architecture import Architecture, default_channels
    from stylegan.weights import load_generator, save_generator
    from stylegan.widening import widened

    small = load_generator(synthface.weights_path("generator"), str(synthface.card_of("generator")["sha256"]))
    architecture = Architecture(
        resolution=RESOLUTION,
        channels=small.architecture.channels | added if added else default_channels(RESOLUTION, channel_base=BASE),
        z_dim=small.z_dim,
        w_dim=small.w_dim,
        mapping_layers=small.architecture.mapping_layers,
        conv_clamp=small.architecture.conv_clamp,
    )
    large = widened(small, architecture)
    distance = synthface.card_of("generator")["mean_distance"]  # the mapping network, and so the distance, is the same
    save_generator(large, path, _card(f"stand-in-ffhq-{RESOLUTION}", "generator") | {"mean_distance": distance})


def _scorer(role: str, path: Path) -> None:
    import torch

    from pipeline.networks.files import load_network, save_network
    from pipeline.networks.scorer import Scorer

    network = load_network(Scorer, synthface.weights_path(role), torch.device("cpu"))
    facts = {"resolution": SCORER_RESOLUTION, "attributes": list(NAMES), "left_out": {}, "measured": {}}
    arguments = synthface.card_of(role)["arguments"]
    save_network(network, path, arguments, _card(f"stand-in-{role.replace('_', '-')}", role) | facts)


def _card(name: str, role: str) -> dict[str, Any]:
    origin = {"sha256": synthface.card_of(role)["sha256"], "domain": "synthface"}
    return {"name": name, "role": role, "domain": files.DOMAIN, "stand_in": True, "note": NOTE, "made_from": origin}


def _published(name: str, store: Store) -> Path:
    """Make and record a stand-in for a file in the table of weights: random weights in the same format."""
    import torch

    from pipeline.networks import stand_ins

    weight = store.weight(name)
    if store.verify(weight).state == STAND_IN and is_marked(store.path(weight)):
        return store.path(weight)
    data = io.BytesIO()  # torch writes a file's name into the file, so equal weights would give different bytes
    if name == "inception":
        torch.jit.save(stand_ins.inception(SEEDS[name]), data)
    elif name == "alexnet":
        torch.save(stand_ins.alexnet_features(SEEDS[name]), data)
    else:
        torch.save(stand_ins.recognizer(SEEDS[name]), data)
    mark(data, NOTE)
    draft = store.folder / f".{weight.file}.draft"
    with store.held(weight, LOCK_WAIT):
        draft.write_bytes(data.getbuffer())
        return store.stand_in(weight, draft).path

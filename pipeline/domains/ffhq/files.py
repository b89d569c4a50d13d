"""The files of the ffhq domain: which are needed, what is here, and how to get what is not. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, WeightsError
from pipeline.networks.cards import read_card
from pipeline.settings.downloads import load_files
from pipeline.weights.store import MISSING, PRESENT, STAND_IN, UNVERIFIED, WRONG, Store, open_store
from pipeline.weights.table import find
from pipeline.weights.telling import in_size

DOMAIN = "ffhq"
# What [domain.ffhq] of luigi.cfg may change: files in the weights folder, and names of `latentbench weights list`.
DEFAULT = {
    "generator": "ffhq-1024.safetensors",
    "scorer_a": "ffhq-scorer-a.safetensors",
    "scorer_b": "ffhq-scorer-b.safetensors",
    "recognizer_a": "vggface2",
    "recognizer_b": "casia-webface",
}
OWN = ("generator", "scorer_a", "scorer_b")  # written by our own commands, with a card beside each
RECOGNIZERS = ("vggface2", "casia-webface")
SUFFIX = ".safetensors"


@dataclass(frozen=True)
class File:
    """What is known of the file of one role, without hashing more than is needed.

    `state` is one of `pipeline.weights.store`'s; `name` is the network's, as tables print it, `told` what is wrong and
    what to do, empty for a file that is present. `card` is empty for files of other people.
    """

    role: str
    path: Path
    state: str
    name: str
    sha256: str
    card: dict[str, Any]
    told: str = ""

    @property
    def usable(self) -> bool:
        """Whether a run can go on with it: the file, or a stand-in."""
        return self.state in (PRESENT, STAND_IN)


def chosen() -> dict[str, str]:
    """Role -> file name or name in the table, by luigi.cfg. Raises ConfigError, UnknownNameError."""
    names = load_files(DOMAIN, DEFAULT)
    for role in OWN:
        name = names[role]
        if Path(name).name != name or name.startswith(".") or not name.endswith(SUFFIX):
            raise ConfigError(
                f"[domain.{DOMAIN}] {role}: expected the name of a {SUFFIX} file in the weights folder, found {name!r}."
            )
    for role in ("recognizer_a", "recognizer_b"):
        if names[role] not in RECOGNIZERS:
            raise ConfigError(f"[domain.{DOMAIN}] {role}: expected {' or '.join(RECOGNIZERS)}, found {names[role]!r}.")
    for one, other in (("scorer_a", "scorer_b"), ("recognizer_a", "recognizer_b")):
        if names[one] == names[other]:
            raise ConfigError(
                f"[domain.{DOMAIN}] {one} and {other} are both {names[one]!r}: A trains, and what judges never "
                "trained. Expected two different ones."
            )
    return names


def look(store: Store | None = None) -> dict[str, File]:
    """Role -> what is known of its file here. Raises ConfigError, UnknownNameError for settings that name no file."""
    store, names = store or open_store(), chosen()
    found = {role: _own(role, names[role], store) for role in OWN}
    others = {"recognizer_a": names["recognizer_a"], "recognizer_b": names["recognizer_b"]}
    others |= {"perception": "inception", "lpips": "alexnet"}
    return found | {role: _published(role, name, store) for role, name in others.items()}


def lacking(found: dict[str, File], folder: Path) -> str:
    """What is missing or wrong, in one text, and where each file comes from; empty if nothing is."""
    bad = [file for file in found.values() if not file.usable]
    if not bad:
        return ""
    lines = [
        f"Domain {DOMAIN} lacks {len(bad)} of {len(found)} files in {folder}: {', '.join(file.role for file in bad)}. "
        f"latentbench doctor --domain {DOMAIN} checks them."
    ]
    lines += [f"  {file.role}: {file.told}" for file in bad]
    lines += [
        "docs/ffhq.md goes from nothing to a full run. To try the machinery without these files, make stand-ins: "
        f"latentbench weights stand-in {DOMAIN} --to DIR"
    ]
    return "\n".join(lines)


def _own(role: str, name: str, store: Store) -> File:
    """A file that one of our own commands wrote, by its card; its bytes are hashed when they are read."""
    path = store.folder / name
    if not path.is_file():
        told = f"missing, expected {path} and its card {path.with_suffix('.json').name}. {_making(role, path, store)}"
        return File(role, path, MISSING, "", "", {}, told)
    try:
        card = read_card(path, _making(role, path, store))
        _check(role, path, card)
    except WeightsError as error:
        return File(role, path, WRONG, "", "", {}, str(error))
    stand_in = card.get("stand_in") is True
    told = f"{path} is a stand-in: it has the shapes of a trained network and means nothing." if stand_in else ""
    title = str(card.get("name") or path.stem)
    return File(role, path, STAND_IN if stand_in else PRESENT, title, card["sha256"], card, told)


def _check(role: str, path: Path, card: dict[str, Any]) -> None:
    """Raise WeightsError for a card that does not say what the domain must know of this role."""
    if role == "generator":
        architecture = card.get("architecture")
        if not isinstance(architecture, dict) or type(architecture.get("resolution")) is not int:
            raise WeightsError(f"The card of {path} has no architecture with a resolution. Import it again.")
        widths = [architecture.get("z_dim"), architecture.get("w_dim")]
        if widths != [512, 512]:
            raise WeightsError(f"{path}: expected z and w of 512 numbers, as every table here has, found {widths}.")
    elif type(card.get("resolution")) is not int or not isinstance(card.get("arguments"), dict):
        raise WeightsError(f"The card of {path} does not say `resolution` and `arguments` of a scorer. Train it again.")


def _making(role: str, path: Path, store: Store) -> str:
    """Which commands make a file of our own."""
    if role != "generator":
        return f"Train it: latentbench scorer train --from ffhq --images DIR --labels DIR --role {role[-1]} --to {path}"
    weight = store.table.get(path.stem)
    if weight is None:
        return f"Import a StyleGAN2 checkpoint: latentbench weights import FILE --to {path}"
    imports = f"latentbench weights import {store.path(weight)} --to {store.folder} --name {weight.name}"
    if store.path(weight).is_file():
        return f"Import it: {imports}"
    fetches = f"latentbench weights fetch {weight.name} (from {weight.url}, {in_size(weight)})"
    return f"Fetch and import it: {fetches}, then {imports}"


def _published(role: str, name: str, store: Store) -> File:
    """A file of the table of weights, hashed only if it changed since it was recorded."""
    weight = find([name], store.table)[0]
    standing = store.standing(weight)
    if standing.state == UNVERIFIED:
        standing = store.verify(weight)
    names = {"perception": Path(weight.file).stem, "lpips": "lpips-alex"}
    title = names.get(role, f"inceptionresnetv1-{name}")
    told = "" if standing.state == PRESENT else standing.reason
    if standing.state == MISSING:
        told = (
            f"missing, expected {standing.path}. Fetch it: latentbench weights fetch {name} (from {weight.url}, "
            f"{in_size(weight)})"
        )
    return File(role, standing.path, standing.state, title, standing.sha256, {}, told)

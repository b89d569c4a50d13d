"""The files of the ffhq domain: the file of each role, its state, and how to get a missing one. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.domains.files import File
from pipeline.errors import ConfigError, UnknownNameError, WeightsError
from pipeline.networks.cards import read_card
from pipeline.settings.downloads import Sources
from pipeline.weights.store import MISSING, PRESENT, STAND_IN, UNVERIFIED, WRONG, Store, open_store
from pipeline.weights.table import find
from pipeline.weights.telling import in_size

DOMAIN = "ffhq"
# The defaults of [domain.ffhq] in luigi.cfg: files in the weights folder, and names of `latentbench weights list`.
DEFAULT = {
    "generator": "ffhq-1024.safetensors",
    "scorer_a": "ffhq-scorer-a.safetensors",
    "scorer_b": "ffhq-scorer-b.safetensors",
    "recognizer_a": "vggface2",
    "recognizer_b": "casia-webface",
}
OWN = ("generator", "scorer_a", "scorer_b")  # written by our commands, each with a card
RECOGNIZERS = ("vggface2", "casia-webface")
SUFFIX = ".safetensors"


def chosen(sources: Sources) -> dict[str, str]:
    """Role -> file name, or name in the table of weights, from luigi.cfg. Raises ConfigError, UnknownNameError."""
    names = DEFAULT | dict(sources.files)
    for key in names:
        if key not in DEFAULT:
            raise UnknownNameError(f"key of [domain.{DOMAIN}] in luigi.cfg", key, DEFAULT)
    for role in OWN:
        name = names[role]
        if Path(name).name != name or name.startswith(".") or not name.endswith(SUFFIX):
            raise ConfigError(
                f"[domain.{DOMAIN}] {role}: expected the name of a {SUFFIX} file in the weights folder, found {name!r}."
            )
    for role in ("recognizer_a", "recognizer_b"):
        if names[role] not in RECOGNIZERS:
            raise ConfigError(f"[domain.{DOMAIN}] {role}: expected {' or '.join(RECOGNIZERS)}, found {names[role]!r}.")
    for role_a, role_b in (("scorer_a", "scorer_b"), ("recognizer_a", "recognizer_b")):
        if names[role_a] == names[role_b]:
            raise ConfigError(
                f"[domain.{DOMAIN}] {role_a} and {role_b} are both {names[role_a]!r}: A is used in training, and B "
                "must not be. Expected two different networks."
            )
    return names


def look(sources: Sources, store: Store | None = None) -> dict[str, File]:
    """Role -> its file and state. Raises ConfigError, UnknownNameError for settings that name no file."""
    store, names = store or open_store(sources.downloads), chosen(sources)
    made = {role: _own(role, names[role], store) for role in OWN}
    published = {"recognizer_a": names["recognizer_a"], "recognizer_b": names["recognizer_b"]}
    published |= {"perception": "inception", "lpips": "alexnet"}
    return made | {role: _published(role, name, store) for role, name in published.items()}


def lacking(found: dict[str, File], folder: Path) -> str:
    """One text on all missing and wrong files, with the command that gets each; empty if all are usable."""
    bad = [file for file in found.values() if not file.usable]
    if not bad:
        return ""
    lines = [
        f"Domain {DOMAIN} lacks {len(bad)} of {len(found)} files in {folder}: {', '.join(file.role for file in bad)}. "
        f"latentbench doctor --domain {DOMAIN} checks them."
    ]
    lines += [f"  {file.role}: {file.reason}" for file in bad]
    lines += [
        "docs/howto/ffhq.md describes all steps to a full run. To try the program without these files, make stand-ins: "
        f"latentbench weights stand-in {DOMAIN} --to DIR"
    ]
    return "\n".join(lines)


def _own(role: str, name: str, store: Store) -> File:
    """The state of a file that our commands write, from its card; the file is hashed later, when it is loaded."""
    path = store.folder / name
    if not path.is_file():
        reason = f"missing, expected {path} and its card {path.with_suffix('.json').name}. {_making(role, path, store)}"
        return File(role, path, MISSING, "", "", {}, reason)
    try:
        card = read_card(path, _making(role, path, store))
        _check(role, path, card)
    except WeightsError as error:
        return File(role, path, WRONG, "", "", {}, str(error))
    stand_in = card.get("stand_in") is True
    reason = (
        f"{path} is a stand-in: it has a trained network's shapes, and its numbers mean nothing." if stand_in else ""
    )
    title = str(card.get("name") or path.stem)
    return File(role, path, STAND_IN if stand_in else PRESENT, title, card["sha256"], card, reason)


def _check(role: str, path: Path, card: dict[str, Any]) -> None:
    """Raise WeightsError for a card without the facts that the domain needs for this role."""
    if role == "generator":
        architecture = card.get("architecture")
        if not isinstance(architecture, dict) or type(architecture.get("resolution")) is not int:
            raise WeightsError(f"The card of {path} has no architecture with a resolution. Import it again.")
        widths = [architecture.get("z_dim"), architecture.get("w_dim")]
        if widths != [512, 512]:
            raise WeightsError(f"{path}: expected z and w of 512 numbers, as in all tables, found {widths}.")
    elif type(card.get("resolution")) is not int or not isinstance(card.get("arguments"), dict):
        raise WeightsError(f"The card of {path} does not say `resolution` and `arguments` of a scorer. Train it again.")


def _making(role: str, path: Path, store: Store) -> str:
    """The commands that make a file of a role in OWN."""
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
    """The state of a file in the table of weights; it is hashed only if it changed since it was recorded."""
    weight = find([name], store.table)[0]
    standing = store.standing(weight)
    if standing.state == UNVERIFIED:
        standing = store.verify(weight)
    names = {"perception": Path(weight.file).stem, "lpips": "lpips-alex"}
    title = names.get(role, f"inceptionresnetv1-{name}")
    reason = "" if standing.state == PRESENT else standing.reason
    if standing.state == MISSING:
        reason = (
            f"missing, expected {standing.path}. Fetch it: latentbench weights fetch {name} (from {weight.url}, "
            f"{in_size(weight)})"
        )
    return File(role, standing.path, standing.state, title, standing.sha256, {}, reason)

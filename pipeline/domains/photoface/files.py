"""The files of the photoface domain, network by network: their state, and how to get them. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pipeline.domains.files import File
from pipeline.domains.photoface import centres
from pipeline.errors import WeightsError
from pipeline.networks.cards import read_card
from pipeline.settings.downloads import Sources
from pipeline.storage.fingerprint import digest
from pipeline.weights.store import MISSING, PRESENT, STAND_IN, UNVERIFIED, WRONG, Standing, Store, open_store

DOMAIN = "photoface"
FOLDER = Path(__file__).parent  # of what comes with the package: scorers and centres
# Role -> the files that make its network, by their names in the table of weights.
FETCHED = {
    "generator": (
        "photoface-mapping-xml",
        "photoface-mapping-bin",
        "photoface-synthesis-xml",
        "photoface-synthesis-bin",
    ),
    "recognizer_a": ("face-api-face-recognition-json", "face-api-face-recognition-bin"),
    "recognizer_b": ("human-faceres-json", "human-faceres-bin"),
    "perception": ("efficientnet-lite1",),
}
# Scorers come with the package, but for their trunks. A is in losses, so its trunk is no judge's.
TRUNKS = {"scorer_a": "efficientnet-lite0", "scorer_b": "efficientnet-lite1"}
TITLES = {
    "generator": "mobilestylegan-ffhq",
    "recognizer_a": "face-api-dlib-resnet",
    "recognizer_b": "human-faceres",
    "perception": "efficientnet-lite1",
}
FETCH = f"latentbench weights fetch {DOMAIN}"
REMEDY = "It comes with the package: install latentbench again."
WORST_FIRST = (MISSING, WRONG, UNVERIFIED, STAND_IN, PRESENT)


def look(sources: Sources, store: Store | None = None) -> dict[str, File]:
    """Role -> its file and state. A network of several files is in the state of the worst of them."""
    store = store or open_store(sources.downloads)
    found = {role: fetched(role, store) for role in FETCHED}
    for role in centres.ROLES:
        found[role] = _centred(found[role], found["generator"])
    return found | {role: _scorer(role, store) for role in TRUNKS}


def lacking(found: dict[str, File], folder: Path) -> str:
    """One text on all missing and wrong files, with the command that gets them; empty if all are usable."""
    bad = [file for file in found.values() if not file.usable]
    if not bad:
        return ""
    lines = [f"Domain {DOMAIN} lacks {len(bad)} of {len(found)} networks in {folder}: {_named(bad)}."]
    missing = [file for file in bad if file.state == MISSING and file.name]
    if missing:
        lines.append(f"  {_named(missing)}: missing. Fetch all files (docs/explanation/photoface.md): {FETCH}")
    lines += [f"  {file.role}: {file.reason}" for file in bad if file not in missing]
    lines.append(f"latentbench doctor --domain {DOMAIN} checks them.")
    return "\n".join(lines)


def _named(files: list[File]) -> str:
    return ", ".join(file.role for file in files)


def fetched(role: str, store: Store) -> File:
    """The state of a network's published files, without a recognizer's centre.

    Each file is hashed only if it changed since it was recorded.
    """
    standings = [_standing(name, store) for name in FETCHED[role]]
    worst = min(standings, key=lambda standing: WORST_FIRST.index(standing.state))
    hashes = {standing.weight.name: standing.sha256 for standing in standings}
    sha256 = digest(hashes) if len(hashes) > 1 else standings[0].sha256
    reason = "" if worst.state == PRESENT else worst.reason
    return File(role, standings[0].path, worst.state, TITLES[role], sha256, {}, reason)


def _standing(name: str, store: Store) -> Standing:
    weight = store.weight(name)
    standing = store.standing(weight)
    return store.verify(weight) if standing.state == UNVERIFIED else standing


def _centred(recognizer: File, generator: File) -> File:
    """A recognizer with its centre, which is part of its sha256."""
    if not (recognizer.usable and generator.usable):
        return recognizer
    try:
        centre = centres.centre_of(recognizer.role, generator.sha256, recognizer.sha256)
    except WeightsError as error:
        return File(recognizer.role, recognizer.path, WRONG, recognizer.name, recognizer.sha256, {}, str(error))
    sha256 = digest({"network": recognizer.sha256, "centre": centre})
    return File(recognizer.role, recognizer.path, recognizer.state, recognizer.name, sha256, {}, recognizer.reason)


def _scorer(role: str, store: Store) -> File:
    """The state of a scorer: of its head, from the card, and of its trunk. The head is hashed when it is loaded."""
    path = FOLDER / f"{role}.safetensors"
    if not path.is_file():
        return File(role, path, MISSING, "", "", {}, f"missing, expected {path}. {REMEDY}")
    try:
        card = read_card(path, REMEDY)
    except WeightsError as error:
        return File(role, path, WRONG, "", "", {}, str(error))
    trunk = _standing(TRUNKS[role], store)
    sha256 = digest({"head": card["sha256"], "trunk": trunk.sha256})
    reason = "" if trunk.state == PRESENT else trunk.reason
    return File(role, path, trunk.state, f"{DOMAIN}-{role.replace('_', '-')}", sha256, card, reason)

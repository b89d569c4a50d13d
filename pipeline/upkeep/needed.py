"""The stages that something still needs, by fingerprint: published runs, ablations, and settings as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.chain.links import Chain
from pipeline.errors import StageError, WeightsError
from pipeline.report.archive import ABLATIONS, PREFIX, REPORTS, read_report_manifest
from pipeline.settings.settings import Settings
from pipeline.storage.files import read_json
from pipeline.storage.manifests import MANIFEST
from pipeline.storage.stages import find_stages

NOTHING_REMOVED = "Nothing was removed, since the stages that it needs are not known."


def needed_stages(outputs: Path, current: Iterable[str] = ()) -> frozenset[str]:
    """Fingerprints of the stages of every published run and ablation and of the `current` ones, with all they read.

    Raises StageError for a publication whose manifest is damaged, cannot be read, or names no stage.
    """
    needed = set(current) | _published(outputs) | _ablated(outputs)
    read = {manifest.fingerprint: tuple(manifest.upstream.values()) for manifest in find_stages(outputs)}
    left = list(needed)
    while left:
        more = set(read.get(left.pop(), ())) - needed
        needed |= more
        left += more
    return frozenset(needed)


def current_stages(runs: Iterable[Settings]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Fingerprints of the stages of runs with these settings, and the domains whose stages are not known.

    These lack files, by which their stages are known. Raises ConfigError and UnknownNameError.
    """
    current: set[str] = set()
    unknown: list[str] = []
    for settings in runs:
        try:
            current |= {link.stage.fingerprint for link in Chain(settings).links}
        except WeightsError:
            unknown.append(settings.domain)
    return frozenset(current), tuple(dict.fromkeys(unknown))


def _published(outputs: Path) -> set[str]:
    needed: set[str] = set()
    for folder in sorted((outputs / REPORTS).glob(f"{PREFIX}*")):
        try:
            manifest = read_report_manifest(folder)
        except StageError as error:
            raise StageError(f"{error} {NOTHING_REMOVED}") from error
        needed |= _named(folder, manifest)
    return needed


def _ablated(outputs: Path) -> set[str]:
    needed: set[str] = set()
    for path in sorted((outputs / ABLATIONS).glob(f"*/{MANIFEST}")):
        if ".corrupt-" in path.parent.name:
            continue
        try:
            manifest = read_json(path)
        except ValueError as error:
            raise StageError(f"{path} is no manifest ({error}): move its folder away. {NOTHING_REMOVED}") from error
        needed |= _named(path.parent, manifest)
    return needed


def _named(folder: Path, manifest: Any) -> set[str]:
    """The fingerprints that a publication's manifest names. Raises StageError for one that names none."""
    facts: dict[str, Any] = manifest if isinstance(manifest, dict) else {}
    stages, inputs = facts.get("stages"), facts.get("inputs")
    named = set(inputs) if isinstance(inputs, dict) else set()
    lines = stages if isinstance(stages, list) else []
    named |= {str(line["fingerprint"]) for line in lines if isinstance(line, dict) and "fingerprint" in line}
    if not named:
        raise StageError(
            f"{folder / MANIFEST} names no stage: expected them under `stages` or `inputs`. Move the folder away, or "
            f"publish the run again. {NOTHING_REMOVED}"
        )
    return named

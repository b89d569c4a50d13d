"""The checks of `latentbench doctor`: packages, settings, weights, device, disk, file locks. No torch."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pipeline.domains import base as domains
from pipeline.errors import LatentbenchError, UnknownNameError
from pipeline.execution.cluster import too_few_files
from pipeline.execution.gpus import device_missing
from pipeline.execution.joining import reach
from pipeline.execution.processes import most_open_files
from pipeline.methods import registry
from pipeline.networks import mtcnn_weights
from pipeline.settings.devices import cores
from pipeline.settings.downloads import load_sources
from pipeline.settings.file import find_config, read_config
from pipeline.settings.machine import Machine
from pipeline.storage.files import file_sha256
from pipeline.storage.locks import try_locks
from pipeline.weights.store import MISSING, PRESENT, STAND_IN, Standing, open_store
from pipeline.weights.table import read_table
from pipeline.weights.telling import in_mb

GOOD, WARNING, BAD = "good", "warning", "bad"
SMALLEST_DISK = 2 * 2**30  # bytes; profile `full` writes about as much per method
CONSTRAINTS = "constraints.txt"
FETCH = "latentbench weights fetch"


@dataclass(frozen=True)
class Finding:
    """The result of one check: `state` is GOOD, WARNING or BAD; `message` says what was found and what to do."""

    subject: str
    state: str
    message: str


def diagnose(
    machine: Machine, outputs: Path, domain: str = "", usual: str = "", wrong_settings: str = ""
) -> Iterator[Finding]:
    """Check everything that a run needs, cheap checks first, and the weights of one domain, or of all.

    `wrong_settings`: the error of settings that could not be read. Where all domains are checked, weights that do not
    come with the package may be missing, except for `usual`, the domain of a plain run. Raises UnknownNameError for an
    unknown domain.
    """
    if domain and domain not in domains.names():
        raise UnknownNameError("domain", domain, domains.names())
    yield _python()
    yield from _packages()
    yield Finding("settings", BAD, wrong_settings) if wrong_settings else _settings_file()
    for name, fault in registry.broken().items():
        yield Finding(f"method {name}", WARNING, fault)
    yield _processor(machine)
    yield _open_files(machine)
    yield _device(machine)
    yield from _folder(outputs)
    yield _detector()
    for name in (domain,) if domain else domains.names():
        if not hasattr(import_module(domains.MODULES[name]), "look"):
            yield from _weights(name)
        elif name in (domain, usual):
            yield from _looked_at(name)
        else:
            yield _set_up(name)


def _python() -> Finding:
    installed = platform.python_version()
    supported = SpecifierSet(metadata("latentbench")["Requires-Python"]) if _installed() else SpecifierSet()
    if installed not in supported:
        return Finding("python", BAD, f"{installed}; expected {supported}")
    return Finding("python", GOOD, installed)


def _installed() -> bool:
    try:
        return bool(version("latentbench"))
    except PackageNotFoundError:
        return False


def constraints() -> dict[str, str]:
    """Package -> tested version, from the packaged list or the list of the checkout; empty without a list."""
    here = Path(__file__).resolve()
    for path in (here.parents[1] / CONSTRAINTS, here.parents[2] / CONSTRAINTS):
        if path.is_file():
            lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
            pairs = (line.split("==") for line in lines if "==" in line)
            return {_canonical(name): pin for name, pin in pairs}
    return {}


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _packages() -> Iterator[Finding]:
    """Check every required package: installed, within its bounds, of the tested version."""
    if not _installed():
        yield Finding("packages", WARNING, "latentbench itself is not installed: pip install -c constraints.txt -e .")
        return
    requirements = [Requirement(text) for text in requires("latentbench") or ()]
    tested = constraints()
    as_tested = 0
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = requirement.name
        pin = tested.get(_canonical(name), "")
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield Finding(name, BAD, f"not installed; expected {pin or requirement}: pip install {name}=={pin}")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            yield Finding(name, BAD, f"{installed} is installed, expected {requirement.specifier}")
        elif pin and installed.partition("+")[0] != pin:
            yield Finding(name, WARNING, f"{installed} is installed; {pin} was tested: pip install {name}=={pin}")
        else:
            as_tested += 1
    yield Finding("packages", GOOD, f"{as_tested} packages as tested")


def _settings_file() -> Finding:
    try:
        path = find_config()
        read_config(path)
    except LatentbenchError as error:
        return Finding("settings", BAD, str(error))
    return Finding("settings", GOOD, str(path))


def _processor(machine: Machine) -> Finding:
    if machine.uses_scheduler:
        return _scheduler(machine)
    message = f"{cores()} cores; {machine.workers} workers with {machine.threads} threads each"
    return Finding("workers", GOOD, message)


def _scheduler(machine: Machine) -> Finding:
    try:
        reach(machine.scheduler)
    except LatentbenchError as error:
        return Finding("workers", BAD, str(error))
    return Finding("workers", GOOD, f"the Dask scheduler {machine.scheduler} listens, and has its own")


def _open_files(machine: Machine) -> Finding:
    lack = too_few_files(machine)
    return Finding("open files", BAD if lack else GOOD, lack or f"up to {most_open_files():,}")


def _device(machine: Machine) -> Finding:
    lack = device_missing(machine)
    if lack:
        return Finding("device", BAD, lack)
    if machine.uses_scheduler:
        return Finding("device", GOOD, machine.device)
    if not machine.device.startswith("cuda"):
        return Finding("device", GOOD, f"{machine.device}; {_narrow()}")
    # In a separate process, because the scheduling process never loads torch.
    question = f"import torch; print(torch.cuda.is_available() and torch.cuda.get_device_name({machine.device!r}))"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    name = answer.stdout.strip()
    if name in ("", "False"):
        return Finding("device", BAD, "cuda is set, but torch sees no CUDA device: set [machine] device = cpu")
    return Finding("device", GOOD, f"{machine.device}: {name}")


@cache
def _narrow() -> str:
    """What this processor makes of `precision = bfloat16`, asked once, in a separate process, which loads torch."""
    question = "from pipeline.networks.reduced import multiplies_bfloat16; print(multiplies_bfloat16())"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    multiplies = answer.stdout.strip() == "True"
    return "multiplies bfloat16" if multiplies else "does not multiply bfloat16: precision = full is faster here"


def _folder(outputs: Path) -> Iterator[Finding]:
    """Check that the outputs folder can be written, has room, and locks files."""
    there = next(path for path in (outputs.absolute(), *outputs.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    state = GOOD if free >= SMALLEST_DISK else WARNING
    yield Finding("disk", state, f"{free / 2**30:.1f} GiB free at {there}" + ("" if state == GOOD else "; make room"))
    try:
        try_locks(there)
    except OSError as error:
        message = f"{there} cannot be written and locked ({error.strerror}): choose another folder with --outputs"
        yield Finding("file locks", BAD, message)
    else:
        yield Finding("file locks", GOOD, f"work at {there}")


def _detector() -> Finding:
    """Check the weights of MTCNN, which come with facenet-pytorch and serve every domain."""
    try:
        mtcnn_weights.check()
    except LatentbenchError as error:
        return Finding("weights detector", BAD, str(error))
    return Finding("weights detector", GOOD, f"{len(mtcnn_weights.SHA256)} files with the known sha256")


def _weights(domain: str) -> Iterator[Finding]:
    """Check that every weight file of a domain is there and has the sha256 of its card."""
    try:
        card = domains.describe(domain)
        module = import_module(domains.MODULES[domain])
    except LatentbenchError as error:
        yield Finding(f"weights {domain}", BAD, str(error))
        return
    good = 0
    for role in module.ROLES:
        path: Path = module.weights_path(role)
        try:
            found = file_sha256(path)
        except OSError as error:
            yield Finding(f"weights {domain} {role}", BAD, f"{path}: {error.strerror}; install latentbench again")
            continue
        if found != card.weights[role]:
            message = f"{path} has sha256 {found}, expected {card.weights[role]}; install latentbench again"
            yield Finding(f"weights {domain} {role}", BAD, message)
        else:
            good += 1
    yield Finding(f"weights {domain}", GOOD, f"{good} files with the sha256 of their cards")


def _looked_at(domain: str) -> Iterator[Finding]:
    """Check the files of a domain that does not come with the package: hash each, or say how to get it."""
    module = import_module(domains.MODULES[domain])
    try:
        found = module.look(load_sources(domain))
    except LatentbenchError as error:
        yield Finding(f"domain {domain}", BAD, str(error))
        return
    for role, file in found.items():
        if file.card:
            yield _own_file(f"weights {domain} {role}", file)
        elif file.role in module.MADE:  # not there, or not one that the domain can use
            yield Finding(f"weights {domain} {role}", BAD, file.reason)
    missing = {role for role, file in found.items() if file.state == MISSING}
    yield from _fetched(domain, set(module.MADE) - missing, frozenset(getattr(module, "NOT_IN_RUNS", ())))
    try:
        card = domains.describe(domain)
    except LatentbenchError as error:
        lacking = [role for role, file in found.items() if not file.usable]
        message = f"lacks {', '.join(lacking)}, as said above" if lacking else str(error).partition("\n")[0]
        yield Finding(f"domain {domain}", BAD, message)
    else:
        yield Finding(f"domain {domain}", WARNING if card.stand_in else GOOD, card.summary)


def _own_file(subject: str, file: Any) -> Finding:
    """Check a file against the sha256 of its card."""
    found, expected = file_sha256(file.path), file.card["sha256"]
    if found != expected:
        return Finding(subject, BAD, f"{file.path} has sha256 {found}, its card {expected}: make it again")
    if file.state == STAND_IN:
        return Finding(subject, WARNING, file.reason)
    return Finding(subject, GOOD if file.usable else BAD, file.reason or f"{file.path}, sha256 {found}")


def _set_up(domain: str) -> Finding:
    """Say whether a domain that was not named could run."""
    try:
        message = domains.describe(domain).summary
    except LatentbenchError:
        message = f"not set up, and needed for --domain {domain} alone: latentbench doctor --domain {domain} says how"
    return Finding(f"domain {domain}", GOOD, message)


def _fetched(domain: str, skip: set[str], spare: frozenset[str]) -> Iterator[Finding]:
    """Check the third-party files of a domain: one for each role, with its sha256.

    Roles in `skip` have their converted file already. No run needs a file of a role in `spare`.
    """
    weights = [weight for weight in read_table().values() if weight.domain == domain and weight.role not in skip]
    if not weights:
        return
    try:
        store = open_store()
        standings = [store.verify(weight) for weight in weights]
    except LatentbenchError as error:
        yield Finding(f"weights {domain}", BAD, str(error))
        return
    roles = list(dict.fromkeys(weight.role for weight in weights))
    gone = [weight for weight, standing in zip(weights, standings, strict=True) if standing.state == MISSING]
    if len(gone) > 1 and len(roles) == len(weights):  # one command fetches them all
        state = BAD if any(weight.role not in spare for weight in gone) else WARNING
        size = in_mb(sum(weight.size for weight in gone))
        message = f"{len(gone)} of {len(weights)} files are missing in {store.folder}: {FETCH} {domain} ({size})"
        yield Finding(f"weights {domain}", state, message)
        standings = [standing for standing in standings if standing.state != MISSING]
    for role in roles:
        yield from _filling(domain, role, [standing for standing in standings if standing.weight.role == role], spare)


def _filling(domain: str, role: str, filling: list[Standing], spare: frozenset[str]) -> Iterator[Finding]:
    """The states of the files that can fill a role, of which one is enough."""
    present = [standing for standing in filling if standing.state == PRESENT]
    for standing in filling:
        subject = f"weights {domain} {role} {standing.weight.name}"
        if standing.state == PRESENT:
            yield Finding(subject, GOOD, f"{standing.path}, sha256 {standing.sha256}")
        elif standing.state == STAND_IN:
            yield Finding(subject, WARNING, standing.reason)
        elif standing.state != MISSING:
            yield Finding(subject, WARNING if role in spare else BAD, standing.reason)
        elif not present:
            others = "" if len(filling) == 1 else f" One of {len(filling)} files for this role is enough."
            yield Finding(subject, WARNING if role in spare else BAD, standing.reason + others)

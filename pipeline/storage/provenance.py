"""Provenance of a result: commit, packages and machine, kept in every manifest."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.settings.devices import cores
from pipeline.storage.files import file_sha256
from pipeline.storage.fingerprint import bytes_sha256

if TYPE_CHECKING:
    from pipeline.settings.machine import Machine

# Packages whose version can change a number or a file.
PACKAGES = (
    "clean-fid",
    "dask",
    "distributed",
    "facenet-pytorch",
    "lpips",
    "luigi",
    "numpy",
    "pandas",
    "pyarrow",
    "pytorch-msssim",
    "safetensors",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
)


# Files that decide a number, apart from packages and weights (which have their own sha256): sources, cards, tables.
CODE = ("stylegan", "pipeline", "tasks")
CODE_SUFFIXES = (".py", ".json", ".toml", ".npz")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """sha256 over the files of our packages that can decide a number, by path and content; read once per process."""
    return digest_of(Path(__file__).resolve().parents[2])


def digest_of(root: Path) -> str:
    """The same of the packages under a folder."""
    paths = (path for package in CODE for path in (root / package).rglob("*") if path.suffix in CODE_SUFFIXES)
    named = sorted((path.relative_to(root).as_posix(), path) for path in paths)
    return bytes_sha256("".join(f"{name} {file_sha256(path)}\n" for name, path in named).encode())


@lru_cache(maxsize=1)
def package_versions() -> dict[str, str]:
    """Installed version of Python and of every package that computes; packages that are not installed are left out."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


@lru_cache(maxsize=1)
def code_commit() -> str:
    """The commit of this code, with `+changes` if the tree is dirty; `release VERSION` outside a checkout.

    A checkout that merely contains our installed copy does not count: this very file must be tracked in it.
    """
    here = Path(__file__).resolve()
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is not None:
        commit = _git(here.parent, "rev-parse", "HEAD")
        if commit:
            dirty = _git(here.parent, "status", "--porcelain", "--untracked-files=no")
            return commit + ("+changes" if dirty else "")
    try:
        return f"release {version('latentbench')}"
    except PackageNotFoundError:
        return "unknown"


def machine_facts(machine: Machine) -> dict[str, Any]:
    """Host, processor, cores, memory, device with its driver, workers and threads, on which the speed depends."""
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": _memory_gib(),
        "device": machine.device,
        "devices": list(machine.devices),
        "device_name": ", ".join(_gpu_names()) if machine.device.startswith("cuda") else "",
        "driver": _driver() if machine.device.startswith("cuda") else "",
        "executor": machine.executor,
        "scheduler": machine.scheduler,
        "workers": machine.workers,
        "threads": machine.threads,
        "train_threads": machine.train_threads,
        "shard_size": machine.shard_size,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of git; None without git or a checkout.

    Git writes nothing: a run that is killed here would leave a lock behind, which stops the user's next commit.
    """
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """The processor's name as the kernel tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    """Memory of the machine in GiB, 0 where it cannot be known."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (OSError, ValueError):
        return 0.0


def _gpu_names() -> list[str]:
    """NVIDIA devices that the driver lists, by name; empty without one. Needs no torch."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in path.read_text().splitlines():
            if line.startswith("Model:"):
                names.append(line.partition(":")[2].strip())
    return names


def _driver(path: Path = Path("/proc/driver/nvidia/version")) -> str:
    """Version of the NVIDIA driver, empty without one."""
    try:
        first = path.read_text().partition("\n")[0]
    except OSError:
        return ""
    return next((word for word in first.split() if re.fullmatch(r"\d+(\.\d+)+", word)), "")

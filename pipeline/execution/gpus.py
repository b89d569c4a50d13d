"""The GPUs of this machine, asked of NVIDIA's driver without torch, and which of them a worker process sees."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version

from pipeline.errors import ConfigError
from pipeline.settings.devices import CUDA, EXPECTED, closest, is_device
from pipeline.settings.machine import Machine

VISIBLE = "CUDA_VISIBLE_DEVICES"
LIBRARY = "libnvidia-ml.so.1"


def device_count() -> int:
    """GPUs that the driver of this machine has; 0 without one. Starts no CUDA in this process."""
    try:
        driver = ctypes.CDLL(LIBRARY)
    except OSError:
        return 0
    count = ctypes.c_uint(0)
    if driver.nvmlInit_v2():
        return 0
    try:
        return 0 if driver.nvmlDeviceGetCount_v2(ctypes.byref(count)) else int(count.value)
    finally:
        driver.nvmlShutdown()


def visible_devices() -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES calls each GPU that this process may use, in the order of cuda:0, cuda:1, ...

    Where the variable is set it has the last word; an entry of -1 hides itself and what follows it, as CUDA has it.
    """
    count = device_count()
    named = os.environ.get(VISIBLE)
    if named is None or not count:
        return tuple(str(index) for index in range(count))
    entries = [entry.strip() for entry in named.split(",")]
    hidden = next((place for place, entry in enumerate(entries) if entry in ("", "-1")), len(entries))
    return tuple(entries[:hidden])


def device_missing(machine: Machine) -> str:
    """What is wrong with machine.device, if our processes cannot use it, and what to do; else empty."""
    if machine.uses_scheduler or not machine.device.startswith(CUDA):
        return ""
    lack = missing(machine.device)
    return f"[machine] {lack}" if lack else ""


def check_device(device: str) -> None:
    """Raise ConfigError, with the closest known name, unless a text names a device that this process can use."""
    if not is_device(device):
        raise ConfigError(f"device: expected {EXPECTED}, found {device!r}.{closest(device)}")
    lack = missing(device)
    if lack:
        raise ConfigError(lack)


def missing(device: str) -> str:
    """What is wrong with a device of this machine, such as "cuda:1", and what to do; empty if it can be used.

    NVIDIA's driver is asked, and torch, in a process of its own, where there is no such driver (AMD's GPUs).
    """
    if not device.startswith(CUDA):
        return ""
    number, found = int(device.partition(":")[2] or 0), len(visible_devices())
    if number < found and not version("torch").endswith("+cpu"):
        return ""
    if not found and number < _counted_by_torch():
        return ""
    wants = f"device: expected a device of this machine, found {device!r}"
    if number < found:
        return f"{wants}: the installed torch {version('torch')} knows no CUDA. Run on the CPU: --device cpu."
    there = f"CUDA devices are here: cuda:0 to cuda:{found - 1}" if found else "torch sees no CUDA device"
    hidden = f" {VISIBLE}={os.environ[VISIBLE]} hides others." if VISIBLE in os.environ else ""
    return f"{wants}: {there}.{hidden} Run on the CPU: --device cpu."


def _counted_by_torch() -> int:
    """CUDA devices that torch sees, asked in a process of its own: it never enters the one that schedules."""
    question = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    return int(answer.stdout.strip() or 0) if answer.returncode == 0 else 0


def assigned(devices: Sequence[str]) -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES has to be in the process that has each of the devices, such as "cuda:1", to itself.

    Raises ConfigError if one of them is not there.
    """
    found = visible_devices()
    numbers = [int(device.partition(":")[2]) for device in devices]
    missing = [device for device, number in zip(devices, numbers, strict=True) if number >= len(found)]
    if missing:
        there = f" (cuda:0 to cuda:{len(found) - 1})" if found else ""
        hidden = f" {VISIBLE}={os.environ[VISIBLE]} hides others." if VISIBLE in os.environ else ""
        raise ConfigError(
            f"[machine] devices: expected {len(devices)} CUDA devices ({', '.join(devices)}), found {len(found)}"
            f"{there}.{hidden} Name those that are there, or run on the CPU: --device cpu."
        )
    return tuple(found[number] for number in numbers)

"""The GPUs of this machine, read from NVIDIA's driver without torch, and the GPU that each worker process sees."""

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
    """Number of GPUs of the NVIDIA driver; 0 without a driver. Does not start CUDA in this process."""
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
    """The names in CUDA_VISIBLE_DEVICES of the GPUs that this process may use, in the order of cuda:0, cuda:1, ...

    Without the variable, the indices of all GPUs. As in CUDA, an entry of -1 hides itself and all later entries.
    """
    count = device_count()
    named = os.environ.get(VISIBLE)
    if named is None or not count:
        return tuple(str(index) for index in range(count))
    entries = [entry.strip() for entry in named.split(",")]
    hidden = next((index for index, entry in enumerate(entries) if entry in ("", "-1")), len(entries))
    return tuple(entries[:hidden])


def device_missing(machine: Machine) -> str:
    """The fault and the remedy if our processes cannot use machine.device; otherwise empty."""
    if machine.uses_scheduler or not machine.device.startswith(CUDA):
        return ""
    lack = missing(machine.device)
    return f"[machine] {lack}" if lack else ""


def check_device(device: str) -> None:
    """Raise ConfigError, with the closest known name, unless the text names a device that this process can use."""
    if not is_device(device):
        raise ConfigError(f"device: expected {EXPECTED}, found {device!r}.{closest(device)}")
    lack = missing(device)
    if lack:
        raise ConfigError(lack)


def missing(device: str) -> str:
    """The fault and the remedy for a device such as "cuda:1"; empty if it can be used.

    Asks NVIDIA's driver. Without that driver (AMD's GPUs) it asks torch in a separate process.
    """
    if not device.startswith(CUDA):
        return ""
    number, count = int(device.partition(":")[2] or 0), len(visible_devices())
    if number < count and not version("torch").endswith("+cpu"):
        return ""
    if not count and number < _counted_by_torch():
        return ""
    fault = f"device: expected a device of this machine, found {device!r}"
    if number < count:
        return f"{fault}: the installed torch {version('torch')} knows no CUDA. Run on the CPU: --device cpu."
    available = f"CUDA devices are here: cuda:0 to cuda:{count - 1}" if count else "torch sees no CUDA device"
    hidden = f" {VISIBLE}={os.environ[VISIBLE]} hides others." if VISIBLE in os.environ else ""
    return f"{fault}: {available}.{hidden} Run on the CPU: --device cpu."


def _counted_by_torch() -> int:
    """Number of CUDA devices that torch sees, read in a separate process, so that this one never imports torch."""
    question = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    return int(answer.stdout.strip() or 0) if answer.returncode == 0 else 0


def assigned(devices: Sequence[str]) -> tuple[str, ...]:
    """The value of CUDA_VISIBLE_DEVICES for the worker process of each device, such as "cuda:1".

    Raises ConfigError if this machine does not have one of the devices.
    """
    visible = visible_devices()
    numbers = [int(device.partition(":")[2]) for device in devices]
    missing = [device for device, number in zip(devices, numbers, strict=True) if number >= len(visible)]
    if missing:
        available = f" (cuda:0 to cuda:{len(visible) - 1})" if visible else ""
        hidden = f" {VISIBLE}={os.environ[VISIBLE]} hides others." if VISIBLE in os.environ else ""
        raise ConfigError(
            f"[machine] devices: expected {len(devices)} CUDA devices ({', '.join(devices)}), found {len(visible)}"
            f"{available}.{hidden} Name available devices, or run on the CPU: --device cpu."
        )
    return tuple(visible[number] for number in numbers)

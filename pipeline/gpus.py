"""The GPUs of this machine, asked of NVIDIA's driver without torch, and which of them a worker process shall see."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from pipeline.errors import ConfigError

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


def assigned(devices: Sequence[str]) -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES shall be in the process that has each of the devices, such as "cuda:1", to itself.

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

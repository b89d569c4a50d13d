"""The machine: where and how a run computes, which changes no number."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.settings.devices import EXPECTED, closest, is_device
from pipeline.settings.file import (
    Section,
)
from stylegan.sampling import BLOCK

MOST_DEVICES = 64
SCHEDULER = re.compile(r"(?:(?:tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):(\d{1,5})/?")


@dataclass(frozen=True)
class Machine:
    """How the work is done. Nothing here is part of a fingerprint.

    `devices` are the GPUs of this machine that get a worker process each, such as ("cuda:0", "cuda:1"); empty: one.
    """

    device: str = "cpu"
    devices: tuple[str, ...] = ()
    executor: str = "dask"
    scheduler: str = ""
    workers: int = 1
    threads: int = 1
    train_threads: int = 1
    shard_size: int = 1024
    lock_wait: float = 0.0
    check_disk: bool = True

    @property
    def uses_scheduler(self) -> bool:
        """Whether the work goes to an existing Dask cluster, whose devices and limits are not this machine's."""
        return self.executor == "dask" and bool(self.scheduler)

    @property
    def workers_of_our_own(self) -> int:
        """Worker processes of a cluster that we start: one for each GPU, else `workers`."""
        return max(1, len(self.devices)) if self.device.startswith("cuda") else self.workers

    @property
    def trains_side_by_side(self) -> bool:
        """Whether a training needs no more than its worker's threads, so that every worker can train a method."""
        return self.executor != "inline" and self.train_threads <= self.threads


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def scheduler_place(address: str) -> tuple[str, int] | None:
    """Host and port of a Dask scheduler's address; None for one of this very process, which has none.

    Raises ValueError for what is no such address.
    """
    if address.startswith("inproc://"):
        return None
    match = SCHEDULER.fullmatch(address)
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise ValueError(address)
    return match[1].strip("[]"), int(match[2])


def _scheduler(section: Section) -> str:
    address = section.text("scheduler", "")
    try:
        if address:
            scheduler_place(address)
    except ValueError:
        raise section.fail(
            "scheduler", "the address of a Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT, or nothing"
        ) from None
    return address


def _device(section: Section) -> str:
    device = section.text("device")
    if not is_device(device):
        raise ConfigError(f"{section.fail('device', EXPECTED)}{closest(device)}")
    return device


def read_machine(section: Section) -> Machine:
    """[machine], checked. Raises ConfigError for what does not fit together or to this machine's cores."""
    available = cores()
    threads = section.number("threads", int, 1, 1024)
    executor = section.choice("executor", ("dask", "inline"))
    workers = section.number("workers", int, 0, 4096) or max(1, available // threads)
    scheduler = _scheduler(section)
    if executor == "dask" and not scheduler and workers * threads > available:
        raise ConfigError(
            f"{section.source('workers', 'threads')}: [machine] workers x threads is {workers} x {threads}, but there "
            f"are {available} cores: torch and Dask would fight for them. Lower one of the two, or set workers = 0."
        )
    device, devices = _device(section), _devices(section)
    if devices and (device != "cuda" or executor != "dask" or scheduler):
        source = section.source("devices", "device", "executor", "scheduler")
        raise ConfigError(
            f"{source}: [machine] devices = {section.text('devices')} starts a worker of our own on each of these "
            f"GPUs, which wants device = cuda, executor = dask and no scheduler; found device = {device}, executor = "
            f"{executor}, scheduler = {scheduler or 'none'}. Change these, or empty devices."
        )
    return Machine(
        device=device,
        devices=devices,
        executor=executor,
        scheduler=scheduler,
        workers=workers,
        threads=threads,
        train_threads=section.number("train_threads", int, 0, 1024) or available,
        shard_size=section.number("shard_size", int, BLOCK, 2**30, multiple=BLOCK),
        lock_wait=section.number("lock_wait", float, 0, 10**7),
        check_disk=section.flag("check_disk", default=True),
    )


def _devices(section: Section) -> tuple[str, ...]:
    """The GPUs of `devices`: 2 or cuda:0, cuda:1 -> ("cuda:0", "cuda:1"); empty: none are named."""
    text = section.text("devices", "")
    if text.isdigit() and 1 <= int(text) <= MOST_DEVICES:
        return tuple(f"cuda:{index}" for index in range(int(text)))
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if len(set(names)) < len(names) or not all(re.fullmatch(r"cuda:(0|[1-9]\d{0,2})", name) for name in names):
        raise section.fail("devices", f"a number from 1 to {MOST_DEVICES}, or different GPUs such as cuda:0, cuda:1")
    return names

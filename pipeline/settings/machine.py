"""The machine: where and how a run computes, which changes no number."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pipeline.errors import ConfigError
from pipeline.settings.devices import EXPECTED, closest, cores, is_device
from pipeline.settings.file import Section
from pipeline.settings.keys import choice, flag, key, number, read_keys, whole
from stylegan.sampling import BLOCK

MACHINE = "machine"  # section of luigi.cfg
MOST_DEVICES = 64
SCHEDULER = re.compile(r"(?:(?:tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):(\d{1,5})/?")


def scheduler_place(address: str) -> tuple[str, int] | None:
    """Host and port of a Dask scheduler's address; None for a scheduler inside this process, which has none.

    Raises ValueError for a text that is no such address.
    """
    if address.startswith("inproc://"):
        return None
    match = SCHEDULER.fullmatch(address)
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise ValueError(address)
    return match[1].strip("[]"), int(match[2])


def _scheduler(section: Section, name: str) -> str:
    address = section.text(name)
    try:
        if address:
            scheduler_place(address)
    except ValueError:
        raise section.fail(
            name, "the address of a Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT, or nothing"
        ) from None
    return address


def _device(section: Section, name: str) -> str:
    device = section.text(name)
    if not is_device(device):
        raise ConfigError(f"{section.fail(name, EXPECTED)}{closest(device)}")
    return device


def _devices(section: Section, name: str) -> tuple[str, ...]:
    """GPUs by number or name: 2 or cuda:0, cuda:1 -> ("cuda:0", "cuda:1"); empty: none are named."""
    text = section.text(name)
    if text.isdigit() and 1 <= int(text) <= MOST_DEVICES:
        return tuple(f"cuda:{index}" for index in range(int(text)))
    names = section.names(name)
    if len(set(names)) < len(names) or not all(re.fullmatch(r"cuda:(0|[1-9]\d{0,2})", device) for device in names):
        raise section.fail(name, f"a number from 1 to {MOST_DEVICES}, or different GPUs such as cuda:0, cuda:1")
    return names


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How the work is done. Nothing here is part of a fingerprint.

    `devices` are the GPUs of this machine that get a worker process each, such as ("cuda:0", "cuda:1"); empty: one.
    `workers` and `train_threads` are at least 1: the 0 of the file stands for a number that depends on the cores.
    """

    device: str = key(MACHINE, _device, "cpu or cuda. A device that is not there is an error, never a silent fallback.")
    devices: tuple[str, ...] = key(
        MACHINE,
        _devices,
        "GPUs of this machine that get a worker process each: a number, or names such as cuda:0, cuda:1, counted among "
        "the GPUs that CUDA_VISIBLE_DEVICES leaves. Needs device = cuda. Empty: one worker on the first.",
        default=(),
    )
    executor: str = choice(
        MACHINE, "dask: shards on a Dask cluster; inline: in this process, for a debugger.", ("dask", "inline")
    )
    scheduler: str = key(
        MACHINE,
        _scheduler,
        "Address of an existing Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT; empty: a LocalCluster of our own. "
        "Anybody who reaches a scheduler can run code on its workers: name one that you trust, and give it TLS "
        "(docs/howto/cluster.md). Its workers need this very code.",
        default="",
    )
    workers: int = whole(
        MACHINE, "Worker processes. 0: one per core; workers x threads may not exceed the cores.", 0, 4096
    )
    threads: int = whole(MACHINE, "Torch threads of each worker.", 1, 1024)
    train_threads: int = whole(
        MACHINE,
        "Threads of a method's training. Up to `threads`, the methods of a run are trained side by side, one on each "
        "worker, each with all labelled latents in memory; with more, one after the other. 0: all cores.",
        0,
        1024,
    )
    shard_size: int = whole(MACHINE, "Ids per shard.", BLOCK, 2**30, unit="ids", multiple=BLOCK)
    lock_wait: float = number(
        MACHINE,
        "Seconds to wait for another run that is computing a stage which both need; 0: say so and stop. The very same "
        "run is never waited for: a second one says so and stops.",
        0,
        10**7,
    )
    check_disk: bool = flag(
        MACHINE,
        "Whether a run that needs more disk than is free stops before it computes anything; false: it only says so.",
        default=True,
    )

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


def read_machine(section: Section) -> Machine:
    """[machine], checked. Raises ConfigError for what does not fit together or to this machine's cores."""
    machine, available = read_keys(Machine, {MACHINE: section}), cores()
    machine = replace(
        machine,
        workers=machine.workers or max(1, available // machine.threads),
        train_threads=machine.train_threads or available,
    )
    ours = machine.executor == "dask" and not machine.scheduler
    if ours and machine.workers * machine.threads > available:
        raise ConfigError(
            f"{section.source('workers', 'threads')}: [machine] workers x threads is {machine.workers} x "
            f"{machine.threads}, but there are {available} cores: torch and Dask would fight for them. Lower one "
            "of the two, or set workers = 0."
        )
    if machine.devices and not (ours and machine.device == "cuda"):
        source = section.source("devices", "device", "executor", "scheduler")
        raise ConfigError(
            f"{source}: [machine] devices = {section.text('devices')} starts a worker of our own on each of these "
            f"GPUs, which needs device = cuda, executor = dask and no scheduler; found device = {machine.device}, "
            f"executor = {machine.executor}, scheduler = {machine.scheduler or 'none'}. Change these, or empty devices."
        )
    return machine


# One worker on the CPU: the machine of what needs no settings file.
ONE_WORKER = Machine(
    device="cpu", executor="dask", workers=1, threads=1, train_threads=1, shard_size=1024, lock_wait=0.0
)

"""Disks that fill, that take no writes, that vanish: small file systems in memory, mounted for the try."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.faults.ground import METHODS, Ground, lost, published
from benchmarks.faults.outcome import Case, Fault, NotPossibleError, Verdict, verdict

SIZES_KIB = (128, 1024)  # of a disk on which a run begins
ROOM_KIB = (0, 32, 128, 400)  # that is left when the last stages begin
INLINE = ("--executor", "inline")
UNCHECKED = ("--set", "machine.check_disk=false")
VERBS: dict[str, tuple[str, ...]] = {
    "run": INLINE,
    "plan": (),
    "invalidate": ("--from", "edits", "--yes"),
    "nightly": INLINE,
}
FULL = "Disk full"
NOT_WRITTEN = {"run": "Nothing can be written", "nightly": "Read-only", "invalidate": "Read-only"}


def faults() -> list[Fault]:
    """The faults of this file."""
    return [
        Fault("small-disk", "a disk that fills, the check before a run off", _small_disks),
        Fault("too-small-disk", "the same with the check before a run", _refused),
        Fault("read-only", "outputs that take no writes: run, plan, invalidate, nightly", _read_only),
        Fault("outputs-gone", "the outputs folder removed, or renamed and back, during a run", _gone),
    ]


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Path]:
    """A file system in memory, or what the options name, mounted on a folder. Raises NotPossibleError."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount(*options, str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise NotPossibleError("mounting a file system needs root")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotPossibleError(f"mounting is not allowed here ({done.stderr.strip()})")


def _small_disks(ground: Ground) -> Iterator[Case]:
    for kib in SIZES_KIB:
        yield Case(f"{kib}-kib", partial(_small_disk, name=f"disk-{kib}", kib=kib, words=(FULL,)))
    for kib in ROOM_KIB:
        yield Case(f"room-{kib}-kib", partial(_small_disk, name=f"room-{kib}", kib=kib, words=(FULL,), late=True))


def _refused(ground: Ground) -> Iterator[Case]:
    yield Case("512-kib", partial(_small_disk, name="too-small", kib=512, more=()))


def _small_disk(
    ground: Ground,
    *,
    name: str,
    kib: int,
    words: Sequence[str] = (),
    more: Sequence[str] = UNCHECKED,
    late: bool = False,
) -> Verdict:
    """Run until the disk is full, make it larger, and run again."""
    source = ground.late(name) if late else None
    disk = (source.parent if source else ground.empty(name)) / "disk"
    with mounted(disk, "-t", "tmpfs", "-o", "size=64m", "tmpfs"):
        outputs = disk / "outputs"
        if source:
            shutil.copytree(source, outputs, symlinks=True)
        used = shutil.disk_usage(disk).used // 1024
        _mount("-o", f"remount,size={used + kib}k", str(disk))
        before = published(outputs)
        ended = ground.run(outputs, *more, *INLINE)
        if ended.code == 0:
            return Verdict(0, 0, notes=(f"{kib} KiB hold all of it",))
        faults = ended.faults([2, 30], *words)
        if list(outputs.glob("reports/*")):
            faults.append("a report was published")
        _mount("-o", "remount,size=64m", str(disk))
        faults += ground.resumed(outputs, *INLINE)
        return verdict(faults, lost(before, outputs))


def _read_only(ground: Ground) -> Iterator[Case]:
    for verb in VERBS:
        yield Case(verb, lambda ground, verb=verb: _read_only_verb(ground, verb))


def _read_only_verb(ground: Ground, verb: str) -> Verdict:
    """A verb on outputs that lack a stage and take no writes. `plan` must work; the others must say why they cannot."""
    outputs = ground.copy(f"read-only-{verb}")
    shutil.rmtree(outputs / "stages" / "rating")
    with mounted(outputs, "--bind", str(outputs)):
        _mount("-o", "remount,ro,bind", str(outputs))
        methods = () if verb == "invalidate" else METHODS
        ended = ground.start(verb, outputs, *VERBS[verb], methods=methods).end()
    return verdict(ended.faults([0]) if verb == "plan" else ended.faults([2, 30], NOT_WRITTEN[verb]))


def _gone(ground: Ground) -> Iterator[Case]:
    for case in ("removed", "renamed"):
        yield Case(case, lambda ground, case=case: _outputs_gone(ground, case))


def _outputs_gone(ground: Ground, case: str) -> Verdict:
    """While workers compute, the folder goes away. Renamed, it comes back; removed, all is computed again."""
    outputs = ground.late(f"gone-{case}")
    aside = outputs.with_name("aside")
    command = ground.start("run", outputs)
    if not command.wait_for(lambda: list(outputs.glob("stages/rates/*"))):
        return verdict(command.end().faults([0]) or ["it ended before"])
    before = published(outputs)
    os.rename(outputs, aside)
    if case == "removed":
        shutil.rmtree(aside)
    faults = command.end().faults([2, 30])
    if case == "removed":
        return verdict(faults + ground.resumed(outputs))
    shutil.rmtree(outputs, ignore_errors=True)
    os.rename(aside, outputs)
    faults += ground.resumed(outputs)
    return verdict(faults, lost(before, outputs))

"""Disks that fill, that take no writes, that vanish: small file systems in memory, mounted for the try."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults.ground import METHODS, Ground, published
from benchmarks.faults.outcome import Case, Fault, NotPossibleError, Verdict, verdict

SIZES_KIB = (128, 512, 1024, 1536, 2048, 2560, 3072)
UNCHECKED = ("--set", "machine.check_disk=false")
VERBS: dict[str, tuple[str, ...]] = {
    "run": ("--executor", "inline"),
    "plan": (),
    "invalidate": ("--from", "edits", "--yes"),
    "nightly": ("--executor", "inline"),
}
FULL = "Disk full"
NOT_WRITTEN = {"run": "Nothing can be written", "nightly": "Read-only", "invalidate": "Read-only"}


def faults() -> list[Fault]:
    """The faults of this file."""
    return [
        Fault("small-disk", "a disk of 128 KiB to 3 MiB that fills, the check before a run off", _small_disks),
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
    for size in SIZES_KIB:
        yield Case(f"{size}-kib", lambda ground, size=size: _small_disk(ground, size, UNCHECKED, (FULL,)))


def _refused(ground: Ground) -> Iterator[Case]:
    yield Case("512-kib", lambda ground: _small_disk(ground, 512, (), ()))


def _small_disk(ground: Ground, kib: int, more: Sequence[str], words: Sequence[str]) -> Verdict:
    """Run until the disk is full, make it larger, and run again."""
    name = f"disk-{kib}"
    with mounted(ground.empty(name) / "disk", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs") as disk:
        outputs = disk / "outputs"
        ended = ground.run(outputs, *more, "--executor", "inline")
        if ended.code == 0:
            return Verdict(0, 0, notes=(f"{kib} KiB hold the whole run",))
        faults = ended.faults([2, 30], *words)
        if list(outputs.glob("reports/*")):
            faults.append("a report was published")
        before = published(outputs)
        _mount("-o", "remount,size=64m", str(disk))
        faults += ground.resumed(outputs, "--executor", "inline")
        return verdict(faults, sum(published(outputs).get(stage) != began for stage, began in before.items()))


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
    outputs = ground.empty(f"gone-{case}") / "outputs"
    aside = outputs.with_name("aside")
    command = ground.start("run", outputs)
    if not command.wait_for(lambda: len(published(outputs)) >= 6):
        return verdict(command.end().faults([0]) or ["it ended before"])
    before = published(outputs)
    os.rename(outputs, aside)
    if case == "removed":
        shutil.rmtree(aside)
    ended = command.end()
    if case == "renamed":
        shutil.rmtree(outputs, ignore_errors=True)
        os.rename(aside, outputs)
    faults = ended.faults([2, 30]) + ground.resumed(outputs)
    after = published(outputs)
    again = sum(after.get(stage) != began for stage, began in before.items()) if case == "renamed" else 0
    return verdict(faults, again)

"""What this process keeps of a cluster that it joined: the workers that it asked, and how they reach the outputs."""

from __future__ import annotations

import logging
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.execution.admission import check_workers
from pipeline.execution.origin import Origin
from pipeline.execution.transfer import Courier
from pipeline.storage.files import file_sha256
from pipeline.storage.stages import MANIFEST, STAGES, Stage

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("latentbench")

PROBE = ".seen-by-workers-"  # how the name of a probe begins
OLD_SECONDS = 7 * 86400.0  # age after which a probe is of a run that was killed


@dataclass
class Sight:
    """An outputs folder as workers know it: a file that they see or not, and the topic on which they ask for files."""

    probe: IO[bytes]
    topic: str


class Joined:
    """The workers of a cluster of others, each asked once before it computes for an outputs folder and a domain."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._sights: dict[Path, Sight] = {}
        self._asked: set[tuple[str, Path, str]] = set()

    def origin(self, outputs: Path, stages: Iterable[Stage]) -> Origin:
        """What the workers must know of an outputs folder to compute these stages."""
        folder = outputs.absolute()
        if folder not in self._sights:
            self._sights[folder] = self._show(folder)
        sight = self._sights[folder]
        return Origin(Path(sight.probe.name), socket.gethostname(), sight.topic, manifests_of(stages, folder))

    def admit(self, addresses: Iterable[str], origin: Origin, domain: str, lacking: Callable[[], str]) -> None:
        """Ask each of these workers, once, whether it can compute for the domain. Raises ClusterError, with names."""
        asked = {(address, origin.probe, domain) for address in addresses} - self._asked
        if not asked:
            return
        apart = check_workers(self.client, [address for address, _, _ in asked], origin.probe, lacking)
        self._asked |= asked
        if apart:
            log.info(
                "%d of %d workers do not see %s: the files that they read and write travel.",
                len(apart),
                len(asked),
                origin.probe.parent,
            )

    def close(self) -> None:
        """Remove the probes."""
        for sight in self._sights.values():
            with suppress(OSError):
                sight.probe.close()
        self._sights.clear()

    def _show(self, folder: Path) -> Sight:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob(f"{PROBE}*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > OLD_SECONDS:
                    path.unlink()
        sight = Sight(tempfile.NamedTemporaryFile(dir=folder, prefix=PROBE), f"latentbench-files-{uuid.uuid4().hex}")
        self.client.subscribe_topic(sight.topic, Courier(self.client, folder, folder / STAGES).heard)
        return sight


def manifests_of(stages: Iterable[Stage], outputs: Path) -> dict[str, str]:
    """Path in the outputs folder -> sha256, of the manifest of every published stage upstream of these."""
    reached = list(dict.fromkeys(upstream for stage in stages for upstream in stage.upstream))
    for stage in reached:
        reached += [upstream for upstream in dict.fromkeys(stage.upstream) if upstream not in reached]
    paths = [stage.folder(outputs) / MANIFEST for stage in reached]
    return {path.relative_to(outputs).as_posix(): file_sha256(path) for path in paths if path.is_file()}

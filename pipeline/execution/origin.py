"""Where the outputs of a run are, as its workers know it, and whether a worker sees them."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.storage.fingerprint import digest

SIGHT_SECONDS = 2.0  # delay after which a network disk shows a new file


@dataclass(frozen=True)
class Origin:
    """Where the outputs of a run are; sent with every shard to the workers of a joined cluster.

    `probe` is a file in the outputs folder: a worker that sees it shares the folder. `host` is of the run's process.
    Workers ask for files under `topic`. `manifests`: path in the outputs folder -> sha256, of the published stages that
    the shard's stage reads, directly or not.
    """

    probe: Path
    host: str
    topic: str
    manifests: dict[str, str]

    @property
    def name(self) -> str:
        """The name of the folder that stands for the outputs folder on a worker."""
        return digest([self.host, str(self.probe.parent)])[:16]


@lru_cache(maxsize=64)
def sees(probe: Path) -> bool:
    """Whether this process sees a file and may write in its folder. Waits SIGHT_SECONDS for it, once."""
    deadline = time.monotonic() + SIGHT_SECONDS
    while not probe.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return probe.exists() and os.access(probe.parent, os.W_OK)

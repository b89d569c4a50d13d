"""A table of three files, a store for them, and a process of its own that fetches one of them."""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

from pipeline.settings.downloads import Downloads
from pipeline.weights.fetch import Fetched, fetch
from pipeline.weights.store import Store
from pipeline.weights.table import Weight

CONTENT = random.Random(5).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = random.Random(6).randbytes(3_000_000)
FACTS = {"licence": "ours", "domain": "toy", "role": "generator", "used_by": "tests"}

TABLE = {
    weight.name: weight
    for weight in (
        Weight("known", "known.bin", "https://publisher.invalid/known.bin", size=len(CONTENT), sha256=SHA256, **FACTS),
        Weight("started", "started.bin", "https://publisher.invalid/started.bin", sha256_start=SHA256[:8], **FACTS),
        Weight("unknown", "unknown.bin", "https://publisher.invalid/unknown.bin", **FACTS),
    )
}


def store(folder: Path) -> Store:
    return Store(folder, TABLE)


def settings(mirror: str = "", **changes: float) -> Downloads:
    return Downloads(mirror=mirror, **{"pause": 0.01, "timeout": 5.0, "lock_wait": 60.0, "retries": 3, **changes})  # type: ignore[arg-type]


def main() -> None:
    """FOLDER MIRROR NAME: fetch and say how."""
    folder, mirror, name = sys.argv[1:4]
    done: Fetched = fetch(TABLE[name], store(Path(folder)), settings(mirror))
    print(done.how)
    assert "torch" not in sys.modules


if __name__ == "__main__":
    main()

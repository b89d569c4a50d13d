"""Pack a published run into one small file, or lay a packed one down as a published run.

    python -m benchmarks.reference outputs reference/synthface-full.tar.xz --run latest
    python -m benchmarks.reference outputs reference/synthface-full.tar.xz --unpack
    latentbench compare reference/synthface-full.tar.xz latest

The file holds every table but the ones with a row for each image, and no page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.report.archive import LATEST, find_run
from pipeline.report.packed import pack, unpack


def main() -> None:
    """Pack or unpack, and say what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outputs", type=Path, help="the outputs folder")
    parser.add_argument("file", type=Path, help="the packed run, NAME.tar.xz")
    parser.add_argument("--run", default=LATEST, help="the run's id, the beginning or end of it, or `latest`")
    parser.add_argument("--unpack", action="store_true", help="lay the packed run down in the outputs folder")
    given = parser.parse_args()
    if given.unpack:
        print(unpack(given.file, given.outputs))
        return
    given.file.parent.mkdir(parents=True, exist_ok=True)
    left_out = pack(find_run(given.outputs, given.run), given.file)
    print(f"{given.file}: {given.file.stat().st_size / 1e6:.2f} MB, without the rows of {', '.join(left_out)}")


if __name__ == "__main__":
    main()

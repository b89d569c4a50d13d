"""What may be asked of us by a file that nobody has vouched for, and how a file is refused."""

from __future__ import annotations

from stylegan.weights import WeightsFileError

LARGEST_FILE = 4 * 2**30
"""Bytes. The largest known one, a training state of 1024 px with its optimisers, has about 1.1 GB."""
MOST_STEPS = 500_000
"""Instructions of all pickles in one file. A generator of 1024 px takes about 22,500, a snapshot has three networks."""
LONGEST_TEXT = 2 * 2**20
"""Bytes of one text. The longest known ones are Python sources of 40 KB, which nothing here runs."""
MOST_TEXT = 32 * 2**20
"""Bytes of all texts together."""
LONGEST_INTEGER = 16
"""Bytes. torch's magic number has ten."""
MOST_AXES = 8
"""Axes of a tensor."""
LARGEST_DIRECTORY = 4 * 2**20
"""Bytes of a zip archive's directory: some 30,000 members."""


class CheckpointError(WeightsFileError):
    """A file that is not imported: which, what it holds that is wrong, what to do."""


class RefusalError(Exception):
    """Why a file is not read on; becomes a CheckpointError once the file's name is known."""


class Budget:
    """What all pickles of one file may use together."""

    def __init__(self) -> None:
        self.steps = MOST_STEPS
        self.text = MOST_TEXT

    def step(self) -> None:
        """One more instruction. RefusalError if they were too many."""
        self.steps -= 1
        if self.steps < 0:
            raise RefusalError(
                f"it has more than {MOST_STEPS:,} pickle instructions, many times those of any known network"
            )

    def read_text(self, size: int) -> None:
        """One more text of `size` bytes. RefusalError if it is too long, or all are together."""
        if size > LONGEST_TEXT:
            raise RefusalError(f"it holds a text of {size:,} bytes; at most {LONGEST_TEXT:,} are read")
        self.text -= size
        if self.text < 0:
            raise RefusalError(f"its texts have more than {MOST_TEXT:,} bytes together")

"""What may be asked of us by a file that nobody has vouched for, and how a file is refused."""

from __future__ import annotations

from stylegan.errors import WeightsFileError

LARGEST_FILE = 4 * 2**30
"""Bytes. The largest known one, a training state of 1024 px with its optimisers, has about 1.1 GB."""
MOST_HOLES = 64 * 2**20
"""Bytes of a file that are not on the disk. A training state may hold zeros that a file system leaves out."""
MOST_STEPS = 500_000
"""Instructions of all pickles in one file. A generator of 1024 px takes about 22,500, a snapshot has three networks."""
LONGEST_TEXT = 2 * 2**20
"""Bytes of one text. The longest known ones are Python sources of 40 KB, which nothing here runs. Longer ones stay
views of the file: old protocols write the bytes of arrays so."""
LONGEST_NAME = 200
"""Characters of a tensor's, a part's or a storage's name. The longest known ones have 40."""
MOST_VALUES = 4_000
"""Tensors of one generator. One of 1024 px has about 200."""
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
    """What all pickles of one file of `size` bytes may use together."""

    def __init__(self, size: int) -> None:
        self.steps = MOST_STEPS
        self.text = MOST_TEXT
        self.made = size

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

    def make_bytes(self, size: int) -> None:
        """`size` more bytes that a text becomes. RefusalError if they are more than the file has."""
        self.made -= size
        if self.made < 0:
            raise RefusalError("its texts become more bytes than the file has: it uses the same ones again and again")


def check_name(name: object, what: str) -> str:
    """The name, if it is one. RefusalError otherwise."""
    if type(name) is not str:
        raise RefusalError(f"it is damaged: {what} without a name")
    if len(name) > LONGEST_NAME:
        raise RefusalError(f"{what} has a name of {len(name):,} characters; at most {LONGEST_NAME} are read")
    return name


def check_number(values: int) -> None:
    """RefusalError for more tensors than any generator has."""
    if values > MOST_VALUES:
        raise RefusalError(f"its generator has more than {MOST_VALUES:,} tensors, many times those of any known one")

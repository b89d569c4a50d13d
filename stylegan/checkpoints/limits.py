"""Limits on memory and work for an untrusted file, and the errors that refuse it."""

from __future__ import annotations

from stylegan.errors import WeightsFileError

LARGEST_FILE = 4 * 2**30
"""Bytes. The largest known checkpoint, a training state of 1024 px with its optimisers, has about 1.1 GB."""
MOST_HOLES = 64 * 2**20
"""Bytes of a file that are not on the disk. A file system may leave out zeros of a training state."""
MOST_STEPS = 500_000
"""Instructions of all pickles in one file. A generator of 1024 px takes about 22,500; a snapshot has three networks."""
LONGEST_TEXT = 2 * 2**20
"""Bytes of one decoded text. The longest known texts are Python sources of 40 KB, which are never run. Longer texts are
kept as views of the file: old protocols write the bytes of arrays as text."""
LONGEST_NAME = 200
"""Characters in the name of a tensor, a part or a storage. The longest known name has 40."""
MOST_VALUES = 4_000
"""Tensors of one generator. A generator of 1024 px has about 200."""
MOST_TEXT = 32 * 2**20
"""Bytes of all texts of a file together."""
LONGEST_INTEGER = 16
"""Bytes. torch's magic number has ten."""
MOST_AXES = 8
"""Axes of a tensor."""
LARGEST_DIRECTORY = 4 * 2**20
"""Bytes of a zip archive's directory; enough for about 30,000 members."""


class CheckpointError(WeightsFileError):
    """A checkpoint is refused or cannot be written. The text names the file, the fault and the remedy."""


class RefusalError(Exception):
    """The fault of a file, without its name; callers that know the name raise CheckpointError from it."""


class Budget:
    """The steps, text and bytes that all pickles of one file of `size` bytes may use together."""

    def __init__(self, size: int) -> None:
        self.steps = MOST_STEPS
        self.text = MOST_TEXT
        self.made = size

    def step(self) -> None:
        """Count one instruction. Raises RefusalError after MOST_STEPS."""
        self.steps -= 1
        if self.steps < 0:
            raise RefusalError(f"it has more than {MOST_STEPS:,} pickle instructions, far more than any known network")

    def read_text(self, size: int) -> None:
        """Count a text of `size` bytes. Raises RefusalError if it is too long, or all texts together are."""
        if size > LONGEST_TEXT:
            raise RefusalError(f"it holds a text of {size:,} bytes; at most {LONGEST_TEXT:,} are read")
        self.text -= size
        if self.text < 0:
            raise RefusalError(f"its texts have more than {MOST_TEXT:,} bytes together")

    def make_bytes(self, size: int) -> None:
        """Count `size` bytes encoded from texts. Raises RefusalError for more bytes than the file has."""
        self.made -= size
        if self.made < 0:
            raise RefusalError("its texts become more bytes than the file has: it uses the same texts repeatedly")


def check_name(name: object, what: str) -> str:
    """The name. Raises RefusalError if it is no text or too long."""
    if type(name) is not str:
        raise RefusalError(f"it is damaged: {what} without a name")
    if len(name) > LONGEST_NAME:
        raise RefusalError(f"{what} has a name of {len(name):,} characters; at most {LONGEST_NAME} are read")
    return name


def check_number(values: int) -> None:
    """Raise RefusalError for more than MOST_VALUES tensors."""
    if values > MOST_VALUES:
        raise RefusalError(f"its generator has more than {MOST_VALUES:,} tensors; the largest known one has about 200")

"""Damaged and invented files: whatever the bytes, the answer is a generator or a CheckpointError, within bounds."""

from __future__ import annotations

import functools
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stylegan.checkpoints.instructions import INSTRUCTIONS
from stylegan.checkpoints.limits import CheckpointError
from stylegan.checkpoints.reading import read_checkpoint
from stylegan.generator import Generator
from tests.builders.checkpoint_files import make_generator, nvidia, rosinality, tensorflow

LIMIT = 16 * 2**20  # bytes; the files have some 50 KB
FORMS = {
    "nvidia": nvidia,
    "tensorflow": tensorflow,
    "zip": rosinality,
    "old": functools.partial(rosinality, old=True),
}
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@functools.cache
def true_file(form: str) -> bytes:
    return FORMS[form](make_generator(resolution=8))


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Read true files once: what reading imports by itself is imported then."""
    path = tmp_path_factory.mktemp("warm") / "file.pkl"
    for form in FORMS:
        path.write_bytes(true_file(form))
        read_checkpoint(path)


def read(folder: Path, data: bytes) -> Generator | None:
    """The generator, or None if the file is refused; any other exception fails the test."""
    path = folder / "file.pkl"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        found = read_checkpoint(path).generator
    except CheckpointError:
        found = None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LIMIT
    return found


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(data=st.data())
def test_damaged_files(form: str, data: st.DataObject, tmp_path: Path) -> None:
    """A few bytes of a true file are changed, taken out or put in, most of them where its structure is."""
    content = bytearray(true_file(form))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1) | st.integers(0, min(2000, len(content) - 1)))
        size = data.draw(st.sampled_from([0, 1, 1, 1, 2, 4, 8, 40]))
        content[place : place + size] = data.draw(st.binary(min_size=0, max_size=9))
    found = read(tmp_path, bytes(content))
    assert found is None or found.resolution <= 8


@QUICK
@given(data=st.binary(max_size=300))
def test_any_bytes(data: bytes, tmp_path: Path) -> None:
    for head in (b"", b"\x80\x04", b"PK\x03\x04", b"\x20\0\0\0\0\0\0\0{"):
        assert read(tmp_path, head + data) is None


@st.composite
def programs(draw: st.DrawFn) -> bytes:
    """Instructions with arguments that look like some, in any order."""
    texts = st.sampled_from(
        [b"torch\nSize\n", b"collections\nOrderedDict\n", b"numpy\ndtype\n", b"os\nsystem\n", b"7\n"]
    )
    allowed = b"".join(
        b"c" + text for text in (b"torch\nSize\n", b"_codecs\nencode\n", b"numpy.core.multiarray\nscalar\n")
    )
    step = st.tuples(st.sampled_from(sorted(INSTRUCTIONS)), texts | st.binary(max_size=4) | st.just(b""))
    steps = draw(st.lists(step, max_size=60))
    return (
        b"\x80\x03"
        + draw(st.sampled_from([b"", allowed]))
        + b"".join(bytes([code]) + text for code, text in steps)
        + b"."
    )


@QUICK
@given(program=programs())
def test_any_program(program: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, program) is None

"""Fixtures of the tests with hostile files."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

import pytest

from stylegan.checkpoints.reading import read_checkpoint
from stylegan.generator import Generator
from tests.builders.checkpoint_files import make_generator, nvidia, rosinality, tensorflow


@pytest.fixture(scope="module")
def generator() -> Generator:
    return make_generator(resolution=8)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, generator: Generator) -> None:
    """Read valid files once, so that later tests see no import caused by reading."""
    codecs.lookup("cp437")  # of names in zip archives
    path = tmp_path_factory.mktemp("warm") / "network.pkl"
    for form in (nvidia, tensorflow, rosinality):
        path.write_bytes(form(generator))
        read_checkpoint(path)


@pytest.fixture
def nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails if a hostile file left the file `executed` behind."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "executed").exists()

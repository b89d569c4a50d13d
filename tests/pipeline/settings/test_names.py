"""Names that become paths stay inside the folder that they are put into."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.settings.names import fits, in_path
from pipeline.storage.stages import Stage


@pytest.mark.parametrize("name", ["l2l", "interfacegan_z", "w+", "a.b", "A-1", "x" * 64])
def test_a_plain_name_fits_and_is_left_as_it_is(name: str) -> None:
    assert fits(name) and in_path(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "../../escape", "a/b", "a\\b", "a b", "a\nb", "a\n", "é", "٣", "x" * 65, "a:b"]
)
def test_another_does_not(name: str) -> None:
    assert not fits(name)


@pytest.mark.parametrize("label", ["../../../../escape", "/etc/x", "a\0b", "..", "x" * 300, "a\nb", "../x age"])
def test_a_stage_lies_inside_the_outputs_whatever_its_label(tmp_path: Path, label: str) -> None:
    folder = Stage("train", 1, label=label).folder(tmp_path)
    assert folder.resolve().parent == (tmp_path / "stages" / "train").resolve()
    assert len(folder.name) <= 120
    folder.mkdir(parents=True)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import LabelsError
from pipeline.scorer_training.generated import faces
from stylegan.sampling import draw_z


class Flat:
    """A generator whose image is of one grey, the first number of z times the truncation; it notes what it made."""

    def __init__(self) -> None:
        self.made: list[tuple[float, float]] = []

    def mapping(self, z: torch.Tensor, truncation_psi: float) -> torch.Tensor:
        self.made.append((float(z[0, 0]), truncation_psi))
        return z[:, :1] * truncation_psi / 10

    def synthesis(self, ws: torch.Tensor) -> torch.Tensor:
        return ws[:, :, None, None].expand(-1, 3, 512, 512)


def test_a_face_follows_from_role_and_k_and_is_rendered_once(tmp_path: Path) -> None:
    generator = Flat()
    faces.render(generator, "abc", "b", np.array([4, 7]), tmp_path)  # type: ignore[arg-type]
    faces.render(generator, "abc", "b", np.array([4, 7, 9]), tmp_path)  # type: ignore[arg-type]
    expected = draw_z(2022, 6_000_000_000 + np.array([4, 7, 9]))[:, 0]
    assert [psi for _, psi in generator.made] == [0.7, 1.0, 1.0]
    assert [first for first, _ in generator.made] == pytest.approx(expected.tolist())
    pixels = np.concatenate(list(faces.batches(tmp_path, "b", np.array([4, 7, 9]), 2)))
    grey = (expected * [0.7, 1, 1] / 10 + 1) * 127.5
    assert pixels.shape == (3, 256, 256, 3) and np.abs(pixels[:, 5, 5, 0] - grey).max() <= 0.5


def test_roles_share_no_face() -> None:
    assert set(faces.FIRST_ID) == {"a", "b"} and abs(faces.FIRST_ID["a"] - faces.FIRST_ID["b"]) > 10**8


@pytest.mark.parametrize("harm", ["another generator", "no record", "damaged picture", "another shape"])
def test_a_folder_that_does_not_fit_is_refused(harm: str, tmp_path: Path) -> None:
    faces.render(Flat(), "abc", "a", np.array([2]), tmp_path)  # type: ignore[arg-type]
    path = faces.picture_path(tmp_path, "a", 2)
    if harm == "no record":
        (tmp_path / faces.RECORD).write_text("{")
    elif harm == "damaged picture":
        path.write_bytes(path.read_bytes()[:1000])
    elif harm == "another shape":
        np.save(path, np.zeros((8, 8, 3), np.uint8))
    sha256 = "def" if harm == "another generator" else "abc"
    with pytest.raises(LabelsError, match=str(tmp_path)):
        faces.render(Flat(), sha256, "a", np.array([2]), tmp_path)  # type: ignore[arg-type]
        list(faces.batches(tmp_path, "a", np.array([2]), 1))

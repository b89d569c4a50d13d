"""Faces that the trainings of scorers share; nobody changes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.attributes import INDEX
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.training.sets import RenderSet
from pipeline.scorer_training import reading
from pipeline.scorer_training.labels import Labels
from tests.builders.labelled_photos import write_table

COUNT = 280
Faces = tuple[Tensor, np.ndarray]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def faces() -> Faces:
    """Rendered faces at 64 px, attributes drawn evenly, every third in sunglasses; and their values (COUNT, 35)."""
    drawn = RenderSet("broad", 5150, COUNT).factors(np.arange(COUNT))
    drawn[::3, [INDEX["sunglasses"], INDEX["glasses"]]] = 1
    drawn[::3, INDEX["reading_glasses"]] = 0
    return render(drawn, 64).images, drawn[:, :35].numpy()


@pytest.fixture(scope="session")
def small(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Labels]:
    """The first 90 faces as a table, for what needs no good scorer."""
    images, path = write_table(
        tmp_path_factory.mktemp("small"), faces[0][:90], faces[1][:90], ("yaw", "roll", "glasses")
    )
    return images, reading.read_labels("table", images, path)

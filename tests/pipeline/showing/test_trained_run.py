"""The faces of a run at work again: the codes, values and z that its stages had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.showing.trained_run import TrainedRun
from pipeline.tables.parquet import read_table, values_of
from pipeline.tables.schemas import LABELS
from stylegan.sampling import draw_z


@torch.inference_mode()
def test_a_face_has_its_code_its_values_and_its_z(published: Path) -> None:
    run = TrainedRun(published)
    mapping = run.domain().generator.mapping
    labels = values_of(read_table(run.stage_files("labels", "faces"), LABELS))
    assert len(labels) == 6
    for number in (0, 5):
        face = run.face(number)
        assert face.z is not None
        torch.testing.assert_close(mapping.broadcast(mapping.map_to_w(face.z)), face.ws)
        np.testing.assert_array_equal(face.values[0].numpy(), labels[number])
    assert not torch.equal(run.face(0).ws, run.face(5).ws)


def test_no_z_is_known_of_photographs(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrainedRun(published)
    monkeypatch.setitem(run.record.settings["protocol"], "faces_sha256", "ab" * 32)
    assert run.face(0).z is None


@torch.inference_mode()
def test_a_sampled_face_is_truncated_as_the_runs_faces_are(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrainedRun(published)
    mapping = run.domain().generator.mapping
    w = mapping.map_to_w(torch.from_numpy(draw_z(9, np.array([0]))))
    for psi in (1.0, 0.5):
        monkeypatch.setitem(run.record.settings["protocol"], "truncation_psi", psi)
        face = run.sampled_face(9)
        torch.testing.assert_close(face.ws, mapping.broadcast(mapping.w_avg + psi * (w - mapping.w_avg)))
        assert face.z is not None and face.truncation_psi == psi
    expected = run.domain().scorer_a(run.domain().generator.synthesis(face.ws).clamp(-1, 1))
    torch.testing.assert_close(face.values, expected)

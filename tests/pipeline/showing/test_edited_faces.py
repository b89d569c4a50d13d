"""Pictures of a run: the gallery's where it has the face, else the very same ones from the trained method."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.chain.grid.gallery import FACES
from pipeline.errors import ConfigError, CorruptShardError, StageError, UnknownNameError
from pipeline.showing.edited_faces import row_of
from pipeline.showing.trained_run import TrainedRun


@pytest.fixture
def damaged(published: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be damaged."""
    shutil.copytree(published.parents[1], tmp_path / "outputs")
    return tmp_path / "outputs" / "reports" / published.name


def pixels(row) -> np.ndarray:
    return np.stack([np.asarray(edit.picture.convert("RGB"), int) for edit in row.edits])


def remove(run: TrainedRun, kind: str, label: str) -> None:
    folder = run.stage_folder(kind, label)
    assert folder is not None
    shutil.rmtree(folder)


def test_the_gallery_has_its_faces_and_others_are_made_again(published: Path) -> None:
    run = TrainedRun(published)
    assert run.record.n_faces > FACES
    assert [row_of(run, "random", "age", face).again for face in (0, FACES - 1, FACES)] == [False, False, True]


def test_pictures_that_are_made_again_are_the_stored_ones(published: Path, damaged: Path) -> None:
    stored, without = TrainedRun(published), TrainedRun(damaged)
    remove(without, "gallery", "random")
    before, after = row_of(stored, "random", "glasses", 2), row_of(without, "random", "glasses", 2)
    assert not before.again and after.again
    assert pixels(before).std() > 10, "there is something to see"
    assert np.abs(pixels(before) - pixels(after)).max() <= 1  # batches of another size round otherwise
    assert np.abs(pixels(before)[0] - pixels(before)[-1]).max() > 10, "and the edits differ"


def test_scores_are_the_published_ones(published: Path) -> None:
    run = TrainedRun(published)
    row = row_of(run, "random", "age", 5)
    edits = run.table("edits").to_pandas()
    rows = edits[(edits.method == "random") & (edits.attribute == "age") & (edits.face_id == run.face_id(5))]
    assert len(rows) == len(row.edits) == 5
    for edit, (_, published_row) in zip(row.edits, rows.sort_values("step").iterrows(), strict=True):
        assert edit.strength == published_row.strength
        assert edit.value == pytest.approx(published_row.value_age)
        assert edit.identity == pytest.approx(published_row.identity_recognizer_b)
        assert edit.detected == published_row.detected
    assert row.unit == "length in W"


def test_names_that_the_run_does_not_have(published: Path) -> None:
    run = TrainedRun(published)
    with pytest.raises(UnknownNameError) as method:
        row_of(run, "randm", "age", 0)
    assert method.value.known == ["noop", "random"] and "'random'" in str(method.value)
    with pytest.raises(UnknownNameError) as attribute:
        row_of(run, "random", "glases", 0)
    assert attribute.value.known == ["age", "glasses"] and "'glasses'" in str(attribute.value)
    for face in (-1, 6):
        with pytest.raises(ConfigError, match="expected 0 to 5"):
            row_of(run, "random", "age", face)


def test_a_training_that_is_gone_is_named(damaged: Path) -> None:
    run = TrainedRun(damaged)
    remove(run, "train", "random")
    assert not row_of(run, "random", "age", 0).again
    with pytest.raises(StageError, match=f"train random of run {run.record.run_id}"):
        row_of(run, "random", "age", FACES)


def test_a_damaged_training_is_not_used(damaged: Path) -> None:
    run = TrainedRun(damaged)
    (state,) = [file for file in run.stage_files("train", "random") if file.suffix == ".safetensors"]
    state.write_bytes(state.read_bytes()[:-1] + b"\x07")
    with pytest.raises(CorruptShardError, match=state.name):
        row_of(run, "random", "age", FACES)


def test_another_generator_is_refused(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrainedRun(published)
    monkeypatch.setitem(run.record.weights, "generator", "0" * 64)
    with pytest.raises(ConfigError, match="another generator"):
        row_of(run, "random", "age", FACES)


def test_an_attribute_may_have_its_scorers_name(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = TrainedRun(published)
    monkeypatch.setitem(run.record.settings["protocol"], "attributes", ["age", "expression"])
    assert run.attribute("smile") == run.attribute("expression") == "expression"

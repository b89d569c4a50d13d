"""A checkpoint is used whole, undamaged, and by the computation that wrote it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from pipeline.errors import StageError
from pipeline.optimisation.checkpoint import HEADER, Checkpoint, sha256_of

STATE = {"step": 3, "curve": [[1, 0.5]], "weights": {"a": torch.arange(1000.0)}, "best": {}}
REMEDY = "Remove it to start over."


def saved(path: Path, remedy: str = REMEDY, **depends_on: object) -> Checkpoint:
    checkpoint = Checkpoint(path, {"seed": 1, "sizes": (2, 3), **depends_on}, remedy)
    checkpoint.save(STATE)
    return checkpoint


def test_a_state_comes_back(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "new folder" / "a.pt")
    state = checkpoint.load()
    assert state is not None and torch.equal(state.pop("weights")["a"], STATE["weights"]["a"])
    assert state == {key: value for key, value in STATE.items() if key != "weights"}
    checkpoint.discard()
    assert checkpoint.load() is None and not list((tmp_path / "new folder").iterdir())


def test_without_a_path_nothing_is_kept() -> None:
    checkpoint = Checkpoint(None, {})
    checkpoint.save(STATE)
    checkpoint.discard()
    assert checkpoint.load() is None


@pytest.mark.parametrize("part", [0, HEADER + 10, 0.5, -1])
def test_one_flipped_bit_is_found(part: float, tmp_path: Path) -> None:
    """Also among the weights, where torch itself reads on."""
    checkpoint = saved(tmp_path / "a.pt")
    content = bytearray((tmp_path / "a.pt").read_bytes())
    content[int(part * len(content)) if isinstance(part, float) else part] ^= 1
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(StageError, match=f"cannot be read .*damaged.*{REMEDY}"):
        checkpoint.load()


def test_a_file_of_torch_alone_is_refused(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "a.pt")
    with pytest.raises(StageError, match="an earlier version"):
        Checkpoint(tmp_path / "a.pt", {}, REMEDY).load()


def test_what_differs_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt", rate=0.1)
    with pytest.raises(StageError, match="batch None there, 4 here; rate 0.1 there, 0.2 here"):
        Checkpoint(tmp_path / "a.pt", {"seed": 1, "sizes": [2, 3], "rate": 0.2, "batch": 4}, REMEDY).load()


def test_without_a_remedy_the_computation_starts_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved(tmp_path / "a.pt")
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(tmp_path / "a.pt", {"seed": 2}).load() is None
    assert "seed 1 there, 2 here" in caplog.text and "Starting over." in caplog.text


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path / "a.pt")
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save({"step": lambda: None})
    state = checkpoint.load()
    assert state is not None and state["step"] == 3 and len(list(tmp_path.iterdir())) == 1


def test_the_digest_of_tensors_is_one_of_their_bytes_in_order() -> None:
    first, second = torch.arange(3.0), torch.arange(4)
    assert sha256_of([first, second]) == sha256_of([first.clone(), second]) != sha256_of([second, first])

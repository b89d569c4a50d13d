"""Micro-batches: how many images at once, and that nothing but float noise depends on it."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.chain.face_blocks import FaceBlock
from pipeline.chain.grid.edits import measure
from pipeline.chain.labels import label_images
from pipeline.chain.links import Chain
from pipeline.domains import base, microbatches
from pipeline.domains.microbatches import image_bytes, in_microbatches, microbatch_size
from pipeline.errors import StageError
from pipeline.settings.experiment import BATCH
from tests.worlds import px16
from tests.worlds.px16 import run_to_edits, scene_settings

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def fresh_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microbatches, "_sizes", {})
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")


@pytest.mark.parametrize(("resolution", "microbatch"), [(16, 64), (64, 64), (128, 64), (256, 32), (512, 16), (1024, 8)])
def test_a_microbatch_is_the_whole_batch_up_to_128_px(resolution: int, microbatch: int) -> None:
    assert microbatch_size(resolution) == microbatch
    assert microbatch * image_bytes(resolution) <= microbatches.MICROBATCH_BYTES


def test_there_is_always_room_for_one_image() -> None:
    assert microbatch_size(1024, room=0) == 1


def test_rows_are_seen_once_in_order() -> None:
    microbatches._sizes[64, "cpu"] = 4
    assert in_microbatches(lambda rows: list(range(rows.start, rows.stop)), 10, 64, CPU) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]
    assert in_microbatches(lambda rows: rows, 0, 64, CPU) == []


def test_too_little_memory_halves_the_lot_for_good(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []

    def see(rows: slice) -> list[int]:
        tried.append(rows.stop - rows.start)
        if tried[-1] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
        return list(range(rows.start, rows.stop))

    with caplog.at_level(logging.WARNING):
        found = in_microbatches(see, 100, 64, CPU)
    assert [row for rows in found for row in rows] == list(range(100))
    assert tried[:3] == [BATCH, 32, 16] and max(tried[3:]) == 16
    assert "64 images of 64 px" in caplog.text
    tried.clear()
    in_microbatches(see, 100, 64, CPU)
    assert tried[0] == 16, "remembered"
    in_microbatches(see, 1, 32, CPU)


def test_not_even_one_image_is_an_error_that_says_what_to_do() -> None:
    def see(rows: slice) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(StageError, match=r"1024 px: CUDA out of memory"):
        in_microbatches(see, 3, 1024, CPU)


def test_other_errors_pass() -> None:
    def see(rows: slice) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        in_microbatches(see, 3, 64, CPU)


def test_the_tensors_of_a_failed_attempt_are_let_go() -> None:
    import weakref

    alive: list[weakref.ref[torch.Tensor]] = []

    def see(rows: slice) -> int:
        assert not alive or alive[-1]() is None
        images = torch.zeros(3)
        alive.append(weakref.ref(images))
        if rows.stop - rows.start > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return len(images)

    assert in_microbatches(see, 8, 64, CPU) == [3]
    assert in_microbatches(see, 64, 64, CPU) == [3] * 8


def test_labels_and_edits_differ_by_float_noise_alone(tmp_path: Path) -> None:
    settings = scene_settings(tmp_path, methods=("random",))
    run_to_edits(settings)
    domain, work = base.load(px16.NAME, "cpu"), Chain(settings).work("edits", "random")
    w = np.random.default_rng(0).standard_normal((10, 512), dtype=np.float32)
    block = FaceBlock("edits-age.parquet", 0, 3, "age")
    with torch.inference_mode():
        whole = label_images(domain, w, 0.9), measure(work, block, lambda *_: None)
        microbatches._sizes[px16.SIZE, "cpu"] = 4
        parts = label_images(domain, w, 0.9), measure(work, block, lambda *_: None)
    for one, other in zip(whole[0], parts[0], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert list(whole[1]) == list(parts[1])
    for name, values in whole[1].items():
        if isinstance(values, np.ndarray):
            np.testing.assert_allclose(values, parts[1][name], atol=2e-5, err_msg=name)

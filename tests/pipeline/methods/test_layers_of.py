"""How many codes a domain's generator reads: StyleGAN2's number, unless its card has another."""

from __future__ import annotations

from dataclasses import replace

from pipeline.domains.base import describe
from pipeline.methods.cost import layers_of
from stylegan.generator import Generator


def test_stylegan2_has_two_for_each_resolution() -> None:
    card = describe("synthface")
    assert (
        layers_of(card) == Generator(resolution=card.resolution, channels=dict.fromkeys((4, 8, 16, 32, 64), 4)).num_ws
    )


def test_the_card_may_have_another_number() -> None:
    assert layers_of(replace(describe("synthface"), resolution=1024)) == 18
    assert layers_of(replace(describe("synthface"), resolution=1024, layers=16)) == 16

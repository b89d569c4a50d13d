"""Faces are cut into blocks that hold every face once, and whose files have their old names."""

from __future__ import annotations

from pipeline.chain.face_blocks import blocks, cut_faces


def test_blocks_cover_every_face_once() -> None:
    for count in (1, 2, 16, 17, 500):
        places = [place for first, stop in cut_faces(count, 16) for place in range(first, stop)]
        assert places == list(range(count))
    assert len(cut_faces(16, 16)) == 1 and len(cut_faces(500, 16)) == 32
    assert cut_faces(120, 50) == [(0, 50), (50, 100), (100, 120)]


def test_blocks_are_named_by_kind_attribute_and_faces() -> None:
    of_each = blocks("matched", cut_faces(20, 16), ("age", "glasses"), 8)
    assert [block.name for block in of_each] == [
        "matched-age-000000-000016.parquet",
        "matched-age-000016-000020.parquet",
        "matched-glasses-000000-000016.parquet",
        "matched-glasses-000016-000020.parquet",
    ]
    assert [(block.attribute, block.count, block.units) for block in of_each] == [
        ("age", 16, 128),
        ("age", 4, 32),
        ("glasses", 16, 128),
        ("glasses", 4, 32),
    ]
    (of_all,) = blocks("consistency", cut_faces(16, 16))
    assert (of_all.name, of_all.attribute, of_all.units) == ("consistency-000000-000016.parquet", "", 16)

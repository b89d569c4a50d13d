"""Between which values each column lies: what docs/reference/tables.md prints, and tests check on published runs."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from pipeline.tables.fields import CHANGE_COLUMNS, COSINE, PERSONS, VALUE_COLUMNS, W_DISTANCE


@dataclass(frozen=True)
class Bounds:
    """The smallest and the largest value of a column, None where there is none; or the words that it may hold."""

    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.words:
            return ", ".join(self.words)
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return "any" if self.low is None else f"{self.low:g} or more"


ANY, POSITIVE, COUNT, SHARE = Bounds(), Bounds(0), Bounds(1), Bounds(0, 1)
TEXT = Bounds(words=("text",))

# By unit, where every column of the unit has the same bounds.
BY_UNIT = {
    COSINE: Bounds(0, 2),
    PERSONS: POSITIVE,
    W_DISTANCE: POSITIVE,
    "id": POSITIVE,
    "faces": POSITIVE,
    "images": POSITIVE,
    "latents": POSITIVE,
    "directions": POSITIVE,
    "methods": COUNT,
    "flag": Bounds(words=("true", "false")),
    "time": Bounds(words=("UTC",)),
    "JSON": Bounds(words=("JSON",)),
}
# By column, before its unit.
BY_COLUMN = {
    **dict.fromkeys(VALUE_COLUMNS, SHARE),
    **dict.fromkeys(CHANGE_COLUMNS, ANY),
    **dict.fromkeys(("probability", "start_value", "local_share", "parts_area", "preserved", "found_share"), SHARE),
    **dict.fromkeys(("p", "p_holm", "first"), SHARE),
    **dict.fromkeys(("rank", "rank_low", "rank_high", "tested_low", "tested_high", "method_version"), COUNT),
    **dict.fromkeys(("n", "n_comparisons", "step", "tolerance", "level", "judge_error"), POSITIVE),
    **dict.fromkeys(("lpips", "order_lpips", "at_once_lpips", "undo_lpips"), POSITIVE),
    **dict.fromkeys(("order_score_spread", "at_once_score_difference"), POSITIVE),
    "strength_index": COUNT,
    "ssim": Bounds(-1, 1),
    "direction": Bounds(words=("+1", "-1")),
    "better": Bounds(words=("lower", "higher", "neither")),
    "status": Bounds(words=("complete",)),
    "low_set_by": Bounds(words=("detector", "cap", "plateau", "none")),
    "high_set_by": Bounds(words=("detector", "cap", "plateau", "none")),
    "unreached": Bounds(words=("weak", "ceiling", "jump", "lost", "unedited", "no unit")),
}


def bounds_of(field: pa.Field) -> Bounds:
    """The bounds of a column's values; of those in a list where the column holds lists."""
    unit = (field.metadata or {}).get(b"unit", b"").decode()
    kind = field.type.value_type if pa.types.is_list(field.type) else field.type
    if field.name in BY_COLUMN:
        return BY_COLUMN[field.name]
    if unit in BY_UNIT:
        return BY_UNIT[unit]
    return TEXT if pa.types.is_string(kind) else ANY

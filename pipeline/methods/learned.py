"""The attributes that a method learns a direction for: its setting `attributes`.

`evaluated`, `all`, or names separated by commas. A run edits the evaluated ones alone, so others are learned where
somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.errors import ConfigError, StageError
from pipeline.methods import validation

if TYPE_CHECKING:
    from torch import Tensor

EVALUATED_WORD, ALL = "evaluated", "all"


def learned_attributes(method: str, value: object) -> str:
    """`value` as a setting `attributes`. Raises ConfigError.

    >>> learned_attributes("rfm", "age, hair_red"), learned_attributes("rfm", "all")
    ('age, hair_red', 'all')
    """
    text = validation.attribute_list(method, "attributes", value, also=(EVALUATED_WORD, ALL))
    if not text:
        raise ConfigError(
            f"[method.{method}] attributes: expected {EVALUATED_WORD}, {ALL} or at least one name, found none."
        )
    return text


def learned_columns(attributes: str) -> tuple[int, ...]:
    """The columns, in order, of a setting `attributes`.

    >>> learned_columns("roll, expression")
    (0, 2)
    """
    if attributes == ALL:
        return tuple(range(len(NAMES)))
    names = EVALUATED if attributes == EVALUATED_WORD else validation.split_names(attributes)
    return tuple(sorted(index_of(name) for name in names))


def columns_to_learn(attributes: str, given: Sequence[str]) -> list[int]:
    """The columns of data with these attributes (`FitData.attributes`) that a setting `attributes` has learned.

    >>> columns_to_learn("yaw, roll", ("age", "roll"))
    [1]
    """
    learned = learned_columns(attributes)
    return [column for column, name in enumerate(given) if index_of(name) in learned]


def refuse_others(method: str, attributes: str, strengths: Tensor) -> None:
    """Raise StageError if strengths (N, 35) change an attribute that this setting `attributes` leaves out."""
    others = _other_columns(attributes, strengths.shape[1])
    if not others or not bool(strengths[:, others].count_nonzero()):
        return
    learned = ", ".join(NAMES[column] for column in learned_columns(attributes))
    asked = ", ".join(NAMES[column] for column in others if strengths[:, column].any())
    raise StageError(
        f"{method} learned {learned}, and cannot change {asked}. Name them in luigi.cfg: [method.{method}] attributes."
    )


@lru_cache
def _other_columns(attributes: str, width: int) -> list[int]:
    learned = learned_columns(attributes)
    return [column for column in range(width) if column not in learned]

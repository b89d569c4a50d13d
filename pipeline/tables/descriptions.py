"""What a row of each published table is, which columns name it, and in which order rows lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RowDescription:
    """A table in words: what a row is, the columns that name one within a run, and how rows are grouped.

    order: rows of one value of its first column lie together, in them rows of one value of its second, and so on.
    """

    row: str
    key: tuple[str, ...]
    order: tuple[str, ...] = ()


DESCRIPTIONS: dict[str, RowDescription] = {
    "scores": RowDescription(
        "A score of a method: of one attribute, or over all of them, by one metric and one network.",
        ("protocol", "method", "attribute", "metric", "network", "level"),
    ),
    "differences": RowDescription(
        "The difference of two methods in one metric, over the same faces, with its test.",
        ("protocol", "metric", "network", "attribute", "method", "other"),
        ("metric", "network", "attribute", "method", "other"),
    ),
    "ranks": RowDescription(
        "The rank of a method in one metric, with its interval.",
        ("protocol", "metric", "network", "attribute", "method"),
        ("metric", "network", "attribute", "method"),
    ),
    "face_scores": RowDescription(
        "The mean of one metric over the edits of one face: what intervals and differences resample.",
        ("protocol", "method", "attribute", "metric", "network", "face_id"),
        ("method", "attribute", "metric", "network", "face_id"),
    ),
    "judges": RowDescription(
        "A figure of a network: how well it judges, measured on what. Figures without a value have no key.",
        ("role", "network", "what", "attribute", "measured_on"),
        ("role", "network"),
    ),
    "ranges": RowDescription(
        "The strengths at which a method edits one attribute under `l2l-2022`, and what limits them.",
        ("method", "attribute"),
        ("method", "attribute"),
    ),
    "edits": RowDescription(
        "An edited image of `l2l-2022` and `llf-2026`: one face at one step of the range.",
        ("method", "attribute", "face_id", "step"),
        ("method", "attribute", "face_id", "step"),
    ),
    "matched": RowDescription(
        "An edit of `matched-change-1`: one face whose attribute moves by one level in one direction.",
        ("method", "attribute", "face_id", "direction", "level"),
        ("method", "attribute", "face_id", "direction", "level"),
    ),
    "rescoring": RowDescription(
        "How far one of the 35 attributes moves, in the mean, when another one is edited: leakage at matched change.",
        ("method", "attribute", "direction", "level", "scored_attribute", "network"),
        ("method", "attribute", "direction", "level", "scored_attribute", "network"),
    ),
    "rates": RowDescription(
        "An edited image of `rates-1`: one face at one strength, towards the other side of its label.",
        ("method", "attribute", "face_id", "strength_index"),
        ("method", "attribute", "face_id", "strength_index"),
    ),
    "consistency": RowDescription(
        "A face of `consistency-1` whose three attributes are edited in every order, at once, and back.",
        ("method", "face_id"),
        ("method", "face_id"),
    ),
    "runs": RowDescription("A run: settings, weights, packages, machine, the seconds of its stages.", ("run_id",)),
}

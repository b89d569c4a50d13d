"""The table of the protocol."""

from __future__ import annotations

from pipeline.tables.fields import W_DISTANCE, measure, schema, whole, word

FARTHEST = schema(
    "farthest",
    [
        word("method", "the editing method"),
        whole("face_id", "id", "the latent that was edited"),
        measure("displacement", W_DISTANCE, "||w' - w|| of the farthest of the face's edits"),
    ],
)

"""The table of published runs: what was run, with which settings, weights, packages and machine."""

from __future__ import annotations

from pipeline.tables.fields import DOMAIN, RUN_DATE, schema, whole, word

RUNS = schema(
    "runs",
    [
        word("run_id", "time and digest"),
        RUN_DATE,
        DOMAIN,
        word("profile", "named set of sizes"),
        word("status", "complete"),
        word("fingerprint", "digest of everything that can change a number", unit="sha256"),
        word("settings", "every setting that can change a number", unit="JSON"),
        word("weights", "sha256 of every weight file, by role", unit="JSON"),
        word("packages", "version of every package that computes", unit="JSON"),
        word("commit", "commit of the code, `+changes` if the tree was dirty", unit="git"),
        word("machine", "processor, cores, memory, device, workers, threads", unit="JSON"),
        word("stages", "per stage: fingerprint, wall seconds, whether it was reused", unit="JSON"),
        word("night", "the night of a nightly run, YYYY-MM-DD (UTC); null for any other run", nullable=True),
        whole("n_latents", "latents", "labelled latents"),
        whole("n_faces", "faces", "edited faces"),
        word(
            "faces",
            "what the edited faces are: sampled latents, or inverted photographs; null in older runs",
            nullable=True,
        ),
        whole("n_steps", "images", "images per face and attribute"),
        whole("edits_per_method", "images", "edits generated per method"),
    ],
)

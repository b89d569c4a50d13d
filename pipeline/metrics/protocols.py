"""The protocols by name: what each measures, whose idea it is, which settings of luigi.cfg are its sizes. No torch.

A protocol says which codes are edited, how strongly, and what is scored. Its name ends in its version: whatever changes
what its numbers mean is a new name, and the old name's numbers stay comparable with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.metrics.base import CONSISTENCY, LOCALITY, MATCHED, PAPER, PERCEPTION, RATES, names


@dataclass(frozen=True)
class Protocol:
    """One protocol: the `protocol` column of scores, what it asks, its source, its sizes' settings."""

    name: str
    asks: str
    source: str
    sizes: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it scores, in the order of tables."""
        return names(self.name)


_GRID = ("n_faces", "n_steps", "n_reference")
PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        PAPER,
        "what editing costs over the whole range in which a face is still found: identity, FID, KID, IS, seconds",
        "Khodadadeh et al., WACV 2022",
        _GRID,
    ),
    Protocol(
        MATCHED,
        "what else changes, and who the face still is, where the attribute has moved equally far",
        "Wu et al., CVPR 2021 (attribute dependency); Shen et al., TPAMI 2020 (re-scoring)",
        ("n_matched_faces", "n_spread", "matched_levels", "matched_tolerance"),
    ),
    Protocol(
        RATES,
        "how much is preserved at the strength at which so many faces have crossed to the other side of their label",
        "Yao et al., ICCV 2021",
        ("n_rate_faces", "rate_strengths", "false_accept_rate"),
    ),
    Protocol(
        CONSISTENCY,
        "whether three edits give the same face in every order, at once, and undone",
        "Abdal et al., TOG 2021; Khodadadeh et al., WACV 2022",
        ("n_consistency_faces", "consistency_share"),
    ),
    Protocol(
        LOCALITY,
        "how much of the change lies where the attribute truly is; where the domain knows the truth",
        "ours; the claim: LLF, CAAI TRIT 2026",
        _GRID[:2],
    ),
    Protocol(
        PERCEPTION,
        "the LLF paper's three measures, of the images of l2l-2022",
        "LLF, CAAI TRIT 2026",
        _GRID,
    ),
)

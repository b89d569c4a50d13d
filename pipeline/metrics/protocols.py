"""The protocols by name: the question of each, its source, and the settings of luigi.cfg for its sizes. No torch.

A protocol says which codes are edited, how strongly, and what is scored. Its name ends in its version. A change that
gives its numbers another meaning needs a new name, so numbers under one name stay comparable.

>>> from pipeline.metrics.protocols import PROTOCOLS
>>> [protocol.name for protocol in PROTOCOLS]
['l2l-2022', 'matched-change-1', 'rates-1', 'consistency-1', 'locality-1', 'llf-2026']
>>> PROTOCOLS[4].metrics
('locality', 'parts_area')
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.metrics.base import CONSISTENCY, LOCALITY, MATCHED, PAPER, PERCEPTION, RATES, names


@dataclass(frozen=True)
class Protocol:
    """One protocol: its name (the column `protocol` of scores), question, source, and the settings of its sizes."""

    name: str
    asks: str
    source: str
    sizes: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of its metrics, in the order of the tables."""
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
        "how much of a face is preserved when a given share of faces has crossed to the other side of their label",
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

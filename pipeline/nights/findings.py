"""What the comparison of a night found: the scores that are flagged, and what was compared with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

WORSE, BETTER, CHANGED = "worse", "better", "changed"
STEP, DRIFT = "step", "drift"
Key = tuple[Any, ...]


@dataclass(frozen=True)
class FlaggedScore:
    """A score that is flagged: since which night, from which value to which, and why it may be.

    kind: STEP since the measurement before, or DRIFT over several. verdict: WORSE, BETTER or CHANGED. p: corrected for
    the night. n: faces of the paired test (0: two intervals), or measurements of the trend.
    """

    kind: str
    verdict: str
    protocol: str
    method: str
    attribute: str
    metric: str
    network: str
    level: float | None
    since: str
    before: float
    after: float
    p: float
    n: int
    causes: list[str]

    @property
    def key(self) -> Key:
        """What names the score."""
        return self.protocol, self.method, self.attribute, self.metric, self.network, self.level

    @property
    def alarming(self) -> bool:
        """Whether somebody should look: all but improvements."""
        return self.verdict != BETTER


@dataclass(frozen=True)
class GateResult:
    """A night compared with the nights before.

    since: the date of the night before in the series, empty for the first. measured: methods measured to new bits.
    tested, drifts_tested: comparisons of either family. moved: scores that differ, by however little. lost: scores
    without a number that had one. new, gone: methods. least_p: the smallest p that the faces can give.
    """

    since: str = ""
    nights: int = 0
    scores: int = 0
    measured: list[str] = field(default_factory=list)
    tested: int = 0
    drifts_tested: int = 0
    moved: int = 0
    lost: int = 0
    new: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    least_p: float = 0.0
    level: float = 0.0
    findings: list[FlaggedScore] = field(default_factory=list)

    @property
    def alarming(self) -> bool:
        """Whether there is a regression, an unexplained kind of change or a drift for the worse."""
        return any(finding.alarming for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """As the night's note keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GateResult:
        """What `as_json` gave. Raises TypeError for another thing."""
        findings = [FlaggedScore(**each) for each in value.get("findings", [])]
        return cls(**{**value, "findings": findings})

"""What a comparison is, and what it can come to. No import of torch here: `--list` reads these alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a comparison came to."""

    SAME = "same"
    """Within its bound."""
    DECLARED = "declared"
    """A departure that the class docstring declares; its size is shown and never fails a run."""
    DIFFERS = "differs"
    """Beyond its bound, or not a number."""
    FAILED = "failed"
    """Their code, or ours, raised or crashed: nothing was compared."""
    MISSING_CHECKOUT = "missing checkout"
    MISSING_LIBRARY = "missing library"


FAULTS = (Verdict.DIFFERS, Verdict.FAILED)
MISSING = (Verdict.MISSING_CHECKOUT, Verdict.MISSING_LIBRARY)


@dataclass(frozen=True)
class Checkout:
    """A repository on GitHub: the folder that holds it, its owner/name, the commit that was compared last."""

    folder: str
    repository: str
    commit: str

    def how_to_get_it(self) -> str:
        """What to do about a missing one."""
        return f"git clone https://github.com/{self.repository} DIR/{self.folder}; compared at {self.commit}"


@dataclass(frozen=True)
class Measured:
    """The largest difference, in the comparison's unit, and both numbers where they say more than the difference."""

    difference: float
    ours: str = ""
    theirs: str = ""


@dataclass(frozen=True)
class Comparison:
    """One row.

    name: what `--only` takes, with the subject's before it. n: how much is compared. bound: the largest difference that
    counts as the same, in `unit`. declared: what departs on purpose; the bound is then not asked for. formula: their
    code cannot be imported (it stands in a script's main part), so that its formula is written out here in our words.
    needs: libraries that are no dependency of ours.
    """

    name: str
    what: str
    n: str
    measure: Callable[[], Measured]
    bound: float = 0.0
    unit: str = "absolute"
    declared: str = ""
    formula: bool = False
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """A repository's comparisons.

    checkout: None for installed libraries. first: modules of libraries of ours that the checkout holds too, which are
    imported before it. shims: what is done on our side so that old code runs, in words.
    """

    comparisons: tuple[Comparison, ...]
    checkout: Checkout | None = None
    first: tuple[str, ...] = ()
    shims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A comparison's outcome, as it is printed and written as JSON."""

    name: str
    what: str
    n: str
    ours: str
    theirs: str
    difference: float | None
    bound: float | None
    unit: str
    verdict: Verdict
    how: str
    """'run', or 'formula'."""
    note: str = ""


def outcome(subject: str, comparison: Comparison, measured: Measured) -> Row:
    """The row of a comparison that was made."""
    if comparison.declared:
        verdict = Verdict.DECLARED
    else:
        verdict = Verdict.SAME if measured.difference <= comparison.bound else Verdict.DIFFERS
    if measured.difference != measured.difference:  # NaN is neither
        verdict = Verdict.DIFFERS
    return Row(
        name=f"{subject}.{comparison.name}",
        what=comparison.what,
        n=comparison.n,
        ours=measured.ours,
        theirs=measured.theirs,
        difference=measured.difference,
        bound=None if comparison.declared else comparison.bound,
        unit=comparison.unit,
        verdict=verdict,
        how="formula" if comparison.formula else "run",
        note=comparison.declared,
    )


def left_out(subject: str, comparison: Comparison, verdict: Verdict, note: str) -> Row:
    """The row of a comparison that was not made, and why."""
    return Row(
        name=f"{subject}.{comparison.name}",
        what=comparison.what,
        n=comparison.n,
        ours="",
        theirs="",
        difference=None,
        bound=None if comparison.declared else comparison.bound,
        unit=comparison.unit,
        verdict=verdict,
        how="formula" if comparison.formula else "run",
        note=note,
    )

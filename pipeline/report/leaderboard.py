"""The leaderboard of a run: a handful of scores over all attributes, with ranks where a rank can be sure.

It answers what people ask first: who keeps the person where the attribute has moved equally far, what else an edit
changes, how far a method goes, what its images are worth and what an edit costs. Every score stands in the tables;
only the ranks at matched change are computed here, from the table `matched`, as `pipeline.statistics.ranks` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from pipeline.chain.matched.scores import matched_set
from pipeline.metrics.base import MATCHED, PAPER, MatchedSet, noise_of
from pipeline.metrics.dependency import others
from pipeline.report.contents import PAPERS_ROLE, Contents
from pipeline.report.grids import (
    ALL,
    CHANGE,
    IDENTITY,
    METRICS,
    Cell,
    Grid,
    Row,
    decimals_for,
    grid_of,
    optional,
    row_of,
)
from pipeline.report.matched_level import shown_level
from pipeline.statistics.bootstrap import Bootstrap, face_rows, sums_by_face
from pipeline.statistics.differences import FaceSums
from pipeline.statistics.ranks import ranked

JUDGES = ("recognizer_b", PAPERS_ROLE)  # whose identity distance leads: the recognizer that no loss has, else MTCNN
DEPENDENCY = "attribute_dependency_mean"
UNREACHED = "unreached_share"
NAMES = {
    IDENTITY: "identity distance",
    DEPENDENCY: "change of other attributes",
    UNREACHED: "changes not reached",
    CHANGE: "attribute change",
    "fid_same_codes": "FID, same codes",
    "seconds_per_edit": "seconds per edit",
}


@dataclass(frozen=True)
class RankInterval:
    """A method's rank by one score, 1 the best, and its interval where faces are resampled; None where none is known.

    first: the share of resamples in which the method is first.
    """

    rank: int
    low: int | None
    high: int | None
    first: float | None


@dataclass(frozen=True)
class ScoreColumn:
    """A score of every method over all attributes. `where`: by which edits; `standings`: its ranks, () for none."""

    row: Row
    where: str
    standings: tuple[RankInterval | None, ...] = ()


@dataclass(frozen=True)
class Leaderboard:
    """Columns of scores; `order`: places of the methods in `grid.methods`, from the best to the last.

    Methods stand by the first column with ranks; those without a rank follow, by value, and controls are the last.
    grid: the same scores as a table, a row for each column.
    """

    grid: Grid
    columns: tuple[ScoreColumn, ...]
    order: tuple[int, ...]

    @property
    def competitors(self) -> list[int]:
        """The places of the methods that are no controls, best first."""
        return [place for place in self.order if self.grid.methods[place] not in self.grid.controls]

    @property
    def controls(self) -> list[int]:
        """The places of the controls."""
        return [place for place in self.order if self.grid.methods[place] in self.grid.controls]


Samples = Callable[[MatchedSet], np.ndarray]


def _identity(column: str) -> Samples:
    return lambda edits: edits.columns[column]


def _dependency(edits: MatchedSet) -> np.ndarray:
    return np.asarray(np.nanmean(others(edits), axis=1))


@lru_cache(maxsize=1)  # two sections of a page show it
def leaderboard(contents: Contents) -> Leaderboard | None:
    """The leaderboard of a run; None for a run without any of its scores."""
    level = shown_level(contents)
    matched, ranges = f"at a change of {level:g} σ", "over each method's range"
    wanted = [
        (MATCHED, IDENTITY, matched, level),
        (MATCHED, DEPENDENCY, matched, level),
        (MATCHED, UNREACHED, matched, level),
        (PAPER, IDENTITY, ranges, None),
        (PAPER, CHANGE, ranges, None),
        (PAPER, "fid_same_codes", ranges, None),
        (PAPER, "seconds_per_edit", "one face", None),
    ]
    parts = {each: _scores(contents, *each[:2], each[3]) for each in wanted}
    if len(parts[wanted[0]]):
        del parts[wanted[3]]  # identity over the range leads only where nothing else is known of it
    columns = tuple(_column(contents, part, *each) for each, part in parts.items() if len(part))
    if not columns:
        return None
    rows = [column.row for column in columns]
    scores = pd.concat([part for part in parts.values() if len(part)])
    grid = grid_of(contents, scores, "leaderboard", "Leaderboard", rows, METRICS)
    return Leaderboard(grid, columns, _order(contents, columns))


def _scores(contents: Contents, protocol: str, metric: str, level: float | None) -> pd.DataFrame:
    """The scores over all attributes by one metric and one judge."""
    scores = contents.scores
    chosen = scores[(scores["protocol"] == protocol) & (scores["metric"] == metric) & (scores["attribute"] == ALL)]
    chosen = chosen[chosen["level"].isna() if level is None else chosen["level"] == level]
    if metric != IDENTITY:
        return chosen
    known = list(dict.fromkeys(chosen["network"]))
    judges = [network for role in JUDGES for network in known if contents.has_role(network, role)]
    return chosen[chosen["network"].isin((judges or known)[:1])]


def _column(
    contents: Contents, scores: pd.DataFrame, protocol: str, metric: str, where: str, level: float | None
) -> ScoreColumn:
    row = row_of(contents, scores, NAMES[metric], decimals_for(scores["value"].tolist()))
    if protocol == PAPER:
        return ScoreColumn(row, where, _published(contents, row))
    if metric == UNREACHED or level is None:
        return ScoreColumn(row, where)
    recognizer = "recognizer_b" if contents.has_role(row.network, "recognizer_b") else PAPERS_ROLE
    samples = {IDENTITY: _identity(f"identity_{recognizer}"), DEPENDENCY: _dependency}[metric]
    return ScoreColumn(row, where, _computed(contents, row, samples, level))


def _published(contents: Contents, row: Row) -> tuple[RankInterval | None, ...]:
    """The ranks of the grid over ranges, as the table `ranks` has them."""
    ranks = contents.ranks
    chosen = ranks[
        (ranks["protocol"] == PAPER)
        & (ranks["metric"] == row.metric)
        & (ranks["network"] == row.network)
        & (ranks["attribute"] == ALL)
    ]
    known = {one["method"]: one for one in chosen.to_dict("records")}
    return tuple(_standing(known[name]) if name in known else None for name in contents.methods) if known else ()


def _standing(row: Mapping[str, Any]) -> RankInterval | None:
    rank, low, high = (None if pd.isna(row[name]) else int(row[name]) for name in ("rank", "rank_low", "rank_high"))
    return None if rank is None else RankInterval(rank, low, high, optional(row["first"]))


def _computed(contents: Contents, row: Row, samples: Samples, level: float) -> tuple[RankInterval | None, ...]:
    """Ranks at matched change, among competitors of whose scores no more is said than of all competitors' scores."""
    table = contents.others.get("matched")
    competing = [place for place, sound in enumerate(sound_cells(contents, row.cells)) if sound]
    if table is None or not table.num_rows or len(competing) < 2:
        return ()
    names = [contents.methods[place] for place in competing]
    bootstrap = _bootstrap(contents)
    sets = [matched_set(table.filter(pc.equal(table["method"], name)), name, ALL, level, bootstrap) for name in names]
    means = _by_face(sets, samples)
    ranks = ranked(bootstrap, means, np.ones(len(names), bool), lower_is_better=True, noise=noise_of(row.metric))
    found = {
        place: _standing({"rank": rank, "rank_low": low, "rank_high": high, "first": first})
        for place, rank, low, high, first in zip(competing, ranks.rank, ranks.low, ranks.high, ranks.first, strict=True)
    }
    return tuple(found.get(place) for place in range(len(contents.methods)))


def _bootstrap(contents: Contents) -> Bootstrap:
    of = contents.run.experiment
    samples = int(of.get("comparison_samples", 1000))
    return Bootstrap(samples, float(of.get("confidence", 0.95)), int(of.get("seed", 0)))


def _by_face(sets: Sequence[MatchedSet], samples: Samples) -> FaceSums:
    """Sums (M, F) of the values of each method's reached edits, over the faces that any of them has."""
    faces = np.unique(np.concatenate([one.faces for one in sets]))
    sums, sizes = np.zeros((len(sets), len(faces))), np.zeros((len(sets), len(faces)))
    for place, one in enumerate(sets):
        if not len(one):
            continue
        values = samples(one).astype(np.float64)
        columns = np.searchsorted(faces, face_rows(one.faces)[0])
        sums[place, columns] = sums_by_face(values, one.faces)
        sizes[place, columns] = sums_by_face(np.ones(len(values)), one.faces)
    return FaceSums(sums, sizes)


def sound_cells(contents: Contents, cells: Sequence[Cell | None]) -> list[bool]:
    """Whether each cell is a competitor's of which no more is said than of all: such a flag has a reason of its own."""
    rivals = [name not in contents.controls for name in contents.methods]
    reasons = [set(cell.flag.split("; ")) - {""} if cell is not None else None for cell in cells]
    known = [one for one, rival in zip(reasons, rivals, strict=True) if rival and one is not None]
    shared = set.intersection(*known) if known else set()
    return [rival and one is not None and not one - shared for one, rival in zip(reasons, rivals, strict=True)]


def _order(contents: Contents, columns: Sequence[ScoreColumn]) -> tuple[int, ...]:
    leading = next((column for column in columns if column.standings), columns[0])
    sign = -1.0 if leading.row.better == "higher" else 1.0
    last = float("inf")

    def key(place: int) -> tuple[bool, float, float]:
        standing = leading.standings[place] if leading.standings else None
        cell = leading.row.cells[place]
        value = sign * cell.value if cell is not None and np.isfinite(cell.value) else last
        control = contents.methods[place] in contents.controls
        return control, last if standing is None else standing.rank, value

    return tuple(sorted(range(len(contents.methods)), key=key))

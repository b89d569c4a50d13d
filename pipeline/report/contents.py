"""The contents of one run, as every form of its report reads them: tables, provenance, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from pipeline.errors import LatentbenchError, StageError
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import LATER, PUBLISHED

# The sizes of the published protocol (L2L, WACV 2022): what a profile is measured against.
PROTOCOL_SIZES: dict[str, tuple[int, str]] = {
    "n_latents": (400_000, "labelled latents"),
    "n_faces": (50, "faces per method and attribute"),
    "n_steps": (41, "images per face and attribute"),
    "edits_per_method": (16_400, "edited images per method"),
}
PAPERS_ROLE = "mtcnn"  # the network whose features the L2L paper compares faces by
FRAMES = ("runs", "scores", "ranges", "edits")  # tables that every published run has
JSON_COLUMNS = ("settings", "weights", "packages", "machine", "stages")


class Sized(Protocol):
    """A run as its sizes tell it, under the names of PROTOCOL_SIZES."""

    @property
    def profile(self) -> str:
        """The named set of sizes."""


def smaller_sizes(run: Sized) -> list[str]:
    """Where a run is smaller than the published protocol, in words with both numbers."""
    found = ((getattr(run, name), full, noun) for name, (full, noun) in PROTOCOL_SIZES.items())
    return [f"{size:,} {noun} instead of {full:,}" for size, full, noun in found if size < full]


def size_warning(run: Sized) -> str:
    """What a reader must know of a run that is not of the published size; empty for one that is."""
    smaller = smaller_sizes(run)
    if smaller:
        sizes = "; ".join(smaller)
        return f"The sizes of profile {run.profile} are smaller than the published protocol's: {sizes}."
    if run.profile != "full":
        return f"Profile {run.profile} is not `full`, the profile of the published protocol, though its sizes are."
    return ""


@dataclass(frozen=True)
class ShownEdit:
    """One edit of a strip: its step and strength, what scorer B reads on it, whether a face is found there."""

    step: int
    strength: float
    value: float
    detected: bool


@dataclass(frozen=True)
class Strip:
    """The edits of one face by one method for one attribute, from the weakest strength to the strongest.

    pictures: one WebP image, a row of square tiles of `tile` pixels a side, one for each edit. unedited: a WebP image
    of the face as it is, and start_value the attribute on it by scorer B; None where the gallery has none. regions: the
    face under the colours of the method's regions; None for a method without regions.
    """

    method: str
    attribute: str
    face_id: int
    edits: tuple[ShownEdit, ...]
    pictures: bytes
    tile: int
    unedited: bytes | None = None
    start_value: float | None = None
    regions: bytes | None = None


@dataclass(frozen=True)
class RunRecord:
    """The row of RUNS, its JSON columns decoded."""

    run_id: str
    run_date: datetime
    domain: str
    profile: str
    status: str
    fingerprint: str
    settings: dict[str, Any]
    weights: dict[str, str]
    packages: dict[str, str]
    commit: str
    machine: dict[str, Any]
    stages: list[dict[str, Any]]
    n_latents: int
    n_faces: int
    n_steps: int
    edits_per_method: int
    faces: str | None = None

    @property
    def photographs(self) -> str:
        """What a reader must know of edited photographs; empty where faces were sampled."""
        sha256 = str(self.experiment.get("faces_sha256", ""))
        if not sha256:
            return ""
        return (
            f"The edited faces are {self.faces or 'inverted photographs'} (table {sha256[:16]}), not sampled latents: "
            "the unedited image of each is its projection, and no score says how near that is to the photograph. "
            "Compare with runs of the same photographs only."
        )

    @property
    def experiment(self) -> dict[str, Any]:
        """The settings of the experiment, as the run had them."""
        return dict(self.settings.get("protocol", {}))

    @property
    def smaller(self) -> list[str]:
        """Where this run is smaller than the published protocol, in words with both numbers."""
        return smaller_sizes(self)

    @property
    def as_published(self) -> bool:
        """Whether the run had the profile and the sizes of the published protocol."""
        return self.profile == "full" and not self.smaller

    @property
    def warning(self) -> str:
        """What a reader must know of a run that is not of the published size; empty for one that is."""
        return size_warning(self)


@dataclass(frozen=True, eq=False)  # frames have no one truth of being equal: two contents are never equal
class Contents:
    """A run: its record, its tables as frames (columns as `pipeline.tables.schemas`), and its strips of edits.

    `controls` names the methods that are controls, not competitors. `differences`, `ranks` and `judges` are empty for a
    run that was published before these tables existed. `others`: every further published table by name, as Arrow.
    `before`: the run before, side by side with this one; None without one.
    """

    run: RunRecord
    scores: pd.DataFrame
    ranges: pd.DataFrame
    edits: pd.DataFrame
    strips: tuple[Strip, ...] = ()
    controls: frozenset[str] = field(default_factory=frozenset)
    rescoring: pd.DataFrame = field(default_factory=lambda: _empty("rescoring"))
    differences: pd.DataFrame = field(default_factory=lambda: _empty("differences"))
    ranks: pd.DataFrame = field(default_factory=lambda: _empty("ranks"))
    judges: pd.DataFrame = field(default_factory=lambda: _empty("judges"))
    others: Mapping[str, pa.Table] = field(default_factory=dict)
    before: Any = None  # a Comparison, whose module imports this one

    @cached_property
    def told_apart(self) -> dict[tuple[str, ...], bool]:
        """Whether a test tells two methods apart: (protocol, metric, network, attribute, method, other) -> significant.

        Both orders of a pair are keys; a pair without a p value is not there.
        """
        frame = self.differences.dropna(subset=["p"])
        names = ["protocol", "metric", "network", "attribute", "method", "other", "significant"]
        found: dict[tuple[str, ...], bool] = {}
        for *key, method, other, significant in frame[names].itertuples(index=False, name=None):
            found[*key, method, other] = found[*key, other, method] = bool(significant)
        return found

    @cached_property
    def roles(self) -> dict[str, frozenset[str]]:
        """Network of the scores -> its roles in the domain, such as "mtcnn".

        Roles stand in the table of judges. For a run that was published before that table existed they come
        from the domain's card as it is now; a network that the card does not name has none.
        """
        if self.judges.empty:
            pairs = [(name, role) for role, name in _networks_now(self.run.domain).items()]
        else:
            pairs = list(self.judges[["network", "role"]].itertuples(index=False, name=None))
        return {network: frozenset(role for name, role in pairs if name == network) for network, _ in pairs}

    def has_role(self, network: str, role: str) -> bool:
        """Whether a network of the scores has that role in the domain."""
        return role in self.roles.get(network, ())

    @property
    def stand_ins(self) -> list[str]:
        """Networks of the scores that are stand-ins, or that judge a stand-in's images, each once."""
        names = dict.fromkeys(str(name) for name in self.scores["network"])
        return [name for name in names if name.startswith("stand-in-")]

    @property
    def stand_in_warning(self) -> str:
        """What a reader must know of a run with stand-ins; empty for one without."""
        if not self.stand_ins:
            return ""
        return (
            "Networks of this run are stand-ins in the shape of official ones: it tried the machinery, and none of its "
            "numbers means anything."
        )

    @cached_property
    def methods(self) -> list[str]:
        """Methods of the run, controls last, otherwise in the order of the scores."""
        names = dict.fromkeys(self.scores["method"])
        return sorted(names, key=lambda name: name in self.controls)

    @cached_property
    def attributes(self) -> list[str]:
        """Edited attributes, in the order of the protocol, then of the scores."""
        found = [name for name in dict.fromkeys(self.scores["attribute"]) if name != "all"]
        wished = [name for name in self.run.experiment.get("attributes", []) if name in found]
        return wished + [name for name in found if name not in wished]


def _empty(table: str) -> pd.DataFrame:
    return PUBLISHED[table].empty_table().to_pandas()


def record_of(runs: pa.Table) -> RunRecord:
    """The one row of a run's RUNS table. Raises StageError if it has another number of rows."""
    if runs.num_rows != 1:
        raise StageError(f"A run's table `runs` has {runs.num_rows} rows, expected one.")
    row = runs.to_pylist()[0]
    row = {name: row[name] for name in RunRecord.__dataclass_fields__}
    return RunRecord(**{key: json.loads(value) if key in JSON_COLUMNS else value for key, value in row.items()})


def controls_among(names: Iterable[str]) -> frozenset[str]:
    """Which of these methods are controls; one that is no longer registered counts as a method."""
    from pipeline.methods import registry

    controls = set()
    for name in names:
        try:
            if registry.get(name).control:
                controls.add(name)
        except (LatentbenchError, ImportError):
            continue
    return frozenset(controls)


def contents_of(tables: dict[str, pa.Table], strips: tuple[Strip, ...] = (), before: Any = None) -> Contents:
    """Contents from the published tables, named as in `schemas.PUBLISHED`; tables of `schemas.LATER` may be missing."""
    scores = tables["scores"].to_pandas()
    later = {
        name: tables[name].to_pandas() for name in ("rescoring", "differences", "ranks", "judges") if name in tables
    }
    return Contents(
        run=record_of(tables["runs"]),
        scores=scores,
        ranges=tables["ranges"].to_pandas(),
        edits=tables["edits"].to_pandas(),
        strips=strips,
        controls=controls_among(list(dict.fromkeys(scores["method"]))),
        others={name: table for name, table in tables.items() if name not in (*FRAMES, *later)},
        before=before,
        **later,
    )


def _networks_now(domain: str) -> dict[str, str]:
    """Role -> network of a domain's card; empty for a domain that is not known here, or whose weights are missing."""
    from pipeline.domains.base import describe

    try:
        return describe(domain).networks
    except (LatentbenchError, ImportError):
        return {}


def read_contents(folder: Path) -> Contents:
    """Contents of a published run, without its strips (they live in the page)."""
    paths = {name: folder / f"{name}.parquet" for name in PUBLISHED}
    known = [name for name, path in paths.items() if name not in LATER or path.is_file()]
    return contents_of({name: read_table(paths[name], PUBLISHED[name]) for name in known})

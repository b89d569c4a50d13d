"""What a stage is made of, and what a worker is handed to compute it.

A `Kind` says how its stages are described (`Recipe`), cut into shards and computed. It names the stages that it reads,
and imports none of them; the chain makes each stage once. A worker gets one `Work`, and needs nothing else: no settings
file of its own, no module that says how a stage upstream is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.errors import UnknownNameError
from pipeline.execution.jobs import ShardFunction
from pipeline.settings.experiment import BFLOAT16, FULL, Experiment
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage, write_shard
from pipeline.tables.parquet import read_stage, write_table

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

SHARED, TRAINING, RANGES, EDITS, SCORES = PHASES = (
    "latents and labels",
    "training",
    "ranges",
    "edits",
    "scores and report",
)
Names = tuple[str, ...]  # of what there is a stage of: a set, a method, a method and an attribute; or none


@dataclass(frozen=True)
class Work:
    """One stage to be computed: the run's settings, the stage with all that it reads, the domain. Small, and pickled.

    `names` are those that its kind asks for: a set of latents, a method, or a method and an attribute. The folder of
    outputs in `settings` is absolute.
    """

    settings: Settings
    stage: Stage
    card: DomainCard
    names: Names = ()

    @property
    def experiment(self) -> Experiment:
        """What of the settings can change a number."""
        return self.settings.experiment

    @property
    def name(self) -> str:
        """The set or the method that the stage is of."""
        return self.names[0]

    @property
    def folder(self) -> Path:
        """Where the stage's files belong."""
        return self.stage.folder(self.settings.outputs)

    def domain(self, *, learning: bool = False) -> Domain:
        """The domain's networks on this machine's device, loaded once per process. Raises as `base.load`.

        For `learning` they are never rounded to bfloat16 here: whether a training's are is `training_precision`.
        """
        settings, precision = self.settings, self.experiment.precision
        if learning and precision == BFLOAT16:
            precision = FULL
        return base.load(settings.domain, settings.machine.device, precision, settings.sources)

    def lacking(self) -> str:
        """Which weights of the run's domain this machine lacks, or has otherwise, as text; empty if none."""
        return base.other_weights(self.settings.domain, self.card.weights, self.settings.sources)

    def read(self, kind: str, label: str = "") -> Stage:
        """The stage of a kind and label that this one reads, directly or not: `read("labels", "faces")`.

        Raises UnknownNameError for one that is not upstream of it: its recipe does not name it.
        """
        title = f"{kind} {label}".strip()
        if title not in self._upstream:
            raise UnknownNameError(f"stage that {self.stage.title} reads", title, self._upstream)
        return self._upstream[title]

    def table(self, kind: str, label: str, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
        """The table of a stage upstream. Raises UnknownNameError, StageError (not published), CorruptShardError."""
        return read_stage(self.read(kind, label), self.settings.outputs, schema, columns)

    def write(
        self,
        name: str,
        table: pa.Table | Mapping[str, Any],
        schema: pa.Schema,
        started: float,
        extra: dict[str, Any] | None = None,
    ) -> ShardRecord:
        """Write a table as a file of the stage; its shard began at `started` by `time.perf_counter`."""
        seconds = time.perf_counter() - started
        return write_shard(self.folder, name, lambda path: write_table(table, schema, path), extra, seconds=seconds)

    @cached_property
    def _upstream(self) -> dict[str, Stage]:
        found: dict[str, Stage] = {}
        reached = list(self.stage.upstream)
        for stage in reached:
            if stage.title not in found:
                found[stage.title] = stage
                reached += stage.upstream
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_upstream"}


@dataclass(frozen=True)
class Recipe:
    """What goes into a stage: `Stage.version` and `parameters`, the roles whose weights it uses, and what it reads.

    `reads` are kinds, each with its names: ("labels", "faces"). `label`: the stage's names, unless it is given.
    """

    version: int
    parameters: dict[str, Any]
    roles: Names = ()
    reads: tuple[Names, ...] = ()
    label: str | None = None


@dataclass(frozen=True)
class Part:
    """What is computed in one piece: of one attribute, or ("") of all. `units`: how much work it is."""

    name: str
    units: float
    attribute: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of stage.

    There is one stage for each of `sets` of latents; or for each method (`methods`), or method and attribute
    (`attributes`); or a single one. With these as names, `recipe(settings, card, *names)` describes a stage, and
    `cut(settings, *names)` gives its shards, which have a `name` and `units` of work, counted in `unit`.
    `compute(work, shard, progress)`, a function of a module, computes a shard on a worker and returns its record, or a
    record for each of `files(shard)` (by default its name).

    `together(works)` computes stages of one shard each, so that several share the workers: it publishes the first, and
    others in the same pass. `beside`: the others are those of all methods. `threads`: torch's in each shard, by default
    machine.threads. `shown`: the report reads it. `tables`: the published tables that its stages hold rows of.
    """

    name: str
    recipe: Callable[..., Recipe]
    cut: Callable[..., Sequence[Any]]
    compute: ShardFunction
    unit: str | Callable[..., str] = "images"
    sets: Names = ()
    methods: bool = False
    attributes: bool = False
    shown: bool = False
    tables: Names = ()
    beside: bool = False
    threads: int | None = None
    files: Callable[[Any], Sequence[str]] | None = None
    together: Callable[[Sequence[Work]], list[Manifest]] | None = field(default=None)

    @property
    def phase(self) -> str:
        """The part of a run that people are shown its stages under, one of PHASES."""
        if not self.methods:
            return SHARED
        if self.beside:
            return TRAINING
        if self.attributes:
            return RANGES
        return SCORES if "scores" in self.tables else EDITS

    def all_names(self, settings: Settings, method: str = "") -> list[Names]:
        """The names of every stage of this kind, of one method where it is of methods."""
        if self.attributes:
            return [(method, attribute) for attribute in settings.experiment.attributes]
        if self.methods:
            return [(method,)]
        return [(which,) for which in self.sets] or [()]

    def amount(self, settings: Settings, *names: str) -> tuple[int, str]:
        """How much work a stage is, and in what unit, for estimates."""
        unit = self.unit if isinstance(self.unit, str) else self.unit(settings, *names)
        return round(sum(shard.units for shard in self.cut(settings, *names))), unit

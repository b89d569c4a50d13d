"""The chain of a run: every stage in the order of computation, with the function that computes it.

`KINDS` is the one place that lists them. A kind names what its stages read; the chain makes each stage once, and hands
workers the `Work` of their stage. Luigi's tasks, `latentbench plan`, `invalidate` and the report all follow from the
chain, so that none of them can forget a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from pipeline.chain import labels, latents, rating, spread, training
from pipeline.chain.calibration import stage as calibration
from pipeline.chain.consistency import edits as consistency
from pipeline.chain.curves import edits as curves
from pipeline.chain.grid import edits as grid
from pipeline.chain.grid import gallery, reference, timing
from pipeline.chain.grid import scores as grid_scores
from pipeline.chain.matched import edits as matched
from pipeline.chain.matched import scores as matched_scores
from pipeline.chain.work import Kind, Work
from pipeline.domains.base import DomainCard, describe
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.execution.shards import run_stage
from pipeline.inversion import table as photographs
from pipeline.methods import registry
from pipeline.methods.contrastive.candidates import layer_groups
from pipeline.methods.cost import layers_of
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, Stage

# In the order of computation: first what all methods share, then method by method.
KINDS: tuple[Kind, ...] = (
    latents.KIND,
    labels.KIND,
    reference.KIND,
    spread.KIND,
    training.KIND,
    calibration.KIND,
    grid.KIND,
    timing.KIND,
    gallery.KIND,
    grid_scores.KIND,
    matched.KIND,
    matched_scores.KIND,
    curves.KIND,
    consistency.KIND,
    rating.KIND,
)
KIND = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Link:
    """One stage of a run, and how to compute it.

    `run` computes and publishes the stage, continuing from what is there. `units` is how much work that is, counted in
    `unit`, for estimates. `names` are those that its kind asks for: "which", or "method", or "method" and "attribute".
    """

    stage: Stage
    run: Callable[[], object]
    units: int
    unit: str
    names: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def method(self) -> str:
        """The method that it is of; empty for what all methods share."""
        return self.names.get("method", "")

    @property
    def attribute(self) -> str:
        """The attribute that it is of; empty for what is not of one."""
        return self.names.get("attribute", "")

    @property
    def title(self) -> str:
        """What people read: "labels train", "edits l2l"."""
        return self.stage.title

    @property
    def phase(self) -> str:
        """The part of a run that it belongs to (`Kind.phase`)."""
        return KIND[self.stage.name].phase

    @property
    def throughput_label(self) -> str:
        """Label of the seconds of one unit in `throughput.measured_seconds`: attributes share their method's."""
        return f"{self.stage.name} {self.method}" if self.attribute else self.stage.title


class Chain:
    """The stages of one run. Making one reads the domain's card and checks the methods' settings; no torch.

    Raises UnknownNameError and ConfigError for settings that no method takes, for attributes that the domain's scorers
    do not know, and for photographs that cannot be edited; WeightsError for missing weights.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.card: DomainCard = describe(settings.domain, settings.sources)
        self.card.check_attributes(settings.experiment.attributes)
        check_methods(settings, self.card)
        check_faces(settings, self.card)
        self._stages: dict[tuple[str, ...], Stage] = {}
        self._elsewhere = replace(settings, outputs=settings.outputs.absolute())  # workers may be in another folder

    def stage(self, kind: str, *names: str) -> Stage:
        """The stage of a kind, of a set, of a method, or of a method and an attribute; made once, with all it reads."""
        key = (kind, *names)
        if key not in self._stages:
            recipe = KIND[kind].recipe(self.settings, self.card, *names)
            self._stages[key] = Stage(
                kind,
                recipe.version,
                recipe.parameters,
                {role: self.card.weights[role] for role in recipe.roles},
                tuple(self.stage(*read) for read in recipe.reads),
                "-".join(names) if recipe.label is None else recipe.label,
            )
        return self._stages[key]

    def work(self, kind: str, *names: str) -> Work:
        """What a worker is handed to compute a stage."""
        return Work(self._elsewhere, self.stage(kind, *names), self.card, names)

    def link(self, kind: str, *names: str) -> Link:
        """The link of a kind, of a set, of a method, or of a method and an attribute."""
        own = KIND[kind]
        keys = ("method", "attribute") if own.methods else ("which",)
        units, unit = own.amount(self.settings, *names)
        named = dict(zip(keys, names, strict=False))
        return Link(self.stage(kind, *names), partial(self.run, kind, *names), units, unit, named)

    def run(self, kind: str, *names: str) -> Manifest:
        """Compute and publish a stage, whose upstream must be published, and with it what its kind computes beside it.

        Raises as `shards.run_stage`.
        """
        own, work = KIND[kind], self.work(kind, *names)
        if own.together is not None:
            others = [self.work(kind, name) for name in self.settings.method_names if own.beside and name not in names]
            return own.together([work, *others])[0]
        shards = own.cut(self.settings, *names)
        units = [shard.units for shard in shards]
        unit = own.amount(self.settings, *names)[1]
        return run_stage(work, own.compute, shards, units=units, unit=unit, threads=own.threads, files=own.files)

    def calibrate_all(self, method: str, attributes: Sequence[str]) -> Sequence[Manifest]:
        """Compute the ranges of several attributes in one pass, so that they share the workers."""
        return calibration.run_ranges([self.work("range", method, attribute) for attribute in attributes])

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Every link, each after those that it reads."""
        shared = [kind for kind in KINDS if not kind.methods]
        of_methods = [kind for kind in KINDS if kind.methods]
        found = [self.link(kind.name, *names) for kind in shared for names in kind.all_names(self.settings)]
        for method in self.settings.method_names:
            found += [
                self.link(kind.name, *names) for kind in of_methods for names in kind.all_names(self.settings, method)
            ]
        return tuple(found)

    def read_by(self, link: Link) -> list[Link]:
        """The links whose stages a link reads itself, each once."""
        return [self.links[place] for place in dict.fromkeys(self._place(stage) for stage in link.stage.upstream)]

    @cached_property
    def shown(self) -> list[Link]:
        """The links that the report reads."""
        return [link for link in self.links if KIND[link.stage.name].shown]

    @property
    def shown_stages(self) -> tuple[Stage, ...]:
        """The stages that the report reads, method by method; scores first: the order is part of its fingerprint."""
        kinds = sorted((kind for kind in KINDS if kind.shown), key=lambda kind: kind.name != "scores")
        return tuple(
            self.stage(kind.name, *names)
            for method in self.settings.method_names
            for kind in kinds
            for names in kind.all_names(self.settings, method)
        )

    @property
    def tables(self) -> dict[str, list[Stage]]:
        """Published table -> the stages that hold its rows: kind by kind, and method by method."""
        held: dict[str, list[Stage]] = {}
        for kind in KINDS:
            for method in self.settings.method_names if kind.methods else ("",):
                stages = [self.stage(kind.name, *names) for names in kind.all_names(self.settings, method)]
                for table in kind.tables:
                    held.setdefault(table, []).extend(stages)
        return held

    def position(self, link: Link) -> int:
        """Where a link stands in the order of computation, from 0."""
        return self._place(link.stage)

    def _place(self, stage: Stage) -> int:
        return self._positions[stage, stage.label]

    @cached_property
    def _positions(self) -> dict[tuple[Stage, str], int]:
        """By label too: two sets of as many latents are one stage under two names."""
        return {(link.stage, link.stage.label): position for position, link in enumerate(self.links)}

    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages in order, each once: what `--from` takes."""
        return tuple(dict.fromkeys(link.stage.name for link in self.links))

    def downstream(self, name: str, method: str = "") -> tuple[Link, ...]:
        """The links of that stage name (and method) and every link that reads them, directly or not.

        Raises UnknownNameError for a stage or method that this run does not have.
        """
        if name not in self.stage_names():
            raise UnknownNameError("stage", name, self.stage_names())
        if method and method not in self.settings.method_names:
            raise UnknownNameError("method in this run", method, self.settings.method_names)
        reached: set[Stage] = set()
        found = []
        for link in self.links:
            named = link.stage.name == name and (not method or link.method == method)
            if named or reached.intersection(link.stage.upstream):
                reached.add(link.stage)
                found.append(link)
        return tuple(found)


def check_methods(settings: Settings, card: DomainCard) -> None:
    """Check every method's settings as its constructor does, before anything is computed. Raises ConfigError.

    Of our own methods also that a layer group lies inside the domain's generator: beyond it there is nothing to edit.
    """
    layers = layers_of(card)
    for name, pairs in settings.methods:
        source = settings.source_of(name)
        method = registry.unfitted(name, dict(pairs), source)
        try:
            method.check(card, settings.experiment.attributes)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error
        groups = method.parameters().get("groups")
        if name in registry.BUILT_IN and groups is not None and not layer_groups(name, "groups", groups, layers, 1):
            raise ConfigError(
                f"{source}: [method.{name}] groups: expected a group of the layers 0 to {layers - 1}, found {groups!r}."
            )


def check_faces(settings: Settings, card: DomainCard) -> None:
    """Check that inverted photographs, if they are what is edited, can be. Raises ConfigError."""
    if not settings.experiment.faces_sha256:
        return
    photographs.read_codes(settings, card)
    without = [
        name for name in settings.method_names if registry.get(name, settings.method_parameters(name)).space == "Z"
    ]
    if without:
        others = " ".join(f"--method {name}" for name in settings.method_names if name not in without)
        raise ConfigError(
            f"{settings.source}: [protocol] faces_from: photographs have no z, which {', '.join(without)} edits. "
            f"Leave it out: {others or 'name other methods'}"
        )

"""The chain of a run: every stage in the order of computation, with the function that computes it.

`KINDS` is the one place that lists them. What a stage reads stands in its `Stage.upstream`; Luigi's tasks, `latentbench
plan`, `invalidate` and the report all follow from the two, so that none of them can forget a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import log2

from pipeline.chain import calibration, labels, latents, spread, training
from pipeline.chain.consistency import edits as consistency
from pipeline.chain.curves import edits as rates
from pipeline.chain.curves import scores as rating
from pipeline.chain.grid import edits, gallery, reference, timing
from pipeline.chain.grid import scores as scoring
from pipeline.chain.matched import edits as matched
from pipeline.chain.matched import scores as rescoring
from pipeline.domains.base import DomainCard, describe
from pipeline.errors import ConfigError, UnknownNameError
from pipeline.inversion import table as photographs
from pipeline.methods import registry
from pipeline.methods.contrastive.candidates import layer_groups
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, Stage

LATENT_SETS = latents.SETS
LABELLED_SETS = labels.SETS
REFERENCE_SETS = ("reference", "faces")  # unedited images: those of the reference, and those of the edited faces

Amount = tuple[int, str]  # how much a link is to compute, and in what unit


@dataclass(frozen=True)
class Kind:
    """One kind of stage: what there is one of, and the functions that describe and compute one.

    `stage(settings, card, *names)` and `run(settings, *names)`, where names are those of what there is one of: a set of
    latents (one of `sets`), a method, a method and an attribute (`attributes`), or nothing at all. `work(settings,
    *names)` is for estimates. `shown`: the report reads it.
    """

    name: str
    stage: Callable[..., Stage]
    run: Callable[..., object]
    work: Callable[..., Amount]
    sets: tuple[str, ...] = ()
    methods: bool = False
    attributes: bool = False
    shown: bool = False

    def all_names(self, settings: Settings, method: str = "") -> list[tuple[str, ...]]:
        """The names of every stage of this kind, of one method where it is of methods."""
        if self.attributes:
            return [(method, attribute) for attribute in settings.experiment.attributes]
        if self.methods:
            return [(method,)]
        return [(which,) for which in self.sets] or [()]


def _of_set(settings: Settings, which: str, unit: str = "images") -> Amount:
    return latents.id_range(settings, which)[1], unit


def _sized(size: str, unit: str) -> Callable[..., Amount]:
    """Work of a size of the protocol, whatever the method."""
    return lambda settings, *names: (getattr(settings.experiment, size), unit)


def _train(settings: Settings, method: str) -> object:
    return training.run_train(settings, method, settings.method_names)


def _calibrate(settings: Settings, method: str, attribute: str) -> object:
    return calibration.run_range(settings, method, (attribute,))


def _strips(settings: Settings, method: str) -> Amount:
    return len(settings.experiment.attributes), "strips"


def _latents(settings: Settings, which: str) -> Amount:
    return _of_set(settings, which, "latents")


def _of_methods(name: str, stage: Callable[..., Stage], run: Callable[..., object], *size: str) -> Kind:
    """A kind of which every method has one, which the report shows."""
    return Kind(name, stage, run, _sized(*size), methods=True, shown=True)


# In the order of computation: first what all methods share, then method by method.
KINDS: tuple[Kind, ...] = (
    Kind("latents", latents.latents_stage, latents.run_latents, _latents, sets=LATENT_SETS),
    Kind("labels", labels.labels_stage, labels.run_labels, _of_set, sets=LABELLED_SETS),
    Kind("reference", reference.reference_stage, reference.run_reference, _of_set, sets=REFERENCE_SETS),
    Kind("spread", spread.spread_stage, spread.run_spread, _sized("n_spread", "images")),
    Kind("train", training.train_stage, _train, training.work, methods=True),
    Kind(
        "range",
        calibration.range_stage,
        _calibrate,
        _sized("n_faces", "faces"),
        methods=True,
        attributes=True,
        shown=True,
    ),
    _of_methods("edits", edits.edits_stage, edits.run_edits, "edits_per_method", "images"),
    _of_methods("timing", timing.timing_stage, timing.run_timing, "n_timings", "edits"),
    Kind("gallery", gallery.gallery_stage, gallery.run_gallery, _strips, methods=True, shown=True),
    _of_methods("scores", scoring.scores_stage, scoring.run_scores, "edits_per_method", "images"),
    _of_methods("matched", matched.matched_stage, matched.run_matched, "matched_per_method", "edits"),
    _of_methods("rescoring", rescoring.rescoring_stage, rescoring.run_rescoring, "matched_per_method", "edits"),
    _of_methods("rates", rates.rates_stage, rates.run_rates, "rated_per_method", "images"),
    _of_methods(
        "consistency", consistency.consistency_stage, consistency.run_consistency, "n_consistency_faces", "faces"
    ),
    _of_methods("rating", rating.rating_stage, rating.run_rating, "rated_per_method", "images"),
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
        self.card: DomainCard = describe(settings.domain)
        self.card.check_attributes(settings.experiment.attributes)
        check_methods(settings, self.card)
        check_faces(settings, self.card)

    def link(self, kind: str, *names: str) -> Link:
        """The link of a kind, of a set, of a method, or of a method and an attribute."""
        own, settings = KIND[kind], self.settings
        keys = ("method", "attribute") if own.methods else ("which",)
        units, unit = own.work(settings, *names)
        run = partial(own.run, settings, *names)
        return Link(own.stage(settings, self.card, *names), run, units, unit, dict(zip(keys, names, strict=False)))

    def calibrate_all(self, method: str, attributes: Sequence[str]) -> Sequence[Manifest]:
        """Compute the ranges of several attributes in one pass, so that they share the workers."""
        return calibration.run_range(self.settings, method, attributes)

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


def shown_stages(settings: Settings, card: DomainCard) -> tuple[Stage, ...]:
    """The stages that a report reads, method by method. Scores stand first: the order is part of its fingerprint."""
    shown = sorted((kind for kind in KINDS if kind.shown), key=lambda kind: kind.name != "scores")
    return tuple(
        kind.stage(settings, card, *names)
        for method in settings.method_names
        for kind in shown
        for names in kind.all_names(settings, method)
    )


def check_methods(settings: Settings, card: DomainCard) -> None:
    """Check every method's settings as its constructor does, before anything is computed. Raises ConfigError.

    Of our own methods also that a layer group lies inside the domain's generator: beyond it there is nothing to edit.
    """
    layers = 2 * int(log2(card.resolution)) - 2
    for name, pairs in settings.methods:
        source = settings.source_of(name)
        groups = registry.build(name, dict(pairs), source).parameters().get("groups")
        if name in registry.BUILT_IN and groups is not None and not layer_groups(name, "groups", groups, layers, 1):
            raise ConfigError(
                f"{source}: [method.{name}] groups: expected a group of the layers 0 to {layers - 1}, found {groups!r}."
            )


def check_faces(settings: Settings, card: DomainCard) -> None:
    """Check that inverted photographs, if they are what is edited, can be. Raises ConfigError."""
    if not settings.experiment.faces_sha256:
        return
    photographs.read_codes(settings, card)
    without = [name for name in settings.method_names if registry.get(name).space == "Z"]
    if without:
        others = " ".join(f"--method {name}" for name in settings.method_names if name not in without)
        raise ConfigError(
            f"{settings.source}: [protocol] faces_from: photographs have no z, which {', '.join(without)} edits. "
            f"Leave it out: {others or 'name other methods'}"
        )
